"""What recipes may ask of the installation around them: its calendars, its windows, and who judges texts; reads no settings.

The engine puts it together from cxbridge.toml; a test in a recipe file may put its own calendars and windows in their place.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from cxbridge.core.canonical import Sentiment
from cxbridge.functions.calendars import WEEKDAYS, Calendar

# Calendars that every installation has, so that a recipe works before anybody has written one.
BUILT_IN: Mapping[str, Calendar] = {
    "always": Calendar("always", "UTC", dict.fromkeys(WEEKDAYS, (("00:00", "24:00"),))),
    "weekdays": Calendar("weekdays", "UTC", dict.fromkeys(WEEKDAYS[:5], (("09:00", "17:00"),))),
}
WINDOW_KINDS = ("outage", "maintenance", "holiday", "release", "policy", "other")
# What people call an account by, in settings and files.
_NAMES = ("name", "source_key", "source_id", "external_id")


class Judge(Protocol):
    """Whatever tells how a text is meant. It answers `unknown` where it cannot tell, and never fails."""

    def sentiment(self, text: str, language: str | None = None, asked: str | None = None) -> Sentiment:
        """Judge a text; `language` where it is known, `asked` the question that it answers."""
        ...

    def language(self, text: str) -> str:
        """Tell the language of a text, in ISO 639-1."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which something known went on. Without `end` it goes on until further notice.

    With `accounts` it holds for those only, with `products` only where one of them is asked about.
    """

    name: str
    kind: str
    start: datetime
    end: datetime | None = None
    accounts: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    about: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether a moment lies in it; its end does not."""
        return self.start <= at and (self.end is None or at < self.end)

    def is_about(self, account: Mapping[str, Any] | None) -> bool:
        """Whether it holds for an account."""
        return not self.accounts or bool(names_of(account) & {one.lower() for one in self.accounts})

    def touches(self, products: Collection[str]) -> bool:
        """Whether it holds for any of these products."""
        known = {one.lower() for one in self.products}
        return not known or any(one.lower() in known for one in products)


def window_of(table: Mapping[str, Any]) -> Window:
    """Read a window as a test in a recipe file gives one.

    Raises:
        ValueError: when it is none.
    """
    unknown = sorted(set(table) - {"name", "kind", "from", "to", "accounts", "products", "about"})
    if unknown:
        raise ValueError(f"a window has no `{unknown[0]}`: it has name, kind, from, to, accounts, products and about")
    told = table.get("kind", "outage")
    if told not in WINDOW_KINDS:
        raise ValueError(f"there are no windows of the kind {told!r}: there are {', '.join(WINDOW_KINDS)}")
    start, end = _moment("from", table.get("from")), table.get("to")
    until = None if end is None else _moment("to", end)
    if until is not None and until <= start:
        raise ValueError("this window ends before it begins")
    several = {name: tuple(str(one) for one in table.get(name, ())) for name in ("accounts", "products")}
    return Window(str(table.get("name", "given")), told, start, until, **several, about=str(table.get("about", "")))


def _moment(name: str, value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ValueError(f"`{name}` is a time with its zone, like 2026-05-06T09:00:00Z")
    return found.astimezone(UTC)


def names_of(account: Mapping[str, Any] | None) -> set[str]:
    """What an account may be called by, in small letters: its name, its key, its ids anywhere."""
    if account is None or account.get("id") is None:
        return set()
    said = [account.get(name) for name in _NAMES] + list(account.get("external_ids") or ())
    return {str(one).lower() for one in said if one is not None}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An installation as recipes meet it. `calendars` are its own, beside those that are built in."""

    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    windows: Sequence[Window] = ()
    judge: Judge | None = None

    @property
    def known_calendars(self) -> list[str]:
        """The names of all calendars."""
        return sorted({**BUILT_IN, **self.calendars})

    def calendar(self, name: str) -> Calendar | None:
        """Find a calendar by its name."""
        return self.calendars.get(name) or BUILT_IN.get(name)
