"""How many writes are marked at once, by how fast a vendor answers, and which answers are recorded when."""

from datetime import UTC, datetime
from typing import cast

import pytest

import cxbridge.core.connector as cx
from cxbridge.core.engine.answers import Answer
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.fresh import Fresh
from cxbridge.core.engine.tempo import MOMENT, Tempo
from cxbridge.core.engine.turn import Ready, Turn
from cxbridge.core.ledger import Ref, Run
from tests.core.engine.test_abreast import delivery

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)


def answer(name: str) -> Answer:
    run = Run(
        id="r", recipe="r", version="v", part="steps", key="k", once="o", subject=Ref("a", "b", "c"), started_at=NOON
    )
    return Answer.to(delivery(name), cx.Receipt("b", "c"), run, None, NOON)


def turn(*marked: str) -> Turn:
    made = Turn(cast("Connection", None), cast("cx.Client", None), Tempo(), cast("Fresh", None))
    made.begun = {name: cast("Ready", None) for name in marked}
    return made


@pytest.mark.parametrize(
    ("took", "most", "quick"),
    [(0.0, 32, True), (0.001, 20, True), (0.0025, 8, True), (0.004, 5, False), (0.02, 1, False), (30.0, 1, False)],
)
def test_as_many_as_are_answered_within_a_moment(took: float, most: int, quick: bool) -> None:
    tempo = Tempo()
    assert (tempo.most, tempo.is_quick) == (1, False), "nothing is known yet"
    for _ in range(9):
        tempo.note(took)
    assert (tempo.most, tempo.is_quick) == (most, quick)


def test_one_that_was_held_up_changes_nothing_and_a_vendor_that_is_slow_from_now_on_does() -> None:
    tempo = Tempo()
    for took in (0.001, 0.001, 0.001, 0.8, 0.001):
        tempo.note(took)
    assert tempo.most == 20
    for _ in range(5):
        tempo.note(0.8)
    assert tempo.most == 1


def test_an_answer_waits_for_those_that_are_marked_and_no_longer_than_a_moment() -> None:
    here = turn("b", "c")
    assert here.answered(answer("a"), 10.0, 0.001) == []
    assert [one.delivery.id for one in here.answered(answer("x"), 10.0 + 2 * MOMENT, 0.001)] == ["a", "x"]
    assert here.answered(answer("b"), 10.1, 0.001) == [], "counted anew"
    here.begun.clear()
    assert [one.delivery.id for one in here.answered(answer("c"), 10.101, 0.001)] == ["b", "c"]
    assert here.unrecorded() == []


def test_what_waits_too_long_is_taken_by_whoever_looks() -> None:
    here = turn("b")
    assert here.answered(answer("a"), 10.0, 0.001) == []
    assert here.unrecorded(before=10.0) == []
    assert [one.delivery.id for one in here.unrecorded(before=10.001)] == ["a"]
    assert here.unrecorded() == []


def test_threads_that_mark_at_once_mark_no_more_than_one_would_but_for_one_each() -> None:
    here = turn()
    for _ in range(9):
        here.tempo.note(0.001)
    rooms = [here.room() for _ in range(4)]
    assert rooms == [20, 1, 1, 1]
    for room in rooms:
        here.mark(room, [])
    assert here.room() == 20
