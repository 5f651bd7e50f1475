"""One row of an answer, read value by value: what is not of the type asked for refuses the row, and no refusal quotes a value."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, prose
from cxbridge.plugins.gainsight.dates import NoTime

_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


class Unreadable(Exception):
    """A row that cannot be read; the text names the field, never what is in it."""


class Row:
    """A row's values. What is missing or empty is None: Gainsight leaves empty fields out."""

    __slots__ = ("changed", "key", "raw", "values")

    def __init__(self, values: Mapping[str, Any], raw: bytes, key: str, changed: int) -> None:
        self.values = values
        self.raw = raw
        self.key = key
        self.changed = changed

    def text(self, name: str | None) -> str | None:
        """A text; a number is read as one."""
        value = self._of(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value is None or isinstance(value, str):
            return value.strip() or None if value else None
        raise Unreadable(f"{name} is no text")

    def prose(self, name: str | None) -> str:
        """A text with markup, as people read it."""
        return prose.to_text(self.text(name))

    def number(self, name: str | None) -> float | None:
        """A number, also where it is written as a text with many digits."""
        value = self._of(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise Unreadable(f"{name} is no number")
        try:
            found = Decimal(str(value).strip())
        except InvalidOperation:
            raise Unreadable(f"{name} is no number") from None
        if not found.is_finite():
            raise Unreadable(f"{name} is no number")
        return float(found)

    def flag(self, name: str | None) -> bool | None:
        """A yes or no, also where it is written as a text."""
        value = self._of(name)
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise Unreadable(f"{name} is no yes or no")

    def moment(self, name: str | None) -> datetime | None:
        """A time."""
        return _time(name, self._of(name), whole=False)

    def day(self, name: str | None) -> datetime | None:
        """A day, as its midnight."""
        return _time(name, self._of(name), whole=True)

    def list(self, name: str | None) -> list[str]:
        """Several texts."""
        value = self._of(name)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            return [value]
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return list(value)
        raise Unreadable(f"{name} is no list of texts")

    def plain(self, name: str | None) -> cx.Json:
        """Whatever it is, as long as it is one value or a list of them."""
        value = self._of(name)
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value)):
            raise Unreadable(f"{name} is no plain value")
        return value

    def _of(self, name: str | None) -> Any:
        return None if name is None else self.values.get(name)


def read_row(raw: msgspec.Raw, key: str, changed: str | None) -> Row:
    """Read a row that has an id and, where one is named, a time of change.

    Raises:
        Unreadable: it has not.
    """
    try:
        values: Any = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unreadable("it is no JSON") from None
    if not isinstance(values, dict):
        raise Unreadable("it is no object")
    ident = values.get(key)
    if not isinstance(ident, str) or not ident or ident != ident.strip() or not ident.isprintable():
        raise Unreadable(f"{key} is no id")
    when = None if changed is None else _time(changed, values.get(changed), whole=False)
    if changed is not None and when is None:
        raise Unreadable(f"{changed} is missing")
    return Row(values, bytes(raw), ident, 0 if when is None else dates.millis(when))


def _time(name: str | None, value: Any, *, whole: bool) -> datetime | None:
    try:
        return dates.day(value) if whole else dates.moment(value)
    except NoTime as error:
        raise Unreadable(f"{name}: {error}") from None
