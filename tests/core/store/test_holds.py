"""What a vendor asked to wait for is there after a restart and a kill, for whoever speaks to it then."""

import subprocess
import sys
import textwrap
from datetime import timedelta

import httpx
import pytest

from cxbridge.core.errors import RateLimited
from cxbridge.core.http import Endpoint, Limiter, MemoryTokens, open_client
from cxbridge.core.store import KeptHolds, Store, holds

WHOLE = ""


def test_each_budget_of_each_connection_is_held_for_itself(store, clock, noon):
    clock.advance((noon - clock.now()).total_seconds())
    kept = KeptHolds(store)
    kept.keep("cs", {WHOLE: noon + timedelta(minutes=1), "exports": noon + timedelta(minutes=2)}, {})
    kept.keep("other", {WHOLE: noon + timedelta(minutes=3)}, {})
    assert kept.read("cs") == {WHOLE: noon + timedelta(minutes=1), "exports": noon + timedelta(minutes=2)}
    with store.read() as tx:
        assert list(holds.find(tx, noon)) == ["cs", "other"]
        assert holds.find(tx, noon + timedelta(minutes=2)) == {"other": {WHOLE: noon + timedelta(minutes=3)}}


def test_the_later_end_counts(store, clock):
    kept, now = KeptHolds(store), clock.now()
    kept.keep("cs", {WHOLE: now + timedelta(minutes=9)}, {})
    kept.keep("cs", {WHOLE: now + timedelta(minutes=2)}, {})
    assert kept.read("cs") == {WHOLE: now + timedelta(minutes=9)}
    kept.keep("cs", {WHOLE: now + timedelta(minutes=12)}, {})
    assert kept.read("cs") == {WHOLE: now + timedelta(minutes=12)}


def test_an_end_that_a_wrong_clock_made_gives_way(store, clock):
    kept, now = KeptHolds(store), clock.now()
    kept.keep("cs", {WHOLE: now + timedelta(days=400)}, {})
    kept.keep("cs", {WHOLE: now + timedelta(minutes=2)}, {})
    assert kept.read("cs") == {WHOLE: now + timedelta(minutes=2)}


def test_what_is_over_is_removed_in_passing(store, clock):
    kept, now = KeptHolds(store), clock.now()
    kept.keep("cs", {"a": now + timedelta(minutes=1), "b": now + timedelta(minutes=5)}, {})
    clock.advance(120)
    kept.keep("cs", {"c": now + timedelta(minutes=9)}, {})
    assert set(kept.read("cs")) == {"b", "c"}


def test_only_the_hold_that_was_meant_is_ended(store, clock):
    kept, now = KeptHolds(store), clock.now()
    kept.keep("cs", {"a": now + timedelta(minutes=1), "b": now + timedelta(minutes=5)}, {})
    # Another worker has kept a later end for b meanwhile.
    kept.keep("cs", {}, {"a": now + timedelta(minutes=1), "b": now + timedelta(minutes=3)})
    assert set(kept.read("cs")) == {"b"}


def test_who_only_looks_sees_what_holds_and_writes_nothing(store_url, clock):
    store = Store.open(store_url, clock=clock)
    end = clock.now() + timedelta(minutes=1)
    KeptHolds(store).keep("cs", {WHOLE: end}, {})
    looking = Store.open(store_url, clock=clock, writing=False)
    KeptHolds(looking).keep("cs", {WHOLE: end + timedelta(hours=1)}, {})
    assert KeptHolds(looking).read("cs") == {WHOLE: end}
    looking.close()
    store.close()


TOLD_AND_KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from datetime import UTC, datetime
    import httpx
    from cxbridge.core.clock import ManualClock
    from cxbridge.core.http import Endpoint, Limiter, MemoryTokens, open_client
    from cxbridge.core.store import KeptHolds, Store

    clock = ManualClock(datetime.fromisoformat(sys.argv[2]))
    store = Store.open(sys.argv[1], clock=clock)
    told = httpx.MockTransport(lambda request: httpx.Response(429, headers={"retry-after": "600"}))
    client = open_client(
        Endpoint("https://vendor.example"), connection="cs", clock=clock, tokens=MemoryTokens(),
        limiter=Limiter(clock, holds=KeptHolds(store)), transport=told,
    )
    try:
        client.get("/a")
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
    """
)


@pytest.mark.process
def test_after_a_kill_nothing_is_sent_before_the_time_that_was_told(store_url, clock, respx_mock):
    begun = clock.now()
    done = subprocess.run([sys.executable, "-c", TOLD_AND_KILLED, store_url, begun.isoformat()], check=False)
    assert done.returncode == -9
    route = respx_mock.get("https://vendor.example/a").respond(json={})
    store = Store.open(store_url, clock=clock)
    clock.advance(300)
    with open_client(
        Endpoint("https://vendor.example"),
        connection="cs",
        clock=clock,
        tokens=MemoryTokens(),
        limiter=Limiter(clock, holds=KeptHolds(store)),
        transport=httpx.MockTransport(respx_mock.handler),
    ) as client:
        with pytest.raises(RateLimited) as caught:
            client.get("/a")
        assert caught.value.retry_at == begun + timedelta(seconds=600)
        assert route.call_count == 0
        clock.advance(300)
        client.get("/a")
    store.close()
    assert route.call_count == 1
