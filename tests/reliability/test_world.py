"""The world in one process: it answers as the servers on sockets do, nobody sleeps, and a crash loses what it must."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cxbridge.core.store import outbox
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.reliability.hooks import Crash, Hooks
from tests.reliability.shapes import NORTHWIND, SHAPES, shape_of
from tests.reliability.stage import BEGIN, Ground, Setting
from tests.reliability.wire import Network, address

AUTH = httpx.BasicAuth("bridge@example.test/token", "sandbox-token")
PATH = "/api/v2/tickets.json"

# Every fault that ends an exchange by itself, as a client sees it over TCP.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"code": 502}),
    ("status", {"code": 403, "body": {"error": "no"}}),
    ("rate_limited", {"retry_after": 7}),
    ("reset", {}),
    ("ghost", {}),
    ("limit_data", {"bytes": 10}),
    ("limit_data", {"bytes": 0}),
    ("wrong_length", {"by": 20}),
    ("slicer", {"bytes": 40}),
    ("slow_close", {"seconds": 0}),
    ("latency", {"seconds": 0}),
    ("html", {}),
    ("bad_json", {}),
    ("rewrite", {"set": {"count": 99}}),
    ("revoke_token", {}),
    ("broken_gzip", {"how": "cut"}),
    ("nan", {}),
    ("scope_removed", {"scope": "read"}),
]


def a_world() -> World:
    return World(zendesk_options={"limits": None}, clock=SandboxClock(BEGIN, frozen=True))


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[World, httpx.Client]]:
    world = a_world()
    with Sandbox(world, vendors=("zendesk",)) as sandbox:
        with httpx.Client(base_url=sandbox.zendesk_url, auth=AUTH, trust_env=False) as client:
            yield world, client


def in_process(world: World) -> httpx.Client:
    network = Network(world, ["zendesk"])
    return httpx.Client(base_url=address("zendesk"), auth=AUTH, transport=network.transport("zendesk"))


def seen(world: World, client: httpx.Client, name: str, params: dict[str, Any], method: str = "GET") -> Any:
    """What a client sees of a fault: a status with a body, or how the exchange broke."""
    world.faults.clear()
    world.faults.add(name, "zendesk", **params)
    try:
        reply = client.request(method, PATH, json={"ticket": {"comment": {"body": "x"}}} if method == "POST" else None)
    except httpx.HTTPError as error:
        return type(error).__name__
    finally:
        world.faults.clear()
    return reply.status_code, reply.headers.get("retry-after"), reply.content


@pytest.mark.parametrize(
    ("name", "params"), FAULTS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(FAULTS)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_fault_looks_as_it_does_over_a_socket(
    listening: tuple[World, httpx.Client], name: str, params: dict[str, Any], method: str
) -> None:
    world, client = listening
    over_tcp = seen(world, client, name, params, method)
    here = a_world()
    with in_process(here) as direct:
        seen_here = seen(here, direct, name, params, method)
    if isinstance(over_tcp, tuple) and over_tcp[0] in (200, 201) and method == "POST":
        # Ids differ: the one on the socket has more tickets by now.
        assert seen_here[0] == over_tcp[0]
        return
    assert seen_here == over_tcp


def test_what_a_vendor_did_before_its_answer_was_lost_is_done() -> None:
    world = a_world()
    with in_process(world) as client:
        assert seen(world, client, "ghost", {}, "POST") == "ReadError"
        assert len(world.journal.effects("ticket.created", via="api")) == 1
        assert seen(world, client, "reset", {}, "POST") == "ReadError"
        assert len(world.journal.effects("ticket.created", via="api")) == 1


def test_a_slow_vendor_moves_the_clock_and_nobody_sleeps() -> None:
    world = a_world()
    with in_process(world) as client:
        begun = world.clock.time()
        assert seen(world, client, "latency", {"seconds": 3})[0] == 200
        assert 3 <= world.clock.time() - begun < 4


def test_a_vendor_that_is_slower_than_its_client_acts_all_the_same_and_later() -> None:
    world = a_world()
    network = Network(world, ["zendesk"])
    client = httpx.Client(base_url=address("zendesk"), auth=AUTH, transport=network.transport("zendesk"), timeout=30)
    with client:
        begun = world.clock.time()
        assert seen(world, client, "latency", {"seconds": 45}, "POST") == "ReadTimeout"
        assert 30 <= world.clock.time() - begun < 31
        assert world.journal.effects("ticket.created", via="api") == []
        network.advance(14)
        assert world.journal.effects("ticket.created", via="api") == []
        network.advance(2)
        assert len(world.journal.effects("ticket.created", via="api")) == 1


def test_an_answer_that_drips_too_slowly_is_a_timeout() -> None:
    world = a_world()
    with in_process(world) as client:
        assert seen(world, client, "slicer", {"bytes": 5, "seconds": 61}) == "ReadTimeout"


def test_equal_settings_give_equal_worlds() -> None:
    for shape in SHAPES:
        first, second = (shape.setting.build_world()[0] for _ in range(2))
        assert first.journal.entries() == second.journal.entries()
        assert first.zendesk.users.keys() == second.zendesk.users.keys()
        assert first.clock.time() == second.clock.time()


def test_a_stage_begins_where_everything_was_pulled_once(ground: Ground) -> None:
    with ground.stage(shape_of("escalate").setting) as stage:
        assert stage.writes() == []
        assert stage.cycle() == 0
        assert stage.at_rest()
        with stage.bridge.store.read() as tx:
            assert outbox.find(tx) == []


def test_two_plays_of_one_story_are_the_same_to_the_entry(ground: Ground) -> None:
    logs = []
    for _ in range(2):
        with ground.stage(shape_of("mirror").setting) as stage:
            for _ in shape_of("mirror").story(stage):
                stage.settle()
            logs.append([(one.seq, one.t, one.vendor) for one in stage.world.journal.entries()])
    assert logs[0] == logs[1]


def test_a_setting_of_the_same_name_must_be_the_same(ground: Ground) -> None:
    setting = Setting("twice", {}, rows=(NORTHWIND,))
    ground.stage(setting).close()
    with pytest.raises(ValueError, match="two settings of the name 'twice'"):
        ground.stage(Setting("twice", {}))


@pytest.mark.parametrize(("name", "kept"), [("commit.before", 0), ("commit.after", 1)])
def test_a_crash_beside_a_commit_loses_it_or_keeps_it(ground: Ground, name: str, kept: int) -> None:
    setting = shape_of("escalate").setting
    with ground.stage(setting) as stage:
        stage.people.ticket(tags=["needs-engineering"])
        stage.network.advance(61)
        stage.pull()
        # Who is who is a commit of its own, before that of the plan.
        stage.bridge.identifier.run()
        stage.hooks.reach = only(name)  # type: ignore[method-assign]
        with pytest.raises(Crash), stage.playing():
            stage.bridge.plan()
        del stage.hooks.reach
        stage.restart()
        assert len(stage.runs()) == kept


def only(name: str) -> Any:
    """Crash at the first place of that name in which something was written."""

    def reach(reached: str) -> None:
        if reached == name:
            raise Crash(0, reached)

    return reach


def test_hooks_count_over_crashes_and_count_a_boundary_beside_its_commit_once() -> None:
    hooks = Hooks((2, 3))
    hooks.reach("pull.fetched")
    assert hooks.passed == 0
    hooks.on = True
    hooks.reach("pull.fetched")
    with pytest.raises(Crash, match=r"point 2: pull\.stored"):
        hooks.reach("pull.stored")
    hooks.reach("commit.before")
    with pytest.raises(Crash, match=r"point 3: commit\.after"):
        hooks.reach("commit.after")
    hooks.reach("pull.committed")
    assert hooks.passed == 3
    hooks.crash_from_here((1,))
    with pytest.raises(Crash, match="point 4"):
        hooks.reach("request.leaving zendesk GET /x")


def test_the_people_are_heard_and_remembered(ground: Ground) -> None:
    with ground.stage(shape_of("escalate").setting) as stage:
        number = stage.people.ticket(tags=["needs-engineering"])
        stage.settle()
        stage.people.says(number, "thanks", public=True, author="customer")
        [key] = {one.key for one in stage.effects("issue.created")}
        stage.people.moves(key, "Done", "Fixed")
        assert [one.what for one in stage.people.deeds] == ["ticket", "edit", "transition"]
        assert stage.act("GET", f"/jira/issues/{key}")["status"] == "Done"
        comments = stage.act("GET", f"/zendesk/tickets/{number}")["comments"]
        assert comments[-1]["body"] == "thanks"


def test_a_write_without_a_reason_shows_in_quiet_times(ground: Ground) -> None:
    with ground.stage(shape_of("escalate").setting) as stage:
        stage.people.ticket(tags=["needs-engineering"])
        # Zendesk shows it only after a minute, so that all of it is done in the second cycle.
        assert [one.split()[1] for one in stage.quiet(2)][:1] == ["issue.created"]
        assert stage.quiet(10) == []
