"""Nothing is sent that the vendor's limits do not allow, and what does not fit the wait is left to the caller."""

import threading
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import RateLimited, Retryable
from cxbridge.core.http import Budget, BudgetState, Endpoint, Limiter, Reply

from .conftest import BASE, START, Open, Vendor


class Metered:
    """A vendor that counts requests in fixed windows per bucket, tells so in headers, and remembers every overrun."""

    def __init__(self, clock: ManualClock, **limits: tuple[int, float]) -> None:
        self.clock = clock
        self.limits = limits
        self.counts: dict[tuple[str, int], int] = {}
        self.overruns = 0
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = {}
        over = 0.0
        with self.lock:
            now = self.clock.monotonic()
            for name in buckets(request.method, request.url.path):
                limit, period = self.limits[name]
                window = (name, int(now // period))
                rest = period - now % period
                self.counts[window] = self.counts.get(window, 0) + 1
                left = limit - self.counts[window]
                if left < 0:
                    self.overruns += 1
                    over = max(over, rest)
                headers[f"x-limit-{name}"] = f"{limit} {max(0, left)} {rest}"
        if over:
            return httpx.Response(429, headers={**headers, "retry-after": str(over)})
        return httpx.Response(200, json={}, headers=headers)


def buckets(method: str, path: str) -> tuple[str, ...]:
    return ("account", "export") if path.startswith("/export") else ("account",)


def budgets(reply: Reply) -> list[Budget]:
    found = []
    for name, told in reply.headers.items():
        if name.startswith("x-limit-"):
            limit, left, reset = told.split()
            found.append(Budget(name.removeprefix("x-limit-"), int(limit), int(left), float(reset)))
    return found


# Seconds that add up without rounding, so that the vendor's windows end exactly when it says.
QUARTERS = st.integers(0, 200).map(lambda quarters: quarters / 4)
ENDPOINT = Endpoint(BASE, budgets=budgets, buckets=buckets, page_wait=120)


def test_a_walk_never_overruns_any_bucket(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    metered = Metered(clock, account=(40, 60.0), export=(10, 60.0))
    vendor.plays(metered)
    client = connect(ENDPOINT)
    for turn in range(100):
        client.get("/export" if turn % 2 else "/things")
    assert metered.overruns == 0
    # Fifty exports at ten a minute need four waits: neither more (idle) nor fewer (overrun).
    assert 240 <= clock.monotonic() < 300


@settings(max_examples=40, deadline=None)
@given(
    limit=st.integers(1, 6),
    period=QUARTERS.filter(bool),
    steps=st.lists(st.tuples(st.sampled_from(["/export", "/things"]), QUARTERS), max_size=40),
)
def test_no_window_is_ever_overrun(limit: int, period: float, steps: list[tuple[str, float]]) -> None:
    clock = ManualClock(START)
    metered = Metered(clock, account=(2 * limit, period), export=(limit, period * 2))
    vendor = Vendor(clock)
    vendor.plays(metered)
    opener = Open(vendor)
    client = opener(ENDPOINT)
    for path, pause in steps:
        client.get(path)
        clock.advance(pause)
    opener.close()
    assert metered.overruns == 0


def test_threads_together_never_overrun(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    metered = Metered(clock, account=(5, 60.0))
    vendor.plays(metered)
    client = connect(ENDPOINT)
    client.get("/things")  # tells the limit
    failures: list[Exception] = []

    def walk() -> None:
        try:
            for _ in range(5):
                client.get("/things")
        except RateLimited:
            pass  # with one clock for all, each thread's wait shortens the others' patience
        except Exception as error:  # noqa: BLE001 - the assertion below shows it
            failures.append(error)

    threads = [threading.Thread(target=walk) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert metered.overruns == 0


def test_requests_under_way_are_not_counted_as_free(clock: ManualClock) -> None:
    limiter = Limiter(clock)
    paused: list[tuple[float, str]] = []

    def pause(seconds: float, bucket: str) -> None:
        paused.append((seconds, bucket))
        clock.advance(seconds)

    names = ("account",)
    drawn = [limiter.acquire("acme", names, pause) for _ in range(3)]
    # The vendor has seen one of the three so far: of the two it still allows, both are under way.
    limiter.settle("acme", drawn[0], [Budget("account", 3, 2, 60.0)])
    limiter.acquire("acme", names, pause)
    assert paused == [(60.0, "account")]


def test_a_used_up_budget_stops_only_what_draws_from_it(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    metered = Metered(clock, account=(100, 60.0), export=(1, 600.0))
    vendor.plays(metered)
    client = connect(ENDPOINT)
    client.get("/export")
    with pytest.raises(RateLimited, match="the budget export") as caught:
        client.get("/export")
    assert caught.value.retry_at == START + timedelta(seconds=600)
    assert not caught.value.sent
    client.get("/things")
    client.post("/things")
    assert vendor.lines == ["GET /export", "GET /things", "POST /things"]
    assert clock.monotonic() == 0.0


def test_a_refusal_that_shows_the_guilty_budget_holds_only_that(connect: Open, vendor: Vendor) -> None:
    vendor.plays(
        httpx.Response(
            429, headers={"retry-after": "600", "x-limit-export": "10 0 600", "x-limit-account": "99 50 60"}
        ),
        httpx.Response(200, json={}),
    )
    client = connect(ENDPOINT)
    with pytest.raises(RateLimited):
        client.get("/export")
    client.get("/things")
    with pytest.raises(RateLimited):
        client.get("/export")
    assert vendor.lines == ["GET /export", "GET /things"]


def test_an_overloaded_vendor_is_left_in_peace_by_all(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(503, headers={"retry-after": "600"}))
    client = connect(ENDPOINT)
    with pytest.raises(Retryable):
        client.get("/export")
    with pytest.raises(RateLimited, match="the whole connection"):
        client.post("/things")
    assert len(vendor.seen) == 1


def test_without_names_every_told_budget_counts(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, json={}, headers={"x-limit-any": "10 0 600"}))
    client = connect(Endpoint(BASE, budgets=budgets))
    client.get("/a")
    with pytest.raises(RateLimited):
        client.get("/b")


def test_clients_share_a_limiter_and_connections_do_not_share_budgets(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    limiter = Limiter(clock)
    vendor.plays(httpx.Response(429, headers={"retry-after": "600"}), httpx.Response(200, json={}))
    with pytest.raises(RateLimited):
        connect(limiter=limiter).get("/a")
    with pytest.raises(RateLimited):
        connect(limiter=limiter).get("/a")
    connect(limiter=limiter, connection="other").get("/a")
    assert len(vendor.seen) == 2


def test_the_snapshot_shows_what_is_known(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    limiter = Limiter(clock)
    assert limiter.snapshot() == []
    vendor.plays(
        httpx.Response(200, json={}, headers={"x-limit-account": "100 99 60"}),
        httpx.Response(429, headers={"x-limit-export": "10 0 600", "retry-after": "700"}),
    )
    client = connect(ENDPOINT, limiter=limiter)
    client.get("/things")
    with pytest.raises(RateLimited):
        client.get("/export")
    assert limiter.snapshot("acme") == [
        BudgetState("acme", "account", 100, 98, 0.0),
        BudgetState("acme", "export", 10, 0, 700.0),
    ]
    assert limiter.snapshot("other") == []
    clock.advance(701)
    assert limiter.snapshot() == [
        BudgetState("acme", "account", 100, 100, 0.0),
        BudgetState("acme", "export", 10, 10, 0.0),
    ]


@pytest.mark.parametrize("told", ["none of this", "10 many 60", "10"])
def test_a_limit_told_in_another_form_does_not_lose_the_answer(connect: Open, vendor: Vendor, told: str) -> None:
    vendor.plays(httpx.Response(200, json=[7], headers={"x-limit-account": told}))
    assert connect(ENDPOINT).get("/things").json() == [7]


def test_a_zero_without_an_end_holds_for_a_moment_only(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(httpx.Response(200, json={}))
    client = connect(Endpoint(BASE, budgets=lambda reply: [Budget("burst", 100, 0)]))
    client.get("/a")
    client.get("/a")
    assert clock.monotonic() == 1.0


def test_an_end_that_passed_while_the_answer_came_is_over(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(90)
        return httpx.Response(200, json={})

    told = iter([Budget("account", 10, 9, 60.0), Budget("account", 10, 0), Budget("account", 10, 9, 60.0)])
    vendor.plays(httpx.Response(200, json={}), slow, httpx.Response(200, json={}))
    client = connect(Endpoint(BASE, budgets=lambda reply: [next(told)], page_wait=120))
    for _ in range(3):
        client.get("/a")
    assert vendor.times == [0.0, 0.0, 150.0], "a full window from the answer that told of the zero"


def test_an_absurd_end_is_cut(connect: Open, vendor: Vendor) -> None:
    client = connect(Endpoint(BASE, budgets=lambda reply: [Budget("odd", 1, 0, 1.7e9)]))
    client.get("/a")
    with pytest.raises(RateLimited) as caught:
        client.get("/a")
    assert caught.value.retry_at == START + timedelta(hours=1)


def test_a_budget_counts_on_when_replies_tell_no_more(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(httpx.Response(200, json={}, headers={"x-limit-account": "3 2 60"}), httpx.Response(200, json={}))
    client = connect(ENDPOINT)
    for _ in range(9):
        client.get("/things")
    assert vendor.times == [0.0] * 3 + [60.0] * 3 + [120.0] * 3


def test_buckets_as_many_as_entities_are_forgotten_again(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    limiter = Limiter(clock)

    def per_thing(reply: Reply) -> list[Budget]:
        return [Budget(reply.path, 30, 29, 60.0), Budget("account", 9, 0 if reply.path == "/1999" else 8, 5.0)]

    endpoint = Endpoint(BASE, budgets=per_thing, buckets=lambda method, path: ("account", path))
    client = connect(endpoint, limiter=limiter)
    for number in range(2000):
        client.get(f"/{number}")
    known = {state.name for state in limiter.snapshot()}
    assert len(known) < 600
    assert "account" in known
