"""What state a store is in, for those who look after it: it opens nothing for writing, makes nothing and repairs nothing."""

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from cxbridge.core.errors import ConfigError
from cxbridge.core.store import migrate, postgresql, schema, sqlite, state
from cxbridge.core.store.failures import translated
from cxbridge.core.store.tx import Tx

# Before it, two connections that write or check-point at once can damage a file (sqlite.org/wal.html, "the WAL-reset bug").
SOUND_SQLITE = (3, 51, 3)
# File systems over a network: their locks do not hold what a write-ahead log needs.
NETWORKED = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "lustre",
        "beegfs",
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a database is before it is opened by this program. `revision` is None where there are no tables yet."""

    application_id: int | None = None
    revision: str | None = None
    tables: int = 0
    journal: str = ""


def sqlite_version() -> tuple[int, ...]:
    """Give the version of the SQLite that this program would use."""
    return tuple(sqlite.driver().sqlite_version_info)


def look(url: str, timeout: float = 5.0) -> Found:
    """Read what a database says of itself, without the right to write; of one that has no file yet, nothing.

    Raises:
        ConfigError: it is no database, is damaged, or cannot be read. StoreError: it cannot be had now.
    """
    path = file_of(url)
    if path is not None:
        place = f"the store {path}"
        # Not by `Path`, which raises where this user may not look.
        if os.path.isdir(path):  # noqa: PTH112 - see above
            raise ConfigError(f"{place} is a directory: name the file in it")
        try:
            path.stat()
        except FileNotFoundError:
            return Found()
        except OSError as error:
            raise ConfigError(
                f"{place} cannot be opened: {error.strerror}; see that this user may look there"
            ) from error
        engine = sqlite.engine(path, timeout=timeout, writer=False)
    else:
        place = "the database"
        engine = postgresql.engine(sa.make_url(url), timeout=timeout, writer=False)
    try:
        with translated(place, opening=True), engine.connect() as connection:
            names = set(sa.inspect(connection).get_table_names())
            revision = None
            if "alembic_version" in names:
                revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            said = None if revision is None else str(revision)
            if path is None:
                return Found(revision=said, tables=len(names))
            number = connection.exec_driver_sql("PRAGMA application_id").scalar()
            return Found(number, said, len(names), str(connection.exec_driver_sql("PRAGMA journal_mode").scalar()))
    finally:
        engine.dispose()


def file_of(url: str) -> Path | None:
    """Give the file of a SQLite store, None where the store is a server's."""
    parsed = sa.make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def ours(found: Found) -> bool:
    """Tell whether a SQLite file was made by this program."""
    return found.application_id == sqlite.APPLICATION_ID


def integrity(tx: Tx, *, deep: bool) -> list[str]:
    """Check a SQLite file from inside, quickly or as a whole; gives what is wrong, at most ten things.

    The quick check reads every page but compares no index with its table; both end with the keys that point nowhere.
    """
    if tx.dialect != "sqlite":
        return []
    told = tx.connection.exec_driver_sql(f"PRAGMA {'integrity_check' if deep else 'quick_check'}(10)").scalars()
    found = [str(one) for one in told if one != "ok"]
    lost = tx.connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return found + ([f"{len(lost)} rows point at rows that are gone"] if lost else [])


def server_time(tx: Tx) -> datetime | None:
    """Give the time by the database server's clock; None where there is no server."""
    if tx.dialect == "sqlite":
        return None
    found: datetime = tx.connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return found


def size(tx: Tx) -> int:
    """Give how many bytes the database holds."""
    words = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if tx.dialect == "sqlite"
        else "SELECT pg_database_size(current_database())"
    )
    return int(tx.connection.exec_driver_sql(words).scalar_one())


def unfit(tx: Tx) -> str:
    """Say why this program can no longer work on the tables, nothing where it can: another one may have upgraded them meanwhile.

    Newer tables are none of its business where their mark says so, see `migrate`.
    """
    found = str(tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")
    if found == schema.REVISION:
        return ""
    oldest = state.meta_get(tx, migrate.OLDEST)
    newer = found.isdigit() and int(found) > int(schema.REVISION)
    if newer and oldest is not None and oldest.isdigit() and int(oldest) <= int(schema.REVISION):
        return ""
    return f"the tables are of revision {found}, this program's of {schema.REVISION}"


def changes_since(tx: Tx, since: datetime) -> int:
    """Count what the change log gained since a time: how fast a store grows."""
    return tx.connection.scalar(sa.select(sa.func.count()).where(schema.changes.c.at >= since)) or 0


@dataclass(frozen=True, slots=True)
class Held:
    """Until when nothing is sent to a connection; `bucket` is empty or `*` where all of it is meant."""

    connection: str
    bucket: str
    until: datetime


def holds(tx: Tx, now: datetime) -> list[Held]:
    """List what may not be sent before a time that is still to come."""
    found = schema.holds.c
    rows = tx.connection.execute(
        sa.select(found.connection, found.bucket, found.until)
        .where(found.until > now)
        .order_by(found.connection, found.bucket)
    )
    return [Held(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Broken:
    """A connection that is left alone because its vendor failed too often."""

    connection: str
    state: str
    reason: str
    retry_at: datetime | None


def breakers(tx: Tx) -> list[Broken]:
    """List the breakers that are not closed."""
    found = schema.breakers.c
    rows = tx.connection.execute(
        sa.select(found.connection, found.state, found.reason, found.retry_at)
        .where(found.state != "closed")
        .order_by(found.connection)
    )
    return [Broken(*row) for row in rows]


def refusals(tx: Tx, since: datetime) -> list[tuple[str, str, int, datetime]]:
    """List the records that could not be read lately: stream, reason, how many in all, and when the last one came."""
    found = schema.tallies.c
    mark = "refused: "
    rows = tx.connection.execute(
        sa.select(found.recipe, found.what, found.n, found.at)
        .where(found.what.startswith(mark, autoescape=True), found.at >= since)
        .order_by(found.recipe, found.what)
    )
    return [(name, what.removeprefix(mark), n, at) for name, what, n, at in rows]


def free_disk(path: Path) -> int:
    """Give how many bytes this user may still write where a file stands."""
    return shutil.disk_usage(path.parent if not path.is_dir() else path).free


def file_system(path: Path) -> str | None:
    """Name the file system that a path stands on, where this machine tells."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    best, found = "", None
    whole = str(path.resolve())
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].replace("\\040", " ")
        if (whole == point or whole.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, found = point, rest.split()[0]
    return found


def at_work(path: Path) -> int | None:
    """Give the id of the process that performs deliveries from a SQLite store, None where none does; takes no lock itself."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        told = lock.read_text(encoding="utf-8", errors="replace")
        pid = int(told.rpartition("process ")[2].rstrip(")\n"))
        os.kill(pid, 0)
    except PermissionError:
        # It is there, and another user's.
        return pid
    except (OSError, ValueError, OverflowError):
        return None
    return pid if _holds_lock(pid, lock) else None


def _holds_lock(pid: int, lock: Path) -> bool:
    """Tell whether a process still holds the lock; its id may have gone to another one since."""
    try:
        inode = lock.stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    return any(
        f" {pid} " in line and line.split()[5].rpartition(":")[2] == str(inode) for line in lines if "FLOCK" in line
    )
