"""Questions to people: who counts, what silence means, what becomes of the buttons, and nothing lost between answer and advance."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
import structlog.testing

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import Pressed
from cxbridge.core.engine.approvals import answered
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.engine.inbox import Asked, on_pressed
from cxbridge.core.engine.jobs import Board
from cxbridge.core.engine.mend import drop_deliveries, retry_deliveries
from cxbridge.core.engine.rehearse import rehearse
from cxbridge.core.engine.trial import run_tests
from cxbridge.core.engine.verdicts import token_of, verdict_of
from cxbridge.core.store import approvals, inbox
from tests.core.engine.little_company import HEAD, Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
HOUR = 3600.0
ASK = r'''
[[step]]
id = "triage"
do = "approve"
[step.with]
to         = "chat:#eng-triage"
quorum     = 1
deputies   = ["support-leads"]
ttl        = "4h"
on_timeout = "hold"
ask        = "Escalate {{ ticket.source_key }} for *{{ account.name }}*?"
[step.with.form]
existing = { type = "text", optional = true }
severity = { type = "choice", of = ["S1", "S2", "S3"] }
hours    = { type = "number", default = 8, label = "How long may it take?" }

[[step]]
id = "note"
do = "desk.comment.add_once"
[step.with]
visibility = "internal"
body       = """
{{ triage.severity | default('S3', true) }}, {{ triage.hours }} h, {{ triage.by | default('nobody', true) }}, \
{{ triage.existing | default('none', true) }}"""
'''


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def asked(folder: Path, clock: ManualClock, *edits: tuple[str, str], **settings: Any) -> Iterator[Company]:
    text = ASK
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    with company(folder, text, clock, **settings) as staged:
        staged.vendors.put("desk/accounts", cx.Account(source_id="northwind", name="Northwind <& Sons>"))
        staged.vendors.put("desk/contacts", cx.Contact(source_id="mia", name="Mia", emails=["mia@northwind.test"]))
        people = {"U1": "ines", "U2": "tom", "U3": "ada"}
        agents = [cx.Agent(source_id=key, name=name.title(), email=f"{name}@us.test") for key, name in people.items()]
        staged.vendors.put("chat/users", *agents)
        staged.ticket("7")
        staged.cycle(0)
        yield staged


@pytest.fixture
def open_question(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    yield from asked(tmp_path, clock)


FILLED = {"severity": "S2"}


# -- asking ------------------------------------------------------------------------------------------------------------


def test_the_question_is_put_with_buttons_and_form_and_the_run_waits(open_question: Company) -> None:
    [ask] = open_question.vendors.calls("message.ask")
    approval = open_question.approval()
    assert (ask.to, ask.approval) == ("#eng-triage", token_of(approval))
    assert ask.text == approval.question == "Escalate #7 for *Northwind <& Sons>*?"
    assert [(one.label, one.choice, one.style) for one in ask.buttons] == [
        ("Approve", "approve", "primary"),
        ("Reject", "reject", "danger"),
    ]
    assert [(one.name, one.type, one.of, one.optional, one.label) for one in ask.form] == [
        ("existing", "text", [], True, ""),
        ("severity", "choice", ["S1", "S2", "S3"], False, ""),
        ("hours", "number", [], False, "How long may it take?"),
    ]
    run = open_question.run()
    # The deputies' turn comes first, at half the time.
    assert (run.state, run.wake_at) == ("waiting", START + timedelta(hours=2))
    assert run.reason == (
        f"triage: waits for an answer until 2026-05-06 12:00Z; answer it with: cxbridge approvals answer {approval.id}"
    )
    assert open_question.notes() == []


def test_the_question_stands_in_the_commit_that_plans_its_message(tmp_path: Path, clock: ManualClock) -> None:
    class Killed(BaseException):
        pass

    def probe(reached: str) -> None:
        if reached == "plan.decided":
            raise Killed

    with company(tmp_path, ASK, clock) as staged:
        staged.restart(probe)
        staged.ticket()
        with pytest.raises(Killed):
            staged.cycle()
        with staged.bridge.store.read() as tx:
            assert approvals.find(tx) == []
        assert staged.deliveries() == []
        staged.restart()
        staged.cycle()
        assert len(staged.vendors.calls("message.ask")) == 1
        assert staged.approval().state == "open"


def test_an_approval_moves_the_run_on_and_the_answers_are_typed(open_question: Company) -> None:
    outcome = open_question.answer("approve", form={"severity": "S2", "hours": "4", "existing": " "})
    assert (outcome.counts, outcome.decided) == (True, True)
    open_question.later(60)
    assert open_question.notes() == ["S2, 4 h, Ines, none"]
    told = open_question.run().results["triage"]
    assert told["approved"] is True
    assert (told["severity"], told["hours"], told["existing"]) == ("S2", 4, None)
    assert told["by"] == "Ines"
    assert told["at"] == "2026-05-06T08:00:00Z"
    [settled] = open_question.vendors.calls("message.settle")
    assert settled.text == "Approved by Ines at 2026-05-06 08:00Z (severity: S2, hours: 4)"
    [target] = [one.target for one in open_question.deliveries() if one.action == "message.settle"]
    assert target is not None
    assert str(target) == open_question.run().results["triage.ask"]["id"]


def test_a_rejection_ends_the_run(open_question: Company) -> None:
    outcome = open_question.answer("reject")
    assert (outcome.counts, outcome.decided) == (True, True)
    open_question.later(60)
    run = open_question.run()
    assert (run.state, run.reason) == ("stopped", "triage: rejected by Ines at 2026-05-06 08:00Z")
    assert run.results["triage"]["approved"] is False
    assert open_question.notes() == []
    assert "Rejected by Ines" in open_question.vendors.calls("message.settle")[0].text
    open_question.later(10 * HOUR)
    assert open_question.run() == run


def test_a_rejection_goes_on_where_the_file_says_so(tmp_path: Path, clock: ManualClock) -> None:
    for staged in asked(tmp_path, clock, ('on_timeout = "hold"', 'on_timeout = "hold"\non_reject = "continue"')):
        staged.answer("reject")
        staged.later(60)
        assert staged.run().state == "done"
        assert staged.notes() == ["S3, 8 h, Ines, none"]


# -- who counts --------------------------------------------------------------------------------------------------------


@pytest.fixture
def quorum_of_two(tmp_path: Path, clock: ManualClock, store_url: str) -> Iterator[Company]:
    yield from asked(tmp_path, clock, ("quorum     = 1", "quorum     = 2"), store={"url": store_url})


def test_who_answers_twice_counts_once(quorum_of_two: Company) -> None:
    for _ in range(3):
        outcome = quorum_of_two.answer("approve", "U1", FILLED)
        assert (outcome.counts, outcome.decided, outcome.told) == (True, False, "open, 1 of 2 approved")
    quorum_of_two.later(60)
    assert quorum_of_two.run().state == "waiting"
    assert quorum_of_two.answer("approve", "U2", {"severity": "S1", "hours": 2}).decided
    quorum_of_two.later(60)
    # The newest answer fills in the form.
    assert quorum_of_two.notes() == ["S1, 2 h, Ines and Tom, none"]


def test_the_last_answer_of_a_person_counts_until_it_is_decided(quorum_of_two: Company) -> None:
    quorum_of_two.answer("approve", "U1", {"severity": "S1", "existing": "ENG-1"})
    quorum_of_two.answer("approve", "U1", {"severity": "S3"})
    quorum_of_two.answer("approve", "U2", {"severity": "S3"})
    quorum_of_two.later(60)
    assert quorum_of_two.notes() == ["S3, 8 h, Ines and Tom, none"]


def test_one_rejection_decides_against_any_number(quorum_of_two: Company) -> None:
    quorum_of_two.answer("approve", "U1", FILLED)
    assert quorum_of_two.answer("reject", "U2").decided
    quorum_of_two.later(60)
    assert quorum_of_two.run().reason == "triage: rejected by Tom at 2026-05-06 08:00Z"


def test_one_person_in_two_places_is_one(quorum_of_two: Company) -> None:
    quorum_of_two.answer("approve", "U1", FILLED)
    again = quorum_of_two.answer("approve", "Ines@us.test", FILLED, connection="")
    assert (again.counts, again.decided) == (True, False)
    assert quorum_of_two.answer("approve", "root", FILLED, connection="").decided


def test_an_answer_after_the_decision_is_told_and_ignored(open_question: Company) -> None:
    open_question.answer("approve", "U1", FILLED)
    late = open_question.answer("reject", "U2")
    assert (late.counts, late.decided) == (False, False)
    assert late.told.startswith("it is decided already: approved by Ines at 2026-05-06 08:00Z")
    open_question.later(60)
    again = open_question.answer("reject", "U2")
    assert not again.counts
    assert len(open_question.approval().answers) == 1
    assert open_question.run().results["triage"]["approved"] is True


def test_the_log_of_an_answer_that_does_not_count_names_nobody(open_question: Company) -> None:
    token = token_of(open_question.approval())
    assert open_question.answer("approve", form={**FILLED, "existing": "a customer's words"}).decided
    with structlog.testing.capture_logs() as logged, open_question.bridge.store.write() as tx:
        on_pressed(tx, "chat", Pressed(token, "approve", "users/U2", form=FILLED), START)
    name = open_question.approval().id
    assert [(one["approval"], one["told"]) for one in logged] == [(name, "it is decided already")]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"approval": "apr_none.0000000000000000"}, "there is no such question"),
        ({"connection": "desk"}, "this was not asked in desk"),
        ({"choice": "perhaps"}, "'perhaps' is none of the choices: approve, reject"),
    ],
)
def test_answers_that_are_none(open_question: Company, more: dict[str, Any], told: str) -> None:
    given = {"choice": "approve", "form": FILLED, **more}
    outcome = open_question.answer(given.pop("choice"), **given)
    assert (outcome.counts, outcome.told) == (False, told)
    assert open_question.approval().answers == []


def test_an_answer_counts_for_the_very_question_that_was_asked(open_question: Company) -> None:
    """A token of other words, another form or another quorum decides nothing, whatever its id says."""
    approval = open_question.approval()
    changes: list[dict[str, Any]] = [{"question": "Escalate #8?"}, {"quorum": 2}, {"form": []}, {"step": "other"}]
    for changed in changes:
        other = token_of(cx.msgspec.structs.replace(approval, **changed))
        for forged in (other, approval.id, f"{approval.id}.", f"{approval.id}.ünïcode"):
            outcome = open_question.answer("approve", form=FILLED, approval=forged)
            assert (outcome.counts, outcome.told) == (False, "the question is not the one that was answered")
    assert open_question.answer("approve", form=FILLED).counts


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, "severity is missing"),
        ({"severity": "S9"}, "severity is one of S1, S2, S3"),
        ({"severity": "S1", "hours": "soon"}, "hours is no number"),
        ({"severity": "S1", "hours": float("nan")}, "hours is no number"),
        ({"severity": "S1", "hours": True}, "hours is no number"),
        ({"severity": ["S1"]}, "severity is no text"),
        ({"severity": "S1", "existing": "x" * 3001}, "existing is longer than 3,000 characters"),
        ({"hours": "x"}, "severity is missing; hours is no number"),
    ],
)
def test_a_form_that_does_not_fit_is_refused_and_whoever_sent_it_is_told(
    open_question: Company, form: dict[str, Any], told: str
) -> None:
    message = open_question.run().results["triage.ask"]["id"].removeprefix("chat/")
    outcome = open_question.answer("approve", form=form, message=message)
    assert (outcome.counts, outcome.decided, outcome.told) == (False, False, told)
    open_question.later(60)
    assert open_question.run().state == "waiting"
    assert [one.text for one in open_question.vendors.calls("message.reply_once")] == [
        f"Ines, this does not count yet: {told}."
    ]
    open_question.later(60)
    assert len(open_question.vendors.calls("message.reply_once")) == 1
    assert open_question.answer("approve", form=FILLED).decided


def test_a_rejection_needs_no_form(open_question: Company) -> None:
    assert open_question.answer("reject", form={"severity": "S9"}).decided


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("silence", "ends", "notes"), [("approve", "done", 1), ("reject", "stopped", 0)])
def test_silence_means_what_the_file_says(
    tmp_path: Path, clock: ManualClock, silence: str, ends: str, notes: int
) -> None:
    for staged in asked(tmp_path, clock, ('on_timeout = "hold"', f'on_timeout = "{silence}"')):
        staged.later(4 * HOUR - 2)
        assert staged.run().state == "waiting"
        staged.later(1)
        run = staged.run()
        assert (run.state, len(staged.notes())) == (ends, notes)
        told = run.results["triage"]
        assert (told["approved"], told["by"], told["severity"]) == (silence == "approve", None, None)
        assert told["told"].endswith("because nobody decided within 4h")
        # Both messages say so: that to the channel, and that to the deputies.
        assert len(staged.vendors.calls("message.settle")) == 2
        late = staged.answer("approve", form=FILLED)
        assert (late.counts, late.told.split(" at ")[0]) == (
            False,
            f"it is decided already: {silence}{'d' if silence[-1] == 'e' else 'ed'}",
        )


def test_held_by_silence_a_person_still_decides(open_question: Company) -> None:
    open_question.later(4 * HOUR)
    run = open_question.run()
    assert (run.state, run.wake_at) == ("held", None)
    assert run.reason.startswith("triage: nobody decided within 4h; answer it with: cxbridge approvals answer apr_")
    # Another change of the ticket does not ask again.
    open_question.ticket("7", subject="Export stops for good")
    open_question.later(60)
    assert open_question.run().state == "held"
    assert len(open_question.vendors.calls("message.ask")) == 2
    assert open_question.answer("approve", form=FILLED).decided
    open_question.later(60)
    assert open_question.run().state == "done"
    assert open_question.notes() == ["S2, 8 h, Ines, none"]


def test_too_late_by_a_moment_is_too_late(tmp_path: Path, clock: ManualClock) -> None:
    for staged in asked(tmp_path, clock, ('on_timeout = "hold"', 'on_timeout = "reject"')):
        clock.advance(4 * HOUR)
        late = staged.answer("approve", form=FILLED)
        assert (late.counts, late.told) == (False, "the time was up at 2026-05-06 12:00Z")


def test_the_deputies_are_asked_when_the_first_did_not_answer(open_question: Company) -> None:
    open_question.later(2 * HOUR - 1)
    open_question.later(0)
    assert [one.to for one in open_question.vendors.calls("message.ask")] == ["#eng-triage", "support-leads"]
    assert open_question.run().wake_at == START + timedelta(hours=4)
    open_question.later(HOUR)
    assert len(open_question.vendors.calls("message.ask")) == 2
    open_question.answer("approve", "U3", FILLED)
    open_question.later(60)
    assert len(open_question.vendors.calls("message.settle")) == 2


def test_an_answer_in_time_spares_the_deputies(tmp_path: Path, clock: ManualClock) -> None:
    edits = ('ttl        = "4h"', 'ttl        = "4h"\ndeputies_after = "15m"')
    for staged in asked(tmp_path, clock, edits):
        assert staged.run().wake_at == START + timedelta(minutes=15)
        staged.answer("approve", form=FILLED)
        staged.later(5 * HOUR)
        assert len(staged.vendors.calls("message.ask")) == 1


def test_time_to_answer_is_open_time_where_a_calendar_is_named(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 5, 8, 16, 0, tzinfo=UTC))
    edits = ('ttl        = "4h"', 'ttl        = "4h"\nclock = "weekdays"')
    for staged in asked(tmp_path, clock, edits):
        assert staged.approval().expires_at == datetime(2026, 5, 11, 12, 0, tzinfo=UTC)


# -- crashes and failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["wake.moved", "wake.committed", "push.claimed", "push.sent", "push.answered"])
def test_killed_between_answer_and_advance_everything_is_there_once(open_question: Company, boundary: str) -> None:
    class Killed(BaseException):
        pass

    def probe(reached: str) -> None:
        if reached == boundary:
            raise Killed

    open_question.answer("approve", form=FILLED)
    open_question.restart(probe)
    with pytest.raises(Killed):
        open_question.cycle()
    open_question.restart()
    for _ in range(6):
        open_question.later(10)
    assert open_question.run().state == "done"
    assert len(open_question.notes()) == 1
    assert len(open_question.vendors.calls("message.settle")) == 1


def test_an_answer_that_was_not_committed_was_not_given(open_question: Company) -> None:
    approval = open_question.approval()
    pressed = Pressed(token_of(approval), "approve", "users/U1", form=FILLED)

    def cut_off() -> None:
        with open_question.bridge.store.write() as tx:
            assert answered(tx, "chat", pressed, START).decided
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        cut_off()
    open_question.restart()
    open_question.later(60)
    assert open_question.run().state == "waiting"
    assert open_question.answer("approve", form=FILLED).decided


def test_an_answer_in_time_counts_although_the_time_is_up_when_the_next_process_starts(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[str] = []
    monkeypatch.setattr(Board, "start", lambda _: None)
    monkeypatch.setattr(Board, "nudge", lambda _, job: jobs.append(job))
    for staged in asked(tmp_path, clock, ('on_timeout = "hold"', 'on_timeout = "reject"')):
        pressed = Pressed(token_of(staged.approval()), "approve", "users/U1", form=FILLED)
        arrival = inbox.Arrival(
            connection="chat",
            event_id="e1",
            received_at=START + timedelta(hours=1),
            announced=msgspec.Raw(msgspec.json.encode(Asked(pressed=[pressed]))),
        )
        with staged.bridge.store.write() as tx:
            inbox.add(tx, [arrival])
        staged.clock.advance(5 * HOUR)
        daemon = Daemon(staged.bridge)
        daemon.start()
        for job in [*jobs]:
            daemon._run(job, Event())
        daemon.end()
        assert staged.approval().state == "approved"


def test_decided_while_the_question_was_being_put_its_buttons_go_as_well(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, ASK, clock) as staged:
        staged.vendors.script["message.ask"] = ["lost"]
        staged.ticket()
        staged.cycle()
        assert staged.answer("reject", "root", connection="").decided
        staged.bridge.wake()
        assert staged.run().state == "stopped"
        staged.later(30)
        staged.later(30)
        assert len(staged.vendors.calls("message.ask")) == 1
        assert len(staged.vendors.calls("message.settle")) == 1
        assert staged.run().state == "stopped"


def test_decided_before_the_question_went_out_nobody_is_asked(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, ASK, clock) as staged:
        staged.vendors.script["message.ask"] = ["busy"]
        staged.ticket()
        staged.cycle()
        assert staged.answer("approve", "root", FILLED, connection="").decided
        for _ in range(6):
            staged.later(60)
        assert staged.vendors.calls("message.ask") == []
        assert [one.state for one in staged.deliveries() if one.action == "message.ask"] == ["cancelled"]
        assert staged.run().state == "done"


def test_a_question_that_cannot_be_put_is_a_dead_letter_that_can_be_sent_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    with company(tmp_path, ASK, clock) as staged:
        staged.vendors.script["message.ask"] = ["refused"]
        staged.ticket()
        staged.cycle()
        assert staged.run().state == "failed"
        assert staged.run().reason == "step triage.ask: was rejected (404): there is no such channel"
        refused = staged.answer("approve", "root", FILLED, connection="")
        assert (refused.counts, refused.told) == (False, "the run that asked is failed")
        [dead] = staged.deliveries(state="dead")
        assert retry_deliveries(staged.bridge.store, [dead.id], clock.now()) == 1
        staged.later(60)
        assert staged.run().state == "waiting"
        assert staged.answer("approve", form=FILLED).decided
        staged.later(60)
        assert staged.run().state == "done"


def test_what_happens_to_the_messages_never_touches_the_run(open_question: Company) -> None:
    open_question.vendors.script["message.ask"] = ["refused"]
    open_question.vendors.script["message.settle"] = ["refused"]
    open_question.later(2 * HOUR)
    assert open_question.run().state == "waiting", "the deputies could not be asked, and others were"
    open_question.answer("approve", form=FILLED)
    open_question.later(60)
    assert (open_question.run().state, len(open_question.notes())) == ("done", 1)
    dead = [one.id for one in open_question.deliveries(state="dead")]
    assert len(dead) == 2
    assert drop_deliveries(open_question.bridge.store, dead[:1], open_question.clock.now()) == 1
    assert retry_deliveries(open_question.bridge.store, dead[1:], open_question.clock.now()) == 1
    assert open_question.run().state == "done"


def test_a_run_that_is_cancelled_asks_no_longer(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, ASK + '\n[run]\nmode = "restart"\n', clock) as staged:
        staged.ticket()
        staged.cycle()
        first = staged.approval()
        staged.ticket(subject="Export stops again")
        staged.later(60)
        assert [run.state for run in staged.runs()] == ["waiting", "cancelled"]
        [settled] = staged.vendors.calls("message.settle")
        assert settled.text == "No longer asked at 2026-05-06 08:01Z"
        outcome = staged.answer("approve", form=FILLED, approval=token_of(first))
        assert not outcome.counts
        assert staged.answer("approve", form=FILLED).decided


# -- without a chat, and pretended -------------------------------------------------------------------------------------


def test_without_anybody_to_ask_the_command_line_answers(tmp_path: Path, clock: ManualClock) -> None:
    edits = (('to         = "chat:#eng-triage"\n', ""), ('deputies   = ["support-leads"]\n', ""))
    for staged in asked(tmp_path, clock, *edits):
        assert staged.vendors.calls("message.ask") == []
        assert staged.run().state == "waiting"
        assert staged.answer("approve", "tom", FILLED, connection="").decided
        staged.later(60)
        assert staged.notes() == ["S2, 8 h, tom, none"]


def test_choices_that_an_earlier_step_gave(tmp_path: Path, clock: ManualClock) -> None:
    first = '[[step]]\nid = "first"\ndo = "chat.message.notify_once"\nwith = { to = "#x", text = "y" }\n\n'
    edits = (
        ('existing = { type = "text"', 'existing = { type = "choice", from = "first"'),
        ('[[step]]\nid = "triage"', f'{first}[[step]]\nid = "triage"'),
        ('of = ["S1", "S2", "S3"]', 'of = "{{ ticket.tags }}"'),
    )
    text = ASK
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    with company(tmp_path, text, clock) as staged:
        staged.ticket(tags=["sev1", "sev2"])
        staged.cycle()
        [ask] = staged.vendors.calls("message.ask")
        made = staged.run().results["first"]["source_key"]
        assert [(one.name, one.of) for one in ask.form[:2]] == [("existing", [made]), ("severity", ["sev1", "sev2"])]
        assert staged.answer("approve", form={"severity": "sev1", "existing": made}).decided
        staged.ticket("2", tags=[])
        staged.later(60)
        assert staged.runs()[0].reason == "step triage: there is nothing to choose from for `severity`"


def test_a_plan_shows_the_question_and_takes_the_answer_to_be_yes(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, HEAD.replace('stage = "live"', 'stage = "shadow"') + ASK, clock) as staged:
        staged.ticket()
        staged.cycle()
        run = staged.run()
        assert run.state == "done"
        assert run.results["triage"]["told"] == "taken as approved: nobody was asked"
        with staged.bridge.store.read() as tx:
            assert approvals.find(tx) == []
        found = rehearse(staged.bridge.store, staged.bridge.stepper, staged.bridge.recipe("example"), clock)
        [acts] = found.acts
        assert [(one.step, one.action) for one in acts.deliveries] == [
            ("triage.ask", "message.ask"),
            ("note", "comment.add_once"),
        ]
        # Defaults where the form has them, else the first choice; what may stay empty stays empty.
        assert acts.deliveries[1].inputs["body"] == "S1, 8 h, «whoever answers», none"
        assert staged.vendors.done == []


def test_tests_in_the_file_see_the_question(tmp_path: Path, clock: ManualClock) -> None:
    case = """
[[test]]
name   = "one who is asked, one note"
given  = { ticket = { subject = "x", source_key = "#9" }, account = { name = "Northwind" } }
expect = { writes = 2, comments = 1, step = { triage = { to = "#eng-triage", text = "Escalate #9 for *Northwind*?" } } }
"""
    with company(tmp_path, ASK + case, clock) as staged:
        recipe = staged.bridge.recipe("example")
        [outcome] = run_tests(recipe, staged.bridge.store, staged.bridge.connections, clock)
        assert outcome.ok, outcome.told


def test_how_a_question_stands_in_words(quorum_of_two: Company) -> None:
    assert verdict_of(quorum_of_two.approval()) == "open, 0 of 2 approved"
    quorum_of_two.answer("approve", "U1", FILLED)
    assert verdict_of(quorum_of_two.approval()) == "open, 1 of 2 approved"
