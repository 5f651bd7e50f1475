"""The contract suite can fail: every rule catches connectors that are wrong in that way, and lets the right one pass."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import Zendesk
from cxbridge.testing import ConnectorContract, Lab, rules, simulated
from tests.contract import pages, test_jira, test_zendesk
from tests.contract.wrong import WRONG, Make, Right, streams, together, writes
from tests.contract.wrong.right import Walk

# These two are told apart in tests of their own below.
APART = {"nothing_happens_before_it_is_asked_for", "waivers_name_a_rule_and_a_reason"}


@pytest.fixture
def right(tutorial: tuple[ModuleType, ModuleType]) -> Right:
    return Right(*tutorial)


@pytest.fixture
def judge() -> Iterator[Callable[..., None]]:
    """Apply one rule to a lab, as pytest would."""
    labs: list[Lab] = []

    def apply(rule: str, lab: Lab, waivers: dict[str, str] | None = None) -> None:
        labs.append(lab)
        contract: Any = type("TestIt", (ConnectorContract,), {"waivers": waivers or {}})
        getattr(contract(), f"test_{rule}")(lab)

    yield apply
    for lab in labs:
        lab.close()


@pytest.mark.parametrize(("rule", "make"), WRONG, ids=[f"{rule}-{make.__name__}" for rule, make in WRONG])
def test_a_wrong_connector_is_caught_by_the_rule_about_it(rule: str, make: Make, right: Right, judge):
    with pytest.raises(pytest.fail.Exception) as told:
        judge(rule, make(right))
    # It names the rule and says what to do.
    assert f"breaks the rule {rule}:" in str(told.value)
    assert "→ " in str(told.value)


@pytest.mark.parametrize("rule", sorted(rules()))
def test_the_right_connector_keeps_every_rule(rule: str, right: Right, judge):
    judge(rule, right.lab())


# Two look at the module that a connector is in, where one that is made here is not.
@pytest.mark.parametrize("rule", sorted({*rules()} - {"the_plugin_brings_the_connector"} - APART))
def test_the_right_connector_keeps_every_rule_when_its_pages_come_in_parts(rule: str, right: Right, judge):
    judge(rule, right.with_pages(in_parts))


@pytest.mark.parametrize("rule", sorted({*rules()} - {"the_plugin_brings_the_connector"} - APART))
def test_the_right_connector_keeps_every_rule_when_its_pages_come_as_rows(rule: str, right: Right, judge):
    judge(rule, streams.in_rows(right))


@pytest.mark.parametrize("make", [together.reading, together.beside, together.writing])
@pytest.mark.parametrize(
    "rule",
    ["several_are_read_as_one_by_one", "what_stands_beside_is_not_the_entity", "planted_names_what_was_written"],
)
def test_a_connector_that_rightly_asks_for_several_at_once_passes(rule: str, make: Make, right: Right, judge):
    judge(rule, make(right))


def in_parts(walk: Walk) -> Walk:
    def read(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        for page in walk(client, cursor):
            for place, one in enumerate(page.entities):
                yield cx.Page([one], cursor=cursor, raw=page.raw[place : place + 1], more=True)
            yield replace(page, entities=[], raw=[])
            cursor = page.cursor

    return read


def test_every_rule_has_a_connector_that_breaks_it():
    assert {rule for rule, _ in WRONG} | APART == set(rules())


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("import socket; socket.create_connection(('127.0.0.1', 9), 1)", "its module was imported"),
        ("import subprocess; subprocess.run(['true'])", "its module was imported"),
        (
            "import threading; threading.Thread(target=threading.Event().wait, name='ticker', daemon=True).start()",
            "a thread was started: ticker",
        ),
        (
            "class Pulse(Pulse):\n    def streams(self):\n        import socket; socket.getaddrinfo('localhost', 1)",
            "streams() was called",
        ),
    ],
)
def test_a_connector_that_acts_before_it_is_asked_is_caught(
    does: str, told: str, right: Right, judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = "\n\n".join(pages.blocks("pulse.py"))
    (tmp_path / "eager.py").write_text(f"{source}\n\n{does}\n", encoding="utf-8")
    # Known here without being run here: that is left to the process of its own.
    connector: Any = type("Pulse", (right.Pulse,), {"__module__": "eager", "__qualname__": "Pulse"})
    module = ModuleType("eager")
    module.__file__ = str(tmp_path / "eager.py")
    module.Pulse = connector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eager", module)
    with pytest.raises(pytest.fail.Exception, match="went outside: ") as raised:
        judge("nothing_happens_before_it_is_asked_for", right.lab(connector))
    assert told in str(raised.value)


@pytest.mark.parametrize("rule", ["a_write_repeated_acts_once", "a_lost_answer_is_settled"])
@pytest.mark.parametrize(
    "make",
    [
        lambda right: writes.keyed(right, remembers=7200, claims=7200),
        lambda right: writes.late(right, shown_after=29, settle=30),
    ],
    ids=["keyed", "findable"],
)
def test_a_declaration_that_just_holds_passes(rule: str, make: Make, right: Right, judge):
    judge(rule, make(right))


class TestShippedConnectors:
    """What they declare holds against their simulators just as it is declared, and no longer when it claims more."""

    RULES = ("a_write_repeated_acts_once", "a_lost_answer_is_settled")

    @pytest.fixture
    def desk(self) -> Iterator[Lab]:
        with simulated("zendesk", test_zendesk.COMPANY, options={"limits": None}) as account:
            settings = {"url": account.url, "client_id": "cxbridge", "client_secret": "sandbox-secret"}
            trials = [one for one in test_zendesk.TRIALS if one.action == "ticket.ensure"]
            yield Lab(
                connector=Zendesk,
                settings=settings,
                trials=trials,
                effects=account.effects,
                clock=account.clock,
                lag=61,
            )

    def tracker(self, lag: float) -> AbstractContextManager[Any]:
        options = {"limits": None, "issue_writes": None, "search_lag": lag}
        return simulated("jira", test_jira.COMPANY, options=options)

    def creating(self, site: Any, settle: int) -> Lab:
        made = test_jira.lab_of(site, email="bridge@example.test", api_token="sandbox-token")
        trials = [one for one in test_jira.TRIALS if one.action == "issue.ensure"]
        return replace(made, settings={**made.settings, "settle": settle}, trials=trials)

    def test_a_ticket_key_is_good_for_the_two_hours_that_are_declared(self, desk: Lab, judge):
        judge("a_write_repeated_acts_once", desk)

    def test_a_ticket_key_is_not_good_for_twice_and_a_half_of_that(
        self, desk: Lab, judge, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("cxbridge.plugins.zendesk.actions.KEY_WINDOW", 18_000.0)
        with pytest.raises(pytest.fail.Exception, match="happened again 8820 seconds later, under the same key"):
            judge("a_write_repeated_acts_once", desk)

    @pytest.mark.parametrize("rule", RULES)
    def test_an_issue_is_found_when_the_search_shows_it_just_within_settle(self, rule: str, judge):
        with self.tracker(lag=119) as site:
            judge(rule, self.creating(site, settle=120))

    def test_a_search_that_lags_longer_than_settle_breaks_the_declaration(self, judge):
        with self.tracker(lag=121) as site, pytest.raises(pytest.fail.Exception, match="find does not find it"):
            judge("a_write_repeated_acts_once", self.creating(site, settle=120))

    def test_the_second_look_makes_up_for_a_search_that_lags_up_to_twice_settle(self, judge):
        with self.tracker(lag=239) as site:
            judge("a_lost_answer_is_settled", self.creating(site, settle=120))

    def test_a_search_that_lags_longer_than_both_looks_doubles_an_issue_and_is_caught(self, judge):
        with self.tracker(lag=241) as site, pytest.raises(pytest.fail.Exception, match="happened 2 times"):
            judge("a_lost_answer_is_settled", self.creating(site, settle=120))


class TestWaivers:
    RULE = "gaps_are_fields_that_stay_empty"

    @pytest.fixture
    def lab(self, right: Right) -> Lab:
        return next(make for rule, make in WRONG if rule == self.RULE)(right)

    def test_a_waived_breach_is_an_expected_failure_with_its_reason(self, lab: Lab, judge):
        reason = "Pulse fills it in one country"
        with pytest.raises(pytest.xfail.Exception, match=reason):
            judge(self.RULE, lab, {self.RULE: reason})

    def test_a_waiver_for_one_stream_leaves_the_others_to_be_judged(self, lab: Lab, judge):
        with pytest.raises(pytest.fail.Exception) as told:
            judge(self.RULE, lab, {f"{self.RULE}: scores": "Pulse fills it in one country"})
        assert "replies: " in str(told.value)
        assert "scores: " not in str(told.value).partition("If it cannot")[0]

    def test_a_waiver_that_waives_nothing_fails(self, right: Right, judge):
        with pytest.raises(pytest.fail.Exception, match=r"remove '.*scores'"):
            judge(self.RULE, right.lab(), {f"{self.RULE}: scores": "Pulse fills it in one country"})

    @pytest.mark.parametrize(
        ("waivers", "told"),
        [({"gaps_are_nice": "it is not one"}, "which is no rule"), ({RULE: "because"}, "without a reason")],
    )
    def test_a_waiver_names_a_rule_and_a_reason(self, waivers: dict[str, str], told: str, right: Right, judge):
        with pytest.raises(pytest.fail.Exception, match=told):
            judge("waivers_name_a_rule_and_a_reason", right.lab(), waivers)


def test_without_a_lab_the_author_is_told_what_to_give():
    with pytest.raises(NotImplementedError, match="override the fixture `lab`"):
        ConnectorContract.lab.__wrapped__(ConnectorContract())  # type: ignore[attr-defined]


def test_a_lab_shows_no_secret(right: Right):
    lab = right.lab(wrong={"token": "wrong-token"})
    lab.close()
    assert "right-token" not in repr(lab)
    assert "wrong-token" not in repr(lab)
