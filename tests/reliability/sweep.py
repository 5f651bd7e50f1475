"""Playing a story with crashes at given places, to rest, and judging it: the vendors' log first, then our own tables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from cxbridge.sandbox.checker import Expected, Violation, judge, told
from tests.reliability.invariants import checkpoint_ahead, judge_store, leaks, read_again
from tests.reliability.shapes import Shape, shape_of
from tests.reliability.stage import Ground, Setting, Stage, Unsettled

SECRETS = ("sandbox-token", "sandbox-signing-secret")
REPLAY = "CXBRIDGE_REPLAY"


@dataclass(frozen=True)
class Played:
    """One play: at which places it crashed, how many it passed, and what was wrong in the end."""

    name: str
    crashed: tuple[str, ...]
    passed: int
    counts: Counter[str] = field(default_factory=Counter)
    violations: tuple[Violation, ...] = ()
    log: tuple[str, ...] = ()

    def __str__(self) -> str:
        """All that is needed to look into it."""
        return "\n".join(
            [
                f"{self.name}: crashed at {', '.join(self.crashed)}",
                *(f"    {one}" for one in self.violations),
                "  the vendors' journal:",
                *(f"    {one}" for one in self.log),
                f"  again: {REPLAY}={self.name} .venv/bin/python -m pytest tests/reliability/test_crash_sweep.py -k replay",
            ]
        )


def play(
    ground: Ground, shape: Shape, offsets: Sequence[int] = (), *, variation: int = 0, close: bool = False
) -> Played:
    """Play a story, and crash at these places of each of its phases.

    A phase goes from something that people do until everything is at rest again, so that each one begins where all was well.
    `close` looks at the image after every crash too, and reads everything from the vendors to compare, which costs more.
    """
    name = f"crash:{shape.name}:{variation}:{'+'.join(map(str, offsets))}"
    with ground.stage(varied(shape.setting, variation)) as stage:
        found: list[Violation] = []
        if close:
            stage.on_crash = lambda: _look(stage, found)
        try:
            found += _played(stage, shape, offsets)
        except Unsettled as error:
            found.append(Violation(invariant="I1", what=str(error), evidence=[str(one) for one in stage.deliveries()]))
        found += judge_store(stage.bridge.store, journal=stage.world.journal, at_rest=True)
        found += read_again(stage.world.journal, stage.restarts, besides=stage.looked)
        log = tuple(told(one) for one in stage.world.journal.entries() if one.seq not in stage.looked) if found else ()
        if close:
            found += checkpoint_ahead(stage.bridge, stage.setting.streams)
            found += leaks(stage.folder, SECRETS)
        hooks = stage.hooks
        return Played(name, tuple(hooks.crashed), hooks.passed, hooks.counts, tuple(found), log)


def varied(setting: Setting, variation: int) -> Setting:
    """The same setting with other ids, and with other delays before a vendor shows what was written."""
    if not variation:
        return setting
    options: dict[str, Any] = {"jira": {"search_lag": variation % 6}} if "jira" in setting.vendors else {}
    return replace(setting, name=f"{setting.name}-{variation}", seed=1 + variation, options=options)


def replayed(ground: Ground, name: str) -> Played:
    """Play again what a failure named."""
    _, shape, variation, offsets = name.split(":")
    places = [int(one) for one in offsets.split("+") if one]
    return play(ground, shape_of(shape), places, variation=int(variation), close=True)


def singles(ground: Ground, shape: Shape, part: int, parts: int, variation: int = 0) -> Iterator[Played]:
    """Crash at the first place of each phase, then at the second, and so on until a play goes unharmed; one of `parts` of that."""
    offset = 1 + part
    while True:
        # To look closely at every image would cost twice as much.
        played = play(ground, shape, (offset,), variation=variation, close=offset % 6 == 1)
        if not played.crashed:
            return
        yield played
        offset += parts


def _played(stage: Stage, shape: Shape, offsets: Sequence[int]) -> list[Violation]:
    since = len(stage.world.journal)
    stage.start()
    telling = shape.story(stage)
    expected: Expected
    while True:
        try:
            next(telling)
        except StopIteration as end:
            expected = end.value
            break
        stage.hooks.crash_from_here(offsets)
        _rest(stage)
    quiet_since = len(stage.world.journal)
    stage.hooks.crash_from_here(offsets)
    with stage.playing():
        stage.quiet(1)
    return judge(stage.world, msgspec.structs.replace(expected, since=since, quiet_since=quiet_since))


def _rest(stage: Stage) -> None:
    with stage.playing():
        stage.settle()
    if stage.people.decides():
        with stage.playing():
            stage.settle()


def _look(stage: Stage, found: list[Violation]) -> None:
    found += checkpoint_ahead(stage.bridge, stage.setting.streams)
    found += judge_store(stage.bridge.store, journal=stage.world.journal)
