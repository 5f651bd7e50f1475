"""A stand-in for a desk and a tracker that answers from memory, so that it is seldom what a run waits for.

    python -m benchmarks.mock_vendors [--port 0]

It plays as much of Zendesk and Jira as a webhook leads to: tickets by their ids with who is around them, their comments, a search
by labels, a create screen, a new issue. Exports and lists are empty. `GET /arrivals` tells, by ticket, when issues for it arrived,
on the monotonic clock of the system; `POST /latency/0.05` has the tracker answer so many seconds late. It prints `ready PORT` and
ends with its standard input; it checks no credential and is no simulator: how vendors behave is the matter of `cxbridge.sandbox`.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from benchmarks.wire import Asked, Reply, serve

_TICKET = re.compile(r"/api/v2/tickets/(\d+)\.json")
_COMMENTS = re.compile(r"/api/v2/tickets/(\d+)/comments\.json")
_LABELS = re.compile(r'labels (?:=|in) \(?("[^"]+"(?:,"[^"]+")*)')
_SUBJECT = re.compile(r"\[#?(\d+)\]")
PEOPLE, AGENTS, COMPANIES, STATUS = 200, 20, 50, 440_000_000_002
_NOW = "2026-05-06T08:00:00Z"
_EMPTY = {
    "/api/v2/incremental/tickets/cursor.json": {"tickets": [], "after_cursor": "end", "end_of_stream": True},
    "/api/v2/incremental/users/cursor.json": {"users": [], "after_cursor": "end", "end_of_stream": True},
    "/api/v2/incremental/organizations.json": {"organizations": [], "end_time": None, "end_of_stream": True},
    "/api/v2/incremental/ticket_events.json": {"ticket_events": [], "end_time": None, "end_of_stream": True},
    "/api/v2/satisfaction_ratings.json": {"satisfaction_ratings": [], "meta": {"has_more": False}},
    "/api/v2/groups.json": {"groups": [], "meta": {"has_more": False}},
    "/api/v2/custom_statuses.json": {
        "custom_statuses": [{"id": STATUS, "status_category": "open", "agent_label": "Open", "active": True}]
    },
    "/rest/api/3/project/search": {"values": [], "isLast": True, "total": 0},
    "/rest/api/3/issue/createmeta/ENG/issuetypes": {
        "total": 1,
        "startAt": 0,
        "issueTypes": [{"id": "10004", "name": "Bug", "subtask": False}],
    },
    "/rest/api/3/issue/createmeta/ENG/issuetypes/10004": {
        "total": 3,
        "startAt": 0,
        "fields": [{"fieldId": name, "key": name, "name": name} for name in ("summary", "labels", "description")],
    },
}
_FIXED = {path: json.dumps(body).encode() for path, body in _EMPTY.items()}


class Desk:
    """Tickets as the desk shows them: those with an even number are urgent."""

    @staticmethod
    def urgent(number: int) -> bool:
        """Whether a ticket asks for an issue."""
        return number % 2 == 0

    def ticket(self, number: int) -> bytes:
        """Show a ticket with the people, the company and the team around it."""
        ticket = self._ticket(number)
        return json.dumps({"ticket": ticket} | _around([ticket])).encode()

    def tickets(self, numbers: Iterable[int]) -> bytes:
        """Show several tickets with all who are around them."""
        tickets = [self._ticket(number) for number in numbers]
        return json.dumps({"tickets": tickets} | _around(tickets) | {"count": len(tickets)}).encode()

    def _ticket(self, number: int) -> dict[str, Any]:
        return shown(number, _NOW, f"Delivery {number} is late") | {
            "priority": "urgent" if self.urgent(number) else "low"
        }

    def comments(self, number: int) -> bytes:
        """Show what was said in a ticket."""
        said = {
            "id": 10_000_000 + number,
            "type": "Comment",
            "author_id": 1000 + number % PEOPLE,
            "body": "The parcel was announced for Monday and has not come.",
            "public": True,
            "created_at": _NOW,
            "attachments": [],
        }
        return json.dumps({"comments": [said], "meta": {"has_more": False}, "links": {}}).encode()


def shown(number: int, updated_at: str, subject: str) -> dict[str, Any]:
    """Make one ticket, of about 2.5 KB, as the desk shows it."""
    return {
        "id": number,
        "url": f"https://desk.example/api/v2/tickets/{number}.json",
        "external_id": None,
        "created_at": _NOW,
        "updated_at": updated_at,
        "type": "incident",
        "subject": subject,
        "raw_subject": subject,
        "description": "The parcel was announced for Monday and has not come. " * 12,
        "priority": "low",
        "status": "open",
        "custom_status_id": STATUS,
        "requester_id": 1000 + number % PEOPLE,
        "submitter_id": 1000 + number % PEOPLE,
        "assignee_id": 2000 + number % AGENTS,
        "organization_id": 3000 + number % COMPANIES,
        "group_id": 1,
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
        "tags": ["late", "parcel"],
        "via": {"channel": "email", "source": {"from": {}, "to": {}, "rel": None}},
        "custom_fields": [{"id": 360_000_000_200 + field, "value": "word " * 4} for field in range(16)],
        "metric_set": {"ticket_id": number, "reopens": 0, "replies": 0, "status_updated_at": _NOW},
    }


def _around(tickets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    companies = dict.fromkeys(one["organization_id"] for one in tickets)
    people = {one["requester_id"]: _person(one["requester_id"], "end-user", one["organization_id"]) for one in tickets}
    people |= {one["assignee_id"]: _person(one["assignee_id"], "agent", None) for one in tickets}
    return {
        "users": list(people.values()),
        "groups": [{"id": 1, "name": "Support", "created_at": _NOW, "updated_at": _NOW}],
        "organizations": [
            {"id": company, "name": f"Company {company}", "created_at": _NOW, "updated_at": _NOW, "tags": []}
            for company in companies
        ],
    }


def _person(number: int, role: str, company: int | None) -> dict[str, object]:
    return {
        "id": number,
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "role": role,
        "organization_id": company,
        "active": True,
        "created_at": _NOW,
        "updated_at": _NOW,
    }


class Tracker:
    """Issues as the tracker keeps them, and when each arrived."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}
        self._by_label: dict[str, dict[str, object]] = {}
        self._made = 0

    def create(self, body: bytes, arrived: float) -> bytes:
        """Make an issue."""
        asked = json.loads(body)
        fields = asked["fields"]
        named = _SUBJECT.match(fields["summary"])
        self.arrivals.setdefault(named[1] if named else fields["summary"], []).append(arrived)
        self._made += 1
        made = {"id": str(self._made), "key": f"ENG-{self._made}"}
        properties = {one["key"]: one["value"] for one in asked.get("properties", ())}
        shown = {
            "summary": fields["summary"],
            "labels": fields["labels"],
            "project": {"id": "1", "key": "ENG"},
            "issuetype": {"id": "10004", "name": "Bug"},
            "status": {"id": "1", "name": "To Do", "statusCategory": {"key": "new"}},
            "created": "2026-05-06T08:00:00.000+0000",
            "updated": "2026-05-06T08:00:00.000+0000",
        }
        for label in fields["labels"]:
            self._by_label.setdefault(label, made | {"fields": shown, "properties": properties})
        return json.dumps(made | {"self": f"https://tracker.example/rest/api/3/issue/{self._made}"}).encode()

    def search(self, query: str) -> bytes:
        """Find the issues that carry one of some labels; whoever asks for anything else finds nothing."""
        listed = _LABELS.search(unquote_plus(query))
        labels = listed[1].replace('"', "").split(",") if listed else ()
        found = [self._by_label[label] for label in labels if label in self._by_label]
        return json.dumps({"issues": found, "isLast": True}).encode()


class Vendors:
    """Answers for both; the tracker so many seconds late."""

    def __init__(self) -> None:
        self._desk, self._tracker, self._latency = Desk(), Tracker(), 0.0

    def answer(self, asked: Asked, reply: Reply) -> None:
        """Answer one request."""
        path, _, query = asked.target.partition("?")
        status, told = self._told(asked, path, query)
        if self._latency and path.startswith("/rest/"):
            asyncio.get_running_loop().call_later(self._latency, reply, status, told)
        else:
            reply(status, told)

    def _told(self, asked: Asked, path: str, query: str) -> tuple[int, bytes]:
        if asked.verb == "POST" and path == "/rest/api/3/issue":
            return 201, self._tracker.create(asked.body, asked.arrived)
        if path == "/rest/api/3/search/jql":
            return 200, self._tracker.search(query)
        if path in _FIXED:
            return 200, _FIXED[path]
        if path == "/api/v2/tickets/show_many.json":
            [ids] = parse_qs(query)["ids"]
            return 200, self._desk.tickets(map(int, ids.split(",")))
        if found := _TICKET.fullmatch(path):
            return 200, self._desk.ticket(int(found[1]))
        if found := _COMMENTS.fullmatch(path):
            return 200, self._desk.comments(int(found[1]))
        if path == "/arrivals":
            return 200, json.dumps(self._tracker.arrivals).encode()
        if asked.verb == "POST" and path.startswith("/latency/"):
            self._latency = float(path.rpartition("/")[2])
            return 200, b"{}"
        return 404, b'{"error":"RecordNotFound"}'


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="play a desk and a tracker from memory, on loopback")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(Vendors().answer, parser.parse_args().port))


if __name__ == "__main__":
    main()
