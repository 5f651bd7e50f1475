"""A store in one file that can be carried away, taken while a daemon works, looked through, and put back; the key is never in it.

The file is a store on SQLite, whatever the store is kept in. One that was put back goes on as `restored` says: what may have been
done since is looked for before it is done.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cxbridge.core.clock import Clock, from_iso, iso
from cxbridge.core.errors import ConfigError, CxbridgeError
from cxbridge.core.store import (
    audit,
    copying,
    counting,
    filing,
    migrate,
    moving,
    restored,
    schema,
    sole,
    sqlite,
    verifying,
    working,
)
from cxbridge.core.store.copying import OnRows
from cxbridge.core.store.engine import Store
from cxbridge.core.store.sealing import unseal
from cxbridge.core.store.state import meta_set
from cxbridge.core.store.statements import ignoring, replacing
from cxbridge.core.store.tokens import name_of
from cxbridge.core.store.turns import turn
from cxbridge.core.store.tx import Tx

# So many pages, 8 MiB, are copied before others get their turn at the disk and at this process.
_PAGES = 512

_tokens = schema.tokens.c


class Unsound(CxbridgeError):
    """A backup is not what it should be, and nothing is made from it."""

    exit_code = 65

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        self.problems = problems
        super().__init__("\n".join((message, *(f"  - {one}" for one in problems))))


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup: the moment it shows, the revision of its tables, its size in bytes, how many rows each table has."""

    path: str
    taken: datetime
    revision: str
    size: int
    rows: dict[str, int]


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore came to: what is in doubt by connection, and where the store that was there before is now."""

    backup: Backup
    doubts: dict[str, int]
    aside: str | None


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives a store that is put aside, if it can be read: a vendor takes each refresh token once.

    A person who was asked in the lost time is left alone also where what made us ask is not met again.
    """

    tokens: Sequence[Mapping[str, Any]] = ()
    asks: Sequence[Mapping[str, Any]] = ()


def make(store: Store, path: Path, *, on_rows: OnRows | None = None) -> Backup:
    """Write a copy of the store as it is at this moment; whoever works on the store goes on. `store` was opened as found.

    Raises:
        Unwritable: the file cannot be written. ConfigError: this store is moved, unfinished or of another revision.
    """
    taken = store.clock.now()
    _see_that_it_may_go(path, store.path)
    with filing.draft_of(path) as draft:
        with store.read() as tx:
            revision = _revision(tx, store.place)
            if store.path is not None:
                _copy_pages(tx, draft)
            else:
                with filing.drafting(draft) as target:
                    moving.make_tables(target, str(path))
                    moving.fill(tx.connection, target, str(path), on_rows)
                    moving.sound(target, str(path))
        with filing.drafting(draft) as target:
            rows = _rows(target)
            meta_set(_writing(target), migrate.BACKED_UP, iso(taken).encode())
    return Backup(path=str(path), taken=taken, revision=revision, size=path.stat().st_size, rows=rows)


def verify(path: Path, *, clock: Clock, key: bytes | None) -> Backup:
    """Put a backup back into a scratch file, open it there as a daemon would, and look whether it can be true.

    Raises:
        Unsound: it cannot, and every reason is listed.
    """
    backup, miscounts = _looked_through(path, clock, key)
    if miscounts:
        raise Unsound(
            f"the backup {path} holds other records than were counted. If records were altered by hand, that is why, and "
            "`cxbridge db compact` counts those of the store anew; if not, records may be lost: keep the older backups. "
            "`cxbridge restore` takes it as it is, and counts anew:",
            miscounts,
        )
    return backup


def restore(path: Path, url: str, *, clock: Clock, key: bytes | None, who: str, force: bool = False) -> Restored:
    """Make a backup the store at an address. With `force` a store that is there is put aside under another name, never removed.

    Raises:
        Unsound: the backup is of no use. ConfigError: there is a store already, and no `force`.
        StoreError: somebody is at work there; nothing was altered.
    """
    backup, _ = _looked_through(path, clock, key)
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _into_file(path, Path(parsed.database or ""), backup, clock=clock, key=key, who=who, force=force)
    return _into_server(path, url, backup, clock=clock, key=key, who=who, force=force)


def put_back_otherwise(store: Store, since: datetime, who: str) -> restored.Marked:
    """Say that a store was put back to an earlier moment by other means, such as a snapshot of its disk. It was opened as found.

    Raises:
        StoreError: somebody is at work on it.
    """
    now = store.clock.now()
    with moving.held(store, "restore") as tx:
        marked = restored.mark(tx, moment=since, now=now)
        doubts = sum(marked.doubts.values())
        audit.decided(tx, "store.restored", who=who, subject="store", now=now, taken=iso(since), doubts=doubts)
    return marked


def _looked_through(path: Path, clock: Clock, key: bytes | None) -> tuple[Backup, tuple[str, ...]]:
    """Look whether a backup can be true; gives besides of what other records are there than were counted, which costs it no use.

    Raises:
        Unsound: it cannot, and every reason is listed.
    """
    with _scratch(path, clock, key) as (store, backup):
        with store.read() as tx:
            found = tuple(verifying.problems(tx))
            # What is damaged may not be counted at all.
            miscounts = () if found else tuple(verifying.miscounts(tx))
    if found:
        raise Unsound(f"the backup {path} is of no use:", found)
    return backup, miscounts


def _into_file(
    path: Path, place: Path, backup: Backup, *, clock: Clock, key: bytes | None, who: str, force: bool
) -> Restored:
    named = f"the store {place}"
    if not place.parent.is_dir():
        raise ConfigError(f"{named} cannot be made: the directory {place.parent} does not exist")
    aside, kept = None, _Kept()
    with sole.by_file(working.lock_of(place), "restore"):
        if not _may_be_written_over(place, named, clock):
            if not force:
                raise _taken_already(named)
            kept = _kept_of(f"sqlite:///{place}", backup.taken, clock, key)
        with turn(sqlite.turn_of(place), 5.0, named), filing.draft_of(place) as draft:
            shutil.copyfile(path, draft)
            with filing.drafting(draft) as target:
                moving.make_tables(target, named)
                marked = _begin_anew(_writing(target, key), backup, kept, who, clock.now())
                moving.sound(target, named)
            if place.exists():
                aside = filing.set_aside(place, _aside_name(clock))
    return Restored(backup=backup, doubts=marked.doubts, aside=str(aside) if aside else None)


def _into_server(
    path: Path, url: str, backup: Backup, *, clock: Clock, key: bytes | None, who: str, force: bool
) -> Restored:
    target = Store.as_found(url, clock=clock, key=key)
    aside = None
    try:
        with _scratch(path, clock, key) as (source, _), source.read() as tx, moving.held(target, "restore") as into:
            kept = _Kept()
            if not _nothing_there(into.connection, target.place):
                if not force:
                    raise _taken_already(target.place)
                kept = _kept_in(into, backup.taken, key)
                aside = _set_tables_aside(into.connection, _aside_name(clock).replace("-", "_"))
            moving.make_tables(into.connection, target.place)
            moving.fill(tx.connection, into.connection, target.place)
            marked = _begin_anew(into, backup, kept, who, clock.now())
    finally:
        target.close()
    return Restored(backup=backup, doubts=marked.doubts, aside=aside)


def _begin_anew(tx: Tx, backup: Backup, kept: _Kept, who: str, now: datetime) -> restored.Marked:
    """Mark a store that was put back, and give it what is kept of the one before."""
    meta_set(tx, migrate.BACKED_UP, None)
    counting.recount(tx.connection)
    for row in kept.tokens:
        at = tx.connection.scalar(sa.select(_tokens.at).where(_tokens.connection == row["connection"]))
        if at is None or at < row["at"]:
            tx.connection.execute(replacing(tx.dialect, schema.tokens, "connection"), row)
    if kept.asks:
        tx.connection.execute(ignoring(tx.dialect, schema.asks, "run", "step", "person"), list(kept.asks))
    marked = restored.mark(tx, moment=backup.taken, now=now)
    doubts = sum(marked.doubts.values())
    audit.decided(tx, "store.restored", who=who, subject="store", now=now, taken=iso(backup.taken), doubts=doubts)
    return marked


def _see_that_it_may_go(path: Path, store: Path | None) -> None:
    """See that only an older backup would be replaced."""
    if not path.exists():
        return
    if store is None or path.resolve() != store.resolve():
        with suppress(Unsound):
            _label(path.absolute(), path)
            return
    raise filing.Unwritable(f"{path} is there already, and is no backup: name another file")


def _copy_pages(tx: Tx, draft: Path) -> None:
    """Copy a file as one snapshot shows it. The writer beside it goes on: its log grows meanwhile, and that is all."""
    module = sqlite.driver()
    target = module.connect(draft, isolation_level=None)
    try:
        for setting in ("journal_mode = OFF", "synchronous = OFF"):
            target.execute(f"PRAGMA {setting}")
        # The snapshot was taken by the query for the revision, so that no step has to begin anew because something was written.
        source: Any = tx.connection.connection.driver_connection
        source.backup(target, pages=_PAGES)
        # Of one piece: what stood in the file's header was that it has a log.
        target.execute("PRAGMA journal_mode = DELETE")
    finally:
        target.close()


def _revision(tx: Tx, place: str) -> str:
    found = migrate.revision_of(tx.connection, place)
    if found is None:
        raise ConfigError(f"{place} holds nothing yet that could be kept")
    for name in (migrate.MOVED, migrate.ARRIVING):
        if migrate.mark_of(tx.connection, name) is not None:
            raise ConfigError(f"{place} was moved, or is the target of a move that did not end: nobody works on it")
    if tx.dialect != "sqlite" and found != schema.REVISION:
        raise ConfigError(f"{place} has tables of revision {found}: only a program of that revision knows all of them")
    return found


@contextmanager
def _scratch(path: Path, clock: Clock, key: bytes | None) -> Iterator[tuple[Store, Backup]]:
    """Open a copy of a backup that may be altered; it is gone afterwards."""
    if not path.is_file():
        raise ConfigError(f"there is no backup {path}: look at the path")
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as folder:
        copy = Path(folder) / "cxbridge.db"
        try:
            shutil.copyfile(path, copy)
        except OSError as error:
            raise filing.Unwritable(f"the backup {path} cannot be read into {folder}: {error.strerror}") from error
        taken, revision = _label(copy, path)
        with filing.drafting(copy) as unlabelled:
            # To be opened as a daemon would; the backup itself is refused as what it is.
            meta_set(_writing(unlabelled), migrate.BACKED_UP, None)
        try:
            store = Store.open(f"sqlite:///{copy}", clock=clock, key=key)
        except CxbridgeError as error:
            raise Unsound(f"the backup {path} is of no use:", (str(error).replace(str(copy), str(path)),)) from error
        try:
            with store.read() as tx:
                rows = _rows(tx.connection)
            yield store, Backup(path=str(path), taken=taken, revision=revision, size=path.stat().st_size, rows=rows)
        finally:
            store.close()


def _label(copy: Path, path: Path) -> tuple[datetime, str]:
    """Read when a backup was taken, and its revision."""
    module = sqlite.driver()
    connection = module.connect(f"{copy.as_uri()}?mode=ro", uri=True)
    try:
        kept = connection.execute("SELECT value FROM meta WHERE name = ?", (migrate.BACKED_UP,)).fetchone()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except module.DatabaseError as error:
        raise Unsound(f"{path} is no backup of cxbridge, or is damaged: {error}") from error
    finally:
        connection.close()
    if kept is None or revision is None:
        raise Unsound(f"{path} is no backup: `cxbridge backup` makes one, a copy of the store's file may be half of it")
    return from_iso(kept[0].decode()), str(revision[0])


def _may_be_written_over(place: Path, named: str, clock: Clock) -> bool:
    try:
        moving.empty_file(place, named, clock)
    except CxbridgeError:
        # It holds something, or cannot be read: that is for a person to say.
        return False
    return True


def _nothing_there(connection: Connection, place: str) -> bool:
    found = migrate.revision_of(connection, place)
    return found is None or (migrate.mark_of(connection, migrate.MOVED) is None and copying.is_empty(connection))


def _taken_already(place: str) -> ConfigError:
    return ConfigError(
        f"{place} holds a store already: with --force it is put aside under another name, and the backup takes its place"
    )


def _kept_of(url: str, since: datetime, clock: Clock, key: bytes | None) -> _Kept:
    """Read what is kept of a store that is about to be put aside, if it can be read; its log is folded into the file then."""
    with suppress(CxbridgeError, sa.exc.SQLAlchemyError):
        old = Store.as_found(url, clock=clock, key=key)
        try:
            with old.write() as tx:
                return _kept_in(tx, since, key)
        finally:
            old.close()
    return _Kept()


def _kept_in(tx: Tx, since: datetime, key: bytes | None) -> _Kept:
    tokens = []
    for row in tx.connection.execute(sa.select(schema.tokens)).mappings():
        with suppress(ConfigError):
            unseal(key or b"", name_of(row["connection"]), row["sealed"])
            tokens.append(dict(row))
    told = [column for column in schema.asks.c if column.name != "id"]
    asks = tx.connection.execute(
        sa.select(*told).where(schema.asks.c.at >= since).order_by(schema.asks.c.id)
    ).mappings()
    return _Kept(tokens=tokens, asks=[dict(row) for row in asks])


def _set_tables_aside(connection: Connection, name: str) -> str:
    """Put our tables into a schema of their own, in which nobody looks for them."""
    there = set(sa.inspect(connection).get_table_names())
    connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')
    for table in (*(one.name for one in copying.tables()), "alembic_version"):
        if table in there:
            connection.exec_driver_sql(f'ALTER TABLE "{table}" SET SCHEMA "{name}"')
    return f"the schema {name}"


def _aside_name(clock: Clock) -> str:
    return f"before-restore-{clock.now():%Y%m%dT%H%M%S}"


def _rows(connection: Connection) -> dict[str, int]:
    there = set(sa.inspect(connection).get_table_names())
    return {
        table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in copying.tables()
        if table.name in there
    }


def _writing(connection: Connection, key: bytes | None = None) -> Tx:
    return Tx(connection, "sqlite", writing=True, key=key)
