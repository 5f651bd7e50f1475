"""What the names in a query stand for: values of an issue, words of the site, orders. It reads and changes nothing."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from cxbridge.sandbox.jira import adf
from cxbridge.sandbox.jira.catalogue import FIELDS, Field
from cxbridge.sandbox.jira.jql import JqlError
from cxbridge.sandbox.jira.records import Issue
from cxbridge.sandbox.jira.site import IssueType, Priority, Resolution, Site, Status

SortValue = list[Any]


def custom_field(name: str) -> Field | None:
    wanted = name.casefold()
    for field in FIELDS.values():
        if field.is_custom and wanted in (
            field.name.casefold(),
            *(clause.casefold() for clause in field.clause_names()),
        ):
            return field
    return None


def vocabulary(kind: str, site: Site) -> list[tuple[str, ...]]:
    """Ids with the names they go by, in lower case."""
    if kind == "project":
        return [(project.key, project.id, project.key.casefold(), project.name.casefold()) for project in site.projects]
    if kind == "category":
        return [
            (status.id, status.category.name.casefold(), status.category.key, str(status.category.id))
            for status in site.statuses
        ]
    if kind == "component":
        return [(one.id, one.name.casefold()) for project in site.projects for one in project.components]
    if kind == "version":
        return [(one.id, one.name.casefold()) for project in site.projects for one in project.versions]
    rows: Mapping[str, Sequence[Status | IssueType | Priority | Resolution]] = {
        "status": site.statuses,
        "type": site.types,
        "priority": site.priorities,
        "resolution": site.resolutions,
    }
    return [(row.id, row.name.casefold()) for row in rows[kind]]


def _held(field_id: str) -> Callable[[Issue], Sequence[str]]:
    def get(issue: Issue) -> Sequence[str]:
        value = issue.values.get(field_id)
        if value is None:
            return ()
        return value if isinstance(value, tuple) else (str(value),)

    return get


SETS: Final[Mapping[str, tuple[str, Callable[[Issue], Sequence[str]]]]] = {
    "project": ("project", lambda issue: (issue.project,)),
    "status": ("status", lambda issue: (issue.status,)),
    "statuscategory": ("category", lambda issue: (issue.status,)),
    "issuetype": ("type", _held("issuetype")),
    "type": ("type", _held("issuetype")),
    "priority": ("priority", _held("priority")),
    "resolution": ("resolution", lambda issue: (issue.resolution,) if issue.resolution else ()),
    "labels": ("label", lambda issue: [label.casefold() for label in issue.labels]),
    "assignee": ("user", _held("assignee")),
    "reporter": ("user", _held("reporter")),
    "creator": ("user", lambda issue: (issue.creator,)),
    "component": ("component", _held("components")),
    "fixversion": ("version", _held("fixVersions")),
    "affectedversion": ("version", _held("versions")),
    "parent": ("issue", _held("parent")),
}


def _due(issue: Issue) -> datetime | None:
    value = issue.values.get("duedate")
    return datetime.combine(date.fromisoformat(value), datetime.min.time(), issue.created.tzinfo) if value else None


DATES: Final[Mapping[str, Callable[[Issue], datetime | None]]] = {
    "updated": lambda issue: issue.updated,
    "updateddate": lambda issue: issue.updated,
    "created": lambda issue: issue.created,
    "createddate": lambda issue: issue.created,
    "resolved": lambda issue: issue.resolved,
    "resolutiondate": lambda issue: issue.resolved,
    "statuscategorychangeddate": lambda issue: issue.category_changed,
    "due": _due,
    "duedate": _due,
}


def field_text(issue: Issue, field_id: str) -> str:
    value = issue.values.get(field_id)
    return " ".join(adf.words(value)) if isinstance(value, dict) else str(value or "")


def _comment_text(issue: Issue) -> str:
    return "\n".join(" ".join(adf.words(comment.body)) for comment in issue.comments)


_TEXT_IDS: Final = ("summary", "description", "environment", "customfield_10033", "customfield_10034")
TEXTS: Final[Mapping[str, Callable[[Issue], str]]] = {
    "summary": lambda issue: issue.summary,
    "description": lambda issue: field_text(issue, "description"),
    "environment": lambda issue: field_text(issue, "environment"),
    "comment": _comment_text,
    "text": lambda issue: "\n".join([*(field_text(issue, name) for name in _TEXT_IDS), _comment_text(issue)]),
}


def matcher(text: str) -> Callable[[str], bool]:
    """Every word must occur, a trailing star leaves its end open, words in inner quotes must stand together."""
    phrases = [_words(phrase) for phrase in re.findall(r'"([^"]+)"', text)]
    singles = [[word] for word in _words(re.sub(r'"[^"]*"', " ", text))]
    wanted = [phrase for phrase in phrases + singles if phrase]

    def stands(phrase: list[str], held: list[str]) -> bool:
        return any(
            all(_same(word, held[start + number]) for number, word in enumerate(phrase))
            for start in range(len(held) - len(phrase) + 1)
        )

    return lambda body: all(stands(phrase, _words(body)) for phrase in wanted)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+\*?", text.casefold())


def _same(wanted: str, held: str) -> bool:
    return held.startswith(wanted[:-1]) if wanted.endswith("*") else held == wanted


def _millis(moment: datetime | None) -> SortValue:
    return [moment is None, 0 if moment is None else round(moment.timestamp() * 1000)]


def by_created(issue: Issue) -> SortValue:
    return _millis(issue.created)


def sorter(name: str, site: Site) -> Callable[[Issue], SortValue]:
    wanted = name.casefold()
    if wanted in DATES:
        get = DATES[wanted]
        return lambda issue: _millis(get(issue))
    if wanted in ("key", "issuekey", "issue"):
        return lambda issue: [issue.project, issue.number]
    if wanted == "id":
        return lambda issue: [issue.id]
    if wanted == "priority":
        # The most urgent ranks highest, so that DESC shows it first.
        return lambda issue: [-int(issue.values.get("priority") or 99)]
    if wanted in SETS:
        members = SETS[wanted][1]
        return lambda issue: [not members(issue), *sorted(members(issue))]
    if wanted in TEXTS and wanted != "text":
        text = TEXTS[wanted]
        return lambda issue: [not text(issue), text(issue).casefold()]
    custom = custom_field(name)
    if custom is None:
        raise JqlError(f"Field '{name}' does not exist or you do not have permission to view it.")
    field_id = custom.id
    return lambda issue: [
        (value := issue.values.get(field_id)) is None,
        str(value) if not isinstance(value, float) else value,
    ]
