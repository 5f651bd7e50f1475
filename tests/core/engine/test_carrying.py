"""Comments carried over a link: each of them, and one that cannot be written stops nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.ledger import Link, Ref
from cxbridge.core.store import links
from tests.core.engine import little_company
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
CARRY = """
title = "What is said is carried over"
owner = "support-ops"
stage = "live"
use = { desk = "desk", tracker = "success", chat = "chat" }

[[trigger]]
on = "ticket.changed"
from = "desk"

[[step]]
id = "issue"
do = "tracker.task.ensure"
if = "ticket.priority == 'urgent'"
with = { account = "{{ account.id }}", title = "{{ ticket.subject }}", reason = "it is urgent" }

[[step]]
id = "tie"
do = "link"
if = "ticket.priority == 'urgent'"
with = { left = "{{ ticket.id }}", right = "{{ issue.id }}", relation = "about" }

[[sync]]
relation = "about"

[[sync.comment]]
from = "left"
visibility = "internal"
body = "{{ comment.body_text }} (part {{ comment.custom.part + 1 }})"

[on_error]
notify = "chat:#cx-ops"
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def carrying(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    streams, actions = little_company.STREAMS, little_company.ACTIONS
    monkeypatch.setitem(streams, "desk", {**streams["desk"], "comments": cx.Comment})
    monkeypatch.setitem(actions, "success", {**actions["success"], "comment.add_once": "tasks"})
    with company(tmp_path, CARRY, clock) as staged:
        staged.ticket()
        with staged.bridge.store.write() as tx:
            link = Link(
                left=Ref("desk", "tickets", "1"),
                right=Ref("success", "tasks", "t-1"),
                relation="about",
                made_by="test",
                made_at=START,
            )
            links.ensure(tx, link)
        staged.cycle()
        yield staged


def said(staged: Company, key: str, text: str, part: object = 0) -> None:
    """Somebody comments on the ticket; a part that is no number cannot be written as the recipe says."""
    comment = cx.Comment(
        source_id=key,
        ticket="tickets/1",
        visibility="public",
        body_text=text,
        custom={"part": part},
        updated_at=staged.clock.now(),
    )
    staged.vendors.put("desk/comments", comment)


def test_two_who_say_the_same_at_once_are_both_heard(carrying: Company) -> None:
    said(carrying, "c1", "Any news?")
    said(carrying, "c2", "Any news?")
    carrying.cycle()
    assert carrying.notes() == ["Any news? (part 1)"] * 2


def test_a_comment_that_cannot_be_written_fails_alone_and_is_told(carrying: Company) -> None:
    said(carrying, "c1", "First", part="one")
    said(carrying, "c2", "Second")
    carrying.cycle()
    assert carrying.notes() == ["Second (part 1)"]
    [failed] = carrying.runs(state="failed")
    assert failed.subject == Ref("desk", "comments", "c1")
    [told] = carrying.vendors.calls("message.notify_once")
    assert failed.reason in told.text
    carrying.later(60)
    assert len(carrying.runs(state="failed")) == 1


def test_a_third_connection_that_is_linked_by_the_same_word_is_neither_heard_nor_written_to(carrying: Company) -> None:
    other = Link(
        left=Ref("desk", "tickets", "1"),
        right=Ref("chat", "threads", "9"),
        relation="about",
        made_by="another recipe",
        made_at=START,
    )
    foreign = Link(
        left=Ref("chat", "threads", "9"),
        right=Ref("success", "tasks", "t-1"),
        relation="about",
        made_by="another recipe",
        made_at=START,
    )
    with carrying.bridge.store.write() as tx:
        links.ensure(tx, other)
        links.ensure(tx, foreign)
    said(carrying, "c1", "Only for the task.")
    carrying.cycle()
    assert carrying.notes() == ["Only for the task. (part 1)"]
    assert carrying.runs(state="failed") == []
    assert carrying.vendors.calls("message.notify_once") == []
