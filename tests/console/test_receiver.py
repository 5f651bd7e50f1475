"""The running receiver: what is accepted is stored before it is answered, in few commits, once each, and never by halves."""

import asyncio
import fcntl
import os
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import structlog.testing

from cxbridge.console import judges
from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, Tx, inbox, schema
from cxbridge.core.store.inbox import Arrival
from tests.console.conftest import Delivery, House, Open

MANY, SENDERS = 1000, 250


# -- signature vectors that others published ---------------------------------------------------------------------------


def test_the_vector_of_zendesk_is_accepted(open_house: Open) -> None:
    house = open_house(
        at=ManualClock(datetime(2021, 3, 25, 5, 9, 30, tzinfo=UTC)),
        # The secret that Zendesk signs test deliveries with; its documentation names it.
        secret="dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
    )
    headers = {
        "x-zendesk-webhook-signature": "X8nsXp/jF8yFWoalWJ8YhSJP6eT1KcsUKqPjccAYIZo=",
        "x-zendesk-webhook-signature-timestamp": "2021-03-25T05:09:27Z",
    }
    reply = house.client.post(house.paths["zendesk"], content=b'{"ticket_id":"35436"}', headers=headers)
    assert reply.status_code == 200
    (row,) = house.stored()
    assert row.announced["nudges"] == [{"stream": "tickets", "key": "35436"}]


@pytest.mark.parametrize(
    ("secret", "body", "signature"),
    [
        (
            "cxbridge-test-secret",
            b'{"timestamp":1778058131123,"webhookEvent":"jira:issue_updated","issue":{"id":"10042","key":"OPS-77"}}',
            "5ab09677a14b820c71f04118f255dd38c1f97b6bd6bc62434336b0d86e061a39",
        ),
    ],
)
def test_the_vector_of_jira_is_accepted(open_house: Open, secret: str, body: bytes, signature: str) -> None:
    house = open_house(at=ManualClock(datetime(2026, 5, 6, 9, 2, 11, tzinfo=UTC)), secret=secret)
    reply = house.client.post(house.paths["jira"], content=body, headers={"x-hub-signature": f"sha256={signature}"})
    assert reply.status_code == 200
    (row,) = house.stored()
    assert row.announced["nudges"] == [{"stream": "issues", "key": "10042"}]


# -- stored before it is answered --------------------------------------------------------------------------------------


def test_a_thousand_at_once_are_each_stored_before_their_answer(
    open_house: Open, store_url: str, clock: ManualClock
) -> None:
    house = open_house(store_url)
    # Another process's view of the store.
    other = Store.open(store_url, clock=clock, writing=False)
    missing: list[int] = []

    def there(event_id: str) -> bool:
        with other.read() as tx:
            query = sa.select(schema.inbox.c.id).where(schema.inbox.c.event_id == event_id)
            return tx.connection.scalar(query) is not None

    async def sender(numbers: Sequence[int]) -> list[int]:
        host, _, port = house.receiver.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        statuses = []
        for number in numbers:
            writer.write(spoken(house, house.zendesk(number)))
            answer = await reader.readuntil(b"\r\n\r\n")
            statuses.append(int(answer.split(b" ", 2)[1]))
            if not await asyncio.to_thread(there, f"event-of-{number}"):
                missing.append(number)
        writer.close()
        await writer.wait_closed()
        return statuses

    async def all_at_once() -> list[list[int]]:
        return await asyncio.gather(*(sender(range(first, MANY + 1, SENDERS)) for first in range(1, SENDERS + 1)))

    try:
        statuses = Counter(status for some in asyncio.run(all_at_once()) for status in some)
    finally:
        other.close()
    assert statuses == {200: MANY}
    assert missing == []
    assert len(house.stored()) == MANY
    assert house.tallies("zendesk") == {"received": MANY}
    # The daemon is told once for each commit.
    print(f"{MANY} deliveries of {SENDERS} senders in {len(house.jobs)} commits")


def spoken(house: House, delivery: Delivery) -> bytes:
    """Write a request by hand: a client would take more time than the receiver."""
    lines = [f"POST {house.paths['zendesk']} HTTP/1.1", "host: x", f"content-length: {len(delivery.body)}"]
    lines += [f"{name}: {value}" for name, value in delivery.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + delivery.body


def test_the_same_event_sent_many_times_at_once_is_stored_once(open_house: Open, store_url: str) -> None:
    house = open_house(store_url)
    delivery = house.zendesk()
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(house.post("zendesk", delivery).status_code)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20
    assert len(house.stored()) == 1
    assert house.tallies("zendesk") == {"received": 1, "repeated": 19}


def test_an_event_is_known_again_under_another_identifier(house: House) -> None:
    jira = house.jira()
    assert house.post("jira", jira).status_code == 200
    assert house.post("jira", jira.headed(x_atlassian_webhook_identifier="another")).status_code == 200
    assert house.post("jira", jira.headed(x_atlassian_webhook_retry="1")).status_code == 200
    trigger = house.signed_by_zendesk(b'{"ticket_id": "5512"}')
    assert house.post("zendesk", trigger).status_code == 200
    assert house.post("zendesk", trigger.headed(x_zendesk_webhook_invocation_id="another")).status_code == 200
    assert Counter(one.connection for one in house.stored()) == {"jira": 1, "zendesk": 1}


def test_an_answer_has_no_content_and_tells_no_name(house: House) -> None:
    reply = house.post("zendesk", house.zendesk())
    assert (reply.status_code, reply.content) == (200, b"")
    assert "server" not in reply.headers


# -- a store that cannot take it ---------------------------------------------------------------------------------------


def test_while_the_store_is_locked_senders_are_asked_to_come_again(open_house: Open, tmp_path: Path) -> None:
    house = open_house(patience="1s")
    lock = os.open(tmp_path / "house" / "cxbridge.db-writer", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reply = house.post("zendesk", house.zendesk())
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) < 60, "Zendesk comes again after less than a minute only"
        assert house.stored() == []
        # That is not held against the connector's code.
        assert {house.post("zendesk", house.zendesk(number)).status_code for number in range(judges.MOST_LATE)} == {503}
    finally:
        os.close(lock)
    assert house.post("zendesk", house.zendesk()).status_code == 200
    assert {house.post("zendesk", house.zendesk(number)).status_code for number in range(judges.MOST_LATE)} == {200}
    assert len(house.stored()) == 1 + judges.MOST_LATE, "each is stored once"


def test_a_full_disk_is_the_only_other_reason(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tx: Tx, arrivals: Sequence[Arrival]) -> list[bool]:
        raise StoreError("the store is full: free disk space, then try again")

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "add", full)
        assert [house.post("zendesk", house.zendesk(one)).status_code for one in range(3)] == [503] * 3
    assert house.stored() == []
    assert [house.post("zendesk", house.zendesk(one)).status_code for one in range(3)] == [200] * 3


def test_one_that_cannot_be_kept_takes_no_other_with_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    add = inbox.add
    together = threading.Event()

    def picky(tx: Tx, arrivals: Sequence[Arrival]) -> list[bool]:
        together.wait(5)
        if any(one.event_id == "event-of-13" for one in arrivals):
            raise ValueError("a defect")
        return add(tx, arrivals)

    monkeypatch.setattr(inbox, "add", picky)
    statuses: dict[int, int] = {}
    threads = [
        threading.Thread(
            target=lambda number=number: statuses.update(
                {number: house.post("zendesk", house.zendesk(number)).status_code}
            )
        )
        for number in range(10, 16)
    ]
    for thread in threads:
        thread.start()
    together.set()
    for thread in threads:
        thread.join()
    assert statuses == {10: 200, 11: 200, 12: 200, 13: 400, 14: 200, 15: 200}
    assert len(house.stored()) == 5


# -- bounds ------------------------------------------------------------------------------------------------------------


async def silent(house: House, words: bytes) -> bytes:
    """Say something, then nothing, and hear what comes until the other side hangs up."""
    host, _, port = house.receiver.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(words)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def test_who_sends_slowly_is_hung_up_on(open_house: Open) -> None:
    house = open_house(patience="1s")
    head = f"POST {house.paths['zendesk']} HTTP/1.1\r\nhost: x\r\n"
    slow = [
        b"",
        b"POST",
        head.encode(),
        f"{head}content-length: 100\r\n\r\nhalf".encode(),
        b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
    ]

    async def all_of_them() -> list[bytes]:
        return await asyncio.wait_for(asyncio.gather(*(silent(house, words) for words in slow)), 30)

    heard = asyncio.run(all_of_them())
    assert [one.partition(b"\r\n")[0] for one in heard] == [
        b"",
        b"",
        b"",
        b"HTTP/1.1 408 Request Timeout",
        b"HTTP/1.1 404 Not Found",
    ]
    assert house.stored() == []


def test_a_second_request_on_a_connection_is_waited_for_no_longer(open_house: Open) -> None:
    house = open_house(patience="1s")
    heard = asyncio.run(asyncio.wait_for(silent(house, spoken(house, house.zendesk()) + b"POST /hooks"), 30))
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.count(b"HTTP/1.1") == 1


def test_those_who_come_when_all_places_are_taken_are_sent_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxbridge.console.listener.MOST_CONNECTIONS", 3)

    async def crowd() -> list[bytes]:
        host, _, port = house.receiver.address.rpartition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        # Answered once, so that they are known to be held.
        for reader, writer in held:
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        try:
            return [await silent(house, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(3)]
        except ConnectionError:
            return [b""]
        finally:
            for _, writer in held:
                writer.close()
                await writer.wait_closed()

    assert set(asyncio.run(crowd())) == {b""}
    assert house.client.get("/healthz").status_code == 200


def test_refusals_are_told_seldom_and_counted(house: House) -> None:
    forged = house.zendesk(secret="guessed")
    with structlog.testing.capture_logs() as logged:
        for _ in range(30):
            house.post("zendesk", forged)
        house.clock.advance(11)
        house.post("zendesk", forged)
    told = [one for one in logged if one["event"] == "webhook.refused"]
    assert [one["untold"] for one in told] == [0, 29]
    assert "guessed" not in str(logged)


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_health_says_ok_and_nothing_else(house: House) -> None:
    reply = house.client.get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
    assert house.client.post("/healthz").status_code == 404


def test_health_says_so_when_the_store_cannot_be_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Store) -> Any:
        raise StoreError("the database cannot be reached")

    monkeypatch.setattr(Store, "read", gone)
    assert house.client.get("/healthz").status_code == 503


def test_what_is_in_line_is_stored_before_it_stops(house: House) -> None:
    house.post("zendesk", house.zendesk(1))
    house.receiver.stop()
    assert len(house.stored()) == 1
    with pytest.raises(httpx.ConnectError):
        house.post("zendesk", house.zendesk(2))
    house.receiver.stop()
