"""What keeps a process small and quick to start; it knows no library by name."""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType


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


@contextmanager
def later(name: str, *functions: str) -> Iterator[None]:
    """Have a library that is imported inside get a stand-in for a module, which is loaded when something of it is asked for.

    Of the `functions` named, being called is what asks for it; so they may be taken out of it while the library is imported.
    Whoever imports the module later gets the module itself. One that is loaded already is what the library gets. No module in it
    can be imported by the library while it is imported itself.
    """
    if name in sys.modules:
        yield
        return
    standing_in = _Later(name)
    for function in functions:
        setattr(standing_in, function, partial(_call, name, function))
    sys.modules[name] = standing_in
    try:
        yield
    finally:
        # It may be gone: asked for something it makes room for the module itself, which may not be there.
        if sys.modules.get(name) is standing_in:
            del sys.modules[name]


class _Later(ModuleType):
    """Stands in for a module of its name."""

    def __getattr__(self, attribute: str) -> object:
        if attribute == "__path__":
            # Asked by `from … import …`, whether there are modules in it.
            raise AttributeError(attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)


def _call(name: str, function: str, *words: object) -> object:
    return getattr(importlib.import_module(name), function)(*words)


def collect_seldom() -> None:
    """Have the interpreter look for circles among all objects seldom.

    What is loaded stays, and records come by the thousand and go by themselves: looking for circles among them every few hundred
    would cost a twentieth of a start and a tenth of a pull.
    """
    gc.set_threshold(20_000, 20, 20)


def settle_in() -> None:
    """Have the interpreter look for circles no more among what is there now, for a process that goes on for long.

    What is loaded stays: looking through it took a tenth of a second each minute, in which nobody was served. Called again, as when
    settings are read anew, it lets go first of what has come to be of no use since.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def end_quickly() -> None:
    """Have the interpreter look for no circles while it ends: all memory is about to go, and looking takes a tenth of a command."""
    gc.freeze()
