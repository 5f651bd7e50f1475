"""What recipes get from knowing who is who: one account over all connections, verbs that reach it there, runs that wait for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import identity_views
from cxbridge.core.engine.history import why
from cxbridge.core.engine.identity_decisions import Decisions
from cxbridge.core.engine.rematching import waiting, waits_for
from cxbridge.core.engine.trial import run_tests
from cxbridge.core.ledger import Ref
from cxbridge.core.store import identity, planning
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
RECIPE = """
title = "A task for whoever answers for the account"
owner = "voice-of-customer"
stage = "live"
use   = { survey = "survey", success = "success", desk = "desk" }

[[trigger]]
on   = "feedback.changed"
from = "survey"

[[step]]
id   = "task"
do   = "success.task.ensure"
[step.with]
account = "{{ feedback.account }}"
title   = "{{ account.name }}: {{ account.arr }}"
reason  = "feedback"
body    = "{{ account.tier }} {{ account.region }} {{ owner.name }}"

[[test]]
name   = "an account in a test is known everywhere"
given  = { feedback = { score = 2, account = "accounts/hl" }, account = { name = "Northwind", arr = 5.0 } }
expect = { step = { task = { account = "hl" } } }
"""
HL = Ref("survey", "contacts", "c1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def here(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    with company(tmp_path, RECIPE, clock) as opened:
        yield opened


def in_success(here: Company, **more: Any) -> None:
    """The company as customer success knows it."""
    here.vendors.put(
        "success/companies",
        cx.Account(
            **{
                "source_id": "1P02",
                "name": "Northwind Traders Inc",
                "external_ids": ["HL-1001"],
                "domains": ["northwind.test"],
                "arr": 120_000.0,
                "tier": "enterprise",
                "region": "UK",
                "owner_csm": "users/ann",
                "updated_at": here.clock.now(),
                **more,
            }
        ),
    )
    here.vendors.put("success/users", cx.Agent(source_id="ann", name="Ann Ode", updated_at=here.clock.now()))


def feedback(here: Company, key: str = "r1", account: str | None = "accounts/HL-1001", **more: Any) -> None:
    here.vendors.put(
        "survey/responses",
        cx.Feedback(
            **{
                "source_id": key,
                "kind": "nps",
                "score": 2.0,
                "account": account,
                "updated_at": here.clock.now(),
                **more,
            }
        ),
    )


class TestReaching:
    def test_an_account_is_named_by_its_key_where_it_is_written_to(self, here):
        in_success(here)
        feedback(here)
        here.cycle()
        [task] = here.vendors.calls("task.ensure")
        assert task.account == "1P02"
        assert task.title == "Northwind Traders Inc: 120000"
        assert task.body == "enterprise UK Ann Ode"
        assert here.run().state == "done"

    def test_an_id_of_the_connection_itself_is_taken_as_it_is(self, here):
        here.write({"example": RECIPE.replace("{{ feedback.account }}", "success/companies/1P77")})
        feedback(here)
        here.cycle()
        assert [one.account for one in here.vendors.calls("task.ensure")] == ["1P77"]

    def test_what_is_no_id_ends_the_run_with_words(self, here):
        here.write({"example": RECIPE.replace("{{ feedback.account }}", "Northwind")})
        feedback(here)
        here.cycle()
        assert here.run().state == "failed"
        assert "'Northwind' is no ref" in here.run().reason

    def test_the_inputs_that_name_somebody_are_found_by_their_types(self):
        assert identity_views.ref_fields(cx.EnsureTask) == {"account": "account"}
        assert identity_views.ref_fields(cx.SetContact) == {"account": "account"}
        assert identity_views.ref_fields(cx.AddComment) == {}

    def test_what_a_test_in_a_recipe_gives_is_known_everywhere(self, here):
        bridge = here.bridge
        [outcome] = run_tests(bridge.recipe("example"), bridge.store, bridge.connections, here.clock)
        assert outcome.ok, outcome.told


class TestWaiting:
    def test_who_is_not_known_there_yet_holds_the_run_until_it_is(self, here):
        feedback(here)
        here.cycle()
        run = here.run()
        assert run.state == "held"
        assert run.reason == "account survey/accounts/HL-1001 is not known in success yet: cxbridge identity list"
        assert waits_for(run) == (Ref("survey", "accounts", "HL-1001"), "account", "success")
        here.cycle()
        assert here.vendors.calls("task.ensure") == []
        in_success(here)
        here.cycle()
        assert here.run().state == "done"
        assert [one.account for one in here.vendors.calls("task.ensure")] == ["1P02"]
        assert here.run().context.get(identity_views.WAITS_FOR) is None
        here.cycle()
        assert len(here.vendors.calls("task.ensure")) == 1

    def test_the_account_that_belongs_to_the_subject_can_be_named_before_it_is_known(self, here):
        here.write({"example": RECIPE.replace("{{ feedback.account }}", "{{ account.id }}")})
        feedback(here)
        here.cycle()
        assert here.run().state == "held"
        in_success(here)
        here.cycle()
        assert [one.account for one in here.vendors.calls("task.ensure")] == ["1P02"]

    def test_several_wait_are_counted_and_go_on_together(self, here):
        for number in range(7):
            feedback(here, f"r{number}", f"accounts/HL-{1001 + number % 2}")
        here.cycle()
        with here.bridge.store.read() as tx:
            assert len(waiting(tx)) == 7
        in_success(here)
        here.cycle()
        with here.bridge.store.read() as tx:
            assert {waits_for(run) for run in waiting(tx)} == {
                (Ref("survey", "accounts", "HL-1002"), "account", "success")
            }
        assert len(here.vendors.calls("task.ensure")) == 4

    def test_a_person_in_another_process_confirms_and_the_run_goes_on(self, here):
        desk = Ref("desk", "accounts", "n")
        text = (
            RECIPE.split("[[test]]", maxsplit=1)[0]
            .replace("feedback.", "ticket.")
            .replace('from = "survey"', 'from = "desk"')
        )
        here.write({"example": text})
        here.vendors.put("desk/accounts", cx.Account(source_id="n", name="Norðwind", updated_at=START))
        in_success(here)
        here.ticket("1", account="accounts/n", requester=None)
        here.cycle()
        assert here.run().state == "held"
        assert "Norðwind" in here.run().reason
        other = here.open()
        Decisions(other.identifier).confirm(desk, Ref("success", "companies", "1P02"), "mia")
        other.close()
        here.cycle()
        assert here.run().state == "done"
        told = [one.told for one in why(here.bridge.store, desk) if one.what == "identity"]
        assert len(told) == 1
        assert told[0].startswith("is the same as success/companies/1P02 (person:mia")

    def test_a_run_of_a_paused_recipe_waits_until_it_goes_on(self, here):
        feedback(here)
        here.cycle()
        text = (here.folder / "recipes" / "example.toml").read_text()
        here.clock.advance(1)
        here.write({"example": text.replace('"live"', '"paused"')})
        in_success(here)
        here.cycle()
        assert here.run().state == "held"
        here.write({"example": text})
        here.cycle()
        assert here.run().state == "done"

    def test_a_match_that_came_while_nobody_ran_is_found_after_a_restart(self, here):
        feedback(here)
        here.cycle()
        in_success(here)
        here.bridge.pull("success", "companies")
        # The match is made, and the process ends before any run is looked at.
        here.bridge.identifier.run()
        with here.bridge.store.read() as tx:
            assert identity.version(tx) > (planning.position(tx, "identity:held") or 0)
        here.restart()
        here.cycle()
        assert here.run().state == "done"

    def test_in_shadow_a_run_that_waited_writes_nothing_when_it_goes_on(self, here):
        here.write({"example": RECIPE.replace('"live"', '"shadow"')})
        feedback(here)
        here.cycle()
        assert here.run().state == "held"
        in_success(here)
        here.cycle()
        assert here.run().state == "done"
        assert here.vendors.done == []

    def test_several_in_one_connection_are_a_question_unless_one_is_meant(self, here):
        in_success(here)
        in_success(here, source_id="2P02", name="Northwind North", external_ids=["N-77001"], domains=[])
        here.vendors.put(
            "desk/accounts",
            cx.Account(source_id="a", name="Northwind", external_id="HL-1001", updated_at=START),
            cx.Account(source_id="b", name="Northwind Two", updated_at=START),
        )
        here.cycle()
        decisions = Decisions(here.bridge.identifier)
        decisions.confirm(Ref("desk", "accounts", "a"), Ref("success", "companies", "2P02"), "mia")
        here.write({"example": RECIPE.replace("{{ feedback.account }}", "desk/accounts/a")})
        feedback(here)
        here.cycle()
        assert "is several in success (success/companies/1P02, success/companies/2P02)" in here.run().reason
        decisions.split(Ref("desk", "accounts", "a"), Ref("success", "companies", "2P02"), "mia")
        here.cycle()
        assert here.run().state == "done"


class TestSeeing:
    def shown(self, here: Company, ref: Ref, kind: str, *first: str) -> dict[str, Any]:
        from cxbridge.core.engine.scope import Scopes, blank

        with here.bridge.store.read() as tx:
            return Scopes(tx, here.clock.now()).same.shown(ref, kind, first, blank)

    def test_the_records_own_fields_win_and_gaps_are_filled(self, here):
        in_success(here, custom={"plan": "gold", "seats": 5}, tags=["eu"])
        here.vendors.put(
            "desk/accounts",
            cx.Account(
                source_id="n",
                source_key="northwind",
                name="Northwind",
                external_id="HL-1001",
                tier="strategic",
                custom={"plan": "silver"},
                updated_at=START,
            ),
        )
        here.cycle()
        found = self.shown(here, Ref("desk", "accounts", "n"), "account")
        assert (found["id"], found["source"], found["name"], found["tier"]) == (
            "desk/accounts/n",
            "desk",
            "Northwind",
            "strategic",
        )
        assert (found["arr"], found["owner_csm"], found["region"]) == (120_000.0, "success/users/ann", "UK")
        assert found["custom"] == {"plan": "silver", "seats": 5}
        assert found["tags"] == ["eu"]
        other = self.shown(here, Ref("success", "companies", "1P02"), "account")
        assert (other["tier"], other["source_key"], other["external_id"]) == ("enterprise", None, "HL-1001")

    def test_an_id_in_the_place_of_a_name_is_a_gap_too(self, here):
        in_success(here)
        # As a survey tool has it that was told an account's id and no name.
        here.vendors.put(
            "desk/accounts",
            cx.Account(source_id="HL-1001", name="HL-1001", external_id="HL-1001", updated_at=START),
        )
        here.cycle()
        named = Ref("desk", "accounts", "HL-1001")
        assert self.shown(here, named, "account")["name"] == "Northwind Traders Inc"

    def test_others_are_asked_in_the_order_that_the_recipe_names(self, here):
        in_success(here, region=None)
        for connection, key, region in (("desk", "n", "from the desk"), ("chat", "x", "")):
            if connection == "desk":
                here.vendors.put(
                    "desk/accounts",
                    cx.Account(
                        source_id=key, name="N", external_id="HL-1001", region=region, tier="t", updated_at=START
                    ),
                )
        here.cycle()
        lone = Ref("survey", "accounts", "HL-1001")
        assert self.shown(here, lone, "account", "success", "desk")["tier"] == "enterprise"
        assert self.shown(here, lone, "account", "desk", "success")["tier"] == "t"
        assert self.shown(here, lone, "account", "success")["region"] == "from the desk"
        assert self.shown(here, lone, "account")["id"] == "survey/accounts/HL-1001"

    def test_a_no_counts_wherever_it_was_said_and_the_latest_asking_too(self, here):
        early, late = START - timedelta(days=90), START - timedelta(days=2)
        here.vendors.put(
            "desk/contacts",
            cx.Contact(
                source_id="7",
                name="Mia Lee",
                emails=["mia@northwind.test"],
                unsubscribed=False,
                consent={"survey": True, "follow_up": True},
                last_surveyed_at=early,
                updated_at=START,
            ),
        )
        here.vendors.put(
            "survey/contacts",
            cx.Contact(
                source_id="c1",
                name="Mia Lee",
                emails=["mia@northwind.test"],
                unsubscribed=True,
                survey_optout=False,
                consent={"follow_up": False},
                last_surveyed_at=late,
                updated_at=START,
            ),
        )
        here.cycle()
        found = self.shown(here, Ref("desk", "contacts", "7"), "contact")
        assert found["unsubscribed"] is True
        assert found["survey_optout"] is False
        assert found["consent"] == {"survey": True, "follow_up": False}
        assert found["last_surveyed_at"] == late

    def test_what_is_deleted_there_fills_nothing(self, here):
        in_success(here)
        here.vendors.put("desk/accounts", cx.Account(source_id="n", name="N", external_id="HL-1001", updated_at=START))
        here.cycle()
        in_success(here, deleted_at=here.clock.now())
        here.cycle()
        assert self.shown(here, Ref("desk", "accounts", "n"), "account")["arr"] is None

    def test_of_one_who_is_known_to_nobody_there_is_the_id(self, here):
        found = self.shown(here, Ref("survey", "accounts", "HL-404"), "account")
        assert {name: value for name, value in found.items() if value not in (None, [], {}, "")} == {
            "id": "survey/accounts/HL-404",
            "source": "survey",
            "source_id": "HL-404",
        }


def test_a_change_meets_recipes_with_the_match_of_its_own_batch(here):
    """Whoever pulls between the matching and the planning is matched inside the planning."""
    in_success(here)
    feedback(here)
    for connection, stream in here.bridge.streams():
        here.bridge.pull(connection, stream)
    # As if the pull had come after the matching of this round.
    here.bridge.planner.plan(here.bridge.library.recipes)
    assert here.run().state == "running"
    here.push()
    assert here.vendors.calls("task.ensure")[0].account == "1P02"
