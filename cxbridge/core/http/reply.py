"""What a vendor answered, read once as bytes; it must not decide what the answer means for the work."""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import isnan
from typing import Any, TypeVar

import msgspec

from cxbridge.core.errors import WireFormat
from cxbridge.core.http.library import httpx

T = TypeVar("T")

# No vendor means a wait longer than this; a wrong clock or a wrong unit does.
LONGEST_RETRY_AFTER = 3600.0

# A value takes up to a hundred bytes once it is read, whatever it took on the wire. Smaller bodies cannot hold too many.
_HARMLESS = 4 * 1024 * 1024
_MOST_VALUES = 2_000_000
# Of large bodies, exports above all, the shortest values with their names are longer than this on average.
_SHORTEST_VALUE = 8

# What is looked at at once.
_PART = 1024 * 1024

_PLACE = re.compile(r" - at `(?P<place>\$[^`]*)`$")
# Beginnings of the decoder's sentences that name types and our own fields, never a value of the vendor's.
_VALUE_FREE = ("Expected `", "Object missing required field `", "Invalid RFC3339 ", "Number out of range")


@dataclass(frozen=True, eq=False)
class Reply:
    """One complete answer. `path` has no query and no base path; `arrived` is our clock's time of its last byte.

    `headers` are found in any spelling of upper and lower case.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    arrived: datetime
    connection: str = ""
    request_id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.headers, httpx.Headers):
            object.__setattr__(self, "headers", httpx.Headers(dict(self.headers)))

    def __repr__(self) -> str:
        return f"<Reply {self.method} {self.path} {self.status}, {len(self.body)} bytes>"

    def json(self) -> Any:
        """Give the body as plain Python values.

        Raises:
            WireFormat: when it is not JSON.
        """
        return self.decode(Any)

    def decode(self, shape: type[T]) -> T:
        """Give the body as that type, straight from its bytes.

        Raises:
            WireFormat: when it is not JSON, or not of that shape; the place is named, the value is not.
        """
        if not _is_utf8(self.body):
            # Told of the whole: what is read later and by itself, as records are, would be found wrong alone, and left out.
            raise self._unknown_form(self._not_json())
        if not _bounded(self.body):
            raise self._unknown_form("the JSON holds more values than any page of data: they would not fit in memory")
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.ValidationError as error:
            raise self._unknown_form(_misfit(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._unknown_form(self._not_json()) from None
        except RecursionError:
            raise self._unknown_form("the JSON is nested too deeply to be data") from None

    @property
    def server_time(self) -> datetime | None:
        """The vendor's own clock when it answered, in whole seconds; None where it did not say."""
        return _http_date(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds from `arrived` before which nothing should be sent; None where absent or not readable."""
        told = self.headers.get("retry-after", "").strip()
        if not told:
            return None
        try:
            seconds = float(told)
        except ValueError:
            until = _http_date(told)
            if until is None:
                return None
            seconds = (until - (self.server_time or self.arrived)).total_seconds()
        if isnan(seconds):
            return None
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)

    def _not_json(self) -> str:
        start = self.body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start:
            return "answered nothing where JSON was expected"
        if start.startswith(b"<") or "html" in self.headers.get("content-type", "").lower():
            return "answered a web page where JSON was expected (a login page or proxy?)"
        return "the body is not valid JSON"

    def _unknown_form(self, message: str) -> WireFormat:
        return WireFormat(
            message,
            connection=self.connection,
            operation=f"{self.method} {self.path}",
            status=self.status,
            request_id=self.request_id,
        )


def _is_utf8(body: bytes) -> bool:
    """Tell whether a body is the text it must be, a part at a time: as a text, all of it would take four times the room."""
    if body.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(body), _PART):
            decoder.decode(body[start : start + _PART])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _bounded(body: bytes) -> bool:
    """Tell whether a body can be read into memory: counts what could be lists, objects and values, texts among them."""
    if len(body) <= _HARMLESS:
        return True
    holders = body.count(b"[") + body.count(b"{")
    return holders <= _MOST_VALUES and body.count(b",") <= max(_MOST_VALUES, len(body) // _SHORTEST_VALUE)


def _misfit(told: str) -> str:
    place = _PLACE.search(told)
    where = f" at {place['place']}" if place else ""
    what = told[: place.start()] if place else told
    return (what.replace("`", "") if what.startswith(_VALUE_FREE) else "a value is not of the expected kind") + where


@lru_cache(maxsize=64)
def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # "-0000" means "UTC, zone unknown" and comes back without one.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
