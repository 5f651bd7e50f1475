"""Loading a library without what it loads on the side, where that happens to be installed; it knows no library by name."""

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
