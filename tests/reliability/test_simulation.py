"""Simulated days: three vendors, nine recipes, people in three time zones, the daemon's own jobs, and a weather of faults.

Each seed is one day of 24 hours and what is left to be done after it. A failure names its seed and the line that plays it again.
`python -m tests.reliability.simulation` plays many days and tells what struck.
"""

import os
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cxbridge.core.clock import Clock
from cxbridge.core.engine import tidy
from cxbridge.core.engine.connections import Probe
from cxbridge.core.engine.tidy import Tidier
from cxbridge.core.store import Store, Tx, keeping
from tests.reliability import volumes
from tests.reliability.simulation.day import Played, play
from tests.reliability.stage import Ground

PARTS = 20
# Days that were once found wrong, whoever was to blame.
ONCE_WRONG = (644, 686, 702, 789, 825, 1503, 1980, 2016, 2177, 2343, 2391, 2405, 2429, 2783, 2935)
REPLAY = "CXBRIDGE_SEED={seed} .venv/bin/python -m pytest -p no:xdist tests/reliability/test_simulation.py -k replay"
_slow = pytest.mark.timeout(int(240 * max(1.0, volumes.soak())))


def _day(ground: Ground, seed: int) -> Played:
    try:
        played = play(ground, seed)
    except BaseException as error:
        error.add_note("play it again: " + REPLAY.format(seed=seed))
        raise
    told = "\n".join(str(one) for one in played.violations)
    assert not played.violations, f"seed {seed}: {REPLAY.format(seed=seed)}\n{told}"
    return played


@_slow
@pytest.mark.parametrize("part", range(PARTS))
def test_after_a_day_of_faults_nothing_is_lost_and_nothing_done_twice(ground: Ground, part: int) -> None:
    seeds = range(part, volumes.simulation_seeds(), PARTS)
    days = [_day(ground, seed) for seed in seeds]
    struck = sum((one.struck for one in days), Counter[str]())
    print(f"{len(days)} days, {sum(one.restarts for one in days)} starts after a crash, struck: {dict(struck)}")
    # A day on which nothing went wrong would prove nothing.
    for one in days:
        assert one.hours >= 24
        assert one.cases >= 6
        assert one.effects >= 10
        assert one.struck.total() >= 1
    assert sum(len(one.crashed) for one in days) >= len(days)


@pytest.mark.parametrize("seed", ONCE_WRONG)
def test_a_day_that_was_once_wrong_stays_right(ground: Ground, seed: int) -> None:
    _day(ground, seed)


@pytest.mark.parametrize("minutes", [5, 60])
def test_a_day_is_as_sound_with_a_log_of_changes_that_keeps_minutes(
    ground: Ground, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, forget, gone = Tidier.__init__, keeping.forget, Counter[int]()

    def brief(tidier: Tidier, store: Store, clock: Clock, _: object, probe: Probe) -> None:
        made(tidier, store, clock, timedelta(minutes=minutes), probe)

    def counted(tx: Tx, before: datetime, upto: int, most: int) -> keeping.Forgotten:
        done = forget(tx, before, upto, most)
        gone[seed] += done.gone
        return done

    monkeypatch.setattr(Tidier, "__init__", brief)
    monkeypatch.setattr(keeping, "forget", counted)
    monkeypatch.setattr(tidy, "_BATCH", 7)
    for seed in range(5_000, 5_010):
        _day(ground, seed)
        assert gone[seed] > 0


@pytest.mark.skipif("CXBRIDGE_SEED" not in os.environ, reason="set CXBRIDGE_SEED to the seed that a failure printed")
def test_replay(ground: Ground) -> None:
    played = _day(ground, int(os.environ["CXBRIDGE_SEED"]))
    print(played)


@_slow
def test_the_same_seed_plays_the_same_day(ground: Ground) -> None:
    seeds = (3, 11)
    once = [_day(ground, seed).digest for seed in seeds]
    again = [_day(ground, seed).digest for seed in reversed(seeds)]
    assert once == again[::-1]
    assert once[0] != once[1]
    # Neither the order of a set nor what was played before it makes a difference.
    program = (
        "import sys, pathlib; from tests.reliability.simulation.day import play; "
        "from tests.reliability.stage import Ground; "
        f"print(play(Ground(pathlib.Path(sys.argv[1])), {seeds[1]}).digest)"
    )
    folder = ground.folder / "elsewhere"
    folder.mkdir()
    told = subprocess.run(  # a program of ours
        [sys.executable, "-c", program, str(folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == once[1]
