"""What a vendor asked to wait for is waited for by the next process as well, and by whoever takes a connection over."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core.baton import Baton
from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import RateLimited, StoreError, Withheld
from cxbridge.core.http import Budget, Endpoint, Limiter, Quota, limits

from .conftest import BASE, START, Open, Vendor
from .test_limits import ENDPOINT, Metered
from .test_quotas import Shelf


class Kept:
    """What a store keeps of holds, counting the writes; it can be out of order."""

    def __init__(self) -> None:
        self.ends: dict[str, dict[str, datetime]] = {}
        self.writes = 0
        self.broken = False

    def read(self, connection: str) -> Mapping[str, datetime]:
        if self.broken:
            raise StoreError("the disk is full")
        return dict(self.ends.get(connection, {}))

    def keep(self, connection: str, ends: Mapping[str, datetime], over: Mapping[str, datetime]) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        self.writes += 1
        kept = self.ends.setdefault(connection, {})
        for bucket, end in over.items():
            if kept.get(bucket, end) <= end:
                kept.pop(bucket, None)
        for bucket, end in ends.items():
            kept[bucket] = max(end, kept.get(bucket, end))


class Later(ManualClock):
    """The clock of another process or machine: its wall time may be off, and its seconds begin anew."""

    def __init__(self, clock: ManualClock, off: float = 0.0) -> None:
        super().__init__(clock.now() + timedelta(seconds=off))


def test_a_retry_after_is_kept_by_the_next_process(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    vendor.plays(httpx.Response(429, headers={"retry-after": "600"}), httpx.Response(200, json={}))
    with pytest.raises(RateLimited):
        connect(limiter=Limiter(clock, holds=kept)).get("/a")
    # Killed here: nothing is closed, nothing released.
    clock.advance(100)
    later = Later(clock)
    client = connect(limiter=Limiter(later, holds=kept), clock=later)
    for verb in (client.get, client.post):
        with pytest.raises(RateLimited, match="the whole connection") as caught:
            verb("/a")
        assert caught.value.retry_at == START + timedelta(seconds=600)
    assert len(vendor.seen) == 1
    later.advance(500)
    assert client.get("/a").status == 200


def test_a_budget_told_as_used_up_is_kept_with_its_end(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    metered = Metered(clock, account=(100, 60.0), export=(1, 600.0))
    vendor.plays(metered)
    connect(ENDPOINT, limiter=Limiter(clock, holds=kept)).get("/export")
    client = connect(ENDPOINT, limiter=Limiter(clock, holds=kept))
    with pytest.raises(RateLimited, match="the budget export"):
        client.get("/export")
    assert client.get("/things").status == 200, "what does not draw from it goes on"
    assert metered.overruns == 0


def test_the_last_of_a_budget_is_kept_before_it_leaves(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    limiter = Limiter(clock, holds=kept)
    seen: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(bool(kept.ends.get("acme")))
        return httpx.Response(200, json={})

    vendor.plays(httpx.Response(200, json={}, headers={"x-limit-account": "3 2 60"}), answer)
    client = connect(ENDPOINT, limiter=limiter)
    for _ in range(3):
        client.get("/things")
    assert seen == [False, True], "whoever is killed after the last one has told the next process already"


def test_what_was_thought_used_up_and_is_not_is_forgotten(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    limiter = Limiter(clock, holds=kept)
    one = limiter.acquire("acme", ("account",), _never)
    two = limiter.acquire("acme", ("account",), _never)
    # Both are in the vendor's count of one left; this process cannot know that, and takes the other as not counted yet.
    limiter.settle("acme", one, [Budget("account", 3, 1, 60.0)])
    assert set(kept.ends["acme"]) == {"account"}
    limiter.settle("acme", two, [Budget("account", 3, 1, 60.0)])
    assert kept.ends["acme"] == {}


def test_short_waits_are_not_worth_a_write(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    vendor.plays(httpx.Response(429, headers={"retry-after": "1"}), httpx.Response(200, json={}))
    connect(limiter=Limiter(clock, holds=kept)).get("/a")
    assert kept.writes == 0


def test_a_wait_is_written_once_however_often_it_is_told(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    told = iter([60.0, 59.5, 59.0, 58.0])
    vendor.plays(httpx.Response(200, json={}))
    limiter = Limiter(clock, holds=kept)
    drawn = [limiter.acquire("acme", ("account",), _never) for _ in range(4)]
    for one in drawn:
        limiter.settle("acme", one, [Budget("account", 9, 0, next(told))])
    assert kept.writes == 1


@pytest.mark.parametrize("off", [-7200.0, 7200.0, -30.0, 30.0])
def test_a_clock_that_steps_holds_for_an_hour_at_most_and_never_more(
    connect: Open, vendor: Vendor, clock: ManualClock, off: float
) -> None:
    kept = Kept()
    vendor.plays(httpx.Response(429, headers={"retry-after": "600"}), httpx.Response(200, json={}))
    with pytest.raises(RateLimited):
        connect(limiter=Limiter(clock, holds=kept)).get("/a")
    later = Later(clock, off)
    client = connect(limiter=Limiter(later, holds=kept), clock=later)
    if off > 600:
        client.get("/a")
        return
    with pytest.raises(RateLimited) as caught:
        client.get("/a")
    assert caught.value.retry_at is not None
    assert (caught.value.retry_at - later.now()).total_seconds() == min(3600.0, 600.0 - off)


def test_while_a_process_lives_a_step_of_the_clock_changes_nothing(connect: Open, vendor: Vendor) -> None:
    class Stepping(ManualClock):
        step = 0.0

        def now(self) -> datetime:
            return super().now() + timedelta(seconds=self.step)

    stepping = Stepping(START)
    kept = Kept()
    limiter = Limiter(stepping, holds=kept)
    vendor.plays(httpx.Response(429, headers={"retry-after": "600"}), httpx.Response(200, json={}))
    client = connect(limiter=limiter, clock=stepping)
    with pytest.raises(RateLimited):
        client.get("/a")
    stepping.step = 86_400.0
    with pytest.raises(RateLimited):
        client.get("/a")
    # In an orderly hand-over the end is written anew, by the clock as it is now.
    limiter.release("acme")
    assert kept.ends["acme"][""] == stepping.now() + timedelta(seconds=600)


def test_another_worker_takes_over_and_gives_back(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept, shelf = Kept(), Shelf()
    first, second = (Limiter(clock, shelf, kept, shared=True) for _ in range(2))
    vendor.plays(
        httpx.Response(200, json={}),
        httpx.Response(429, headers={"retry-after": "600"}),
        httpx.Response(200, json={}),
    )
    one = connect(limiter=first)
    one.get("/a")
    first.release("acme")
    first.forget("acme")
    with pytest.raises(RateLimited):
        connect(limiter=second).get("/a")
    second.release("acme")
    second.forget("acme")
    with pytest.raises(RateLimited, match="the whole connection"):
        one.get("/a")
    assert len(vendor.seen) == 2


def test_a_store_that_cannot_be_written_loses_no_answer(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    limiter = Limiter(clock, holds=kept)
    vendor.plays(httpx.Response(200, json=[7], headers={"x-limit-account": "3 2 600"}))
    client = connect(ENDPOINT, limiter=limiter)
    client.get("/things")
    kept.broken = True
    vendor.plays(httpx.Response(200, json=[7], headers={"x-limit-account": "3 0 600"}))
    assert client.get("/things").json() == [7]
    kept.broken = False
    limiter.release("acme")
    assert "account" in kept.ends["acme"]


def test_nothing_is_sent_before_it_is_known_what_holds(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    kept.broken = True
    client = connect(limiter=Limiter(clock, holds=kept))
    with pytest.raises(StoreError):
        client.get("/a")
    assert vendor.seen == []


def test_the_first_request_of_a_process_goes_alone(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    # The process before this one has left one request of its minute, and cannot tell any more.
    metered = Metered(clock, account=(10, 60.0))
    vendor.plays(metered)
    earlier = connect(ENDPOINT, limiter=Limiter(clock, holds=Kept()))
    for _ in range(9):
        earlier.get("/things")
    arrived, go_on = threading.Event(), threading.Event()

    def slow(request: httpx.Request) -> httpx.Response:
        arrived.set()
        assert go_on.wait(20)
        return metered(request)

    vendor.plays(slow)
    client = connect(replace(ENDPOINT, page_wait=0.0), limiter=Limiter(clock, holds=Kept()))
    refused: list[RateLimited] = []

    def ask() -> None:
        try:
            client.get("/things")
        except RateLimited as error:
            refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    threads[0].start()
    assert arrived.wait(20)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert metered.overruns == 0
    assert len(refused) == 4


def test_whoever_waits_for_the_first_request_lets_others_compute(
    connect: Open, vendor: Vendor, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody takes it unasked: who waits with it in hand keeps the first request from its end.
    baton = Baton(patience=-1)
    monkeypatch.setattr(limits, "BATON", baton)
    arrived, ended = threading.Event(), threading.Semaphore(0)

    def slow(request: httpx.Request) -> httpx.Response:
        if not arrived.is_set():
            arrived.set()
            with baton.part():
                pass
        return httpx.Response(200)

    vendor.plays(slow)
    client = connect(limiter=Limiter(clock, holds=Kept()))

    def first() -> None:
        client.get("/things")
        ended.release()

    def second() -> None:
        with baton.part():
            threading.Thread(target=first, daemon=True).start()
            assert arrived.wait(20)
            client.get("/things")
        ended.release()

    threading.Thread(target=second, daemon=True).start()
    assert ended.acquire(timeout=20)
    assert ended.acquire(timeout=20)


def test_a_first_request_that_is_kept_back_keeps_nobody_waiting(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    lost = [True, False]

    def gate() -> None:
        if lost.pop(0):
            raise Withheld("another worker speaks to it", sent=False)

    limiter = Limiter(clock, holds=Kept())
    client = connect(limiter=limiter, may_send=gate)
    with pytest.raises(Withheld):
        client.get("/a")
    assert client.get("/a").status == 200


# -- short windows of several workers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "writes"), [(1, 1), (20, 20), (50, 25), (700, 20), (2000, 40)])
def test_what_a_minute_costs_in_writes(clock: ManualClock, limit: int, writes: int) -> None:
    shelf = Shelf()
    limiter = Limiter(clock, shelf, shared=True)
    quota = Quota("a minute", limit, 60)
    for _ in range(limit):
        limiter.settle("acme", limiter.acquire("acme", None, _never, [quota]), quotas=[quota])
    assert shelf.asked == writes
    with pytest.raises(_WouldWaitError):
        limiter.acquire("acme", None, _never, [quota])


def test_alone_on_a_store_short_windows_cost_nothing(clock: ManualClock) -> None:
    shelf = Shelf()
    limiter = Limiter(clock, shelf)
    limiter.acquire("acme", None, _never, [Quota("a minute", 700, 60)])
    assert shelf.asked == 0


@settings(max_examples=60, deadline=None)
@given(
    limits=st.tuples(st.integers(1, 40), st.integers(1, 90)),
    moves=st.lists(
        st.tuples(st.sampled_from(["send", "send", "send", "hand over", "kill"]), st.floats(0, 20)), max_size=150
    ),
)
def test_no_window_is_exceeded_over_any_hand_over(limits: tuple[int, int], moves: list[tuple[str, float]]) -> None:
    clock = ManualClock(START)
    shelf, kept = Shelf(), Kept()
    quotas = [Quota("a second", limits[0], 1), Quota("a minute", limits[1], 60)]
    workers = [Limiter(clock, shelf, kept, shared=True) for _ in range(2)]
    sent: list[float] = []
    wasted = 0
    for what, seconds in moves:
        clock.advance(seconds)
        if what == "hand over":
            workers[0].release("acme")
            workers[0].forget("acme")
            workers.reverse()
        elif what == "kill":
            workers[0] = Limiter(clock, shelf, kept, shared=True)
            wasted += 1
        else:
            for _ in range(7):
                drawn = workers[0].acquire("acme", None, lambda pause, _: clock.advance(pause), quotas)
                sent.append(clock.now().timestamp())
                workers[0].settle("acme", drawn, quotas=quotas)
    for quota in quotas:
        windows: dict[int, int] = {}
        for at in sent:
            windows[int(at // quota.seconds)] = windows.get(int(at // quota.seconds), 0) + 1
        assert max(windows.values(), default=0) <= quota.limit
        if not wasted:
            # In order, nothing is counted that was not sent; in the window that is under way, that is.
            workers[0].release("acme")
            number = int(clock.now().timestamp() // quota.seconds)
            begin = datetime.fromtimestamp(number * quota.seconds, UTC)
            assert shelf.used.get(("acme", quota.name, begin), 0) == windows.get(number, 0)


def test_what_is_under_way_at_the_end_of_a_window_counts_in_the_next(clock: ManualClock) -> None:
    # Nobody here knows in which of both the vendor counts it.
    limiter = Limiter(clock)
    quota = Quota("a minute", 3, 60)
    slow = limiter.acquire("acme", None, _never, [quota])
    clock.advance(60)
    for _ in range(2):
        limiter.settle("acme", limiter.acquire("acme", None, _never, [quota]), quotas=[quota])
    with pytest.raises(_WouldWaitError):
        limiter.acquire("acme", None, _never, [quota])
    limiter.settle("acme", slow, quotas=[quota])
    clock.advance(60)
    for _ in range(3):
        limiter.settle("acme", limiter.acquire("acme", None, _never, [quota]), quotas=[quota])


def test_what_ended_in_the_next_window_counts_there_too(clock: ManualClock) -> None:
    limiter = Limiter(clock)
    quota = Quota("a minute", 2, 60)
    drawn = limiter.acquire("acme", None, _never, [quota])
    clock.advance(60)
    limiter.settle("acme", drawn, quotas=[quota])
    limiter.settle("acme", limiter.acquire("acme", None, _never, [quota]), quotas=[quota])
    with pytest.raises(_WouldWaitError):
        limiter.acquire("acme", None, _never, [quota])


def test_a_client_says_which_quotas_its_request_was_counted_in(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(47)  # into the next minute
        return httpx.Response(200, json={})

    vendor.plays(slow, httpx.Response(200, json={}))
    client = connect(Endpoint(BASE, quotas=[Quota("a minute", 2, 60)]))
    client.get("/a")
    client.get("/a")
    with pytest.raises(RateLimited, match="the budget a minute"):
        client.get("/a")


class _WouldWaitError(Exception):
    pass


def _never(seconds: float, bucket: str) -> None:
    raise _WouldWaitError(seconds, bucket)
