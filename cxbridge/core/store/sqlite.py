"""What is particular to SQLite: making the file, and how connections are set up."""

import importlib.util
import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, pool
from sqlalchemy.engine import Connection, Engine

from cxbridge.core.errors import ConfigError
from cxbridge.core.store import prepared

# "cxbr": stands in the file's header, so that `file` and this program can tell whose database it is.
APPLICATION_ID = 0x63786272

# The default, said aloud. A commit of a few rows writes some twenty pages, and with pages of four times the size it takes a seventh
# more; packed as they are, bodies and payloads fill pages of either size, and storing many of them takes as long.
_PAGE_SIZE = 4096
# The driver's own BEGIN would not be IMMEDIATE.
BEGIN_WRITING, BEGIN_READING = "BEGIN IMMEDIATE", "BEGIN"
# What counts only in a file that is still empty.
NEW_FILE = (f"page_size = {_PAGE_SIZE}",)
# The log is folded into the file once it has grown to so many bytes: seldom, as pages written twice meanwhile count once.
_LOG_SIZE = 64 * 1024 * 1024


def ensure_file(path: Path) -> None:
    """See that the file is there; an empty one, which only its owner can read, is made.

    It is not opened to see whether it is sound: closing it would undo the locks that SQLite holds on it for this
    process (sqlite.org/howtocorrupt.html, 2.2). The first query tells.

    Raises:
        ConfigError: its directory does not exist, it is a directory itself, or the file cannot be made.
    """
    # Not by `Path`, which raises where this user may not look.
    if os.path.isdir(path):  # noqa: PTH112 - see above
        raise ConfigError(f"the store {path} cannot be opened: look at the path, it is a directory")
    if os.path.exists(path):  # noqa: PTH110 - see above
        return
    if not os.path.isdir(path.parent):  # noqa: PTH112 - see above
        raise ConfigError(f"the store {path} cannot be made: the directory {path.parent} does not exist")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        # Another process was faster.
        return
    except OSError as error:
        raise ConfigError(
            f"the store {path} cannot be made: {error.strerror}; see that this user may write in {path.parent}"
        ) from error


def turn_of(path: Path) -> Path:
    """Name the file whose lock a process holds while it writes."""
    return path.with_name(f"{path.name}-writer")


def engine(path: Path, *, timeout: float, writer: bool) -> Engine:
    """Make the engine of the one writer connection, or that of the readers.

    Two connections that write or check-point at once can damage a file under SQLite before 3.51.3
    (sqlite.org/wal.html). Writers of several processes therefore take turns, see `turn_of`, and readers get no right to
    write: `query_only` would still let them check-point, which the last connection to go does by itself.
    """
    module = driver()

    def connect() -> Any:
        connection = module.connect(
            f"{path.absolute().as_uri()}?mode={'rw' if writer else 'ro'}",
            uri=True,
            timeout=timeout,
            isolation_level=None,  # see BEGIN_WRITING
            check_same_thread=False,  # the pool and the store's lock see to it
        )
        try:
            _set_up(connection, writer=writer)
        except BaseException:
            connection.close()
            raise
        return connection

    made = sa.create_engine(
        "sqlite://",
        module=module,
        creator=connect,
        poolclass=pool.QueuePool,
        pool_size=1 if writer else 8,
        max_overflow=0 if writer else 56,
        pool_timeout=timeout,
        hide_parameters=True,
    )
    begin = BEGIN_WRITING if writer else BEGIN_READING

    @event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        # SQLAlchemy joins in a transaction that was begun past it when it first has a statement to execute.
        driver: Any = connection.connection.dbapi_connection
        if not driver.in_transaction:
            prepared.execute(connection, begin, ())

    return made


def driver() -> Any:
    """Give the SQLite module: `pysqlite3` where somebody installed it for its newer SQLite, else Python's own."""
    if importlib.util.find_spec("pysqlite3"):
        return importlib.import_module("pysqlite3.dbapi2")
    return sqlite3


def _set_up(connection: Any, *, writer: bool) -> None:
    run = connection.execute
    if writer:
        for setting in NEW_FILE:
            run(f"PRAGMA {setting}")
        mode = run("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise ConfigError(
                f"the store's file system cannot hold a write-ahead log (journal mode stays {mode!r}): use a local disk"
            )
        run("PRAGMA synchronous = FULL")  # a write-ahead log with NORMAL may forget the last commits at power loss
        # A file from before has pages of another size.
        page = int(run("PRAGMA page_size").fetchone()[0])
        run(f"PRAGMA wal_autocheckpoint = {_LOG_SIZE // page}")
        run(f"PRAGMA journal_size_limit = {_LOG_SIZE}")
    # In KiB, of each connection. What is looked up again and again is the upper part of the indices, which a million records make a
    # quarter of a megabyte large; the rest comes from the system's cache. With four times as much nothing gets quicker.
    run("PRAGMA cache_size = -1000")
    run("PRAGMA foreign_keys = ON")
    run("PRAGMA temp_store = MEMORY")
    # A disk error under a memory map is a signal that kills the process, not an exception.
    run("PRAGMA mmap_size = 0")
