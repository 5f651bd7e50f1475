"""Proxies on a thread of their own, asked from any other thread; their control API if it is wanted. Breaks nothing itself."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from cxbridge.sandbox.listening import configured, listening
from cxbridge.sandbox.proxy.api import create_app
from cxbridge.sandbox.proxy.switchboard import RefusedError, Switchboard
from cxbridge.sandbox.proxy.toxics import Toxic

T = TypeVar("T")


class Proxies:
    """Fault proxies that live from `start` to `stop`; also a context manager.

    `control_port` is where their API listens, 0 for a free port; None leaves it out. Equal seeds draw equal jitters.
    """

    def __init__(self, *, control_port: int | None = None, host: str = "127.0.0.1", seed: int = 1) -> None:
        self._control_port = control_port
        self._host = host
        self._board = Switchboard(seed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.control_url = ""

    def start(self) -> Self:
        """Begin; listens where the control API is wanted.

        Raises:
            OSError: its port is taken.
        """
        bound = None if self._control_port is None else listening(self._host, self._control_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="cxbridge-proxies", daemon=True)
        self._thread.start()
        if bound is not None:
            self.control_url = f"http://{self._host}:{bound.getsockname()[1]}"
            self._in_loop(self._serve(bound))
        return self

    def stop(self) -> None:
        """Close every connection and address. Twice is as good as once."""
        if self._loop is None or self._thread is None:
            return
        self._in_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add(self, name: str, upstream: str, *, listen: str = "127.0.0.1:0", enabled: bool = True) -> str:
        """Put a proxy in front of an address, `host:port` or `unix:/path/of/a/socket`; gives its own.

        Raises:
            OSError: its own address cannot be used. RefusedError: the name is taken.
        """
        fields = {"name": name, "upstream": upstream, "listen": listen, "enabled": enabled}
        try:
            return self._in_loop(self._board.add(fields)).listen
        except RefusedError as error:
            if isinstance(error.__cause__, OSError):
                raise OSError(error.__cause__.errno, f"{error}; choose another") from error
            raise

    def remove(self, name: str) -> None:
        """Take a proxy away, with its connections."""
        self._in_loop(self._board.remove(name))

    def names(self) -> list[str]:
        """Which proxies there are."""
        return self._ask(lambda: list(self._board.proxies))

    def address(self, name: str) -> str:
        """Where a proxy listens, as host:port."""
        return self._ask(lambda: self._board.proxy(name).listen)

    def enable(self, name: str, enabled: bool = True) -> None:
        """Listen again, or refuse connections and close those that stand."""
        self._in_loop(self._board.change(name, {"enabled": enabled}))

    def toxic(
        self,
        proxy: str,
        kind: str,
        *,
        stream: str = "downstream",
        toxicity: float = 1.0,
        name: str = "",
        **attributes: Any,
    ) -> Toxic:
        """Put a toxic in force.

        Raises:
            UnknownToxicError: there is no such toxic or attribute. RefusedError: it has one of that name.
        """
        fields = {"type": kind, "stream": stream, "toxicity": toxicity, "name": name, "attributes": attributes}
        return self._ask(lambda: self._board.add_toxic(proxy, fields))

    def heal(self, proxy: str, toxic: str) -> None:
        """Take a toxic out of force."""
        self._ask(lambda: self._board.remove_toxic(proxy, toxic))

    def connections(self, name: str) -> int:
        """How many connections stand."""
        return self._ask(lambda: len(self._board.proxy(name).pairs))

    def reset(self) -> None:
        """Enable every proxy and take every toxic away."""
        self._in_loop(self._board.reset())

    def _ask(self, question: Callable[[], T]) -> T:
        async def asked() -> T:
            return question()

        return self._in_loop(asked())

    def _in_loop(self, doing: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            doing.close()
            raise RuntimeError("the proxies are not running: call start() first")
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    async def _serve(self, bound: Any) -> None:
        state, config = ServerState(), configured(create_app(self._board), H11Protocol)
        self._state = state
        self._server = await asyncio.get_running_loop().create_server(
            lambda: H11Protocol(config, state, {}), sock=bound
        )

    async def _close(self) -> None:
        await self._board.close()
        if self.control_url:
            self._server.close()
            for connection in list(self._state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
            tasks = list(self._state.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
