"""Reading: people and channels page by page, messages from the newest back, answers and edits within the overlap."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.plugins.slack import Slack
from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

from .conftest import ALERTS, ANA, API, OTHER, Desk, answer, channel, failed, message, planted, settings, stamp, user


def keys(pages: list[cx.Page]) -> list[list[str]]:
    return [[entity.source_id.rpartition(":")[2] for entity in page.entities] for page in pages]


def asked(desk: Desk, method: str) -> list[dict[str, str]]:
    made = [one.request for one in desk.router.calls if one.request.url.path.endswith(method)]
    return [dict(one.url.params) for one in made]


def test_people_come_page_by_page_and_a_bad_record_costs_only_itself(desk: Desk) -> None:
    bad = user("U0BAD00000", profile="Ana Costa")
    desk.plays(
        "users.list",
        {"members": [user(), bad], "response_metadata": {"next_cursor": "dXNlcjpVMDYxTkZUVDI="}},
        {"members": [], "response_metadata": {"next_cursor": "two"}},
        {"members": [user("U0BEN00000", name="ben")], "response_metadata": {"next_cursor": ""}},
    )
    pages = desk.pages("users")
    assert [[one.source_id for one in page.entities] for page in pages] == [[ANA], [], ["U0BEN00000"]]
    assert pages[0].refused == ["a person: Expected object, got str - at $.profile"]
    assert [len(page.raw) for page in pages] == [1, 0, 1]
    first, second, _ = asked(desk, "users.list")
    assert first == {"limit": "200", "include_locale": "true"}
    # A cursor may end with "=", which must survive the way.
    assert second["cursor"] == "dXNlcjpVMDYxTkZUVDI="


def test_channels_are_public_and_private_ones(desk: Desk) -> None:
    desk.plays("conversations.list", {"channels": [channel(), {"id": OTHER}], "response_metadata": {}})
    (page,) = desk.pages("channels")
    assert [one.source_id for one in page.entities] == [ALERTS]
    assert len(page.refused) == 1
    assert asked(desk, "conversations.list")[0]["types"] == "public_channel,private_channel"


@pytest.mark.parametrize("stream", ["users", "channels"])
def test_a_cursor_that_leads_back_ends_the_walk(desk: Desk, stream: str) -> None:
    body = {"members": [user()], "channels": [channel()], "response_metadata": {"next_cursor": "again"}}
    desk.plays("users.list", body)
    desk.plays("conversations.list", body)
    with pytest.raises(cx.WireFormat, match="circles"):
        desk.pages(stream)


def test_a_cursor_that_grew_too_old_means_to_begin_anew(desk: Desk) -> None:
    desk.plays("users.list", failed("invalid_cursor"))
    with pytest.raises(cx.Retryable, match="must begin anew"):
        desk.pages("users")


@pytest.mark.parametrize(("stream", "method"), [("users", "users.list"), ("channels", "conversations.list")])
def test_a_list_that_was_left_is_gone_on_with(desk: Desk, stream: str, method: str) -> None:
    more = {"response_metadata": {"next_cursor": "b"}}
    body = {"members": [user()], "channels": [channel()]}
    desk.plays(method, {**body, **more}, failed("ratelimited"), body, failed("invalid_cursor"), body)
    pages = desk.stream(stream).pages
    assert pages is not None
    walk = pages(desk.client, None)
    left = next(walk).cursor
    with pytest.raises(cx.RateLimited):
        next(walk)
    [rest] = desk.pages(stream, left)
    assert rest.cursor is None, "the next one begins anew"
    [anew] = desk.pages(stream, left)
    assert anew.cursor is None
    assert [one.get("cursor") for one in asked(desk, method)] == [None, "b", "b", "b", None]


# -- messages --------------------------------------------------------------------------------------------------------


def test_a_walk_goes_from_the_newest_back_and_each_page_is_ordered(desk: Desk) -> None:
    desk.plays(
        "conversations.history",
        {
            "messages": [message(stamp(10)), message(stamp(20))],
            "has_more": True,
            "response_metadata": {"next_cursor": "b"},
        },
        {"messages": [], "has_more": True, "response_metadata": {"next_cursor": "c"}},
        {"messages": [message(stamp(30)), message(stamp(40))], "has_more": False},
    )
    pages = desk.pages("messages")
    assert keys(pages) == [[stamp(20), stamp(10)], [], [stamp(40), stamp(30)]]
    first, second, third = asked(desk, "conversations.history")
    assert first == {"channel": ALERTS, "limit": "200", "include_all_metadata": "true"}
    assert (second["cursor"], third["cursor"]) == ("b", "c")
    # In the middle of the walk its place is kept, at its end only how far everything is known.
    assert pages[1].cursor[ALERTS] == {"top": stamp(10), "low": stamp(20), "began": stamp(5), "asked": stamp(5)}
    assert pages[2].cursor[ALERTS] == {"at": stamp(10), "answered": stamp(5)}


def test_a_walk_that_was_left_goes_on_below_the_last_page(desk: Desk) -> None:
    desk.plays("conversations.history", {"messages": [message(stamp(30))], "has_more": False})
    place = {"at": stamp(900), "answered": stamp(800), "top": stamp(10), "low": stamp(20), "began": stamp(5)}
    (page,) = desk.pages("messages", {ALERTS: place})
    (request,) = asked(desk, "conversations.history")
    assert request["latest"] == stamp(20)
    assert request["oldest"] == stamp(900 + 86_400)
    assert page.cursor[ALERTS] == {"at": stamp(10), "answered": stamp(5)}


def test_without_a_cursor_the_page_below_is_asked_for_by_time(desk: Desk) -> None:
    desk.plays(
        "conversations.history",
        {"messages": [message(stamp(10)), message(stamp(20))], "has_more": True},
        {"messages": [message(stamp(30))], "has_more": False},
    )
    assert keys(desk.pages("messages")) == [[stamp(20), stamp(10)], [stamp(30)]]
    assert asked(desk, "conversations.history")[1]["latest"] == stamp(20)


def test_a_history_that_repeats_itself_ends_the_walk(desk: Desk) -> None:
    desk.plays("conversations.history", {"messages": [message(stamp(10))], "has_more": True})
    with pytest.raises(cx.WireFormat, match="circles"):
        desk.pages("messages")


def test_the_first_read_begins_where_the_settings_say(connect: Callable[..., Desk]) -> None:
    desk = connect(messages=[ALERTS], start=date(2026, 5, 1), overlap="0s")
    desk.plays("conversations.history", {"messages": [message(stamp(10))]})
    (page,) = desk.pages("messages")
    desk.pages("messages", page.cursor)
    desk.pages("messages", "a cursor of another age")
    assert [one["oldest"] for one in asked(desk, "conversations.history")] == [
        "1777593600.000000",
        stamp(10),
        "1777593600.000000",
    ]


def test_threads_that_were_answered_since_are_read(desk: Desk) -> None:
    parent = message(stamp(500), thread_ts=stamp(500), reply_count=2, latest_reply=stamp(50))
    quiet = message(stamp(600), thread_ts=stamp(600), reply_count=1, latest_reply=stamp(550))
    desk.plays("conversations.history", {"messages": [parent, quiet]})
    desk.plays(
        "conversations.replies",
        {
            "messages": [parent, message(stamp(80), thread_ts=stamp(500))],
            "has_more": True,
            "response_metadata": {"next_cursor": "b"},
        },
        {"messages": [parent, message(stamp(50), thread_ts=stamp(500))]},
    )
    (page,) = desk.pages("messages", {ALERTS: {"at": stamp(500), "answered": stamp(400)}})
    assert keys([page]) == [[stamp(600), stamp(500), stamp(80), stamp(50)]]
    threads = [one.thread for one in page.entities if isinstance(one, cx.Message)]
    assert threads == [None, None, f"messages/{ALERTS}:{stamp(500)}", f"messages/{ALERTS}:{stamp(500)}"]
    first, _ = asked(desk, "conversations.replies")
    assert (first["ts"], first["oldest"]) == (stamp(500), stamp(400))


def test_a_thread_that_is_gone_meanwhile_is_passed(desk: Desk) -> None:
    parent = message(stamp(500), thread_ts=stamp(500), reply_count=2, latest_reply=stamp(50))
    desk.plays("conversations.history", {"messages": [parent]})
    desk.plays("conversations.replies", failed("thread_not_found"))
    assert keys(desk.pages("messages")) == [[stamp(500)]]


def test_what_was_read_of_many_threads_is_kept_when_the_rest_has_to_wait(desk: Desk) -> None:
    first, second = (
        message(stamp(age), thread_ts=stamp(age), reply_count=2, latest_reply=stamp(1)) for age in (60, 70)
    )
    more = {"has_more": True, "response_metadata": {"next_cursor": "b"}}
    history = desk.plays("conversations.history", {"messages": [first, second]})
    desk.plays(
        "conversations.replies",
        {"messages": [first, message(stamp(50), thread_ts=stamp(60))]},
        {"messages": [second, message(stamp(40), thread_ts=stamp(70))], **more},
        failed("ratelimited"),
        {"messages": [second, message(stamp(1), thread_ts=stamp(70))]},
    )
    pages = desk.stream("messages").pages
    assert pages is not None
    walk = pages(desk.client, None)
    page = next(walk)
    assert keys([page]) == [[stamp(70), stamp(60), stamp(50), stamp(40)]]
    with pytest.raises(cx.RateLimited):
        next(walk)
    [rest] = desk.pages("messages", page.cursor)
    assert keys([rest]) == [[stamp(1)]]
    assert rest.cursor[ALERTS] == {"at": stamp(60), "answered": stamp(5)}
    assert [(one["ts"], one.get("oldest")) for one in asked(desk, "conversations.replies")[1:]] == [
        (stamp(70), None),
        (stamp(70), None),
        (stamp(70), stamp(40)),
    ]
    assert history.call_count == 1, "it was read to its end"


def test_a_malformed_message_is_refused_alone_and_quoted_nowhere(desk: Desk) -> None:
    rows = [
        {"ts": stamp(1), "text": ["Dear Mia"]},
        {"text": "Dear Mia"},
        {"ts": "Dear Mia"},
        {"ts": stamp(2), "metadata": "Dear Mia"},
        message(stamp(3)),
    ]
    desk.plays("conversations.history", {"messages": rows})
    (page,) = desk.pages("messages")
    assert keys([page]) == [[stamp(3)]]
    assert len(page.refused) == 4
    assert "Mia" not in " ".join(page.refused)


def test_what_is_left_of_a_deleted_message_tells_that_it_is_deleted(desk: Desk) -> None:
    stone = message(stamp(30), subtype="tombstone", user="USLACKBOT", hidden=True)
    desk.plays("conversations.history", {"messages": [stone]})
    (page,) = desk.pages("messages")
    assert (list(page.entities), page.deleted) == ([], [f"{ALERTS}:{stamp(30)}"])


def test_a_channel_that_may_not_be_read_keeps_the_others_from_nothing(connect: Callable[..., Desk]) -> None:
    desk = connect(messages=[OTHER, ALERTS])
    desk.plays("conversations.history", failed("not_in_channel"), {"messages": [message(stamp(10))]})
    pages: list[cx.Page] = []
    with pytest.raises(cx.Rejected, match=f"channel {OTHER}: the app is not in the channel"):
        pages.extend(iter_pages(desk))
    assert keys(pages) == [[], [stamp(10)]]
    # A credential that is refused stops the walk at once.
    desk.router.reset()
    desk.plays("conversations.history", failed("token_revoked"))
    with pytest.raises(cx.Unauthorized):
        desk.pages("messages")
    assert len(desk.router.calls) == 1


def iter_pages(desk: Desk) -> Iterator[cx.Page]:
    pages = desk.stream("messages").pages
    assert pages is not None
    yield from pages(desk.client, None)


def test_where_a_limit_ends_every_pull_each_channel_has_its_turn(
    connect: Callable[..., Desk], clock: ManualClock
) -> None:
    backlog, shut, quiet = "C0BACKLOG0", "C0SHUT0000", "C0QUIET000"
    desk = connect(messages=[backlog, shut, quiet])

    def play(request: httpx.Request) -> httpx.Response:
        """One answer a minute, as an app that is sold outside the Marketplace gets."""
        now = clock.now()
        if minutes and minutes[-1] == now:
            return failed("ratelimited")
        minutes.append(now)
        read.append(request.url.params["channel"])
        more = {"has_more": True, "response_metadata": {"next_cursor": f"{len(read)}"}}
        told = {"messages": [message(stamp(1000 + len(read)))], **(more if read[-1] == backlog else {})}
        made = failed("not_in_channel") if read[-1] == shut else answer(told)
        return httpx.Response(
            made.status_code, content=made.content, headers={"Date": format_datetime(now, usegmt=True)}
        )

    minutes: list[datetime] = []
    read: list[str] = []
    desk.router.route(url__startswith=f"{API}/conversations.history").mock(side_effect=play)
    pages = desk.stream("messages").pages
    assert pages is not None
    cursor: cx.Json = None
    for _ in range(7):
        try:
            for page in pages(desk.client, cursor):
                cursor = page.cursor
        except cx.RateLimited:
            clock.advance(60)
    assert read == [backlog, shut, quiet, backlog, shut, quiet, backlog]


def test_nothing_is_asked_where_no_channel_is_followed(connect: Callable[..., Desk]) -> None:
    desk = connect()
    assert desk.pages("messages") == []
    assert not desk.router.calls


# -- one, for a nudge ------------------------------------------------------------------------------------------------


def test_one_person_and_one_channel(desk: Desk) -> None:
    desk.plays("users.info", {"user": user()}, failed("user_not_found"), {"user": user(id=7)})
    found = desk.one("users", ANA)
    assert found is not None
    assert [one.source_id for one in found.entities] == [ANA]
    assert desk.one("users", ANA) is None
    bad = desk.one("users", ANA)
    assert bad is not None
    assert (list(bad.entities), len(bad.refused)) == ([], 1)
    desk.plays("conversations.info", {"channel": channel()}, failed("channel_not_found"))
    found = desk.one("channels", ALERTS)
    assert found is not None
    assert [one.source_id for one in found.entities] == [ALERTS]
    assert desk.one("channels", ALERTS) is None


def test_one_message_is_looked_for_in_the_channel_and_then_in_its_thread(desk: Desk) -> None:
    desk.plays("conversations.history", {"messages": []})
    desk.plays(
        "conversations.replies",
        {"messages": [message(stamp(90)), planted(stamp(20), thread_ts=stamp(90))]},
        failed("thread_not_found"),
    )
    found = desk.one("messages", f"{ALERTS}:{stamp(20)}")
    assert found is not None
    (entity,) = found.entities
    assert isinstance(entity, cx.Message)
    assert (entity.thread, entity.marker) == (f"messages/{ALERTS}:{stamp(90)}", "cxb:00112233aabbccdd")
    assert desk.one("messages", f"{ALERTS}:{stamp(20)}") is None
    (first, _) = asked(desk, "conversations.history")
    assert (first["oldest"], first["latest"], first["inclusive"]) == (stamp(20), stamp(20), "true")


def test_a_message_of_a_channel_that_may_not_be_read_is_refused(desk: Desk) -> None:
    desk.plays("conversations.history", failed("not_in_channel"), failed("channel_not_found"))
    for _ in range(2):
        with pytest.raises(cx.Rejected):
            desk.one("messages", f"{ALERTS}:{stamp(20)}")


# -- an app that is sold outside the Marketplace -----------------------------------------------------------------------


def test_fifteen_messages_once_a_minute_are_enough_to_come_to_the_end(clock: ManualClock) -> None:
    """The walk is broken off by the limit after every page and thread, and comes to its end all the same, over real HTTP."""
    once = {"conversations.history": 1, "conversations.replies": 1}
    world = World(
        options={"slack": {"history_items": 15, "limits": once}},
        clock=SandboxClock(clock.now(), frozen=True),
    )
    rows: list[dict[str, Any]] = [
        {"kind": "slack.user", "name": "Ana", "email": "ana@acme.example"},
        {"kind": "slack.channel", "id": ALERTS, "name": "alerts", "members": ["cxbridge"]},
        *(
            {"kind": "slack.message", "channel": "alerts", "user": "ana", "text": f"{n}", "age": f"{n}m"}
            for n in range(50)
        ),
        # Several on one page, and one that is longer than a page.
        *(
            {"kind": "slack.message", "channel": "alerts", "user": "ana", "text": f"Re {n}", "thread": n, "age": "30s"}
            for n in ("9", "12", "14", "40", "49", *["20"] * 33)
        ),
    ]
    with Sandbox(world, vendors=("slack",)) as sandbox:
        seed.load_text(world, "\n".join(msgspec.json.encode(row).decode() for row in rows))
        slack = Slack(
            url=f"{sandbox.url('slack')}/api",
            token=cx.Secret("sandbox-token"),
            messages=[ALERTS],
            histories_per_minute=1,
        )
        [stream] = [one for one in slack.streams() if one.name == "messages"]
        assert stream.pages is not None
        seen: list[str] = []
        cursor: cx.Json = None
        pulls = 0
        with open_client(slack.endpoint(), connection="chat", clock=clock, tokens=MemoryTokens()) as client:
            while len(seen) < 88 and pulls < 30:
                pulls += 1
                try:
                    for page in stream.pages(client, cursor):
                        cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                        seen += [one.source_id for one in page.entities]
                except cx.RateLimited as limited:
                    clock.advance(((limited.retry_at or clock.now()) - clock.now()).total_seconds() + 1)
                    world.clock.advance(61)
        assert len(seen) == len(set(seen)) == 88
        assert set(cursor[ALERTS]) == {"at", "answered"}


def test_settings_of_the_read_only_kind_read_everything(connect: Callable[..., Desk]) -> None:
    """A plan reads with a client that lets no write pass."""
    desk = connect(read_only=True, messages=[ALERTS])
    desk.plays("users.list", {"members": [user()]})
    desk.plays("conversations.list", {"channels": [channel()]})
    desk.plays("conversations.history", answer({"messages": [message(stamp(10))]}))
    assert [len(desk.pages(name)[0].entities) for name in ("users", "channels", "messages")] == [1, 1, 1]


def test_gaps_are_named() -> None:
    gaps = {stream.name: stream.gaps for stream in settings().streams()}
    assert "deleted_at" in gaps["messages"]
    assert "updated_at" in gaps["messages"]
