"""A link that comes into being after its sides were seen, or changed, keeps them in step all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.shapes import shape_of
from tests.reliability.stage import Ground, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Ground(tmp_path).stage(shape_of("two_way").setting) as opened:
        yield opened


def made_and_seen_before_the_link(stage: Stage) -> int:
    """A ticket whose issue was made without an answer: it is pulled and planned for before anybody knows whose it is."""
    number = stage.people.ticket(tags=["pair"], priority="low")
    stage.world.faults.add("ghost", "jira", method="POST", path_regex="/issue$", times=1)
    stage.network.advance(61)
    stage.pull()
    stage.bridge.plan()
    stage.push()
    assert [one.kind for one in stage.writes()] == ["issue.created"]
    assert [one.state for one in stage.deliveries()] == ["unknown"]
    stage.pull()
    stage.bridge.plan()
    return number


def test_what_was_seen_before_the_link_is_carried_over(stage: Stage) -> None:
    number = made_and_seen_before_the_link(stage)
    stage.settle()
    fields = stage.act("GET", f"/zendesk/tickets/{number}")["ticket"]["custom_fields"]
    assert {"id": 360000000102, "value": "To Do"} in fields
    assert stage.quiet(3) == []


def test_what_was_changed_before_the_link_is_carried_over(stage: Stage) -> None:
    number = made_and_seen_before_the_link(stage)
    stage.people.agent(number, priority="urgent")
    stage.network.advance(61)
    stage.bridge.pull("zendesk", "tickets")
    stage.bridge.plan()
    stage.settle()
    assert stage.act("GET", "/jira/issues/ENG-1")["priority"] == "Highest"
    assert stage.quiet(3) == []


def test_what_stands_as_it_should_is_not_written_again(stage: Stage) -> None:
    made_and_seen_before_the_link(stage)
    stage.settle()
    assert stage.effects("issue.updated") == []
