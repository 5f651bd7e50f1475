"""A link that comes into being after its sides were seen, or changed, keeps them in step all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.shapes import shape_of
from tests.reliability.stage import Ground, Stage


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def stage(ground: Ground) -> Iterator[Stage]:
    with ground.stage(shape_of("two_way").setting) as opened:
        yield opened


def see(stage: Stage) -> None:
    """Pull and plan, and send nothing."""
    stage.network.advance(61)
    stage.pull(everything=True)
    stage.bridge.plan()


def made_and_seen_before_the_link(stage: Stage, tag: str = "pair") -> int:
    """A ticket whose issue was made without an answer: it is pulled and planned for before anybody knows whose it is."""
    number = stage.people.ticket(tags=[tag], priority="low")
    stage.world.faults.add("ghost", "jira", method="POST", path_regex="/issue$", times=1)
    see(stage)
    stage.push()
    assert [one.kind for one in stage.writes()] == ["issue.created"]
    assert [one.state for one in stage.deliveries()] == ["unknown"]
    see(stage)
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
    see(stage)
    stage.settle()
    assert stage.act("GET", "/jira/issues/ENG-1")["priority"] == "Highest"
    assert stage.quiet(3) == []


def test_what_stands_as_it_should_is_not_written_again(stage: Stage) -> None:
    made_and_seen_before_the_link(stage)
    stage.settle()
    assert stage.effects("issue.updated") == []


@pytest.mark.parametrize("planned", ["with its making", "after its making", "and opened again"])
def test_what_engineering_did_before_the_link_reaches_the_ticket_once(ground: Ground, planned: str) -> None:
    with ground.stage(shape_of("follow").setting) as stage:
        number = stage.people.ticket(tags=["needs-engineering"])
        stage.world.faults.add("ghost", "jira", method="POST", path_regex="/issue$", times=1)
        see(stage)
        stage.push()
        if planned != "with its making":
            see(stage)
        stage.people.moves("ENG-1", "Done", "Done")
        see(stage)
        if planned == "and opened again":
            stage.people.moves("ENG-1", "To Do")
            see(stage)
        assert [one.state for one in stage.deliveries()] == ["unknown"]
        stage.settle()
        ticket = stage.act("GET", f"/zendesk/tickets/{number}")["ticket"]
        assert {"fix-released"} <= set(ticket["tags"]) or planned == "and opened again"
        assert [one.key for one in stage.effects("comment.added")] == (
            [str(number)] if planned != "and opened again" else []
        )
        assert stage.quiet(3) == []


def test_what_was_said_before_the_link_is_carried_over_once(ground: Ground) -> None:
    with ground.stage(shape_of("mirror").setting) as stage:
        number = made_and_seen_before_the_link(stage, "talk")
        stage.people.engineer_says("ENG-1", "Fixed in 7.2 #support")
        stage.people.engineer_says("ENG-1", "Not for everybody")
        stage.people.says(number, "It is the nightly one #engineering")
        see(stage)
        assert stage.effects("comment.added") == []
        stage.settle()
        assert sorted((one.vendor, one.key) for one in stage.effects("comment.added")) == [
            ("jira", "ENG-1"),
            ("zendesk", str(number)),
        ]
        assert stage.quiet(3) == []
