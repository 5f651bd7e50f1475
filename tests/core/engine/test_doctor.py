"""A look at an installation: what is wrong is named with its remedy, nothing is written, and the worst decides the code."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.checkup import Checkup, Finding, exit_code, machine, ok, problem, warning
from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import checkpoints, condition, planning, state

SETTINGS = """
[connections.zendesk]
connector = "zendesk"
url = "http://127.0.0.1:9"
email = "bridge@example.test"
api_token = { secret = "token" }

[webhooks]
listen = "127.0.0.1:8700"
"""


class Zendesk(httpx.BaseTransport):
    """Answers what a check asks; `date` is its clock, `status` what it refuses with."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.ahead = timedelta()
        self.status = 200
        self.seen: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(f"{request.method} {request.url.path}")
        date = (self._clock.now() + self.ahead).strftime("%a, %d %b %Y %H:%M:%S GMT")
        body: dict[str, Any] = {
            "user": {"id": 7, "name": "Bridge", "role": "admin", "email": "bridge@example.test"},
            "count": {"value": 3},
            "tickets": [],
            "end_of_stream": True,
            "after_cursor": "abc",
        }
        return httpx.Response(self.status, headers={"date": date}, json=body if self.status == 200 else {})


class Place:
    """A folder with settings, and a store that a daemon has used."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.folder, self.clock = folder, clock
        self.vendor = Zendesk(clock)
        for name in ("secrets", "recipes"):
            (folder / name).mkdir(parents=True)
        (folder / "secrets" / "token").write_text("sandbox-token", encoding="utf-8")
        (folder / "secrets" / "token").chmod(0o600)
        self.file = folder / "cxbridge.toml"
        self.file.write_text(SETTINGS, encoding="utf-8")

    def bridge(self) -> Bridge:
        return Bridge(load(self.file, {}), clock=self.clock, transport_of=lambda _: self.vendor)

    def used(self) -> "Place":
        """Let a daemon have worked here until now."""
        with self.bridge() as bridge, bridge.store.write() as tx:
            state.instance_key(tx)
            for connection, stream in bridge.streams():
                checkpoints.put(
                    tx,
                    Checkpoint(
                        connection=connection,
                        stream=stream,
                        cursor=None,
                        at=self.clock.now(),
                        pages=1,
                        caught_up=self.clock.now(),
                    ),
                )
        return self

    def found(self, *, deep: bool = False) -> list[Finding]:
        checkup = Checkup(load(self.file, {}), self.file, self.clock, deep, lambda _: self.vendor)
        return list(checkup.findings())

    def told(self, about: str, *, deep: bool = False) -> list[Finding]:
        return [one for one in self.found(deep=deep) if one.about == about and one.state != "ok"]


@pytest.fixture
def place(tmp_path: Path, clock: ManualClock) -> Place:
    return Place(tmp_path / "here", clock)


def test_the_worst_problem_decides_the_code() -> None:
    found = [ok("a", "x"), warning("b", "x", "y"), problem("c", "x", "y", 69)]
    assert exit_code(found[:2]) == 0
    assert exit_code(found) == 69
    for code in (75, 73, 77, 78):
        found.append(problem("d", "x", "y", code))
        assert exit_code(found) == code


def test_a_sound_place_has_no_problem_and_everything_has_a_remedy(place: Place) -> None:
    found = place.used().found()
    assert [one for one in found if one.state == "problem"] == []
    assert exit_code(found) == 0
    assert all(one.remedy for one in found if one.state != "ok")
    assert {"store", "key", "integrity", "disk", "file system", "zendesk"} <= {one.about for one in found}


def test_it_writes_nothing_and_sends_nothing_but_reads(place: Place) -> None:
    # SQLite's own index of the log may come and go beside a store that is read.
    passing = ("cxbridge.db-shm", "cxbridge.db-wal")

    def everything() -> dict[str, tuple[int, bytes]]:
        return {
            str(one.relative_to(place.folder)): (one.stat().st_mtime_ns, one.read_bytes())
            for one in sorted(place.folder.rglob("*"))
            if one.is_file() and one.name not in passing
        }

    untouched = everything()
    place.found(deep=True)
    assert everything() == untouched
    place.used()
    # Whoever opens a store for writing makes this anew.
    (place.folder / "cxbridge.db-writer").unlink()
    used = everything()
    place.vendor.seen.clear()
    place.found(deep=True)
    assert everything() == used
    assert {one.split()[0] for one in place.vendor.seen} == {"GET"}


def test_nothing_made_yet_is_no_problem(place: Place) -> None:
    found = place.found()
    assert exit_code(found) == 0
    assert {one.about for one in found if one.state == "warning"} >= {"key", "store"}
    assert not (place.folder / "cxbridge.db").exists()
    assert not (place.folder / "cxbridge.key").exists()


def open_secret(place: Place) -> str:
    (place.folder / "secrets" / "token").chmod(0o644)
    return "secrets"


def open_settings(place: Place) -> str:
    place.file.chmod(0o666)
    return "settings"


def open_key(place: Place) -> str:
    (place.folder / "cxbridge.key").chmod(0o640)
    return "key"


def writable_store(place: Place) -> str:
    (place.folder / "cxbridge.db").chmod(0o666)
    return "store"


def other_key(place: Place) -> str:
    (place.folder / "cxbridge.key").write_text("ab" * 32 + "\n")
    return "key"


def damaged(place: Place) -> str:
    file = place.folder / "cxbridge.db"
    with closing(sqlite3.connect(file)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        # An index that nobody reads who looks the store over: what is found earlier is told as the store's trouble.
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_links_right_relation'")
    body = bytearray(file.read_bytes())
    body[size * (page - 1) : size * page] = os.urandom(size)
    file.write_bytes(body)
    return "integrity"


def broken_recipe(place: Place) -> str:
    (place.folder / "recipes" / "odd.toml").write_text("title = 1\n")
    return "recipe"


@pytest.mark.parametrize(
    "spoil", [open_secret, open_settings, open_key, writable_store, other_key, damaged, broken_recipe]
)
def test_what_only_a_person_can_mend_is_a_problem(place: Place, spoil: Callable[[Place], str]) -> None:
    about = spoil(place.used())
    found = place.found(deep=True)
    assert [one.code for one in found if one.state == "problem" and one.about == about][:1] == [78], found
    assert exit_code(found) == 78


@pytest.mark.parametrize(("status", "code"), [(401, 77), (503, 69), (403, 78)], ids=["refused", "down", "not allowed"])
def test_what_a_vendor_says_is_told_apart(place: Place, status: int, code: int) -> None:
    place.used().vendor.status = status
    assert exit_code(place.found()) == code


@pytest.mark.parametrize(
    ("ahead", "state_"), [(20, None), (-40, "warning"), (40, "warning"), (-301, "problem"), (400, "problem")]
)
def test_a_clock_that_is_off_is_named_at_half_a_minute_and_wrong_at_five(
    place: Place, ahead: int, state_: str | None
) -> None:
    place.used().vendor.ahead = timedelta(seconds=ahead)
    found = [one.state for one in place.told("zendesk") if "its clock is" in one.told]
    assert found == ([state_] if state_ else [])


def test_a_clock_that_went_back_is_named(place: Place) -> None:
    place.used()
    place.clock.advance(-3600)
    assert [one.code for one in place.told("clock")] == [78]


def test_what_waits_for_a_person_is_named(place: Place) -> None:
    place.used()
    now = place.clock.now()
    with place.bridge() as bridge, bridge.store.write() as tx:
        state.pause(tx, "zendesk", "the token was revoked", "mend the credential", now)
        planning.tally(tx, "zendesk/tickets", "refused: a ticket is not of the expected form", at=now, n=4)
    found = place.found()
    assert exit_code(found) == 77
    (paused,) = [one for one in found if one.code == 77]
    assert paused.remedy == "mend the credential"
    (refused,) = [one for one in found if one.about == "zendesk/tickets"]
    assert "4 records could not be read" in refused.told
    assert [one.about for one in found if one.state == "warning" and one.about == "daemon"] == ["daemon"]


def test_a_stream_is_late_an_hour_after_it_caught_up(place: Place) -> None:
    place.used()
    place.clock.advance(3600)
    assert place.told("zendesk/tickets") == []
    place.clock.advance(1)
    (late,) = place.told("zendesk/tickets")
    assert "last caught up at" in late.told


def test_a_daemon_is_seen_by_its_lock_and_not_disturbed(place: Place) -> None:
    place.used()
    with place.bridge() as bridge, bridge.store.alone("run"):
        found = place.found()
        assert [one.told for one in found if one.about == "daemon"] == [f"at work: process {os.getpid()}"]
    assert [one.state for one in place.found() if one.about == "daemon"] == ["warning"]


def test_an_old_sqlite_is_named_with_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "sqlite_version", lambda: (3, 51, 2))
    (old,) = place.told("sqlite")
    assert "WAL-reset" in old.told
    assert "pysqlite3" in old.remedy
    monkeypatch.setattr(condition, "sqlite_version", lambda: (3, 51, 3))
    assert place.told("sqlite") == []


@pytest.mark.parametrize(
    ("free", "size", "per_day", "code"),
    [
        (machine.LEAST_FREE - 1, 0, 0.0, 73),
        (20 * machine.GIB, machine.GIB, machine.GIB, 0),
        (2 * machine.GIB, 3 * machine.GIB, 0.0, 0),
        (20 * machine.GIB, machine.GIB, machine.MIB, None),
    ],
    ids=["full", "full within a month", "no room for a backup", "roomy"],
)
def test_the_disk_is_held_against_the_store_and_its_growth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, size: int, per_day: float, code: int | None
) -> None:
    monkeypatch.setattr(condition, "free_disk", lambda _: free)
    (disk,) = [one for one in machine.room(tmp_path / "x.db", size, per_day) if one.about == "disk"]
    assert (None if disk.state == "ok" else disk.code) == code


def test_a_store_over_a_network_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "file_system", lambda _: "nfs4")
    assert exit_code(machine.room(tmp_path / "x.db", 0, 0.0)) == 78
