"""What one call to the site looks like to a handler, and the shapes in which the site refuses one. Reads no state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from cxbridge.sandbox.jira.site import User

Json = Any
Errors = Mapping[str, str]

NO_ISSUE: Final = "Issue does not exist or you do not have permission to see it."


class RefusedError(Exception):
    """The site answers with this status and body instead of a result; nothing was changed."""

    def __init__(self, status: int, payload: Json = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.payload = payload
        self.headers = dict(headers or {})


def refused(status: int, *messages: str, errors: Errors | None = None) -> RefusedError:
    """The platform's own shape: general messages and messages per field."""
    return RefusedError(status, {"errorMessages": list(messages), "errors": dict(errors or {})})


def desk_refused(status: int, message: str, key: str) -> RefusedError:
    """The shape of the service management paths."""
    return RefusedError(status, {"errorMessage": message, "i18nErrorMessage": {"i18nKey": key, "parameters": []}})


@dataclass(frozen=True, slots=True)
class Reply:
    """A handler's answer; a payload of None is an empty body."""

    status: int = 200
    payload: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request.

    `user` is None for an anonymous caller; `base` is the called host and its prefix; `app` the OAuth app, if one calls.
    """

    method: str
    user: User | None
    base: str
    version: Literal[2, 3]
    path: str
    params: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: Json
    has_body: bool
    now: datetime
    app: str | None = None

    def one(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def many(self, name: str) -> list[str]:
        """Every value of a query parameter, given repeatedly or with commas."""
        return [part for key, value in self.query if key == name for part in value.split(",") if part]

    def number(self, name: str, default: int) -> int:
        """A whole number from the query.

        Raises:
            RefusedError: it is something else.
        """
        text = self.one(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            # Unverified wording; the status is the platform's for a parameter of the wrong type.
            raise refused(400, f"Invalid value '{text}' for the parameter '{name}'.") from None

    def flag(self, name: str) -> bool:
        return self.one(name).lower() == "true"

    def expand(self) -> set[str]:
        return set(self.many("expand"))

    def object(self) -> dict[str, Json]:
        """The body as an object.

        Raises:
            RefusedError: it is absent or something else.
        """
        if not isinstance(self.body, dict):
            raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        return self.body

    def actor(self) -> User:
        """The caller.

        Raises:
            RefusedError: the caller is anonymous.
        """
        if self.user is None:
            raise unauthenticated()
        return self.user

    def rest(self, path: str) -> str:
        """An absolute link to a path of the platform, behind the host that was called."""
        return f"{self.base}/rest/api/{self.version}/{path}"


def unauthenticated() -> RefusedError:
    """The answer of the site's own address to a caller it does not know; the body's text is unverified."""
    body = {"errorMessages": ["Client must be authenticated to access this resource."], "errors": {}}
    return RefusedError(401, body, {"WWW-Authenticate": 'Basic realm="Atlassian"'})


def page(call: Call, rows: Sequence[Json], *, default: int = 50, cap: int = 100) -> dict[str, Json]:
    """An offset bean over rows already rendered; the size asked for is lowered to `cap`."""
    start = max(call.number("startAt", 0), 0)
    size = max(min(call.number("maxResults", default), cap), 0)
    values = list(rows[start : start + size])
    last = start + len(values) >= len(rows)
    others = [(key, value) for key, value in call.query if key not in ("startAt", "maxResults")]
    link = f"{call.base}{quote(call.path)}?"
    bean: dict[str, Json] = {
        "self": link + urlencode([*others, ("startAt", start), ("maxResults", size)]),
        "maxResults": size,
        "startAt": start,
        "total": len(rows),
        "isLast": last,
        "values": values,
    }
    if not last:
        bean["nextPage"] = link + urlencode([*others, ("startAt", start + len(values)), ("maxResults", size)])
    return bean


def window(call: Call, rows: Sequence[Json], name: str, *, default: int = 50, cap: int = 200) -> dict[str, Json]:
    """The older offset page, whose array has a name of its own."""
    start = max(call.number("startAt", 0), 0)
    size = max(min(call.number("maxResults", default), cap), 0)
    return {"startAt": start, "maxResults": size, "total": len(rows), name: list(rows[start : start + size])}


def strings(value: Json, name: str, limit: int | None = None) -> list[str]:
    """A list of strings out of a JSON body; None is an empty one.

    Raises:
        RefusedError: it is no list of strings or numbers, or longer than `limit`.
    """
    if value is None:
        return []
    if not isinstance(value, list) or any(isinstance(one, (dict, list, bool)) or one is None for one in value):
        raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    if limit is not None and len(value) > limit:
        raise refused(400, f"The parameter '{name}' accepts at most {limit} values.")  # unverified wording
    return [str(one) for one in value]
