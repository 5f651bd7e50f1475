"""The store and its key: whether they open, fit this program and are whole; makes neither."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Self

from cxbridge.core.clock import Clock
from cxbridge.core.config import Configuration
from cxbridge.core.engine.checkup import machine
from cxbridge.core.engine.checkup.findings import Finding, count, guarded, ok, problem, warning
from cxbridge.core.errors import ConfigError, CxbridgeError, StoreError
from cxbridge.core.store import SealedTokens, Store, audit, checkpoints, condition, keyfile, state

_WEEK = timedelta(days=7)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
# Servers whose clocks are further apart disagree about what is due.
_APART = timedelta(seconds=5)


class Opened:
    """The store as far as it could be opened, and what was found on the way."""

    def __init__(self, configuration: Configuration, clock: Clock) -> None:
        self.found: list[Finding] = []
        self.key: bytes | None = None
        self.store: Store | None = None
        self._configuration = configuration
        self._clock = clock

    def __enter__(self) -> Self:
        self._open_key()
        try:
            self._open_store()
        except ConfigError as error:
            self.found.append(problem("store", str(error), "see the sentence itself", 78))
        except StoreError as error:
            self.found.append(problem("store", str(error), "try again in a minute; is another program busy on it?", 75))
        return self

    def __exit__(self, *_: object) -> None:
        if self.store is not None:
            self.store.close()

    def _open_key(self) -> None:
        path = self._configuration.key_file
        if not os.path.lexists(path):
            self.found.append(
                warning(
                    "key",
                    f"there is no key file {path} yet",
                    "it is made at the first start; keep a copy of it elsewhere",
                )
            )
            return
        try:
            self.key = keyfile.load(path)
        except ConfigError as error:
            self.found.append(problem("key", str(error), "restore the key file, or mend its owner and mode", 78))

    def _open_store(self) -> None:
        url = self._configuration.store_url
        found = condition.look(url)
        if not found.tables:
            told = "there is no store yet" if condition.file_of(url) is not None else "the database has no tables yet"
            self.found.append(warning("store", told, "it is made at the first start: cxbridge run"))
            return
        if condition.file_of(url) is not None and found.revision is not None and not condition.ours(found):
            self.found.append(
                warning("store", "the file's header does not name cxbridge", "look whether it is the right file")
            )
        if found.journal not in ("", "wal"):
            self.found.append(
                warning(
                    "store",
                    f"its journal is {found.journal}, not a write-ahead log",
                    "start the daemon once, which sets it",
                )
            )
        self.store = Store.open(url, clock=self._clock, key=self.key, writing=False)
        self.found.append(ok("store", f"opens, with tables of revision {found.revision}"))


def looked_into(opened: Opened, clock: Clock, connections: list[str], *, deep: bool) -> Iterator[Finding]:
    """Look into an open store: its seals, its pages, the disk under it and the clocks that wrote it."""
    store = opened.store
    if store is None:
        return
    yield from guarded("key", _seals(opened, store, connections))
    yield from guarded("integrity", _pages(store, deep=deep))
    if store.path is not None:
        yield from guarded("disk", _growth(store, clock))
    yield from guarded("clock", _clocks(store, clock))
    if deep:
        yield from guarded("audit", _chain(store))


def _pages(store: Store, *, deep: bool) -> Iterator[Finding]:
    with store.read() as tx:
        wrong = condition.integrity(tx, deep=deep)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        remedy = "stop the daemon and restore the store from a backup"
        yield problem("integrity", f"the store is damaged: {wrong[0]}{more}", remedy, 78)
    elif store.dialect == "sqlite":
        yield ok("integrity", "every page and index is whole" if deep else "every page is whole (indices: --deep)")


def _growth(store: Store, clock: Clock) -> Iterator[Finding]:
    if store.path is None:
        return
    with store.read() as tx:
        size = condition.size(tx)
        gained = condition.changes_since(tx, clock.now() - _WEEK)
        whole = condition.changes_since(tx, _EVER)
    yield from machine.room(store.path, size, size * gained / whole / 7 if whole else 0.0)


def _clocks(store: Store, clock: Clock) -> Iterator[Finding]:
    with store.read() as tx:
        server = condition.server_time(tx)
        seen = max((one.at for one in checkpoints.find(tx)), default=None)
    if server is not None and abs(server - clock.now()) > _APART:
        yield warning(
            "clock",
            f"the database server's clock is {abs((server - clock.now()).total_seconds()):.0f} s away from this machine's",
            "let both take their time from the same servers (NTP)",
        )
    if seen is not None and seen > clock.now() + timedelta(minutes=1):
        yield problem(
            "clock",
            f"this machine's clock says {clock.now():%Y-%m-%d %H:%M} UTC, and the store was written at {seen:%Y-%m-%d %H:%M}",
            "the clock went back; set it (NTP): what is due would wait until then",
            78,
        )


def _seals(opened: Opened, store: Store, connections: list[str]) -> Iterator[Finding]:
    try:
        with store.read() as tx:
            if state.has_instance_key(tx):
                state.instance_key(tx)
        if opened.key is not None:
            for name in connections:
                SealedTokens(store, opened.key).read(name)
    except CxbridgeError as error:
        yield problem("key", str(error), "name the key file that this store was made with, under [store] key_file", 78)
        return
    if opened.key is not None:
        yield ok("key", "opens what the store keeps sealed")


def _chain(store: Store) -> Iterator[Finding]:
    with store.read() as tx:
        found = audit.verify(tx)
    if found.wrong:
        yield problem(
            "audit", f"the chain does not hold: {found.wrong}", "find out who wrote to the store; keep a copy of it", 78
        )
    else:
        yield ok("audit", f"the chain holds over {count(found.entries, 'entry', 'entries')}")
