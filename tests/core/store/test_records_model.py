"""`records.apply` against a dict: any pages, in any order, end as the model says."""

import itertools
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxbridge.core.ledger import Incoming, Ref
from cxbridge.core.store import changes, counting, records

CONTENT = st.tuples(
    st.sampled_from(["tickets", "users"]),
    st.sampled_from(["1", "2", "3"]),
    st.integers(0, 3),  # ordinal
    st.sampled_from(["a", "b"]),  # content
    st.booleans(),  # deleted
    st.sampled_from([None, b"x", b"y"]),  # raw
)
STEPS = st.lists(
    st.one_of(
        st.lists(CONTENT, max_size=6).map(lambda page: ("apply", page)),
        st.sets(st.sampled_from(["1", "2", "3"]), max_size=2).map(lambda keys: ("mark", sorted(keys))),
    ),
    max_size=8,
)


class Model:
    """What is stored, as plainly as it can be said."""

    def __init__(self):
        self.records = {}
        self.raws = {}
        self.log = []

    def apply(self, page):
        newest: dict[tuple[str, str], tuple[str, str, int, str, bool, bytes | None]] = {}
        for item in page:
            place = item[:2]
            if place not in newest or item[2] >= newest[place][2]:
                newest[place] = item
        told = dict.fromkeys(("created", "updated", "unchanged", "deleted", "stale"), 0)
        told["stale"] = len(page) - len(newest)
        for place, (stream, key, ordinal, text, deleted, raw) in newest.items():
            new = (ordinal, text, deleted, body_of(key, ordinal, text, deleted))
            old = self.records.get(place)
            if old and ordinal < old[0]:
                told["stale"] += 1
                continue
            if old and (text, deleted) == (old[1], old[2]) and ordinal == old[0]:
                told["unchanged"] += 1
                continue
            if old is None:
                op = None if deleted else "created"
            elif (text, deleted) == (old[1], old[2]) or (deleted and old[2]):
                op = None
            else:
                op = "deleted" if deleted else "updated"
            told[op or "unchanged"] += 1
            self.records[place] = new
            if op:
                self.log.append((stream, key, op, old[3] if old else None))
            if raw is not None:
                self.raws[place] = raw
        return told

    def mark(self, keys):
        marked = 0
        for key in keys:
            old = self.records.get(("tickets", key))
            if old and not old[2]:
                self.records["tickets", key] = (old[0], old[1], True, old[3])
                self.log.append(("tickets", key, "deleted", old[3]))
                marked += 1
        return marked


def body_of(key, ordinal, text, deleted):
    return f"{key} {ordinal} {text} {deleted}".encode()


def incoming_of(stream, key, ordinal, text, deleted, raw):
    return Incoming(
        stream=stream,
        key=key,
        kind="ticket",
        body=body_of(key, ordinal, text, deleted),
        digest=text.encode() * 16,
        ordinal=ordinal,
        deleted=deleted,
        raw=raw,
    )


@pytest.fixture
def names():
    """A connection of its own for every example, so that one store serves them all."""
    return (f"connection-{number}" for number in itertools.count())


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pages_end_as_in_the_model(store, names, noon, steps):
    model = Model()
    connection = next(names)
    with store.read() as tx:
        start = changes.last_seq(tx)
    for verb, content in steps:
        with store.write() as tx:
            if verb == "apply":
                applied = records.apply(tx, connection, [incoming_of(*item) for item in content], noon)
                expected = model.apply(content)
                assert {name: getattr(applied, name) for name in expected} == expected
                assert applied.last_seq == start + len(model.log)
            else:
                assert records.mark_deleted(tx, connection, "tickets", content, noon) == model.mark(content)
    with store.read() as tx:
        refs = {place: Ref(connection, *place) for place in itertools.product(["tickets", "users"], "123")}
        found = records.get_many(tx, refs.values())
        assert {
            (ref.stream, ref.key): (record.ordinal, record.digest[:1].decode(), record.deleted, record.body)
            for ref, record in found.items()
        } == model.records
        # Of each stream as many as live.
        alive = Counter((connection, stream) for (stream, _), kept in model.records.items() if not kept[2])
        counts = records.count(tx)
        assert {place: number for place, number in counts.items() if place[0] == connection} == alive
        assert counts == counting.go_through(tx.connection)
        assert {place: raw for place, ref in refs.items() if (raw := records.raw(tx, ref)) is not None} == model.raws
        logged = changes.after(tx, start, 1000)
        # Within one page the order of the log is the store's own affair; per record it is the order of what happened.
        for place in refs:
            assert [
                (c.ref.stream, c.ref.key, c.op, c.before) for c in logged if (c.ref.stream, c.ref.key) == place
            ] == [entry for entry in model.log if entry[:2] == place]
        living = [record.ref for record in found.values() if not record.deleted]
        assert [record.ref for record in records.scan(tx, connection=connection)] == sorted(living)
