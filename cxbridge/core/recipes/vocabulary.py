"""Which names a recipe may say where: entities, fields, results and their allowed values; knows no file and no engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

import msgspec

from cxbridge.core.canonical import KINDS
from cxbridge.core.connector import Action, Connector, Stream
from cxbridge.core.recipes.mistakes import nearest
from cxbridge.core.recipes.model import RESULT_FIELDS
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS
from cxbridge.core.recipes.paths import Key, path_text

# What `event.type` may say behind the dot, and what a sweep's says.
_EVENTS = ("created", "updated", "deleted", "swept")


class Offer(Protocol):
    """What a connection offers to recipes."""

    @property
    def connector(self) -> Connector:
        """The connector and its settings."""
        ...

    @property
    def streams(self) -> Mapping[str, Stream]:
        """What can be read."""
        ...

    @property
    def actions(self) -> Mapping[str, Action]:
        """What can be written."""
        ...


@dataclass(frozen=True, slots=True)
class Mistake:
    """A path that leads nowhere: why, and what was likely meant."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What stands behind a name in scope: an entity of a kind, or fields with their types; `open` where nobody knows."""

    kind: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False

    def hints(self) -> Mapping[str, Any]:
        """The types of its fields."""
        return hints_of(self.kind) if self.kind is not None else self.fields


@cache
def hints_of(kind: str) -> Mapping[str, Any]:
    """The types of a kind's fields as recipes see them."""
    hints = get_type_hints(KINDS[kind])
    return {name: hints[name] for name in KINDS[kind].__struct_fields__} | {"id": str, "source": str}


def fields_of(kind: str) -> tuple[str, ...]:
    """Name the fields of a kind as recipes see them."""
    return tuple(hints_of(kind))


def choices_of(hint: Any) -> tuple[str, ...]:
    """List the values of a type, when they are listed at all."""
    if get_origin(hint) is Literal:
        return tuple(str(value) for value in get_args(hint))
    parts = _parts(hint)
    return choices_of(parts[0]) if len(parts) == 1 and parts[0] is not hint else ()


def items_of(hint: Any) -> Any:
    """The type of a list's items, or `None`."""
    for part in _parts(hint):
        if get_origin(part) is list:
            return get_args(part)[0]
    return None


def plain_type(hint: Any) -> type | None:
    """The one type of a single value, or `None` when there are several or it is not known."""
    parts = _parts(hint)
    return parts[0] if len(parts) == 1 and isinstance(parts[0], type) else None


def _parts(hint: Any) -> tuple[Any, ...]:
    """A type without its `None`."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(part for part in get_args(hint) if part is not NoneType)
    return (hint,)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names in scope at one place of a recipe.

    `subject` is the name of the entity the recipe is about there, if that is known; `later` are steps whose results are not
    there yet. `history` tells whether there is a record before the change.
    """

    names: Mapping[str, Meaning]
    subject: str | None = None
    later: frozenset[str] = frozenset()
    history: bool = True
    # Some names were refused where they are given: one that is missing here may be one of them.
    lenient: bool = False

    def mistake(self, parts: Sequence[Key]) -> Mistake | None:
        """Say what is wrong with a path, or `None`."""
        head = str(parts[0])
        meaning = self.names.get(head)
        if meaning is None:
            return None if self.subject is None or self.lenient else self._unknown(head)
        hints = meaning.hints()
        if len(parts) == 1 or meaning.open:
            return None
        name = parts[1]
        if not isinstance(name, str):
            return Mistake(f"`{head}` is no list")
        if name not in hints:
            return Mistake(f"unknown field `{head}.{name}`", _hint(name, hints, f"{head}."))
        found = _into(hints[name], parts, 2)
        if isinstance(found, Mistake) and meaning.kind is not None and len(parts) > 2 and found.hint == "":
            return Mistake(found.message, self._belonging(meaning.kind, name, str(parts[2])))
        return found if isinstance(found, Mistake) else None

    def type_of(self, parts: Sequence[Key]) -> Any:
        """The type of what a path leads to, or `None` when it is not known."""
        meaning = self.names.get(str(parts[0]))
        hints = meaning.hints() if meaning else {}
        if len(parts) < 2 or parts[1] not in hints:
            return None
        found = _into(hints[str(parts[1])], parts, 2)
        return None if isinstance(found, Mistake) else found

    def choices(self, parts: Sequence[Key]) -> tuple[str, ...]:
        """List the values that a path may have, when they are listed."""
        return choices_of(self.type_of(parts))

    def is_entity(self, parts: Sequence[Key]) -> bool | None:
        """Whether a path is a whole record, or a step's result, which stands for one; `None` when that is not known."""
        meaning = self.names.get(str(parts[0]))
        if meaning is None or (meaning.open and len(parts) == 1):
            return None
        return len(parts) == 1 and "id" in meaning.hints()

    @property
    def entities(self) -> list[str]:
        """The names of whole records."""
        return [name for name, meaning in self.names.items() if meaning.kind is not None and name != "before"]

    def _unknown(self, head: str) -> Mistake:
        if head in self.later:
            return Mistake(
                f"`{head}` is a later step: its result is not there yet", "move that step up, or this one down"
            )
        if head == "before":
            return Mistake("there is no record before the change here", "only a trigger with `on` has one")
        if head in NOUNS and "item" in self.names:
            return Mistake(f"unknown name `{head}`", "did you mean `item`? It is the linked one")
        known = self.names.get(self.subject or "")
        if known is not None and head in known.hints():
            return Mistake(f"unknown name `{head}`", f"did you mean `{self.subject}.{head}`?")
        if head in self.names["inputs"].fields:
            return Mistake(f"unknown name `{head}`", f"did you mean `inputs.{head}`?")
        return Mistake(
            f"unknown name `{head}`", _hint(head, self.names) or f"there are {', '.join(sorted(self.names))}"
        )

    def _belonging(self, kind: str, name: str, wanted: str) -> str:
        for other, one in BELONGINGS.get(kind, {}).items():
            if one.field == name and not one.of and other in self.names and wanted in hints_of(one.kind):
                return f"did you mean `{other}.{wanted}`?"
        return ""


def _into(hint: Any, parts: Sequence[Key], at: int) -> Any:
    """Follow the rest of a path through a type: the type it leads to, `None` when that is not known, or what is wrong."""
    if at == len(parts):
        return hint
    key, here = parts[at], path_text(parts[:at])
    for part in _parts(hint):
        if part is Any:
            return None
        if get_origin(part) is dict:
            return _into(get_args(part)[1], parts, at + 1) if isinstance(key, str) else Mistake(f"`{here}` is no list")
        if get_origin(part) is list:
            if isinstance(key, int):
                return _into(get_args(part)[0], parts, at + 1)
            return Mistake(f"`{here}` is a list and has no fields", "look for something in it: 'x' in " + here)
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            inner = get_type_hints(part)
            if key in inner:
                return _into(inner[str(key)], parts, at + 1)
            return Mistake(f"unknown field `{here}.{key}`", _hint(str(key), inner, f"{here}."))
    return Mistake(f"`{here}` is a single value: nothing can stand behind it")


def _hint(word: str, known: Iterable[str], before: str = "") -> str:
    known = list(known)
    found = nearest(word, known)
    likely = [found] if found else [one for one in known if len(word) >= 3 and one.startswith(word)][:2]
    return f"did you mean {' or '.join(f'`{before}{one}`' for one in likely)}?" if likely else ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for every place of a recipe: its inputs' types, its triggers' ids, whether names were refused."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    triggers: tuple[str, ...] = ()
    lenient: bool = False


def scope_of(
    noun: str | None,
    setting: Setting,
    *,
    steps: Sequence[str] = (),
    later: Iterable[str] = (),
    item: str | None = None,
    history: bool = True,
    sweeping: bool = False,
    results: Mapping[str, Mapping[str, Any]] = {},
) -> Vocabulary:
    """Name what is in scope for a subject: itself, what belongs to it, inputs, and the results of earlier steps.

    `results` are the fields of those steps that leave something else behind than an action does. Without a `noun` nothing is
    known of the subject, and every name is let pass. `sweeping` is the scope of a `find`.
    """
    event: dict[str, Any] = {"trigger": _literal(setting.triggers)}
    if not sweeping:
        event |= {"at": datetime, "type": _literal([f"{noun}.{one}" for one in _EVENTS]) if noun else str}
    names: dict[str, Meaning] = {
        "inputs": Meaning(fields=setting.inputs),
        "event": Meaning(fields=event),
        "now": Meaning(fields={}),
    }
    for step in steps:
        names[step] = Meaning(fields=results.get(step) or dict.fromkeys(RESULT_FIELDS, Any))
    if noun is not None:
        kind = NOUNS[noun]
        names[noun] = Meaning(kind)
        if history:
            names["before"] = Meaning(kind)
        names |= {name: Meaning(one.kind) for name, one in BELONGINGS.get(kind, {}).items()}
    if item is not None:
        names["item"] = Meaning(item)
    return Vocabulary(names, noun, frozenset(later), history, setting.lenient)


def _literal(values: Sequence[str]) -> Any:
    return Literal[tuple(values)] if values else str


def offered(offer: Offer, noun: str) -> bool:
    """Whether a connection yields entities of that noun's kind."""
    wanted = KINDS[NOUNS[noun]]
    return any(wanted in stream.kinds for stream in offer.streams.values())
