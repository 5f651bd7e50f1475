"""Checks the shipped company file: shapes, references and the counts its README promises. Never starts a sandbox."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[2] / "cxbridge" / "sandbox" / "data"

Row = dict[str, Any]

KEYS = {
    "organization": {"kind", "name", "external_id", "domains", "tier", "tags"},
    "group": {"kind", "name"},
    "user": {"kind", "name", "email", "role"},
    "ticket_field": {"kind", "id", "title", "type"},
    "article": {"kind", "title", "body", "locale", "section", "draft", "labels"},
    "ticket": {
        "kind",
        "id",
        "subject",
        "description",
        "priority",
        "status",
        "type",
        "tags",
        "age",
        "updated_age",
        "requester",
        "organization",
        "assignee",
        "group",
        "comments",
        "custom_fields",
    },
}
OPTIONAL_KEYS = {"user": {"organization"}, "ticket": {"problem", "satisfaction"}}
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("urgent", "high", "normal", "low")
TIERS = ("enterprise", "strategic", "standard", "self_serve")
PRODUCT_AREA = "360000000103"
DAY = 24 * 60


def minutes(age: str) -> int:
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?", age)
    assert found, age
    assert age, "an age is empty"
    days, hours, rest = (int(part or 0) for part in found.groups())
    return days * DAY + hours * 60 + rest


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return (DATA / "company.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def rows(lines: list[str]) -> list[Row]:
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def tickets(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["kind"] == "ticket"]


@pytest.fixture(scope="module")
def tiers(rows: list[Row]) -> dict[str, str]:
    return {row["name"]: row["tier"] for row in rows if row["kind"] == "organization"}


@pytest.fixture(scope="module")
def users(rows: list[Row]) -> dict[str, Row]:
    return {row["email"]: row for row in rows if row["kind"] == "user"}


def tagged(tickets: list[Row]) -> list[Row]:
    return [ticket for ticket in tickets if "needs-engineering" in ticket["tags"]]


def to_escalate(tickets: list[Row], tiers: dict[str, str]) -> list[Row]:
    return [
        ticket
        for ticket in tagged(tickets)
        if ticket["status"] in ("new", "open", "pending")
        and tiers[ticket["organization"]] in ("enterprise", "strategic")
        and ticket["priority"] in PRIORITIES
    ]


def test_every_row_has_exactly_the_keys_of_its_kind(rows: list[Row]) -> None:
    for row in rows:
        required = KEYS[row["kind"]]
        assert required <= set(row) <= required | OPTIONAL_KEYS.get(row["kind"], set()), row


def test_values_come_from_the_known_sets(rows: list[Row], tickets: list[Row]) -> None:
    assert {row["tier"] for row in rows if row["kind"] == "organization"} == set(TIERS)
    assert {row["role"] for row in rows if row["kind"] == "user"} == {"agent", "admin", "end-user"}
    assert {ticket["status"] for ticket in tickets} == set(STATUSES)
    assert {ticket["priority"] for ticket in tickets} == {*PRIORITIES, None}
    assert {ticket["type"] for ticket in tickets} == {"question", "incident", "problem", "task", None}
    for ticket in tickets:
        assert set(ticket["requester"]) == {"name", "email"}
        assert all(set(comment) == {"author", "public", "body", "age"} for comment in ticket["comments"])
        if "satisfaction" in ticket:
            assert ticket["satisfaction"]["score"] in ("good", "bad", "offered", "unoffered")
            assert ticket["status"] in ("solved", "closed")


def test_ticket_fields_are_the_three_the_recipes_name(rows: list[Row]) -> None:
    fields = {row["id"]: (row["title"], row["type"]) for row in rows if row["kind"] == "ticket_field"}
    assert fields == {
        360000000101: ("Engineering issue", "text"),
        360000000102: ("Engineering status", "text"),
        360000000103: ("Product area", "tagger"),
    }


def test_names_and_addresses_are_unique(rows: list[Row]) -> None:
    for kind, key in (
        ("organization", "name"),
        ("organization", "external_id"),
        ("user", "email"),
        ("group", "name"),
        ("article", "title"),
        ("ticket", "id"),
        ("ticket", "subject"),
        ("ticket", "description"),
    ):
        seen = Counter(row[key] for row in rows if row["kind"] == kind)
        assert [value for value, times in seen.items() if times > 1] == [], (kind, key)


def test_no_two_descriptions_read_the_same(tickets: list[Row]) -> None:
    """Also when case, digits, spaces and punctuation are left out."""
    bare = Counter(re.sub(r"[\W\d_]+", "", ticket["description"]).lower() for ticket in tickets)
    assert [text[:80] for text, times in bare.items() if times > 1] == []


def test_references_resolve(rows: list[Row], tickets: list[Row], tiers: dict[str, str], users: dict[str, Row]) -> None:
    groups = {row["name"] for row in rows if row["kind"] == "group"}
    assert groups == {"Frontline", "Technical", "Billing"}
    for user in users.values():
        assert ("organization" in user) == (user["role"] == "end-user"), user
        assert user.get("organization") in {*tiers, None}
    for ticket in tickets:
        requester = users[ticket["requester"]["email"]]
        assert requester["role"] == "end-user"
        assert requester["name"] == ticket["requester"]["name"]
        assert requester["organization"] == ticket["organization"]
        assert ticket["group"] in groups
        assert (ticket["assignee"] is None) == (ticket["status"] == "new"), ticket["id"]
        if ticket["assignee"] is not None:
            assert users[ticket["assignee"]]["role"] in ("agent", "admin")
        for comment in ticket["comments"]:
            author = users[comment["author"]]
            if author["role"] == "end-user":
                assert author["organization"] == ticket["organization"]
                assert comment["public"], ticket["id"]


def test_users_write_from_their_organizations_domain(rows: list[Row], users: dict[str, Row]) -> None:
    domains = {row["name"]: row["domains"] for row in rows if row["kind"] == "organization"}
    for email, user in users.items():
        if user["role"] == "end-user":
            assert email.split("@")[1] in domains[user["organization"]]


def test_problems_are_linked_from_incidents_only(tickets: list[Row]) -> None:
    by_id = {ticket["id"]: ticket for ticket in tickets}
    for ticket in tickets:
        if "problem" in ticket:
            assert ticket["type"] == "incident"
            assert by_id[ticket["problem"]]["type"] == "problem"
            assert ticket["problem"] < ticket["id"]


def test_product_area_is_also_a_tag(tickets: list[Row]) -> None:
    areas = Counter(ticket["custom_fields"].get(PRODUCT_AREA) for ticket in tickets)
    assert len(areas) > 5
    for ticket in tickets:
        assert set(ticket["custom_fields"]) <= {PRODUCT_AREA}
        assert set(ticket["custom_fields"].values()) <= set(ticket["tags"])
        assert len(ticket["tags"]) == len(set(ticket["tags"]))
        assert all(re.fullmatch(r"[a-z0-9_-]+", tag) for tag in ticket["tags"]), ticket["tags"]


def test_ids_rise_from_4001_as_tickets_get_younger(tickets: list[Row]) -> None:
    assert [ticket["id"] for ticket in tickets] == list(range(4001, 4001 + len(tickets)))
    ages = [minutes(ticket["age"]) for ticket in tickets]
    assert ages == sorted(ages, reverse=True)
    assert min(ages) >= 20
    assert max(ages) <= 60 * DAY


def test_history_of_a_ticket_runs_forward(tickets: list[Row]) -> None:
    for ticket in tickets:
        moments = [minutes(ticket["age"]), *(minutes(comment["age"]) for comment in ticket["comments"])]
        assert moments == sorted(set(moments), reverse=True), ticket["id"]
        assert 5 <= minutes(ticket["updated_age"]) <= moments[-1], ticket["id"]


def test_status_fits_the_conversation(tickets: list[Row], users: dict[str, Row]) -> None:
    for ticket in tickets:
        staff = [users[comment["author"]]["role"] != "end-user" for comment in ticket["comments"]]
        if ticket["status"] == "new":
            assert not any(staff), ticket["id"]
        if ticket["status"] == "pending":
            assert staff, ticket["id"]
            assert staff[-1], ticket["id"]


def test_tickets_marked_for_engineering(tickets: list[Row], tiers: dict[str, str]) -> None:
    marked = tagged(tickets)
    assert len(marked) == 31
    assert len(to_escalate(tickets, tiers)) == 24
    small = [ticket for ticket in marked if tiers[ticket["organization"]] in ("standard", "self_serve")]
    assert [ticket["status"] for ticket in small] == ["open"] * 3
    assert all(ticket["priority"] for ticket in small)
    ended = [ticket for ticket in marked if ticket["status"] in ("solved", "closed")]
    assert len(ended) == 2
    assert all(tiers[t["organization"]] in ("enterprise", "strategic") and t["priority"] for t in ended)
    unmapped = [ticket for ticket in marked if ticket["priority"] is None]
    assert [(t["status"], tiers[t["organization"]]) for t in unmapped] == [("open", "enterprise")] * 2
    assert all(len(ticket["description"]) > 150 for ticket in marked)


def test_three_tickets_to_escalate_share_one_problem(tickets: list[Row], tiers: dict[str, str]) -> None:
    chosen = to_escalate(tickets, tiers)
    (problem,) = [ticket for ticket in chosen if ticket["type"] == "problem"]
    incidents = [ticket for ticket in tickets if ticket.get("problem") == problem["id"]]
    assert len(incidents) == 2
    assert all(ticket in chosen for ticket in incidents)
    assert [ticket["id"] for ticket in tagged(tickets) if "problem" in ticket] == [t["id"] for t in incidents]


def test_all_priorities_occur_among_tickets_to_escalate(tickets: list[Row], tiers: dict[str, str]) -> None:
    assert {ticket["priority"] for ticket in to_escalate(tickets, tiers)} == set(PRIORITIES)
    assert {ticket["status"] for ticket in to_escalate(tickets, tiers)} == {"new", "open", "pending"}


def test_articles_hold_real_text(rows: list[Row]) -> None:
    for article in (row for row in rows if row["kind"] == "article"):
        words = re.sub(r"<[^>]+>", " ", article["body"]).split()
        assert 80 <= len(words) <= 200, article["title"]
        opened = Counter(re.findall(r"<(\w+)", article["body"]))
        assert opened == Counter(re.findall(r"</(\w+)>", article["body"])), article["title"]


def test_nobody_real_can_be_written_to(lines: list[str], rows: list[Row]) -> None:
    for row in rows:
        if row["kind"] == "organization":
            assert row["domains"]
            assert all(domain.endswith((".test", ".example")) for domain in row["domains"])
    text = "\n".join(lines)
    hosts = re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text) + re.findall(r"https?://([^/\s\"]+)", text)
    assert hosts
    assert {host for host in hosts if not host.rstrip(".").endswith((".test", ".example"))} == set()


def test_readme_states_the_counts(rows: list[Row], tickets: list[Row], tiers: dict[str, str]) -> None:
    kinds = Counter(row["kind"] for row in rows)
    roles = Counter(row.get("role") for row in rows)
    per_tier = Counter(tiers.values())
    statuses = Counter(ticket["status"] for ticket in tickets)
    linked = [ticket["problem"] for ticket in tickets if "problem" in ticket]
    marked = tagged(tickets)
    joined = [ticket["id"] for ticket in marked if ticket["type"] == "problem" or "problem" in ticket]
    facts = {
        "organizations": [kinds["organization"]],
        "organizations of tier": [per_tier[tier] for tier in TIERS],
        "end users": [roles["end-user"]],
        "agents / admins": [roles["agent"], roles["admin"]],
        "groups": [kinds["group"]],
        "Help Center articles": [kinds["article"]],
        "custom ticket fields": [kinds["ticket_field"]],
        "tickets (ids": [len(tickets)],
        "tickets `new`": [statuses[status] for status in STATUSES],
        "comments after": [sum(len(ticket["comments"]) for ticket in tickets)],
        "tickets with a satisfaction": [sum("satisfaction" in ticket for ticket in tickets)],
        "incidents linked": [len(linked)],
        "problems they": [len(set(linked))],
        "**tickets tagged": [len(marked)],
        "– to escalate": [len(to_escalate(tickets, tiers))],
        "– left alone for their tier": [sum(tiers[t["organization"]] in ("standard", "self_serve") for t in marked)],
        "– left alone for their status": [sum(t["status"] in ("solved", "closed") for t in marked)],
        "– held": [sum(t["priority"] is None for t in marked)],
        "– of the 24": [len(joined)],
    }
    table = re.findall(r"^\| (.+?) \| ([\d /]+) \|$", (DATA / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(table) == len(facts)
    for (told, counts), (fact, real) in zip(table, facts.items(), strict=True):
        assert told.startswith(fact)
        assert [int(count) for count in counts.split("/")] == real, told
