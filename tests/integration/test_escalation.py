"""The escalation recipe, played against both simulators over real HTTP on each database; every scene is played twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.scene import Scene, scene


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Scene]:
    with scene(tmp_path / "demo", store_url=store_url) as staged:
        yield staged


def again_without_writing(stage: Scene, times: int = 2) -> None:
    """Play on with nothing new from outside: nobody is written to."""
    before = stage.writes()
    for _ in range(times):
        planned, pushed = stage.cycle()
        assert pushed == 0, planned
    assert stage.writes() == before
    assert stage.summary()["duplicates"] == []


def test_a_tagged_ticket_becomes_one_issue_linked_on_both_sides_with_one_note(stage: Scene) -> None:
    stage.ticket(7001)
    stage.cycle()
    issues = stage.issues()
    assert [one["priority"] for one in issues] == ["High"]
    issue = issues[0]
    assert issue["summary"] == "[7001] Export stops at 7001 rows"
    assert "from-support" in issue["labels"]
    # The link is shown on both sides …
    assert len(issue["remote_links"]) == 1
    seen = stage.seen_ticket(7001)["ticket"]
    assert seen["external_id"] == f"cxb:jira:{issue['key']}"
    # … and one internal note tells the agent.
    notes = [one for one in stage.seen_ticket(7001)["comments"] if issue["key"] in one["body"]]
    assert [one["public"] for one in notes] == [False]
    again_without_writing(stage)


def test_agents_and_self_serve_customers_are_left_alone(stage: Scene) -> None:
    stage.ticket(7001, organization="Solo", requester={"name": "Sol", "email": "sol@solo.test"})
    stage.ticket(7002, tags=[])
    stage.ticket(7003, status="solved")
    planned, pushed = stage.cycle()
    assert pushed == 0
    assert planned.stopped == {"right_tier": 1, "asked_for": 1, "still_open": 1}
    again_without_writing(stage)


def three_in_one(stage: Scene) -> str:
    stage.ticket(7001, type="problem", priority="normal")
    stage.ticket(7002, problem=7001, priority="high")
    stage.ticket(7003, problem=7001, priority="low")
    stage.cycle()
    stage.cycle()
    issues = stage.issues()
    assert len(issues) == 1
    assert len(issues[0]["remote_links"]) == 3
    assert issues[0]["priority"] == "High", "the most pressing of the three decides"
    again_without_writing(stage)
    return str(issues[0]["key"])


def test_three_tickets_join_one_issue_and_all_are_reopened_when_it_is_fixed(stage: Scene) -> None:
    key = three_in_one(stage)
    for number in (7001, 7002, 7003):
        stage.agent(number, status="pending")
    stage.cycle()
    before = {number: len(stage.seen_ticket(number)["comments"]) for number in (7001, 7002, 7003)}
    stage.engineer_closes(key, "Fixed")
    stage.cycle()
    for number in (7001, 7002, 7003):
        seen = stage.seen_ticket(number)
        assert seen["ticket"]["status"] == "open"
        assert "fix-released" in seen["ticket"]["tags"]
        fresh = seen["comments"][before[number] :]
        assert [(one["public"], key in one["body"]) for one in fresh] == [(False, True)]
    again_without_writing(stage)


@pytest.mark.parametrize("resolution", ["Duplicate", "Won't Do"])
def test_without_a_fix_the_agents_are_told_and_the_tickets_stay(stage: Scene, resolution: str) -> None:
    key = three_in_one(stage)
    for number in (7001, 7002, 7003):
        stage.agent(number, status="pending")
    stage.cycle()
    stage.engineer_closes(key, resolution)
    stage.cycle()
    for number in (7001, 7002, 7003):
        seen = stage.seen_ticket(number)
        assert seen["ticket"]["status"] == "pending"
        assert "fix-released" not in seen["ticket"]["tags"]
        last = seen["comments"][-1]
        assert "without a fix" in last["body"]
        assert last["public"] is False
    again_without_writing(stage)


def test_an_issue_that_is_closed_before_we_saw_it_again_is_told_of_all_the_same(stage: Scene) -> None:
    stage.ticket(7001)
    stage.cycle()
    # No pull has shown us the issue that we made: the engineer was faster.
    stage.engineer_closes(stage.issues()[0]["key"], "Done")
    stage.cycle()
    notes = [one["body"] for one in stage.seen_ticket(7001)["comments"] if "Engineering closed" in one["body"]]
    assert len(notes) == 1
    again_without_writing(stage)


def test_a_priority_change_travels_by_its_map_and_the_most_pressing_ticket_decides(stage: Scene) -> None:
    three_in_one(stage)
    assert stage.issues()[0]["priority"] == "High"
    stage.agent(7003, priority="urgent")
    stage.cycle()
    assert stage.issues()[0]["priority"] == "Highest"
    again_without_writing(stage)
    stage.agent(7003, priority="low")
    stage.cycle()
    assert stage.issues()[0]["priority"] == "High"
    again_without_writing(stage)


def test_an_engineer_cannot_take_the_priority_from_its_owner(stage: Scene) -> None:
    stage.ticket(7001, priority="normal")
    stage.cycle()
    key = stage.issues()[0]["key"]
    stage.act("PATCH", f"/jira/issues/{key}", {"priority": "Lowest"})
    stage.world.clock.advance(30)
    stage.cycle()
    assert stage.issues()[0]["priority"] == "Medium"
    again_without_writing(stage)


def test_an_unmapped_priority_is_held_reported_and_goes_on_when_it_is_mended(stage: Scene) -> None:
    stage.ticket(7001, priority=None)
    planned, pushed = stage.cycle()
    assert (planned.held, pushed) == (1, 0)
    held = stage.runs(state="held")
    assert len(held) == 1
    assert "'priority'" in held[0].reason
    assert "'none'" in held[0].reason
    again_without_writing(stage)
    stage.agent(7001, priority="urgent")
    stage.cycle()
    assert [one["priority"] for one in stage.issues()] == ["Highest"]
    assert stage.runs(state="held") == []
    again_without_writing(stage)


def test_our_own_writes_never_come_back(stage: Scene) -> None:
    three_in_one(stage)
    echoes = 0
    before = stage.writes()
    for _ in range(10):
        planned, pushed = stage.cycle()
        echoes += planned.echoes
        assert pushed == 0
    assert stage.writes() == before
    with stage.bridge.store.read() as tx:
        from cxbridge.core.ledger import Ref
        from cxbridge.core.store import receipts

        seen = receipts.of(tx, Ref("zendesk", "tickets", "7001"))
    assert any(one.seen_seq is not None for one in seen), "the echo of our own write was never recognised"


def test_a_person_who_sets_what_we_had_set_before_is_heard(stage: Scene) -> None:
    key = three_in_one(stage)
    stage.agent(7001, status="pending")
    stage.cycle()
    stage.engineer_closes(key, "Fixed")
    stage.cycle()
    stage.cycle()
    stage.agent(7001, status="pending")
    stage.cycle()
    stage.act("POST", f"/jira/issues/{key}/transition", {"to": "In Progress"})
    stage.world.clock.advance(30)
    stage.cycle()
    stage.engineer_closes(key, "Fixed")
    stage.cycle()
    assert stage.seen_ticket(7001)["ticket"]["status"] == "open"
    again_without_writing(stage)


def test_an_agent_who_names_an_issue_joins_it(stage: Scene) -> None:
    stage.ticket(7001, custom_fields={"360000000101": "ENG-3"})
    stage.cycle()
    assert stage.issues() == []
    named = next(one for one in stage.act("GET", "/jira/issues") if one["key"] == "ENG-3")
    assert len(named["remote_links"]) == 1
    again_without_writing(stage)
