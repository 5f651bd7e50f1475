"""The changelog: read whole although the search shortens it, and counted by the categories of statuses."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx

from .conftest import ANA, API, DOING, DONE, REVIEW, ROBOT, TO_DO, Desk, answer, issue

BEGIN = datetime(2026, 5, 1, 10, tzinfo=UTC)
Row = dict[str, Any]


def entry(number: int, *moves: tuple[Row, Row], author: Row = ANA, **changed: Any) -> Row:
    """The entry that many minutes after the beginning."""
    items = [
        {
            "field": "status",
            "fieldtype": "jira",
            "fieldId": "status",
            "from": before["id"],
            "fromString": before["name"],
            "to": after["id"],
            "toString": after["name"],
            **changed,
        }
        for before, after in moves
    ]
    other = {"field": "summary", "fieldtype": "jira", "fieldId": "summary", "from": None, "fromString": "a", "to": None}
    when = f"{BEGIN + timedelta(minutes=number):%Y-%m-%dT%H:%M:%S.000+0000}"
    return {"id": str(10000 + number), "author": author, "created": when, "items": items or [other]}


def walked(way: list[Row]) -> list[Row]:
    """The entries of an issue that went from status to status."""
    return [entry(number, step) for number, step in enumerate(pairwise(way))]


def searched(rows: list[Row], shown: int | None = None, **changed: Any) -> Row:
    """An issue as a search gives it with these entries, the newest of them first and as many of them as shown."""
    histories = rows[::-1][:shown]
    changelog = {"startAt": 0, "maxResults": len(histories), "total": len(rows), "histories": histories, **changed}
    return {**issue(updated=rows[-1]["created"] if rows else "2026-05-01T10:00:00.000+0000"), "changelog": changelog}


def listed(rows: list[Row], size: int = 100) -> Callable[[httpx.Request], httpx.Response]:
    def page(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["startAt"])
        values = rows[start : start + size]
        last = start + len(values) >= len(rows)
        return answer({"startAt": start, "maxResults": size, "total": len(rows), "isLast": last, "values": values})

    return page


@pytest.fixture
def desk(connect: Callable[..., Desk]) -> Desk:
    return opened(connect)


def opened(connect: Callable[..., Desk], **changed: Any) -> Desk:
    desk = connect(history=True, **changed)
    desk.router.get(f"{API}/status", name="status").mock(return_value=answer([TO_DO, DOING, REVIEW, DONE]))
    return desk


def pulled(desk: Desk, *rows: Row) -> list[cx.Ticket]:
    desk.router.get(f"{API}/search/jql").mock(return_value=answer({"issues": list(rows), "isLast": True}))
    (page,) = desk.pages("issues")
    assert page.refused == []
    return [entity for entity in page.entities if isinstance(entity, cx.Ticket)]


def reopened(desk: Desk, *rows: Row) -> int | None:
    (found,) = pulled(desk, searched(list(rows)))
    return found.reopen_count


@pytest.mark.parametrize(
    ("way", "count"),
    [
        ([], 0),
        ([TO_DO, DOING, REVIEW, DONE], 0),
        ([TO_DO, DONE, DOING], 1),
        ([TO_DO, DONE, TO_DO, DONE], 1),
        ([DONE, DOING, DONE, TO_DO, DOING], 2),
    ],
)
def test_leaving_the_end_is_counted(desk, way, count) -> None:
    assert reopened(desk, *walked(way)) == count


def test_only_statuses_are_counted(desk) -> None:
    rows = [
        entry(1, (DONE, TO_DO), fieldId="customfield_10040", fieldtype="custom"),
        entry(2, (DONE, TO_DO), field="resolution", fieldId="resolution"),
        entry(3),
    ]
    assert reopened(desk, *rows) == 0
    assert desk.router.routes["status"].call_count == 0


def test_servers_tell_a_status_by_its_name_only(desk) -> None:
    row = entry(1, (DONE, TO_DO))
    del row["items"][0]["fieldId"]
    assert reopened(desk, row) == 1


def test_entries_count_in_the_order_in_which_they_were_made(desk) -> None:
    # All of one moment: only the ids tell their order.
    steps = [(TO_DO, DONE), (DONE, DOING), (DOING, DONE)]
    rows = [{**entry(0, step), "id": str(9998 + number)} for number, step in enumerate(steps)]
    assert reopened(desk, *rows) == 1


GONE = {"id": "10009", "name": "Old"}


@pytest.mark.parametrize(
    ("way", "count"), [([DONE, GONE], 0), ([DONE, GONE, DONE], 0), ([DONE, GONE, TO_DO], 1), ([GONE, TO_DO], 0)]
)
def test_a_status_that_is_gone_says_nothing_either_way(desk, way, count) -> None:
    assert reopened(desk, *walked(way)) == count


@pytest.mark.parametrize(
    ("overrides", "count"),
    [({"Done": "in_progress"}, 0), ({"10002": "closed"}, 2), ({"in review": "cancelled"}, 2), ({"Old": "resolved"}, 2)],
)
def test_overrides_go_before_the_vendors_categories(connect, overrides, count) -> None:
    desk = opened(connect, status_overrides=overrides)
    way: list[Row] = [TO_DO, DONE, TO_DO, REVIEW, TO_DO] if "Old" not in overrides else [DONE, TO_DO, GONE, TO_DO]
    assert reopened(desk, *walked(way)) == count


def test_statuses_are_listed_once_in_a_pull(desk) -> None:
    rows = [searched([entry(1, (DONE, TO_DO))]) | {"id": str(number), "key": f"ENG-{number}"} for number in (1, 2, 3)]
    assert [ticket.reopen_count for ticket in pulled(desk, *rows)] == [1, 1, 1]
    assert desk.router.routes["status"].call_count == 1


def test_a_status_nobody_can_read_is_as_good_as_gone(desk) -> None:
    desk.router.get(f"{API}/status").mock(return_value=answer([TO_DO, {**DOING, "name": []}, 7, DONE]))
    assert reopened(desk, *walked([DONE, DOING, TO_DO, DOING])) == 1


def test_a_shortened_history_is_read_whole(desk) -> None:
    rows = [entry(0, (TO_DO, DONE)), entry(1, (DONE, TO_DO)), *map(entry, range(2, 59)), entry(59, author=ROBOT)]
    asked = desk.router.get(f"{API}/issue/10042/changelog").mock(side_effect=listed(rows, 25))
    (ticket,) = pulled(desk, searched(rows, 40))
    assert ticket.reopen_count == 1
    assert ticket.changed_by == cx.Actor(ref="users/557058:f581", kind="automation")
    assert [made.request.url.params["startAt"] for made in asked.calls] == ["0", "25", "50"]
    assert {made.request.url.params["maxResults"] for made in asked.calls} == {"100"}


@pytest.mark.parametrize(
    ("shown", "changed", "again"),
    [
        (None, {}, False),
        (2, {}, True),
        (None, {"total": None}, True),
        # Should the total be that of the page, as the vendor describes it.
        (40, {"total": 40}, True),
    ],
)
def test_a_history_is_read_again_only_if_it_may_be_short(desk, shown, changed: Mapping[str, Any], again) -> None:
    rows = [entry(0, (DONE, TO_DO)), *map(entry, range(1, 50 if shown == 40 else 3))]
    asked = desk.router.get(f"{API}/issue/10042/changelog").mock(side_effect=listed(rows))
    (ticket,) = pulled(desk, searched(rows, shown, **changed))
    assert ticket.reopen_count == 1
    assert bool(asked.call_count) == again


def test_a_history_that_did_not_come_is_read(desk) -> None:
    rows = [entry(0, (DONE, TO_DO))]
    desk.router.get(f"{API}/issue/10042/changelog").mock(side_effect=listed(rows))
    (ticket,) = pulled(desk, issue(updated=rows[-1]["created"]))
    assert (ticket.reopen_count, ticket.changed_by) == (1, cx.Actor(ref="users/712020:7bf4", kind="person"))


def test_what_happened_after_the_issue_was_read_belongs_to_the_next_reading(desk) -> None:
    # The search shows an issue late, its own history does not.
    rows = [entry(0, (TO_DO, DONE), author=ROBOT), entry(1, (DONE, TO_DO))]
    desk.router.get(f"{API}/issue/10042/changelog").mock(side_effect=listed(rows))
    (ticket,) = pulled(desk, issue(updated=rows[0]["created"]))
    assert (ticket.reopen_count, ticket.changed_by) == (0, cx.Actor(ref="users/557058:f581", kind="automation"))


def test_the_history_of_an_issue_that_is_gone_meanwhile_is_unknown(desk) -> None:
    rows = [entry(0, (DONE, TO_DO)), entry(1)]
    desk.router.get(f"{API}/issue/10042/changelog").mock(return_value=answer({"errorMessages": ["Gone."]}, 404))
    (ticket,) = pulled(desk, searched(rows, 1))
    assert (ticket.subject, ticket.reopen_count) == ("Export job stops at 40%", None)


def test_an_entry_nobody_can_read_costs_its_issue_only(desk) -> None:
    desk.router.get(f"{API}/issue/10042/changelog").mock(side_effect=listed([{"items": 7}]))
    other = {**searched([]), "id": "10043", "key": "ENG-43"}
    desk.router.get(f"{API}/search/jql").mock(return_value=answer({"issues": [issue(), other], "isLast": True}))
    (page,) = desk.pages("issues")
    assert [entity.source_key for entity in page.entities] == ["ENG-43"]
    assert len(page.raw) == 1
    (reason,) = page.refused
    assert reason.startswith("issue 10042: an entry of its history: Expected array, got int")


def test_history_wanted_later_begins_anew(connect) -> None:
    def bound(cursor: cx.Json, history: bool) -> tuple[bool, cx.Json]:
        desk = connect(history=history)
        search = desk.router.get(f"{API}/search/jql").mock(return_value=answer({"issues": [], "isLast": True}))
        (page,) = desk.pages("issues", cursor)
        return "updated >=" in search.calls.last.request.url.params["jql"], page.cursor

    _, without = bound(None, history=False)
    assert not bound(without, history=True)[0]
    _, whole = bound(without, history=True)
    assert bound(whole, history=True)[0]
    assert bound(whole, history=False)[0]
