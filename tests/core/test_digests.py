"""A digest tells whether anything changed that anybody reads: it leaves out what is volatile, and that alone."""

import hashlib
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.canonical import KINDS, Actor, Contact, Ticket
from cxbridge.core.ledger import digest_of, incoming

# Texts that look like the fields that are left out.
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ['"version":"2"', ',"version":"2"', '","version":"2', ',"updated_at":"2026-05-06T12:00:00Z"', "\\", '\\"']
    ),
)
TIMES = st.datetimes(timezones=st.just(UTC))
ACTORS = st.builds(Actor, ref=st.none() | TEXTS)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(TEXTS | st.sampled_from(["version", "updated_at", "changed_by"]), inner, max_size=2)
    ),
)
FIELDS = {
    "source_id": TEXTS,
    "source_key": st.none() | TEXTS,
    "url": st.none() | TEXTS,
    "created_at": st.none() | TIMES,
    "updated_at": st.none() | TIMES,
    "version": st.none() | TEXTS,
    "changed_by": st.none() | ACTORS,
    "custom": st.dictionaries(TEXTS | st.sampled_from(["version", "updated_at", "changed_by"]), VALUES, max_size=3),
}
ENTITIES = st.builds(Ticket, **FIELDS, subject=TEXTS, tags=st.lists(TEXTS, max_size=2)) | st.builds(
    Contact, **FIELDS, name=TEXTS
)


@given(ENTITIES)
def test_it_is_the_hash_of_the_entity_without_what_is_volatile(entity):
    bare = msgspec.structs.replace(entity, updated_at=None, version=None, changed_by=None)
    content = msgspec.json.encode(bare, order="deterministic")
    assert digest_of(entity) == hashlib.blake2b(content, digest_size=16).digest()
    assert incoming("any", entity).digest == digest_of(entity)


def test_these_are_all_that_is_volatile():
    assert {struct.volatile for struct in KINDS.values()} == {("updated_at", "version", "changed_by")}


def test_another_time_or_version_is_no_change_and_another_word_is():
    first = Ticket(source_id="1", subject="Late", updated_at=datetime(2026, 5, 6, tzinfo=UTC), version="1")
    later = msgspec.structs.replace(first, updated_at=datetime(2026, 5, 7, tzinfo=UTC), version="2")
    assert digest_of(first) == digest_of(later)
    assert digest_of(first) != digest_of(msgspec.structs.replace(first, subject="Later"))
