"""Slack's records as canonical entities, and its text as people read it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import mapping, mrkdwn, wire

from .conftest import ALERTS, ANA, BOT, MARKER, channel, message, planted, user

SITE = "https://acme.slack.com"


def agent(**changed: Any) -> cx.Agent:
    return mapping.agent(mapping.decode(msgspec.json.encode(user(**changed)), wire.User))


def said(row: dict[str, Any]) -> cx.Message:
    return mapping.message(mapping.decode(msgspec.json.encode(row), wire.Message), ALERTS, SITE)


def test_a_person_is_an_agent() -> None:
    assert agent() == cx.Agent(
        source_id=ANA,
        source_key="ana",
        name="Ana Costa",
        email="ana@acme.example",
        roles=["agent"],
        language="pt",
        timezone="Europe/Lisbon",
        updated_at=datetime(2026, 5, 6, 8, 29, 33, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"is_bot": True}, "roles", ["bot"]),
        ({"id": "USLACKBOT"}, "roles", ["bot"]),
        ({"is_owner": True}, "roles", ["admin"]),
        # Guests and people of other companies are not ours.
        ({"is_restricted": True}, "roles", []),
        ({"is_stranger": True, "is_admin": True}, "roles", []),
        ({"deleted": True}, "active", False),
        ({"profile": {}}, "email", None),
        ({"profile": {"email": " "}}, "email", None),
        ({"real_name": None, "profile": {"display_name": "Ana"}}, "name", "Ana"),
        ({"real_name": "", "profile": {}, "name": ""}, "name", ANA),
        ({"locale": None}, "language", None),
        ({"updated": 1e30}, "updated_at", None),
        ({"id": "W0ANA00000"}, "source_id", "W0ANA00000"),
    ],
)
def test_people_as_they_come(changed: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(agent(**changed), field) == value


@pytest.mark.parametrize("changed", [{"id": ""}, {"id": "../x"}, {"id": 7}, {"profile": "Ana"}, {"deleted": "no"}])
def test_a_person_of_another_form_is_refused_without_a_quote(changed: dict[str, Any]) -> None:
    with pytest.raises(mapping.Unreadable) as caught:
        agent(**changed)
    assert "Ana" not in str(caught.value)


def test_a_channel_is_a_container() -> None:
    read = mapping.container(mapping.decode(msgspec.json.encode(channel()), wire.Channel), SITE)
    assert read == cx.Container(
        source_id=ALERTS,
        name="cx-alerts",
        sort="team",
        url=f"{SITE}/archives/{ALERTS}",
        created_at=datetime(2026, 5, 5, 7, 46, 13, tzinfo=UTC),
        updated_at=datetime(2026, 5, 6, 6, 16, 13, tzinfo=UTC),
    )
    with pytest.raises(mapping.Unreadable):
        mapping.container(wire.Channel(id=ALERTS, name=None), None)


def test_a_message_keeps_its_ts_to_the_last_digit() -> None:
    read = said(message("1741082130.004519", text="Refund for <https://acme.example/t/1|#1> &amp; <@U061F7AUR>"))
    assert read == cx.Message(
        source_id=f"{ALERTS}:1741082130.004519",
        url=f"{SITE}/archives/{ALERTS}/p1741082130004519",
        created_at=datetime(2025, 3, 4, 9, 55, 30, 4519, tzinfo=UTC),
        sent_at=datetime(2025, 3, 4, 9, 55, 30, 4519, tzinfo=UTC),
        channel=f"channels/{ALERTS}",
        body_text="Refund for #1 (https://acme.example/t/1) & @U061F7AUR",
        author=f"users/{ANA}",
        author_kind="agent",
    )


def test_an_answer_names_its_thread_and_a_parent_does_not() -> None:
    parent = "1741081950.002119"
    answer = said(message("1741082130.004519", thread_ts=parent))
    assert answer.thread == f"messages/{ALERTS}:{parent}"
    assert answer.url == f"{SITE}/archives/{ALERTS}/p1741082130004519?thread_ts={parent}&cid={ALERTS}"
    assert said(message(parent, thread_ts=parent, reply_count=1)).thread is None


@pytest.mark.parametrize(
    ("changed", "kind", "author"),
    [
        ({"bot_id": "B1", "user": BOT}, "automation", f"users/{BOT}"),
        ({"subtype": "bot_message", "user": None}, "automation", None),
        ({"subtype": "channel_join"}, "system", f"users/{ANA}"),
        ({"subtype": "thread_broadcast"}, "agent", f"users/{ANA}"),
        ({"user": "../../etc"}, "unknown", None),
        ({"user": None}, "unknown", None),
    ],
)
def test_who_wrote_it(changed: dict[str, Any], kind: str, author: str | None) -> None:
    read = said(message("1741082130.004519", **changed))
    assert (read.author_kind, read.author) == (kind, author)


def test_our_own_message_is_told_by_its_marker() -> None:
    assert said(planted("1741082130.004519")).marker == MARKER
    assert said(planted("1741082130.004519", marker="a customer's words")).marker is None
    alien = {"event_type": "task_created", "event_payload": {"key": MARKER}}
    assert said(message("1741082130.004519", metadata=alien)).marker is None
    assert said(message("1741082130.004519", metadata={"event_type": "cxbridge_notification"})).marker is None


def test_an_edit_has_its_time() -> None:
    read = said(message("1741082130.004519", edited={"user": ANA, "ts": "1741082200.000000"}))
    assert read.edited_at == datetime(2025, 3, 4, 9, 56, 40, tzinfo=UTC)


@pytest.mark.parametrize("ts", ["", "1741082130", "1741082130.45", "x.y", "999999999999.000000", "-1.000000"])
def test_a_message_without_a_time_is_refused(ts: str) -> None:
    with pytest.raises(mapping.Unreadable):
        said(message(ts))


@pytest.mark.parametrize(
    "key", [None, "", ALERTS, "C0ALERTS00:", "c0alerts00:1.000001", f"{ALERTS}:1.000001/..", "x:y"]
)
def test_a_key_of_another_form_names_no_message(key: str | None) -> None:
    with pytest.raises(cx.Rejected, match="a message is named by its channel and ts"):
        mapping.split(key)


def test_stamps_are_compared_by_number_and_not_as_text() -> None:
    assert max("999999999.000001", "1741082130.000001", key=mapping.order) == "1741082130.000001"
    assert mapping.stamp(datetime(2025, 3, 4, 9, 55, 30, 4519, tzinfo=UTC)) == "1741082130.004519"


# -- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!here> and <!subteam^S1|@cs> and <!date^1^{date}|today>", "@here and @cs and today"),
        ("<#C123|general> <#C123>", "#general #C123"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<https://x.example>", "https://x.example"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("1 < 2", "1 < 2"),
        ("<|> <>", "<|> <>"),
    ],
)
def test_text_is_read_as_people_see_it(text: str, shown: str) -> None:
    assert mrkdwn.plain(text) == shown


@tries(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_what_is_escaped_reads_as_it_was(text: str) -> None:
    assert mrkdwn.plain(mrkdwn.escape(text)) == text


@tries(deadline=None)
@given(st.text(alphabet="a &<>\n;l\u00e9", max_size=400), st.integers(20, 60))
def test_a_cut_halves_no_entity(text: str, limit: int) -> None:
    escaped = mrkdwn.escape(text)
    cut = mrkdwn.cut(escaped, limit)
    body = cut.partition("\n[cut by cxbridge")[0] if len(escaped) > limit else cut
    # Whatever was kept is the beginning of what was meant, entity for entity.
    assert text.startswith(mrkdwn.plain(body))


@tries(deadline=None)
@given(st.text(alphabet="ab &<>\n", min_size=1, max_size=600), st.integers(1, 4))
def test_pieces_fit_and_lose_nothing_but_what_is_said_to_be_cut(text: str, most: int) -> None:
    escaped = mrkdwn.clean(mrkdwn.escape(text))
    parts = mrkdwn.parts(escaped, most, size=100)
    assert len(parts) <= most
    assert all(0 < len(part) <= 100 for part in parts)
    if "[cut by cxbridge" not in "".join(parts):
        assert "".join("".join(parts).split()) == "".join(escaped.split())


def test_control_characters_and_lone_surrogates_go() -> None:
    assert mrkdwn.clean("\x00a\ud800\r\nb\u2028c\x1b ") == "a\nb\nc"
