"""One API request as an endpoint sees it, its reply, and how paths are matched. Knows no endpoint."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import Headers, QueryParams

from cxbridge.sandbox.zendesk.entities import User
from cxbridge.sandbox.zendesk.errors import ApiError, invalid_attribute, invalid_json
from cxbridge.sandbox.zendesk.state import Json, ZendeskState


class Reply(NamedTuple):
    """What an endpoint answers; no content makes an empty body, bytes are sent as they are."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = {}


class Call:
    """A request of a known user to a known endpoint. Endpoints run while the world's lock is held."""

    def __init__(
        self,
        state: ZendeskState,
        *,
        method: str,
        path: str,
        params: Mapping[str, str],
        query: QueryParams,
        headers: Headers,
        body: bytes,
        actor: User | None,
    ) -> None:
        self.state = state
        self.method = method
        self.path = path
        self.params = params
        self.query = query
        self.headers = headers
        self.body = body
        self._actor = actor

    @property
    def actor(self) -> User:
        """Who asks; endpoints open to anyone must not need it."""
        if self._actor is None:
            raise AssertionError(f"{self.path} is open to anyone and has no actor")
        return self._actor

    def ident(self, name: str = "id") -> int:
        """A record's id from the path.

        Raises:
            ApiError: 400 if it is not a number.
        """
        if not self.params[name].isdigit():
            raise invalid_attribute(
                f"You passed an invalid value for the {name} attribute. Invalid parameter: {name} must be an integer"
            )
        return int(self.params[name])

    def ids(self, name: str = "ids") -> list[int]:
        """Ids from the query, separated by commas."""
        given = [part.strip() for part in (self.query.get(name) or "").split(",") if part.strip()]
        if not all(part.isdigit() for part in given):
            raise invalid_attribute(f"You passed an invalid value for the {name} attribute. {name} must be integers")
        return [int(part) for part in given]

    def integer(self, name: str) -> int | None:
        """A number from the query; None if it is not there."""
        given = self.query.get(name)
        if given is None or given == "":
            return None
        try:
            return int(float(given))
        except (ValueError, OverflowError):
            raise invalid_attribute(
                f"You passed an invalid value for the {name} attribute. Invalid parameter: {name} must be an integer"
            ) from None

    def includes(self) -> set[str]:
        """The sideloads this very request asks for."""
        return {part.strip() for part in (self.query.get("include") or "").split(",") if part.strip()}

    def json(self) -> Json:
        """The body as an object; an empty one counts as empty.

        Raises:
            ApiError: 400 if it is not a JSON object.
        """
        if not self.body:
            return {}
        try:
            decoded = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise invalid_json() from None
        if not isinstance(decoded, dict):
            raise invalid_json()
        return decoded

    def part(self, name: str) -> Json:
        """The object under a key of the body, such as `ticket`.

        Raises:
            ApiError: 400 if it is missing.
        """
        found = self.json().get(name)
        if not isinstance(found, dict):
            raise missing_parameter(name)
        return found

    def rows(self, name: str) -> list[Json]:
        """The list of objects under a key of the body, such as `tickets`."""
        found = self.json().get(name)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise missing_parameter(name)
        return found

    def link(self, changed: Mapping[str, object], without: Collection[str] = ()) -> str:
        """The address of this request with some query parameters replaced and some left out."""
        gone = {*changed, *without}
        pairs = [(name, value) for name, value in self.query.multi_items() if name not in gone]
        pairs += [(name, str(value)) for name, value in changed.items()]
        return f"{self.state.url(self.path)}.json?{QueryParams(pairs)}"


def missing_parameter(name: str) -> ApiError:
    # Seen in clients' issue threads; the exact title is unverified.
    return ApiError(400, {"error": {"title": "Missing parameter", "message": f"Parameter {name} is required"}})


Handler = Callable[[Call], Reply]


class Route(NamedTuple):
    """An endpoint: its path below `/api/v2` without `.json`; `{name}` is any one part, `{locale?}` may be left out."""

    method: str
    path: str
    handler: Handler
    bucket: str | None = None
    """The rate limit it counts against, besides the account's."""
    admin: bool = False


class Matched(NamedTuple):
    route: Route
    params: dict[str, str]


class Router:
    """Finds an endpoint; of two that fit, the one declared first wins."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            first = route.path.split("/")[1]
            self._routes.setdefault(first, []).append((_pattern(route.path), route))

    def match(self, method: str, path: str) -> Matched | None:
        """The endpoint for a path without prefix and `.json`."""
        first = path.split("/")[1] if path.startswith("/") else ""
        for pattern, route in self._routes.get(first, ()):
            if route.method == method and (found := pattern.fullmatch(path)):
                return Matched(route, {name: value for name, value in found.groupdict().items() if value is not None})
        return None


def _pattern(path: str) -> re.Pattern[str]:
    before, mark, after = path.partition("{locale?}/")
    locale = r"(?:(?P<locale>[a-zA-Z]{2}(?:-[a-zA-Z0-9]+)?)/)?" if mark else ""
    parts = [re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", part) for part in (before, after)]
    return re.compile(locale.join(parts))
