"""A vendor that keeps failing is left alone, then asked by one request at a time; what it answers itself is no failure."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import httpx
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import Rejected, Retryable, StoreError, VendorError, Withheld
from cxbridge.core.http import Breaker, BreakerState, Client, Endpoint, WriteRefused
from cxbridge.core.http.breaker import FAILURES, LONGEST, OVER, SHORTEST, SPREAD

from .conftest import BASE, START, Act, Open, Vendor

DOWN = httpx.Response(500)
UP = httpx.Response(200, json={})
# So that no wait in line is needed to see one request.
IMPATIENT = Endpoint(BASE, page_wait=0.0)


class Kept:
    """What a store keeps of breakers, counting the writes; it can be out of order."""

    def __init__(self) -> None:
        self.states: dict[str, BreakerState] = {}
        self.writes = 0
        self.broken = False

    def read(self, connection: str) -> BreakerState | None:
        if self.broken:
            raise StoreError("the disk is full")
        return self.states.get(connection)

    def keep(self, state: BreakerState) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        self.writes += 1
        self.states[state.connection] = state

    def clear(self, connection: str) -> None:
        self.writes += 1
        self.states.pop(connection, None)


class Turns:
    """What was told of a breaker."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, state: BreakerState, turn: str) -> None:
        self.told.append(turn)


def breaker(clock: ManualClock, kept: Kept | None = None, turns: Turns | None = None) -> Breaker:
    return Breaker("acme", clock, Random(3), store=kept, on_turn=turns)


def ask(client: Client, clock: ManualClock, times: int, gap: float = OVER / (FAILURES - 1)) -> None:
    """Ask so often, whatever comes of it."""
    for number in range(times):
        if number:
            clock.advance(gap)
        with pytest.raises(Retryable):
            client.get("/a")


def attempt(verb: Callable[[str], object]) -> None:
    """Ask once; how a failure is told is another test's matter."""
    try:
        verb("/a")
    except Withheld:
        raise
    except VendorError:
        pass


def test_it_opens_after_failures_in_a_row_and_then_nothing_is_sent(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.plays(DOWN)
    turns = Turns()
    client = connect(IMPATIENT, breaker=breaker(clock, turns=turns))
    ask(client, clock, FAILURES)
    assert len(vendor.seen) == FAILURES
    for verb in (client.get, client.post):
        with pytest.raises(
            Withheld, match=r"left alone until .*: 5 requests in a row failed \(it answered 500\)"
        ) as caught:
            verb("/a")
        assert not caught.value.sent
        assert caught.value.retry_at is not None
        pause = (caught.value.retry_at - clock.now()).total_seconds()
        assert SHORTEST * (1 - SPREAD) <= pause <= SHORTEST * (1 + SPREAD)
        assert client.left_alone_until() == caught.value.retry_at
    assert len(vendor.seen) == FAILURES
    assert turns.told == ["opened"]


def test_one_moment_of_trouble_is_no_outage(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(DOWN)
    client = connect(IMPATIENT)
    ask(client, clock, 3 * FAILURES, gap=OVER / (3 * FAILURES))
    assert client.left_alone_until() is None
    clock.advance(OVER)
    ask(client, clock, 1)
    assert client.left_alone_until() is not None


def test_an_answer_in_between_begins_the_count_anew(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(*[DOWN] * (FAILURES - 1), UP, *[DOWN] * (FAILURES - 1), UP)
    client = connect(IMPATIENT)
    for _ in range(2):
        ask(client, clock, FAILURES - 1, gap=OVER)
        client.get("/a")
    assert client.left_alone_until() is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(408),
        httpx.Response(302, headers={"location": "https://login.example/"}),
        httpx.Response(200, html="<p>Log in</p>"),
        httpx.Response(200, content=b'{"things": [1, 2', headers={"content-type": "application/json"}),
        lambda _: httpx.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"this is no gzip at all")
        ),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("cut"),
    ],
    ids=lambda answer: str(getattr(answer, "status_code", type(answer).__name__)),
)
def test_what_counts_as_a_failure(connect: Open, vendor: Vendor, clock: ManualClock, answer: Act) -> None:
    vendor.plays(answer)
    client = connect(IMPATIENT)
    for _ in range(FAILURES):
        clock.advance(OVER)
        attempt(client.get)
    assert client.left_alone_until() is not None


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 403, 404, 409, 410, 412, 413, 422, 429])
def test_what_the_vendor_says_itself_is_no_failure(
    connect: Open, vendor: Vendor, clock: ManualClock, status: int
) -> None:
    vendor.plays(httpx.Response(status))
    client = connect(IMPATIENT)
    for _ in range(3 * FAILURES):
        clock.advance(OVER)
        attempt(client.post)
    assert client.left_alone_until() is None
    assert len(vendor.seen) == 3 * FAILURES


def test_pauses_grow_up_to_ten_minutes_and_each_lets_one_request_through(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.plays(DOWN)
    client = connect(IMPATIENT)
    ask(client, clock, FAILURES)
    pauses = []
    for _ in range(9):
        until = client.left_alone_until()
        assert until is not None
        pauses.append((until - clock.now()).total_seconds())
        clock.advance(pauses[-1] + 0.001)
        sent = len(vendor.seen)
        with pytest.raises(Retryable) as caught:
            client.get("/a")
        assert not isinstance(caught.value, Withheld)
        assert len(vendor.seen) == sent + 1
    assert pauses[0] <= SHORTEST * (1 + SPREAD)
    assert all(later > earlier for earlier, later in pairwise(pauses[:7:2])), "each second one is clearly longer"
    assert all(LONGEST * (1 - SPREAD) <= pause <= LONGEST * (1 + SPREAD) for pause in pauses[-3:])
    assert len(set(pauses[-3:])) == 3, "they are spread, so that many connections do not come back together"


def test_one_answer_closes_it(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(*[DOWN] * FAILURES, httpx.Response(404), UP)
    turns = Turns()
    client = connect(IMPATIENT, breaker=breaker(clock, turns=turns))
    ask(client, clock, FAILURES)
    clock.advance(SHORTEST * (1 + SPREAD))
    with pytest.raises(Rejected):
        client.get("/a")
    assert turns.told == ["opened", "closed"]
    assert [client.get("/a").status for _ in range(3)] == [200] * 3


def test_while_one_is_let_through_the_others_are_refused(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slow(request: httpx.Request) -> httpx.Response:
        arrived.set()
        assert go_on.wait(20)
        return httpx.Response(200, json={})

    vendor.plays(*[DOWN] * FAILURES, slow, UP)
    client = connect(IMPATIENT)
    ask(client, clock, FAILURES)
    clock.advance(SHORTEST * (1 + SPREAD))
    trial = threading.Thread(target=client.get, args=("/a",))
    trial.start()
    assert arrived.wait(20)
    for _ in range(4):
        with pytest.raises(Withheld) as caught:
            client.get("/a")
        assert caught.value.retry_at == clock.now() + timedelta(seconds=5)
    go_on.set()
    trial.join()
    assert len(vendor.seen) == FAILURES + 1
    assert client.get("/a").status == 200


def test_what_was_under_way_when_it_opened_makes_no_pause_longer(clock: ManualClock) -> None:
    one = breaker(clock)
    numbers = [one.enter() for _ in range(20)]
    clock.advance(OVER)
    one.leave(numbers[0], "no answer in time")
    clock.advance(OVER)
    for number in numbers[1:FAILURES]:
        one.leave(number, "no answer in time")
    until = one.until()
    assert until is not None
    for number in numbers[FAILURES:]:
        one.leave(number, "no answer in time")
    assert one.until() == until


def test_a_read_is_not_tried_again_in_line_once_it_is_open(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(DOWN)
    client = connect(Endpoint(BASE, page_wait=120.0))
    clock.advance(OVER)
    for _ in range(3):
        with pytest.raises(Retryable):
            client.get("/a")
    sent = len(vendor.seen)
    before = clock.monotonic()
    with pytest.raises(Withheld):
        client.get("/a")
    assert (len(vendor.seen), clock.monotonic()) == (sent, before)


def test_a_write_that_may_have_been_done_stays_in_doubt(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(OVER)
        return httpx.Response(500)

    vendor.plays(slow)
    client = connect(Endpoint(BASE, page_wait=600.0))
    ask(client, clock, FAILURES - 4, gap=0)  # each of the four tries in line is one failure
    with pytest.raises(Retryable) as caught:
        client.put("/a", {}, repeatable=True)
    assert caught.value.sent, "its first try was answered by a failure"


def test_a_write_that_only_reads_may_not_send_tells_nothing_about_the_vendor(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.plays(*[DOWN] * FAILURES, UP)
    client = connect(IMPATIENT, read_only=True)
    ask(client, clock, FAILURES)
    clock.advance(SHORTEST * (1 + SPREAD))
    with pytest.raises(WriteRefused):
        client.post("/a", {})
    assert client.get("/a").status == 200, "the trial was not used up"


def test_it_outlives_the_process_with_its_time(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(DOWN)
    kept = Kept()
    ask(connect(IMPATIENT, breaker=breaker(clock, kept)), clock, FAILURES)
    state = kept.states["acme"]
    assert (state.failures, state.reason, state.opened_at) == (FAILURES, "it answered 500", clock.now())
    sent = len(vendor.seen)
    client = connect(IMPATIENT, breaker=breaker(clock, kept))
    with pytest.raises(Withheld) as caught:
        client.get("/a")
    assert caught.value.retry_at == state.retry_at
    clock.advance((state.retry_at - clock.now()).total_seconds())
    vendor.plays(UP)
    assert client.get("/a").status == 200
    assert len(vendor.seen) == sent + 1
    assert kept.states == {}


def test_requests_that_succeed_write_nothing(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    kept = Kept()
    client = connect(IMPATIENT, breaker=breaker(clock, kept))
    for _ in range(20):
        client.get("/a")
    vendor.plays(DOWN)
    vendor.seen.clear()
    ask(client, clock, FAILURES)
    for _ in range(50):
        with pytest.raises(Withheld):
            client.get("/a")
    assert kept.writes == 1


def test_whoever_closes_it_elsewhere_is_noticed(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(DOWN)
    kept, turns = Kept(), Turns()
    client = connect(IMPATIENT, breaker=breaker(clock, kept, turns))
    ask(client, clock, FAILURES)
    kept.states.clear()
    clock.advance(3)
    assert client.left_alone_until() is None
    assert turns.told == ["opened", "closed"]


def test_a_person_may_have_it_tried_at_once(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(*[DOWN] * (FAILURES + 1), UP)
    kept = Kept()
    ask(connect(IMPATIENT, breaker=breaker(clock, kept)), clock, FAILURES)
    mine = breaker(clock, kept)
    mine.try_now()
    client = connect(IMPATIENT, breaker=mine)
    with pytest.raises(Retryable) as caught:
        client.get("/a")
    assert not isinstance(caught.value, Withheld)
    assert client.left_alone_until() is not None, "it failed, and is left alone again"
    mine.try_now()
    assert client.get("/a").status == 200
    assert kept.states == {}


def test_a_clock_that_was_set_back_leaves_nobody_alone_for_a_day(clock: ManualClock) -> None:
    kept = Kept()
    kept.states["acme"] = BreakerState("acme", 7, "it answered 503", START, START + timedelta(days=1))
    until = breaker(clock, kept).until()
    assert until == START + timedelta(seconds=LONGEST * (1 + SPREAD))


def test_a_store_that_cannot_be_written_keeps_nobody_from_being_left_alone(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.plays(DOWN)
    kept = Kept()
    client = connect(IMPATIENT, breaker=breaker(clock, kept))
    client_ready = client.left_alone_until()
    assert client_ready is None
    kept.broken = True
    ask(client, clock, FAILURES)
    clock.advance(3)
    with pytest.raises(Withheld):
        client.get("/a")


def test_nothing_is_sent_before_it_is_known_how_the_breaker_stands(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    kept = Kept()
    kept.broken = True
    client = connect(IMPATIENT, breaker=breaker(clock, kept))
    with pytest.raises(StoreError):
        client.get("/a")
    assert vendor.seen == []
    kept.broken = False
    assert client.get("/a").status == 200


Change = Callable[[BreakerState], BreakerState]


@pytest.mark.parametrize(
    "moved",
    [lambda state: replace(state, retry_at=state.retry_at + timedelta(seconds=60)), lambda state: state],
    ids=["later", "same"],
)
def test_what_another_process_found_out_later_counts(clock: ManualClock, moved: Change) -> None:
    kept = Kept()
    one = breaker(clock, kept)
    for _ in range(FAILURES):
        clock.advance(OVER)
        one.leave(one.enter(), "it answered 500")
    kept.states["acme"] = moved(kept.states["acme"])
    clock.advance(3)
    until: datetime | None = one.until()
    assert until == kept.states["acme"].retry_at


def test_a_call_that_failed_before_it_was_kept_back_failed(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(httpx.ConnectError("refused"))
    client = connect(Endpoint(BASE, page_wait=120.0))
    ask(client, clock, 1)
    clock.advance(OVER)
    with pytest.raises(Retryable, match="no connection was made") as caught:
        client.post("/a", {}, repeatable=True)
    assert not isinstance(caught.value, Withheld), "it used up a try of its own"
    assert caught.value.retry_at == client.left_alone_until()
    with pytest.raises(Withheld):
        client.post("/a", {}, repeatable=True)
