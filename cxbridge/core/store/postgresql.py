"""What is particular to PostgreSQL: its driver, and how connections are set up."""

import importlib.util
from time import monotonic
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine

from cxbridge.core.errors import ConfigError
from cxbridge.core.store import prepared

# The first half of the advisory lock that makes one writer of many processes; the second half is the schema.
_LOCK = 0x63786272
# One writer at a time across processes, as on SQLite: `seq` then grows in the order of commits, which is what lets a planner
# remember one number; and reading before writing needs no further thought.
_TURN = f"SELECT pg_advisory_xact_lock({_LOCK}, hashtext(current_schema()))"
# Said by us and not by the driver, which would wait for its answer before the turn is asked for.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# A writer that says nothing for so many seconds in the middle of a transaction is taken for frozen.
FROZEN_AFTER = 10.0
# A connection that has been idle for so many seconds is asked whether it is still there before it is used again.
_IDLE = 1.0
# How many connections for reading are kept at hand. To connect costs the server more than all that a write at a vendor asks of it.
READERS = 8
# The mark of a writer that takes no turn, see `Store.aside`.
ASIDE = "cxbridge_aside"


class Lost:
    """When a connection to the server was last found to be lost, by the monotonic clock; the engines of a store share it."""

    def __init__(self) -> None:
        self.at = float("-inf")


def engine(url: URL, *, timeout: float, writer: bool, lost: Lost | None = None) -> Engine:
    """Make the engine of the writers, or that of the readers.

    Raises:
        ConfigError: the driver is not installed.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError("a postgresql:// store needs a driver: install cxbridge[postgres]")
    from psycopg import Error, OperationalError  # noqa: PLC0415 - the driver is an extra

    lost = lost or Lost()
    query = {"fallback_application_name": "cxbridge", "connect_timeout": "10", **url.query}
    made = sa.create_engine(
        url.set(drivername="postgresql+psycopg", query=query),
        pool_size=4 if writer else READERS,
        max_overflow=4 if writer else 64 - READERS,
        # Those that were used last: they know the statements, and the others need not be asked whether they are still there.
        pool_use_lifo=True,
        pool_timeout=timeout,
        hide_parameters=True,
    )

    @event.listens_for(made, "connect")
    def _connect(connection: Any, record: Any) -> None:
        _set_up(connection, timeout=timeout, writer=writer)

    @event.listens_for(made, "checkin")
    def _checkin(connection: Any, record: Any) -> None:
        record.info["idle_since"] = monotonic()

    @event.listens_for(made, "checkout")
    def _checkout(connection: Any, record: Any, proxy: Any) -> None:
        # Not each time, as the pool would by itself: a write at a vendor takes three transactions, and a question before each of
        # them costs as much as what is read inside. Where one was lost the others may be.
        since = record.info.get("idle_since")
        if since is not None and (monotonic() - since > _IDLE or since <= lost.at):
            try:
                made.dialect.do_ping(connection)
            except Error as error:
                lost.at = monotonic()
                raise sa.exc.DisconnectionError from error

    @event.listens_for(made, "handle_error")
    def _failed(context: sa.engine.ExceptionContext) -> None:
        if context.is_disconnect or isinstance(context.original_exception, OperationalError):
            lost.at = monotonic()

    if writer:

        @event.listens_for(made, "begin")
        def _begin(connection: Connection) -> None:
            aside = connection.get_execution_options().get(ASIDE)
            prepared.execute(connection, _BEGIN if aside else f"{_BEGIN}; {_TURN}", None)

    return made


def conninfo(url: URL) -> str:
    """Give the address as the driver itself takes it."""
    query = {"application_name": "cxbridge jobs", "connect_timeout": "10", **url.query}
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)


def _set_up(connection: Any, *, timeout: float, writer: bool) -> None:
    from psycopg import IsolationLevel  # noqa: PLC0415 - the driver is an extra

    connection.autocommit = True
    if writer:
        # A frozen process must not hold the lock for ever, nor for as long as others wait for it: a worker that starts just then
        # would give up. It loses its transaction, and all of what it did in it.
        connection.execute(f"SET idle_in_transaction_session_timeout = {int(FROZEN_AFTER * 1000)}")
        connection.execute(f"SET lock_timeout = {int((FROZEN_AFTER + timeout) * 1000)}")
        connection.execute("SET synchronous_commit = on")
        return
    connection.autocommit = False
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
