"""One request as it is asked for, and what is told of each try of it; it must not be sent from here."""

from collections.abc import Mapping

import msgspec

from cxbridge.core.http.library import httpx


class RequestDone(msgspec.Struct, frozen=True):
    """One try of one request, for logs and metrics. `status` is None when no complete answer came."""

    connection: str
    method: str
    path: str
    status: int | None
    seconds: float
    attempt: int


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request before it is sent; `reads` says that it cannot change anything."""

    method: str
    path: str
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes | None
    reads: bool

    def __repr__(self) -> str:
        # Headers and content are nothing for a log.
        return f"<Ask {self.operation}>"

    @property
    def operation(self) -> str:
        """The method, and the path without its query."""
        return f"{self.method} {self.path}"


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Give headers by their names in small letters."""
    return {name.lower(): value for name, value in headers.items()}
