"""The questions that are asked all the time are answered by an index on SQLite, however much is stored."""

from datetime import UTC, datetime

import pytest

from cxbridge.core.ledger import Ref
from cxbridge.core.store import (
    approvals,
    asks,
    changes,
    counting,
    identity,
    letters,
    outbox,
    receipts,
    records,
    restored,
    runs,
)

ONE = Ref("desk", "tickets", "1")


@pytest.fixture
def plan(sqlite_store, heard):
    """Run a function and give SQLite's plans of its queries."""

    def plan(function):
        with sqlite_store.read() as tx:
            with heard(tx) as asked:
                function(tx)
            return [
                row[3]
                for statement, parameters in asked
                for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]

    return plan


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda tx, now: records.get(tx, ONE), "(connection=? AND stream=? AND key=?)"),
        (lambda tx, now: records.by_source_key(tx, "desk", "1"), "ix_records_source_key"),
        (lambda tx, now: records.scan(tx, kinds=["ticket"], after=ONE), "ix_records_living (kind=? AND (connection"),
        (lambda tx, now: records.scan(tx, connection="desk", after=ONE), "(connection=? AND (stream,key)>(?,?))"),
        (
            lambda tx, _: records.places(tx),
            "SEARCH records USING COVERING INDEX sqlite_autoindex_records_1 ((connection,stream)>(?,?))",
        ),
        (lambda tx, now: changes.after(tx, 1, 10), "SEARCH changes USING INTEGER PRIMARY KEY (rowid>?)"),
        (lambda tx, now: runs.active_for(tx, "r", "steps", "k"), "ix_runs_active (recipe=? AND part=? AND key=?)"),
        (lambda tx, now: runs.last_started(tx, "r", "steps", "k"), "(recipe=? AND part=? AND once>? AND once<?)"),
        (lambda tx, now: runs.started_since(tx, "r", "steps", now), "COVERING INDEX ix_runs_recipe_part_started_at"),
        (lambda tx, now: runs.find(tx, recipe="r"), "ix_runs_recipe_id"),
        (lambda tx, now: runs.find(tx, state="held"), "ix_runs_state_id (state=?)"),
        (
            lambda tx, now: runs.find(tx, recipe="r", state="held"),
            "ix_runs_recipe_state_id_part (recipe=? AND state=?)",
        ),
        (lambda tx, now: runs.find(tx, subject=ONE), "ix_runs_subject_id (subject=?)"),
        (lambda tx, now: runs.find(tx, recipe="r", subject=ONE), "ix_runs_subject_id (subject=?)"),
        (
            lambda tx, now: runs.counts(tx, "r"),
            "SEARCH runs USING COVERING INDEX ix_runs_recipe_state_id_part (recipe=? AND state=?)",
        ),
        (lambda tx, now: runs.held(tx), "ix_runs_state_id (state=?)"),
        (lambda tx, now: runs.tally(tx, "r", "steps"), "COVERING INDEX ix_runs_recipe_state_id_part (recipe=?"),
        (
            lambda tx, now: runs.tally(tx, "r", "steps", now),
            "ix_runs_recipe_part_started_at (recipe=? AND part=? AND started_at>?)",
        ),
        (lambda tx, now: runs.due(tx, now, 10), "ix_runs_waking (wake_at>? AND wake_at<?)"),
        (runs.next_wake, "ix_runs_waking (wake_at>?)"),
        (lambda tx, now: runs.freed(tx, 10), "ix_runs_active (recipe=? AND part=? AND key=? AND id<?)"),
        (lambda tx, now: asks.latest(tx, "p"), "ix_asks_person_at (person=?)"),
        (lambda tx, now: approvals.waiting(tx), "ix_approvals_state_id (state=?)"),
        (lambda tx, now: approvals.of_step(tx, "r", "s"), "(run=? AND step=?)"),
        (lambda tx, now: outbox.due(tx, "desk", now, 10), "ix_deliveries_open (connection=?)"),
        (
            lambda tx, now: outbox.due(tx, "desk", now, 10),
            "ix_deliveries_open_key (connection=? AND order_key=? AND seq<?)",
        ),
        (lambda tx, now: outbox.unsettled_counts(tx), "COVERING INDEX ix_deliveries_unsettled (state=?)"),
        (lambda tx, now: outbox.interrupted(tx), "ix_deliveries_unsettled (state=?)"),
        (lambda tx, now: outbox.interrupted(tx, "desk"), "SEARCH deliveries USING INDEX ix_deliveries_"),
        (lambda tx, now: restored.waiting(tx), "ix_deliveries_unsettled (state=?)"),
        (lambda tx, now: outbox.by_marker(tx, "desk", ["m"]), "ix_deliveries_connection_marker_seq"),
        (lambda tx, now: outbox.find(tx, recipe="r", state="dead"), "ix_deliveries_unsettled (state=?)"),
        (lambda tx, now: outbox.sent_since(tx, "r", now), "COVERING INDEX ix_deliveries_sent (recipe=? AND sent_at>?)"),
        (lambda tx, now: receipts.of(tx, ONE), "ix_receipts_ref_id"),
    ],
)
def test_an_index_serves(plan, noon, ask, index):
    found = plan(lambda tx: ask(tx, noon))
    assert any(index in step for step in found), found


def test_counting_goes_through_the_counts_and_not_through_the_records(plan):
    found = plan(records.count)
    assert found == ["SEARCH counters USING INDEX sqlite_autoindex_counters_1 (name=?)", "SCAN record_counts"]


def test_counting_anew_reads_an_index_and_not_the_records(plan):
    assert "SCAN records USING COVERING INDEX ix_records_living" in plan(lambda tx: counting.go_through(tx.connection))


@pytest.mark.parametrize(
    "chosen",
    [
        letters.Chosen(recipe="r"),
        letters.Chosen(connection="c", held=True),
        letters.Chosen(recipe="r", code="x", since=datetime(2026, 5, 6, tzinfo=UTC), held=True),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda tx, chosen: letters.newest(tx, chosen, 10),
        lambda tx, chosen: letters.batch(tx, chosen, 0, 10),
        letters.tally,
    ],
)
def test_dead_letters_are_found_by_their_state_and_not_among_all_that_was_written(plan, ask, chosen):
    found = plan(lambda tx: ask(tx, chosen))
    assert any("ix_deliveries_unsettled (state=?" in step for step in found), found
    assert not any(step.startswith("SCAN deliveries") for step in found), found


@pytest.mark.parametrize("count", [1, 2, 16, 200])
@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda tx, some: records.get_many(tx, [Ref("desk", "tickets", one) for one in some]), "AND key=?)"),
        (runs.get_many, "sqlite_autoindex_runs_1 (id=?)"),
        (
            lambda tx, some: runs.active_for_many(tx, "r", "steps", some),
            "ix_runs_active (recipe=? AND part=? AND key=?)",
        ),
        (outbox.unsettled, "ix_deliveries_run_seq (run=?)"),
        (lambda tx, some: identity.of(tx, [Ref("desk", "users", one) for one in some]), "t=?)"),
        (lambda tx, some: identity.clusters(tx, [Ref("desk", "users", one) for one in some]), "t=?)"),
        (lambda tx, some: outbox.by_marker(tx, "desk", some), "ix_deliveries_connection_marker_seq (connection=? AND"),
    ],
)
def test_an_index_serves_however_many_are_asked_for_at_once(plan, ask, index, count):
    found = plan(lambda tx: ask(tx, [f"x{number}" for number in range(count)]))
    assert all(index in step or "TEMP B-TREE" in step for step in found), found


def test_what_has_to_wait_is_found_among_what_waits_and_not_among_all_that_was_done(sqlite_store, heard, noon):
    with sqlite_store.write() as tx:
        with heard(tx) as asked:
            outbox.put_off(tx, "desk", "r", now=noon, until=noon, why="the hour is full", but="notify")
        [(statement, values)] = asked
        found = [row[3] for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any("ix_deliveries_open" in step for step in found), found


@pytest.mark.parametrize(
    "ask",
    [
        lambda tx, now: records.scan(tx, kinds=["ticket"], after=ONE),
        lambda tx, now: records.scan(tx, after=ONE),
        lambda tx, now: changes.after(tx, 1, 10),
        lambda tx, now: outbox.due(tx, "desk", now, 10),
        lambda tx, now: outbox.find(tx, state="dead"),
        lambda tx, now: runs.find(tx, state="held"),
    ],
)
def test_nothing_is_sorted_that_an_index_has_in_order(plan, noon, ask):
    assert not any("TEMP B-TREE" in step for step in plan(lambda tx: ask(tx, noon)))
