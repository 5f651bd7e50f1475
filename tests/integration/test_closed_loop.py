"""The closed-loop recipe over five simulators and real HTTP; every scene is played on without a further write."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cxbridge.core.engine.figures import figures
from tests.integration.five import DEPUTY, INES, LEO, MAYA, Five, five


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Five]:
    with five(tmp_path / "d", store_url=store_url) as staged:
        yield staged


def test_a_detractor_who_agreed_gets_an_owner_a_clock_and_an_answer(stage: Five) -> None:
    stage.answer(3, verbatim="The export keeps failing and nobody calls back.", contact_ok=True)
    stage.cycle()
    [task] = stage.tasks()
    assert "Northwind" in task["Name"]
    assert "The export keeps failing" in task["Comments"]
    assert "vader" in task["Comments"], "the model's name stands beside what it said"
    assert len(stage.messages(MAYA)) == 1
    [case] = stage.tickets_of(INES)
    assert "closed-loop" in case["ticket"]["tags"]
    assert stage.runs(recipe="closed-loop-feedback", state="done")
    stage.quiet()
    told = figures(stage.bridge.store, stage.bridge.recipe("closed-loop-feedback"), stage.clock)
    assert (told.answers, told.unhappy, told.opened, told.closed) == (1, 1, 1, 0)


def test_one_who_did_not_agree_is_logged_and_never_contacted(stage: Five) -> None:
    for _ in range(2):
        stage.answer(2, verbatim="Slow.", contact_ok=False)
        stage.cycle()
    stage.answer(1, verbatim="Nobody asked me.")
    stage.cycle()
    assert len(stage.tasks()) == 3
    assert stage.tickets_of(INES) == []
    assert stage.effects("invitation.sent") == []
    assert [one for one in stage.effects("comment.added") if one.detail.get("public")] == []
    stage.quiet()


def test_outside_business_hours_the_clock_starts_in_the_morning(stage: Five) -> None:
    # Friday evening: the clock starts when somebody is at work, on Monday morning, and one business day later is Tuesday's.
    stage.world.clock.advance((datetime(2026, 5, 8, 20, tzinfo=UTC) - stage.clock.now()).total_seconds())
    stage.answer(4, contact_ok=False)
    stage.cycle()
    with stage.bridge.store.read() as tx:
        from cxbridge.core.store import outbox

        [planned] = [one for one in outbox.find(tx) if one.action == "task.ensure"]
    due = datetime.fromisoformat(str(planned.inputs["due_at"]))
    assert due == datetime(2026, 5, 12, 9, tzinfo=UTC)


def test_an_account_without_an_owner_goes_to_the_deputy(stage: Five) -> None:
    stage.answer(3, LEO, verbatim="Too slow.", contact_ok=False)
    stage.cycle()
    [_] = stage.tasks()
    assert len(stage.messages(DEPUTY)) == 1
    stage.quiet()


def test_promoters_partial_answers_and_previews_start_nothing(stage: Five) -> None:
    stage.answer(10, verbatim="Great!")
    stage.answer(1, finished=False)
    stage.answer(0, status=1)
    stage.cycle()
    assert stage.writes() == 0
    stage.quiet()


def test_an_answer_that_arrives_three_times_is_one_task(stage: Five) -> None:
    key = stage.answer(3, contact_ok=False)
    # By a nudge, by the export, and by the sweep an hour later.
    stage.bridge.read("qualtrics", "responses", [f"SV_relationNPS0001/{key}"])
    stage.bridge.plan()
    stage.cycle()
    stage.world.clock.advance(3700)
    stage.cycle()
    assert len(stage.tasks()) == 1
    assert len(stage.messages(MAYA)) == 1
    stage.quiet()


def escalated(stage: Five, *emails: str) -> str:
    """Follow-up tickets of these people become one issue: agents mark the first as the problem of the others."""
    numbers = []
    for email in emails:
        stage.answer(2, email, verbatim="The export stops.", contact_ok=True)
        stage.cycle()
        numbers.append(int(stage.tickets_of(email)[-1]["ticket"]["id"]))
    first, *others = numbers
    stage.agent(first, tags_add=["needs-engineering"], priority="high", type="problem", organization="Northwind")
    for number in others:
        stage.agent(number, tags_add=["needs-engineering"], priority="high", type="incident", problem_id=first)
    stage.cycle()
    stage.cycle()
    [issue] = stage.issues()
    return str(issue["key"])


def public_notes(stage: Five, email: str) -> list[str]:
    return [
        said["body"]
        for seen in stage.tickets_of(email)
        for said in seen["comments"][1:]
        if said["public"] and "we have fixed it" in said["body"]
    ]


def test_when_the_cause_is_fixed_each_person_hears_of_it_once(stage: Five) -> None:
    key = escalated(stage, INES, INES)
    stage.engineer_closes(key, "Fixed")
    stage.cycle()
    stage.cycle()
    assert len(public_notes(stage, INES)) == 1, "two tickets, one person, one message"
    stage.quiet()


def test_when_the_cause_is_declined_nobody_hears_that_it_was_fixed(stage: Five) -> None:
    key = escalated(stage, INES)
    stage.engineer_closes(key, "Won't Do")
    stage.cycle()
    stage.cycle()
    assert public_notes(stage, INES) == []
    stage.quiet()


def test_a_closed_loop_asks_again_once_and_only_those_who_may_be_asked(stage: Five) -> None:
    stage.answer(3, verbatim="Slow.", contact_ok=True)
    stage.answer(2, LEO, verbatim="Slow.", contact_ok=False)
    stage.cycle()
    stage.cycle()
    for task in stage.tasks():
        stage.act("PATCH", f"/gainsight/ctas/{task['Gsid']}", {"status": "Closed Success"})
    stage.world.clock.advance(60)
    stage.cycle()
    stage.cycle()
    sent = stage.effects("invitation.sent")
    assert len(sent) == 1
    stage.quiet()
    told = figures(stage.bridge.store, stage.bridge.recipe("closed-loop-feedback"), stage.clock)
    assert (told.opened, told.closed, told.loop_rate) == (2, 2, 1.0)
    assert told.hours_to_contact is not None
    assert sum(told.runs.values()) >= told.opened
    stage.answer(9, verbatim="Much better.", contact_ok=True)
    stage.cycle()
    told = figures(stage.bridge.store, stage.bridge.recipe("closed-loop-feedback"), stage.clock)
    assert told.score_change == pytest.approx(60.0)
    # Loops that another recipe opened are none of this one's, and none began within the last second.
    assert figures(stage.bridge.store, stage.bridge.recipe("escalation-to-jira"), stage.clock).has_loops is False
    stage.world.clock.advance(60)
    lately = figures(stage.bridge.store, stage.bridge.recipe("closed-loop-feedback"), stage.clock, timedelta(seconds=1))
    assert (lately.runs, lately.answers, lately.opened, lately.loop_rate) == ({}, 0, 0, None)


def test_nobody_is_asked_twice_in_the_quarantine_whoever_asks(stage: Five) -> None:
    for _ in range(2):
        stage.answer(3, verbatim="Slow.", contact_ok=True)
        stage.cycle()
        stage.cycle()
    for task in stage.tasks():
        stage.act("PATCH", f"/gainsight/ctas/{task['Gsid']}", {"status": "Closed Success"})
    stage.world.clock.advance(60)
    stage.cycle()
    stage.cycle()
    assert len(stage.effects("invitation.sent")) == 1
    stage.quiet()
