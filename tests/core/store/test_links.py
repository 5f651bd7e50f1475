"""This here is that there."""

from datetime import timedelta

import msgspec
import pytest

from cxbridge.core.ledger import Link, Ref
from cxbridge.core.store import links

TICKET = Ref("desk", "tickets", "1")
ISSUE = Ref("tracker", "issues", "10001")


@pytest.fixture
def link(noon):
    def make(left=TICKET, right=ISSUE, relation="escalation", **more):
        return Link(left=left, right=right, relation=relation, made_by="hand-over", **{"made_at": noon, **more})

    return make


def test_ensuring_twice_makes_one_link_and_keeps_who_made_it(store, link):
    with store.write() as tx:
        assert links.ensure(tx, link())
        assert not links.ensure(tx, msgspec.structs.replace(link(), made_by="somebody else"))
        assert links.of(tx, TICKET) == [link()]


@pytest.mark.parametrize("state", ["broken", "removed"])
def test_what_was_broken_or_removed_becomes_active_again(store, link, noon, state):
    with store.write() as tx:
        links.ensure(tx, link())
        assert links.mark(tx, link(), state)
        assert not links.mark(tx, link(), state)
        assert links.of(tx, TICKET) == []
        assert [found.state for found in links.of(tx, TICKET, active_only=False)] == [state]
        later = link(made_at=noon + timedelta(hours=1))
        assert links.ensure(tx, later)
        assert links.of(tx, TICKET) == [later]


def test_marking_what_is_not_there_does_nothing(store, link):
    with store.write() as tx:
        assert not links.mark(tx, link(), "broken")
        assert links.of(tx, TICKET, active_only=False) == []


def test_links_are_found_from_both_sides(store, link, noon):
    second = link(right=Ref("tracker", "issues", "10002"), made_at=noon + timedelta(hours=1))
    inward = link(left=Ref("chat", "threads", "x"), right=TICKET, relation="talk", made_at=noon - timedelta(hours=1))
    itself = link(left=TICKET, right=TICKET, relation="merge", made_at=noon + timedelta(hours=2))
    with store.write() as tx:
        for each in (link(), second, inward, itself):
            links.ensure(tx, each)
        assert links.of(tx, TICKET) == [inward, link(), second, itself]
        assert links.of(tx, ISSUE) == [link()]
        assert links.of(tx, TICKET, "escalation") == [link(), second]


def test_a_relation_can_be_paged_through(store, link):
    pairs = [
        (Ref("desk", "tickets", left), Ref("tracker", "issues", right))
        for left, right in [("1", "1"), ("1", "2"), ("10", "1"), ("2", "1"), ("Ä", "1")]
    ]
    with store.write() as tx:
        for left, right in reversed(pairs):
            links.ensure(tx, link(left, right))
        links.ensure(tx, link(TICKET, ISSUE, "other"))
        links.ensure(tx, link(TICKET, ISSUE))
        links.mark(tx, link(TICKET, ISSUE), "broken")
    with store.read() as tx:
        for limit in (1, 2, 100):
            seen: list[tuple[Ref, Ref]] = []
            while page := links.find(tx, "escalation", limit, seen[-1] if seen else None):
                assert len(page) <= limit
                seen += [(found.left, found.right) for found in page]
            assert seen == pairs


def test_among_tells_who_has_an_active_link_on_either_side(store, link):
    refs = [Ref("desk", "tickets", str(number)) for number in range(1203)]
    with store.write() as tx:
        links.ensure(tx, link(refs[0], refs[1]))
        links.ensure(tx, link(refs[2], refs[1202]))
        links.ensure(tx, link(refs[3], refs[4]))
        links.mark(tx, link(refs[3], refs[4]), "broken")
    with store.read() as tx:
        assert links.among(tx, refs) == {refs[0], refs[1], refs[2], refs[1202]}
        assert links.among(tx, []) == set()
