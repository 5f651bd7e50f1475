"""Several workers on PostgreSQL: killed, paused, ended and joined while they work; judged by the vendors' own log."""

import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from cxbridge.console.receiver import Receiver
from cxbridge.core.config import load as load_config
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.jobs import owner_of
from cxbridge.core.errors import StoreError
from cxbridge.core.store import agenda, leases, outbox
from cxbridge.sandbox.checker import Budget, Expected, judge
from cxbridge.sandbox.server import Sandbox
from tests.conftest import PostgreSQL
from tests.integration import fleet as fleets
from tests.integration.fleet import Fleet, overlaps, spoken, until
from tests.integration.test_webhooks import act, register, write

pytestmark = [pytest.mark.process, pytest.mark.postgres, pytest.mark.timeout(400)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(zendesk_options={"limits": None, "export_lag": 1}, jira_options={"search_lag": 1}) as running:
        yield running


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.control_url, timeout=60) as client:
        yield client


@pytest.fixture
def folder(sandbox: Sandbox, postgresql: PostgreSQL, tmp_path: Path) -> Path:
    fleets.write(tmp_path / "cx", sandbox.zendesk_url, sandbox.jira_url, postgresql.empty())
    return tmp_path / "cx"


@pytest.fixture
def fleet(folder: Path) -> Iterator[Fleet]:
    made = Fleet(folder)
    try:
        yield made
    finally:
        made.close()
        # Shown where the test has failed.
        print(made.said()[-20_000:])


def count(control: httpx.Client, kind: str) -> int:
    return int(control.get("/summary").json()["api_effects"].get(kind, 0))


def _as_many(control: httpx.Client, kind: str, number: int) -> bool:
    return count(control, kind) >= number


def _more_than(control: httpx.Client, made: int, story: fleets.Story) -> bool:
    return count(control, "jira:issue.created") > made or story.done()


def bridge_of(folder: Path) -> Bridge:
    return Bridge(load_config(folder / "cxbridge.toml"))


def test_killed_every_few_seconds_and_joined_by_others_nothing_is_lost_doubled_or_said_by_two_at_once(
    fleet: Fleet, control: httpx.Client, folder: Path
) -> None:
    draw = random.Random(4)
    story = fleets.Story(control, tickets=160, escalated=40)
    story.begin()
    for _ in range(3):
        fleet.join()
    kills: list[float] = []
    for _ in range(5):
        made = count(control, "jira:issue.created")
        until(partial(_more_than, control, made, story), "progress", 60)
        story.goes_on(draw)
        kills.append(fleet.kill(draw.randrange(len(fleet.running))))
        fleet.join()
    _to_the_end(story, folder)
    print(f"taken over after {', '.join(f'{one:.1f}' for one in fleets.take_overs(control, kills))} s")
    story.judge()
    ended = {str(one.pid) for one in fleet.running}
    assert [fleet.end() for _ in list(fleet.running)] == [0, 0, 0]
    with bridge_of(folder) as bridge, bridge.store.read() as tx:
        states = {one.state for one in outbox.find(tx, limit=100_000)}
        assert states <= {"confirmed", "cancelled"}, states
        # Those of the killed last on for a while; who ends in order lets go.
        assert not [one for one in leases.living(tx) if one.worker.split("-")[-2] in ended]


def test_a_worker_that_stood_still_finds_itself_replaced_and_says_nothing_more(
    fleet: Fleet, control: httpx.Client
) -> None:
    story = fleets.Story(control, tickets=120, escalated=120)
    story.begin()
    first = fleet.join()
    until(lambda: count(control, "jira:issue.created") >= 10, "the first issues", 60, 0.05)
    first.send_signal(signal.SIGSTOP)
    fleet.join()
    until(story.done, "the rest, by another worker", 120)
    asked = len(spoken(control))
    first.send_signal(signal.SIGCONT)
    time.sleep(3)
    turns = spoken(control)
    assert overlaps(turns) == []
    story.judge()
    # It may take part again, as any other; whatever it had under way it has left.
    assert first.poll() is None
    assert len(turns) >= asked
    assert [fleet.end() for _ in list(fleet.running)] == [0, 0]


def test_no_vendor_is_asked_more_often_than_it_allows_whoever_serves_it(postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Ten exports a minute, counted over all workers: one that takes over begins with what the dead one has used up."""
    folder = tmp_path / "cx"
    with (
        Sandbox(zendesk_options={"export_lag": 1}, jira_options={"search_lag": 1}) as strict,
        httpx.Client(base_url=strict.control_url, timeout=60) as control,
    ):
        fleets.write(folder, strict.zendesk_url, strict.jira_url, postgresql.empty())
        story = fleets.Story(control, tickets=40, escalated=40)
        story.begin()
        made = Fleet(folder)
        try:
            made.join()
            made.join()
            for goal in (1, 20):
                until(partial(_as_many, control, "jira:issue.created", goal), f"issue {goal}", 120, 0.1)
                story.goes_on(random.Random(goal))
                made.kill(0)
                made.join()
            _to_the_end(story, folder)
        except BaseException:
            print(made.said()[-20_000:])
            raise
        finally:
            made.close()
        story.judge()
        asked = [
            Budget(vendor="zendesk", limit=10, period=60.0, path_regex="incremental/tickets/cursor"),
            Budget(vendor="zendesk", limit=400, period=60.0),
        ]
        assert judge(strict.world, Expected(budgets=asked)) == []
        refused = [one for one in strict.world.journal.requests() if one.status == 429]
        assert refused == []


def test_a_webhook_that_any_worker_stored_is_worked_off_while_all_of_them_are_replaced(
    sandbox: Sandbox, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    folder = tmp_path / "cx"
    write(folder, sandbox, postgresql.empty())
    made = Fleet(folder)
    with httpx.Client(base_url=sandbox.control_url, timeout=60) as control:
        fleets.company(control)
        fleets.load(control, [fleets.ticket(number, tags=[]) for number in (1, 2, 3)])
        with bridge_of(folder) as bridge:

            def remember(tx: Any, jobs: Any) -> None:
                for job in jobs:
                    agenda.ask(tx, job, owner_of(job), bridge.clock.now())

            # A worker that stores what comes in and dies before it tells anybody: only the commit speaks.
            with Receiver(bridge, lambda _: None, remember) as receiver:
                register(sandbox, receiver)
                try:
                    made.join()
                    until(lambda: _caught_up(bridge), "the first pull", 60)
                    for number in (1, 2, 3):
                        made.join()
                        act(sandbox, "PATCH", f"/zendesk/tickets/{number}", {"tags_add": ["needs-engineering"]})
                        assert made.end() == 0
                        until(partial(_as_many, control, "zendesk:comment.added", number), f"note {number}", 60)
                except BaseException:
                    print(made.said()[-20_000:])
                    raise
                finally:
                    made.close()
        assert control.get("/summary").json()["duplicates"] == []


def _caught_up(bridge: Bridge) -> bool:
    from cxbridge.core.store import checkpoints

    with bridge.store.read() as tx:
        return {(one.connection, one.stream) for one in checkpoints.find(tx) if one.caught_up} >= set(bridge.streams())


def test_every_connection_to_the_database_lost_while_they_work(
    fleet: Fleet, control: httpx.Client, folder: Path
) -> None:
    import psycopg

    story = fleets.Story(control, tickets=60, escalated=60)
    story.begin()
    fleet.join()
    fleet.join()
    url = load_config(folder / "cxbridge.toml").store_url
    for goal in (5, 20, 40):
        until(partial(_as_many, control, "jira:issue.created", goal), f"issue {goal}", 90, 0.05)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )
    _to_the_end(story, folder)
    story.judge()
    assert [fleet.end() for _ in list(fleet.running)] == [0, 0]


def test_by_hand_nothing_is_sent_to_a_connection_that_a_worker_serves(
    folder: Path, sandbox: Sandbox, fleet: Fleet, control: httpx.Client
) -> None:
    with bridge_of(folder) as one, bridge_of(folder) as other:
        with one.holding(["jira"], "push"):
            with other.holding(["zendesk"], "push"):
                pass
            with pytest.raises(StoreError, match="a running worker speaks to jira"), other.holding(["jira"], "push"):
                pytest.fail("two at once")
        with other.holding(["jira"], "push"):
            pass


def _to_the_end(story: fleets.Story, folder: Path) -> None:
    try:
        until(story.done, "the end of the story", 150)
    except AssertionError:
        print(fleets.told_by_the_store(folder))
        print(story.missing(), story.closed, story.priorities)
        raise
