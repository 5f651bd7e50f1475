"""What may be tried again, how often and after which wait; and what is said about a write whose answer never came."""

from datetime import timedelta

import httpx
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import NotFound, RateLimited, Retryable
from cxbridge.core.http import Endpoint

from .conftest import BASE, START, Open, Vendor

NEVER_MADE = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
LOST = [
    httpx.ReadTimeout("slow"),
    httpx.WriteTimeout("slow"),
    httpx.ReadError("reset by peer"),
    httpx.WriteError("broken pipe"),
    httpx.RemoteProtocolError("server disconnected"),
]


def name(error: object) -> str:
    return type(error).__name__


@pytest.mark.parametrize("broken", [*NEVER_MADE, *LOST], ids=name)
def test_reads_are_tried_four_times(connect: Open, vendor: Vendor, broken: Exception) -> None:
    vendor.plays(broken)
    with pytest.raises(Retryable) as caught:
        connect().get("/a")
    assert len(vendor.seen) == 4
    assert not caught.value.sent
    assert caught.value.operation == "GET /a"
    assert caught.value.__cause__ is broken


@pytest.mark.parametrize("broken", [*NEVER_MADE, *LOST], ids=name)
def test_reads_go_on_when_it_clears_up(connect: Open, vendor: Vendor, broken: Exception) -> None:
    vendor.plays(broken, broken, broken, httpx.Response(200, json=[7]))
    assert connect().get("/a").json() == [7]


@pytest.mark.parametrize("broken", NEVER_MADE, ids=name)
def test_a_write_that_never_left_is_tried_again(connect: Open, vendor: Vendor, broken: Exception) -> None:
    vendor.plays(broken, httpx.Response(201, json={}))
    assert connect().post("/a", {}).status == 201

    vendor.seen.clear()
    vendor.plays(broken)
    with pytest.raises(Retryable) as caught:
        connect().post("/a", {})
    assert not caught.value.sent
    assert len(vendor.seen) == 4


@pytest.mark.parametrize(
    "broken", [*LOST, httpx.Response(500), httpx.Response(503, headers={"retry-after": "1"})], ids=name
)
@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_a_write_in_doubt_is_left_to_the_caller(connect: Open, vendor: Vendor, broken: Exception, verb: str) -> None:
    vendor.plays(broken)
    with pytest.raises(Retryable) as caught:
        getattr(connect(), verb)("/a", {})
    assert caught.value.sent
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    "broken", [*LOST, httpx.Response(500), httpx.Response(503, headers={"retry-after": "1"})], ids=name
)
def test_a_repeatable_write_is_tried_again_and_stays_in_doubt(connect: Open, vendor: Vendor, broken: Exception) -> None:
    vendor.plays(broken, httpx.Response(200, json={"id": 7}))
    assert connect().post("/a", {}, repeatable=True).json() == {"id": 7}

    vendor.seen.clear()
    vendor.plays(broken)
    with pytest.raises(Retryable) as caught:
        connect().post("/a", {}, repeatable=True)
    assert caught.value.sent
    assert len(vendor.seen) == 4


def test_a_later_refusal_does_not_clear_an_earlier_doubt(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.ReadTimeout("slow"), httpx.Response(429, headers={"retry-after": "900"}))
    with pytest.raises(RateLimited) as caught:
        connect().put("/a", {}, repeatable=True)
    assert caught.value.sent
    assert caught.value.retry_at is not None


def test_other_errors_end_the_tries(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(503), httpx.Response(404))
    with pytest.raises(NotFound):
        connect().get("/a")
    assert len(vendor.seen) == 2


def test_waits_double_within_chance(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(502))
    with pytest.raises(Retryable):
        connect(Endpoint(BASE, page_wait=1000)).get("/a")
    waits = [after - before for before, after in zip(vendor.times, vendor.times[1:], strict=False)]
    assert all(0 <= wait <= bound for wait, bound in zip(waits, (2, 4, 8), strict=True))
    assert len(set(waits)) == 3


def test_without_a_word_a_limit_is_respected_for_longer_each_time(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(429))
    with pytest.raises(RateLimited):
        connect(Endpoint(BASE, page_wait=1000)).get("/a")
    waits = [after - before for before, after in zip(vendor.times, vendor.times[1:], strict=False)]
    assert all(0.7 * bound <= wait <= 1.3 * bound for wait, bound in zip(waits, (2, 4, 8), strict=True))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("Wed, 06 May 2026 08:46:33 GMT", 20.0), ("0.25", 0.25)],
)
def test_the_vendors_wait_is_waited_in_full(
    connect: Open, vendor: Vendor, status: int, told: str, seconds: float
) -> None:
    vendor.plays(httpx.Response(status, headers={"retry-after": told}), httpx.Response(200, json={}))
    connect().get("/a")
    assert vendor.times == [0.0, pytest.approx(seconds)]
    assert vendor.times[1] >= seconds


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("told", "seconds"), [("31", 31), ("600", 600), ("99999999", 3600)])
def test_a_longer_wait_is_left_to_the_caller(
    connect: Open, vendor: Vendor, clock: ManualClock, status: int, told: str, seconds: int
) -> None:
    vendor.plays(httpx.Response(status, headers={"retry-after": told}))
    with pytest.raises(Retryable) as caught:
        connect().get("/a")
    assert isinstance(caught.value, RateLimited) is (status == 429)
    assert caught.value.retry_at == START + timedelta(seconds=seconds)
    assert not caught.value.sent
    assert len(vendor.seen) == 1
    assert clock.monotonic() == 0.0


def test_all_waits_of_one_call_together_are_bounded(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(httpx.Response(429, headers={"retry-after": "20"}))
    with pytest.raises(RateLimited) as caught:
        connect().get("/a")
    assert vendor.times == [0.0, 20.0]
    assert caught.value.retry_at == START + timedelta(seconds=40)


def test_nobody_is_sent_before_the_vendors_time(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    vendor.plays(httpx.Response(429, headers={"retry-after": "600"}), httpx.Response(200, json={}))
    client = connect()
    for ask in (client.get, client.get, client.post):
        with pytest.raises(RateLimited) as caught:
            ask("/a")
        assert caught.value.retry_at == START + timedelta(seconds=600)
    assert len(vendor.seen) == 1
    clock.advance(599.9)
    client.post("/a")
    assert vendor.times == [0.0, pytest.approx(600.0)]
