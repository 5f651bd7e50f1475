"""Full-text candidates: found by their words on both databases, kept up with the log, and ranked by what matters."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from cxbridge.core.canonical import Account, AnyEntity, Article, Ticket
from cxbridge.core.ledger import Ref, incoming
from cxbridge.core.store import Store, records
from cxbridge.core.store.search import CANDIDATES, TextIndex, alike


@pytest.fixture
def index() -> Iterator[TextIndex]:
    made = TextIndex()
    yield made
    made.close()


def ticket(key: str, subject: str, body: str = "", **more: object) -> Ticket:
    return Ticket(source_id=key, subject=subject, body_text=body, **more)  # type: ignore[arg-type]


def keep(store: Store, at: datetime, *entities: AnyEntity, stream: str = "tickets") -> None:
    with store.write() as tx:
        records.apply(tx, "desk", [incoming(stream, one) for one in entities], at)


def keys(found: list[Ref]) -> list[str]:
    return [ref.key for ref in found]


TICKETS = [
    ticket("1", "App crashes", "When I open the export dialog it crashes at once"),
    ticket("2", "Wrong VAT number", "The invoice of May shows the old number"),
    ticket("3", "Export is slow", "Large boards take minutes to export as CSV"),
    ticket("4", "Login", "Single sign-on fails since the weekend; \"quoted\" AND (odd) * NEAR words"),
]  # fmt: skip


def test_records_are_found_by_their_words(store: Store, index: TextIndex, noon: datetime) -> None:
    keep(store, noon, *TICKETS)
    with store.read() as tx:
        assert index.refresh(tx) == 4
        assert keys(index.candidates("invoice with wrong VAT")) == ["2"]
        # Endings do not matter, and what matters is in the subject.
        assert keys(index.candidates("crash"))[0] == "1"
        assert keys(index.candidates("exporting"))[0] == "3"
        assert alike(tx, index, "the export dialog crashed")[0].key.key == "1"


def test_what_is_query_language_elsewhere_is_text_here(store: Store, index: TextIndex, noon: datetime) -> None:
    keep(store, noon, *TICKETS)
    with store.read() as tx:
        index.refresh(tx)
    for text in (
        '"quoted" AND (odd) * NEAR',
        "subject : login",
        "^login",
        'a"b',
        "'; DROP TABLE texts; --",
        "NOT OR AND",
    ):
        index.candidates(text)
    assert keys(index.candidates('"quoted" (odd)*')) == ["4"]
    assert index.candidates("") == []
    assert index.candidates("the and of !?") == []
    assert index.candidates("unheardof") == []


def test_the_index_follows_what_changes(store: Store, index: TextIndex, noon: datetime) -> None:
    keep(store, noon, *TICKETS)
    with store.read() as tx:
        index.refresh(tx)
        assert index.refresh(tx) == 0
    later = noon + timedelta(minutes=1)
    keep(store, noon, ticket("2", "Missing receipt", "Nothing came", updated_at=later), ticket("5", "VAT again"))
    with store.write() as tx:
        records.mark_deleted(tx, "desk", "tickets", ["3"], later)
    with store.read() as tx:
        assert index.refresh(tx) == 3
        assert keys(index.candidates("vat")) == ["5"]
        assert keys(index.candidates("receipt")) == ["2"]
        assert index.candidates("slow boards") == []
    # Coming back, it is found again.
    keep(store, noon, ticket("3", "Export is slow", updated_at=later + timedelta(minutes=1)))
    with store.read() as tx:
        index.refresh(tx)
        assert keys(index.candidates("slow")) == ["3"]


def test_only_the_kinds_asked_for_are_looked_through(store: Store, noon: datetime) -> None:
    keep(store, noon, ticket("1", "Dark theme"))
    keep(store, noon, Article(source_id="7", title="Dark theme, how to", body_text="Settings"), stream="articles")
    keep(store, noon, Account(source_id="9", name="Dark theme Ltd"), stream="organizations")
    both = TextIndex(("ticket", "article"))
    try:
        with store.read() as tx:
            assert both.refresh(tx) == 2
            found = both.candidates("dark theme settings")
            assert {(one.stream, one.key) for one in found} == {("tickets", "1"), ("articles", "7")}
    finally:
        both.close()


def test_a_record_is_not_like_itself_and_a_deleted_one_like_nothing(
    store: Store, index: TextIndex, noon: datetime
) -> None:
    keep(store, noon, *TICKETS, ticket("6", "App crashes", "When I open the export dialog it crashes at once"))
    itself = Ref("desk", "tickets", "1")
    text = f"{TICKETS[0].subject}\n{TICKETS[0].body_text}"
    with store.read() as tx:
        found = alike(tx, index, text, but=[itself])
        assert (found[0].key.key, found[0].score) == ("6", 1.0)
        assert itself not in [one.key for one in found]
    with store.write() as tx:
        records.mark_deleted(tx, "desk", "tickets", ["6"], noon)
    with store.read() as tx:
        assert "6" not in [one.key.key for one in alike(tx, index, text, but=[itself])]


def test_the_right_one_is_found_among_many(sqlite_store: Store, index: TextIndex, noon: datetime) -> None:
    """Of 3,000 tickets, each of 60 is asked for with words left out and others put in."""
    draw = random.Random(11)
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("ck", "rn", "lt", "sh", "mp", "nd", "st")]
    told = [[draw.choice(words[:80]) for _ in range(8)] + draw.sample(words, 10) for _ in range(3000)]
    keep(sqlite_store, noon, *(ticket(str(n), " ".join(one[:4]), " ".join(one[4:])) for n, one in enumerate(told)))
    first = among = 0
    with sqlite_store.read() as tx:
        for number in range(0, 3000, 50):
            asked = " ".join([*draw.sample(told[number], 11), *draw.sample(words, 5)])
            found = [one.key.key for one in alike(tx, index, asked, least=0.0)]
            first += found[:1] == [str(number)]
            among += str(number) in found
        assert len(index.candidates(" ".join(words[:30]))) == CANDIDATES
    assert first >= 54
    assert among >= 57
