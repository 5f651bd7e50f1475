"""Whether a daemon is at work on a store, without joining in: asked before what a daemon could not bear is done to it."""

import fcntl
import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

# A lock that only daemons hold, see `sole`, by the same two numbers.
_ADVISORY = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 1668833907 AND granted "
    "AND objid = (hashtext(current_schema())::bigint & 4294967295) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# Who holds every lease of a store that was moved away, so that no worker that was opened before takes one.
NOBODY = "moved away"
_LEASES = (
    "SELECT worker FROM leases WHERE until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint "  # noqa: S608
    f"AND worker <> '{NOBODY}' ORDER BY worker LIMIT 1"
)


def at_work(connection: Connection) -> str | None:
    """Say who is at work on the store behind a connection, as `… is at work on it`; None where nobody is."""
    if connection.dialect.name == "sqlite":
        path = _file_of(connection)
        return None if path is None else _by_file(lock_of(path))
    if sa.inspect(connection).has_table("leases"):
        worker = connection.exec_driver_sql(_LEASES).scalar()
        if worker is not None:
            return f"the worker {worker} is at work on it"
    if connection.exec_driver_sql(_ADVISORY).first() is not None:
        return "a cxbridge is at work on it"
    return None


def lock_of(path: Path) -> Path:
    """Name the file that a daemon holds locked while it works on a store in a file."""
    return path.with_name(f"{path.name}.lock")


def _file_of(connection: Connection) -> Path | None:
    row = connection.exec_driver_sql("PRAGMA database_list").first()
    return Path(row[2]) if row is not None and row[2] else None


def _by_file(lock: Path) -> str | None:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # Where no daemon ever was, none is.
        return None
    try:
        return _taken(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _taken(handle: int, how: int) -> str | None:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another cxbridge"
        return f"{holder} is at work on it"
    return None
