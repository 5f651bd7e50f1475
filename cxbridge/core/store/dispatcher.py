"""Hands out owners to the workers of one PostgreSQL store, each to one worker at a time: Procrastinate at work; it knows no job.

A job of Procrastinate's stands for "there is something to do under this owner". Its lock and queueing lock are the owner's name, so
that it waits at most once and runs nowhere twice. What is to be done stands in the agenda, which outlives whatever happens here.

Whoever serves an owner keeps it while it is idle, so that its job does not end: each announcement is also said on a channel that
all workers listen to.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from cxbridge.core import defects
from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.logs import structlog
from cxbridge.core.store.engine import Store

_log = structlog.get_logger("cxbridge")

# A worker that gives no sign of life for this many seconds is taken for dead, and what it had is handed out anew.
DEAD_AFTER = 12.0
_HEARTBEAT = 3.0
# How often dead workers are looked for.
_SWEEP = 2.0
# A lock that is let go notifies nobody: who waits behind one looks this often.
_LOOK = 1.0
# How long to wait before the engine is started again that ended by itself, as when the server was restarted.
_AGAIN = 2.0
# So many seconds nothing is heard before the listener asks whether its connection is still there.
_SILENCE = 30.0
_TASK = "cxbridge.serve"
_CHANNEL = "cxbridge"
# A channel is the whole database's, where there may be several stores.
_SAY = "SELECT pg_notify('cxbridge', current_schema() || ' ' || %(owner)s)"
# Other workers may be making the tables at the same moment.
_TABLES_LOCK = 0x63786274


class Dispatcher:
    """One worker's end of it. `serve(owner)` is called in a thread of its own, at most `slots` at a time.

    Whatever `serve` raises is a defect, and is logged. `on_told(owner)` is called for each announcement of any worker, and must not
    wait for anything; some may be missed.
    """

    def __init__(
        self,
        store: Store,
        *,
        slots: int,
        drain: float,
        serve: Callable[[str], None],
        on_told: Callable[[str], None] = lambda _: None,
    ) -> None:
        if store.conninfo is None:
            raise RuntimeError("only a store on a server can have several workers")
        try:
            import procrastinate  # noqa: PLC0415 - an extra, loaded where there are several workers
        except ImportError as error:
            raise ConfigError("a postgresql:// store needs its job engine: install cxbridge[postgres]") from error
        for name in ("procrastinate", "psycopg.pool"):
            logger = logging.getLogger(name)
            # What of it matters is told in our own words.
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.CRITICAL)
        self._library = procrastinate
        self._store = store
        self._slots = slots
        self._drain = drain
        self._serve = serve
        self._on_told = on_told
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._under_way = 0
        self._up: Future[None] = Future()
        self._announcing = self._app(
            procrastinate.SyncPsycopgConnector(
                conninfo=store.conninfo, min_size=1, max_size=4, configure=_each_by_itself
            )
        )

    def start(self) -> None:
        """Make the engine's tables where they are missing, and begin to take on owners.

        Raises:
            StoreError: the database cannot be had now.
        """
        self._make_tables()
        try:
            self._announcing.open()
        except Exception as error:
            raise StoreError(f"{self._store.place} cannot be reached ({type(error).__name__})") from error
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()
        self._up.result()

    def announce(self, owner: str) -> None:
        """Say that there is something to do under an owner; saying so twice before it begins is saying so once.

        What cannot be said now must be said again by whoever looks at the agenda next.
        """
        try:
            # First, as it writes nothing: whoever serves the owner has no need of the other.
            self._announcing.connector.execute_query(_SAY, owner=owner)
            self._announcing.configure_task(_TASK, lock=owner, queueing_lock=owner).defer(owner=owner)
        except self._library.exceptions.AlreadyEnqueued:
            return
        except Exception as error:  # noqa: BLE001  # lost connections come as several kinds; the agenda holds what matters
            _log.debug("dispatch.failed", owner=owner, error=type(error).__name__)

    def stop(self) -> bool:
        """Take on nothing more and wait for what is under way, `drain` seconds at most; False when some did not end by then."""
        self._stopping.set()
        thread, loop = self._thread, self._loop
        if thread is None:
            return True
        if loop is not None and self._running is not None:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._running.cancel)
        thread.join(self._drain + 5.0)
        self._announcing.close()
        return not thread.is_alive() and self._under_way == 0

    # -- inside --------------------------------------------------------------------------------------------------------

    def _app(self, connector: Any) -> Any:
        app = self._library.App(connector=connector)
        app.task(name=_TASK)(self._begin)
        return app

    def _make_tables(self) -> None:
        with self._store.aside() as tx:
            run = tx.connection.exec_driver_sql
            run(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK}, hashtext(current_schema()))")
            if run("SELECT to_regclass('procrastinate_jobs')").scalar() is None:
                # By the driver's own cursor: the text holds percent signs that are no places for parameters.
                cursor = tx.connection.connection.cursor()
                cursor.execute(self._library.schema.SchemaManager.get_schema())
                cursor.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._keep_going())
        except Exception as error:  # noqa: BLE001  # told to whoever waits for the start, or else in the log
            if not self._up.done():
                self._up.set_exception(StoreError(f"{self._store.place} cannot be reached ({type(error).__name__})"))
            else:
                defects.tell(_log, "dispatch.ended", error)

    async def _keep_going(self) -> None:
        """Run the engine until told to stop; started again where it ends by itself."""
        self._loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            self._running = asyncio.create_task(self._engine())
            try:
                await self._running
            except asyncio.CancelledError:
                return
            except Exception as error:
                if not self._up.done():
                    raise
                _log.warning("dispatch.lost", error=type(error).__name__, told="tried again until the database answers")
            if not self._stopping.is_set():
                await asyncio.sleep(_AGAIN)

    async def _engine(self) -> None:
        library = self._library
        app = self._app(
            library.PsycopgConnector(
                conninfo=self._store.conninfo, min_size=1, max_size=5, configure=_each_by_itself_as_well
            )
        )
        async with app.open_async():
            beside = [asyncio.create_task(self._sweep(app.job_manager)), asyncio.create_task(self._listen())]
            if not self._up.done():
                self._up.set_result(None)
            try:
                await app.run_worker_async(
                    concurrency=self._slots,
                    install_signal_handlers=False,
                    delete_jobs="always",
                    fetch_job_polling_interval=_LOOK,
                    update_heartbeat_interval=_HEARTBEAT,
                    stalled_worker_timeout=DEAD_AFTER,
                    shutdown_graceful_timeout=self._drain,
                )
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    async def _sweep(self, manager: Any) -> None:
        """Hand out anew what dead workers had. As the engine comes, nobody does."""
        while True:
            await asyncio.sleep(_SWEEP)
            try:
                for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER):
                    owner = str(job.task_kwargs.get("owner", ""))
                    await manager.finish_job(job, self._library.jobs.Status.FAILED, delete_job=True)
                    _log.warning("worker.dead", owner=owner, told="a worker gave no sign of life; another takes over")
                    await asyncio.to_thread(self.announce, owner)
            except Exception as error:  # noqa: BLE001  # two may find the same one; and a lost connection is told elsewhere
                _log.debug("dispatch.failed", owner="", error=type(error).__name__)

    async def _listen(self) -> None:
        """Hear what workers announce. What is said while nobody listens, others find in the agenda, only later."""
        from psycopg import AsyncConnection, Error  # noqa: PLC0415 - the driver is an extra

        while True:
            try:
                async with await AsyncConnection.connect(str(self._store.conninfo), autocommit=True) as connection:
                    await self._hear(connection)
            except Error as error:
                _log.debug("dispatch.failed", owner="", error=type(error).__name__)
            await asyncio.sleep(_AGAIN)

    async def _hear(self, connection: Any) -> None:
        row = await (await connection.execute("SELECT current_schema()")).fetchone()
        await connection.execute(f"LISTEN {_CHANNEL}")
        while True:
            async for said in connection.notifies(timeout=_SILENCE):
                schema, _, owner = said.payload.rpartition(" ")
                if schema == row[0]:
                    self._on_told(owner)
            await connection.execute("SELECT 1")

    async def _begin(self, owner: str) -> None:
        """Serve an owner in a thread that does not keep the process from ending."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def work() -> None:
            try:
                self._serve(owner)
            except Exception as error:  # noqa: BLE001  # one owner's defect must not take the worker with it
                defects.tell(_log, "job.failed", error, job=owner)
            finally:
                with suppress(RuntimeError):  # nobody waits any more
                    loop.call_soon_threadsafe(done.set)

        self._under_way += 1
        threading.Thread(target=work, name=f"serve {owner}", daemon=True).start()
        await done.wait()
        self._under_way -= 1


def _each_by_itself(connection: Any) -> None:
    """Have the server commit each statement by itself: who stands still between two must keep no other worker waiting for a row."""
    connection.autocommit = True


async def _each_by_itself_as_well(connection: Any) -> None:
    await connection.set_autocommit(True)
