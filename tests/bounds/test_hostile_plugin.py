"""A plugin's mistakes stay in the stream they are in: typed, bounded, named; the other streams go on."""

import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import soundness
from cxbridge.core.engine.daemon import Daemon, Watcher
from cxbridge.core.engine.soundness import Unsound, receipt_of
from cxbridge.core.errors import PluginError, WireFormat
from cxbridge.core.store import checkpoints
from tests.bounds import hostile
from tests.bounds.hostile import Pages, connector, cursor_of, good, opened, stored


class Own(BaseException):
    """An exception of a plugin's that is no error."""


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        (hostile.raising(RuntimeError("no")), "RuntimeError"),
        (hostile.raising(SystemExit(3)), "end the program"),
        (hostile.raising(GeneratorExit()), "end the program"),
        (hostile.no_generator, "end the program"),
        (hostile.nothing_at_all, "TypeError"),
        (hostile.yielding(None, None), "NoneType"),
        (hostile.yielding({"entities": []}), "dict where a Page"),
        (hostile.yielding(cx.Page("text", cursor=1)), "entities must be a list"),  # type: ignore[arg-type]
        (hostile.yielding(cx.Page([{"source_id": "1"}], cursor=1)), "AttributeError"),  # type: ignore[list-item]
        (hostile.yielding(cx.Page([], cursor=object())), "cannot be written as JSON"),
        (hostile.yielding(cx.Page([], cursor="x" * 1_100_000)), "a cursor holds"),
        (hostile.yielding(cx.Page([hostile.ticket(1)], cursor=1, raw=[b"a", b"b"])), "ValueError"),
        (hostile.yielding(cx.Page([], cursor=1, deleted=[7])), "must be texts"),  # type: ignore[list-item]
        (hostile.yielding(cx.Page([hostile.ticket(1)], cursor=1, more=True)), "in the middle of a page"),
        (hostile.huge, "at most 100000"),
        (hostile.in_parts(deleted=["gone"] * 30_000), "at most 100000"),
        (hostile.in_parts(), "at most 100000"),
        (hostile.heavy, "at most 128"),
        (hostile.without_end, "entities must be a list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_a_stream_does_wrong_is_its_plugins_error(
    tmp_path: Path, clock: ManualClock, pages: Pages, told: str
) -> None:
    with opened(tmp_path, clock, connector("bad", {"worse": pages, "good": good})) as bridge:
        with pytest.raises(PluginError, match=told):
            bridge.pull("bad", "worse")
        assert stored(bridge, "bad", "worse") <= 1
        bridge.pull("bad", "good")
        assert stored(bridge, "bad", "good") == 2


def test_parts_of_a_page_that_are_too_large_together_are_not_waited_for(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "LARGEST_PAGE", 1_000_000)
    pages = hostile.in_parts(entities=[hostile.ticket(1, body_text="x" * 300_000)])
    with opened(tmp_path, clock, connector("bad", {"worse": pages})) as bridge:
        with pytest.raises(PluginError, match="a page holds"):
            bridge.pull("bad", "worse")
        assert stored(bridge, "bad", "worse") == 0


@pytest.mark.parametrize("round_", [("a",), ("a", "b"), ("a", "b", "c")], ids=len)
def test_a_circle_ends_within_three_pages_of_its_closing(
    tmp_path: Path, clock: ManualClock, round_: tuple[str, ...]
) -> None:
    with opened(tmp_path, clock, connector("bad", {"round": hostile.in_circles(*round_)})) as bridge:
        with pytest.raises(WireFormat, match="go in circles"):
            bridge.pull("bad", "round")
        with bridge.store.read() as tx:
            kept = checkpoints.get(tx, "bad", "round")
        assert kept is not None
        assert kept.pages == len(round_)


@pytest.mark.parametrize(
    ("pages", "most"), [(hostile.growing, 3), (hostile.nothing_new, 2), (hostile.always_empty, 50)]
)
def test_a_walk_that_brings_nothing_new_ends(
    tmp_path: Path, clock: ManualClock, pages: Pages, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "MOST_EMPTY", 50)
    with opened(tmp_path, clock, connector("bad", {"long": pages})) as bridge:
        with pytest.raises(WireFormat, match="go in circles"):
            bridge.pull("bad", "long")
        with bridge.store.read() as tx:
            kept = checkpoints.get(tx, "bad", "long")
        assert kept is not None
        assert kept.pages <= most


def test_what_a_plugin_changes_afterwards_changes_nothing_that_was_kept(tmp_path: Path, clock: ManualClock) -> None:
    with opened(tmp_path, clock, connector("bad", {"its": hostile.mutating})) as bridge:
        for number in (2, 3, 4):
            bridge.pull("bad", "its")
            assert cursor_of(bridge, "bad", "its") == {"at": list(range(number))}
            assert stored(bridge, "bad", "its") == number - 1


def test_exits_and_exceptions_of_its_own_take_no_worker_of_the_daemons(tmp_path: Path, clock: ManualClock) -> None:
    bad = connector(
        "bad",
        {
            "exits": hostile.raising(SystemExit(0)),
            "interrupts": hostile.raising(KeyboardInterrupt()),
            "own": hostile.raising(Own()),
            "raises": hostile.raising(ValueError()),
        },
    )
    # One worker: whoever takes it with them leaves nobody to pull the rest.
    with (
        structlog.testing.capture_logs() as logs,
        opened(tmp_path, clock, bad, connector("sound", {"good": good}), daemon={"workers": 1}) as bridge,
    ):
        done = threading.Event()
        daemon = Daemon(bridge, Watcher(pulled=lambda one: done.set() if one.connection == "sound" else None))
        daemon.start()
        try:
            assert done.wait(30)
        finally:
            assert daemon.end()
        assert stored(bridge, "sound", "good") == 2
        troubles = {one.job for one in bridge.watchdog.troubles()}
    assert troubles == {f"pull:bad/{name}" for name in ("exits", "interrupts", "own", "raises")}
    assert {one["job"] for one in logs if one["event"] == "job.failed"} == troubles


def test_a_stream_that_blocks_is_named_and_another_worker_takes_its_place(tmp_path: Path, clock: ManualClock) -> None:
    blocked = hostile.Blocked()
    pulled = threading.Event()
    with (
        structlog.testing.capture_logs() as logs,
        opened(
            tmp_path,
            clock,
            connector("bad", {"stuck": blocked.pages}),
            connector("sound", {"good": good}),
            daemon={"workers": 1, "drain": "10s"},
        ) as bridge,
    ):
        daemon = Daemon(bridge, Watcher(pulled=lambda one: pulled.set() if one.connection == "sound" else None))
        daemon.start()
        try:
            assert blocked.began.wait(30)
            assert not pulled.is_set()
            clock.advance(301)
            (slow,) = bridge.watchdog.look()
            assert pulled.wait(30)
        finally:
            blocked.let_go.set()
            assert daemon.end()
        assert stored(bridge, "bad", "stuck") == 1
    assert slow.job == "pull:bad/stuck"
    assert slow.at.endswith("pages"), slow.at
    (told,) = [one for one in logs if one["event"] == "plugin.slow"]
    assert told["job"] == "pull:bad/stuck"
    assert "stands still" in told["why"]


@pytest.mark.parametrize(
    "given",
    [None, "done", cx.Receipt("tickets", 7), cx.Receipt("tickets", "7", wrote={"tags": object()})],  # type: ignore[arg-type]
    ids=["nothing", "text", "number as key", "not JSON"],
)
def test_a_receipt_that_is_none_cannot_be_kept(given: Any) -> None:
    with pytest.raises(Unsound):
        receipt_of(given)


def exiting() -> cx.Identity:
    raise SystemExit


@pytest.mark.parametrize("answer", [lambda: None, lambda: cx.Identity(7), exiting])  # type: ignore[arg-type]
def test_a_check_that_answers_nonsense_is_its_plugins_error(tmp_path: Path, clock: ManualClock, answer: Any) -> None:
    with (
        opened(tmp_path, clock, connector("bad", {}, check_=answer)) as bridge,
        pytest.raises(PluginError, match="bad"),
    ):
        bridge.check("bad")
