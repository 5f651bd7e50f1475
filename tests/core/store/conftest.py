"""Values as the engine would store them, with everything filled in that a test does not care about."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from cxbridge.core.clock import ManualClock
from cxbridge.core.ledger import Delivery, Incoming, Ref, Run
from cxbridge.core.store import Store, Tx, prepared, records, statements

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def ready_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store in a file of its own, to be copied: making the tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("ready") / "cxbridge.db"
    Store.open(f"sqlite:///{path}", clock=ManualClock(NOON)).close()
    return path


@pytest.fixture
def store_url(store_url: str, ready_file: Path, tmp_path: Path) -> str:
    """The address of an empty store whose tables are there already."""
    if store_url.startswith("sqlite"):
        shutil.copy(ready_file, tmp_path / "cxbridge.db")
    return store_url


@pytest.fixture
def sqlite_store(ready_file: Path, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    """An empty store on SQLite, for tests that are not about databases."""
    shutil.copy(ready_file, tmp_path / "cxbridge.db")
    opened = Store.open(f"sqlite:///{tmp_path}/cxbridge.db", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def heard() -> Callable[[Tx], AbstractContextManager[list[tuple[str, Any]]]]:
    """Hear the statements of a transaction with their values, those that SQLAlchemy executes and those that were prepared."""

    @contextmanager
    def hearing(tx: Tx) -> Iterator[list[tuple[str, Any]]]:
        asked: list[tuple[str, Any]] = []

        def hearing_in(way: Callable[..., Any]) -> Callable[..., Any]:
            def executed(connection: sa.Connection, sql: str, values: Any) -> Any:
                asked.append((sql, tuple(values) if isinstance(values, list) else values))
                return way(connection, sql, values)

            return executed

        def told(_connection: object, _cursor: object, sql: str, values: Any, *_: object) -> None:
            asked.append((sql, values))

        sa.event.listen(tx.connection, "before_cursor_execute", told)
        try:
            with ExitStack() as patches:
                for place in (prepared, records, statements):
                    for way in {"execute", "execute_many", "fetch"} & vars(place).keys():
                        patches.enter_context(mock.patch.object(place, way, hearing_in(getattr(place, way))))
                yield asked
        finally:
            sa.event.remove(tx.connection, "before_cursor_execute", told)

    return hearing


@pytest.fixture
def item() -> Callable[..., Incoming]:
    """Make an incoming ticket; its body and digest follow from `text`, its ordinal is its version."""

    def make(key: str, text: str = "text", ordinal: int = 1, **more: Any) -> Incoming:
        body = more.pop("body", f"{key}:{text}:{ordinal}".encode())
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return Incoming(
            **{
                "stream": "tickets",
                "key": key,
                "kind": "ticket",
                "body": body,
                "digest": digest,
                "ordinal": ordinal,
                **more,
            }
        )

    return make


@pytest.fixture
def run() -> Callable[..., Run]:
    """Make a run; `number` gives it its id, and so its place in time."""

    def make(number: int = 1, **more: Any) -> Run:
        return Run(
            **{
                "id": f"run_{number:05}",
                "recipe": "hand-over",
                "version": "v1",
                "part": "steps",
                "key": "desk/tickets/1",
                "once": f"once-{number}",
                "subject": Ref("desk", "tickets", "1"),
                "started_at": NOON + timedelta(seconds=number),
                **more,
            }
        )

    return make


@pytest.fixture
def delivery() -> Callable[..., Delivery]:
    """Make a delivery; `number` gives it its id."""

    def make(number: int = 1, **more: Any) -> Delivery:
        return Delivery(
            **{
                "id": f"dlv_{number:05}",
                "run": "run_00001",
                "recipe": "hand-over",
                "step": "issue",
                "connection": "tracker",
                "action": "issue.ensure",
                "marker": f"cxb:{number:016x}",
                "order_key": f"key-{number}",
                "not_before": NOON,
                "created_at": NOON,
                **more,
            }
        )

    return make
