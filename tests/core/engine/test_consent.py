"""Consent and contact fatigue: who is left alone and why, one ledger for all recipes, judged again in the commit that sends."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.consent import person_of
from cxbridge.core.engine.mend import drop_deliveries, retry_deliveries
from cxbridge.core.engine.rehearse import rehearse
from cxbridge.core.engine.trial import run_tests
from cxbridge.core.store import asks, state
from tests.core.engine.little_company import HEAD, Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
DAY = 86_400.0
MIA = "mia@northwind.test"
INVITE = """
[[step]]
id = "invite"
do = "survey.survey.invite_once"
with = { survey = "SV_1", email = "{{ contact.emails | first }}", programme = "nps" }

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ 'invited' if invite.id else invite.told }}" }
"""
# For customers to read, and counted because the step says what for.
TELL = """
[[step]]
id = "tell"
do = "desk.comment.add_once"
purpose = "follow_up"
with = { visibility = "public", body = "We fixed it" }
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def people(staged: Company, **contact: Any) -> None:
    staged.vendors.put("desk/accounts", cx.Account(source_id="northwind", name="Northwind"))
    staged.vendors.put(
        "desk/contacts",
        cx.Contact(**{"source_id": "mia", "name": "Mia", "emails": [MIA], "account": "accounts/northwind", **contact}),
    )


@pytest.fixture
def inviting(tmp_path: Path, clock: ManualClock, store_url: str) -> Iterator[Company]:
    with company(tmp_path, INVITE, clock, store={"url": store_url}) as staged:
        people(staged)
        yield staged


def key_of(staged: Company) -> bytes:
    with staged.bridge.store.read() as tx:
        return state.instance_key(tx)


def ledger(staged: Company, email: str = MIA) -> list[asks.Asked]:
    return staged.asked(person_of(key_of(staged), email))


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_an_ask_is_entered_without_the_address(inviting: Company) -> None:
    inviting.ticket()
    inviting.cycle()
    assert [one.email for one in inviting.vendors.calls("survey.invite_once")] == [MIA]
    [line] = ledger(inviting)
    assert (line.purpose, line.programme, line.recipe, line.step, line.at) == (
        "survey", "nps", "example", "invite", START,
    )  # fmt: skip
    assert MIA not in str(line)
    assert line.run == inviting.run().id
    assert inviting.notes() == ["invited"]


def test_the_same_address_in_other_letters_is_the_same_person() -> None:
    assert person_of(b"k", " Mia@Northwind.TEST ") == person_of(b"k", MIA)
    assert person_of(b"k", MIA) != person_of(b"other", MIA)
    assert person_of(b"k", MIA) != person_of(b"k", "tom@northwind.test")


def test_nobody_is_asked_twice_within_the_quarantine(inviting: Company) -> None:
    inviting.ticket("1")
    inviting.cycle()
    inviting.ticket("2")
    inviting.later(12 * DAY)
    assert len(inviting.vendors.calls("survey.invite_once")) == 1
    assert inviting.notes()[1:] == ["not asked: asked 12 days ago for nps (quarantine 90d)"]
    second = inviting.runs()[0]
    assert (second.state, second.reason) == ("done", "invite: not asked: asked 12 days ago for nps (quarantine 90d)")
    assert second.results["invite"]["skipped"] is True
    assert inviting.tallies("example") == {"not asked: quarantine": 1}
    inviting.ticket("3")
    inviting.later(78 * DAY)
    assert len(inviting.vendors.calls("survey.invite_once")) == 2
    assert len(ledger(inviting)) == 2


@pytest.mark.parametrize(
    ("settings", "edits", "days"),
    [
        ({}, (), 90),
        ({"contacts": {"quarantine": "30d"}}, (), 30),
        ({}, (("[[step]]", '[limits]\nquarantine = "10d"\n\n[[step]]'),), 10),
        (
            {"contacts": {"quarantine": "30d"}},
            (
                ("[[step]]", '[limits]\nquarantine = "10d"\n\n[[step]]'),
                ('invite_once"', 'invite_once"\nquarantine = "2d"'),
            ),
            2,
        ),
    ],
    ids=["as it comes", "of the installation", "of the recipe", "of the step"],
)
def test_the_nearest_word_about_the_quarantine_holds(
    tmp_path: Path, clock: ManualClock, settings: dict[str, Any], edits: tuple[tuple[str, str], ...], days: int
) -> None:
    text = INVITE
    for old, new in edits:
        text = text.replace(old, new, 1)
    with company(tmp_path, text, clock, **settings) as staged:
        people(staged)
        staged.ticket("1")
        staged.cycle(0)
        staged.ticket("2")
        staged.later(days * DAY - 1)
        assert len(staged.vendors.calls("survey.invite_once")) == 1
        staged.ticket("3")
        staged.later(0)
        assert len(staged.vendors.calls("survey.invite_once")) == 2


def test_two_recipes_that_invite_the_same_person_at_once_make_one_invitation(
    tmp_path: Path, clock: ManualClock
) -> None:
    other = INVITE.replace('programme = "nps"', 'programme = "csat"')
    with company(tmp_path, {"first": INVITE, "second": other}, clock) as staged:
        people(staged)
        staged.ticket()
        for connection, stream in staged.bridge.streams():
            staged.bridge.pull(connection, stream)
        staged.bridge.plan()
        planned = [one.recipe for one in staged.deliveries(state="planned")]
        assert sorted(planned) == ["first", "second"], "when they were planned nobody had been asked yet"
        staged.push()
        assert len(staged.vendors.calls("survey.invite_once")) == 1
        assert len(ledger(staged)) == 1
        loser = next(run for run in staged.runs() if run.results["invite"].get("skipped"))
        assert loser.reason.startswith("invite: not asked: asked 0 seconds ago for ")
        [gone] = staged.deliveries(state="cancelled")
        assert (gone.run, gone.error_code) == (loser.id, "left_out")
        # Both runs go on behind the step.
        assert {run.state for run in staged.runs()} == {"done"}
        assert len(staged.notes()) == 2
        assert staged.tallies(loser.recipe) == {"not asked: quarantine": 1}


def test_asked_of_another_connections_contact_it_is_the_same_ledger(inviting: Company) -> None:
    inviting.vendors.put("desk/contacts", cx.Contact(source_id="mia2", name="Mia L", emails=["MIA@northwind.test"]))
    inviting.ticket("1")
    inviting.cycle()
    inviting.ticket("2", contact="mia2")
    inviting.later(DAY)
    assert len(inviting.vendors.calls("survey.invite_once")) == 1


# -- consent -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "reason", "told"),
    [
        ({"unsubscribed": True}, "unsubscribed", "unsubscribed in survey"),
        ({"survey_optout": True}, "opted out of surveys", "opted out of surveys in survey"),
        ({"consent": {"survey": False}}, "no consent", "no consent for survey in survey"),
    ],
)
@pytest.mark.parametrize("place", ["desk", "survey"])
def test_who_does_not_want_it_is_left_alone_whichever_system_knows(
    tmp_path: Path, clock: ManualClock, contact: dict[str, Any], reason: str, told: str, place: str
) -> None:
    with company(tmp_path, INVITE, clock) as staged:
        people(staged, **(contact if place == "desk" else {}))
        if place == "survey":
            staged.vendors.put(
                "survey/contacts", cx.Contact(source_id="CID_1", name="M. Lee", emails=["x@y.test", MIA], **contact)
            )
        staged.ticket()
        staged.cycle()
        assert staged.vendors.calls("survey.invite_once") == []
        assert staged.notes() == [f"not asked: {told.replace('in survey', f'in {place}')}"]
        assert staged.tallies("example") == {f"not asked: {reason}": 1}
        assert ledger(staged) == []


@pytest.mark.parametrize(
    "contact",
    [
        {},
        {"consent": {"survey": True}},
        {"consent": {"marketing": False}},
        {"unsubscribed": False},
        {"status": "bounced"},
    ],
)
def test_who_said_nothing_against_it_is_asked(tmp_path: Path, clock: ManualClock, contact: dict[str, Any]) -> None:
    with company(tmp_path, INVITE, clock) as staged:
        people(staged, **contact)
        staged.ticket()
        staged.cycle()
        assert len(staged.vendors.calls("survey.invite_once")) == 1


def test_nobody_of_an_account_that_is_not_to_be_contacted(inviting: Company) -> None:
    inviting.vendors.put(
        "desk/accounts",
        cx.Account(source_id="northwind", name="Northwind", do_not_contact=True, updated_at=inviting.clock.now()),
    )
    inviting.ticket()
    inviting.cycle()
    assert inviting.notes() == ["not asked: Northwind is not to be contacted"]
    assert inviting.tallies("example") == {"not asked: do not contact": 1}


def test_who_says_no_between_planning_and_sending_is_left_alone(inviting: Company) -> None:
    inviting.vendors.script["survey.invite_once"] = ["busy"]
    inviting.ticket()
    inviting.cycle()
    assert inviting.deliveries(state="retry")[0].action == "survey.invite_once"
    inviting.vendors.put("survey/contacts", cx.Contact(source_id="CID_1", name="Mia", emails=[MIA], survey_optout=True))
    inviting.later(60)
    assert inviting.vendors.calls("survey.invite_once") == []
    assert inviting.notes() == ["not asked: opted out of surveys in survey"]
    assert inviting.run().state == "done"


# -- what failed -------------------------------------------------------------------------------------------------------


def test_an_ask_that_certainly_reached_nobody_is_taken_back(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, {"first": INVITE, "second": INVITE}, clock) as staged:
        people(staged)
        staged.vendors.script["survey.invite_once"] = ["refused"]
        staged.ticket()
        staged.cycle()
        # The first was refused for good, so that the second could ask.
        assert len(staged.vendors.calls("survey.invite_once")) == 1
        assert len(ledger(staged)) == 1
        [dead] = staged.deliveries(state="dead")
        # Sent again, it is judged again.
        assert retry_deliveries(staged.bridge.store, [dead.id], clock.now()) == 1
        staged.later(DAY)
        assert len(staged.vendors.calls("survey.invite_once")) == 1
        assert {run.state for run in staged.runs()} == {"done"}


@pytest.mark.parametrize(("how", "entered"), [("busy", 0), ("locked", 0), ("lost", 1)])
def test_while_it_is_open_the_ledger_knows_what_may_have_reached_somebody(
    inviting: Company, how: str, entered: int
) -> None:
    inviting.vendors.script["survey.invite_once"] = [how]
    inviting.ticket()
    inviting.cycle(0)
    assert len(ledger(inviting)) == entered
    with inviting.bridge.store.write() as tx:
        state.resume(tx, "survey")
    for _ in range(3):
        inviting.later(60)
    assert len(inviting.vendors.calls("survey.invite_once")) == 1
    assert len(ledger(inviting)) == 1
    assert inviting.run().state == "done"


def test_what_was_given_up_in_doubt_stays_in_the_ledger(tmp_path: Path, clock: ManualClock) -> None:
    text = INVITE + "\n[on_error]\nretry = { tries = 1 }\n"
    with company(tmp_path, text, clock) as staged:
        people(staged)
        staged.vendors.find = lambda *_: None  # type: ignore[method-assign]  # it never shows
        staged.vendors.script["survey.invite_once"] = ["lost"]
        staged.ticket()
        staged.cycle()
        for _ in range(4):
            staged.later(60)
        [dead] = staged.deliveries(state="dead")
        assert dead.error_code == "unknown_outcome"
        drop_deliveries(staged.bridge.store, [dead.id], clock.now())
        assert len(ledger(staged)) == 1


def test_killed_between_the_mark_and_the_call_the_ask_stands(inviting: Company) -> None:
    class Killed(BaseException):
        pass

    def probe(reached: str) -> None:
        if reached == "push.sent":
            raise Killed

    inviting.restart(probe)
    inviting.ticket()
    with pytest.raises(Killed):
        inviting.cycle()
    assert len(ledger(inviting)) == 1
    inviting.restart()
    for _ in range(4):
        inviting.later(30)
    assert len(inviting.vendors.calls("survey.invite_once")) == 1
    assert len(ledger(inviting)) == 1


# -- messages to customers ---------------------------------------------------------------------------------------------


def test_a_message_with_a_purpose_is_entered_and_needs_consent_for_it(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, TELL, clock) as staged:
        people(staged, consent={"survey": False})
        staged.vendors.put(
            "desk/contacts",
            cx.Contact(source_id="tom", name="Tom", emails=["tom@y.test"], consent={"follow_up": False}),
        )
        staged.ticket("1")
        staged.ticket("2", contact="tom")
        staged.ticket("3", contact="nobody")
        staged.cycle()
        assert staged.notes() == ["We fixed it", "We fixed it"]
        [line] = ledger(staged)
        assert (line.purpose, line.programme) == ("follow_up", "follow_up")
        assert ledger(staged, "tom@y.test") == []
        assert staged.tallies("example") == {"not written to: no consent": 1}


def test_a_message_with_a_purpose_waits_for_nobody_and_others_wait_for_it(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, {"telling": TELL}, clock) as staged:
        people(staged)
        staged.ticket("1")
        staged.cycle()
        staged.ticket("2")
        staged.later(60)
        assert len(staged.notes()) == 2
        staged.write({"inviting": INVITE})
        staged.later(DAY)
        assert staged.vendors.calls("survey.invite_once") == []
        assert staged.notes()[2:] == ["not asked: written to 1 day ago for follow_up (quarantine 90d)"] * 2


def test_a_message_with_a_quarantine_of_its_own(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, TELL.replace("with =", 'quarantine = "7d"\nwith ='), clock) as staged:
        people(staged)
        for number in range(3):
            staged.ticket(str(number))
            staged.later(4 * DAY)
        assert len(staged.notes()) == 2
        assert staged.tallies("example") == {"not written to: quarantine": 1}


def test_without_a_purpose_nothing_is_counted(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, TELL.replace('purpose = "follow_up"\n', ""), clock) as staged:
        people(staged, unsubscribed=True)
        staged.ticket()
        staged.cycle()
        assert staged.notes() == ["We fixed it"]
        assert ledger(staged) == []


# -- several, and pretended --------------------------------------------------------------------------------------------


def test_of_several_people_of_one_step_each_is_asked_once(tmp_path: Path, clock: ManualClock) -> None:
    text = INVITE.split('[[step]]\nid = "note"', maxsplit=1)[0]
    text = text.replace("with =", 'for_each = "ticket.tags"\nwith =').replace("contact.emails | first", "item")
    with company(tmp_path, text, clock) as staged:
        people(staged)
        staged.ticket(tags=["a@x.test", "b@x.test", "A@x.test"])
        staged.cycle()
        assert [one.email for one in staged.vendors.calls("survey.invite_once")] == ["a@x.test", "b@x.test"]
        assert staged.tallies("example") == {"not asked: quarantine": 1}
        assert staged.run().state == "done"
        assert [len(ledger(staged, email)) for email in ("a@x.test", "b@x.test")] == [1, 1]


def test_a_plan_says_who_would_be_left_alone(inviting: Company) -> None:
    inviting.vendors.put("survey/contacts", cx.Contact(source_id="CID_1", name="Mia", emails=[MIA], unsubscribed=True))
    inviting.write({"example": HEAD.replace('stage = "live"', 'stage = "shadow"') + INVITE})
    inviting.ticket()
    inviting.cycle()
    assert inviting.run().results["invite"]["told"] == "not asked: unsubscribed in survey"
    found = rehearse(inviting.bridge.store, inviting.bridge.stepper, inviting.bridge.recipe("example"), inviting.clock)
    assert [one.action for one in found.acts[0].deliveries] == ["comment.add_once"]
    assert found.acts[0].run.reason == "invite: not asked: unsubscribed in survey"
    assert ledger(inviting) == []


def test_tests_in_the_file_know_consent(tmp_path: Path, clock: ManualClock) -> None:
    cases = """
[[test]]
name   = "who opted out is not asked"
given  = { ticket = { subject = "x" }, contact = { emails = ["mia@northwind.test"], survey_optout = true } }
expect = { writes = 1, comments = 1 }

[[test]]
name   = "an account that is not to be contacted"
given  = { ticket = {}, contact = { emails = ["mia@northwind.test"] }, account = { do_not_contact = true } }
expect = { writes = 1, comments = 1 }

[[test]]
name   = "anybody else is"
given  = { ticket = { subject = "x" }, contact = { emails = ["mia@northwind.test"] } }
expect = { writes = 2, step = { invite = { email = "mia@northwind.test" } } }
"""
    with company(tmp_path, INVITE + cases, clock) as staged:
        # What is stored here is nothing to them.
        people(staged, unsubscribed=True)
        staged.cycle()
        outcomes = run_tests(staged.bridge.recipe("example"), staged.bridge.store, staged.bridge.connections, clock)
        assert [(one.ok, one.told) for one in outcomes] == [(True, ())] * 3


def test_a_person_whose_contact_was_just_pulled_is_known_before_keys_are_kept(inviting: Company) -> None:
    """The ledger's look-up is whole also while the identity index lags behind the records."""
    inviting.ticket()
    for connection, stream in inviting.bridge.streams():
        inviting.bridge.pull(connection, stream)
    inviting.bridge.plan()
    inviting.vendors.put(
        "survey/contacts", cx.Contact(source_id="CID_9", name="Mia", emails=[MIA], consent={"survey": False})
    )
    inviting.bridge.pull("survey", "contacts")
    inviting.bridge.push("survey")
    assert inviting.vendors.calls("survey.invite_once") == []
