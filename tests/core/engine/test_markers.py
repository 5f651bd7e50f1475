"""Markers: the same over restarts and whatever people are called, others in another installation, and nobody's name in them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.store import state
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
TELL = """
[[step]]
id   = "note"
do   = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ contact.name }} <{{ contact.emails[0] }}> waits: {{ ticket.subject }}" }

[[step]]
id   = "tell"
do   = "chat.message.notify_once"
with = { to = "#desk", text = "{{ contact.name }}: {{ ticket.subject }}" }
"""


@contextmanager
def played(
    folder: Path, key: bytes, name: str = "Mia Lee", email: str = "mia@northwind.test", subject: str = "Export stops"
) -> Iterator[Company]:
    """A note and a message about one ticket, in the installation that has this key."""
    clock = ManualClock(START)
    with company(folder, TELL, clock) as staged:
        with staged.bridge.store.write() as tx:
            state.meta_set(tx, state.INSTANCE_KEY, key)
        staged.restart()
        staged.vendors.put("desk/contacts", cx.Contact(source_id="mia", name=name, emails=[email], updated_at=START))
        staged.ticket(subject=subject)
        staged.cycle()
        assert [one.state for one in staged.deliveries()] == ["confirmed", "confirmed"]
        assert name in staged.notes()[0]
        yield staged


def markers(staged: Company) -> dict[str, str]:
    return {one.step: one.marker for one in staged.deliveries()}


@pytest.fixture
def first(tmp_path: Path) -> dict[str, str]:
    with played(tmp_path / "first", bytes(32)) as staged:
        return markers(staged)


def test_each_write_has_a_marker_of_its_own(first: dict[str, str]) -> None:
    assert set(first) == {"note", "tell"}
    assert all(re.fullmatch(r"cxb:[0-9a-f]{16}", one) for one in first.values())
    assert first["note"] != first["tell"]


def test_names_addresses_and_words_are_not_in_them(first: dict[str, str], tmp_path: Path) -> None:
    with played(tmp_path / "b", bytes(32), "Ada Blum", "ada@solo.test", "Something else") as staged:
        assert markers(staged) == first


def test_another_installation_has_others(first: dict[str, str], tmp_path: Path) -> None:
    with played(tmp_path / "b", b"\1" * 32) as staged:
        assert not {*markers(staged).values()} & {*first.values()}


def test_two_new_installations_never_share_a_key(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path / "a", TELL, clock) as one, company(tmp_path / "b", TELL, clock) as other:
        assert one.bridge.stepper.key != other.bridge.stepper.key


@pytest.mark.parametrize("boundary", ["plan.decided", "push.sent", "push.answered"])
def test_they_are_the_same_after_a_restart(first: dict[str, str], tmp_path: Path, boundary: str) -> None:
    class Killed(BaseException):
        """The process ends here."""

    def probe(name: str) -> None:
        if name == boundary:
            raise Killed

    clock = ManualClock(START)
    with company(tmp_path / "b", TELL, clock) as staged:
        with staged.bridge.store.write() as tx:
            state.meta_set(tx, state.INSTANCE_KEY, bytes(32))
        staged.restart(probe)
        staged.vendors.put(
            "desk/contacts", cx.Contact(source_id="mia", name="Mia Lee", updated_at=START, emails=["m@n.test"])
        )
        staged.ticket()
        with pytest.raises(Killed):
            staged.cycle()
        staged.restart()
        for _ in range(5):
            staged.later(10)
        assert markers(staged) == first
        assert len(staged.notes()) == 1
