"""Recorded bodies of real sites: each one a connector reads becomes an entity, or is refused with a stated reason.

What a body is, is told by its shape: the recordings are of many sites, ages and clients. What this connector has no
use for is named, so that nothing is passed over in silence.
"""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.http import Reply
from cxbridge.plugins.jira import adf, errors, mapping, screens, wire
from cxbridge.plugins.jira.mapping import Unreadable

from .conftest import settings

pytestmark = pytest.mark.shared

RULES = settings(
    projects=["ENG"],
    fields={"severity": "customfield_10032", "sprint": "customfield_10020", "start": "customfield_10015"},
).rules

# Shapes that no stream or action of this connector asks for, by a key that only they have.
NOT_READ = {
    "time logged on an issue": {"timeSpent"},
    "the work logged on an issue": {"worklogs"},
    "a sprint": {"originBoardId"},
    "a board": {"location"},
    "boards of the old interface": {"views"},
    "a board of the old interface": {"sprintSupportEnabled"},
    "issues of the old board interface": {"sprintMarkersMigrated"},
    "a version": {"archived", "released"},
    "a component": {"assigneeType"},
    "a type of issue link": {"inward", "outward"},
    "types of issue links": {"issueLinkTypes"},
    "permission schemes": {"permissionSchemes"},
    "members of a role": {"actors"},
    "watchers": {"watchers"},
    "a registered webhook": {"events", "url"},
    "names of properties": {"keys"},
    "development tools of an issue": {"detail"},
    "projects as another product lists them": {"issues_per_project"},
}


class Tally:
    """What became of each body, by kind."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.unread: Counter[str] = Counter()
        self.unexplained: list[str] = []

    def take(self, body: Any, where: str) -> None:
        try:
            for kind, entity in recognised(body):
                assert entity is not None, kind
                self.accepted[kind] += 1
        except Refused as refused:
            self.refused[refused.kind, str(refused)] += 1
        except NotRead as unread:
            self.unread[str(unread)] += 1
        except Exception as error:  # noqa: BLE001 - every other exception is the failure this test looks for
            self.unexplained.append(f"{where}: {type(error).__name__}: {error}")


class Refused(Exception):
    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


class NotRead(Exception):
    pass


def recognised(body: Any) -> Iterator[tuple[str, Any]]:
    """Tell what a body is and read it as the connector would; a list is read item by item."""
    if isinstance(body, list):
        for item in body:
            yield from recognised(item)
        return
    if not isinstance(body, dict):
        raise NotRead("a bare value")
    keys = set(body)
    if "webhookEvent" in keys:
        yield from webhook(body)
    elif "fields" in keys and "id" in keys:
        yield from issue(body)
    elif "issues" in keys and "startAt" in keys:
        page = msgspec.json.decode(json.dumps(body), type=wire.SearchPage)
        yield "search page", page
        yield from recognised(body["issues"])
    elif "transitions" in keys:
        yield from transitions(body)
    elif "object" in keys and "globalId" in keys:
        yield "remote link", msgspec.convert(body, wire.RemoteLink).object.url
    elif "errorMessages" in keys:
        yield "refusal", errors.message(reply(body))
    elif "lead" in keys and "issueTypes" in keys:
        yield "project", mapping.container(msgspec.convert(body, wire.Project), RULES)
    elif unused := [name for name, shape in NOT_READ.items() if shape & keys]:
        raise NotRead(unused[0])
    elif keys == {"id", "name", "self", "type"}:
        raise NotRead("a board")
    elif "projects" in keys:
        yield from create_screens(body)
    elif {"items", "created"} <= keys:
        yield from history(body)
    elif "statusCategory" in keys:
        category = RULES.category(msgspec.convert(body, wire.Status))
        assert category != "unknown"
        yield "status", category
    elif "colorName" in keys:
        yield "status category", msgspec.convert(body, wire.StatusCategory).key
    elif "clauseNames" in keys:
        yield "field", msgspec.convert(body, wire.FieldMeta)
    elif "body" in keys:
        yield from comment(body, None)
    elif keys == {"self", "id", "description", "name"}:
        yield "resolution", RULES.resolution(msgspec.convert(body, wire.Named))
    elif keys == {"id", "key", "self"}:
        yield "created issue", msgspec.convert(body, wire.Created).key
    elif keys == {"key", "value"}:
        yield "property", msgspec.convert(body, wire.Property)
    elif "values" in keys:
        yield from recognised(body["values"])
    else:
        raise NotRead(f"something with {', '.join(sorted(keys)[:6])}")


def reply(body: Any) -> cx.Reply:
    return Reply("GET", "/x", 400, {}, json.dumps(body).encode(), datetime(2026, 5, 6, tzinfo=UTC))


def issue(body: Any) -> Iterator[tuple[str, Any]]:
    try:
        read = mapping.read_issue(json.dumps(body).encode(), RULES)
        ticket = mapping.ticket(read, RULES)
    except Unreadable as error:
        raise Refused("issue", str(error)) from None
    assert ticket.source_id == str(body["id"])
    assert ticket.subject == (body["fields"].get("summary") or "")
    if isinstance(body["fields"].get("description"), dict):
        assert ticket.body_text == adf.to_text(body["fields"]["description"])
    yield "issue", ticket
    for user in mapping.people([read]):
        if user is not None:
            yield from person(user)
    held = read.wire.fields.comment
    for source in held.comments if held else ():
        yield from comment(json.loads(bytes(source)), read)
    for entry in read.wire.changelog.histories if read.wire.changelog else ():
        yield "changelog entry", mapping.moment(entry.created)


def person(user: wire.User) -> Iterator[tuple[str, Any]]:
    if user.account_id:
        yield "person", mapping.person(user)
    else:
        # Old servers, and recordings whose authors blanked the ids: there is nothing to tell two people apart by.
        assert mapping.person(user) is None
        yield "person without an id, left out", user


def comment(body: Any, of: mapping.Issue | None) -> Iterator[tuple[str, Any]]:
    try:
        row = mapping.read_comment(json.dumps(body).encode())
        read = mapping.comment(row, of or mapping.Issue(wire.Issue(id="1", key="ENG-1"), {}), RULES)
    except Unreadable as error:
        raise Refused("comment", str(error)) from None
    assert read.visibility in ("internal", "restricted")  # none of the recordings is from a service desk
    yield "comment", read


def history(body: Any) -> Iterator[tuple[str, Any]]:
    entry = msgspec.convert(body, wire.History)
    yield "changelog entry", mapping.moment(entry.created)
    if entry.author is not None and entry.author.account_id:
        yield "actor", mapping.actor(entry.author)


def webhook(body: Any) -> Iterator[tuple[str, Any]]:
    read = None
    if "issue" in body:
        yield from issue(body["issue"])
        read = mapping.read_issue(json.dumps(body["issue"]).encode(), RULES)
    if "comment" in body:
        yield from comment(body["comment"], read)
    if "user" in body:
        yield from person(msgspec.convert(body["user"], wire.User))
    yield "webhook", body["webhookEvent"]


def transitions(body: Any) -> Iterator[tuple[str, Any]]:
    for offer in msgspec.convert(body, wire.Transitions).transitions:
        yield "transition", RULES.category(offer.to)
        for meta in offer.fields.values():
            yield "screen field", screens.custom("x", meta)


def create_screens(body: Any) -> Iterator[tuple[str, Any]]:
    """The old form of create metadata, whose types and fields are those of the new one."""
    for project in body["projects"]:
        yield "project", mapping.container(msgspec.convert(project, wire.Project), RULES)
        for kind in project["issuetypes"]:
            yield "issue type", RULES.type(msgspec.convert(kind, wire.IssueType))
            fields = {name: msgspec.convert(one, wire.FieldMeta) for name, one in kind["fields"].items()}
            for name, meta in fields.items():
                yield "screen field", screens.custom("x", meta)
                if name == "priority":
                    yield "offered priority", screens.option(fields, name, RULES.priority_names("high"))


def bodies(place: Path) -> Iterator[tuple[str, Any]]:
    """Every recorded body, with a name for it."""
    csv.field_size_limit(1 << 30)
    for file in sorted(place.rglob("*")):
        name = str(file.relative_to(place))
        if file.suffix == ".json":
            yield name, json.loads(file.read_text())
        elif ".csv" in file.suffixes:
            text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            lines = text.decode("utf-8-sig").lstrip().splitlines(keepends=True)
            if lines:
                for number, row in enumerate(csv.DictReader(lines), 1):
                    yield f"{name} row {number}", json.loads(row["data"])


def test_every_recorded_body_is_read_or_refused_with_a_reason(shared_data: Path) -> None:
    tally = Tally()
    for name, body in bodies(shared_data / "data" / "cassettes" / "jira"):
        tally.take(body, name)
    for kind, count in sorted(tally.accepted.items()):
        print(f"{count:>6} read: {kind}")
    for (kind, reason), count in sorted(tally.refused.items()):
        print(f"{count:>6} refused: {kind}: {reason}")
    for reason, count in sorted(tally.unread.items()):
        print(f"{count:>6} not asked for by this connector: {reason}")
    assert not tally.unexplained, "\n".join(tally.unexplained[:20])
    wanted = {
        "issue",
        "comment",
        "person",
        "project",
        "status",
        "changelog entry",
        "transition",
        "remote link",
        "webhook",
    }
    wanted |= {"screen field", "issue type", "refusal", "resolution", "created issue", "search page"}
    assert wanted <= {kind for kind, count in tally.accepted.items() if count}
    # A mapping that gave up easily would refuse much.
    assert sum(tally.refused.values()) < sum(tally.accepted.values()) / 50


def test_recorded_texts_survive_as_documents(shared_data: Path) -> None:
    """Descriptions and comments of real people, written as a document and read again."""
    texts = [text for _, body in bodies(shared_data / "data" / "cassettes" / "jira") for text in strings(body)]
    assert texts
    for text in texts:
        once = adf.to_text(adf.from_text(text))
        assert adf.to_text(adf.from_text(once)) == once
        assert "".join(text.split())[:40].lstrip("*-\u2022 ") in "".join(once.split())
    print(f"{len(texts):>6} texts")


def strings(body: Any) -> Iterator[str]:
    if isinstance(body, list):
        for item in body:
            yield from strings(item)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key in ("description", "body") and isinstance(value, str) and value.strip():
                yield value
            else:
                yield from strings(value)
