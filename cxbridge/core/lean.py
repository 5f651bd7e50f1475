"""What keeps a process small and quick to start; it knows no library by name."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Have modules count as not installed while a library is imported inside that can do without them.

    What is loaded already stays as it is. Whoever imports one of them later gets it.
    """
    hidden = [name for name in names if name not in sys.modules]
    # This is how Python is told that a module cannot be had; the import statement raises ImportError then.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def collect_seldom() -> None:
    """Have the interpreter look for circles among all objects seldom.

    What is loaded stays, and records come by the thousand and go by themselves: looking for circles among them every few hundred
    would cost a twentieth of a start and a tenth of a pull.
    """
    gc.set_threshold(20_000, 20, 20)


def end_quickly() -> None:
    """Have the interpreter look for no circles while it ends: all memory is about to go, and looking takes a tenth of a command."""
    gc.freeze()
