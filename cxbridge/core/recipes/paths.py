"""Fixed paths into a record, such as ``ticket.custom.region``: written, followed, and explained when missing.

Following one looks keys up in plain groups and lists only; it never reads an attribute of an object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxbridge.core.recipes.mistakes import ExpressionError, nearest
from cxbridge.core.recipes.values import MISSING, SEQUENCES, kind, refuse_foreign

Key = str | int


@dataclass(frozen=True, slots=True)
class Path:
    """A fixed path that an expression reads, such as ``ticket.priority``.

    ``optional`` paths may be missing: they stand in ``default``, ``coalesce``, ``is defined``, ``changed`` or ``was``.
    """

    parts: tuple[Key, ...]
    offset: int
    length: int
    optional: bool = False

    @property
    def text(self) -> str:
        """The path as a person writes it."""
        return path_text(self.parts)


def path_text(parts: Sequence[Key]) -> str:
    """``ticket.custom['eng status']`` for its parts."""
    done = str(parts[0])
    for part in parts[1:]:
        plain = isinstance(part, str) and part.isidentifier()
        done += f".{part}" if plain else f"[{part!r}]"
    return done


def step_into(value: Any, key: Any) -> Any:
    """A field of a group or an item of a list; MISSING where there is none, where nothing is, or where it is no data.

    Raises ExpressionError for a key that does not fit the value.
    """
    found = type(value)
    if found is dict:
        if type(key) is not str:
            raise ExpressionError(f"a field is named by a text, not by {kind(key)}")
        return value.get(key, MISSING)
    if found in SEQUENCES:
        if type(key) is not int:
            raise ExpressionError(
                "this is a list and has no fields", hint="take one item first, for example with first"
            )
        return value[key] if -len(value) <= key < len(value) else MISSING
    if value is MISSING or value is None:
        return MISSING
    refuse_foreign(value)
    raise ExpressionError(f"this is {kind(value)} and has no fields")


def follow(scope: Mapping[str, Any], parts: Sequence[Key]) -> Any:
    """What a path leads to in a scope, or MISSING."""
    value = scope.get(str(parts[0]), MISSING)
    for part in parts[1:]:
        value = step_into(value, part)
    return value


def why_missing(scope: Mapping[str, Any], parts: tuple[Key, ...]) -> ExpressionError:
    """Why a path leads to nothing: at which of its parts, and what was probably meant."""
    root = str(parts[0])
    value = scope.get(root, MISSING)
    if value is MISSING:
        names = [name for name in scope if type(name) is str and not name.startswith("_")]
        guess = nearest(root, names)
        hint = f"did you mean `{guess}`?" if guess else "there are " + ", ".join(sorted(names)[:12])
        return ExpressionError(f"there is no `{root}` here", hint=hint)
    for number in range(1, len(parts)):
        here = path_text(parts[:number])
        if value is None:
            whole = path_text(parts[: number + 1])
            return ExpressionError(
                f"`{here}` is empty, so `{whole}` cannot be read",
                hint=f"test `{here} is not none` first, or add `| default(...)`",
            )
        part = parts[number]
        after = step_into(value, part)
        if after is MISSING:
            if type(value) is dict:
                guess = nearest(str(part), [name for name in value if type(name) is str])
                hint = f"did you mean `{path_text((*parts[:number], guess))}`?" if guess else "check its spelling"
                return ExpressionError(f"`{here}` has no field `{part}`", hint=hint)
            return ExpressionError(f"`{here}` has only {len(value)} items", hint="add `| default(...)`")
        value = after
    return ExpressionError(f"`{path_text(parts)}` holds something that is not plain data")


def meant(key: Any, group: Mapping[Any, Any]) -> str:
    """The hint for a field that a group lacks."""
    guess = nearest(key, [name for name in group if type(name) is str]) if type(key) is str else None
    return f"did you mean `{guess}`?" if guess else "give a value with default(...) where it may be missing"


def listed(name: str, known: Sequence[str], otherwise: str = "") -> str:
    """The hint for a name that is not among the known ones: ``otherwise``, the nearest one, or all of them."""
    guess = nearest(name, known)
    return otherwise or (f"did you mean `{guess}`?" if guess else "there are " + ", ".join(sorted(known)))
