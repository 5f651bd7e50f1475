"""An action that answers nonsense, exits or changes what it was handed leaves its delivery in doubt, never under way for ever."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from tests.core.engine.little_company import company

NOTE = """
[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "Noted." }
"""


def exits(_call: cx.Call) -> Any:
    raise SystemExit(1)


def says_done(_call: cx.Call) -> Any:
    return "done"


def half_a_receipt(_call: cx.Call) -> Any:
    return cx.Receipt("tickets", 4017)  # type: ignore[arg-type]  # a number where a text belongs


def unstorable(_call: cx.Call) -> Any:
    return cx.Receipt("tickets", "1", wrote={"tags": {object()}})


@pytest.mark.parametrize("answer", [exits, says_done, half_a_receipt, unstorable])
def test_an_answer_that_is_none_is_a_doubt(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, answer: Callable[[cx.Call], Any]
) -> None:
    with company(tmp_path, NOTE, clock) as staged:
        whole = staged.vendors.perform

        def perform(connection: str, verb: str, stream: str, call: cx.Call) -> Any:
            whole(connection, verb, stream, call)
            return answer(call)

        monkeypatch.setattr(staged.vendors, "perform", perform)
        staged.ticket()
        staged.cycle()
        (delivery,) = staged.deliveries()
        assert delivery.state == "unknown"
        # It arrived all the same, is found by its marker, and is not sent again.
        monkeypatch.setattr(staged.vendors, "perform", whole)
        staged.later(60)
        (delivery,) = staged.deliveries()
        assert delivery.state == "confirmed"
        assert staged.notes() == ["Noted."]


def test_a_look_up_that_answers_nonsense_decides_nothing(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with company(tmp_path, NOTE, clock) as staged:
        staged.vendors.script["comment.add_once"] = ["lost"]
        staged.ticket()
        staged.cycle()
        whole = staged.vendors.find
        monkeypatch.setattr(staged.vendors, "find", lambda *_: "found it")
        for _ in range(3):
            staged.later(60)
        assert [one.state for one in staged.deliveries()] == ["unknown"]
        monkeypatch.setattr(staged.vendors, "find", whole)
        staged.later(600)
        assert [one.state for one in staged.deliveries()] == ["confirmed"]
        assert staged.notes() == ["Noted."]


def test_what_an_action_does_to_its_inputs_is_not_kept(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = 'with = { tags_add = ["a", "b"], custom = { a = ["b"] } }\n'
    text = NOTE.replace("comment.add_once", "ticket.set").partition("with")[0] + given
    with company(tmp_path, text, clock) as staged:
        whole = staged.vendors.perform

        def perform(connection: str, verb: str, stream: str, call: cx.Call) -> Any:
            receipt = whole(connection, verb, stream, call)
            assert isinstance(call.inputs, cx.SetTicket)
            call.inputs.tags_add.clear()
            call.inputs.custom["a"].clear()
            call.inputs.custom.clear()
            return receipt

        monkeypatch.setattr(staged.vendors, "perform", perform)
        staged.ticket()
        for connection, stream in staged.bridge.streams():
            staged.bridge.pull(connection, stream)
        staged.bridge.plan()
        planned = [dict(one.inputs) for one in staged.deliveries()]
        staged.push()
        (delivery,) = staged.deliveries()
        assert delivery.state == "confirmed"
        assert (planned[0]["tags_add"], planned[0]["custom"]) == (["a", "b"], {"a": ["b"]})
        assert [dict(delivery.inputs)] == planned
