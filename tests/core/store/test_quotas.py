"""What of a long budget was used is known after a restart, and never lower than it was."""

import subprocess
import sys
import textwrap
from datetime import timedelta
from typing import ClassVar

import httpx
import pytest

from cxbridge.core.connector import Connector
from cxbridge.core.engine.connections import Clients, Connection, StoredTokens
from cxbridge.core.errors import RateLimited
from cxbridge.core.http import Endpoint, Limiter, Quota
from cxbridge.core.store import KeptQuotas, SealedTokens, Store

DAY = 86_400


def test_a_window_gives_what_is_left_of_it(store, noon):
    quotas = KeptQuotas(store)
    assert quotas.take("cs", "a day", noon, DAY, 50, 120) == 50
    assert quotas.take("cs", "a day", noon, DAY, 50, 120) == 50
    assert quotas.take("cs", "a day", noon, DAY, 50, 120) == 20
    assert quotas.take("cs", "a day", noon, DAY, 50, 120) == 0


def test_connections_and_budgets_are_counted_apart(store, noon):
    quotas = KeptQuotas(store)
    assert quotas.take("cs", "a day", noon, DAY, 10, 10) == 10
    assert quotas.take("cs", "exports", noon, DAY, 10, 10) == 10
    assert quotas.take("other", "a day", noon, DAY, 10, 10) == 10


def test_the_count_outlives_the_process(store_url, clock, noon):
    given = []
    for _ in range(4):
        store = Store.open(store_url, clock=clock)
        given.append(KeptQuotas(store).take("cs", "a day", noon, DAY, 30, 80))
        store.close()
    assert given == [30, 30, 20, 0]


def test_a_new_window_begins_at_nothing_and_the_old_one_is_gone(store, noon):
    quotas = KeptQuotas(store)
    later = noon + timedelta(seconds=DAY)
    assert quotas.take("cs", "a day", noon, DAY, 10, 10) == 10
    assert quotas.take("cs", "a day", later, DAY, 10, 10) == 10
    # A clock that was set back does not bring yesterday's budget back.
    assert quotas.take("cs", "a day", noon, DAY, 10, 10) == 0


def test_a_count_that_a_wrong_clock_made_holds_nobody_for_years(store, noon):
    quotas = KeptQuotas(store)
    assert quotas.take("cs", "a day", noon + timedelta(days=400), DAY, 10, 10) == 10
    assert quotas.take("cs", "a day", noon, DAY, 10, 10) == 10


def test_what_was_not_sent_can_be_given_back(store, noon):
    quotas = KeptQuotas(store)
    quotas.take("cs", "a day", noon, DAY, 50, 100)
    quotas.give_back("cs", "a day", noon, 20)
    assert quotas.take("cs", "a day", noon, DAY, 100, 100) == 70
    quotas.give_back("cs", "a day", noon, 500)
    assert quotas.take("cs", "a day", noon, DAY, 200, 100) == 100


def test_giving_back_to_a_window_that_is_over_changes_nothing(store, noon):
    quotas = KeptQuotas(store)
    quotas.take("cs", "a day", noon + timedelta(seconds=DAY), DAY, 10, 10)
    quotas.give_back("cs", "a day", noon, 10)
    quotas.give_back("cs", "never heard of", noon, 10)
    assert quotas.take("cs", "a day", noon + timedelta(seconds=DAY), DAY, 10, 10) == 0


def test_who_only_looks_is_told_what_is_left_and_writes_nothing(store_url, clock, noon):
    store = Store.open(store_url, clock=clock)
    KeptQuotas(store).take("cs", "a day", noon, DAY, 95, 100)
    looking = Store.open(store_url, clock=clock, writing=False)
    quotas = KeptQuotas(looking)
    assert quotas.take("cs", "a day", noon, DAY, 50, 100) == 5
    quotas.give_back("cs", "a day", noon, 5)
    looking.close()
    assert KeptQuotas(store).take("cs", "a day", noon, DAY, 50, 100) == 5
    store.close()


def test_a_thousand_requests_cost_a_few_commits(store, clock):
    commits = 0
    quotas = KeptQuotas(store)

    class Counting(KeptQuotas):
        def take(self, *args):
            nonlocal commits
            commits += 1
            return quotas.take(*args)

    limiter = Limiter(clock, Counting(store))
    for _ in range(1000):
        quotas_of_it = [Quota("a day", 50_000, DAY)]
        drawn = limiter.acquire("cs", None, lambda seconds, bucket: pytest.fail("held back"), quotas_of_it)
        limiter.settle("cs", drawn, quotas=quotas_of_it)
    assert commits == 20


class Metered(Connector):
    """A vendor that lets three requests pass in a day and tells nobody."""

    name: ClassVar[str] = "metered"

    def endpoint(self):
        return Endpoint("https://metered.example", quotas=[Quota("a day", 3, DAY)])


def test_the_engine_keeps_the_count_over_restarts_and_gives_back_what_was_not_sent(store_url, clock, respx_mock):
    route = respx_mock.get("https://metered.example/a").respond(json={})
    for sent in (1, 2):
        store = Store.open(store_url, clock=clock)
        clients = Clients(
            {"cs": Connection.of("cs", Metered())},
            clock,
            StoredTokens(SealedTokens(store, bytes(32))),
            quotas=KeptQuotas(store),
            transport_of=lambda name: httpx.MockTransport(respx_mock.handler),
        )
        for _ in range(sent):
            clients.of("cs").get("/a")
        assert [(one.name, one.limit) for one in clients.budgets("cs")] == [("a day", 3)]
        if sent == 2:
            with pytest.raises(RateLimited, match="the budget a day") as caught:
                clients.of("cs").get("/a")
            assert caught.value.retry_at == clock.now().replace(hour=0, minute=0, second=0) + timedelta(days=1)
        clients.close()
        store.close()
    assert route.call_count == 3


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from datetime import UTC, datetime
    from cxbridge.core.clock import ManualClock
    from cxbridge.core.http import Limiter, Quota
    from cxbridge.core.store import KeptQuotas, Store

    clock = ManualClock(datetime(2026, 5, 6, 12, 0, tzinfo=UTC))
    store = Store.open(sys.argv[1], clock=clock)
    limiter = Limiter(clock, KeptQuotas(store))
    for number in range(int(sys.argv[2])):
        limiter.acquire("cs", None, lambda seconds, bucket: sys.exit(9), [Quota("a day", 50_000, 86_400)])
    os.kill(os.getpid(), signal.SIGKILL)
    """
)


@pytest.mark.process
def test_after_a_kill_nothing_that_was_sent_is_uncounted(store_url, clock, noon):
    sent = 0
    for many in (7, 60, 101):
        done = subprocess.run([sys.executable, "-c", KILLED, store_url, str(many)], check=False)
        assert done.returncode == -9
        sent += many
    store = Store.open(store_url, clock=clock)
    midnight = noon.replace(hour=0)
    left = KeptQuotas(store).take("cs", "a day", midnight, DAY, 50_000, 50_000)
    store.close()
    assert sent <= 50_000 - left <= sent + 3 * 50


SHARED_AND_KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from datetime import UTC, datetime
    from cxbridge.core.clock import ManualClock
    from cxbridge.core.http import Limiter, Quota
    from cxbridge.core.store import KeptHolds, KeptQuotas, Store

    clock = ManualClock(datetime(2026, 5, 6, 12, 0, tzinfo=UTC))
    store = Store.open(sys.argv[1], clock=clock)
    limiter = Limiter(clock, KeptQuotas(store), KeptHolds(store), shared=True)
    quota = Quota("a minute", int(sys.argv[2]), 60)
    sent = 0
    for number in range(int(sys.argv[3])):
        limiter.settle("cs", limiter.acquire("cs", None, lambda seconds, bucket: os._exit(sent), [quota]), quotas=[quota])
        sent += 1
    print(sent, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
)


@pytest.mark.process
@pytest.mark.parametrize(("limit", "block"), [(1, 1), (50, 2), (700, 35)])
def test_workers_that_are_killed_one_after_the_other_exceed_no_minute(store_url, limit, block):
    sent = 0
    for many in (limit // 3 + 1, limit // 3 + 1, limit):
        done = subprocess.run(
            [sys.executable, "-c", SHARED_AND_KILLED, store_url, str(limit), str(many)],
            check=False,
            capture_output=True,
            text=True,
        )
        # The last one ends by itself where the minute is full, and tells how many it could send.
        sent += int(done.stdout) if done.returncode == -9 else done.returncode
        assert done.stderr == ""
    assert limit - 2 * block <= sent <= limit
