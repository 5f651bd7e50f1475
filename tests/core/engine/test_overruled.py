"""A value that we wrote and somebody set back before a pull showed ours is put right, and is no news to anything else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxbridge.core.ledger import Ref
from cxbridge.core.store import changes
from tests.reliability.shapes import shape_of
from tests.reliability.stage import Ground, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Ground(tmp_path).stage(shape_of("two_way").setting) as opened:
        yield opened


def written_and_not_seen(stage: Stage) -> int:
    """A pair whose issue was just given another priority, which no pull has shown yet."""
    number = stage.people.ticket(tags=["pair"], priority="normal")
    stage.settle()
    stage.people.agent(number, priority="low")
    stage.network.advance(61)
    stage.bridge.pull("zendesk", "tickets")
    stage.bridge.plan()
    stage.push()
    assert shown(stage) == "Low"
    return number


def shown(stage: Stage) -> str:
    return str(stage.act("GET", "/jira/issues/ENG-1")["priority"])


@pytest.mark.parametrize("besides", [{}, {"labels_add": ["later"]}])
def test_a_value_set_back_before_it_was_seen_is_put_right(stage: Stage, besides: dict[str, object]) -> None:
    written_and_not_seen(stage)
    stage.people.engineer("ENG-1", priority="Medium", **besides)
    stage.settle()
    assert shown(stage) == "Low"
    # What the help desk's change came to, and the correction.
    assert len(stage.effects("issue.updated")) == 2
    assert any("was set to" in one.reason for one in stage.runs())
    assert stage.quiet(3) == []


def test_a_value_that_the_owner_has_by_then_is_left(stage: Stage) -> None:
    number = written_and_not_seen(stage)
    stage.people.engineer("ENG-1", priority="Medium")
    stage.people.agent(number, priority="normal")
    before = len(stage.writes())
    stage.settle()
    assert shown(stage) == "Medium"
    assert stage.writes()[before:] == []
    assert stage.quiet(3) == []


def test_what_moves_and_shows_what_we_wrote_is_logged_once(stage: Stage) -> None:
    written_and_not_seen(stage)
    stage.settle()
    with stage.bridge.store.read() as tx:
        before = len(changes.of(tx, Ref("jira", "issues", _key(stage))))
    # Nothing that is compared differs, but the issue is newer.
    stage.act("PATCH", "/jira/issues/ENG-1", {"priority": "Low"})
    stage.settle()
    with stage.bridge.store.read() as tx:
        assert len(changes.of(tx, Ref("jira", "issues", _key(stage)))) == before


def _key(stage: Stage) -> str:
    return str(stage.act("GET", "/jira/issues/ENG-1")["id"])
