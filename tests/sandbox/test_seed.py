"""Company files: what may stand in them, what is refused and how, and that loading is the same each time."""

import gzip
import json
import re

import pytest

from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.world import World
from cxbridge.sandbox.zendesk import render
from tests.sandbox.conftest import NOW


@pytest.fixture
def world():
    return World(clock=SandboxClock(NOW, frozen=True))


COMPANY = [
    # Named before it is described, in an order that would not work line by line.
    {
        "id": 12,
        "subject": "Cannot log in",
        "description": "Since this morning.",
        "priority": "high",
        "status": "solved",
        "type": "incident",
        "tags": ["login"],
        "age": "3d4h",
        "requester": {"name": "Mia Lee", "email": "mia@globex.test"},
        "organization": "Globex",
        "assignee": "ana@example.test",
        "group": "Frontline",
        "comments": [
            {"author": "ana@example.test", "public": True, "body": "Please try again.", "age": "3d"},
            {"author": "mia@globex.test", "public": True, "body": "Works.", "age": "2d12h"},
        ],
        "custom_fields": {"Engineering issue": "OPS-1", "360000000102": "Done"},
        "problem": 40,
        "satisfaction": {"score": "good", "comment": "Quick"},
    },
    {"kind": "ticket", "id": 40, "subject": "Outage", "type": "problem", "created_at": "2026-05-01T10:00:00Z"},
    {"kind": "ticket_field", "id": 360000000102, "title": "Engineering status", "type": "text"},
    {"kind": "ticket_field", "title": "Engineering issue", "type": "text", "key": "eng"},
    {"kind": "user", "name": "Ana", "email": "ana@example.test", "role": "agent"},
    {"kind": "organization", "name": "Globex", "external_id": "CRM-7", "domains": ["globex.test"], "tier": "gold"},
    {"kind": "group", "name": "Frontline"},
    {"kind": "custom_status", "agent_label": "Waiting for engineering", "status_category": "hold"},
    {"kind": "article", "title": "Log in", "body": "<p>So.</p>", "section": "Basics", "labels": ["login"]},
]


def text(rows):
    return "\n".join(json.dumps(row) for row in rows)


def test_a_company_is_loaded_whatever_the_order_of_its_lines(world):
    assert seed.load_text(world, text(COMPANY)) == {
        "organization": 1,
        "group": 1,
        "custom_status": 1,
        "ticket_field": 2,
        "user": 1,
        "article": 1,
        "ticket": 2,
    }

    state = world.zendesk
    ticket = render.ticket(state, state.tickets[12])
    assert ticket["created_at"] == "2026-05-03T04:46:13Z"
    assert ticket["updated_at"] == "2026-05-03T20:46:13Z"
    assert ticket["problem_id"] == 40
    assert {row["value"] for row in ticket["custom_fields"]} == {"OPS-1", "Done"}
    assert state.users[ticket["assignee_id"]].email == "ana@example.test"
    assert state.organizations[ticket["organization_id"]].fields == {"tier": "gold"}
    assert [comment.body for comment in state.tickets[12].comments] == [
        "Since this morning.",
        "Please try again.",
        "Works.",
    ]
    assert ticket["satisfaction_rating"]["comment"] == "Quick"
    assert render.metrics(state, state.tickets[12])["replies"] == 1
    assert world.journal.effects(via="api") == []


def test_loading_gives_the_same_ids_each_time():
    def ids():
        world = World(clock=SandboxClock(NOW, frozen=True))
        seed.load_text(world, text(COMPANY))
        return [*world.zendesk.users, *world.zendesk.audits, *world.zendesk.articles]

    assert ids() == ids()


def test_the_shipped_company_loads(world):
    counts = seed.load_company(world)

    assert counts["ticket"] >= 100
    assert sum(1 for _ in world.zendesk.live_tickets()) == counts["ticket"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"kind": "tickt", "subject": "a"}, "kind 'tickt' is unknown; the kinds are organization"),
        ({"subject": "a", "prioritty": "high"}, "unknown field `prioritty`"),
        ({"subject": "a", "priority": "P1"}, "priority 'P1' is not one of urgent"),
        ({"subject": "a", "age": "yesterday"}, "write it like 3d4h"),
        ({"subject": "a", "problem": 77}, "problem 77 is no ticket"),
        ({"subject": "a", "custom_fields": {"Mood": 1}}, "there is no ticket field 'Mood'"),
        ({"description": "no subject"}, "missing required field `subject`"),
        ({"subject": "a", "requester": {"name": "No Address"}}, "missing required field `email`"),
        ({"subject": "a", "custom_status": "Odd"}, "custom status 'Odd' is unknown"),
        ({"subject": "a", "assignee": "mia@globex.test"}, "assignee mia@globex.test is not an agent"),
    ],
)
def test_a_broken_row_is_refused_with_its_line_and_a_remedy(world, row, told):
    mia = {"kind": "user", "name": "Mia", "email": "mia@globex.test"}

    with pytest.raises(seed.SeedError, match=f"^company.jsonl:4: .*{re.escape(told)}"):
        seed.load_text(world, "\n\n" + text([mia, row]), "company.jsonl")


@pytest.mark.parametrize("line", ["{not json", "[1]"])
def test_a_line_that_is_no_object_is_refused(world, line):
    with pytest.raises(seed.SeedError, match=r"^request body:2: not "):
        seed.load_text(world, text([{"subject": "a"}]) + "\n" + line)
    assert world.zendesk.tickets == {}


def test_an_id_is_not_given_twice(world):
    with pytest.raises(seed.SeedError, match="ticket 5 exists already"):
        seed.load_text(world, text([{"id": 5, "subject": "a"}, {"id": 5, "subject": "b"}]))


def test_numbers_not_taken_by_the_file_are_given_to_new_tickets(world):
    seed.load_text(world, text([{"subject": "a"}, {"id": 2, "subject": "b"}, {"subject": "c"}]))

    assert {ticket.id: ticket.subject for ticket in world.zendesk.tickets.values()} == {1: "a", 2: "b", 3: "c"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_csv_becomes_tickets(world, tmp_path, packed):
    table = 'Title,Body,Urgency,Type,Extra\nPrinter,"On fire,\nhelp",0,Incident,x\n,Only text here,3.0,Billing,\n'
    path = tmp_path / ("tickets.csv.gz" if packed else "tickets.csv")
    path.write_bytes(gzip.compress(table.encode()) if packed else table.encode())

    assert seed.load_file(world, path) == {"ticket": 2}

    one, two = world.zendesk.tickets.values()
    assert (one.subject, one.description, one.priority, one.type) == ("Printer", "On fire,\nhelp", "urgent", "incident")
    assert (two.subject, two.priority, two.type, two.tags) == ("Only text here", "low", None, ["billing"])
    assert one.created < two.created


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("a,b\n1,2\n", "tickets.csv:1: no column for a ticket's text"),
        ("subject,priority\nx,loud\n", "tickets.csv:2: priority 'loud' is unknown"),
        ("subject\na,b\n", "tickets.csv:2: more cells than the header"),
        ("subject,body\n,\n", "tickets.csv:2: subject and description are both empty"),
    ],
)
def test_a_broken_csv_is_refused_with_its_line(world, tmp_path, table, told):
    path = tmp_path / "tickets.csv"
    path.write_text(table)

    with pytest.raises(seed.SeedError, match=re.escape(told)):
        seed.load_file(world, path)


def test_other_endings_are_refused(world, tmp_path):
    path = tmp_path / "tickets.xlsx"
    path.write_bytes(b"x")

    with pytest.raises(seed.SeedError, match="the ending is unknown; name it"):
        seed.load_file(world, path)
