"""A stand-in for Zendesk's ticket export that only sends bytes made beforehand, so that it is never what a run waits for.

    python -m benchmarks.mock_zendesk --tickets 100000 [--port 0] [--sideloads]

Prints `ready PORT` when it answers and ends with its standard input, so that it cannot outlive whoever started it. It checks no
credential, knows no write and is no simulator: how Zendesk behaves is `cxbridge.sandbox`'s matter.

Form of the pages: developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports.
"""

import argparse
import base64
import json
import os
import random
import socket
import socketserver
import sys
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlencode

EXPORT = "/api/v2/incremental/tickets/cursor.json"
PER_PAGE = 1000
# The first ticket's stamp, and the seconds from one ticket to the next.
EPOCH, STEP = 1_760_000_000, 7
FIELDS = 24
PEOPLE, AGENTS, COMPANIES, TEAMS = 20_000, 50, 2_000, 12
PERSON, AGENT, COMPANY, TEAM = 400_000_000_000, 410_000_000_000, 420_000_000_000, 430_000_000_000
# Ready-made parts that tickets are drawn from: enough that no two tickets of a page are alike, few enough to be made at once.
VARIETY = 2_000
WORDS = (  # noqa: SIM905  # readable as words, not as a hundred quoted ones
    "account agent answer app approve array battery billing bounce cable cancel carrier charge chat checkout claim code "
    "contract courier crash credit currency customs dashboard deadline delay delivery desk device discount dispute dock "
    "download email engine error export firmware form gateway handover help import install invoice label latency leak "
    "license limit locker login map market merge mobile modem notice offer order outage owner parcel password patch "
    "payment plan port price print project proxy quote rate receipt refund region renewal report request reset return "
    "route sensor server service shipment site stock stream survey switch tariff tax team terms ticket timeout token "
    "tracking transfer upgrade upload valve vendor voucher warranty webhook window"
).split()


class Pages:
    """Every answer, as the bytes that go out."""

    def __init__(self, tickets: int, site: str, *, sideloads: bool) -> None:
        made = _Maker(site)
        self._answers: dict[str, bytes] = {
            "/api/v2/users/me.json": _answer({"user": made.agent(1) | {"role": "admin"}}),
            "/api/v2/tickets/count.json": _answer({"count": {"value": tickets, "refreshed_at": _iso(EPOCH)}}),
            "/api/v2/custom_statuses.json": _answer({"custom_statuses": made.statuses()}),
        }
        self._pages = [
            made.page(start, min(start + PER_PAGE, tickets), tickets, sideloads=sideloads)
            for start in range(0, max(tickets, 1), PER_PAGE)
        ]
        self._missing = _answer({"error": "RecordNotFound", "description": "Not found"}, "404 Not Found")
        self._end = made.page(tickets, tickets, tickets, sideloads=sideloads)

    def find(self, target: str) -> bytes:
        """Give the whole answer to a GET."""
        path, _, query = target.partition("?")
        if path != EXPORT:
            return self._answers.get(path, self._missing)
        asked = parse_qs(query)
        if "cursor" in asked:
            start = int(base64.b64decode(asked["cursor"][0]).split(b"|")[2])
        else:
            start = max(0, -(-(int(asked["start_time"][0]) - EPOCH) // STEP) - 1)
        # Whoever asks for smaller pages would get something else than what the figures speak of.
        if asked.get("per_page", [str(PER_PAGE)])[0] != str(PER_PAGE) or start % PER_PAGE:
            return self._end
        page = start // PER_PAGE
        return self._pages[page] if page < len(self._pages) else self._end


class _Maker:
    """Puts records together from ready-made parts; the same ones every time."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._random = random.Random(20)
        self._bodies = [self._body() for _ in range(VARIETY)]
        self._values = [self._custom_fields() for _ in range(VARIETY)]

    def page(self, start: int, end: int, tickets: int, *, sideloads: bool) -> bytes:
        numbers = range(start + 1, end + 1)
        cursor = base64.b64encode(f"{EPOCH + end * STEP}.0||{end}|".encode()).decode()
        rows = b",".join(self.ticket(number) for number in numbers)
        beside = self._sideloads(numbers) if sideloads else b""
        after = f"{self._site}{EXPORT}?{urlencode({'cursor': cursor})}"
        tail = {
            "after_url": after,
            "after_cursor": cursor,
            "before_url": None,
            "before_cursor": None,
            "end_of_stream": end >= tickets,
        }
        return _http(b'{"tickets":[' + rows + b"]," + beside + _json(tail)[1:])

    def ticket(self, number: int) -> bytes:
        """Make one ticket as the export sends it, of about 2.9 KB; `fields`, which repeats `custom_fields`, is cut to four."""
        draw = self._random
        stamp = EPOCH + number * STEP
        person = number % PEOPLE
        status = ("new", "open", "open", "pending", "hold", "solved", "solved", "closed")[draw.randrange(8)]
        head = {
            "url": f"{self._site}/api/v2/tickets/{number}.json",
            "id": number,
            "external_id": None if number % 3 else f"ext-{number}",
            "created_at": _iso(stamp - 3600 * (1 + number % 400)),
            "updated_at": _iso(stamp),
            "generated_timestamp": stamp,
            "type": (None, "question", "incident", "problem", "task")[draw.randrange(5)],
            "priority": (None, "low", "normal", "high", "urgent")[draw.randrange(5)],
            "status": status,
            "custom_status_id": 440_000_000_000 + len(status),
            "requester_id": PERSON + person,
            "submitter_id": PERSON + person,
            "assignee_id": AGENT + number % AGENTS,
            "organization_id": COMPANY + number % COMPANIES,
            "group_id": TEAM + number % TEAMS,
            "collaborator_ids": [PERSON + (number * 7) % PEOPLE],
            "email_cc_ids": [PERSON + (number * 7) % PEOPLE],
            "follower_ids": [],
            "via": {
                "channel": ("email", "web", "api", "chat", "voice")[draw.randrange(5)],
                "source": {
                    "from": {"address": f"person{person}@example.com", "name": f"Person {person}"},
                    "to": {"address": "support@example.com", "name": "Support"},
                    "rel": None,
                },
            },
            "satisfaction_rating": {"score": "good", "id": 470_000_000_000 + number, "comment": "Quick and kind."}
            if number % 3 == 0
            else {"score": "unoffered"},
            "encoded_id": f"{number:07X}-CXB",
        }
        return (
            _json(head)[:-1]
            + b","
            + self._bodies[draw.randrange(VARIETY)]
            + b","
            + self._values[draw.randrange(VARIETY)]
            + b',"problem_id":null,"has_incidents":false,"is_public":true,"due_at":null,"forum_topic_id":null,'
            b'"recipient":"support@example.com","sharing_agreement_ids":[],"followup_ids":[],'
            b'"ticket_form_id":450000000001,"brand_id":460000000001,"allow_channelback":false,'
            b'"allow_attachments":true,"from_messaging_channel":false,"support_type":"agent"}'
        )

    def agent(self, number: int) -> dict[str, Any]:
        return self._user(AGENT + number, f"Agent {number}", "agent")

    def statuses(self) -> list[dict[str, Any]]:
        words = ("new", "open", "pending", "hold", "solved", "closed")
        return [
            {
                "id": 440_000_000_000 + len(word),
                "status_category": word,
                "agent_label": word.capitalize(),
                "end_user_label": word.capitalize(),
                "active": True,
                "default": True,
            }
            for word in words
        ]

    def _body(self) -> bytes:
        subject = self._words(8)
        told = {
            "subject": subject,
            "raw_subject": subject,
            "description": ". ".join(self._words(10) for _ in range(7)),
            "tags": self._random.sample(WORDS, 6),
        }
        return _json(told)[1:-1]

    def _custom_fields(self) -> bytes:
        draw = self._random
        kinds = (None, None, None, self._words(3), str(draw.randrange(1_000_000)), True, "2026-10-21")
        values: list[dict[str, Any]] = [
            {"id": 360_000_000_000 + one, "value": draw.choice(kinds)} for one in range(FIELDS)
        ]
        values[-1]["value"] = draw.sample(WORDS, 2)
        return _json({"custom_fields": values, "fields": values[:4]})[1:-1]

    def _sideloads(self, numbers: range) -> bytes:
        people = {one % PEOPLE for one in numbers} | {(one * 7) % PEOPLE for one in numbers}
        users = [self._user(PERSON + one, f"Person {one}", "end-user") for one in sorted(people)]
        users += [self.agent(one) for one in sorted({one % AGENTS for one in numbers})]
        companies = [self._company(one) for one in sorted({one % COMPANIES for one in numbers})]
        teams = [self._team(one) for one in sorted({one % TEAMS for one in numbers})]
        metrics = [self._metrics(one) for one in numbers]
        return _json({"users": users, "organizations": companies, "groups": teams, "metric_sets": metrics})[1:-1] + b","

    def _user(self, id_: int, name: str, role: str) -> dict[str, Any]:
        return {
            "id": id_,
            "url": f"{self._site}/api/v2/users/{id_}.json",
            "name": name,
            "email": f"{name.lower().replace(' ', '')}@example.com",
            "created_at": _iso(EPOCH - 1_000_000),
            "updated_at": _iso(EPOCH - id_ % 1_000),
            "time_zone": "Berlin",
            "iana_time_zone": "Europe/Berlin",
            "phone": None,
            "locale": "en-US",
            "organization_id": COMPANY + id_ % COMPANIES,
            "role": role,
            "verified": True,
            "external_id": None,
            "tags": [],
            "active": True,
            "suspended": False,
            "details": "",
            "notes": "",
            "default_group_id": None if role == "end-user" else TEAM,
            "user_fields": {"plan": ("free", "team", "enterprise")[id_ % 3], "seats": id_ % 100},
        }

    def _company(self, number: int) -> dict[str, Any]:
        return {
            "id": COMPANY + number,
            "url": f"{self._site}/api/v2/organizations/{COMPANY + number}.json",
            "name": f"Company {number}",
            "external_id": None,
            "created_at": _iso(EPOCH - 1_000_000),
            "updated_at": _iso(EPOCH - number),
            "domain_names": [f"company{number}.example.com"],
            "details": "",
            "notes": "",
            "tags": [],
            "organization_fields": {"tier": ("free", "team", "enterprise")[number % 3]},
            "deleted_at": None,
        }

    def _team(self, number: int) -> dict[str, Any]:
        return {
            "id": TEAM + number,
            "name": f"Team {number}",
            "is_public": True,
            "default": number == 0,
            "deleted": False,
            "created_at": _iso(EPOCH - 1_000_000),
            "updated_at": _iso(EPOCH - 1_000_000),
        }

    @staticmethod
    def _metrics(number: int) -> dict[str, Any]:
        solved = _iso(EPOCH + number * STEP) if number % 2 else None
        spans = ("reply", "first_resolution", "full_resolution", "agent_wait", "requester_wait", "on_hold")
        return {
            "id": 480_000_000_000 + number,
            "ticket_id": number,
            "created_at": _iso(EPOCH),
            "updated_at": _iso(EPOCH + number * STEP),
            "group_stations": 1,
            "assignee_stations": 1,
            "reopens": number % 3,
            "replies": number % 9,
            "status_updated_at": _iso(EPOCH + number * STEP),
            "solved_at": solved,
            **{
                f"{span}_time_in_minutes": {"calendar": number % 500 + place, "business": number % 200}
                for place, span in enumerate(spans)
            },
        }

    def _words(self, count: int) -> str:
        return " ".join(self._random.choices(WORDS, k=count))


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(value: Any, status: str = "200 OK") -> bytes:
    return _http(_json(value), status)


def _http(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Talk(socketserver.StreamRequestHandler):
    """One kept-alive connection. Blocking sends from a thread cost less than an event loop's copies of unsent megabytes."""

    server: "_Server"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while line := self.rfile.readline(65_536):
            while self.rfile.readline(65_536) not in (b"\r\n", b"\n", b""):
                pass
            verb, _, rest = line.partition(b" ")
            if verb != b"GET":
                return
            self.connection.sendall(self.server.pages.find(rest.split(b" ", 1)[0].decode("ascii")))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    pages: Pages


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="serve a ticket export from memory, on loopback")
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--sideloads", action="store_true", help="answer `include` with people, companies, teams, metrics"
    )
    asked = parser.parse_args()
    with _Server(("127.0.0.1", asked.port), _Talk) as server:
        port = server.server_address[1]
        server.pages = Pages(asked.tickets, f"http://127.0.0.1:{port}", sideloads=asked.sideloads)
        # A buffer that holds much of a page lets the sender get on with less switching.
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"ready {port}", flush=True)
        while os.read(sys.stdin.fileno(), 4096):
            pass
        server.shutdown()


if __name__ == "__main__":
    main()
