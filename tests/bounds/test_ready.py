"""`/readyz`: each part that fails is named, a vendor that is down is not one of them, and a full disk is over without a restart."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cxbridge.console import judges, readiness
from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import Inbound
from cxbridge.core.engine.watchdog import SILENCE
from cxbridge.core.errors import Retryable
from cxbridge.core.store import Tx, condition, migrate, schema, state
from tests.bounds import full
from tests.console.conftest import Delivery, House, opened

# A body that SQLite needs pages for.
BULK = 200_000


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> Iterator[House]:
    with opened(tmp_path / "house", clock, patience="3s") as made:
        made.bridge.watchdog.tick()
        yield made


def ready(house: House) -> tuple[int, dict[str, Any]]:
    """Ask; the answer of the second before is not given again."""
    house.clock.advance(2)
    answer = house.client.get("/readyz")
    return answer.status_code, answer.json()


def bulky(house: House, key: str) -> Delivery:
    return house.zendesk(key, event={"comment": {"body": key * BULK}})


def test_ready_names_every_part(house: House) -> None:
    status, told = ready(house)
    assert (status, told["status"], told["failing"], told["degraded"]) == (200, "ready", [], [])
    assert told["parts"] == dict.fromkeys(["store", "schema", "webhooks", "disk", "scheduler"], "ok")


def test_a_full_store_is_not_ready_webhooks_come_again_and_nothing_is_lost(house: House) -> None:
    room = full.Pages(house.bridge.store)
    room.fill()
    refused = house.post("zendesk", bulky(house, "1"))
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert house.stored() == []
    for _ in range(2):
        status, told = ready(house)
        assert (status, told["failing"]) == (503, ["store"])
        assert "is full" in told["parts"]["store"]
        assert str(house.bridge.store.path) not in str(told)
    room.free()
    assert ready(house)[0] == 200
    assert house.post("zendesk", bulky(house, "1")).status_code == 200
    assert [one.connection for one in house.stored()] == ["zendesk"]
    full.sound(house.bridge.store)


def test_a_full_disk_is_not_ready_and_goes_on_when_there_is_room(tmp_path: Path, clock: ManualClock) -> None:
    with full.small_disk(tmp_path / "small", "128m") as disk, ExitStack() as stack:
        house = stack.enter_context(opened(disk.place / "house", clock))
        house.bridge.watchdog.tick()
        assert ready(house)[0] == 200
        disk.fill(2)
        assert house.post("zendesk", bulky(house, "1")).status_code == 503
        status, told = ready(house)
        assert (status, told["failing"]) == (503, ["disk", "store"])
        disk.free()
        assert ready(house)[0] == 200
        assert house.post("zendesk", bulky(house, "1")).status_code == 200
        assert len(house.stored()) == 1
        full.sound(house.bridge.store)


def test_a_disk_that_will_soon_be_full_is_named_before_it_is(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "free_disk", lambda _: readiness.LEAST_FREE - 1)
    assert ready(house)[1]["failing"] == ["disk"]
    monkeypatch.setattr(condition, "free_disk", lambda _: readiness.LEAST_FREE)
    assert ready(house)[0] == 200


def test_a_clock_that_stands_still_is_named(house: House) -> None:
    house.clock.advance(SILENCE + 1)
    assert ready(house)[1]["failing"] == ["scheduler"]
    house.bridge.watchdog.tick()
    assert ready(house)[0] == 200


def test_tables_that_another_program_upgraded_are_named_where_this_one_cannot_go_on(house: House) -> None:
    with house.bridge.store.write() as tx:
        tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        state.meta_set(tx, migrate.OLDEST, schema.REVISION.encode())
    assert ready(house)[0] == 200
    with house.bridge.store.write() as tx:
        state.meta_set(tx, migrate.OLDEST, b"9999")
    status, told = ready(house)
    assert (status, told["failing"]) == (503, ["schema"])
    assert "9999" in told["parts"]["schema"]


def test_an_intake_that_ended_is_named(house: House) -> None:
    house.receiver._intake.stop()
    assert ready(house)[1]["failing"] == ["webhooks"]


def test_a_vendor_that_is_down_is_told_and_leaves_the_process_ready(house: House) -> None:
    since = house.clock.now()
    house.bridge.watchdog.failed("pull:zendesk/tickets", Retryable("the token sits in /hidden", connection="zendesk"))
    with house.bridge.store.write() as tx:
        state.pause(tx, "jira", "401", "mend it", since)
    status, told = ready(house)
    assert status == 200
    assert [(one["what"], one["state"]) for one in told["degraded"]] == [
        ("jira", "paused"),
        ("pull:zendesk/tickets", "failing"),
    ]
    assert "hidden" not in str(told)
    house.bridge.watchdog.worked("pull:zendesk/tickets")
    assert [one["what"] for one in ready(house)[1]["degraded"]] == ["jira"]


def test_an_idle_store_is_written_to_only_when_nothing_else_tells(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    whole = house.bridge.store.write

    @contextmanager
    def write() -> Iterator[Tx]:
        written.append(1)
        with whole() as tx:
            yield tx

    monkeypatch.setattr(house.bridge.store, "write", write)
    house.bridge.watchdog.tick()
    assert ready(house)[0] == 200
    assert written == []
    house.clock.advance(61)
    house.bridge.watchdog.tick()
    assert ready(house)[0] == 200
    assert len(written) == 2


def test_code_that_does_not_come_back_holds_up_its_own_connection_alone(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    with opened(tmp_path / "house", clock, patience="1s") as house:
        judge = house.receiver.endpoints
        zendesk = judge.all["zendesk"]

        def verify(_inbound: Inbound, _secrets: Any) -> None:
            let_go.wait()

        stuck = type(zendesk)(
            zendesk.connection,
            type(zendesk.webhook)(verify, zendesk.webhook.read),
            zendesk.path,
            zendesk.secrets,
            zendesk.streams,
        )
        monkeypatch.setitem(judge.all, "zendesk", stuck)
        try:
            for _ in range(judges.MOST_LATE):
                assert house.post("zendesk", house.zendesk()).status_code == 503
            threads = threading.active_count()
            for _ in range(5):
                assert house.post("zendesk", house.zendesk()).status_code == 503
            assert threading.active_count() <= threads
            assert house.post("jira", house.jira()).status_code == 200
        finally:
            let_go.set()
