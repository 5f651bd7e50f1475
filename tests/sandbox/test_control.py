"""The control API: people at work, the clock, and what the journal says about everybody."""

import pytest

from cxbridge.sandbox.verdict import duplicates


def test_a_customer_writes_and_an_agent_answers(site):
    made = site.control(
        "POST",
        "/zendesk/tickets",
        201,
        json={
            "subject": "Cannot log in",
            "description": "Since this morning.",
            "requester": {"name": "Mia", "email": "mia@globex.test"},
            "organization": "Globex",
            "priority": "high",
            "tags": ["vip"],
        },
    )["ticket"]
    edit = {
        "status": "pending",
        "tags_add": ["login"],
        "tags_remove": ["vip"],
        "assignee": "ana@example.test",
        "comment": {"body": "Please try again.", "public": True, "author": "ana@example.test"},
    }
    edited = site.control("PATCH", f"/zendesk/tickets/{made['id']}", json=edit)["ticket"]

    assert made["via"]["channel"] == "email"
    assert (edited["status"], edited["tags"]) == ("pending", ["login"])
    assert site.get(f"/users/{edited['assignee_id']}")["user"]["email"] == "ana@example.test"
    site.control("PATCH", f"/zendesk/tickets/{made['id']}", json={"comment": {"body": "Still.", "author": "customer"}})
    shown = site.control("GET", f"/zendesk/tickets/{made['id']}")
    assert shown["ticket"]["status"] == "open"  # a customer's word opens a waiting ticket
    assert [comment["public"] for comment in shown["comments"]] == [True, True, True]
    assert site.world.journal.writes() == []
    actors = [(e.kind, e.actor) for e in site.world.journal.effects(via="ui") if e.kind == "comment.added"]
    assert actors == [("comment.added", "ana@example.test"), ("comment.added", "mia@globex.test")]


def test_satisfaction_and_deletion_by_hand(site):
    made = site.control("POST", "/zendesk/tickets", 201, json={"subject": "a", "description": "b"})["ticket"]

    site.control("PATCH", f"/zendesk/tickets/{made['id']}", json={"satisfaction": {"score": "bad", "comment": "slow"}})
    assert site.get("/satisfaction_ratings.json")["satisfaction_ratings"][0]["comment"] == "slow"
    site.control("DELETE", f"/zendesk/tickets/{made['id']}")
    site.get(f"/tickets/{made['id']}", 404)


def test_field_titles_may_be_used_for_ids(site):
    field = site.world.zendesk.add_ticket_field("Engineering issue", "text", key="eng")

    body = {"subject": "a", "description": "b", "custom_fields": {"Engineering issue": "OPS-1"}}
    made = site.control("POST", "/zendesk/tickets", 201, json=body)["ticket"]

    assert made["custom_fields"] == [{"id": field, "value": "OPS-1"}]
    told = site.control("POST", "/zendesk/tickets", 422, json={**body, "custom_fields": {"Mood": "bad"}})
    assert "Mood" in told["details"]["custom_fields"][0]["description"]


def test_the_clock_moves_and_held_back_rows_appear(site):
    site.new_ticket()
    assert site.get("/incremental/tickets/cursor", start_time=0)["tickets"] == []

    assert site.control("POST", "/clock/advance", json={"seconds": 61})["now"] == "2026-05-06T08:47:14+00:00"

    assert len(site.get("/incremental/tickets/cursor", start_time=0)["tickets"]) == 1
    site.control("POST", "/clock/advance", 400, json={"minutes": 1})


def test_load_state_and_journal(site):
    rows = '{"kind": "organization", "name": "Globex"}\n{"subject": "a", "organization": "Globex"}\n'

    assert site.control("POST", "/load", 201, content=rows)["loaded"] == {"organization": 1, "ticket": 1}
    told = site.control("POST", "/load", 400, content=rows + '{"subject": 3}\n')
    assert "request body:3" in told["error"]

    counted = site.control("GET", "/state")
    assert (counted["zendesk"]["tickets"], counted["zendesk"]["organizations"]) == (1, 1)
    site.new_ticket()
    page = site.control("GET", "/journal?kind=ticket.created&via=api")
    assert [entry["actor"] for entry in page["entries"]] == ["bridge@example.test"]
    assert site.control("GET", f"/journal?since={page['last']}")["entries"] == []


def test_the_front_page_and_unknown_things(site):
    text = site.client.get(site.sandbox.control_url).text
    assert "/clock/advance" in text
    site.control("PATCH", "/zendesk/tickets/99", 404, json={})
    site.control("POST", "/zendesk/weather", 404, json={})
    site.control("POST", "/zendesk/tickets", 400, content=b"[1]")
    site.control("POST", "/jira/issues", 404, json={})
    site.control("POST", "/tokens/zendesk/polish", 404)


MARKER = "cxb:0123456789abcdef"


def comment(site, ticket, text, marker):
    change = {"comment": {"body": text, "public": False}, "metadata": {"cxbridge": marker}}
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": change})


def test_the_summary_counts_effects_and_finds_nothing_twice_in_good_work(site):
    one, two = site.new_ticket(), site.new_ticket()
    comment(site, one, "done", MARKER)
    comment(site, two, "done", MARKER.replace("0", "f"))
    comment(site, one, "done again", MARKER.replace("1", "e"))

    found = site.control("GET", "/summary")

    assert found["api_effects"] == {"zendesk:comment.added": 3, "zendesk:ticket.created": 2}
    assert found["requests"] == {"zendesk:200": 3, "zendesk:201": 2}
    assert found["duplicates"] == []


@pytest.mark.parametrize(
    "twice",
    [
        lambda site: [site.new_ticket(external_id="cxb:jira:OPS-1") for _ in range(2)],
        lambda site: [site.new_ticket(tags=[MARKER]) for _ in range(2)],
        lambda site: [comment(site, site.world.zendesk and {"id": 1}, "done", MARKER) for _ in range(2)],
    ],
)
def test_what_was_done_twice_is_found(site, twice):
    site.new_ticket("The first")
    twice(site)

    assert site.control("GET", "/summary")["duplicates"]


def test_duplicates_of_other_vendors_are_found_by_marker_and_link(site):
    journal = site.world.journal
    for key in ("OPS-1", "OPS-2"):
        journal.effect("jira", "issue.created", key, "bot", labels=["cxbridge", "cxb-0123456789abcdef"])
        journal.effect("jira", "remotelink.created", key, "bot", url="http://x/1")
    assert [(d.kind, d.keys) for d in duplicates(journal)] == [("issue.created", ["OPS-1", "OPS-2"])]

    journal.effect("jira", "remotelink.created", "OPS-2", "bot", url="http://x/1")

    assert {d.kind for d in duplicates(journal)} == {"issue.created", "remotelink.created"}


def test_what_people_do_twice_is_their_business(site):
    for _ in range(2):
        site.control("POST", "/zendesk/tickets", 201, json={"subject": "a", "external_id": "same", "description": "b"})

    assert site.control("GET", "/summary")["duplicates"] == []
