"""The crash sweep: ten shapes of recipes, crashed at the first place, at the second, and so on until a play goes unharmed.

Places are the boundaries of the engine, both sides of every commit, and both sides of every request. After each crash a new bridge
starts over the same file, the story goes on to its end, and the vendors' log and our tables are judged.
"""

import os
from random import Random

import msgspec
import pytest

from cxbridge.core.engine import identity, pull
from cxbridge.core.engine.push import Pusher
from cxbridge.core.store import checkpoints, outbox
from tests.reliability import volumes
from tests.reliability.shapes import SHAPES, Shape, shape_of
from tests.reliability.stage import Ground
from tests.reliability.sweep import REPLAY, play, replayed, singles

PARTS = 3
# How many crash points each shape has at least: one crash in each phase, place after place; and two crashes in each phase.
LEAST = {
    "escalate": (185, 90),
    "fan_in": (240, 110),
    "two_way": (205, 100),
    "mirror": (290, 135),
    "wait_then": (140, 110),
    "approval": (280, 135),
    "each": (200, 90),
    "follow": (210, 100),
    "sweep": (120, 90),
    "mixed": (290, 105),
}
# So many places behind the first crash the second one lies at most.
FURTHEST = 45
WHOLE = ("escalate", "two_way", "mixed")
# Every pair there is, in the long run alone.
FIRSTS = range(1, 90) if volumes.all_pairs() else ()


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have people looked at in commits of their own, as they are where hundreds of them changed: those are crashed at, too."""
    monkeypatch.setattr(identity, "BATCH", 1)


def _least(name: str) -> int:
    """How many points one part of a shape has at least: what they have varies by a few."""
    return LEAST[name][0] // PARTS - 5


_everything = [pytest.param(shape, part, id=f"{shape.name}-{part}") for shape in SHAPES for part in range(PARTS)]
_slow = pytest.mark.timeout(int(240 * max(1.0, volumes.soak())))


def test_the_least_that_is_asked_of_each_makes_three_thousand() -> None:
    assert [shape.name for shape in SHAPES] == list(LEAST)
    assert sum(PARTS * _least(name) + double for name, (_, double) in LEAST.items()) >= 3000


@_slow
@pytest.mark.parametrize(("shape", "part"), _everything)
def test_crashed_at_every_place_in_turn_nothing_is_lost_and_nothing_twice(
    ground: Ground, shape: Shape, part: int
) -> None:
    for variation in range(volumes.crash_variations()):
        points = 0
        for played in singles(ground, shape, part, PARTS, variation):
            points += len(played.crashed)
            assert not played.violations, str(played)
        print(f"{shape.name}, part {part}: {points} crash points")
        assert points >= _least(shape.name)


@_slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_crashed_again_while_it_recovers_nothing_is_lost_and_nothing_twice(ground: Ground, shape: Shape) -> None:
    longest = LEAST[shape.name][0] // 3
    chance = Random(shape.name)
    points = 0
    for _ in range(volumes.crash_pairs()):
        first = chance.randint(1, longest)
        played = play(ground, shape, (first, first + chance.randint(1, FURTHEST)))
        points += len(played.crashed)
        assert not played.violations, str(played)
    print(f"{shape.name}: {points} crash points, two by two")
    assert points >= LEAST[shape.name][1]


@_slow
@pytest.mark.parametrize("shape", [shape_of(name) for name in WHOLE], ids=lambda shape: shape.name)
@pytest.mark.parametrize("first", FIRSTS)
def test_crashed_again_wherever_that_can_be(ground: Ground, shape: Shape, first: int) -> None:
    for further in range(1, FURTHEST):
        played = play(ground, shape, (first, first + further))
        assert not played.violations, str(played)


def test_every_boundary_of_the_engine_is_crashed_at(ground: Ground) -> None:
    passed = {name for shape in SHAPES for name in play(ground, shape).counts}
    assert passed == {
        *(f"pull.{one}" for one in ("fetched", "stored", "committed")),
        *(f"read.{one}" for one in ("fetched", "stored", "committed")),
        *(f"plan.{one}" for one in ("decided", "committed")),
        *(f"push.{one}" for one in ("claimed", "sent", "answered", "recorded", "settled")),
        *(f"wake.{one}" for one in ("moved", "committed")),
        *(f"identity.{one}" for one in ("decided", "committed")),
        *(f"commit.{one}" for one in ("before", "after")),
        *(f"request.{one}" for one in ("leaving", "answered")),
    }


def test_replay(ground: Ground) -> None:
    """Plays again what a failure named, as its last line says."""
    name = os.environ.get(REPLAY, "")
    if not name.startswith("crash:"):
        pytest.skip(f"nothing is to be played again: {REPLAY} names no crash")
    played = replayed(ground, name)
    assert not played.violations, str(played)


# -- the sweep can fail ------------------------------------------------------------------------------------------------


def caught(ground: Ground, name: str, *wanted: str) -> bool:
    """Whether the sweep of a shape comes upon violations of all these invariants."""
    missing = set(wanted)
    for played in singles(ground, shape_of(name), 0, 1):
        missing -= {one.invariant for one in played.violations}
        if not missing:
            return True
    return False


def test_an_engine_that_sends_again_what_it_did_not_hear_of_is_caught(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recover(pusher: Pusher, connections: object = None) -> int:
        with pusher.store.write() as tx:
            for one in outbox.interrupted(tx):
                outbox.update(tx, msgspec.structs.replace(one, state="planned"))
        return 0

    monkeypatch.setattr(Pusher, "recover", recover)
    assert caught(ground, "sweep", "I3")


def test_an_engine_that_moves_its_cursor_first_is_caught(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = pull._reading

    def cursor_first(store, connection, stream, pages):
        for page in reading(store, connection, stream, pages):
            with store.write() as tx:
                held = checkpoints.get(tx, connection.name, stream.name)
                if held is not None:
                    checkpoints.put(tx, msgspec.structs.replace(held, cursor=page.cursor))
            yield page

    monkeypatch.setattr(pull, "_reading", cursor_first)
    assert caught(ground, "sweep", "I1", "I2")
