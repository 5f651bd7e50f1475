"""The few issues a site starts with, so that a bridge never meets an empty tracker. Made by the site's own people."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from cxbridge.sandbox.jira.records import Issue
from cxbridge.sandbox.jira.site import User
from cxbridge.sandbox.jira.state import JiraState
from cxbridge.sandbox.jira.workflow import walk
from cxbridge.sandbox.jira.writer import Writer


@dataclass(frozen=True, slots=True)
class _Start:
    project: str
    kind: str
    summary: str
    text: str
    by: str
    priority: str
    days: int
    labels: tuple[str, ...] = ()
    assignee: str | None = None
    status: str = "To Do"
    resolution: str | None = None
    comment: str = ""


_STARTS: Final = (
    _Start(
        "ENG",
        "Bug",
        "CSV export leaves out the last row when the file ends without a newline",
        "Seen with files made on old spreadsheets. The parser drops the unfinished line.",
        "ben",
        "Medium",
        40,
        ("export",),
        "chen",
        "Done",
        "Fixed",
        "Shipped with 2026.4.",
    ),
    _Start(
        "ENG",
        "Story",
        "Let administrators choose the time zone of scheduled reports",
        "Reports go out at midnight UTC today, whatever the account's zone.",
        "ana",
        "Low",
        32,
        ("reports",),
    ),
    _Start(
        "ENG",
        "Bug",
        "Sign-in page reloads for ever when third-party cookies are blocked",
        "Only in private windows. The session check never sees its own cookie.",
        "chen",
        "High",
        21,
        ("sign-in",),
        "ben",
        "In Progress",
        None,
        "The check has to move to the first-party domain.",
    ),
    _Start(
        "ENG",
        "Task",
        "Raise the limit of attachments in the public form to 20 MB",
        "Agreed with support; storage is ready.",
        "ana",
        "Medium",
        15,
        (),
        "ana",
        "In Review",
    ),
    _Start(
        "ENG",
        "Bug",
        "Invoice preview rounds the tax of each line instead of the total",
        "The difference reaches a few cents on long invoices.",
        "ben",
        "Medium",
        9,
        ("billing",),
        "chen",
        "Done",
        "Won't Do",
        "The law asks for rounding by line; the help page now says so.",
    ),
    _Start(
        "ENG",
        "Epic",
        "Exports that survive a restart",
        "Long exports start from nothing when a worker goes away.",
        "ana",
        "High",
        6,
    ),
    _Start(
        "OPS",
        "[System] Incident",
        "Webhook deliveries delayed by ten minutes",
        "The queue is long since the night's maintenance.",
        "ana",
        "High",
        3,
        (),
        "ben",
        "In Progress",
    ),
    _Start(
        "OPS",
        "[System] Service request",
        "New agent needs access to the reporting workspace",
        "Starts on Monday.",
        "ana",
        "Low",
        1,
    ),
)


def load(state: JiraState) -> None:
    """Fill an empty site. Searches know its issues at once."""
    for start in _STARTS:
        _back_date(state, _make(state, start), timedelta(days=start.days))
    state.index.settle()


def _make(state: JiraState, start: _Start) -> Issue:
    def writer(handle: str) -> Writer:
        return Writer(state, _person(state, handle), "seed", version=2)

    fields = {
        "project": {"key": start.project},
        "issuetype": {"name": start.kind},
        "summary": start.summary,
        "description": start.text,
        "priority": {"name": start.priority},
        "labels": list(start.labels),
    }
    if start.assignee:
        fields["assignee"] = {"accountId": _person(state, start.assignee).account_id}
    issue = writer(start.by).create({"fields": fields})
    hand = writer(start.assignee or start.by)
    if start.status != "To Do":
        issue = walk(hand, issue, start.status, start.resolution)
    if start.comment:
        issue, _ = hand.comment(issue, start.comment)
    return issue


def _person(state: JiraState, handle: str) -> User:
    found = state.site.person(handle)
    if found is None:
        raise LookupError(handle)
    return found


def _back_date(state: JiraState, issue: Issue, age: timedelta) -> None:
    then = issue.created - age
    later = then + (age / 2)
    state.store(
        replace(
            issue,
            created=then,
            updated=later,
            category_changed=later if issue.history else then,
            resolved=later if issue.resolved else None,
            comments=tuple(replace(comment, created=later, updated=later) for comment in issue.comments),
            history=tuple(replace(change, created=later) for change in issue.history),
        )
    )
