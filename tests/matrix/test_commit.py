"""F19: PostgreSQL goes away in the moment of a commit, and when it comes back what was committed is read, not guessed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.config import load
from cxbridge.core.errors import StoreError
from cxbridge.sandbox.proxy import Proxies
from tests.matrix.benches import BENCHES
from tests.matrix.play import Play
from tests.reliability.hooks import Hooks
from tests.reliability.stage import Stage

pytestmark = pytest.mark.postgres


def through(proxies: Proxies, url: str) -> str:
    """Put a proxy before a database; gives the address that leads over it."""
    import psycopg

    told = psycopg.conninfo.conninfo_to_dict(url)
    host, port = str(told["host"]), str(told.get("port") or "5432")
    upstream = f"unix:{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    address, _, there = proxies.add("store", upstream).rpartition(":")
    user, password = told.get("user") or "postgres", told.get("password") or ""
    secret = f":{password}" if password else ""
    return f"postgresql://{user}{secret}@{address}:{there}/{told['dbname']}?sslmode=disable"


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    with Proxies() as running:
        yield running


@pytest.fixture
def play(postgresql: Any, proxies: Proxies, tmp_path: Path) -> Iterator[Play]:
    bench = BENCHES["jira"]
    store = f'[store]\nurl = "{through(proxies, postgresql.empty())}"\n'
    setting = replace(bench.setting, name="matrix-commit", more=store)
    folder = tmp_path / setting.name
    setting.write(folder)
    _, network = setting.build_world()
    with Stage(setting, load(folder / "cxbridge.toml", environ={}), network, Hooks()) as stage:
        stage.start()
        playing = Play(bench, stage, 0)
        playing.cycle()
        yield playing


def going_on(play: Play, cycles: int = 3) -> int:
    """Cycles as the daemon goes through them: a job that the store fails under ends, and comes again. Gives how often it did."""
    failed = 0
    for _ in range(cycles):
        for job in (play.pull, play.stage.bridge.plan, lambda: play.stage.bridge.push(play.bench.vendor)):
            try:
                job()
            except StoreError:
                failed += 1
        play.stage.network.advance(61)
    return failed


@pytest.mark.parametrize("answered", [True, False], ids=["committed-and-not-told", "never-arrived"])
def test_a_commit_that_is_cut_does_nothing_twice_and_loses_nothing(
    play: Play, proxies: Proxies, answered: bool
) -> None:
    cut = 0
    for at in range(9):
        play.people()
        toxic = proxies.toxic(
            "store", "cut_when", stream="upstream", match="COMMIT", after=2 * at, times=1, answered=answered
        )
        cut += going_on(play) > 0
        proxies.heal("store", toxic.name)
        play.rest()
    assert cut >= 5, "the cuts came at no commit of ours"
    play.judge()


def test_a_database_that_is_gone_for_a_while_is_waited_for(play: Play, proxies: Proxies) -> None:
    play.people()
    proxies.enable("store", False)
    assert going_on(play, cycles=2) == 6
    proxies.enable("store")
    play.ends_well()
