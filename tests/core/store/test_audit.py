"""The audit chain: whatever is done to its entries by somebody without the key shows, and it holds no name and no value."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import ConfigError
from cxbridge.core.ledger import Delivery, Ref
from cxbridge.core.store import Store, Tx, audit, schema, state
from cxbridge.core.store.audit import Head

NOW = datetime(2026, 5, 6, 8, tzinfo=UTC)
TICKET = Ref("desk", "tickets", "4017")


def delivery(number: int = 1, **more: Any) -> Delivery:
    given: dict[str, Any] = {
        "id": f"dlv_{number}",
        "run": f"run_{number}",
        "recipe": "escalation",
        "step": "note",
        "connection": "desk",
        "action": "comment.add_once",
        "target": TICKET,
        "inputs": {"visibility": "public", "body": "Dear Ms Blum, we are on it"},
        "marker": f"cxb:{number:016x}",
        "order_key": str(TICKET),
        "not_before": NOW,
        "created_at": NOW,
    }
    return Delivery(**{**given, **more})


def add(tx: Tx, number: int) -> None:
    audit.wrote(
        tx,
        [audit.Wrote("confirmed", delivery(number), TICKET, {"ref": "desk/notes/9"})],
        NOW + timedelta(seconds=number),
    )


@pytest.fixture
def chain(store: Store) -> Store:
    """A store with eight entries, each in a commit of its own."""
    for number in range(1, 9):
        with store.write() as tx:
            add(tx, number)
    return store


def verified(store: Store, *more: Any) -> tuple[int, int | None]:
    with store.read() as tx:
        found = audit.verify(tx, *more)
    assert (found.at is None) == (found.wrong == "")
    return found.entries, found.at


def head(store: Store) -> Head:
    with store.read() as tx:
        return audit.verify(tx).head


# -- a chain that nobody touched ---------------------------------------------------------------------------------------


def test_an_untouched_chain_is_whole(chain: Store) -> None:
    assert verified(chain) == (8, None)
    with chain.read() as tx:
        found = audit.find(tx)
    assert [one.seq for one in found] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert found[-1].what == "write.confirmed"
    assert found[-1].subject == "desk/tickets/4017"
    assert found[-1].at == NOW + timedelta(seconds=1)
    assert found[-1].actor == "recipe:escalation"
    assert found[-1].detail["marker"] == "cxb:0000000000000001"


def test_a_store_without_entries_is_whole(store: Store) -> None:
    with store.write() as tx:
        state.instance_key(tx)
    assert verified(store) == (0, None)


def test_several_entries_of_one_commit_are_one_chain(store: Store) -> None:
    with store.write() as tx:
        for number in range(1, 4):
            add(tx, number)
        audit.decided(tx, "dead.dropped", who="Ada", subject=str(TICKET), now=NOW, delivery="dlv_1")
    assert verified(store) == (4, None)


def test_what_is_rolled_back_leaves_no_entry_and_no_gap(chain: Store) -> None:
    def crashes() -> None:
        with chain.write() as tx:
            add(tx, 9)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crashes()
    assert verified(chain) == (8, None)
    with chain.write() as tx:
        add(tx, 10)
    assert verified(chain) == (9, None)


def test_two_openings_of_one_store_write_one_chain(chain: Store, store_url: str, clock: ManualClock) -> None:
    other = Store.open(store_url, clock=clock)
    for number, one in enumerate((other, chain, chain, other), 9):
        with one.write() as tx:
            add(tx, number)
    other.close()
    assert verified(chain) == (12, None)


def test_many_that_write_at_once_write_one_chain(store: Store, store_url: str, clock: ManualClock) -> None:
    other = Store.open(store_url, clock=clock, timeout=60)

    def work(opened: Store) -> None:
        for number in range(20):
            with opened.write() as tx:
                add(tx, number)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work, one) for one in (store, other, store, other)]:
            done.result()
    other.close()
    assert verified(store) == (80, None)


# -- what somebody does to it ------------------------------------------------------------------------------------------


def altered(column: str, value: Any) -> Callable[[Tx], None]:
    return lambda tx: _set(tx, 4, **{column: value})


def _set(tx: Tx, entry: int, **values: Any) -> None:
    tx.connection.execute(sa.update(schema.audit).where(schema.audit.c.seq == entry).values(**values))


def _row(tx: Tx, seq: int) -> dict[str, Any]:
    return dict(tx.connection.execute(sa.select(schema.audit).where(schema.audit.c.seq == seq)).mappings().one())


def _put(tx: Tx, row: dict[str, Any]) -> None:
    tx.connection.execute(sa.insert(schema.audit), row)


def _cut(tx: Tx, first: int, last: int) -> None:
    tx.connection.execute(sa.delete(schema.audit).where(schema.audit.c.seq.between(first, last)))


def removed(tx: Tx) -> None:
    _cut(tx, 4, 4)


def removed_and_closed_up(tx: Tx) -> None:
    _cut(tx, 4, 4)
    for seq in range(5, 9):
        _set(tx, seq, seq=seq - 1)


def first_removed(tx: Tx) -> None:
    _cut(tx, 1, 1)


def swapped(tx: Tx) -> None:
    four, five = _row(tx, 4), _row(tx, 5)
    _cut(tx, 4, 5)
    _put(tx, {**four, "seq": 5})
    _put(tx, {**five, "seq": 4})


def inserted(tx: Tx) -> None:
    for seq in range(8, 3, -1):
        _set(tx, seq, seq=seq + 1)
    _put(tx, {**_row(tx, 3), "seq": 4})


def put_before_the_first(tx: Tx) -> None:
    _put(tx, {**_row(tx, 1), "seq": -3})


def put_at_the_end(tx: Tx) -> None:
    _put(tx, {**_row(tx, 8), "seq": 9})


def end_cut_off(tx: Tx) -> None:
    _cut(tx, 7, 8)


def all_cut_off(tx: Tx) -> None:
    _cut(tx, 1, 8)


def end_and_head_cut_off(tx: Tx) -> None:
    _cut(tx, 7, 8)
    state.meta_set(tx, "the head of the audit chain", None)


def end_cut_off_and_head_made_up(tx: Tx) -> None:
    _cut(tx, 7, 8)
    made = (6).to_bytes(8, "big") + _row(tx, 6)["mac"]
    kept = state.meta_get(tx, "the head of the audit chain")
    assert kept is not None
    state.meta_set(tx, "the head of the audit chain", made + kept[len(made) :])


@pytest.mark.parametrize(
    ("done", "at"),
    [
        (altered("at", NOW), 4),
        (altered("actor", "recipe:another"), 4),
        (altered("what", "write.dead"), 4),
        (altered("subject", "desk/tickets/4018"), 4),
        (altered("detail", {"run": "run_4"}), 4),
        (altered("mac", bytes(32)), 4),
        (altered("mac", b""), 4),
        (removed, 4),
        (removed_and_closed_up, 4),
        (first_removed, 1),
        (swapped, 4),
        (inserted, 4),
        (put_before_the_first, -3),
        (put_at_the_end, 9),
        (end_cut_off, 7),
        (all_cut_off, 1),
        (end_and_head_cut_off, 7),
        (end_cut_off_and_head_made_up, 7),
    ],
)
def test_the_first_entry_that_does_not_fit_is_named(chain: Store, done: Callable[[Tx], None], at: int) -> None:
    with chain.write() as tx:
        done(tx)
    assert verified(chain)[1] == at
    # And work goes on, without hiding it.
    with chain.write() as tx:
        add(tx, 20)
    assert verified(chain)[1] == at


def test_every_byte_of_an_entry_counts(sqlite_store: Store) -> None:
    with sqlite_store.write() as tx:
        add(tx, 1)
        add(tx, 2)
        row = tx.connection.exec_driver_sql("SELECT actor, what, subject, detail FROM audit WHERE seq = 1").one()
    places = [(name, place) for name, text in row._mapping.items() for place in range(len(text))]
    assert len(places) > 250
    for name, place in places:
        text = row._mapping[name]
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with sqlite_store.write() as tx:
            tx.connection.exec_driver_sql(f"UPDATE audit SET {name} = ? WHERE seq = 1", (changed,))
        assert verified(sqlite_store)[1] == 1, (name, place)
        with sqlite_store.write() as tx:
            tx.connection.exec_driver_sql(f"UPDATE audit SET {name} = ? WHERE seq = 1", (text,))
    assert verified(sqlite_store) == (2, None)


def test_a_head_noted_elsewhere_shows_that_the_store_was_put_back(chain: Store) -> None:
    early = head(chain)
    with chain.write() as tx:
        kept = state.meta_get(tx, "the head of the audit chain")
        add(tx, 9)
        add(tx, 10)
    noted = head(chain)
    assert Head.parse(str(noted)) == noted
    assert verified(chain, early) == (10, None)
    assert verified(chain, noted) == (10, None)
    with chain.write() as tx:
        # As whoever has an earlier copy can do without any key.
        _cut(tx, 9, 10)
        state.meta_set(tx, "the head of the audit chain", kept)
    assert verified(chain) == (8, None), "nothing within the store can tell"
    assert verified(chain, noted)[1] == 9
    with chain.write() as tx:
        for number in range(30, 33):
            add(tx, number)
    assert verified(chain, noted)[1] == 10, "another entry of that number"
    assert verified(chain, early) == (11, None)


@pytest.mark.parametrize("text", ["", "8", "8:", "8:zz", "x:" + "0" * 64, "8:" + "0" * 63, "-1:" + "0" * 64])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"NUMBER:DIGEST|non-hexadecimal"):
        Head.parse(text)


def test_what_came_after_a_break_can_be_checked_on_its_own(chain: Store) -> None:
    with chain.write() as tx:
        removed(tx)
    assert verified(chain, None, 4)[1] == 5, "the one after the gap is bound to what is gone"
    assert verified(chain, None, 5) == (8, None)
    with chain.write() as tx:
        _set(tx, 7, what="write.dead")
    assert verified(chain, None, 5)[1] == 7


def test_the_chain_of_another_instance_does_not_pass_for_this_one(chain: Store) -> None:
    with chain.write() as tx:
        state.meta_set(tx, state.INSTANCE_KEY, bytes(32))
    assert verified(chain)[1] == 1


def test_without_an_instance_key_there_is_no_chain_and_what_is_there_fits_none(chain: Store) -> None:
    with chain.write() as tx:
        state.meta_set(tx, state.INSTANCE_KEY, None)
    assert verified(chain)[1] == 1
    with chain.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM audit")
        tx.connection.exec_driver_sql("DELETE FROM meta WHERE name = 'the head of the audit chain'")
    assert verified(chain) == (0, None)


def test_with_another_key_file_nothing_can_be_said(tmp_path: Any, clock: ManualClock) -> None:
    url = f"sqlite:///{tmp_path}/sealed.db"
    first = Store.open(url, clock=clock, key=bytes(32))
    with first.write() as tx:
        add(tx, 1)
    assert verified(first) == (1, None)
    first.close()
    other = Store.open(url, clock=clock, key=b"\1" * 32)
    with other.read() as tx, pytest.raises(ConfigError, match="sealed with the key"):
        audit.verify(tx)
    other.close()


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_no_value_that_was_written_is_in_an_entry(chain: Store) -> None:
    with chain.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT detail FROM audit").scalars().all()
    assert rows
    assert not [row for row in rows if "Blum" in row or "public" in row]
    assert max(len(row) for row in rows) < 600


def test_equal_contents_have_equal_hashes_and_others_have_not(store: Store) -> None:
    with store.write() as tx:
        for inputs in ({"body": "a"}, {"body": "a"}, {"body": "b"}):
            audit.wrote(tx, [audit.Wrote("confirmed", delivery(inputs=inputs))], NOW)
        first, second, third = [one.detail["content"] for one in audit.find(tx)][::-1]
    assert first == second != third


def test_a_person_is_a_pseudonym_whose_name_can_be_forgotten(tmp_path: Any, clock: ManualClock) -> None:
    path = tmp_path / "people.db"
    opened = Store.open(f"sqlite:///{path}", clock=clock, key=b"\2" * 32)
    with opened.write() as tx:
        for who in ("Ada Blum", "  ada   BLUM ", "grace@northwind.test", "chat/users/U1"):
            audit.decided(tx, "dead.dropped", who=who, subject=str(TICKET), now=NOW)
        *_, one = entries = audit.find(tx)
        actors = [entry.actor for entry in entries][::-1]
        assert actors[0] == actors[1] != actors[2]
        assert actors[3] == "chat/users/U1", "a vendor's number says nothing by itself"
        assert audit.name_of(tx, one.actor) == "Ada Blum"
    opened.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"Blum" not in stored
    assert b"grace" not in stored
    opened = Store.open(f"sqlite:///{path}", clock=clock, key=b"\2" * 32)
    with opened.write() as tx:
        assert audit.forget(tx, one.actor)
        assert audit.name_of(tx, one.actor) is None
        assert not audit.forget(tx, one.actor)
    assert verified(opened) == (4, None)
    opened.close()


def test_text_that_a_database_cannot_hold_does_not_keep_an_outcome_from_being_entered(store: Store) -> None:
    odd = "a\0b\ud800"
    with store.write() as tx:
        audit.wrote(tx, [audit.Wrote("confirmed", delivery(step="näme"), Ref("desk", "tickets", odd))], NOW)
        audit.decided(tx, "dead.dropped", who=odd, subject=odd, now=NOW)
    assert verified(store) == (2, None)


# -- finding -----------------------------------------------------------------------------------------------------------


def test_entries_are_found_by_what_they_are_about_or_name(store: Store) -> None:
    with store.write() as tx:
        add(tx, 1)
        audit.wrote(tx, [audit.Wrote("dead", delivery(12, target=None), Ref("desk", "tickets", "401"))], NOW)
        audit.decided(tx, "recipe.resumed", who="Ada", subject="recipe:escalation", now=NOW, more=5)

        def found(**by: Any) -> list[int]:
            return [one.seq for one in audit.find(tx, **by)]

        assert found(about="desk/tickets/4017") == [1]
        assert found(about="desk/tickets/401") == [2], "not those whose name only begins so"
        assert found(about="desk/notes/9") == [1]
        assert found(about="DESK/notes/9") == []
        assert found(about="cxb:0000000000000001") == [1]
        assert found(run="run_1") == [1]
        assert found(run="run_12") == [2]
        assert found(since=NOW + timedelta(milliseconds=1)) == [1]
        assert found(limit=2) == [3, 2]
