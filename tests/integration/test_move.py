"""A store is moved with everything in flight that there can be, and all of it ends as it would have; the journal is the witness.

The same scene is played twice, once with a move in its middle and once without. What the vendors saw and how every run ended must
be the same.
"""

import collections
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.clock import SystemClock
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.errors import ConfigError
from cxbridge.core.store import Store, approvals, migrate, moving, outbox, state
from tests.integration.five import LEO, Five, five

ROOT = Path(__file__).resolve().parents[2]
MAKE = "/cockpit/cta/?$"
LATER = """
title = "Look again later"
owner = "support-ops"
stage = "live"

[use]
desk = "zendesk"

[[trigger]]
id     = "tagged"
on     = "ticket.changed"
from   = "desk"
fields = ["tags"]

[when]
asked_for = "'later' in ticket.tags"

[run]
key      = "ticket.id"
once_per = "ticket.id"

[[step]]
id = "first"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "Somebody looks at this again." }

[[step]]
id = "pause"
do = "wait"
with = { for = "2h" }

[[step]]
id = "second"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "It is time to look at this again." }
"""


def begin(stage: Five) -> None:
    """Come to a moment at which a question is open, a run waits, a write is in doubt, others are planned or dead."""
    (stage.folder / "recipes" / "later.toml").write_text(LATER)
    stage.health("HL-3", 42)
    stage.load(
        {
            "kind": "ticket",
            "id": 7001,
            "subject": "A question",
            "description": "About the export.",
            "status": "open",
            "tags": ["later"],
            "age": "3h",
            "updated_age": "1h",
            "requester": {"name": "Ines Duarte", "email": "ines@northwind.test"},
            "organization": "Northwind",
        }
    )
    stage.settle()
    refusal = {"result": False, "errorCode": "GSOBJ_1012", "errorDesc": "no"}
    stage.world.faults.add("status", "gainsight", method="POST", path_regex=MAKE, times=1, code=400, body=refusal)
    stage.answer(2, LEO, verbatim="Too slow.", contact_ok=True)
    stage.cycle()
    stage.world.faults.add("ghost", "gainsight", method="POST", path_regex=MAKE, times=1)
    stage.answer(3, verbatim="The export keeps failing.", contact_ok=True)
    stage.health("HL-1", 44)
    stage.pull()
    stage.bridge.plan()
    stage.bridge.push("gainsight")
    stage.bridge.plan()


def in_flight(stage: Five) -> dict[str, Any]:
    with stage.bridge.store.read() as tx:
        return {
            "deliveries": {one.state for one in outbox.find(tx)},
            "questions": len(approvals.find(tx, state="open")),
            "waiting": len([one for one in stage.runs(state="waiting") if one.wake_at is not None]),
        }


def end(stage: Five) -> dict[str, Any]:
    """Play on until all is quiet; gives what the vendors saw, and how everything ended."""
    stage.settle()
    stage.world.clock.advance(5 * 3600)
    for _ in range(4):
        stage.cycle()
    stage.settle()
    stage.quiet()
    effects = collections.Counter((one.vendor, one.kind) for one in stage.world.journal.effects(via="api"))
    texts = collections.Counter(
        str(one.detail.get("body", one.detail.get("text")))
        for one in stage.world.journal.effects(via="api")
        if one.kind in ("comment.added", "message.posted")
    )
    return {
        "effects": effects,
        "texts": {text: times for text, times in texts.items() if "http" not in text},
        "runs": collections.Counter((one.recipe, one.part, one.state) for one in stage.runs(limit=1000)),
        "deliveries": collections.Counter((one.action, one.state) for one in stage.deliveries(limit=1000)),
    }


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param("sqlite", "postgresql", marks=pytest.mark.postgres),
        pytest.param("postgresql", "sqlite", marks=pytest.mark.postgres),
    ],
)
def test_what_is_in_flight_ends_as_it_would_have(
    source: str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def place(kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.db"
        return str(request.getfixturevalue("postgresql").empty())

    with five(tmp_path / "reference", store_url=place(source, "reference")) as stage:
        begin(stage)
        expected_between = in_flight(stage)
        expected = end(stage)
    assert expected_between["deliveries"] >= {"confirmed", "unknown", "planned", "dead"}
    assert expected_between["questions"] == 1
    assert expected_between["waiting"] == 2

    here, there = place(source, "here"), place(target, "there")
    with five(tmp_path / "moved", store_url=here) as stage:
        begin(stage)
        assert in_flight(stage) == expected_between
        stage.bridge.close()
        opened = Store.as_found(here, clock=SystemClock())
        moving.move(opened, there, clock=SystemClock())
        opened.close()
        with pytest.raises(ConfigError, match="was moved to"):
            Bridge(load(stage.folder / "cxbridge.toml"), clock=stage.clock)
        file = stage.folder / "cxbridge.toml"
        file.write_text(file.read_text().replace(here, there))
        stage.bridge = stage.open()
        assert in_flight(stage) == expected_between
        assert end(stage) == expected


KILLED = """
import os, signal, sys
from cxbridge.cli.app import run
from cxbridge.core.store import copying, moving

where, source, target = sys.argv[1:]
original = copying.copy

def copy(here, there, table, on_rows):
    if where == "half-way" and table.name == "runs":
        os.kill(os.getpid(), signal.SIGKILL)
    return original(here, there, table, on_rows)

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

copying.copy = copy
if where == "before the source is marked":
    moving.leave = die
if where == "before the last step":
    moving._arrive = die
sys.exit(run(["db", "move", source, target]))
"""


@pytest.mark.process
@pytest.mark.parametrize("where", ["half-way", "before the source is marked", "before the last step"])
@pytest.mark.parametrize("target", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_killed_on_the_way_the_same_command_ends_it(
    where: str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here = f"sqlite:///{tmp_path}/here.db"
    there = f"sqlite:///{tmp_path}/there.db"
    if target == "postgresql":
        there = str(request.getfixturevalue("postgresql").empty())
    store = Store.open(here, clock=SystemClock())
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")
    store.close()

    def said(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, words, here, there],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    killed = said(where)
    assert killed.returncode == -9, killed.stderr
    # What is there now is either the store as it was, or nothing that anybody works on.
    assert usable(here) is (where != "before the last step")
    assert not usable(there)
    ended = said("nowhere")
    assert ended.returncode == 0, ended.stderr
    assert not usable(here)
    assert usable(there)
    moved = Store.open(there, clock=SystemClock())
    with moved.read() as tx:
        assert state.meta_get(tx, "colour") == b"green"
    moved.close()
    assert [one.name for one in tmp_path.iterdir() if "draft" in one.name] == []


def usable(url: str) -> bool:
    """Whether something is there, and a daemon would work on it."""
    try:
        found = Store.as_found(url, clock=SystemClock())
    except ConfigError:
        return False
    try:
        with found.read() as tx:
            if migrate.revision_of(tx.connection, "it") is None:
                return False
        Store.open(url, clock=SystemClock(), writing=False).close()
    except ConfigError:
        return False
    finally:
        found.close()
    return True
