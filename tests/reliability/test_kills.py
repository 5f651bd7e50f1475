"""kill -9, for real and over and over: daemons in processes of their own, over HTTP and a real store, while people go on acting.

What is done is judged by the vendors' own log, and the image that each one leaves by what must hold at every instant.
"""

import signal
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.sandbox.checker import Expected, Violation
from tests.conftest import PostgreSQL
from tests.reliability import volumes
from tests.reliability.killing import crowd
from tests.reliability.killing.boundaries import BOUNDARIES
from tests.reliability.killing.nursery import Nursery
from tests.reliability.killing.scene import Fate, Scene
from tests.reliability.shapes import SHAPES, shape_of
from tests.reliability.stage import MINUTE, Ground, Setting

pytestmark = pytest.mark.process

# How many are killed in each scene, and how many scenes there are of each kind in a usual run.
IN_A_STORY, IN_A_CROWD, ON_A_SERVER = 14, 20, 10
CROWDS, SERVERS = 6, 4
ROUNDS = max(1, round(volumes.kills() / 300))


def replayed(test: str, scene: str) -> str:
    soak = f"CXBRIDGE_SOAK={volumes.soak():g} " if ROUNDS > 1 else ""
    return f"{soak}python -m pytest '{Path(__file__).relative_to(Path.cwd())}::{test}[{scene}]'"


@pytest.fixture
def scenes(nursery: Nursery, ground: Ground, tmp_path: Path) -> Callable[..., Scene]:
    def make(setting: Setting, draw: str, **more: object) -> Scene:
        folder = tmp_path / "scene"
        folder.mkdir()
        seed = zlib.crc32(draw.encode())
        return Scene(nursery, ground, setting, folder, draw=seed, **more)  # type: ignore[arg-type]  # as `Scene` takes them

    return make


def sound(
    scene: Scene,
    found: list[Violation],
    kills: int,
    request: pytest.FixtureRequest,
    note: Callable[[str, object], None],
) -> None:
    """Say what was killed, and that nothing was wrong; a failure names the command that plays it again."""
    note("kills", scene.kills)
    note("restarts", scene.restarts)
    print(f"{scene.kills} killed at {dict(scene.killed)}, {scene.idle_kills} at rest")
    again = replayed(request.node.originalname, request.node.callspec.id)
    assert not found, "\n  ".join(
        [f"after {scene.kills} kills, at {dict(scene.killed)}:", *map(str, found), f"again: {again}"]
    )
    assert scene.kills >= kills


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("shape", [one.name for one in SHAPES])
def test_a_story_killed_all_along_ends_as_it_should(
    scenes: Callable[..., Scene],
    shape: str,
    number: int,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    its = shape_of(shape)
    with scenes(its.setting, f"{shape}-{number}", listens=shape in ("escalate", "approval")) as scene:
        found = scene.play(its.story, IN_A_STORY)
        sound(scene, found, IN_A_STORY, request, record_property)


@pytest.mark.parametrize("number", range(CROWDS * ROUNDS))
def test_whoever_acts_while_daemons_are_killed_is_served_once(
    scenes: Callable[..., Scene],
    number: int,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    # In every second scene vendors send webhooks, to a daemon that is there or not.
    with scenes(crowd.SETTING, f"crowd-{number}", listens=number % 2 == 1) as scene:
        if number % 2:
            scene.people.subscribes("zendesk", "jira")
        found = scene.crowded(IN_A_CROWD)
        sound(scene, found, IN_A_CROWD, request, record_property)


@pytest.mark.postgres
@pytest.mark.parametrize("number", range(SERVERS * ROUNDS))
def test_workers_on_postgresql_killed_while_people_act_serve_them_once(
    scenes: Callable[..., Scene],
    postgresql: PostgreSQL,
    clock: ManualClock,
    number: int,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    with scenes(crowd.SETTING, f"server-{number}", store_url=postgresql.store(clock)) as scene:
        found = scene.crowded(ON_A_SERVER)
        sound(scene, found, ON_A_SERVER, request, record_property)


def test_there_are_as_many_kills_as_were_promised() -> None:
    planned = ROUNDS * (len(SHAPES) * IN_A_STORY + CROWDS * IN_A_CROWD + SERVERS * ON_A_SERVER)
    assert planned >= volumes.kills()


PAGED = Setting(
    "paged",
    shape_of("escalate").setting.recipes,
    rows=shape_of("escalate").setting.rows,
    streams=(("zendesk", "tickets"), ("jira", "issues")),
    connections={"zendesk": "per_page = 2\n"},
)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_each_passing_of_a_boundary_everything_is_there_once(
    scenes: Callable[..., Scene],
    boundary: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    numbers = BOUNDARIES[boundary]
    kinds = ("issue.created", "remotelink.created", "ticket.updated", "comment.added")
    with scenes(PAGED, boundary) as scene:
        for done, number in enumerate(numbers, 1):
            # In pages of two.
            for other in range(4):
                scene.people.ticket(subject=f"Nobody asks for {number}.{other}")
            scene.people.ticket(subject=f"Export {number} stops", tags=["needs-engineering"])
            scene.advance(MINUTE)
            assert not scene.lives(Fate(number, boundary)), f"it never came to {boundary} {number} times"
            assert scene.lives(Fate())
            made = [one.kind for one in scene.writes()]
            assert [made.count(one) for one in kinds] == [done] * 4
        found = scene.judged(Expected(edges=4), len(numbers))
        sound(scene, found, len(numbers), request, record_property)
        assert set(scene.killed) == {boundary}


# -- two of them -------------------------------------------------------------------------------------------------------


def asked_for(scene: Scene) -> None:
    scene.people.ticket(subject="Export stops", tags=["needs-engineering"])
    scene.advance(MINUTE)


def escalated_once(scene: Scene) -> None:
    """The issue, the link on either side and the note, once each."""
    made = [one.kind for one in scene.writes()]
    assert sorted(made) == ["comment.added", "issue.created", "remotelink.created", "ticket.updated"]


@pytest.mark.parametrize("boundary", ["pull.fetched", "push.sent", "push.answered"])
def test_a_second_daemon_is_refused_while_the_first_stands_still(scenes: Callable[..., Scene], boundary: str) -> None:
    with scenes(PAGED, boundary) as scene:
        asked_for(scene)
        first = scene.begin(1, signal.SIGSTOP, named=boundary)
        assert scene.accompany(first, Fate()) == boundary
        second = scene.begin(arguments=["run", "--config", str(scene.folder / "cxbridge.toml")])
        assert second.ended() == 75
        # Which of the two locks it meets first depends on what the first one was at.
        assert "at work on this store" in second.log.read_text(encoding="utf-8")
        first.signalled(signal.SIGCONT)
        assert scene.goes_on(first)
        escalated_once(scene)
        assert scene.judged(Expected(), 0) == []


@pytest.mark.postgres
@pytest.mark.parametrize("boundary", ["pull.fetched", "push.claimed", "push.sent", "push.answered", "push.settled"])
def test_a_worker_that_stood_still_while_another_took_over_writes_nothing_more(
    scenes: Callable[..., Scene], postgresql: PostgreSQL, clock: ManualClock, boundary: str
) -> None:
    with scenes(PAGED, boundary, store_url=postgresql.store(clock)) as scene:
        asked_for(scene)
        first = scene.begin(1, signal.SIGSTOP, named=boundary)
        assert scene.accompany(first, Fate()) == boundary
        assert scene.goes_on(scene.begin()), "another one takes over"
        escalated_once(scene)
        scene.wakes(first)
        assert scene.goes_on(first)
        escalated_once(scene)
        assert scene.judged(Expected(), 0) == []
