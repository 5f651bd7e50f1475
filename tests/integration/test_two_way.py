"""Two-way sync of fields and comments between the help desk and the tracker: it falls silent, and it never echoes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.engine.syncing import words
from tests.integration.scene import Scene, scene
from tests.integration.test_escalation import three_in_one

QUIET = 10


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Scene]:
    with scene(tmp_path / "demo", store_url=store_url) as staged:
        yield staged


def falls_silent(stage: Scene) -> None:
    """Two cycles may still carry something; the ten after them write nothing."""
    stage.cycle()
    stage.cycle()
    before = stage.writes()
    for _ in range(QUIET):
        _, pushed = stage.cycle()
        assert pushed == 0
    assert stage.writes() == before
    assert stage.summary()["duplicates"] == []


def notes(stage: Scene, number: int, word: str) -> list[Any]:
    return [one for one in stage.seen_ticket(number)["comments"] if word in one["body"]]


def said(stage: Scene, key: str, word: str) -> list[Any]:
    return [one for one in stage.act("GET", f"/jira/issues/{key}")["comments"] if word in str(one["text"])]


def one_pair(stage: Scene) -> str:
    stage.ticket(7001)
    stage.cycle()
    stage.cycle()
    return str(stage.issues()[0]["key"])


def engineer_says(stage: Scene, key: str, body: str, **more: Any) -> None:
    stage.act("POST", f"/jira/issues/{key}/comment", {"body": body, **more})
    stage.world.clock.advance(30)


def test_what_an_engineer_marks_reaches_every_linked_ticket_once(stage: Scene) -> None:
    key = three_in_one(stage)
    engineer_says(stage, key, "#support The export stops at 40 docks: a fix is in review.")
    engineer_says(stage, key, "Refactored the paging, nothing for support.")
    stage.cycle()
    for number in (7001, 7002, 7003):
        found = notes(stage, number, "a fix is in review")
        assert [one["public"] for one in found] == [False]
        assert notes(stage, number, "Refactored") == []
    falls_silent(stage)
    assert len(notes(stage, 7001, "a fix is in review")) == 1


def test_what_an_agent_marks_reaches_the_issue_once_and_comes_back_from_nowhere(stage: Scene) -> None:
    key = one_pair(stage)
    stage.agent(7001, comment={"body": "#engineering #support It happens on Mondays only.", "public": False})
    stage.agent(7001, comment={"body": "#engineering a customer would read this", "public": True})
    stage.cycle()
    assert len(said(stage, key, "Mondays only")) == 1
    assert said(stage, key, "a customer would read this") == []
    # It carries both marks: the copy on the issue would go back, were it not known as ours.
    falls_silent(stage)
    assert len(said(stage, key, "Mondays only")) == 1
    assert len(notes(stage, 7001, "Mondays only")) == 1


def test_what_was_said_while_nobody_listened_is_carried_over_in_order_when_a_webhook_names_the_entity(
    stage: Scene,
) -> None:
    key = one_pair(stage)
    for number in range(3):
        stage.agent(7001, comment={"body": f"#engineering question {number}", "public": False})
        engineer_says(stage, key, f"#support answer {number}")
        stage.world.clock.advance(1)
    stage.bridge.read("zendesk", "tickets", ["7001"])
    stage.bridge.read("jira", "issues", [str(stage.act("GET", f"/jira/issues/{key}")["id"])])
    falls_silent(stage)
    asked = [str(one["text"]).rpartition(" ")[2] for one in said(stage, key, "question")]
    answered = [one["body"].rpartition(" ")[2] for one in notes(stage, 7001, "answer")]
    assert (asked, answered) == (["0", "1", "2"], ["0", "1", "2"])


def test_both_mark_at_once_and_each_arrives_once(stage: Scene) -> None:
    key = one_pair(stage)
    stage.agent(7001, comment={"body": "#engineering any news?", "public": False})
    engineer_says(stage, key, "#support shipped on Tuesday")
    falls_silent(stage)
    assert len(said(stage, key, "any news?")) == 1
    assert len(notes(stage, 7001, "shipped on Tuesday")) == 1


def test_a_robot_that_speaks_on_purpose_is_heard_also_under_our_own_name(stage: Scene) -> None:
    key = one_pair(stage)
    engineer_says(stage, key, "#support release robot: 4.2 is out", actor="bridge@example.test")
    falls_silent(stage)
    assert len(notes(stage, 7001, "4.2 is out")) == 1


def test_text_that_the_vendor_writes_otherwise_does_not_travel_back(stage: Scene) -> None:
    key = one_pair(stage)
    body = "#engineering #support  Dock &  gate <b>40</b>:\r\n\r\n* first\r\n* second   "
    stage.agent(7001, comment={"body": body, "public": False})
    falls_silent(stage)
    assert len(said(stage, key, "second")) == 1
    assert len(notes(stage, 7001, "second")) == 1


def test_the_owner_wins_when_both_change_at_once_and_the_loser_is_told(stage: Scene) -> None:
    key = one_pair(stage)
    before = len(stage.effects("issue.updated"))
    stage.act("PATCH", f"/jira/issues/{key}", {"priority": "Lowest"})
    stage.world.clock.advance(30)
    stage.agent(7001, priority="urgent")
    stage.cycle()
    assert stage.issues()[0]["priority"] == "Highest"
    told = [one.reason for one in stage.runs() if one.part == "sync:priority" and one.reason]
    assert len(told) == 1
    assert "the left side owns it and says 'Highest'" in told[0]
    falls_silent(stage)
    assert len(stage.effects("issue.updated")) == before + 1, "one write settles it"


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_comment_is_carried_once_although_we_are_killed_between_call_and_receipt(tmp_path: Path, side: str) -> None:
    class Killed(BaseException):
        pass

    armed = [False]

    def probe(name: str) -> None:
        if armed[0] and name == "push.answered":
            armed[0] = False
            raise Killed

    with scene(tmp_path / "demo", probe=probe) as stage:
        key = one_pair(stage)
        if side == "right":
            engineer_says(stage, key, "#support #engineering patched")
        else:
            stage.agent(7001, comment={"body": "#support #engineering patched", "public": False})
        stage.pull()
        stage.bridge.plan()
        armed[0] = True
        with pytest.raises(Killed):
            stage.push()
        stage.bridge.close()
        # The copy is at the vendor, its receipt is not: what is pulled now must not be taken for a person's words.
        stage.world.clock.advance(61)
        stage.bridge = stage.open()
        stage.pull()
        stage.bridge.plan()
        stage.bridge.pusher.recover()
        falls_silent(stage)
        assert len(notes(stage, 7001, "patched")) == 1
        assert len(said(stage, key, "patched")) == 1


def test_words_are_what_remains_of_a_text_whatever_a_platform_does_to_it() -> None:
    assert words("<p>Dock &amp; gate</p>\n 40") == words("dock & Gate 40") == "dock gate 40"
    assert words("") == ""
