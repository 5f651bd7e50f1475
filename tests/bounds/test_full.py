"""A full disk: what was under way ends with words and code 75, nothing is half-written, and it goes on once there is room."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Tx, planning, probing, state
from tests.bounds import full, hostile
from tests.core.engine.little_company import Company, company

NOTE = """
[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ ticket.body_text }}" }
"""
# Compresses to nothing: the store keeps it as large as it is.
LONG = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(6_000))
PAGES = 24

Full = full.Pages | full.Disk
Staged = tuple[Company, Full]


@pytest.fixture(params=["pages", "disk"])
def staged(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Staged]:
    """A company on a store that can be filled: by SQLite's own limit, and on a real file system of 48 MiB."""
    with ExitStack() as stack:
        place = tmp_path / "small"
        disk = stack.enter_context(full.small_disk(place, "48m")) if request.param == "disk" else None
        made = stack.enter_context(company(place, NOTE, clock))
        yield made, disk or full.Pages(made.bridge.store)


def many(made: Company, number: int = 40) -> None:
    for key in range(1, number + 1):
        made.ticket(str(key), body_text=LONG)


def until_full(step: Callable[[], Any]) -> StoreError:
    with pytest.raises(StoreError, match="is full: free disk space, then try again") as caught:
        step()
    assert caught.value.exit_code == 75
    return caught.value


def test_a_pull_keeps_its_last_whole_page_and_goes_on_from_there(tmp_path: Path, clock: ManualClock) -> None:
    def pages(_client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        for number in range(int(cursor or 0), PAGES):
            yield cx.Page([hostile.ticket(f"{number}-{n}", body_text=LONG) for n in range(10)], cursor=number + 1)

    with hostile.opened(tmp_path, clock, hostile.connector("desk", {"tickets": pages})) as bridge:
        room = full.Pages(bridge.store)
        room.fill(40)
        until_full(lambda: bridge.pull("desk", "tickets"))
        came_to = hostile.cursor_of(bridge, "desk", "tickets")
        assert 0 < came_to < PAGES
        assert hostile.stored(bridge, "desk", "tickets") == 10 * came_to
        full.sound(bridge.store)
        room.free()
        assert bridge.pull("desk", "tickets").pages == PAGES - came_to
        assert hostile.stored(bridge, "desk", "tickets") == 10 * PAGES
        full.sound(bridge.store)


def test_a_pull_on_a_full_disk_stores_nothing_and_is_whole_afterwards(staged: Staged) -> None:
    made, room = staged
    many(made)
    room.fill(4)
    until_full(lambda: made.bridge.pull("desk", "tickets"))
    assert hostile.stored(made.bridge, "desk", "tickets") == 0
    assert hostile.cursor_of(made.bridge, "desk", "tickets") is None
    room.free()
    made.cycle()
    assert len(made.notes()) == 40
    full.sound(made.bridge.store)


def test_a_plan_starts_no_run_and_stays_where_it_was(staged: Staged) -> None:
    made, room = staged
    many(made)
    made.bridge.pull("desk", "tickets")
    with made.bridge.store.read() as tx:
        before = planning.position(tx, "plan")
    room.fill(2)
    until_full(made.bridge.plan)
    assert made.runs() == []
    assert made.deliveries() == []
    with made.bridge.store.read() as tx:
        assert planning.position(tx, "plan") == before
    room.free()
    made.cycle()
    assert len(made.notes()) == len(made.runs()) == 40
    full.sound(made.bridge.store)


def test_an_outcome_that_cannot_be_recorded_is_looked_up_and_not_sent_again(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with company(tmp_path, NOTE, clock) as made:
        made.ticket(body_text="Noted.")
        made.bridge.pull("desk", "tickets")
        made.bridge.plan()
        room = full.Pages(made.bridge.store)
        whole = made.vendors.perform

        def perform(connection: str, verb: str, stream: str, call: cx.Call) -> cx.Receipt:
            receipt = whole(connection, verb, stream, call)
            # While the vendor was called the disk ran full; its answer is longer than what is left.
            room.fill()
            return cx.Receipt(receipt.stream, receipt.key, told=LONG * 4)

        monkeypatch.setattr(made.vendors, "perform", perform)
        until_full(lambda: made.bridge.push("desk"))
        assert [one.state for one in made.deliveries()] == ["sent"]
        full.sound(made.bridge.store)
        room.free()
        # The same process goes on, without a restart.
        for _ in range(3):
            made.later(60)
        assert [one.state for one in made.deliveries()] == ["confirmed"]
        assert made.notes() == ["Noted."]


def test_a_delivery_that_cannot_be_marked_is_not_sent(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    made, room = staged
    many(made, 3)
    made.bridge.pull("desk", "tickets")
    made.bridge.plan()
    store = made.bridge.store
    whole = store.write

    @contextmanager
    def write() -> Iterator[Tx]:
        # What a delivery's mark takes is less than a page: here every commit needs more than there is.
        with whole() as tx:
            yield tx
            state.meta_set(tx, "ballast", b"x" * 1_000_000)

    room.fill()
    monkeypatch.setattr(store, "write", write)
    until_full(lambda: made.bridge.push("desk"))
    assert made.notes() == []
    assert {one.state for one in made.deliveries()} == {"planned"}
    monkeypatch.undo()
    room.free()
    made.later(60)
    assert len(made.notes()) == 3
    full.sound(store)


def test_whether_there_is_room_again_is_found_out_by_growing(staged: Staged) -> None:
    made, room = staged
    store = made.bridge.store
    assert probing.writable(store) == ""
    many(made)
    room.fill(4)
    until_full(lambda: made.bridge.pull("desk", "tickets"))
    # A few bytes may still find room; that says nothing.
    assert "is full" in probing.writable(store)
    assert "is full" in probing.writable(store)
    room.free()
    assert probing.writable(store) == ""
    with store.read() as tx:
        assert state.meta_get(tx, "probe") is None
