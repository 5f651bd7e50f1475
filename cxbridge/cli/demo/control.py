"""Speaks to a sandbox's control API: plays people, moves the clock, reads the journal; knows no store."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from cxbridge.cli.errors import CommandError, UnavailableError, UsageError


class Control:
    """One running sandbox, by the address of its control API."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise UsageError(f"{url!r} is no control address", "it looks like http://127.0.0.1:8100")
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port or 80

    def get(self, path: str) -> Any:
        """Read."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Do something."""
        return self._ask("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Set something."""
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something."""
        return self._ask("PATCH", path, body)

    def effects(self, via: str, since: int = 0) -> list[dict[str, Any]]:
        """Give what happened at the vendors, from their journal: by integrations (`api`) or by people (`ui`)."""
        entries: list[dict[str, Any]] = self.get(f"/journal?via={via}&since={since}")["entries"]
        return [one for one in entries if one["entry"] == "effect"]

    def requests(self) -> list[dict[str, Any]]:
        """Give every request that was made to a vendor, from their journal."""
        entries: list[dict[str, Any]] = self.get("/journal")["entries"]
        return [one for one in entries if one["entry"] == "request"]

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        connection = HTTPConnection(self._host, self._port, timeout=30)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, HTTPException) as error:
            raise UnavailableError(f"no sandbox answers at {self.url}", "start one with: cxbridge sandbox") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise CommandError(
                f"the sandbox refused {method} {path} ({answer.status}): {told.decode(errors='replace')[:300]}"
            )
        return json.loads(told)
