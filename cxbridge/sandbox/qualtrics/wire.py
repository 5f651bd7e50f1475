"""What one call looks like to a handler, the envelope of every answer, and the shapes of refusals. Reads no state."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

Json = Any

PREFIX = "/API/v3"
_WORDS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class RefusedError(Exception):
    """The brand answers with this error instead of a result; nothing was changed."""

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Call:
    """One request of somebody who is known; `base` is the address that was called, `scopes` None means all of them."""

    method: str
    path: str
    base: str
    query: Mapping[str, str]
    body: Json
    now: datetime
    params: Mapping[str, str] = field(default_factory=dict)
    scopes: frozenset[str] | None = None

    def object(self) -> dict[str, Json]:
        """The body as an object.

        Raises:
            RefusedError: it is absent or something else.
        """
        if not isinstance(self.body, dict):
            raise RefusedError(400, "The request body is not a JSON object.", "BRE_0.2")
        return self.body

    def needed(self, name: str) -> str:
        """A parameter of the query that must be there."""
        if not (found := self.query.get(name)):
            raise RefusedError(400, f"The parameter {name} is required.", "BRE_0.1")
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """A handler's answer: a result, or with `file` the bytes of a download. `bare` is JSON without the envelope."""

    result: Json = None
    file: bytes | None = None
    media_type: str = ""
    bare: Json = None
    status: int = 200


def meta(status: int, request_id: str | None, notice: str | None = None) -> dict[str, Json]:
    """What stands beside every result."""
    told: dict[str, Json] = {"httpStatus": f"{status} - {_WORDS.get(status, 'Error')}", "requestId": request_id}
    return {**told, "notice": notice} if notice else told


def fault(error: RefusedError, request_id: str | None) -> dict[str, Json]:
    """The body of a refusal."""
    inner = {"errorMessage": error.message, **({"errorCode": error.code} if error.code else {})}
    return {"meta": {**meta(error.status, request_id), "error": inner}}


def page(
    call: Call,
    rows: Sequence[Json],
    *,
    size: int,
    link: str = "skipToken",
    empty: bool = False,
    host: str | None = None,
) -> Reply:
    """A page of rows with the link to the next one, by `offset` or by `skipToken`.

    With `empty` a page without rows comes behind the first; with `host` links lead to that host, as behind a proxy.
    """
    at, blank = _place(call, link)
    following: tuple[int, bool] | None
    if blank:
        elements: list[Json] = []
        following = (at, False) if at < len(rows) else None
    else:
        elements = list(rows[at : at + size])
        end = at + len(elements)
        following = (end, empty and at == 0) if end < len(rows) or (empty and at == 0) else None
    if following is None:
        return Reply({"elements": elements, "nextPage": None})
    kept = [(name, value) for name, value in call.query.items() if name not in (link, "proxyDepth")]
    token = str(following[0]) if link == "offset" and not following[1] else _token(*following)
    more = [(link, token), *([("proxyDepth", "1")] if host else [])]
    base = f"https://{host}" if host else call.base
    return Reply({"elements": elements, "nextPage": f"{base}{PREFIX}{quote(call.path)}?{urlencode([*kept, *more])}"})


def _token(at: int, blank: bool) -> str:
    return base64.b64encode(f"{at}{'e' if blank else ''}".encode()).decode()


def _place(call: Call, link: str) -> tuple[int, bool]:
    given = call.query.get(link, "")
    if not given:
        return 0, False
    try:
        plain = given if given.isdigit() else base64.b64decode(given, validate=True).decode()
        return int(plain.removesuffix("e")), plain.endswith("e")
    except (ValueError, binascii.Error):
        raise RefusedError(400, f"The {link} is not valid.", "BRE_0.6") from None


def stamp(when: datetime) -> str:
    """A time to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fine(when: datetime) -> str:
    """A time to the millisecond."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def moment(value: Json, default: datetime) -> datetime:
    """Read a time that somebody gave; without a zone it is UTC.

    Raises:
        ValueError: it is no time.
    """
    if value is None:
        return default
    found = datetime.fromisoformat(str(value))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
