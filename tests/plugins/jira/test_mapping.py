"""Issues, comments and people as canonical entities: categories, names, times, and shapes of other APIs."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import mapping, wire
from cxbridge.plugins.jira.rules import Rules

from .conftest import ANA, DOING, DONE, LABEL, MIA, ROBOT, SITE, TO_DO, comment, doc, issue, settings

RULES = settings(
    fields={"severity": "customfield_10032", "team": "customfield_10033", "steps": "customfield_10034"}
).rules


def ticket(row: dict[str, Any] | None = None, rules: Rules = RULES, **fields: Any) -> cx.Ticket:
    return mapping.ticket(mapping.read_issue(json.dumps(row or issue(**fields)).encode(), rules), rules)


def read_comment(row: dict[str, Any], **fields: Any) -> cx.Comment:
    whole = mapping.read_issue(json.dumps(issue(**fields)).encode(), RULES)
    return mapping.comment(mapping.read_comment(json.dumps(row).encode()), whole, RULES)


SERVICE_DESK = {"id": "10002", "key": "OPS", "name": "Operations", "projectTypeKey": "service_desk"}


def test_an_issue_becomes_a_ticket() -> None:
    read = ticket(
        labels=["export", LABEL],
        components=[{"id": "1", "name": "Reports"}, {"id": "2", "name": "API"}],
        environment=doc("Linux"),
        parent={"id": "10007", "key": "ENG-7", "fields": {}},
        assignee=MIA,
        duedate="2026-06-01",
        security={"id": "5", "name": "Staff"},
        attachment=[{"id": 77, "filename": "log.txt", "mimeType": "text/plain", "size": 12, "content": f"{SITE}/a/77"}],
        customfield_10032={"id": "1", "value": "SEV2"},
        customfield_10033={"id": "9", "name": "Platform"},
        customfield_10034=doc("Click export."),
    )
    assert read == cx.Ticket(
        source_id="10042",
        source_key="ENG-42",
        url=f"{SITE}/browse/ENG-42",
        created_at=datetime(2026, 5, 5, 7, tzinfo=UTC),
        updated_at=datetime(2026, 5, 6, 8, 16, 30, tzinfo=UTC),
        version="1778055390000",
        custom={"team": "Platform", "steps": "Click export."},
        subject="Export job stops at 40%",
        body_text="Reported by Globex.",
        type="bug",
        type_native="Bug",
        status_category="open",
        status_native="To Do",
        priority="normal",
        priority_native="Medium",
        severity="S2",
        requester="users/712020:7bf4",
        submitter="users/557058:f581",
        assignee="users/qm:0f0c:1a2b",
        component="Reports, API",
        environment="Linux",
        container="projects/10001",
        parent="issues/10007",
        tags=["export"],
        due_at=datetime(2026, 6, 1, tzinfo=UTC),
        access="private",
        attachments=[cx.Attachment(id="77", name="log.txt", type="text/plain", bytes=12, url=f"{SITE}/a/77")],
    )


def test_a_resolved_issue_says_how_and_when() -> None:
    read = ticket(
        status=DONE, resolution={"id": "10001", "name": "Won’t Do"}, resolutiondate="2026-05-06T11:00:00.250-0530"
    )
    assert (read.status_category, read.resolution, read.resolution_native) == ("resolved", "declined", "Won’t Do")
    assert read.resolved_at == datetime(2026, 5, 6, 16, 30, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "category"),
    [
        ("new", "open"),
        ("indeterminate", "in_progress"),
        ("done", "resolved"),
        ("undefined", "open"),
        ("completed", "resolved"),
        ("invented", "unknown"),
        (None, "unknown"),
    ],
)
def test_statuses_go_by_their_category_whatever_their_name(key: str | None, category: str) -> None:
    status = {"id": "7", "name": "已完成", **({"statusCategory": {"key": key}} if key else {})}
    assert ticket(status=status).status_category == category


@pytest.mark.parametrize("named", ["Waiting for Customer", "waiting for customer", "10077"])
def test_overrides_go_by_name_or_id(named: str) -> None:
    rules = settings(status_overrides={named: "waiting", "Closed": "closed"}).rules
    status = {**DOING, "id": "10077", "name": "Waiting for customer"}
    assert ticket(rules=rules, status=status).status_category == "waiting"
    assert ticket(rules=rules, status={**DONE, "name": "Closed"}).status_category == "closed"
    assert ticket(rules=rules, status=TO_DO).status_category == "open"


@pytest.mark.parametrize(
    ("native", "canonical"),
    [
        ({"id": "1", "name": "Highest"}, "urgent"),
        ({"id": "2", "name": "Hoch"}, "high"),
        ({"id": "10055", "name": "Blocker"}, "urgent"),
        ({"id": "3", "name": "Major"}, "high"),
        ({"id": "10", "name": "Trivial"}, "low"),
        ({"id": "10", "name": "P7"}, "normal"),
        ({"name": "Low"}, "low"),
        (None, "none"),
    ],
)
def test_priorities(native: Any, canonical: str) -> None:
    assert ticket(priority=native).priority == canonical


def test_configured_priorities_win_over_stock_names_and_ids() -> None:
    rules = settings(priorities={"urgent": ["P1", "10"], "low": ["Medium"]}).rules
    assert ticket(rules=rules, priority={"id": "10", "name": "High"}).priority == "urgent"
    assert ticket(rules=rules, priority={"id": "99", "name": "p1"}).priority == "urgent"
    assert ticket(rules=rules).priority == "low"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Done", "fixed"),
        ("FIXED", "fixed"),
        ("Won't Fix", "declined"),
        ("Declined", "declined"),
        ("Duplicate", "duplicate"),
        ("Cannot Reproduce", "not_reproducible"),
        ("Workaround", "workaround"),
        ("Canceled", "cancelled"),
        ("完成", "other"),
    ],
)
def test_resolutions(name: str, canonical: str) -> None:
    assert ticket(resolution={"id": "1", "name": name}).resolution == canonical


def test_configured_resolutions_go_by_name_or_id() -> None:
    rules = settings(resolutions={"answered": ["10009", "完成"]}).rules
    assert ticket(rules=rules, resolution={"id": "10009", "name": "x"}).resolution == "answered"
    assert ticket(rules=rules, resolution={"id": "1", "name": "完成"}).resolution == "answered"


@pytest.mark.parametrize(
    ("native", "canonical"),
    [
        ({"id": "1", "name": "[System] Incident"}, "incident"),
        ({"id": "1", "name": "service request"}, "service_request"),
        ({"id": "1", "name": "Story"}, "feature_request"),
        ({"id": "1", "name": "子任务", "subtask": True}, "task"),
        ({"id": "1", "name": "Test Execution"}, "other"),
        ({"id": "10400", "name": "Fehler"}, "bug"),
    ],
)
def test_types(native: Any, canonical: str) -> None:
    assert ticket(rules=settings(issue_types={"bug": "10400"}).rules, issuetype=native).type == canonical


@pytest.mark.parametrize(
    ("option", "severity"),
    [
        ({"value": "SEV1"}, "S1"),
        ({"value": "3 - Minor"}, "S3"),
        ({"value": "Critical"}, None),
        ({"value": "SEV 1 of 4"}, None),
        ({"value": "Level 10"}, None),
        (2, "S2"),
        (None, None),
    ],
)
def test_severity_is_the_digit_in_its_option(option: Any, severity: str | None) -> None:
    assert ticket(customfield_10032=option).severity == severity


def test_severities_can_be_named() -> None:
    rules = settings(fields={"severity": "customfield_10032"}, severities={"S1": "Critical"}).rules
    assert ticket(rules=rules, customfield_10032={"value": "critical"}).severity == "S1"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([{"id": "1", "value": "a"}, {"id": "2", "value": "b"}], ["a", "b"]),
        ({"id": "1", "value": "EMEA", "child": {"id": "2", "value": "Poland"}}, "EMEA > Poland"),
        (ANA, "users/712020:7bf4"),
        ([{"id": "1", "name": "Globex", "_links": {}}], ["Globex"]),
        (3.5, 3.5),
        ("2026-05-06", "2026-05-06"),
        ({"ongoingCycle": {"breached": False}}, {"ongoingCycle": {"breached": False}}),
    ],
)
def test_any_field_reads_as_people_mean_it(value: Any, plain: Any) -> None:
    assert ticket(customfield_10033=value).custom["team"] == plain


def test_the_last_editor_is_told_when_the_newest_entry_is_the_last_edit() -> None:
    def edited(at: str, **changed: Any) -> cx.Ticket:
        histories = [
            {"id": "3", "author": ROBOT, "created": at, "items": []},
            {"id": "1", "author": ANA, "created": "2026-05-05T10:00:00.000+0200", "items": []},
        ]
        return ticket({**issue(**changed), "changelog": {"histories": histories}})

    assert edited("2026-05-06T10:16:29.990+0200").changed_by == cx.Actor(ref="users/557058:f581", kind="automation")
    # Something without an entry, such as a comment, moved the issue after that.
    assert edited("2026-05-06T10:10:00.000+0200").changed_by is None


def test_people() -> None:
    def read(row: dict[str, Any]) -> cx.Agent | cx.Contact | None:
        return mapping.person(msgspec.convert(row, wire.User))

    assert read(ANA) == cx.Agent(source_id="712020:7bf4", name="Ana", timezone="Europe/Warsaw")
    assert read(ROBOT) == cx.Agent(source_id="557058:f581", name="Automation for Jira", roles=["bot"])
    known = {**MIA, "emailAddress": "Mia@Globex.example", "active": False}
    assert read(known) == cx.Contact(
        source_id="qm:0f0c:1a2b", name="Mia Lee", emails=["mia@globex.example"], status="suspended"
    )
    assert read({"name": "admin", "displayName": "Admin"}) is None


def test_a_thin_copy_of_a_person_is_nobody_new() -> None:
    thin = wire.User(account_id="712020:7bf4", display_name="Ana")
    whole = msgspec.convert(ANA, wire.User)
    assert mapping.distinct([whole, thin, None, whole]) == [mapping.person(whole)]


@pytest.mark.parametrize(
    ("project", "changed", "visibility"),
    [
        (SERVICE_DESK, {"jsdPublic": True}, "public"),
        (SERVICE_DESK, {"jsdPublic": False}, "internal"),
        (SERVICE_DESK, {"jsdPublic": True, "visibility": {"type": "role", "value": "Developers"}}, "restricted"),
        (SERVICE_DESK, {"jsdPublic": None}, "internal"),
        ({**SERVICE_DESK, "projectTypeKey": "software"}, {"jsdPublic": True}, "internal"),
        (None, {"jsdPublic": True}, "internal"),
    ],
)
def test_a_comment_is_public_only_where_a_customer_sees_it(project: Any, changed: Any, visibility: str) -> None:
    assert read_comment(comment(**changed), project=project).visibility == visibility


def test_a_comment() -> None:
    row = comment(
        author=MIA,
        updated="2026-05-06T10:05:00.000+0200",
        properties=[
            {"key": "sd.public.comment", "value": {"internal": True}},
            {"key": "cxbridge.marker", "value": {"marker": "cxb:00112233aabbccdd"}},
        ],
    )
    assert read_comment(row) == cx.Comment(
        source_id="10006",
        url=f"{SITE}/browse/ENG-42?focusedCommentId=10006",
        created_at=datetime(2026, 5, 6, 8, 2, 11, 114_000, tzinfo=UTC),
        updated_at=datetime(2026, 5, 6, 8, 5, tzinfo=UTC),
        version="1778054700000",
        changed_by=cx.Actor(ref="users/712020:7bf4", kind="person"),
        ticket="issues/10042",
        visibility="internal",
        author="users/qm:0f0c:1a2b",
        author_kind="customer",
        body_text="Looking into it.",
        edited_at=datetime(2026, 5, 6, 8, 5, tzinfo=UTC),
        marker="cxb:00112233aabbccdd",
    )


@pytest.mark.parametrize("value", [None, "text", {"marker": 7}, {}, []])
def test_a_marker_is_believed_only_in_its_own_form(value: Any) -> None:
    assert read_comment(comment(properties=[{"key": "cxbridge.marker", "value": value}])).marker is None


def test_a_webhook_body_of_an_older_api_is_an_issue_too() -> None:
    thin = {
        "id": "10042",
        "key": "ENG-42",
        "self": f"{SITE}/rest/api/2/issue/10042",
        "fields": {
            "summary": "Export",
            "description": "h1. Steps\r\n* click",
            "status": {"name": "Open"},
            "security": "10001",
            "updated": "2019-02-15T19:01:52.971-0800",
        },
    }
    read = ticket(thin)
    assert (read.body_text, read.status_category, read.access) == ("h1. Steps\n* click", "unknown", "private")
    assert (read.type, read.priority, read.requester, read.container) == ("other", "none", None, None)


OPEN = {"status": {"name": "Open"}}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"key": "ENG-1", "fields": {}}, "missing required field id"),
        ({"id": "1", "fields": {}}, "no key"),
        ({"id": "1", "key": "ENG-1", "fields": {"summary": "Export"}}, "no status"),
        ({"id": "1", "key": "ENG-1", "fields": {**OPEN, "updated": "yesterday"}}, "a time in it cannot be read"),
        ({"id": "1", "key": "ENG-1", "fields": {**OPEN, "updated": "2026-05-06T10:00:00.000"}}, "no offset"),
        ({"id": "1", "key": "ENG-1", "fields": {**OPEN, "duedate": "next week"}}, "due date"),
        ({"id": "1", "key": "ENG-1", "fields": {"labels": "secret words"}}, "Expected array"),
    ],
)
def test_what_cannot_be_an_entity_is_refused_without_its_content(row: Any, reason: str) -> None:
    with pytest.raises(mapping.Unreadable, match=reason) as caught:
        ticket(row)
    assert "secret words" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("2026-04-28T15:33:15.438+0200", 1_777_383_195_438),
        ("2026-04-28T13:33:15Z", 1_777_383_195_000),
        (1_777_383_195, 1_777_383_195_000),
        (1_777_383_195_438, 1_777_383_195_438),
    ],
)
def test_times_of_every_form(text: Any, millis: int) -> None:
    read = mapping.moment(text)
    assert read is not None
    assert mapping.millis(read) == millis


def test_markers_become_labels_and_are_not_tags() -> None:
    assert mapping.marker_label("cxb:00112233aabbccdd") == LABEL
    assert mapping.marker_label("any marker/1") == "cxb-any-marker-1"
    assert mapping.tags([LABEL, "cxb", "vip"]) == ["cxb", "vip"]
