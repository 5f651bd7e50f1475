"""Reads single values as Qualtrics writes them, in whichever of their forms they come; no I/O."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_YES: Final = frozenset({"true", "yes", "y", "1", "on", "ja", "oui", "si", "sí", "tak", "sim"})
_NO: Final = frozenset({"false", "no", "n", "0", "off", "nein", "non", "nie", "não", "nao"})
_WORD: Final = re.compile(r"\w+")
# Later than any response and earlier than any count of seconds: what is above is milliseconds.
_MILLIS: Final = 100_000_000_000


def flag(value: Any) -> bool | None:
    """Read a yes or no: true, 1, "1", "true", "yes"; None for what is none of these."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return None if value not in (0, 1) else bool(value)
    if isinstance(value, str):
        return _said(value)
    return None


def _said(text: str) -> bool | None:
    first = _WORD.search(text.casefold())
    word = first[0] if first else ""
    return True if word in _YES else False if word in _NO else None


def moment(value: Any) -> datetime | None:
    """Read a time: ISO 8601 with or without a zone (without one it is UTC), or milliseconds since the epoch."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if value > _MILLIS else value
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(when: datetime) -> str:
    """Write a time as exports take it, rounded down to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(value: Any) -> str | None:
    """Give a text that says something, without the space around it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return value.strip() or None if isinstance(value, str) else None


def named(values: Mapping[str, Any], name: str) -> Any:
    """Find a value by its name, in whichever case it is written."""
    if name in values:
        return values[name]
    wanted = name.casefold()
    return next((value for key, value in values.items() if key.casefold() == wanted), None)


def language(value: Any) -> str | None:
    """Give a language tag in small letters: en, pt-br."""
    found = text(value)
    return found.replace("_", "-").lower() if found else None


def full_name(first: Any, last: Any) -> str:
    """Put a name together of what there is of it."""
    return " ".join(part for part in (text(first), text(last)) if part)


def person_key(email: str) -> str:
    """Make the key of a respondent out of the address, so that keys in logs name nobody."""
    return hashlib.blake2b(email.strip().lower().encode(), digest_size=10).hexdigest()
