"""Judging in threads: what a connector's code does to one delivery, it does to no other."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cxbridge.console import judges
from cxbridge.console.endpoints import Endpoint, Verdict
from cxbridge.console.intake import Intake
from cxbridge.console.judges import Judges, Late
from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import Announced, Inbound, Webhook
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, inbox
from tests.console.test_intake import arrival

ENDPOINT = Endpoint("zendesk", Webhook(lambda *_: None, lambda _: Announced("")), "/hooks/zendesk/x", ("secret",))
OTHER = replace(ENDPOINT, connection="jira")


@pytest.fixture
def intake(sqlite_store: Store, clock: ManualClock) -> Iterator[Intake]:
    made = Intake(sqlite_store, clock, lambda _: None)
    made.start()
    yield made
    made.stop()


def inbound(clock: ManualClock, body: bytes = b"{}") -> Inbound:
    return Inbound("POST", {}, body, {}, clock.now())


def asked(judge: Callable[[Endpoint, Inbound], Verdict], intake: Intake, patience: float = 20.0) -> Judges:
    return Judges(judge, intake, patience)


def test_code_that_ends_its_thread_ends_nothing_else(intake: Intake, clock: ManualClock) -> None:
    def judge(_: Endpoint, inbound: Inbound) -> Verdict:
        if inbound.body == b"bad":
            raise SystemExit(3)
        return Verdict(401)

    async def all_of_them() -> list[int]:
        made = asked(judge, intake)
        for _ in range(judges._ABREAST + 1):
            with pytest.raises(RuntimeError):
                await made.verdict(ENDPOINT, inbound(clock, b"bad"))
        found = [(await made.verdict(ENDPOINT, inbound(clock))).status for _ in range(3)]
        made.stop()
        return found

    assert asyncio.run(all_of_them()) == [401, 401, 401]


def test_storing_that_breaks_off_has_the_vendor_come_again_and_holds_up_nobody(
    sqlite_store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(sqlite_store, clock, lambda _: None)
    intake.start()
    write = intake._write
    broken = [1]

    def breaks_off(batch: list[Any]) -> None:
        if broken.pop():
            raise SystemExit(3)
        write(batch)

    monkeypatch.setattr(intake, "_write", breaks_off)

    def judge(_: Endpoint, inbound: Inbound) -> Verdict:
        return Verdict(200, arrival=arrival(int(inbound.body), clock))

    async def two() -> int:
        made = asked(judge, intake)
        with pytest.raises(StoreError):
            await asyncio.wait_for(made.verdict(ENDPOINT, inbound(clock, b"1")), 20)
        broken[:] = [0]
        found = await asyncio.wait_for(made.verdict(ENDPOINT, inbound(clock, b"2")), 20)
        made.stop()
        return found.status

    assert asyncio.run(two()) == 200
    intake.stop()
    with sqlite_store.read() as tx:
        assert len(inbox.waiting(tx, 0, 10)) == 1


def test_late_code_is_asked_again_when_it_has_come_back_and_what_it_said_is_not_stored(
    intake: Intake, sqlite_store: Store, clock: ManualClock
) -> None:
    let_go = threading.Event()

    def judge(endpoint: Endpoint, inbound: Inbound) -> Verdict:
        if inbound.body == b"slow":
            let_go.wait()
        return Verdict(200, arrival=arrival(1, clock) if endpoint is ENDPOINT else None)

    async def all_of_them() -> None:
        made = asked(judge, intake, 0.5)
        slow = (made.verdict(ENDPOINT, inbound(clock, b"slow")) for _ in range(judges.MOST_LATE))
        assert [type(one) for one in await asyncio.gather(*slow, return_exceptions=True)] == [Late] * judges.MOST_LATE
        with pytest.raises(Late):
            await made.verdict(ENDPOINT, inbound(clock))
        assert (await made.verdict(OTHER, inbound(clock))).status == 200
        let_go.set()
        while made._late[ENDPOINT.connection]:
            await asyncio.sleep(0.01)
        assert stored() == 0
        assert (await made.verdict(ENDPOINT, inbound(clock))).status == 200
        assert stored() == 1
        made.stop()

    def stored() -> int:
        with sqlite_store.read() as tx:
            return len(inbox.waiting(tx))

    asyncio.run(asyncio.wait_for(all_of_them(), 60))


def test_many_at_once_are_judged_by_few_threads_which_end_when_told(intake: Intake, clock: ManualClock) -> None:
    before = threading.active_count()

    async def all_of_them() -> list[Verdict]:
        made = asked(lambda *_: Verdict(401), intake)
        found = await asyncio.gather(*(made.verdict(ENDPOINT, inbound(clock)) for _ in range(500)))
        assert threading.active_count() <= before + judges._ABREAST
        made.stop()
        return list(found)

    assert len(asyncio.run(all_of_them())) == 500
    for thread in threading.enumerate():
        if thread.name == "judge":
            thread.join(20)
    assert threading.active_count() == before
