"""The outbox: what may be sent, in which order, and what blocks what."""

from datetime import datetime, timedelta
from typing import get_args

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxbridge.core.ledger import OPEN_DELIVERIES, DeliveryState, Ref
from cxbridge.core.store import outbox, schema

change = msgspec.structs.replace
MINUTE = timedelta(minutes=1)
STATES = get_args(DeliveryState)
BOTH = ("tracker", "chat")


def ids(found):
    return [int(each.id[-5:]) for each in found]


def test_a_delivery_comes_back_as_it_was_stored(store, delivery, noon):
    full = delivery(
        index=3,
        target=Ref("tracker", "issues", "a/b"),
        inputs={"subject": "Über", "labels": ["a"], "n": 1},
        state="unknown",
        attempts=2,
        looked=1,
        sent_at=noon,
        settled_at=noon + MINUTE,
        error="went wrong",
        error_code="500",
        hops=2,
    )
    with store.write() as tx:
        outbox.add(tx, [full, delivery(2)])
        outbox.add(tx, [])
    with store.read() as tx:
        assert outbox.get(tx, full.id) == full
        assert outbox.get(tx, "dlv_00002") == delivery(2)
        assert outbox.get(tx, "dlv_00003") is None


def test_updating_keeps_the_place_in_the_order(store, delivery, noon):
    with store.write() as tx:
        outbox.add(tx, [delivery(2), delivery(1)])
        sent = change(delivery(2), state="retry", attempts=1, sent_at=noon, error="a\0b")
        outbox.update(tx, sent)
        assert ids(outbox.due(tx, "tracker", noon, 10)) == [2, 1]
        assert outbox.get(tx, sent.id) == change(sent, error="a\ufffdb")


def test_updating_what_is_not_stored_is_an_error(store, delivery):
    with store.write() as tx, pytest.raises(LookupError, match="dlv_00001"):
        outbox.update(tx, delivery(1))


def test_due_is_in_the_order_of_adding_even_within_one_moment(store, delivery, noon):
    with store.write() as tx:
        outbox.add(tx, [delivery(number) for number in (5, 3, 9)])
        outbox.add(tx, [delivery(1)])
        assert ids(outbox.due(tx, "tracker", noon, 10)) == [5, 3, 9, 1]
        assert ids(outbox.due(tx, "tracker", noon, 2)) == [5, 3]


def test_due_respects_time_and_connection(store, delivery, noon):
    with store.write() as tx:
        outbox.add(
            tx,
            [
                delivery(1, not_before=noon + MINUTE),
                delivery(2, connection="chat"),
                delivery(3, state="retry", not_before=noon - MINUTE),
            ],
        )
        assert ids(outbox.due(tx, "tracker", noon, 10)) == [3]
        assert ids(outbox.due(tx, "tracker", noon + MINUTE, 10)) == [1, 3]
        assert outbox.next_due(tx, "tracker") == noon - MINUTE
        assert outbox.next_due(tx, "chat") == noon
        assert outbox.next_due(tx, "none") is None
        assert outbox.connections_due(tx, BOTH, noon - 2 * MINUTE) == set()
        assert outbox.connections_due(tx, BOTH, noon - MINUTE) == {"tracker"}
        assert outbox.connections_due(tx, BOTH, noon) == {"tracker", "chat"}


@pytest.mark.parametrize("state", STATES)
def test_what_an_older_one_in_each_state_does_to_those_behind_it(store, delivery, noon, state):
    with store.write() as tx:
        outbox.add(
            tx, [delivery(1, order_key="k", state=state), delivery(2, order_key="k"), delivery(3, order_key="k")]
        )
        outbox.add(tx, [delivery(4, order_key="other"), delivery(5, order_key="k", connection="chat")])
        if state in ("planned", "retry", "unknown"):
            expected = [1, 4]
        elif state in OPEN_DELIVERIES:
            expected = [4]
        else:
            expected = [2, 4]
        assert ids(outbox.due(tx, "tracker", noon, 10)) == expected
        assert ids(outbox.due(tx, "chat", noon, 10)) == [5]


def test_one_that_waits_for_its_time_keeps_the_others_waiting(store, delivery, noon):
    with store.write() as tx:
        outbox.add(
            tx, [delivery(1, order_key="k", state="retry", not_before=noon + MINUTE), delivery(2, order_key="k")]
        )
        assert outbox.due(tx, "tracker", noon, 10) == []
        assert outbox.connections_due(tx, BOTH, noon) == set()
        assert outbox.next_due(tx, "tracker") == noon + MINUTE
        outbox.update(tx, delivery(1, order_key="k", state="dead", not_before=noon + MINUTE))
        assert ids(outbox.due(tx, "tracker", noon, 10)) == [2]
        assert outbox.next_due(tx, "tracker") == noon


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["tracker", "chat"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(STATES),
        st.integers(-1, 1),
    ),
    max_size=10,
)


@given(entries=ENTRIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_due_against_its_definition(store, delivery, noon, entries):
    expected: dict[str, list[int]] = {"tracker": [], "chat": []}
    times: dict[str, list[datetime]] = {"tracker": [], "chat": []}
    blocked = set()
    for number, (connection, order_key, state, minutes) in enumerate(entries):
        if state not in OPEN_DELIVERIES or (connection, order_key) in blocked:
            continue
        blocked.add((connection, order_key))
        if state in ("planned", "retry", "unknown"):
            times[connection].append(noon + minutes * MINUTE)
            if minutes <= 0:
                expected[connection].append(number)
    with store.write() as tx:
        # Each example begins with an empty outbox.
        tx.connection.execute(sa.delete(schema.deliveries))
        outbox.add(
            tx,
            [
                delivery(number, connection=connection, order_key=key, state=state, not_before=noon + minutes * MINUTE)
                for number, (connection, key, state, minutes) in enumerate(entries)
            ],
        )
        for connection, numbers in expected.items():
            assert ids(outbox.due(tx, connection, noon, 100)) == numbers
            assert outbox.next_due(tx, connection) == min(times[connection], default=None)
        assert outbox.connections_due(tx, BOTH, noon) == {name for name, numbers in expected.items() if numbers}


def test_interrupted_are_those_whose_answer_nobody_waits_for(store, delivery, noon):
    with store.write() as tx:
        outbox.add(tx, [delivery(number, state=state) for number, state in enumerate(STATES, 1)])
        outbox.add(tx, [delivery(20, state="sent", connection="chat")])
        sent = STATES.index("sent") + 1
        assert ids(outbox.interrupted(tx)) == [sent, 20]
        assert ids(outbox.interrupted(tx, "chat")) == [20]


def test_finding(store, delivery):
    with store.write() as tx:
        outbox.add(tx, [delivery(1, run="a"), delivery(2, run="b", state="dead"), delivery(3, run="a", index=1)])
        outbox.add(
            tx, [delivery(4, run="b", recipe="other", connection="chat", marker="cxb:1"), delivery(5, marker="cxb:1")]
        )
        assert ids(outbox.of_run(tx, "a")) == [1, 3]
        assert outbox.of_run(tx, "c") == []
        assert ids(outbox.by_marker(tx, "tracker", ["cxb:1"])) == [5]
        assert ids(outbox.by_marker(tx, "chat", {"cxb:1", "cxb:2"})) == [4]
        assert ids(outbox.find(tx)) == [5, 4, 3, 2, 1]
        assert ids(outbox.find(tx, limit=2)) == [5, 4]
        assert ids(outbox.find(tx, state="dead")) == [2]
        assert ids(outbox.find(tx, recipe="other")) == [4]
        assert ids(outbox.find(tx, recipe="hand-over", state="planned")) == [5, 3, 1]
        assert outbox.unsettled_counts(tx) == {
            ("tracker", "planned"): 3,
            ("tracker", "dead"): 1,
            ("chat", "planned"): 1,
        }
        outbox.settle(tx, [change(delivery(3), state="confirmed"), change(delivery(4), state="confirmed")])
        assert outbox.unsettled_counts(tx) == {("tracker", "planned"): 2, ("tracker", "dead"): 1}
        assert ids(outbox.find(tx, state="confirmed")) == [4, 3]


def test_what_was_sent_within_the_hour(store, delivery, noon):
    with store.write() as tx:
        outbox.add(tx, [delivery(1), delivery(2, sent_at=noon), delivery(3, sent_at=noon - MINUTE)])
        outbox.add(tx, [delivery(4, sent_at=noon, recipe="other"), delivery(5, sent_at=noon, state="confirmed")])
        assert outbox.sent_since(tx, "hand-over", noon) == 2
        assert outbox.sent_since(tx, "hand-over", noon - MINUTE) == 3
        assert outbox.sent_since(tx, "hand-over", noon + MINUTE) == 0
        assert outbox.sent_since(tx, "none", noon) == 0


def test_what_a_run_still_has_to_do_with_is_read_without_what_is_over(store, delivery):
    states = ("planned", "sent", "confirmed", "unknown", "retry", "dead", "held", "cancelled", "shadow")
    with store.write() as tx:
        outbox.add(tx, [delivery(number, run="a", state=state) for number, state in enumerate(states)])
        outbox.add(tx, [delivery(100, run="b")])
        unsettled = outbox.unsettled(tx, ["a", "b", "c"])
    assert sorted(unsettled) == ["a", "b"]
    assert [one.state for one in unsettled["a"]] == ["planned", "sent", "unknown", "retry", "dead", "held"]


def test_what_is_done_keeps_the_times_and_counts_that_it_was_marked_with(store, delivery, noon):
    one = delivery(1, error="no answer", error_code="timeout")
    sent = msgspec.structs.replace(one, state="sent", attempts=2, sent_at=noon)
    done = msgspec.structs.replace(sent, state="confirmed", settled_at=noon, error="", error_code="")
    with store.write() as tx:
        outbox.add(tx, [one])
        assert outbox.claim(tx, [(sent, "planned")]) == {one.id}
        outbox.settle(tx, [done])
        assert outbox.get(tx, one.id) == done
        with pytest.raises(LookupError, match="dlv_00002"):
            outbox.settle(tx, [done, delivery(2)])


def test_of_several_those_are_marked_that_stand_as_they_were_read(store, delivery, noon):
    some = [delivery(number) for number in range(1, 5)]
    sent = [msgspec.structs.replace(one, state="sent", attempts=1, sent_at=noon) for one in some]
    with store.write() as tx:
        outbox.add(tx, some)
        outbox.update(tx, msgspec.structs.replace(some[1], state="cancelled"))
        # By somebody else, a moment before.
        earlier = msgspec.structs.replace(sent[2], sent_at=noon - MINUTE)
        outbox.update(tx, earlier)
        assert outbox.claim(tx, [(one, "planned") for one in sent]) == {some[0].id, some[3].id}
        assert outbox.get(tx, some[0].id) == sent[0]
        assert [one.id for one in outbox.find(tx, state="cancelled")] == [some[1].id]
        assert outbox.get(tx, some[2].id) == earlier
        assert outbox.claim(tx, [(sent[1], "cancelled")]) == {some[1].id}
        assert outbox.claim(tx, [(sent[0], "planned")]) == set()
