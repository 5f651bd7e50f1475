"""The audit chain over real scenes: one entry for each write and each decision, whatever fails on the way, and no name in it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.connector import Pressed
from cxbridge.core.engine import guard, mend
from cxbridge.core.engine.approvals import answered
from cxbridge.core.engine.verdicts import token_of
from cxbridge.core.store import approvals, audit
from cxbridge.core.store.audit import Entry
from cxbridge.sandbox.verdict import markers
from tests.integration.five import Five, five
from tests.integration.scene import Scene, scene
from tests.integration.test_asking import RECIPE

NOTE = "/api/v2/tickets/7001"
JIRA_CREATE = "/rest/api/3/issue$"


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Scene]:
    with scene(tmp_path / "demo", store_url=store_url) as staged:
        staged.ticket(7001)
        yield staged


def entries(stage: Scene) -> list[Entry]:
    """The entries in their order, of a chain that is whole."""
    with stage.bridge.store.read() as tx:
        checked = audit.verify(tx)
        assert (checked.at, checked.wrong) == (None, "")
        found = audit.find(tx, limit=10_000)[::-1]
    assert len(found) == checked.entries
    return found


def what(stage: Scene) -> Counter[str]:
    return Counter(one.what for one in entries(stage))


def one_for_each_write(stage: Scene) -> None:
    """Every delivery that is over has one entry of how it ended, and no other has one."""
    ends = Counter(
        one.detail["delivery"]
        for one in entries(stage)
        if one.what in ("write.confirmed", "write.adopted", "write.dead")
    )
    assert ends == Counter(one.id for one in stage.deliveries(limit=1000) if one.state in ("confirmed", "dead"))


def as_the_journal_says(stage: Scene) -> None:
    """Every marked thing that came into being at a vendor has exactly one entry, under its marker."""
    entered = Counter(
        one.detail["marker"][-16:] for one in entries(stage) if one.what == "write.confirmed" and one.detail["changed"]
    )
    came = (".created", ".posted", ".sent", ".added")
    made = [one for one in stage.world.journal.effects(via="api") if one.kind.endswith(came)]
    marked = [found[-16:] for one in made for found in set(markers(one.detail))]
    assert marked
    assert {one: entered[one] for one in marked} == dict.fromkeys(marked, 1)


def personal(stage: Scene) -> str:
    """All that the chain holds, as the database has it."""
    with stage.bridge.store.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT actor, what, subject, detail FROM audit").fetchall()
    return "\n".join(" ".join(row) for row in rows)


def fault(stage: Scene, name: str, vendor: str, path: str, method: str, **params: Any) -> None:
    times = params.pop("times", 1)
    body = {"name": name, "vendor": vendor, "path_regex": path, "method": method, "params": params, "times": times}
    stage.act("POST", "/faults", body)


def test_every_write_of_an_escalation_has_exactly_one_entry(stage: Scene) -> None:
    stage.settle()
    assert stage.writes() > 0
    assert what(stage) == {"write.confirmed": len(stage.deliveries(limit=1000))}
    one_for_each_write(stage)
    as_the_journal_says(stage)
    [issue] = stage.issues()
    with stage.bridge.store.read() as tx:
        about_ticket = audit.find(tx, about="zendesk/tickets/7001")
        about_issue = audit.find(tx, about=f"jira/issues/{issue['id']}")
        [run] = stage.runs(recipe="escalation-to-jira", limit=1)
        of_run = audit.find(tx, run=run.id)
    assert len(about_ticket) == len(of_run) == len(entries(stage))
    assert {one.detail["action"] for one in about_issue} >= {"issue.ensure", "link.ensure"}
    assert {one.actor for one in of_run} == {"recipe:escalation-to-jira"}
    assert {one.detail["version"] for one in of_run} == {run.version}
    before = len(entries(stage))
    stage.cycle()
    stage.cycle()
    assert len(entries(stage)) == before


def test_nothing_of_a_customer_is_in_the_chain(stage: Scene) -> None:
    stage.settle()
    told = personal(stage)
    assert "zendesk/tickets/7001" in told
    assert [word for word in ("Mia", "mia@", "Northwind", "Export", "nightly", "sandbox-token") if word in told] == []


def test_a_lost_answer_is_entered_as_a_doubt_and_then_as_what_was_found(stage: Scene) -> None:
    fault(stage, "ghost", "jira", JIRA_CREATE, "POST")
    stage.settle()
    assert len(stage.effects("issue.created")) == 1
    created = [one for one in entries(stage) if one.detail["action"] == "issue.ensure"]
    assert [one.what for one in created] == ["write.unknown", "write.confirmed"]
    assert created[0].detail["code"] == "unknown_outcome"
    assert created[1].detail["by"] == "look-up"
    assert created[0].detail["marker"] == created[1].detail["marker"]
    assert created[0].detail["content"] == created[1].detail["content"]
    one_for_each_write(stage)
    as_the_journal_says(stage)


def test_refusals_retries_and_drops_are_entered_with_who_decided(stage: Scene) -> None:
    fault(stage, "status", "jira", JIRA_CREATE, "POST", code=400)
    stage.settle()
    [dead] = stage.deliveries(state="dead")
    assert what(stage) == {"write.dead": 1}
    assert mend.retry_deliveries(stage.bridge.store, [dead.id], stage.clock.now(), "Ada Blum") == 1
    fault(stage, "status", "jira", JIRA_CREATE, "POST", code=400)
    stage.settle()
    assert mend.drop_deliveries(stage.bridge.store, [dead.id], stage.clock.now(), "Ada Blum") == 1
    assert mend.drop_deliveries(stage.bridge.store, [dead.id], stage.clock.now(), "Ada Blum") == 0
    found = [one for one in entries(stage) if one.detail.get("delivery") == dead.id]
    assert [one.what for one in found] == ["write.dead", "dead.retried", "write.dead", "dead.dropped"]
    assert found[1].actor == found[3].actor
    assert found[1].subject == "zendesk/tickets/7001"
    assert "Ada" not in personal(stage)
    with stage.bridge.store.read() as tx:
        assert audit.name_of(tx, found[1].actor) == "Ada Blum"


def test_a_refused_credential_is_no_write_and_ending_the_pause_is_a_decision(stage: Scene) -> None:
    fault(stage, "status", "jira", JIRA_CREATE, "POST", code=401)
    stage.pull()
    stage.bridge.plan()
    stage.push()
    assert what(stage) == {}
    stage.bridge.check("jira", "Ada")
    stage.bridge.check("jira", "Ada")
    assert what(stage) == {"connection.resumed": 1}
    stage.settle()
    one_for_each_write(stage)


def test_letting_a_stopped_recipe_go_on_is_a_decision(stage: Scene) -> None:
    recipe = stage.bridge.recipe("escalation-to-jira")
    with stage.bridge.store.write() as tx:
        guard.halt_in(tx, recipe, "it failed", stage.clock.now())
    assert mend.resume_recipe(stage.bridge.store, recipe, 5, stage.clock.now(), "Ada")
    assert not mend.resume_recipe(stage.bridge.store, recipe, 5, stage.clock.now(), "Ada")
    [one] = entries(stage)
    assert (one.what, one.subject, one.detail["more"]) == ("recipe.resumed", "recipe:escalation-to-jira", 5)


# -- crashes -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("boundary", ["push.claimed", "push.sent", "push.answered", "push.recorded", "push.settled"])
def test_a_crash_leaves_neither_an_outcome_without_its_entry_nor_an_entry_without_its_outcome(
    tmp_path: Path, boundary: str, number: int
) -> None:
    reached: Counter[str] = Counter()

    def probe(name: str) -> None:
        reached[name] += 1
        if name == boundary and reached[name] == number:
            raise Killed

    with scene(tmp_path / "demo", probe=probe) as stage:
        stage.ticket(7001)
        with pytest.raises(Killed):
            stage.settle()
        one_for_each_write(stage)
        before = what(stage)
        assert set(before) <= {"write.confirmed"}
        stage.bridge.close()
        stage.bridge = stage.open()
        in_doubt = stage.bridge.pusher.recover()
        assert what(stage) == before + Counter({"write.unknown": in_doubt})
        assert in_doubt == (boundary in ("push.sent", "push.answered", "push.recorded"))
        stage.settle()
        one_for_each_write(stage)
        as_the_journal_says(stage)
        assert len(stage.effects("issue.created")) == 1
        assert stage.summary()["duplicates"] == []


# -- decisions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Five]:
    with five(tmp_path / "d") as staged, staged.listening():
        (staged.folder / "recipes" / "ask-first.toml").write_text(RECIPE, encoding="utf-8")
        staged.ticket(7001, tags=["vip"], requester={"name": "Ines <b>", "email": "ines@northwind.test"})
        staged.cycle()
        yield staged


def test_every_answer_and_every_message_has_exactly_one_entry(asking: Five) -> None:
    with asking.bridge.store.read() as tx:
        [question] = approvals.find(tx, recipe="ask-first")
    for user, form in (
        ("Maya Ortiz", {"hours": "4"}),
        ("Maya Ortiz", {"severity": "S2"}),
        ("CS Leads", {"severity": "S1"}),
    ):
        asking.press(question.id, "approve", user=user, **form)
        asking.cycle()
    asking.settle()
    one_for_each_write(asking)
    as_the_journal_says(asking)
    found = [one for one in entries(asking) if one.what == "approval.answered"]
    # The first forgot a field: it was given, and does not count.
    assert [one.detail["counts"] for one in found] == [False, True, True]
    assert [one.detail["state"] for one in found] == ["open", "open", "approved"]
    assert {one.detail["words"] for one in found} == {token_of(question).rpartition(".")[2]}
    assert found[0].actor == found[1].actor != found[2].actor
    assert {one.subject for one in found} == {"zendesk/tickets/7001"}
    told = personal(asking)
    assert [word for word in ("Maya", "maya", "Ines", "ines@", "harbourlight", "S1") if word in told] == []


def test_one_person_has_one_pseudonym_in_the_chat_and_on_the_command_line(asking: Five) -> None:
    with asking.bridge.store.read() as tx:
        [question] = approvals.find(tx, recipe="ask-first")
    asking.press(question.id, "approve", severity="S2")
    with asking.bridge.store.write() as tx:
        given = Pressed(
            token_of(question), "approve", who="Maya@Harbourlight.example", name="Maya", form={"severity": "S1"}
        )
        assert answered(tx, "", given, asking.clock.now()).counts
        wrong = Pressed(f"{question.id}.0000", "approve", who="Maya", name="Maya", form={})
        assert not answered(tx, "", wrong, asking.clock.now()).counts
    first, second = [one for one in entries(asking) if one.what == "approval.answered"]
    assert first.actor == second.actor
