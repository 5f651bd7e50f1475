"""Pulling: pages, cursors, crashes between two pages, and an index that is late, moves its rows and forgets tokens."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client

from .conftest import API, MIA, NOW_MS, ROBOT, answer, comment, issue
from .conftest import settings as jira_settings

SEARCH = f"{API}/search/jql"
OLD = "2026-05-01T10:00:00.000+0000"
OLD_MS = 1_777_629_600_000


def at(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}+0000"


def found(*rows: Any, token: str | None = None, last: bool | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"issues": list(rows), "isLast": token is None if last is None else last}
    return body | ({"nextPageToken": token} if token else {})


def keys(pages: list[cx.Page]) -> list[str]:
    return [str(entity.source_key) for page in pages for entity in page.entities]


def test_the_first_pull_reads_all_that_the_projects_hold(desk) -> None:
    search = desk.router.get(SEARCH).mock(return_value=answer(found(issue(10001, OLD), issue(10002))))
    (page,) = desk.pages("issues")
    asked = search.calls.last.request.url.params
    assert asked["jql"] == 'project in ("ENG","OPS") ORDER BY updated ASC, key ASC'
    assert asked["maxResults"] == "100"
    assert "customfield_10032" in asked["fields"].split(",")
    assert "expand" not in asked
    assert keys([page]) == ["ENG-1", "ENG-2"]
    assert [msgspec.json.decode(raw)["id"] for raw in page.raw] == ["10001", "10002"]
    assert page.beside["users"] == [
        cx.Agent(source_id="712020:7bf4", name="Ana", timezone="Europe/Warsaw"),
        cx.Agent(source_id="557058:f581", name="Automation for Jira", roles=["bot"]),
    ]


def test_a_start_bounds_the_first_pull(connect) -> None:
    desk = connect(start="2026-05-01")
    search = desk.router.get(SEARCH).mock(return_value=answer(found()))
    desk.pages("issues")
    assert "AND updated >= 1777593600000 ORDER BY" in search.calls.last.request.url.params["jql"]


def test_history_is_asked_for_only_on_wish(connect) -> None:
    desk = connect(history=True)
    entry = {"author": ROBOT, "created": issue()["fields"]["updated"]}
    row = {**issue(), "changelog": {"histories": [entry], "total": 1}}
    search = desk.router.get(SEARCH).mock(return_value=answer(found(row)))
    (page,) = desk.pages("issues")
    assert search.calls.last.request.url.params["expand"] == "changelog"
    assert page.entities[0].changed_by == cx.Actor(ref="users/557058:f581", kind="automation")
    gaps = {gap for stream in desk.jira.streams() for gap in stream.gaps if stream.name == "issues"}
    assert not gaps & {"changed_by", "reopen_count"}


def since(cursor: cx.Json) -> int:
    assert set(cursor) == {"since", "scope"}
    return int(cursor["since"])


OVERLAP = 300_000


def test_the_next_run_starts_behind_the_last_change(desk) -> None:
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(10001, at(NOW_MS - 600_000)))))
    assert since(desk.pages("issues")[-1].cursor) == NOW_MS - 600_000 - OVERLAP


def test_the_next_run_starts_behind_the_vendors_clock(desk) -> None:
    # An issue edited while the run went on must not drag the bound past what was read before that.
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(10001, at(NOW_MS + 900_000)))))
    assert since(desk.pages("issues")[-1].cursor) == NOW_MS - OVERLAP


def test_when_nothing_changes_the_bound_follows_the_clock_and_never_goes_back(desk) -> None:
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(10001, OLD))))
    cursor = desk.pages("issues")[-1].cursor
    assert since(cursor) == NOW_MS - 3_600_000
    desk.router.get(SEARCH).mock(return_value=answer(found()))
    later = {**cursor, "since": NOW_MS - 1_000}
    assert since(desk.pages("issues", later)[-1].cursor) == NOW_MS - 1_000


def test_a_cursor_from_the_future_finds_nothing_and_stays(desk) -> None:
    search = desk.router.get(SEARCH).mock(return_value=answer(found()))
    scope = desk.pages("issues")[-1].cursor["scope"]
    ahead = {"since": NOW_MS + 86_400_000, "scope": scope}
    assert desk.pages("issues", ahead)[-1].cursor == ahead
    assert f"updated >= {NOW_MS + 86_400_000}" in search.calls.last.request.url.params["jql"]


@pytest.mark.parametrize("broken", [3, "abc", {"since": "x"}, [], {}])
def test_a_cursor_nobody_knows_begins_anew(desk, broken) -> None:
    search = desk.router.get(SEARCH).mock(return_value=answer(found()))
    desk.pages("issues", broken)
    assert "updated" not in search.calls.last.request.url.params["jql"].partition(" ORDER")[0]


def test_more_projects_or_fields_begin_anew_and_fewer_do_not(connect) -> None:
    def bound(cursor: cx.Json, **changed: Any) -> bool:
        desk = connect(**changed)
        search = desk.router.get(SEARCH).mock(return_value=answer(found()))
        desk.pages("issues", cursor)
        return "updated >=" in search.calls.last.request.url.params["jql"]

    desk = connect(fields={"team": "customfield_10033"})
    desk.router.get(SEARCH).mock(return_value=answer(found()))
    cursor = desk.pages("issues")[-1].cursor
    assert bound(cursor, fields={"team": "customfield_10033"})
    assert bound(cursor, fields={"squad": "customfield_10033"}, projects=["OPS"])
    assert not bound(cursor, fields={"team": "customfield_10033"}, projects=["ENG", "OPS", "SUP"])
    assert not bound(cursor, fields={"team": "customfield_10033", "x": "customfield_10044"})


def test_the_next_page_is_asked_for_by_time(desk) -> None:
    search = desk.router.get(SEARCH).mock(
        side_effect=[
            answer(found(issue(10001, at(OLD_MS)), issue(10002, at(OLD_MS + 5)), token="t1")),
            answer(found(issue(10002, at(OLD_MS + 5)), issue(10003, at(OLD_MS + 9)))),
        ]
    )
    pages = desk.pages("issues")
    second = search.calls.last.request.url.params
    assert f"AND updated >= {OLD_MS + 5} ORDER BY" in second["jql"]
    assert "nextPageToken" not in second
    assert keys(pages) == ["ENG-1", "ENG-2", "ENG-2", "ENG-3"]
    assert pages[0].cursor["at"] == OLD_MS + 5


def test_among_issues_of_one_time_the_token_is_followed(desk) -> None:
    # A bulk change stamps thousands of issues alike.
    search = desk.router.get(SEARCH).mock(
        side_effect=[
            answer(found(issue(10001, at(OLD_MS)), issue(10002, at(OLD_MS)), token="t1")),
            answer(found(issue(10001, at(OLD_MS)), issue(10002, at(OLD_MS)), token="t2")),
            answer(found(issue(10003, at(OLD_MS)), token="t3")),
            answer(found(issue(10004, at(OLD_MS)))),
        ]
    )
    pages = desk.pages("issues")
    assert [call.request.url.params.get("nextPageToken") for call in search.calls] == [None, None, "t2", "t3"]
    # What stands beside a token must stay as it was, or the vendor refuses it.
    asked = [dict(call.request.url.params) for call in list(search.calls)[1:]]
    assert len({tuple(sorted((k, v) for k, v in one.items() if k != "nextPageToken")) for one in asked}) == 1
    assert set(keys(pages)) == {"ENG-1", "ENG-2", "ENG-3", "ENG-4"}


def test_a_row_that_is_younger_than_its_place_does_not_carry_the_walk_past_others(desk) -> None:
    # The index found it by its old time and shows it with its new one.
    search = desk.router.get(SEARCH).mock(
        side_effect=[
            answer(found(issue(10001, at(OLD_MS)), issue(10002, at(NOW_MS - 10)), token="t1")),
            answer(found(issue(10001, at(OLD_MS)), issue(10003, at(OLD_MS + 7)))),
        ]
    )
    assert keys(desk.pages("issues"))[-1] == "ENG-3"
    assert f"updated >= {OLD_MS} ORDER" in search.calls.last.request.url.params["jql"]


@pytest.mark.parametrize(
    "body", [found(issue(10001, OLD), last=False), found(issue(10001, OLD), token="t1", last=True)]
)
def test_either_sign_of_the_end_is_believed(desk, body) -> None:
    desk.router.get(SEARCH).mock(return_value=answer(body))
    assert len(desk.pages("issues")) == 1


def test_pages_that_go_in_circles_are_told(desk) -> None:
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(10001, at(OLD_MS)), token="same")))
    with pytest.raises(cx.WireFormat, match="circles"):
        desk.pages("issues")


def test_endless_empty_pages_are_told(desk) -> None:
    desk.router.get(SEARCH).mock(
        side_effect=[answer(found(issue(10001, OLD), token="t")), *(answer(found(token=f"t{n}")) for n in range(200))]
    )
    with pytest.raises(cx.WireFormat, match="circles"):
        desk.pages("issues")


def test_a_dead_token_costs_one_page(desk) -> None:
    desk.router.get(SEARCH).mock(return_value=answer(found()))
    scope = desk.pages("issues")[-1].cursor["scope"]
    middle = {"since": 5, "scope": scope, "at": OLD_MS, "token": "dead", "seen": OLD_MS, "began": OLD_MS + 1}

    def reply(request: httpx.Request) -> httpx.Response:
        if "nextPageToken" in request.url.params:
            return answer({"errorMessages": ["The provided next page token has expired."], "errors": {}}, 400)
        return answer(found(issue(10009, at(OLD_MS))))

    search = desk.router.get(SEARCH).mock(side_effect=reply)
    (page,) = desk.pages("issues", middle)
    assert keys([page]) == ["ENG-9"]
    assert f"updated >= {OLD_MS} " in search.calls.last.request.url.params["jql"]
    assert since(page.cursor) == OLD_MS - OVERLAP


def test_a_refused_query_is_not_taken_for_a_dead_token(desk) -> None:
    refusal = {"errorMessages": ["The value 'ENG' does not exist for the field 'project'."], "errors": {}}
    desk.router.get(SEARCH).mock(return_value=answer(refusal, 400))
    with pytest.raises(cx.Rejected, match="does not exist for the field 'project'"):
        desk.pages("issues")


def test_one_unreadable_record_does_not_stop_the_others(desk) -> None:
    rows = [issue(10001), {"key": "ENG-2"}, issue(10003, updated="soon"), issue(10004, duedate="x"), {"id": "5"}]
    desk.router.get(SEARCH).mock(return_value=answer(found(*rows)))
    (page,) = desk.pages("issues")
    assert keys([page]) == ["ENG-1"]
    assert len(page.raw) == 1
    assert len(page.refused) == 4
    assert any("missing required field id" in reason for reason in page.refused)
    assert any("issue 10004: its due date" in reason for reason in page.refused)


def test_a_reply_of_another_shape_stops_the_stream(desk) -> None:
    desk.router.get(SEARCH).mock(return_value=answer({"issues": "none"}))
    with pytest.raises(cx.WireFormat):
        desk.pages("issues")


def test_comments_come_with_their_issues_and_authors(desk) -> None:
    held = {"comments": [comment(10006, author=MIA), comment(10007)], "total": 2, "startAt": 0, "maxResults": 2}
    search = desk.router.get(SEARCH).mock(return_value=answer(found(issue(comment=held), issue(10043, comment=None))))
    (page,) = desk.pages("comments")
    assert search.calls.last.request.url.params["fields"] == "updated,project,comment"
    assert [entity.source_id for entity in page.entities] == ["10006", "10007"]
    assert {entity.ticket for entity in page.entities if isinstance(entity, cx.Comment)} == {"issues/10042"}
    assert [user.source_id for user in page.beside["users"]] == ["qm:0f0c:1a2b", "712020:7bf4"]
    assert len(page.raw) == 2
    assert since(page.cursor) == NOW_MS - 1_783_000 - OVERLAP


def test_a_shortened_list_of_comments_is_read_whole_before_the_cursor_moves(desk) -> None:
    cut = {"comments": [comment(10006)], "total": 3, "startAt": 0, "maxResults": 1}
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(comment=cut))))
    listed = desk.router.get(f"{API}/issue/10042/comment").mock(
        side_effect=[
            # The server gives fewer than asked for.
            answer({"startAt": 0, "maxResults": 2, "total": 3, "comments": [comment(10006), comment(10007)]}),
            answer({"startAt": 2, "maxResults": 2, "total": 3, "comments": [comment(10008)]}),
        ]
    )
    before = {"since": 7, "scope": []}
    pages = desk.pages("comments", before)
    assert [call.request.url.params["startAt"] for call in listed.calls] == ["0", "2"]
    assert [entity.source_id for page in pages for entity in page.entities] == ["10006", "10007", "10008"]
    assert [page.cursor for page in pages[:2]] == [before, before]
    assert since(pages[-1].cursor) > 7


def test_comments_of_an_issue_that_is_gone_meanwhile_are_none(desk) -> None:
    cut = {"comments": [], "total": 3}
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(comment=cut))))
    gone = {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}
    desk.router.get(f"{API}/issue/10042/comment").mock(return_value=answer(gone, 404))
    assert [page.entities for page in desk.pages("comments")] == [[]]


def test_an_unreadable_comment_is_told_with_its_issue(desk) -> None:
    held = {"comments": [comment(10006), {"id": None}], "total": 2}
    desk.router.get(SEARCH).mock(return_value=answer(found(issue(comment=held))))
    (page,) = desk.pages("comments")
    assert len(page.entities) == 1
    assert len(page.refused) == 1
    assert page.refused[0].startswith("a comment of issue 10042:")


def test_projects_are_scanned(desk) -> None:
    rows = [{"id": "10001", "key": "ENG", "name": "Engineering"}, {"id": "10002", "key": "OPS"}, {"key": "X"}]
    asked = desk.router.get(f"{API}/project/search").mock(
        side_effect=[
            answer({"startAt": 0, "total": 3, "isLast": False, "values": rows[:1]}),
            answer({"startAt": 1, "total": 3, "isLast": True, "values": rows[1:]}),
        ]
    )
    pages = desk.pages("projects")
    assert [call.request.url.params["startAt"] for call in asked.calls] == ["0", "1"]
    assert [page.cursor for page in pages] == [None, None]
    assert pages[0].entities == [
        cx.Container(
            source_id="10001",
            source_key="ENG",
            url="https://acme.atlassian.net/browse/ENG",
            name="Engineering",
            sort="project",
        )
    ]
    assert (len(pages[1].entities), len(pages[1].refused)) == (1, 1)


def test_all_reads_are_get_requests(connect) -> None:
    desk = connect(read_only=True)
    desk.router.get(SEARCH).mock(return_value=answer(found()))
    desk.router.get(f"{API}/project/search").mock(return_value=answer({"values": [], "isLast": True}))
    for stream in desk.jira.streams():
        if stream.pages is not None:
            list(stream.pages(desk.client, None))
    assert desk.writes == []


class Index:
    """A search as bad as the vendor's documentation allows: late, with offsets for tokens, and with rows whose shown
    time may be newer than the one they were found by. Edits happen between any two requests.
    """

    def __init__(self, clock: ManualClock, seed: int, *, size: int, lag: float) -> None:
        self.clock = clock
        self.random = Random(seed)
        self.size = size
        self.lag = lag
        self.updated: dict[int, int] = {}
        self.indexed: dict[int, tuple[float, int]] = {}
        self.edits = 0

    def now(self) -> int:
        return round(self.clock.now().timestamp() * 1000)

    def edit(self, number: int) -> None:
        self.updated[number] = self.now()

    def shown(self, number: int) -> int:
        """The time the index knows; it learns of an edit only after the lag."""
        learnt, value = self.indexed.get(number, (0.0, 0))
        if value != self.updated[number] and self.now() - self.updated[number] >= self.lag * 1000:
            value = self.updated[number]
            self.indexed[number] = (learnt, value)
        return value

    def reply(self, request: httpx.Request) -> httpx.Response:
        for _ in range(self.edits):
            self.clock.advance(self.random.random() * 20)
            self.edit(self.random.choice(list(self.updated)))
        params = request.url.params
        bound = re.search(r"updated >= (\d+)", params["jql"])
        lower = int(bound[1]) if bound else 1
        rows = sorted((shown, number) for number in self.updated if (shown := self.shown(number)) >= lower)
        start = int(params.get("nextPageToken", "0"))
        page = rows[start : start + self.size]
        more = start + len(page) < len(rows)
        body = found(
            *(issue(10_000 + number, at(self.updated[number])) for _, number in page),
            token=str(start + len(page)) if more else None,
        )
        date = format_datetime(self.clock.now().replace(microsecond=0), usegmt=True)
        return httpx.Response(200, json=body, headers={"Date": date})


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(10, 15),
    lag=st.sampled_from([0.0, 5.0, 30.0]),
    edits=st.integers(0, 2),
    crash=st.integers(1, 6),
)
def test_no_change_is_lost_whatever_happens_between_pages(
    seed: int, size: int, lag: float, edits: int, crash: int
) -> None:
    clock = ManualClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))
    index = Index(clock, seed, size=size, lag=lag)
    for number in range(1, 80):
        index.updated[number] = index.now() - index.random.choice([0, 1, 4_000, 90_000, 86_400_000 - number])
        index.indexed[number] = (0.0, index.updated[number])
    jira = jira_settings()
    stream = jira.streams()[0]
    assert stream.pages is not None
    seen: dict[str, int] = {}
    cursor: cx.Json = None
    with open_client(
        jira.endpoint(),
        connection="tracker",
        clock=clock,
        tokens=MemoryTokens(),
        transport=httpx.MockTransport(index.reply),
    ) as client:
        for run in range(5):
            # In the first runs people work while we read, and now and then the process dies; then it is quiet.
            index.edits = edits if run < 2 else 0
            for count, page in enumerate(stream.pages(client, cursor), 1):
                for entity in page.entities:
                    assert entity.updated_at is not None
                    key, when = entity.source_id, round(entity.updated_at.timestamp() * 1000)
                    seen[key] = max(seen.get(key, 0), when)
                cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
                if run < 2 and count == crash:
                    break
                assert count < 500
            clock.advance(60)
    assert seen == {str(10_000 + number): when for number, when in index.updated.items()}


def test_that_index_would_lose_changes_by_tokens_alone() -> None:
    """The search above must be able to tell a bad walk from a good one."""
    lost = 0
    for seed in range(20):
        clock = ManualClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))
        index = Index(clock, seed, size=3, lag=0.0)
        for number in range(1, 25):
            index.updated[number] = index.now() - 86_400_000 + number
            index.indexed[number] = (0.0, index.updated[number])
        index.edits = 1
        seen: set[str] = set()
        token: str | None = None
        for _ in range(60):
            url = httpx.URL(SEARCH, params={"jql": "project in (ENG)", **({"nextPageToken": token} if token else {})})
            body = index.reply(httpx.Request("GET", url)).json()
            seen |= {row["id"] for row in body["issues"]}
            token = body.get("nextPageToken")
            if token is None:
                break
        lost += len(index.updated) - len(seen)
    assert lost > 0
