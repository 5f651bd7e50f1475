"""Puts together what takes webhooks in, beside a running daemon: endpoints, intake and port; does none of it itself."""

from collections.abc import Callable
from typing import Self

import structlog

from cxbridge.console.app import Door
from cxbridge.console.endpoints import Endpoints
from cxbridge.console.intake import Intake
from cxbridge.console.listener import Listener
from cxbridge.core.config.settings import host_and_port
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import state

_log = structlog.get_logger("cxbridge")


class Receiver:
    """Takes the webhooks of all connections of a bridge; `nudge` is told of the job that works them off.

    Start it after the daemon and stop it before: what is stored while no daemon runs is taken up by the next one.
    """

    def __init__(self, bridge: Bridge, nudge: Callable[[str], None]) -> None:
        settings = bridge.configuration.settings.webhooks
        with bridge.store.read() as tx:
            self.endpoints = Endpoints(bridge.connections, state.instance_key(tx))
        self._intake = Intake(bridge.store, bridge.clock, lambda: nudge("inbox"))
        door = Door(self.endpoints, self._intake, bridge.store, bridge.clock, settings.patience)
        host, port = host_and_port(settings.listen)
        self._listener = Listener(door.app(), host, port, settings.patience.total_seconds())
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
        self._intake.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
