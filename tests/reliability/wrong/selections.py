"""A few plays of the suites, each telling about one wrong engine: of the crash sweep, of simulated days, of real kills.

Each is played with an engine by its name, or with the true one where there is none, and gives what was wrong in the end.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cxbridge.sandbox.checker import Due, Expected, Flow, Violation, judge
from cxbridge.sandbox.history import Place
from tests.reliability.invariants import checkpoint_ahead, judge_store, read_again
from tests.reliability.killing.nursery import Nursery
from tests.reliability.killing.scene import Fate, Scene
from tests.reliability.shapes import _WRITTEN, PRIORITIES, shape_of
from tests.reliability.simulation.day import play
from tests.reliability.stage import MINUTE, Ground, Unsettled
from tests.reliability.sweep import _played
from tests.reliability.wrong.engines import BY_NAME

Fault = tuple[str, str, Mapping[str, Any]]


@dataclass
class Suites:
    """What the suites are played on. `database` gives the address of an empty store on PostgreSQL."""

    ground: Ground
    nursery: Nursery
    folder: Path
    database: Callable[[], str]

    def scene(self, shape: str, wrong: str, **more: Any) -> Scene:
        """Give a world with real processes."""
        folder = self.folder / f"scene-{wrong or 'true'}"
        folder.mkdir()
        return Scene(self.nursery, self.ground, shape_of(shape).setting, folder, draw=1, wrong=wrong, **more)


Selection = Callable[[Suites, str], list[Violation]]


def swept(
    suites: Suites, wrong: str, *, shape: str, crash_named: Sequence[str] = (), faults: Sequence[Fault] = ()
) -> list[Violation]:
    """Play a shape of the crash sweep, with crashes at the first places of these names, and with faults of the vendors."""
    its = shape_of(shape)
    # Prepared by the true engine.
    suites.ground.prepared(its.setting)
    with BY_NAME[wrong].in_place() if wrong else nullcontext(), suites.ground.stage(its.setting) as stage:
        stage.hooks.crash_named = list(crash_named)
        for name, vendor, params in faults:
            stage.world.faults.add(name, vendor, **params)
        try:
            found = _played(stage, its, ())
        except Unsettled as error:
            found = [Violation(invariant="I1", what=str(error), evidence=[])]
        assert not stage.hooks.crash_named, f"it never came to {stage.hooks.crash_named}"
        found += judge_store(stage.bridge.store, journal=stage.world.journal, at_rest=True)
        found += read_again(stage.world.journal, stage.restarts, besides=stage.looked)
        return found + checkpoint_ahead(stage.bridge, its.setting.streams)


def overtaken(suites: Suites, wrong: str) -> list[Violation]:
    """A webhook has a ticket read in its newest version; the export shows the page before once more afterwards."""
    setting = shape_of("two_way").setting
    suites.ground.prepared(setting)
    with BY_NAME[wrong].in_place() if wrong else nullcontext(), suites.ground.stage(setting) as stage:
        stage.people.subscribes("zendesk")
        number = stage.people.ticket(tags=["pair"], priority="low")
        stage.settle()
        stage.people.agent(number, priority="urgent")
        stage.people.deliver()
        stage.inbox()
        stage.bridge.plan()
        stage.push()
        stage.world.faults.add("duplicate_page", "zendesk", path_regex="incremental/tickets", times=1)
        stage.settle()
        flow = Flow(
            what="the help desk owns the priority",
            sources=[Place("zendesk", str(number), "priority")],
            target=Place("jira", "ENG-1", "priority"),
            map=PRIORITIES,
            written=_WRITTEN,
        )
        return judge(stage.world, Expected(flows=[flow]))


def simulated(suites: Suites, wrong: str, *, seed: int) -> list[Violation]:
    """Play a simulated day."""
    with BY_NAME[wrong].in_place() if wrong else nullcontext():
        return list(play(suites.ground, seed).violations)


def killed_at(suites: Suites, wrong: str, *, shape: str, named: str) -> list[Violation]:
    """Play a story with a real kill at the first place of a name."""
    with suites.scene(shape, wrong) as scene:
        found = scene.play(shape_of(shape).story, 0, first=Fate(1, named))
        assert scene.kills == 1, f"it never came to {named}"
        return found


def killed_when_it_has_answered(suites: Suites, wrong: str) -> list[Violation]:
    """Somebody presses a button, and the daemon is killed at the moment at which it has acknowledged that."""
    with suites.scene("approval", wrong, listens=True) as scene:
        scene.people.ticket(tags=["ask-first"])
        scene.advance(MINUTE)
        assert scene.lives(Fate())
        scene.people.presses("approve")
        scene.is_killed_when_it_has_answered()
        assert scene.lives(Fate())
        return judge(scene.world, Expected(dues=[Due(what="the issue", vendor="jira", kind="issue.created")]))


def stood_still(suites: Suites, wrong: str) -> list[Violation]:
    """A worker stands still with a write in hand until another one has taken over and done it; then it goes on."""
    with suites.scene("sweep", wrong, store_url=suites.database()) as scene:
        scene.people.ticket(tags=["waits"])
        scene.advance(MINUTE)
        assert scene.lives(Fate())
        scene.advance(900)
        first = scene.begin(1, signal.SIGSTOP, named="push.sent")
        assert scene.accompany(first, Fate()) == "push.sent"
        assert scene.goes_on(scene.begin())
        first.signalled(signal.SIGCONT)
        assert scene.goes_on(first)
        return judge(scene.world, Expected(dues=[Due(what="the message", vendor="slack", kind="message.posted")]))


_ONE_MESSAGE = "request.answered slack POST /api/chat.postMessage"
_TOLD_TO_WAIT: Fault = (
    "rate_limited",
    "jira",
    {"method": "POST", "path_regex": "/issue$", "times": 1, "retry_after": 30},
)

# By wrong engine, those that catch it.
SELECTIONS: Mapping[str, tuple[Selection, ...]] = {
    "cursor-first": (partial(swept, shape="sweep", crash_named=["pull.fetched"]),),
    "arrival-order": (overtaken,),
    "acknowledged-first": (killed_when_it_has_answered,),
    "position-first": (partial(swept, shape="escalate", crash_named=["plan.decided"]),),
    "echo-by-entity": (partial(swept, shape="follow"),),
    "any-answer": (partial(swept, shape="approval"), partial(simulated, seed=1)),
    "without-marker": (partial(swept, shape="sweep", crash_named=[_ONE_MESSAGE]),),
    "sent-again": (
        partial(swept, shape="sweep", crash_named=[_ONE_MESSAGE]),
        partial(killed_at, shape="sweep", named=_ONE_MESSAGE),
    ),
    "receipt-later": (partial(swept, shape="each", crash_named=["push.settled"]),),
    "out-of-order": (partial(swept, shape="each", crash_named=["request.leaving jira POST /rest/api/3/issue/"]),),
    "impatient": (partial(swept, shape="escalate", faults=[_TOLD_TO_WAIT]), partial(simulated, seed=1)),
    "without-fence": (stood_still,),
}
