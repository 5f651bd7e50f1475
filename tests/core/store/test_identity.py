"""Keys and matches as rows: what is found by them, what clusters they come to, and that indices serve them."""

import pytest

from cxbridge.core.ledger import Ref
from cxbridge.core.store import identity, records
from cxbridge.core.store.identity import Match

Z1, Z2 = Ref("zendesk", "organizations", "1"), Ref("zendesk", "organizations", "2")
G1, Q1 = Ref("gainsight", "companies", "1P"), Ref("qualtrics", "accounts", "HL-1")


def match(one, other, noon, state="confirmed", **more):
    left, right = sorted((one, other))
    return Match(
        **{
            "left": left,
            "right": right,
            "kind": "account",
            "state": state,
            "score": 1.0,
            "evidence": [{"key": "id:hl-1", "strength": 1.0}],
            "decided_by": "rule:external_id",
            "at": noon,
            **more,
        }
    )


class TestKeys:
    def test_they_are_read_counted_and_looked_up(self, store):
        with store.write() as tx:
            identity.write_keys(tx, "account", [("id:hl-1", Z1), ("name:northwind", Z1), ("id:hl-1", G1)], [])
            identity.write_keys(tx, "contact", [("id:hl-1", Q1)], [])
        with store.read() as tx:
            assert identity.keys_of(tx, [Z1, Z2, Q1]) == {
                Z1: ("account", frozenset({"id:hl-1", "name:northwind"})),
                Q1: ("contact", frozenset({"id:hl-1"})),
            }
            assert identity.counts(tx, "account", ["id:hl-1", "name:northwind", "name:nobody"]) == {
                "id:hl-1": 2,
                "name:northwind": 1,
            }
            assert identity.holders(tx, "account", ["id:hl-1"]) == {"id:hl-1": [G1, Z1]}
            assert dict(identity.all_keys(tx, "account")) == {G1: ["id:hl-1"], Z1: ["id:hl-1", "name:northwind"]}

    def test_what_is_removed_is_gone_for_that_record_alone(self, store):
        with store.write() as tx:
            identity.write_keys(tx, "account", [("id:hl-1", Z1), ("id:hl-1", G1)], [])
            identity.write_keys(tx, "account", [("id:hl-2", Z1)], [("id:hl-1", Z1)])
        with store.read() as tx:
            assert identity.holders(tx, "account", ["id:hl-1", "id:hl-2"]) == {"id:hl-1": [G1], "id:hl-2": [Z1]}

    def test_more_than_one_statement_can_hold(self, store):
        many = [(f"id:{number}", Ref("zendesk", "organizations", str(number))) for number in range(1203)]
        with store.write() as tx:
            identity.write_keys(tx, "account", many, [])
        with store.read() as tx:
            assert len(identity.keys_of(tx, [ref for _, ref in many])) == 1203
            assert sum(identity.counts(tx, "account", [key for key, _ in many]).values()) == 1203

    def test_who_was_touched_are_people_and_companies_in_the_order_of_changes(self, store, item, noon):
        with store.write() as tx:
            records.apply(tx, "desk", [item("1"), item("5", kind="account", stream="organizations")], noon)
            records.apply(tx, "desk", [item("2"), item("7", kind="contact", stream="users")], noon)
            records.apply(tx, "desk", [item("5", "other", 2, kind="account", stream="organizations")], noon)
            records.apply(tx, "desk", [item("3")], noon)
        five, seven = Ref("desk", "organizations", "5"), Ref("desk", "users", "7")
        with store.read() as tx:
            assert identity.touched(tx, 0, 10) == ([five, seven], 6)
            assert identity.touched(tx, 0, 2) == ([five, seven], 4)
            assert identity.touched(tx, 4, 10) == ([five], 6)
            assert identity.touched(tx, 6, 10) == ([], 6)

    def test_a_contact_that_became_an_agent_is_touched_so_that_its_keys_can_go(self, store, item, noon):
        with store.write() as tx:
            records.apply(tx, "desk", [item("7", kind="contact", stream="users")], noon)
            records.apply(tx, "desk", [item("7", "agent now", 2, kind="agent", stream="users")], noon)
        with store.read() as tx:
            assert identity.touched(tx, 1, 10) == ([Ref("desk", "users", "7")], 2)


class TestMatches:
    def test_they_are_read_from_either_side_and_in_either_order(self, store, noon):
        made = match(Z1, G1, noon)
        with store.write() as tx:
            identity.save(tx, [made])
        with store.read() as tx:
            assert identity.get(tx, Z1, G1) == identity.get(tx, G1, Z1) == made
            assert identity.of(tx, [Z1]) == identity.of(tx, [G1, Z1]) == [made]
            assert made.other(Z1) == G1
            assert identity.get(tx, Z1, Q1) is None

    def test_saving_again_replaces(self, store, noon):
        with store.write() as tx:
            identity.save(tx, [match(Z1, G1, noon, "suggested", score=0.9)])
            identity.save(tx, [match(Z1, G1, noon, decided_by="person:mia")])
        with store.read() as tx:
            assert [(one.state, one.by_person) for one in identity.find(tx)] == [("confirmed", True)]
            assert identity.count(tx) == {("account", "confirmed"): 1}

    def test_the_likeliest_come_first_and_filters_hold(self, store, noon):
        rows = [
            match(Z1, G1, noon, "suggested", score=0.82),
            match(Z2, G1, noon, "suggested", score=0.97),
            match(Z1, Q1, noon, "rejected", score=0.99),
            match(Z2, Q1, noon, "suggested", score=0.9, kind="contact"),
        ]
        with store.write() as tx:
            identity.save(tx, rows)
        with store.read() as tx:
            assert [one.score for one in identity.find(tx, state="suggested")] == [0.97, 0.9, 0.82]
            assert [one.score for one in identity.find(tx, state="suggested", kind="account", limit=1)] == [0.97]
            assert [one.score for one in identity.find(tx)] == [0.99, 0.97, 0.9, 0.82]
        with store.write() as tx:
            identity.remove(tx, rows[:1])
        with store.read() as tx:
            assert identity.count(tx) == {
                ("account", "suggested"): 1,
                ("account", "rejected"): 1,
                ("contact", "suggested"): 1,
            }

    def test_clusters_are_what_confirmed_pairs_connect(self, store, noon):
        with store.write() as tx:
            assert not identity.any_confirmed(tx)
            identity.save(
                tx,
                [
                    match(Z1, G1, noon),
                    match(G1, Q1, noon),
                    match(Z2, Q1, noon, "rejected"),
                    match(Z2, G1, noon, "split"),
                ],
            )
        with store.read() as tx:
            found = identity.clusters(tx, [Z1, Z2])
            assert found[Z1] == {Z1, G1, Q1}
            assert found[Z2] == {Z2}
            assert identity.any_confirmed(tx)
            assert identity.matched(tx, "account") == {Z1, G1, Q1}
            assert identity.matched(tx, "contact") == set()

    def test_the_known_are_told_by_connection(self, store):
        with store.write() as tx:
            identity.write_keys(tx, "account", [("own:1", Z1), ("id:hl-1", Z1), ("own:1p", G1)], [])
            identity.write_keys(tx, "contact", [("own:9", Ref("zendesk", "users", "9"))], [])
        with store.read() as tx:
            assert identity.known(tx, "account") == [G1, Z1]
            assert identity.known(tx, "account", "zendesk") == [Z1]
            assert identity.known(tx, "account", "zen") == []


def test_what_is_known_grows_and_a_rolled_back_commit_adds_nothing(store):
    with store.read() as tx:
        assert identity.version(tx) == 0
    with store.write() as tx:
        identity.moved(tx)
        identity.moved(tx)

    def interrupted():
        with store.write() as tx:
            identity.moved(tx)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with store.read() as tx:
        assert identity.version(tx) == 2


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda tx: identity.keys_of(tx, [Z1]), "ix_identity_keys_ref (ref=?)"),
        (lambda tx: identity.counts(tx, "account", ["id:1"]), "(key=?)"),
        (lambda tx: identity.holders(tx, "account", ["id:1"]), "(key=?)"),
        (lambda tx: identity.known(tx, "account"), "(key>? AND key<?)"),
        (lambda tx: identity.of(tx, [Z1]), "ix_matches_right (right=?)"),
        (lambda tx: identity.clusters(tx, [Z1]), "ix_matches_right (right=?)"),
        (identity.any_confirmed, "ix_matches_state_kind_score (state=?)"),
        (lambda tx: identity.touched(tx, 1, 10), "SEARCH changes USING INTEGER PRIMARY KEY (rowid>?)"),
    ],
)
def test_an_index_serves(sqlite_store, heard, ask, index):
    with sqlite_store.read() as tx:
        with heard(tx) as asked:
            ask(tx)
        steps = [
            row[3]
            for statement, parameters in asked
            for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert any(index in step for step in steps), steps
