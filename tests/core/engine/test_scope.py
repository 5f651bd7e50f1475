"""What expressions see: read when asked for, and no staler than the transaction."""

import gc
from datetime import UTC, datetime

import pytest

from cxbridge.core.canonical import Account, Attachment, Contact, Ticket
from cxbridge.core.engine.scope import Scope, Scopes
from cxbridge.core.ledger import Link, Ref, incoming, view
from cxbridge.core.store import links, records

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
ONE, TWO, ISSUE = Ref("desk", "tickets", "1"), Ref("desk", "tickets", "2"), Ref("tracker", "issues", "7")


def link(left: Ref, right: Ref = ISSUE, relation: str = "escalated_to") -> Link:
    return Link(left=left, right=right, relation=relation, made_by="test", made_at=NOON)


class TestScope:
    @pytest.fixture
    def asked(self):
        return []

    @pytest.fixture
    def scope(self, asked):
        def read(_):
            asked.append("account")
            return {"name": "Northwind"}

        return Scope({"ticket": {"subject": "Late"}, "before": None}, {"account": read})

    def test_what_belongs_to_the_subject_is_read_once_and_only_when_asked_for(self, scope, asked):
        assert scope.get("ticket") == {"subject": "Late"}
        assert scope.get("before", "nothing") is None
        assert "account" in scope
        assert list(scope) == ["ticket", "before", "account"]
        assert len(scope) == 3
        assert asked == []
        assert scope["account"] is scope.get("account")
        assert dict(scope)["account"] == {"name": "Northwind"}
        assert asked == ["account"]

    def test_what_is_set_or_removed_is_not_read(self, scope, asked):
        scope["account"] = {"name": "Solo"}
        assert scope["account"] == {"name": "Solo"}
        del scope["account"]
        assert scope.get("account", "gone") == "gone"
        with pytest.raises(KeyError):
            scope["account"]
        assert asked == []

    def test_a_failed_reading_is_tried_again(self):
        found = iter([ValueError("the store was busy"), {"name": "Northwind"}])

        def read(_):
            one = next(found)
            if isinstance(one, ValueError):
                raise one
            return one

        scope = Scope({}, {"account": read})
        with pytest.raises(ValueError, match="busy"):
            scope["account"]
        assert scope["account"] == {"name": "Northwind"}


class TestBelongings:
    def test_a_scope_is_gone_as_soon_as_it_is_used(self, sqlite_store, shipped):
        # One is made for every change: what hangs together in circles is cleared away late, and at a price.
        with sqlite_store.read() as tx:
            scopes = Scopes(tx, NOON)
            subject = view(ONE, Ticket(source_id="1"))
            gc.disable()
            try:
                for _ in range(2):
                    # What is made once for a kind is made in the first round.
                    gc.collect()
                    assert scopes.build(shipped, "ticket", subject)["owner"]["id"] is None
                assert gc.collect() == 0
            finally:
                gc.enable()

    def test_they_are_the_stored_records_or_blank(self, sqlite_store, shipped):
        account = Account(source_id="5", name="Northwind", tier="enterprise")
        with sqlite_store.write() as tx:
            records.apply(tx, "desk", [incoming("organizations", account)], NOON)
        with sqlite_store.read() as tx:
            subject = view(ONE, Ticket(source_id="1", account="organizations/5", requester="users/8"))
            scope = Scopes(tx, NOON).build(shipped, "ticket", subject, results={"issue": {"id": "x"}}, item={"id": "y"})
            assert scope["account"]["tier"] == "enterprise"
            # Of one that was not pulled yet, its id is all that is known.
            assert (scope["contact"]["id"], scope["contact"]["emails"]) == ("desk/users/8", [])
            assert scope["assignee"]["id"] is None
            assert (scope["issue"], scope["item"], scope["now"]) == ({"id": "x"}, {"id": "y"}, NOON)

    @pytest.fixture
    def shipped(self):
        class Recipe:
            inputs: dict[str, object] = {}  # noqa: RUF012
            use: dict[str, str] = {}  # noqa: RUF012

        return Recipe()


class TestKnown:
    def test_what_somebody_has_read_is_read_no_more(self, sqlite_store):
        with sqlite_store.write() as tx:
            records.apply(tx, "desk", [incoming("tickets", Ticket(source_id="1", subject="stored"))], NOON)
            scopes = Scopes(tx, NOON)
            told = view(ONE, Ticket(source_id="1", subject="told"))
            scopes.know(ONE, told)
            assert scopes.entity(ONE) is told

    def test_what_was_read_already_stays(self, sqlite_store):
        with sqlite_store.write() as tx:
            records.apply(tx, "desk", [incoming("tickets", Ticket(source_id="1", subject="stored"))], NOON)
            scopes = Scopes(tx, NOON)
            found = scopes.entity(ONE)
            scopes.know(ONE, view(ONE, Ticket(source_id="1", subject="told")))
            assert scopes.entity(ONE) is found


class TestLinks:
    def test_a_link_that_is_made_after_looking_ahead_is_seen(self, sqlite_store):
        with sqlite_store.write() as tx:
            links.ensure(tx, link(ONE))
            scopes = Scopes(tx, NOON)
            scopes.look_ahead([ONE, TWO, ISSUE])
            assert [one.left for one in scopes.links_of(ISSUE, "escalated_to")] == [ONE]
            assert scopes.links_of(ONE, "escalated_to") == [link(ONE)]
            assert scopes.links_of(ONE, "duplicate_of") == []
            assert scopes.links_of(TWO, "escalated_to") == []
            links.ensure(tx, link(TWO))
            scopes.joined(link(TWO))
            assert scopes.links_of(TWO, "escalated_to") == [link(TWO)]

    def test_nothing_is_looked_at_before_somebody_asks_and_then_all_at_once(self, sqlite_store, monkeypatch):
        asked = []
        among = links.among

        def counted(tx, refs):
            asked.append(refs)
            return among(tx, refs)

        monkeypatch.setattr(links, "among", counted)
        with sqlite_store.write() as tx:
            links.ensure(tx, link(ONE))
            scopes = Scopes(tx, NOON)
            scopes.look_ahead(one for one in (ONE, TWO))
            assert asked == []
            assert not scopes.may_be_linked(TWO)
            assert scopes.may_be_linked(ONE)
            assert scopes.may_be_linked(ISSUE)
            assert asked == [{ONE, TWO}]

    def test_what_was_not_looked_at_ahead_is_asked_for(self, sqlite_store):
        with sqlite_store.write() as tx:
            links.ensure(tx, link(ONE))
            assert Scopes(tx, NOON).links_of(ONE, "escalated_to") == [link(ONE)]


def test_a_view_has_every_field_and_shares_no_list_with_its_entity():
    entity = Ticket(
        source_id="1",
        followers=["users/3"],
        account="organizations/5",
        custom={"regions": ["north"], "deep": {"list": [1]}},
        attachments=[Attachment(id="9", name="log.txt")],
        due_at=NOON,
    )
    shown = view(ONE, entity)
    assert set(shown) == {*entity.__struct_fields__, "id", "source"}
    assert (shown["id"], shown["source"], shown["account"]) == ("desk/tickets/1", "desk", "desk/organizations/5")
    assert shown["followers"] == ["desk/users/3"]
    assert shown["attachments"] == [{"id": "9", "name": "log.txt", "type": None, "bytes": None, "url": None}]
    assert (shown["due_at"], shown["parent"]) == (NOON, None)
    for path in (("custom", "regions"), ("custom", "deep"), ("tags",), ("custom",)):
        mine, theirs = shown, {name: getattr(entity, name) for name in entity.__struct_fields__}
        for name in path:
            mine, theirs = mine[name], theirs[name]
        assert mine == theirs
        assert mine is not theirs
    assert view(Ref("desk", "users", "1"), Contact(source_id="1", name="Mia"))["emails"] == []
