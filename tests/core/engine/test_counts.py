"""What is stored is counted whichever way it came: by a pull, by another, by a webhook, by what the vendor says is gone."""

from collections.abc import Iterator
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.pull import pull
from cxbridge.core.engine.reading import read
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.store import Store, checkpoints
from tests.core.engine.test_inbox import Fake, connection
from tests.core.store.test_counting import counted


@pytest.fixture
def client(clock: ManualClock) -> Iterator[cx.Client]:
    with open_client(Fake().endpoint(), connection="desk", clock=clock, tokens=MemoryTokens()) as opened:
        yield opened


def ticket(number: int, subject: str = "x") -> cx.Ticket:
    return cx.Ticket(source_id=str(number), subject=subject)


def test_pulled_pulled_again_read_by_a_webhook_and_told_as_gone(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    shown: list[cx.Page] = []

    def one(_: cx.Client, key: str) -> cx.Page:
        beside = {"comments": [cx.Comment(source_id=key, ticket=f"tickets/{key}", visibility="public", body_text="x")]}
        return cx.Page([ticket(int(key), "read")], cursor=None, beside=beside)

    held = connection(cx.Stream("tickets", (cx.Ticket,), lambda _client, _cursor: iter(shown), one=one))

    def pulled(*pages: cx.Page) -> Any:
        shown[:] = pages
        with store.write() as tx:
            checkpoints.reset(tx, "desk", "tickets")
        pull(store, held, held.streams["tickets"], client, clock)
        return now()

    def now() -> Any:
        with store.read() as tx:
            return counted(tx)

    person = {"users": [cx.Contact(source_id="p", name="Jo")]}
    first = cx.Page([ticket(number) for number in range(300)], cursor=1, beside=person)
    second = cx.Page([ticket(300), ticket(301)], cursor=2, beside=person)
    assert pulled(first, second) == {("desk", "tickets"): 302, ("desk", "users"): 1}
    assert pulled(first, second) == {("desk", "tickets"): 302, ("desk", "users"): 1}
    read(store, held, held.streams["tickets"], client, clock, ["7", "400"], abreast=2)
    assert now() == {("desk", "tickets"): 303, ("desk", "users"): 1, ("desk", "comments"): 2}
    # Gone, and another one that was never heard of; then one of them is shown again.
    assert pulled(cx.Page([], cursor=3, deleted=["7", "8", "9", "999"]))["desk", "tickets"] == 300
    assert pulled(cx.Page([ticket(8)], cursor=4, deleted=["9"]))["desk", "tickets"] == 301
