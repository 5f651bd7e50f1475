"""Old changes go from the log once nobody needs them, a little at a time, and nobody misses one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import tidy
from cxbridge.core.engine.history import why
from cxbridge.core.ledger import Ref
from cxbridge.core.store import changes, keeping, planning, restored
from tests.core.engine.little_company import Company, company

TICKET = Ref("desk", "tickets", "1")
DAY = 86_400.0
STOP = """
[[step]]
id = "stop"
do = "stop"
with = { reason = "enough" }
"""


@pytest.fixture
def staged(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    with company(tmp_path, STOP, clock, store={"keep_changes": "60d"}) as staged:
        yield staged


def lived(staged: Company, days: int = 100) -> None:
    """Let a ticket change every ten days."""
    for day in range(0, days, 10):
        staged.ticket(subject=f"on day {day}")
        staged.cycle(10 * DAY)


def log(staged: Company) -> list[int]:
    with staged.bridge.store.read() as tx:
        return sorted(one.seq for one in changes.of(tx, TICKET, 1000))


def test_what_is_kept_long_enough_goes(staged: Company) -> None:
    lived(staged)
    before = log(staged)
    # By now changes of days 0 to 30 are older than 60 days; that of day 30 stays as the last of them.
    assert staged.bridge.tidy() == 3
    assert log(staged) == before[3:]
    staged.clock.advance(30)
    assert staged.bridge.tidy() == 0


def test_it_looks_once_a_minute(staged: Company) -> None:
    lived(staged)
    assert staged.bridge.tidy() > 0
    staged.clock.advance(59)
    staged.ticket(subject="anew")
    staged.cycle(0)
    looked: list[object] = []

    def look(*asked: object) -> bool:
        looked.append(asked)
        return False

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keeping, "is_due", look)
        staged.bridge.tidy()
        assert looked == []
        staged.clock.advance(1)
        staged.bridge.tidy()
        assert len(looked) == 1


def test_for_ever_is_for_ever(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, STOP, clock, store={"keep_changes": "forever"}) as staged:
        lived(staged)
        staged.clock.advance(10_000 * DAY)
        before = log(staged)
        assert staged.bridge.tidy() == 0
        assert log(staged) == before


def test_a_recipe_that_is_behind_still_meets_every_change(staged: Company) -> None:
    lived(staged)
    before = log(staged)
    with staged.bridge.store.write() as tx:
        planning.set_position(tx, "example", before[1])
    assert staged.bridge.tidy() == 1
    assert log(staged) == before[1:]


def test_one_that_never_met_any_keeps_them_all(staged: Company) -> None:
    lived(staged)
    staged.write({"newcomer": STOP})
    staged.bridge.library.refresh()
    assert staged.bridge.tidy() == 0


def test_a_run_under_way_still_sees_what_it_began_with(tmp_path: Path, clock: ManualClock) -> None:
    wait = '\n[[step]]\nid = "wait"\ndo = "wait"\nwith = { for = "300d" }\n'
    with company(tmp_path, wait, clock, store={"keep_changes": "60d"}) as staged:
        lived(staged)
        assert {one.state for one in staged.runs()} >= {"waiting"}
        assert staged.bridge.tidy() == 0


def test_what_came_since_a_restore_stays_until_that_is_as_old(staged: Company) -> None:
    staged.ticket(subject="first")
    staged.cycle()
    with staged.bridge.store.write() as tx:
        restored.mark(tx, moment=staged.clock.now(), now=staged.clock.now())
    lived(staged, 60)
    assert staged.bridge.tidy() == 0
    lived(staged, 60)
    assert staged.bridge.tidy() > 0


def test_a_new_recipe_meets_every_record_all_the_same(staged: Company) -> None:
    staged.ticket("2", subject="quiet")
    lived(staged)
    staged.clock.advance(400 * DAY)
    assert staged.bridge.tidy() > 0
    staged.write({"newcomer": STOP})
    staged.clock.advance(10)
    staged.cycle()
    assert staged.bridge.library.errors == ()
    assert {str(one.subject) for one in staged.runs(recipe="newcomer")} == {"desk/tickets/1", "desk/tickets/2"}
    assert staged.bridge.tidy() == 0


@pytest.mark.parametrize("boundary", ["tidy.decided", "tidy.committed"])
def test_a_crash_loses_nothing(staged: Company, boundary: str) -> None:
    lived(staged)
    before = log(staged)

    def crash(reached: str) -> None:
        if reached == boundary:
            raise KeyboardInterrupt

    staged.restart(crash)
    with pytest.raises(KeyboardInterrupt):
        staged.bridge.tidy()
    staged.restart()
    assert staged.bridge.tidy() == (3 if boundary == "tidy.decided" else 0)
    assert log(staged) == before[3:]


def test_much_goes_in_several_commits_and_several_rounds(staged: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "_BATCH", 2)
    monkeypatch.setattr(tidy, "_ROUND", 2)
    lived(staged, 200)
    before = log(staged)
    rounds = []
    while found := staged.bridge.tidy():
        rounds.append(found)
        staged.clock.advance(60)
    assert len(rounds) > 1
    assert log(staged) == before[sum(rounds) :]


def test_why_says_that_there_was_more(staged: Company) -> None:
    lived(staged)
    told = [one.told for one in why(staged.bridge.store, TICKET)]
    assert "what changed before is not kept any more" not in told
    staged.bridge.tidy()
    told = [one.told for one in why(staged.bridge.store, TICKET) if one.what == "change"]
    assert told[0] == "what changed before is not kept any more"
    assert "created" not in told
