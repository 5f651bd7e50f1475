"""Carrying a store over to another database, whole or not at all; whoever worked on the old one by mistake is refused there.

1. The source is held: no daemon works on it, and nobody writes to it, until the end.
2. Every table is copied into the empty target in one transaction, read again on both sides and compared, and committed together
   with a mark by which the target is refused as unfinished.
3. The source gets a mark that names the new place; from here on it is refused. Up to here it was not touched.
4. The target's mark is taken away.

Ended before 3, the same call begins anew; ended between 3 and 4, it does what is left. At no moment do both places accept a daemon.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from cxbridge.core.clock import Clock, from_iso, iso
from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import copying, filing, migrate, postgresql, restored, schema, sole, sqlite, working
from cxbridge.core.store.copying import OnRows
from cxbridge.core.store.engine import Store
from cxbridge.core.store.state import meta_set
from cxbridge.core.store.tx import Tx

# By which move a store came to where it is.
CAME = "came by the move"
# Of an address only what tells where it leads; a password may stand in any of the others.
_SHOWN = ("host", "port")


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a move carried over, by table; `finished` is True where an earlier one had done all but its last step."""

    to: str
    rows: dict[str, int]
    finished: bool = False


def address(url: str) -> str:
    """Give a database address for people: without a password, and of a file the whole path."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite:///{Path(parsed.database or '').absolute()}"
    query = {name: value for name, value in parsed.query.items() if name in _SHOWN}
    return URL.create(
        "postgresql", parsed.username, None, parsed.host, parsed.port, parsed.database, query
    ).render_as_string()


def move(source: Store, target_url: str, *, clock: Clock, on_rows: OnRows | None = None) -> Moved:
    """Carry everything over. `source` was opened as found.

    Raises:
        ConfigError: the source is of another revision, moved or unfinished; the target holds something, or is the source.
        StoreError: somebody is at work on either, a database cannot be had, or the two sides differ at the end.
    """
    to = address(target_url)
    if _is_at(source, target_url):
        raise ConfigError(
            f"{source.place} holds a store already, namely the one that is to be moved: name another place"
        )
    name = os.urandom(8).hex()
    with held(source, "db move") as tx:
        earlier = _mark(tx.connection, migrate.MOVED)
        if earlier is not None:
            _finish(source, earlier, target_url, to, clock)
            return Moved(to=to, rows={}, finished=True)
        _see_that_it_can_be_carried(tx.connection, source.place)
        at = clock.now()
        arriving = {"from": source.place, "at": iso(at), "id": name}
        if sa.make_url(target_url).get_backend_name() == "sqlite":
            rows = _into_file(tx, target_url, arriving, clock, on_rows)
        else:
            rows = _into_server(tx, target_url, arriving, clock, on_rows)
        leave(tx, to, at, name)
    _arrive(target_url, clock)
    return Moved(to=to, rows=rows)


def undo(source: Store, target: Store | None, back_to: str, at: datetime) -> restored.Marked:
    """Let a moved store be worked on again, and refuse the place it was moved to, unless that is gone (None).

    What was done at the new place is not in the old one, so that it goes on as one that was put back to that moment: whatever may
    have been done since is looked for before it is done.

    Raises:
        ConfigError: it was not moved, or not there. StoreError: somebody is at work on either.
    """
    with held(source, "db move --undo") as tx:
        mark = _mark(tx.connection, migrate.MOVED)
        if mark is None:
            raise ConfigError(f"{source.place} was not moved: there is nothing to undo")
        if target is not None:
            # First: at no moment may both be worked on.
            with held(target, "db move --undo") as beyond:
                _see_that_it_is_that_one(beyond.connection, mark, target.place)
                meta_set(beyond, migrate.ARRIVING, None)
                leave(beyond, back_to, at, mark["id"])
        marked = restored.mark(tx, moment=_moment(mark), now=at)
        meta_set(tx, migrate.MOVED, None)
    return marked


@contextmanager
def held(store: Store, who: str) -> Iterator[Tx]:
    """Be the only one who works on a store or writes to it, while the block lasts, which is one transaction.

    Raises:
        StoreError: somebody else is at work on it.
    """
    with sole.by_file(working.lock_of(store.path), who) if store.path is not None else nullcontext():
        with store.write() as tx:
            if store.path is None:
                if sa.inspect(tx.connection).has_table("leases"):
                    # Leases take no turn with other writers: nobody gets one until the end.
                    tx.connection.exec_driver_sql("LOCK TABLE leases IN EXCLUSIVE MODE")
                at_work = working.at_work(tx.connection)
                if at_work is not None:
                    raise StoreError(f"{store.place} is in use: {at_work}; end it first, then try again")
                # Longer than any statement of a daemon; the server would take it for a process that hangs.
                tx.connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield tx


def fill(source: Connection, target: Connection, place: str, on_rows: OnRows | None = None) -> dict[str, int]:
    """Copy every table into tables that hold nothing yet, and see that both sides then hold the same; gives the rows by table.

    Raises:
        StoreError: they do not.
    """
    copying.clear(target)
    dropped = copying.without_indices(target)
    rows = {table.name: copying.copy(source, target, table, on_rows) for table in copying.tables()}
    copying.index(target, dropped)
    copying.number_on(target)
    for table in copying.tables():
        here, there = copying.content(source, table), copying.content(target, table)
        if here != there:
            raise StoreError(
                f"{place} does not hold what the source holds: of {here.rows} rows of {table.name} {there.rows} arrived, "
                "or not as they were; nothing was kept of it"
            )
    # Whoever held these held them at the other place.
    target.execute(sa.update(schema.leases).values(until=datetime.fromtimestamp(0, tz=UTC)))
    return rows


def leave(tx: Tx, to: str, at: datetime, name: str) -> None:
    """Mark a store as moved away, also for workers that opened it before: none of them gets a lease any more."""
    leases = schema.leases
    tx.connection.execute(
        sa.update(leases).values(
            worker=working.NOBODY, fence=leases.c.fence + 1, until=datetime(9999, 1, 1, tzinfo=UTC)
        )
    )
    meta_set(tx, migrate.MOVED, msgspec.json.encode({"to": to, "at": iso(at), "id": name}))


def empty_file(path: Path, place: str, clock: Clock) -> None:
    """See that a store's file may be written over: there is none, or nothing was ever done in it.

    Raises:
        ConfigError: it holds something. StoreError: somebody is using it.
    """
    if not path.exists():
        return
    target = Store.as_found(f"sqlite:///{path}", clock=clock)
    try:
        # As a writer, so that the log goes as it is closed, unless somebody else has it open too.
        with target.write() as tx:
            _see_that_it_may_be_filled(tx.connection, place)
    finally:
        target.close()
    if path.with_name(f"{path.name}-wal").exists():
        raise StoreError(f"{place} is in use by another process: end it, then try again")


def make_tables(connection: Connection, place: str) -> None:
    """Make our tables, or bring them up to date, inside the transaction of `connection`; whatever is in them stays.

    Raises:
        ConfigError: the tables there are too new, or not ours.
    """
    found = migrate.revision_of(connection, place)
    if found is None or int(found) < int(schema.REVISION):
        migrate.upgrade(connection)
    elif found != schema.REVISION:
        raise ConfigError(f"{place} has tables of revision {found}: only a program of that revision can fill them")


def sound(connection: Connection, place: str) -> None:
    """See that a filled file is whole, and say in its header whose it is.

    Raises:
        StoreError: rows point at nothing.
    """
    connection.exec_driver_sql(f"PRAGMA application_id = {sqlite.APPLICATION_ID}")
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StoreError(f"{place} is not whole: rows point at nothing; nothing was kept of it")


def _into_file(tx: Tx, url: str, arriving: dict[str, str], clock: Clock, on_rows: OnRows | None) -> dict[str, int]:
    path = Path(sa.make_url(url).database or "")
    place = f"the store {path}"
    if not path.parent.is_dir():
        raise ConfigError(f"{place} cannot be made: the directory {path.parent} does not exist")
    with sole.by_file(working.lock_of(path), "db move"):
        empty_file(path, place, clock)
        with filing.draft_of(path) as draft, filing.drafting(draft) as target:
            make_tables(target, place)
            rows = fill(tx.connection, target, place, on_rows)
            _announce(Tx(target, "sqlite", writing=True, key=None), arriving)
            sound(target, place)
    return rows


def _into_server(tx: Tx, url: str, arriving: dict[str, str], clock: Clock, on_rows: OnRows | None) -> dict[str, int]:
    target = Store.as_found(url, clock=clock)
    try:
        with held(target, "db move") as into:
            _see_that_it_may_be_filled(into.connection, target.place)
            make_tables(into.connection, target.place)
            rows = fill(tx.connection, into.connection, target.place, on_rows)
            _announce(into, arriving)
    finally:
        target.close()
    return rows


def _is_at(store: Store, url: str) -> bool:
    parsed = sa.make_url(url)
    if store.path is not None:
        return parsed.get_backend_name() == "sqlite" and Path(parsed.database or "").resolve() == store.path.resolve()
    return parsed.get_backend_name() != "sqlite" and postgresql.conninfo(parsed) == store.conninfo


def _announce(tx: Tx, arriving: dict[str, str]) -> None:
    meta_set(tx, migrate.ARRIVING, msgspec.json.encode(arriving))
    meta_set(tx, CAME, arriving["id"].encode())


def _finish(source: Store, earlier: dict[str, str], url: str, to: str, clock: Clock) -> None:
    """Do the last step of a move that ended before it."""
    told = f"{source.place} was moved to {earlier['to']} at {earlier['at']}"
    if earlier["to"] != to:
        raise ConfigError(f"{told}: move it on from there, or take it back with `cxbridge db move --undo`")
    target = Store.as_found(url, clock=clock)
    try:
        with target.write() as tx:
            arriving = _mark(tx.connection, migrate.ARRIVING)
            if arriving is None or arriving["id"] != earlier["id"]:
                raise ConfigError(f"{told}, and the move is complete: name the new place in the settings")
            meta_set(tx, migrate.ARRIVING, None)
    finally:
        target.close()


def _arrive(url: str, clock: Clock) -> None:
    target = Store.as_found(url, clock=clock)
    try:
        with target.write() as tx:
            meta_set(tx, migrate.ARRIVING, None)
    finally:
        target.close()


def _see_that_it_can_be_carried(connection: Connection, place: str) -> None:
    found = migrate.revision_of(connection, place)
    if found is None:
        raise ConfigError(f"{place} holds nothing that could be moved")
    if migrate.mark_of(connection, migrate.ARRIVING) is not None:
        raise ConfigError(
            f"{place} is the target of a move that did not come to its end: say that `cxbridge db move` again"
        )
    if int(found) < int(schema.REVISION):
        raise ConfigError(
            f"{place} has tables of revision {found}: bring them up to date first with `cxbridge db upgrade`"
        )
    if found != schema.REVISION:
        raise ConfigError(
            f"{place} has tables of revision {found}: only a program of that revision knows all that is in them"
        )


def _see_that_it_may_be_filled(connection: Connection, place: str) -> None:
    if migrate.revision_of(connection, place) is None or migrate.mark_of(connection, migrate.ARRIVING) is not None:
        # Nothing, or what an earlier attempt left, on which nobody ever worked.
        return
    if not copying.is_empty(connection):
        raise ConfigError(f"{place} holds a store already: name an empty database, or a file that is not there yet")


def _see_that_it_is_that_one(connection: Connection, mark: dict[str, str], place: str) -> None:
    found = migrate.revision_of(connection, place)
    arriving = _mark(connection, migrate.ARRIVING) if found is not None else None
    came = migrate.mark_of(connection, CAME) if found is not None else None
    ids = {arriving["id"]} if arriving is not None else {came.decode()} if came is not None else set()
    if mark["id"] not in ids:
        raise ConfigError(f"{place} is not what the store was moved to, which is {mark['to']}")


def _mark(connection: Connection, name: str) -> dict[str, str] | None:
    kept = migrate.mark_of(connection, name)
    if kept is None:
        return None
    told: dict[str, str] = msgspec.json.decode(kept)
    return told


def _moment(mark: dict[str, str]) -> datetime:
    return from_iso(mark["at"])
