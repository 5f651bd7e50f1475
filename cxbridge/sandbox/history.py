"""The values of single fields of the vendors' records: what they are now, and what they were, by the journal."""

from collections.abc import Iterator
from typing import Any

import msgspec

from cxbridge.sandbox.journal import Effect, Journal, Via
from cxbridge.sandbox.world import World

# What begins a record, and tells some of its fields.
_BEGINNINGS = ("ticket.created", "issue.created", "task.created", "contact.created", "organization.created")


class Place(msgspec.Struct, frozen=True):
    """A field of a record at a vendor: ("zendesk", "7", "priority"). A custom field of a ticket is `custom_fields.NUMBER`."""

    vendor: str
    key: str
    field: str

    def __str__(self) -> str:
        return f"{self.vendor} {self.key} {self.field}"


class Moment(msgspec.Struct, frozen=True):
    """A field got a value, with which entry of the journal."""

    seq: int
    value: Any
    via: Via


class History(msgspec.Struct, frozen=True):
    """All values of a field, oldest first. `whole` is False where nothing in the journal tells with which value it began."""

    moments: list[Moment]
    whole: bool

    @classmethod
    def of(cls, journal: Journal, place: Place) -> "History":
        """Read it off the journal."""
        effects = [one for one in journal.effects() if (one.vendor, one.key) == (place.vendor, place.key)]
        moments = [moment for one in effects for moment in _moments(one, place)]
        if any(one.kind in _BEGINNINGS and place.field in one.detail for one in effects):
            return cls(moments, True)
        before = next((found for one in effects for found in _before(one, place)), None)
        if before is None:
            return cls(moments, False)
        begun = next((one for one in effects if one.kind in _BEGINNINGS), None)
        # Whoever made the record: what it began with counts as nobody's write to this field.
        first = Moment(begun.seq if begun else -1, before[0], "seed")
        return cls([first, *moments], True)

    def value_at(self, seq: int) -> Any:
        """The value right after an entry of the journal; None before the first."""
        return next((one.value for one in reversed(self.moments) if one.seq <= seq), None)


def now_at(world: World, place: Place) -> Any:
    """The value that a field has now, as the vendor shows it to people.

    Raises:
        LookupError: there is no such record.
    """
    record = _record(world, place)
    inner: Any = record
    for part in place.field.split("."):
        if part == "custom_fields" and isinstance(inner, dict):
            inner = {str(one["id"]): one["value"] for one in inner.get("custom_fields", ())}
        else:
            inner = inner.get(part) if isinstance(inner, dict) else None
    return inner


def holds(detail: Any, path: str, wanted: Any) -> bool:
    """Whether a value is at a path, or, as a text, part of what is there; a list holds what one of its items holds."""
    inner = detail
    parts = path.split(".")
    for number, part in enumerate(parts):
        if isinstance(inner, dict):
            # Names in the journal hold dots of their own.
            rest = ".".join(parts[number:])
            if rest in inner:
                inner = inner[rest]
                break
            inner = inner.get(part)
        else:
            return False
    return _is_in(inner, wanted)


def _is_in(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return wanted in found
    if isinstance(found, list | tuple) and not isinstance(wanted, list | tuple):
        return any(_is_in(one, wanted) for one in found)
    return bool(found == wanted)


def _record(world: World, place: Place) -> Any:
    if place.vendor == "zendesk":
        from cxbridge.sandbox.zendesk import render, tickets

        return render.ticket(world.zendesk, tickets.find(world.zendesk, int(place.key)))
    path = {"jira": "issues", "gainsight": "ctas", "qualtrics": "responses", "slack": "messages"}[place.vendor]
    vendor = world.jira if place.vendor == "jira" else world.vendors[place.vendor]
    status, content = vendor.control("GET", f"{path}/{place.key}", {})
    if status >= 400:
        raise LookupError(f"{place.vendor} holds no {place.key}: {content}")
    return content


def _before(effect: Effect, place: Place) -> Iterator[tuple[Any]]:
    """Give the value that a field had before an effect changed it, where that tells it."""
    changes = effect.detail.get("changes")
    if isinstance(changes, dict) and place.field in changes:
        yield (changes[place.field][0],)
    if effect.kind == "transition" and place.field == "status":
        yield (effect.detail["before"],)


def _moments(effect: Effect, place: Place) -> Iterator[Moment]:
    detail = effect.detail
    if effect.kind in _BEGINNINGS and place.field in detail:
        yield Moment(effect.seq, detail[place.field], effect.via)
    for changed in ("changes", "values"):
        held = detail.get(changed)
        if isinstance(held, dict) and place.field in held:
            value = held[place.field]
            # Zendesk's history tells the value before too.
            yield Moment(effect.seq, value[1] if changed == "changes" else value, effect.via)
    if effect.kind == "transition" and place.field == "status":
        yield Moment(effect.seq, detail["to"], effect.via)
