"""Upgrade and downgrade by one version with work in flight: two builds of the program take turns at one store, as real processes.

The newer build is a copy of this one with one more revision that expands: a table, a column with a default that it writes to. Which
of them did what is seen by that column; what came of it all is judged by the sandbox's journal.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from cxbridge.core.clock import SystemClock
from cxbridge.core.store import Store, migrate, outbox, schema
from cxbridge.sandbox.server import Sandbox
from tests.integration.scene import write_folder
from tests.integration.test_crashes import prepare, ticket

pytestmark = pytest.mark.process

CHILD = Path(__file__).with_name("crash_child.py")
ROOT = Path(__file__).resolve().parents[2]
NEWER = f"{int(schema.REVISION) + 1:04}"
_REVISION = f'''"""One more table, and a lane for each delivery."""

import sqlalchemy as sa
from alembic import op

revision = "{NEWER}"
down_revision = "{schema.REVISION}"

tells = "a lane for each delivery"
expands = True
oldest_program = None
touches = ()


def upgrade() -> None:
    op.create_table("lanes", sa.Column("name", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("name", name="pk_lanes"))
    op.add_column("deliveries", sa.Column("lane", sa.Integer(), nullable=False, server_default="1"))
'''
# How the next build differs: file, what stands there, what stands there instead.
_CHANGES = [
    ("core/store/schema.py", f'REVISION = "{schema.REVISION}"', f'REVISION = "{NEWER}"'),
    (
        "core/store/schema.py",
        '    sa.Index(None, "run", "seq"),\n',
        '    sa.Column("lane", sa.Integer, nullable=False, server_default="1"),\n    sa.Index(None, "run", "seq"),\n',
    ),
    ("core/store/outbox.py", 'columns=("seq", ', 'columns=("seq", "lane", '),
    ("core/store/outbox.py", '"seq": seq}', '"seq": seq, "lane": 2}'),
]


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next build, in a folder of its own."""
    place = tmp_path_factory.mktemp("newer")
    shutil.copytree(ROOT / "cxbridge", place / "cxbridge", ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in _CHANGES:
        file = place / "cxbridge" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, (name, before)
        file.write_text(text.replace(before, after), encoding="utf-8")
    (place / "cxbridge/core/store/migrations/versions" / f"{NEWER}_lanes.py").write_text(_REVISION)
    told = run(
        place, [sys.executable, "-c", "from cxbridge.core.store import schema; print(schema.REVISION, schema.__file__)"]
    )
    assert told.stdout.split() == [NEWER, str(place / "cxbridge/core/store/schema.py")], told.stderr
    return place


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(zendesk_options={"limits": None}, jira_options={"search_lag": 1}) as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cxbridge.db"
    return str(request.getfixturevalue("postgresql").empty())


def run(build: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run something with a build of the program."""
    return subprocess.run(
        command,
        cwd=build,
        env={**os.environ, "PYTHONPATH": str(build)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def daemon(build: Path, folder: Path, boundary: str = "-", number: int = 0) -> subprocess.CompletedProcess[str]:
    return run(build, [sys.executable, str(CHILD), str(folder), boundary, str(number)])


def at(folder: Path, url: str, sandbox: Sandbox, number: int) -> None:
    """Six tickets, of which two are to be escalated, for a store at an address."""
    prepare(sandbox, folder, number)
    write_folder(folder, sandbox.zendesk_url, sandbox.jira_url, url)
    config = (folder / "cxbridge.toml").read_text().replace("settle = 6", "settle = 2")
    (folder / "cxbridge.toml").write_text(config)


def states(url: str) -> dict[str, int]:
    """How many deliveries there are by state."""
    store = Store.as_found(url, clock=SystemClock())
    found: dict[str, int] = {}
    with store.read() as tx:
        for one in outbox.find(tx, limit=100_000):
            found[one.state] = found.get(one.state, 0) + 1
    store.close()
    return found


def read(url: str, words: str) -> list[Any]:
    store = Store.as_found(url, clock=SystemClock())
    with store.read() as tx:
        rows = [tuple(row) for row in tx.connection.exec_driver_sql(words)]
    store.close()
    return rows


def everything_is_there_once(sandbox: Sandbox, escalated: int) -> None:
    effects = sandbox.world.journal.effects(via="api")
    kinds = [one.kind for one in effects]
    assert kinds.count("issue.created") == escalated
    assert kinds.count("remotelink.created") == escalated
    assert len([one for one in effects if one.kind == "comment.added" and one.vendor == "zendesk"]) == escalated
    assert httpx.get(f"{sandbox.control_url}/summary").json()["duplicates"] == []


def another_ticket(sandbox: Sandbox, number: int) -> None:
    line = {**ticket(number, ["needs-engineering"]), "updated_age": "1m"}
    assert httpx.post(f"{sandbox.control_url}/load", content=msgspec.json.encode(line)).is_success


def test_forth_and_back_with_work_in_flight(sandbox: Sandbox, tmp_path: Path, url: str, newer: Path) -> None:
    at(tmp_path, url, sandbox, 7001)
    # Ours begins, and is killed while a vendor is being called.
    killed = daemon(ROOT, tmp_path, "push.sent", 2)
    assert killed.returncode == -9, killed.stderr
    assert states(url).get("sent") == 1
    assert read(url, "SELECT version_num FROM alembic_version") == [(schema.REVISION,)]

    # The newer one upgrades, goes on, and is killed with new work of its own in flight.
    another_ticket(sandbox, 7011)
    killed = daemon(newer, tmp_path, "push.answered", 3)
    assert killed.returncode == -9, killed.stderr
    assert read(url, "SELECT version_num FROM alembic_version") == [(NEWER,)]

    # Ours goes on with what the newer one left, on tables that it does not know all of.
    another_ticket(sandbox, 7012)
    ended = daemon(ROOT, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert read(url, "SELECT version_num FROM alembic_version") == [(NEWER,)]
    everything_is_there_once(sandbox, 3)
    assert set(states(url)) <= {"confirmed", "cancelled"}
    # Both had their share.
    assert {lane for (lane,) in read(url, "SELECT DISTINCT lane FROM deliveries")} == {1, 2}

    # And the newer one finds everything done.
    ended = daemon(newer, tmp_path)
    assert ended.returncode == 0, ended.stderr
    everything_is_there_once(sandbox, 3)


def test_below_the_mark_the_daemon_ends_with_78(sandbox: Sandbox, tmp_path: Path, newer: Path) -> None:
    url = f"sqlite:///{tmp_path}/cxbridge.db"
    at(tmp_path, url, sandbox, 7001)
    assert daemon(newer, tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "cxbridge.db") as store:
        store.execute("UPDATE meta SET value = ? WHERE name = ?", (NEWER.encode(), migrate.OLDEST))
    store.close()
    refused = run(ROOT, [sys.executable, "-m", "cxbridge.cli", "run", "--config", str(tmp_path / "cxbridge.toml")])
    assert refused.returncode == 78, refused.stderr
    assert "install the newer cxbridge" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_store_of_the_last_release_comes_up_with_its_work_in_flight(sandbox: Sandbox, tmp_path: Path) -> None:
    """Tables made at 0002, and in them runs and deliveries as a killed daemon left them."""
    at(tmp_path, f"sqlite:///{tmp_path}/now.db", sandbox, 7001)
    killed = daemon(ROOT, tmp_path, "push.answered", 2)
    assert killed.returncode == -9, killed.stderr
    old = f"sqlite:///{tmp_path}/cxbridge.db"
    engine = sa.create_engine(old)
    with engine.connect() as connection, connection.begin():
        migrate.upgrade(connection, "0002")
        tables = [one for one in sa.inspect(connection).get_table_names() if one != "alembic_version"]
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute("ATTACH ? AS now", (str(tmp_path / "now.db"),))
        for table in tables:
            # Later revisions have added columns.
            columns = ", ".join(f'"{row[1]}"' for row in raw.execute(f'PRAGMA main.table_info("{table}")'))
            raw.execute(f'DELETE FROM main."{table}"')
            raw.execute(f'INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM now."{table}"')
        # No program of that revision knew a mark.
        raw.execute("DELETE FROM main.meta WHERE name IN (?, 'the head of the audit chain')", (migrate.OLDEST,))
        raw.commit()
    engine.dispose()
    write_folder(tmp_path, sandbox.zendesk_url, sandbox.jira_url, old)
    config = (tmp_path / "cxbridge.toml").read_text().replace("settle = 6", "settle = 2")
    (tmp_path / "cxbridge.toml").write_text(config)
    assert states(old)["sent"] == 1

    ended = daemon(ROOT, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert read(old, "SELECT version_num FROM alembic_version") == [(schema.REVISION,)]
    everything_is_there_once(sandbox, 1)
    assert set(states(old)) <= {"confirmed", "cancelled"}
