"""What a vendor counts without telling is counted here: never more than it allows, also over restarts and among threads."""

import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import RateLimited, StoreError
from cxbridge.core.http import BudgetState, Endpoint, Limiter, Quota
from cxbridge.core.http.quotas import BLOCK

from .conftest import BASE, START, Open, Vendor

MINUTE = Quota("a minute", 3, 60)
DAY = Quota("a day", 10_000, 86_400)


class Shelf:
    """A store of counts that says what it was asked, and can be out of order."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, str, datetime], int] = {}
        self.asked = 0
        self.broken = False

    def take(self, connection: str, name: str, window: datetime, seconds: int, count: int, limit: int) -> int:
        self.asked += 1
        if self.broken:
            raise StoreError("the disk is full")
        place = (connection, name, window)
        free = max(0, min(count, limit - self.used.get(place, 0)))
        self.used[place] = self.used.get(place, 0) + free
        return free

    def give_back(self, connection: str, name: str, window: datetime, count: int) -> None:
        self.used[connection, name, window] -= count


def endpoint(*quotas: Quota, page_wait: float = 30.0) -> Endpoint:
    return Endpoint(BASE, quotas=quotas, page_wait=page_wait)


def test_what_is_over_the_limit_waits_for_the_next_window_of_the_clock(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    # It is 13 seconds past the minute.
    client = connect(endpoint(MINUTE, page_wait=60.0))
    for _ in range(7):
        client.get("/a")
    assert vendor.times == [0, 0, 0, 47, 47, 47, 107]


def test_a_wait_that_is_longer_than_a_page_may_take_is_for_later(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    client = connect(endpoint(MINUTE))
    for _ in range(3):
        client.get("/a")
    with pytest.raises(RateLimited, match="the budget a minute") as caught:
        client.post("/a", {})
    assert caught.value.retry_at == START + timedelta(seconds=47)
    assert not caught.value.sent
    assert len(vendor.seen) == 3
    clock.advance(47)
    client.post("/a", {})
    assert len(vendor.seen) == 4


def test_only_what_a_quota_is_about_counts(connect: Open, vendor: Vendor) -> None:
    exports = Quota("exports", 1, 3600, applies=lambda method, path: path.startswith("/export"))
    client = connect(endpoint(exports))
    client.get("/export/1")
    for _ in range(5):
        client.get("/a")
    with pytest.raises(RateLimited, match="the budget exports"):
        client.get("/export/2")
    assert len(vendor.seen) == 6


def test_repetitions_count_as_well(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(500), httpx.Response(500), httpx.Response(200, json={}))
    client = connect(endpoint(MINUTE))
    client.get("/a")
    with pytest.raises(RateLimited):
        client.get("/a")
    assert len(vendor.seen) == 3


def test_what_is_left_can_be_shown(connect: Open, clock: ManualClock) -> None:
    limiter = Limiter(clock, Shelf())
    client = connect(endpoint(MINUTE, DAY), limiter=limiter)
    for _ in range(3):
        client.get("/a")
    assert limiter.snapshot("acme") == [
        BudgetState("acme", "a day", 10_000, 9_997, 0.0),
        BudgetState("acme", "a minute", 3, 0, 47.0),
    ]
    assert limiter.snapshot("another") == []


def test_a_long_window_is_kept_in_blocks(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    shelf = Shelf()
    client = connect(endpoint(DAY), limiter=Limiter(clock, shelf))
    for _ in range(BLOCK + 1):
        client.get("/a")
    assert shelf.asked == 2
    assert shelf.used == {("acme", "a day", datetime(2026, 5, 6, tzinfo=UTC)): 2 * BLOCK}


def test_a_process_that_is_killed_leaves_no_request_uncounted(clock: ManualClock) -> None:
    shelf = Shelf()
    sent = 0
    for life in range(1, 9):
        limiter = Limiter(clock, shelf)  # and no release at its end
        for _ in range(17 * life % 61):
            _send(limiter, "acme", DAY)
            sent += 1
        [counted] = shelf.used.values()
        assert sent <= counted <= sent + life * BLOCK


def test_a_process_that_ends_gives_back_what_it_did_not_send(clock: ManualClock) -> None:
    shelf = Shelf()
    for _ in range(4):
        limiter = Limiter(clock, shelf)
        _send(limiter, "acme", DAY)
        limiter.release()
        limiter.release()
    assert list(shelf.used.values()) == [4]


def test_a_limit_that_another_process_has_used_up_holds(clock: ManualClock) -> None:
    shelf = Shelf()
    small = Quota("a day", 5, 86_400)
    first, second = Limiter(clock, shelf), Limiter(clock, shelf)
    for limiter in (first, second, first, second, first):
        _send(limiter, "acme", small)
    for limiter in (first, second):
        with pytest.raises(_WouldWait) as caught:
            _send(limiter, "acme", small)
        assert caught.value.args == (54_827.0, "a day")
    clock.advance(54_827.0)
    _send(first, "acme", small)


def test_a_block_that_is_left_is_used_up_although_the_store_has_no_more(clock: ManualClock) -> None:
    shelf = Shelf()
    day = Quota("a day", 1_000, 86_400)  # in blocks of ten
    other, limiter = Limiter(clock, shelf), Limiter(clock, shelf)
    _send(limiter, "acme", day)
    for _ in range(990):
        _send(other, "acme", day)
    for _ in range(9):
        _send(limiter, "acme", day)
    for one in (other, limiter):
        with pytest.raises(_WouldWait):
            _send(one, "acme", day)


def test_nothing_is_sent_when_it_cannot_be_counted(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    shelf = Shelf()
    shelf.broken = True
    client = connect(endpoint(DAY), limiter=Limiter(clock, shelf))
    with pytest.raises(StoreError):
        client.get("/a")
    assert vendor.seen == []
    shelf.broken = False
    assert client.get("/a").status == 200


def test_a_short_window_asks_no_store(connect: Open, clock: ManualClock) -> None:
    shelf = Shelf()
    client = connect(endpoint(MINUTE, page_wait=60.0), limiter=Limiter(clock, shelf))
    for _ in range(9):
        client.get("/a")
    assert shelf.asked == 0


def test_connections_are_counted_apart(clock: ManualClock) -> None:
    limiter = Limiter(clock)
    for connection in ("one", "two"):
        for _ in range(3):
            _send(limiter, connection, MINUTE)
        with pytest.raises(_WouldWait):
            _send(limiter, connection, MINUTE)


def test_a_clock_that_is_set_back_a_little_opens_no_window_twice(clock: ManualClock) -> None:
    limiter = Limiter(clock)
    for _ in range(3):
        _send(limiter, "acme", MINUTE)
    clock.advance(-30)
    with pytest.raises(_WouldWait):
        _send(limiter, "acme", MINUTE)


def test_threads_together_send_no_more_than_is_allowed(clock: ManualClock) -> None:
    shelf = Shelf()
    limiter = Limiter(clock, shelf)
    small = Quota("a day", 120, 86_400)
    sent: list[int] = []

    def work() -> None:
        try:
            while True:
                _send(limiter, "acme", small)
                sent.append(1)
        except _WouldWait:
            pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 120
    assert list(shelf.used.values()) == [120]


@pytest.mark.parametrize(("limit", "seconds"), [(0, 60), (5, 0), (-1, 60)])
def test_a_quota_lets_something_pass(limit: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="lets nothing pass"):
        Quota("none", limit, seconds)


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.floats(min_value=0, max_value=90_000), min_size=1, max_size=120),
    lives=st.sets(st.integers(min_value=0, max_value=119)),
)
def test_no_window_ever_holds_more_than_its_limit(gaps: list[float], lives: set[int]) -> None:
    clock = ManualClock(START)
    quotas = [Quota("a minute", 2, 60), Quota("a day", 7, 86_400)]
    shelf = Shelf()
    limiter = Limiter(clock, shelf)
    sent: list[float] = []
    for number, gap in enumerate(gaps):
        clock.advance(gap if number % 5 == 0 else gap / 1000)
        if number in lives:
            # The minute is kept by no store: a restart inside one must not be what is judged here.
            clock.advance(60)
            limiter = Limiter(clock, shelf)
        drawn = limiter.acquire("acme", None, lambda seconds, bucket: clock.advance(seconds), quotas)
        limiter.settle("acme", drawn, quotas=quotas)
        sent.append(clock.now().timestamp())
    for quota in quotas:
        windows: dict[int, int] = {}
        for at in sent:
            windows[int(at // quota.seconds)] = windows.get(int(at // quota.seconds), 0) + 1
        assert max(windows.values()) <= quota.limit


def _send(limiter: Limiter, connection: str, quota: Quota) -> None:
    limiter.settle(connection, limiter.acquire(connection, None, _refuse, [quota]), quotas=[quota])


class _WouldWait(Exception):
    pass


def _refuse(seconds: float, bucket: str) -> None:
    raise _WouldWait(seconds, bucket)
