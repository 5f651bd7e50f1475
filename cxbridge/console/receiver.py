"""Puts together what takes webhooks in, beside a running daemon: endpoints, intake and port; does none of it itself."""

from collections.abc import Callable, Iterable
from typing import Self

from cxbridge.console.app import Door
from cxbridge.console.endpoints import Endpoints
from cxbridge.console.intake import Intake
from cxbridge.console.listener import Listener
from cxbridge.core.config.settings import host_and_port
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.logs import structlog
from cxbridge.core.store import Tx

_log = structlog.get_logger("cxbridge")


class Receiver:
    """Takes the webhooks of all connections of a bridge, and tells `nudge` of the jobs that work them off.

    `remember` is told of them in the commit that stores what came.

    Start it after the daemon and stop it before: what is stored while no daemon runs is taken up by the next one.
    """

    def __init__(
        self,
        bridge: Bridge,
        nudge: Callable[[str], None],
        remember: Callable[[Tx, Iterable[str]], None] = lambda _tx, _jobs: None,
    ) -> None:
        settings = bridge.configuration.settings.webhooks
        self.endpoints = Endpoints(bridge.connections, bridge.instance_key())

        def on_storing(tx: Tx, connections: set[str]) -> None:
            remember(tx, {f"inbox:{connection}" for connection in connections})

        def on_stored(connections: set[str]) -> None:
            for connection in sorted(connections):
                nudge(f"inbox:{connection}")

        self._intake = Intake(bridge.store, bridge.clock, on_stored, on_storing)
        self._door = Door(self.endpoints, self._intake, bridge.store, bridge.clock, settings.patience, bridge.watchdog)
        host, port = host_and_port(settings.listen)
        self._listener = Listener(self._door, host, port, settings.patience.total_seconds())
        self.address = ""

    def start(self) -> Self:
        """Listen.

        Raises:
            ConfigError: the port cannot be had.
        """
        self._intake.start()
        try:
            self.address = self._listener.start()
        except BaseException:
            self._intake.stop()
            raise
        _log.info("webhooks.listening", at=self.address, connections=sorted(self.endpoints.all))
        for endpoint in self.endpoints.all.values():
            if not endpoint.open:
                _log.warning(
                    "webhooks.closed",
                    connection=endpoint.connection,
                    told=f"its deliveries are refused until {endpoint.webhook.secret} is set",
                )
        return self

    def stop(self) -> None:
        """Answer what is under way, then take nothing more."""
        self._listener.stop()
        self._door.stop()
        self._intake.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
