"""What `check` says of the names in the settings: only what is configured is asked for, and every wrong name is told."""

from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx

from .conftest import API, DOING, DONE, REVIEW, TO_DO, Desk, answer

PRIORITIES = [{"id": str(number), "name": name} for number, name in enumerate(("Highest", "High", "Medium", "Low"), 1)]
RESOLUTIONS = [{"id": "10000", "name": "Done"}, {"id": "10001", "name": "Won\u2019t Do"}]
TYPES = {
    "10001": [{"id": "10004", "name": "Bug"}, {"id": "10003", "name": "Task"}],
    "10002": [{"id": "10012", "name": "[System] Incident"}],
}
FIELDS = [
    {"id": "summary", "key": "summary", "name": "Summary", "custom": False},
    {"id": "customfield_10032", "name": "Severity", "custom": True},
    {"id": "customfield_10044", "name": "Root cause", "custom": True},
    {"id": "customfield_20099", "name": "Sprint", "custom": True},
]


def bean(rows: list[Any], size: int) -> Any:
    """A list in pages of that size at most, whatever is asked for."""

    def page(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["startAt"])
        shown = rows[start : start + size]
        last = start + len(shown) >= len(rows)
        return answer({"startAt": start, "maxResults": size, "total": len(rows), "isLast": last, "values": shown})

    return page


def served(desk: Desk) -> Desk:
    """Let the site serve all of its lists, in small pages."""
    projects = [{"id": "10001", "key": "ENG"}, {"id": "10002", "key": "OPS"}]
    desk.router.get(f"{API}/myself").mock(return_value=answer({"accountId": "712020:3c6e", "displayName": "cxbridge"}))
    desk.router.get(f"{API}/project/search").mock(side_effect=bean(projects, 50))
    desk.router.get(f"{API}/field").mock(return_value=answer(FIELDS))
    desk.router.get(f"{API}/status").mock(return_value=answer([TO_DO, DOING, REVIEW, DONE]))
    desk.router.get(f"{API}/priority/search").mock(side_effect=bean(PRIORITIES, 3))
    desk.router.get(f"{API}/resolution/search").mock(side_effect=bean(RESOLUTIONS, 1))
    desk.router.get(f"{API}/issuetype/project").mock(
        side_effect=lambda request: answer(TYPES[request.url.params["projectId"]])
    )
    return desk


def asked(desk: Desk) -> list[str]:
    """What was asked for beside the account and its projects."""
    names = [made.request.url.path.removeprefix("/rest/api/3/") for made in desk.router.calls]
    return [name for name in names if name not in ("myself", "project/search")]


def refused(desk: Desk) -> str:
    with pytest.raises(cx.Rejected) as caught:
        desk.jira.check(desk.client)
    return caught.value.detail


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({}, []),
        ({"fields": {"severity": "customfield_10032", "title": "summary"}}, ["field"]),
        ({"status_overrides": {"IN review": "waiting", "10003": "closed"}}, ["status"]),
        ({"status_overrides": {"Done": "closed"}, "through": ["in progress"]}, ["status"]),
        ({"priorities": {"urgent": ["highest", "2"]}}, ["priority/search"]),
        ({"priorities": {"urgent": ["Highest"], "low": ["4"]}}, ["priority/search"] * 2),
        ({"resolutions": {"declined": ["won't do"]}}, ["resolution/search"] * 2),
        ({"issue_types": {"bug": "10004"}}, ["issuetype/project"]),
        ({"issue_types": {"bug": "bug", "incident": "Incident"}}, ["issuetype/project"] * 2),
    ],
)
def test_only_what_is_configured_is_asked_for_and_only_until_it_is_found(connect, given, paths) -> None:
    desk = served(connect(**given))
    assert desk.jira.check(desk.client).notices == ()
    assert asked(desk) == paths


def test_pages_go_on_by_the_rows_that_came(connect) -> None:
    desk = served(connect(priorities={"low": ["Low"]}))
    desk.jira.check(desk.client)
    starts = [
        made.request.url.params.get("startAt") for made in desk.router.calls if "priority" in str(made.request.url)
    ]
    assert starts == ["0", "3"]


def test_a_list_that_goes_in_circles_is_told(connect) -> None:
    desk = served(connect(priorities={"low": ["Lo"]}))
    desk.router.get(f"{API}/priority/search").mock(return_value=answer({"values": PRIORITIES}))
    with pytest.raises(cx.WireFormat, match="in circles"):
        desk.jira.check(desk.client)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"fields": {"severity": "customfield_10033"}},
            'field "customfield_10033" under fields.severity (nearest is "Severity", id customfield_10032)',
        ),
        (
            {"fields": {"cause": "customfield_10033"}},
            'field "customfield_10033" under fields.cause (nearest is "Root cause", id customfield_10044)',
        ),
        (
            {"fields": {"how_bad": "Severity"}},
            'field "Severity" under fields.how_bad (nearest is "Severity", id customfield_10032)',
        ),
        (
            {"fields": {"xx": "customfield_20098"}},
            'field "customfield_20098" under fields.xx (nearest is "Sprint", id customfield_20099)',
        ),
        (
            {"status_overrides": {"In Revieww": "waiting"}},
            'status "In Revieww" under status_overrides (nearest is "In Review", id 10002)',
        ),
        ({"through": ["Doing progress"]}, 'status "Doing progress" under through (nearest is "In Progress", id 10001)'),
        (
            {"priorities": {"high": ["High", "Lwo"]}},
            'priority "Lwo" under priorities.high (nearest is "Low", id 4)',
        ),
        (
            {"resolutions": {"declined": ["Wont Do"]}},
            'resolution "Wont Do" under resolutions.declined (nearest is "Won\u2019t Do", id 10001)',
        ),
        (
            {"issue_types": {"incident": "Incidents"}},
            'issue type "Incidents" under issue_types.incident (nearest is "[System] Incident", id 10012)',
        ),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest_and_the_remedy(connect, given, told) -> None:
    assert refused(served(connect(**given))) == (
        f"the settings name what this account does not find on the site: {told}; "
        "write each as Jira lists it, or let this account see it"
    )


def test_all_wrong_names_are_told_at_once(connect) -> None:
    desk = served(
        connect(priorities={"high": ["Hi", "Hig"]}, issue_types={"bug": "Bog"}, fields={"a": "customfield_1"})
    )
    told = refused(desk)
    assert [name for name in ("customfield_1", "Hi", "Hig", "Bog") if f'"{name}"' not in told] == []


def test_where_the_site_has_none_there_is_no_nearest(connect) -> None:
    desk = served(connect(resolutions={"fixed": ["Done"]}))
    desk.router.get(f"{API}/resolution/search").mock(side_effect=bean([], 50))
    assert 'resolution "Done" under resolutions.fixed; write' in refused(desk)


def test_rows_nobody_can_read_are_passed_over(connect) -> None:
    desk = served(connect(priorities={"high": ["High"]}, through=["Done"]))
    desk.router.get(f"{API}/priority/search").mock(side_effect=bean([{"id": True}, *PRIORITIES], 50))
    desk.router.get(f"{API}/status").mock(return_value=answer([7, {"id": []}, DONE]))
    assert desk.jira.check(desk.client).notices == ()


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, {"code": 401, "message": "Unauthorized; scope does not match"}, "the token lacks a scope"),
        (403, {"errorMessages": ["Not for you."]}, "Not for you"),
        (404, None, "it is gone, or hidden"),
        (410, None, "the vendor has removed this part of its API"),
    ],
)
def test_a_list_that_is_refused_refutes_nothing_and_is_noticed(connect, status, body, why) -> None:
    desk = served(connect(priorities={"high": ["High"]}, status_overrides={"Done": "closed"}))
    desk.router.get(f"{API}/priority/search").mock(return_value=answer(body, status))
    (notice,) = desk.jira.check(desk.client).notices
    assert notice.startswith("the names under priorities are not verified")
    assert why in notice


def test_a_refused_list_hides_no_wrong_name_in_another(connect) -> None:
    desk = served(connect(priorities={"high": ["High"]}, issue_types={"bug": "Bog"}))
    desk.router.get(f"{API}/priority/search").mock(return_value=answer(None, 410))
    assert "Bog" in refused(desk)


def test_a_fault_of_the_moment_is_no_verdict(connect) -> None:
    desk = served(connect(priorities={"high": ["High"]}))
    desk.router.get(f"{API}/priority/search").mock(return_value=answer(None, 503))
    with pytest.raises(cx.Retryable):
        desk.jira.check(desk.client)
