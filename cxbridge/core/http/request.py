"""One request as it is asked for, and what is told of each try of it; it must not be sent from here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxbridge.core.http.library import httpx


@dataclass(frozen=True, slots=True)
class RequestDone:
    """One try of one request, for logs and metrics. `status` is None when no complete answer came."""

    connection: str
    method: str
    path: str
    status: int | None
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A request before it is sent; `reads` says that it cannot change anything."""

    method: str
    path: str
    url: httpx.URL
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)
    reads: bool

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Give headers by their names in small letters."""
    return {name.lower(): value for name, value in headers.items()}
