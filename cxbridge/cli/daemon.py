"""`run`: the daemon in the foreground; turns signals into an orderly end or a reload, and does no work itself."""

import signal
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database
from cxbridge.cli.signals import Signals
from cxbridge.core.errors import CxbridgeError

if TYPE_CHECKING:
    from cxbridge.core.config import Configuration
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.daemon import Daemon, Watcher

_LEVELS = ("debug", "info", "warning", "error")


def run(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    level: Annotated[str, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Pull, plan and push until told to stop; take webhooks in, where the settings say so.

    SIGTERM and SIGINT end it in order: nothing new begins, what is under way may finish. A second one ends it at once;
    whatever was being sent then is looked up at the next start. SIGHUP reads the settings again. Recipe files need no
    signal: a change is noticed within seconds.
    """
    from cxbridge.cli import logs

    if level not in _LEVELS:
        raise UsageError(f"there is no log level {level!r}", f"the levels are {', '.join(_LEVELS)}")
    logs.configure(level=level)
    Service(config, database).serve()


class Service:
    """One daemon after another under the same process: each reload ends one and begins the next."""

    def __init__(self, config: Path, database: str | None) -> None:
        self._config = config
        self._database = database
        self._signals = Signals()
        self._ending = False
        self._reloading = False

    def serve(self) -> None:
        """Work until a signal ends it.

        Raises:
            ConfigError: the settings cannot be used at the start. A reload that fails leaves all as it was.
        """
        self._signals.on(signal.SIGTERM, signal.SIGINT, call=self._end)
        self._signals.on(signal.SIGHUP, call=self._reload)
        configuration = opening.configuration(self._config, self._database)
        while not self._ending:
            configuration = self._serve_once(configuration)

    def _serve_once(self, configuration: "Configuration") -> "Configuration":
        """Run one daemon; gives the settings for the next one."""
        from cxbridge.core.engine.bridge import Bridge
        from cxbridge.core.engine.daemon import Daemon
        from cxbridge.core.lean import settle_in
        from cxbridge.core.logs import structlog

        log = structlog.get_logger("cxbridge")
        with Bridge(configuration) as bridge, _alone(bridge):
            daemon = Daemon(bridge, watcher(log))
            settle_in()
            daemon.start()
            try:
                # Closed before the daemon ends: what is stored after that would wait for the next one.
                with _receiver(bridge, daemon):
                    log.info(
                        "run.started",
                        connections=sorted(bridge.connections),
                        recipes=[one.id for one in bridge.library.recipes],
                        **({"worker": bridge.worker} if bridge.worker else {}),
                    )
                    while True:
                        # Also where the signal came before this was reached.
                        while not (self._ending or self._reloading):
                            self._signals.wait()
                        if self._ending:
                            break
                        fresh = self._fresh(log)
                        if fresh is not None:
                            configuration = fresh
                            break
                    log.info("run.ending", told="nothing new begins; what is under way may finish")
            finally:
                if not daemon.end():
                    log.warning("run.cut", told="something did not finish in time; it is looked up at the next start")
        log.info("run.ended")
        return configuration

    def _fresh(self, log: Any) -> "Configuration | None":
        self._reloading = False
        try:
            return opening.configuration(self._config, self._database)
        except CxbridgeError as error:
            # In words, as everything that a person made: no traceback.
            log.warning("reload.refused", error=str(error), told="the settings stay as they were")
            return None

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._ending:
            raise KeyboardInterrupt
        self._ending = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._reloading = True


def _alone(bridge: "Bridge") -> AbstractContextManager[object]:
    """Be the only daemon on SQLite; on PostgreSQL any number share the work."""
    return nullcontext() if bridge.worker else bridge.store.alone("run")


def _receiver(bridge: "Bridge", daemon: "Daemon") -> AbstractContextManager[object]:
    """Give what takes webhooks in, where the settings name a port for it."""
    if not bridge.configuration.settings.webhooks.listen:
        return nullcontext()
    # The web server is loaded only where one is wanted.
    from cxbridge.console.receiver import Receiver

    return Receiver(bridge, daemon.remembered, daemon.remember)


def watcher(log: Any) -> "Watcher":
    """Turn what the daemon does into log lines; what changed nothing is worth none above debug."""
    from cxbridge.core.engine.daemon import Watcher

    def pulled(one: Any) -> None:
        told = log.info if one.changed else log.debug
        told("pulled", connection=one.connection, stream=one.stream, changed=one.changed, seen=one.seen)

    def planned(one: Any) -> None:
        told = log.info if one.started or one.held else log.debug
        told(
            "planned",
            changes=one.changes,
            started=one.started,
            held=one.held,
            echoes=one.echoes,
            deliveries=one.deliveries,
        )

    def pushed(connection: str, one: Any) -> None:
        told = log.info if one.settled or one.unknown or one.retried else log.debug
        told(
            "pushed",
            connection=connection,
            confirmed=one.confirmed,
            put_off=one.retried,
            in_doubt=one.unknown,
            dead=one.dead,
        )

    return Watcher(pulled=pulled, planned=planned, pushed=pushed)
