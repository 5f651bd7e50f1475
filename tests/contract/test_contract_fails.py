"""The contract suite can fail: every rule catches connectors that are wrong in that way, and lets the right one pass."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cxbridge.testing import ConnectorContract, Lab, rules
from tests.contract import pages
from tests.contract.wrong import WRONG, Make, Right

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
