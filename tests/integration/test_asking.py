"""Questions over the real wire of the chat: pressed buttons come back signed, count once for a person, and then they are gone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cxbridge.core.store import approvals
from tests.integration.five import DEPUTY, Five, five, reopened

RECIPE = """
title = "Ask before raising a ticket"
owner = "support-ops"
stage = "live"
use = { desk = "zendesk", chat = "slack" }

[[trigger]]
on = "ticket.created"
from = "desk"

[when]
vip = "'vip' in ticket.tags"

[[step]]
id = "raise"
do = "approve"
[step.with]
to = "chat:#churn-desk"
quorum = 2
deputies = ["cs-leads@harbourlight.example"]
deputies_after = "1h"
ttl = "4h"
on_timeout = "reject"
ask = "Raise {{ ticket.source_key }} of *{{ contact.name }}*?"
[step.with.form]
severity = { type = "choice", of = ["S1", "S2"] }
hours = { type = "number", optional = true }

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ raise.severity }}, {{ raise.hours | default('no', true) }} h, say {{ raise.by }}" }
"""
DESK = "churn-desk"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Five]:
    with five(tmp_path / "d") as staged, staged.listening():
        (staged.folder / "recipes" / "ask-first.toml").write_text(RECIPE, encoding="utf-8")
        staged.ticket(7001, tags=["vip"], requester={"name": "Ines <b>", "email": "ines@northwind.test"})
        staged.cycle()
        assert staged.bridge.library.errors == ()
        assert len(staged.messages(DESK)) == 1
        yield staged


def question(stage: Five) -> str:
    with stage.bridge.store.read() as tx:
        [one] = approvals.find(tx, recipe="ask-first")
    return one.id


def buttons(stage: Five, to: str = DESK) -> int:
    return sum(str(one["blocks"]).count("'button'") for one in stage.messages(to))


def test_two_people_decide_and_one_person_twice_does_not(stage: Five) -> None:
    approval = question(stage)
    for _ in range(2):
        stage.press(approval, "approve", severity="S2")
        stage.cycle()
        assert stage.runs(recipe="ask-first")[0].state == "waiting"
    assert buttons(stage) == 2
    stage.press(approval, "approve", user="CS Leads", severity="S1", hours="4")
    stage.cycle()
    stage.cycle()
    [run] = stage.runs(recipe="ask-first")
    assert (run.state, run.results["raise"]["severity"], run.results["raise"]["hours"]) == ("done", "S1", 4)
    assert len([one for one in stage.effects("comment.added") if one.vendor == "zendesk"]) == 1
    assert "S1, 4 h, say Maya Ortiz and CS Leads" in str(stage.seen_ticket(7001))
    # The question still stands there, with how it ended instead of its buttons.
    [message] = [one for one in stage.messages(DESK) if "Raise" in str(one)]
    assert "Approved by Maya Ortiz and CS Leads" in str(message["blocks"])
    assert "Ines &lt;b&gt;" in str(message["blocks"]), "a customer's name is no markup"
    assert buttons(stage) == 0
    stage.quiet()


def test_who_forgets_the_form_is_told_under_the_question(stage: Five) -> None:
    stage.press(question(stage), "approve", hours="4")
    stage.cycle()
    assert "Maya Ortiz, this does not count yet: severity is missing." in str(stage.messages(DESK))
    assert stage.runs(recipe="ask-first")[0].state == "waiting"
    stage.quiet()


def test_the_deputy_is_asked_and_silence_rejects_over_a_restart(stage: Five) -> None:
    stage.world.clock.advance(timedelta(hours=1).total_seconds())
    stage.cycle()
    assert len(stage.messages(DEPUTY)) == 1
    reopened(stage)
    stage.world.clock.advance(timedelta(hours=3).total_seconds())
    stage.cycle()
    stage.cycle()
    [run] = stage.runs(recipe="ask-first")
    assert run.state == "stopped"
    assert "because nobody decided within 4h" in run.reason
    assert (buttons(stage), buttons(stage, DEPUTY)) == (0, 0)
    assert [one for one in stage.effects("comment.added") if one.vendor == "zendesk"] == []
    stage.quiet()
