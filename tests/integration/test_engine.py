"""What the engine promises beside the scenes: limits, dead letters, queueing, stages, sweeps, recipes that change."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cxbridge.core.engine import mend
from cxbridge.core.engine.history import find_refs, why, why_not
from cxbridge.core.engine.rehearse import rehearse
from cxbridge.core.ledger import Ref
from cxbridge.core.store import planning, state
from tests.integration.scene import Scene, scene


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path / "demo") as staged:
        yield staged


def edit_recipe(stage: Scene, *changes: tuple[str, str]) -> None:
    file = stage.folder / "recipes" / "escalation-to-jira.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def test_in_shadow_everything_is_decided_and_nothing_is_written(stage: Scene) -> None:
    edit_recipe(stage, ('stage   = "live"', 'stage   = "shadow"'))
    stage.ticket(7001)
    planned, pushed = stage.cycle()
    assert (planned.started, pushed) == (1, 0)
    assert stage.writes() == 0
    run = stage.runs()[0]
    assert run.state == "done"
    shown = stage.deliveries(state="shadow")
    assert {one.action for one in shown} == {"issue.ensure", "link.ensure", "comment.add_once"}
    # What it saw in shadow it has not acted on: once it is live, nothing has to change again before it does.
    edit_recipe(stage, ('stage   = "shadow"', 'stage   = "live"'))
    stage.pull()
    stage.bridge.plan()
    stage.push()
    assert len(stage.issues()) == 1


def test_a_canary_acts_for_its_accounts_only(stage: Scene) -> None:
    edit_recipe(stage, ('stage   = "live"', 'stage   = "canary"\ncanary  = { accounts = ["Northwind"] }'))
    stage.organization("Globex", "enterprise")
    stage.ticket(7001)
    stage.ticket(7002, organization="Globex", requester={"name": "Gil", "email": "gil@globex.test"})
    stage.cycle()
    assert [one["summary"][:6] for one in stage.issues()] == ["[7001]"]


def test_a_paused_recipe_catches_up_when_it_goes_on(stage: Scene) -> None:
    edit_recipe(stage, ('stage   = "live"', 'stage   = "paused"'))
    stage.ticket(7001)
    stage.cycle()
    assert stage.writes() == 0
    edit_recipe(stage, ('stage   = "paused"', 'stage   = "live"'))
    stage.cycle()
    assert len(stage.issues()) == 1


def test_above_halt_if_matches_nothing_is_written_until_a_person_allows_it(stage: Scene) -> None:
    edit_recipe(stage, ("halt_if_matches = 200", "halt_if_matches = 2"))
    for number in range(7001, 7005):
        stage.ticket(number)
    stage.cycle()
    assert stage.writes() == 0
    with stage.bridge.store.read() as tx:
        pause = state.pauses(tx)["recipe:escalation-to-jira"]
    assert "halt_if_matches" in pause.reason
    assert "recipes resume" in pause.hint
    recipe = stage.bridge.recipe("escalation-to-jira")
    assert mend.resume_recipe(stage.bridge.store, recipe, 10, stage.clock.now())
    stage.cycle()
    assert len(stage.issues()) == 4


def test_a_rejected_write_becomes_a_dead_letter_that_can_be_retried(stage: Scene) -> None:
    stage.act("POST", "/faults", {
        "name": "status", "vendor": "jira", "method": "POST", "path_regex": "/rest/api/3/issue$", "times": 1,
        "params": {"code": 400, "body": {"errorMessages": [], "errors": {"customfield_10031": "Team is required."}}},
    })  # fmt: skip
    stage.ticket(7001)
    stage.cycle()
    dead = stage.deliveries(state="dead")
    assert len(dead) == 1
    assert "customfield_10031" in dead[0].error
    failed = stage.runs(state="failed")
    assert [run.subject.key for run in failed] == ["7001"]
    stage.cycle()
    assert stage.writes() == 0, "a dead letter is never sent again by itself"
    assert mend.retry_deliveries(stage.bridge.store, [dead[0].id], stage.clock.now()) == 1
    stage.settle()
    assert len(stage.issues()) == 1
    assert len(stage.effects("comment.added")) == 1
    assert stage.runs(state="failed") == []


def test_one_dead_letter_of_a_follow_does_not_keep_the_others_from_hearing(stage: Scene) -> None:
    stage.ticket(7001, type="problem")
    stage.ticket(7002, problem=7001)
    stage.settle()
    stage.cycle()
    stage.act("POST", "/faults", {
        "name": "status", "vendor": "zendesk", "method": "PUT", "path_regex": "/tickets/7001", "times": 1,
        "params": {"code": 422, "body": {"error": "RecordInvalid", "description": "x", "details": {"base": []}}},
    })  # fmt: skip
    stage.engineer_closes(stage.issues()[0]["key"], "Fixed")
    stage.cycle()
    assert [one.target.key for one in stage.deliveries(state="dead") if one.target] == ["7001"]
    assert "fix-released" in stage.seen_ticket(7002)["ticket"]["tags"]


def test_writes_of_one_hour_are_limited_and_the_rest_waits(stage: Scene) -> None:
    edit_recipe(stage, ("writes_per_hour = 600", "writes_per_hour = 3"))
    for number in range(7001, 7004):
        stage.ticket(number)
    stage.pull()
    stage.bridge.plan()
    stage.push()
    assert stage.writes() <= 3
    for _ in range(6):
        stage.world.clock.advance(3600)
        stage.cycle()
    stage.settle()
    assert len(stage.issues()) == 3


def test_a_run_ends_under_the_version_that_began_it(stage: Scene) -> None:
    stage.ticket(7001)
    stage.pull()
    stage.bridge.plan()
    edit_recipe(stage, ("Escalated to engineering as", "Passed on as"))
    stage.push()
    notes = [one["body"] for one in stage.seen_ticket(7001)["comments"]]
    assert any("Escalated to engineering as" in note for note in notes)
    assert not any("Passed on as" in note for note in notes)


def test_the_sweep_finds_what_the_feed_never_announced(stage: Scene) -> None:
    fields = 'fields = ["tags", "priority", "status_category", "problem"]\n'
    edit_recipe(stage, ('on     = "ticket.changed"', 'on     = "ticket.deleted"'), (fields, ""))
    stage.ticket(7001)
    stage.cycle()
    assert len(stage.issues()) == 1
    with stage.bridge.store.read() as tx:
        fired = planning.last_fire(tx, "escalation-to-jira/sweep")
    assert fired is not None
    stage.cycle()
    with stage.bridge.store.read() as tx:
        assert planning.last_fire(tx, "escalation-to-jira/sweep") == fired, "fifteen minutes have not passed"


def test_a_new_recipe_meets_what_is_already_stored(stage: Scene) -> None:
    file = stage.folder / "recipes" / "escalation-to-jira.toml"
    text = file.read_text(encoding="utf-8")
    file.unlink()
    stage.ticket(7001)
    stage.cycle()
    file.write_text(text, encoding="utf-8")
    stage.cycle()
    assert len(stage.issues()) == 1


def test_a_broken_recipe_is_off_and_the_others_run(stage: Scene) -> None:
    broken = (stage.folder / "recipes" / "escalation-to-jira.toml").read_text(encoding="utf-8")
    (stage.folder / "recipes" / "broken.toml").write_text(
        broken.replace("ticket.tags", "ticket.tagz"), encoding="utf-8"
    )
    stage.ticket(7001)
    stage.cycle()
    assert [Path(error.path).stem for error in stage.bridge.library.errors] == ["broken"]
    assert len(stage.issues()) == 1


def test_a_rehearsal_tells_what_would_be_written_and_writes_nothing(stage: Scene) -> None:
    stage.ticket(7001)
    stage.ticket(7002, priority=None)
    stage.ticket(7003, tags=[])
    stage.pull()
    recipe = stage.bridge.recipe("escalation-to-jira")
    told = rehearse(stage.bridge.store, stage.bridge.stepper, recipe, stage.clock)
    assert told.considered == 3
    assert told.stopped == {"asked_for": 1}
    assert [(one.subject.key, bool(one.held)) for one in told.acts] == [("7001", False), ("7002", True)]
    assert told.acts[0].deliveries[0].inputs["priority"] == "High"
    assert (
        rehearse(stage.bridge.store, stage.bridge.stepper, recipe, stage.clock, since=timedelta(minutes=5)).considered
        == 0
    )
    assert (stage.writes(), stage.runs(), stage.deliveries()) == (0, [], [])


def test_why_not_names_the_condition_and_what_it_saw(stage: Scene) -> None:
    stage.ticket(7001, organization="Solo", requester={"name": "Sol", "email": "sol@solo.test"})
    stage.cycle()
    told = why_not(
        stage.bridge.store, stage.bridge.recipe("escalation-to-jira"), Ref("zendesk", "tickets", "7001"), stage.clock
    )
    assert told is not None
    assert not told.acts
    assert [(one.name, one.verdict) for one in told.conditions] == [
        ("asked_for", True), ("right_tier", False), ("still_open", None), ("not_linked", None),
    ]  # fmt: skip
    assert ("account.tier", "self_serve") in told.conditions[1].values


def test_why_tells_the_history_over_both_systems(stage: Scene) -> None:
    stage.ticket(7001)
    stage.settle()
    stage.cycle()
    key = stage.issues()[0]["key"]
    stage.engineer_closes(key, "Fixed")
    stage.cycle()
    stage.cycle()
    ref = find_refs(stage.bridge.store, "zendesk:7001")
    assert ref == [Ref("zendesk", "tickets", "7001")]
    events = why(stage.bridge.store, ref[0])
    told = [f"{one.system} {one.what}: {one.told}" for one in events]
    assert [one.at for one in events] == sorted(one.at for one in events)
    assert any(f"issue.ensure confirmed → {key}" in line for line in told), told
    assert any("fix-released" in line for line in told), told
    assert any(line.startswith("jira change") for line in told), told
    assert find_refs(stage.bridge.store, key)[0].connection == "jira"


def test_a_restart_reads_nothing_again_and_writes_nothing(stage: Scene) -> None:
    stage.ticket(7001)
    stage.settle()
    stage.cycle()
    writes, asked = stage.writes(), len(stage.world.journal.requests())
    stage.bridge.close()
    stage.bridge = stage.open()
    stage.cycle()
    assert stage.writes() == writes
    exports = [one for one in stage.world.journal.requests()[asked:] if "incremental/tickets/cursor" in one.path]
    assert all("start_time" not in one.query for one in exports)


def test_a_follow_batch_goes_alone_first(stage: Scene) -> None:
    edit_recipe(stage, ('batch    = 25\ndo       = "desk.ticket.set"', 'batch    = 2\ndo       = "desk.ticket.set"'))
    stage.ticket(7001, type="problem")
    for number in (7002, 7003, 7004, 7005):
        stage.ticket(number, problem=7001)
    stage.settle()
    stage.cycle()
    key = stage.issues()[0]["key"]
    stage.engineer_closes(key, "Fixed")
    stage.pull()
    stage.bridge.plan()
    assert len(stage.deliveries(state="planned")) == 2
    stage.settle()
    assert all("fix-released" in stage.seen_ticket(n)["ticket"]["tags"] for n in range(7001, 7006))


def test_the_smallest_recipe_makes_one_issue_however_often_the_ticket_changes(stage: Scene) -> None:
    (stage.folder / "recipes" / "escalation-to-jira.toml").unlink()
    (stage.folder / "recipes" / "urgent-tickets.toml").write_text(
        """
        title = "Urgent tickets become engineering issues"
        owner = "support-ops"
        stage = "live"
        use   = { desk = "zendesk", tracker = "jira" }

        [[trigger]]
        on = "ticket.changed"
        from = "desk"

        [when]
        urgent = "ticket.priority == 'urgent'"

        [[step]]
        id = "issue"
        do = "tracker.issue.ensure"
        with = { project = "ENG", subject = "{{ ticket.subject }}", body = "{{ ticket.body_text }}" }
        """
    )
    stage.ticket(7001, priority="urgent")
    stage.settle()
    stage.agent(7001, tags_add=["vip"])
    stage.settle()
    stage.agent(7001, status="pending")
    stage.settle()
    assert len(stage.runs()) == 3
    assert len(stage.issues()) == 1


def test_a_recipe_that_is_paused_sends_nothing_more_until_it_goes_on(stage: Scene) -> None:
    stage.ticket(7001)
    stage.pull()
    stage.bridge.plan()
    edit_recipe(stage, ('stage   = "live"', 'stage   = "paused"'))
    for _ in range(3):
        stage.cycle()
    assert stage.writes() == 0
    edit_recipe(stage, ('stage   = "paused"', 'stage   = "live"'))
    stage.settle()
    assert len(stage.issues()) == 1
    assert len(stage.effects("comment.added")) == 1
