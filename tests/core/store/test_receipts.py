"""What vendors answered."""

from datetime import timedelta

import pytest

from cxbridge.core.ledger import Ref, StoredReceipt
from cxbridge.core.store import receipts

ISSUE = Ref("tracker", "issues", "10001")


@pytest.fixture
def receipt(noon):
    def make(number=1, **more):
        return StoredReceipt(
            **{
                "delivery": f"dlv_{number:05}",
                "run": "run_00001",
                "recipe": "hand-over",
                "ref": ISSUE,
                "role": "wrote",
                "at": noon + timedelta(seconds=number),
                **more,
            }
        )

    return make


def test_a_receipt_comes_back_as_it_was_kept(store, receipt):
    full = receipt(
        role="made",
        wrote={"priority": "high", "tags_add": ["a"], "none": None},
        source_key="ENG-1",
        url="https://tracker.example/ENG-1",
        version="7",
        told="created",
        changed=False,
        hops=2,
        seen_seq=9,
    )
    with store.write() as tx:
        receipts.add(tx, [full, receipt(2)])
        receipts.add(tx, [])
    with store.read() as tx:
        assert receipts.of(tx, ISSUE) == [receipt(2), full]


def test_receipts_of_a_delivery_are_in_the_order_they_were_added(store, receipt):
    made = [receipt(1, role=role) for role in ("wrote", "made")]
    with store.write() as tx:
        receipts.add(tx, [*made, receipt(2)])
        assert receipts.of_delivery(tx, "dlv_00001") == made
        assert receipts.of_delivery(tx, "none") == []


def test_the_newest_come_first_and_no_more_than_asked(store, receipt):
    other = Ref("tracker", "issues", "10002")
    with store.write() as tx:
        receipts.add(tx, [receipt(number, ref=other if number % 3 == 0 else ISSUE) for number in range(1, 10)])
        newest = [8, 7, 5, 4, 2, 1]
        assert receipts.of(tx, ISSUE) == [receipt(number) for number in newest]
        assert receipts.of(tx, ISSUE, 2) == [receipt(8), receipt(7)]
        found = receipts.of_many(tx, [ISSUE, other, ISSUE, Ref("a", "b", "c")], limit=2)
        assert found == {ISSUE: [receipt(8), receipt(7)], other: [receipt(9, ref=other), receipt(6, ref=other)]}
        assert receipts.of_many(tx, []) == {}


def test_the_change_that_showed_a_receipt_is_noted(store, receipt):
    wrote, made, other = receipt(1), receipt(1, role="made"), receipt(2)
    with store.write() as tx:
        receipts.add(tx, [wrote, made, other])
        receipts.mark_seen(tx, [wrote, other], 7)
        receipts.mark_seen(tx, [], 8)
        assert [(kept.delivery, kept.role, kept.seen_seq) for kept in receipts.of(tx, ISSUE)] == [
            ("dlv_00002", "wrote", 7),
            ("dlv_00001", "made", None),
            ("dlv_00001", "wrote", 7),
        ]


def test_many_more_than_one_statement_holds(store, receipt):
    refs = [Ref("tracker", "issues", str(number)) for number in range(1100)]
    with store.write() as tx:
        receipts.add(tx, [receipt(1, ref=ref) for ref in refs])
        assert receipts.of_many(tx, refs) == {ref: [receipt(1, ref=ref)] for ref in refs}
