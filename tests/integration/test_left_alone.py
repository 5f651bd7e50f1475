"""A vendor that is down is left alone: nothing is lost, nothing is written about what waits, and a person can see and end it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.engine import mend
from cxbridge.core.engine.mend import Around
from cxbridge.core.errors import Retryable, VendorError, Withheld
from cxbridge.core.store import Tx, breakers
from cxbridge.core.store.letters import Chosen
from tests.integration.scene import Scene, scene

JIRA_CREATE = "/rest/api/3/issue$"
TICKETS = range(7001, 7009)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path / "demo") as staged:
        for number in TICKETS:
            staged.ticket(number)
        yield staged


def _down(stage: Scene, **more: Any) -> None:
    rule = {"name": "status", "vendor": "jira", "path_regex": ".", "params": {"code": 503}, "times": None}
    stage.act("POST", "/faults", {**rule, **more})


def _requests(stage: Scene) -> int:
    return len([one for one in stage.world.journal.requests() if one.vendor == "jira"])


def _until(stage: Scene) -> Any:
    with stage.bridge.store.read() as tx:
        found = breakers.find(tx).get("jira")
    return found.retry_at if found is not None else None


def _play(stage: Scene, minutes: int) -> list[VendorError]:
    """Let the day go on for so long; gives what could not be read."""
    failed = []
    for _ in range(minutes):
        failed += stage.pull()
        stage.bridge.plan()
        stage.push()
        stage.world.clock.advance(61)
    return failed


def test_an_outage_of_hours_costs_few_requests_and_no_try(stage: Scene) -> None:
    stage.pull()
    stage.bridge.plan()
    _down(stage)
    before = _requests(stage)
    _play(stage, 25)
    assert _until(stage) is not None
    at_first = _requests(stage) - before
    before = _requests(stage)
    _play(stage, 40)
    # Asked every eight to twelve minutes by one request, instead of every minute by four streams and eight deliveries.
    assert _requests(stage) - before <= 6
    assert at_first <= 60
    assert stage.deliveries(state="dead") == []
    stage.act("DELETE", "/faults")
    _play(stage, 25)
    assert len(stage.effects("issue.created")) == len(TICKETS)
    assert len(stage.effects("comment.added")) == len(TICKETS)
    assert stage.summary()["duplicates"] == []
    assert _until(stage) is None


def test_nothing_is_written_about_deliveries_that_wait_behind_it(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.pull()
    stage.bridge.plan()
    _down(stage)
    _play(stage, 3)
    stage.pull()
    assert _until(stage) is not None
    waiting = {one.id: one for one in stage.deliveries(limit=1000)}
    sent = _requests(stage)
    writes: list[int] = []
    write = type(stage.bridge.store).write

    def counted(store: Any) -> AbstractContextManager[Tx]:
        writes.append(1)
        return write(store)

    monkeypatch.setattr(type(stage.bridge.store), "write", counted)
    for _ in range(20):
        pushed = stage.bridge.push("jira")
        assert pushed.kept_back is not None
        assert pushed.next_at is None or pushed.next_at >= pushed.kept_back
        with pytest.raises(Withheld):
            stage.bridge.pull("jira", "issues")
    assert writes == []
    assert _requests(stage) == sent
    assert {one.id: one for one in stage.deliveries(limit=1000)} == waiting


def test_a_restart_leaves_it_alone_and_a_check_ends_it(stage: Scene) -> None:
    stage.pull()
    stage.bridge.plan()
    _down(stage)
    _play(stage, 3)
    stage.pull()
    stage.bridge.close()
    stage.bridge = stage.open()
    sent = _requests(stage)
    with pytest.raises(Withheld, match="answered 503"):
        stage.bridge.pull("jira", "issues")
    assert _requests(stage) == sent
    with pytest.raises(Retryable) as caught:
        stage.bridge.check("jira")
    assert not isinstance(caught.value, Withheld), "a person's check is let through"
    assert _until(stage) > stage.clock.now()
    stage.act("DELETE", "/faults")
    stage.bridge.check("jira")
    assert _until(stage) is None
    stage.bridge.pull("jira", "issues")


def test_one_vendor_that_is_down_keeps_no_other_from_being_spoken_to(stage: Scene) -> None:
    _down(stage)
    failed = _play(stage, 10)
    assert {one.connection for one in failed} == {"jira"}
    assert stage.bridge.push("zendesk").kept_back is None


def test_letters_that_may_have_been_done_are_retried_in_bulk_without_a_second_effect(stage: Scene) -> None:
    stage.pull()
    stage.bridge.plan()
    # Every creation is done and never answered; the search shows it late, the two looks find nothing, and then it is refused.
    stage.act("PUT", "/jira/search", {"lag": 400})
    rule = {"vendor": "jira", "path_regex": JIRA_CREATE, "method": "POST"}
    stage.act("POST", "/faults", {"name": "ghost", "times": len(TICKETS), **rule})
    stage.act("POST", "/faults", {"name": "status", "times": len(TICKETS), "params": {"code": 400}, **rule})
    begun = stage.clock.now()
    while len(stage.deliveries(state="dead", limit=100)) < len(TICKETS):
        stage.push()
        stage.world.clock.advance(5)
        assert stage.clock.now() - begun < timedelta(seconds=340), "the search must not have caught up yet"
    assert len(stage.effects("issue.created")) == len(TICKETS)
    assert {(one.error_code, one.attempts) for one in stage.deliveries(state="dead", limit=100)} == {("rejected", 2)}
    # Now nothing would be found yet, and before the second look it is.
    stage.world.clock.advance(340 - (stage.clock.now() - begun).total_seconds())
    bridge = stage.bridge
    around = Around(bridge.connections, bridge.library.of_run)
    assert mend.retry(bridge.store, Chosen(), stage.clock.now(), around=around).done == len(TICKETS)
    stage.settle()
    assert len(stage.effects("issue.created")) == len(TICKETS)
    assert stage.summary()["duplicates"] == []
    assert stage.runs(state="failed") == []
    assert len(stage.effects("comment.added")) == len(TICKETS)
