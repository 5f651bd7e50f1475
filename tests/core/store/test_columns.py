"""How values lie in columns."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import checkpoints
from cxbridge.core.store.columns import from_micros, to_micros


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_kept_to_the_microsecond(moment):
    assert from_micros(to_micros(moment)) == moment


def test_a_time_elsewhere_is_the_same_moment_in_utc():
    there = datetime(2026, 3, 29, 4, 0, tzinfo=timezone(timedelta(hours=2)))
    assert from_micros(to_micros(there)) == datetime(2026, 3, 29, 2, 0, tzinfo=UTC)
    assert from_micros(to_micros(there)).tzinfo is UTC


def test_a_time_without_an_offset_is_refused(store):
    naive = datetime(2026, 5, 6)
    with pytest.raises(ValueError, match="ambiguous"):
        to_micros(naive)
    with pytest.raises(Exception, match="ambiguous"), store.write() as tx:
        checkpoints.put(tx, Checkpoint(connection="desk", stream="tickets", cursor=1, at=naive))
