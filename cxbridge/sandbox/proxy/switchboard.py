"""The proxies of one loop: what listens where, which toxics are in force, which connections stand. Serves no API.

Everything here runs in that loop.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cxbridge.sandbox.proxy.links import Pair, Side
from cxbridge.sandbox.proxy.toxics import Toxic, changed, checked

_UNIX = "unix:"


class RefusedError(Exception):
    """What was asked for cannot be done; the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Proxy:
    """One address that leads to another one. `upstream` is `host:port`, or `unix:/path/of/a/socket`."""

    name: str
    upstream: str
    listen: str
    enabled: bool = True
    toxics: dict[str, Toxic] = field(default_factory=dict)
    server: asyncio.Server | None = None
    pairs: set[Pair] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def shown(self) -> dict[str, Any]:
        """The proxy as Toxiproxy's API shows one."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": list(self.toxics.values()),
        }


class Switchboard:
    """Proxies by name."""

    def __init__(self, seed: int) -> None:
        self.proxies: dict[str, Proxy] = {}
        self._random = Random(seed)

    def proxy(self, name: str) -> Proxy:
        """One proxy.

        Raises:
            RefusedError: there is none of that name.
        """
        found = self.proxies.get(name)
        if found is None:
            raise RefusedError(404, f"proxy not found: {name}")
        return found

    async def add(self, fields: Mapping[str, Any]) -> Proxy:
        """Listen for a new proxy.

        Raises:
            RefusedError: the name is taken or missing, or an address cannot be used.
        """
        name, upstream = str(fields.get("name") or ""), str(fields.get("upstream") or "")
        if not name or not upstream:
            raise RefusedError(400, "a proxy needs a name and an upstream, host:port or unix:/path")
        if name in self.proxies:
            raise RefusedError(409, f"proxy already exists: {name}")
        enabled = bool(fields.get("enabled", True))
        made = Proxy(name, upstream, str(fields.get("listen") or "127.0.0.1:0"), enabled)
        if made.enabled:
            await self._listen(made)
        self.proxies[name] = made
        return made

    async def change(self, name: str, fields: Mapping[str, Any]) -> Proxy:
        """Enable, disable or redirect a proxy; connections that stand are closed if it changes anything.

        Raises:
            RefusedError: there is none of that name, or an address cannot be used.
        """
        proxy = self.proxy(name)
        before = (proxy.enabled, proxy.listen, proxy.upstream)
        proxy.enabled = bool(fields.get("enabled", proxy.enabled))
        proxy.listen = str(fields.get("listen") or proxy.listen)
        proxy.upstream = str(fields.get("upstream") or proxy.upstream)
        if before != (proxy.enabled, proxy.listen, proxy.upstream):
            await self._stop(proxy)
            if proxy.enabled:
                await self._listen(proxy)
        return proxy

    async def remove(self, name: str) -> None:
        """Take a proxy away, with its connections."""
        await self._stop(self.proxy(name))
        del self.proxies[name]

    def add_toxic(self, name: str, fields: Mapping[str, Any]) -> Toxic:
        """Put a toxic in force, also for connections that stand.

        Raises:
            RefusedError: there is no such proxy, or a toxic of that name already. UnknownToxicError: there is no such toxic.
        """
        proxy, toxic = self.proxy(name), checked(fields)
        if toxic.name in proxy.toxics:
            raise RefusedError(409, f"toxic already exists: {toxic.name}")
        proxy.toxics[toxic.name] = toxic
        _look(proxy)
        return toxic

    def toxic(self, name: str, toxic: str) -> Toxic:
        """One toxic of a proxy."""
        found = self.proxy(name).toxics.get(toxic)
        if found is None:
            raise RefusedError(404, f"toxic not found: {toxic}")
        return found

    def change_toxic(self, name: str, toxic: str, fields: Mapping[str, Any]) -> Toxic:
        """Give a toxic other attributes."""
        found = self.toxic(name, toxic)
        changed(found, fields)
        _look(self.proxy(name))
        return found

    def remove_toxic(self, name: str, toxic: str) -> None:
        """Take a toxic out of force."""
        self.toxic(name, toxic)
        del self.proxy(name).toxics[toxic]
        _look(self.proxy(name))

    async def reset(self) -> None:
        """Enable every proxy and take every toxic away."""
        for proxy in self.proxies.values():
            proxy.toxics.clear()
            _look(proxy)
            await self.change(proxy.name, {"enabled": True})

    async def close(self) -> None:
        """Take every proxy away."""
        for name in list(self.proxies):
            await self.remove(name)

    async def _listen(self, proxy: Proxy) -> None:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._connected(proxy, (reader, writer))

        host, _, port = proxy.listen.rpartition(":")
        try:
            proxy.server = await asyncio.start_server(accepted, host or "127.0.0.1", int(port))
        except (OSError, ValueError) as error:
            proxy.enabled = False
            raise RefusedError(500, f"{proxy.name} cannot listen on {proxy.listen}: {error}") from error
        taken = proxy.server.sockets[0].getsockname()
        # A free port stays the proxy's own while it is disabled.
        proxy.listen = f"{taken[0]}:{taken[1]}"

    async def _connected(self, proxy: Proxy, client: Side) -> None:
        task = asyncio.current_task()
        if task is not None:
            proxy.tasks.add(task)
            task.add_done_callback(proxy.tasks.discard)
        try:
            server = await _opened(proxy.upstream)
        except OSError:
            client[1].close()
            return
        pair = Pair(client, server, lambda: list(proxy.toxics.values()), self._random)
        proxy.pairs.add(pair)
        try:
            await pair.run()
        except asyncio.CancelledError:
            # The proxy ends; the server of the loop would log a cancelled callback as a mistake.
            pass
        finally:
            proxy.pairs.discard(pair)

    async def _stop(self, proxy: Proxy) -> None:
        if proxy.server is not None:
            proxy.server.close()
            proxy.server = None
        for pair in list(proxy.pairs):
            pair.end(resets=False)
        # Those that have ended let go of their sockets in the loop's next turns.
        await asyncio.gather(*list(proxy.tasks), return_exceptions=True)


def _look(proxy: Proxy) -> None:
    for pair in proxy.pairs:
        pair.look()


async def _opened(upstream: str) -> Side:
    if upstream.startswith(_UNIX):
        return await asyncio.open_unix_connection(upstream.removeprefix(_UNIX))
    host, _, port = upstream.rpartition(":")
    return await asyncio.open_connection(host, int(port))
