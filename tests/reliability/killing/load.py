"""One daemon under ten times an ordinary load, with a fault in every hundredth request, and how its memory grows meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import linear_regression
from typing import Any

import psutil

from cxbridge.core.clock import Clock
from cxbridge.sandbox.checker import Due, Expected, Violation, judge
from tests.reliability.invariants import judge_store
from tests.reliability.killing.scene import Scene
from tests.reliability.stage import MINUTE

# In an ordinary minute people do one thing.
TIMES = 10
ONE_IN = 100
# Of so many newest tickets priorities are changed.
_RECENT = 200
_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {"code": 503}),
    ("rate_limited", {"retry_after": 1}),
    ("ghost", {}),
    ("reset", {}),
    ("html", {}),
)
# So much of a run is left for what is set up once.
_WARMING = 1 / 3
# A shorter run says little about a slope.
LEAST_SECONDS = 600.0


@dataclass
class Loaded:
    """What a run came to. `slope` is in megabytes in ten minutes."""

    seconds: float = 0.0
    cycles: int = 0
    deeds: int = 0
    requests: int = 0
    faults: int = 0
    first: float = 0.0
    last: float = 0.0
    slope: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def tells(self) -> bool:
        """Whether it was long enough for its slope to mean something."""
        return self.seconds * (1 - _WARMING) >= LEAST_SECONDS


def loaded(scene: Scene, clock: Clock, seconds: float, over: Callable[[], bool] = lambda: False) -> Loaded:
    """Keep a daemon busy for so long, or until `over`; then let it rest, and judge everything."""
    result, random = Loaded(), Random(1)
    tickets: list[int] = []
    samples: list[tuple[float, float]] = []
    begun = clock.monotonic()
    child = scene.begin()
    process = psutil.Process(child.pid)
    told = child.hears()
    while told is not None and clock.monotonic() - begun < seconds and not over():
        samples.append((clock.monotonic() - begun, process.memory_info().rss / 1e6))
        for _ in range(TIMES):
            _acts(scene, random, tickets)
        result.deeds += TIMES
        result.faults += _spoil(scene, random, result)
        scene.advance(MINUTE)
        child.is_told({"offset": scene.offset})
        result.cycles += 1
        told = child.hears()
    assert told is not None, f"the daemon ended, or fell silent: {scene.log(child)}"
    scene.world.faults.clear()
    scene.advance(MINUTE)
    child.is_told({"offset": scene.offset})
    assert scene.goes_on(child)
    result.seconds = clock.monotonic() - begun
    warm = [one for one in samples if one[0] > samples[-1][0] * _WARMING]
    result.first, result.last = warm[0][1], warm[-1][1]
    result.slope = linear_regression(*zip(*warm, strict=True)).slope * 600 if len(warm) > 1 else 0.0
    issues = Due(what="an issue each", vendor="jira", kind="issue.created", least=len(tickets), most=len(tickets))
    result.violations = [
        *judge(scene.world, Expected(dues=[issues])),
        *judge_store(scene.bridge.store, journal=scene.world.journal, at_rest=True),
    ]
    return result


def _acts(scene: Scene, random: Random, tickets: list[int]) -> None:
    if not tickets or random.random() < 0.3:
        tickets.append(scene.people.ticket(tags=["pair"], subject=f"Export {len(tickets)} stops"))
        return
    number = random.choice(tickets[-_RECENT:])
    scene.people.agent(number, priority=random.choice(("urgent", "high", "normal", "low")))


def _spoil(scene: Scene, random: Random, result: Loaded) -> int:
    """Order faults for what is asked next, as many as a hundredth of what was asked since the last time."""
    asked = len(scene.world.journal.requests())
    new, result.requests = asked - result.requests, asked
    wanted = sum(random.randrange(ONE_IN) == 0 for _ in range(new))
    for _ in range(wanted):
        name, params = random.choice(_FAULTS)
        vendor = random.choice(scene.setting.vendors)
        scene.world.faults.add(
            name, vendor, path_regex=".", after=random.randrange(max(1, new // 2)), times=1, **params
        )
    return wanted
