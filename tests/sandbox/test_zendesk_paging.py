"""Pages of the simulated Zendesk: cursor and offset lists, and the incremental exports with their lag."""

import base64
from collections import Counter

import pytest

from cxbridge.sandbox import zendesk

NOW = 1778057173


def tickets(count, **fields):
    return [{"subject": f"Ticket {n}", "age": f"{count - n}h", **fields} for n in range(count)]


def walk(site, path, key, cursor=None, **params):
    """Every page of an incremental cursor export, from the start or from a cursor on."""
    pages = []
    query = {**params, **({"cursor": cursor} if cursor else {"start_time": 0})}
    while True:
        page = site.get(path, **query)
        pages.append(page[key])
        query = {**params, "cursor": page["after_cursor"]}
        if page["end_of_stream"]:
            return pages, page["after_cursor"]


def test_cursor_pages_lead_through_a_list_and_back(site):
    zendesk.load(site.world, tickets(5))
    first = site.get("/tickets.json", **{"page[size]": 2})
    assert first["meta"]["has_more"] is True

    second = site.get(first["links"]["next"])
    third = site.get("/tickets.json", **{"page[size]": 2, "page[after]": second["meta"]["after_cursor"]})

    ids = [[row["id"] for row in page["tickets"]] for page in (first, second, third)]
    assert ids == [[1, 2], [3, 4], [5]]
    assert third["meta"]["has_more"] is False
    assert third["links"]["next"] is None
    back = site.get(third["links"]["prev"])
    assert [row["id"] for row in back["tickets"]] == [3, 4]


@pytest.mark.parametrize(
    ("sort", "expected"), [("updated_at", [1, 3, 2]), ("-updated_at", [2, 3, 1]), ("-id", [3, 2, 1])]
)
def test_cursor_pages_sort_by_what_the_vendor_offers(site, sort, expected):
    rows = [{"id": 1, "subject": "a", "age": "3d"}, {"id": 2, "subject": "b", "age": "1d"}]
    zendesk.load(site.world, [*rows, {"id": 3, "subject": "c", "age": "2d"}])

    found = []
    page = site.get("/tickets.json", **{"page[size]": 1, "sort": sort})
    while True:
        found += [row["id"] for row in page["tickets"]]
        if not page["meta"]["has_more"]:
            break
        page = site.get(page["links"]["next"])

    assert found == expected


def test_cursor_pages_refuse_other_sorts_and_ignore_the_offset_style_ones(site):
    zendesk.load(site.world, tickets(3))

    refused = site.get("/tickets.json", 400, **{"page[size]": 2, "sort": "created_at"})
    assert refused["errors"][0]["code"] == "InvalidPaginationParameter"
    ignored = site.get("/tickets.json", **{"page[size]": 3, "sort_by": "id", "sort_order": "desc"})
    assert [row["id"] for row in ignored["tickets"]] == [1, 2, 3]
    assert site.get("/tickets.json", 400, **{"page[size]": 101})["errors"]
    assert site.get("/tickets.json", 400, **{"page[after]": "made-up"})["errors"]


def test_offset_pages_link_and_count(site):
    zendesk.load(site.world, tickets(5))

    page = site.get("/tickets.json", per_page=2, page=2)

    assert [row["id"] for row in page["tickets"]] == [3, 4]
    assert page["count"] == 5
    assert [row["id"] for row in site.get(page["next_page"])["tickets"]] == [5]
    assert [row["id"] for row in site.get(page["previous_page"])["tickets"]] == [1, 2]
    assert site.get("/tickets.json", per_page=2, page=9)["tickets"] == []


def test_offset_pages_end_at_ten_thousand_records(site):
    assert site.get("/tickets.json", per_page=100, page=100)["tickets"] == []
    refused = site.get("/tickets.json", 400, per_page=100, page=101)
    assert refused["errors"][0]["code"] == "InvalidPaginationDepth"


def test_export_walks_every_ticket_once_in_order_of_change(site):
    zendesk.load(site.world, tickets(25))
    site.send("PUT", "/tickets/3", json={"ticket": {"priority": "low"}})
    site.wait()

    pages, cursor = walk(site, "/incremental/tickets/cursor.json", "tickets", per_page=10)

    rows = [row for page in pages for row in page]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert Counter(row["id"] for row in rows) == Counter(range(1, 26))
    assert [row["generated_timestamp"] for row in rows] == sorted(row["generated_timestamp"] for row in rows)
    assert rows[-1]["id"] == 3
    assert base64.b64decode(cursor).decode().startswith(f"{rows[-1]['generated_timestamp']}.0||3|")
    assert walk(site, "/incremental/tickets/cursor.json", "tickets", cursor, per_page=10)[0] == [[]]


def test_a_row_loaded_with_an_old_time_still_comes_behind_what_was_read(site):
    zendesk.load(site.world, tickets(2))
    site.send("PUT", "/tickets/1", json={"ticket": {"priority": "low"}})
    site.wait()
    _, cursor = walk(site, "/incremental/tickets/cursor.json", "tickets")

    zendesk.load(site.world, [{"subject": "From last year", "age": "400d"}])

    pages, _ = walk(site, "/incremental/tickets/cursor.json", "tickets", cursor)
    assert [[row["id"] for row in page] for page in pages] == [[3]]
    assert pages[0][0]["updated_at"].startswith("2025")


def test_a_kept_cursor_shows_later_changes_only(site):
    zendesk.load(site.world, tickets(3))
    _, cursor = walk(site, "/incremental/tickets/cursor.json", "tickets")
    site.wait(1)
    site.send("PUT", "/tickets/2", json={"ticket": {"priority": "low"}})
    site.wait()

    pages, _ = walk(site, "/incremental/tickets/cursor.json", "tickets", cursor)

    assert [row["id"] for page in pages for row in page] == [2]


def test_two_changes_within_one_second_are_not_lost_to_a_reader_between_them(start_site):
    site = start_site(export_lag=0)
    ticket = site.new_ticket()
    pages, cursor = walk(site, "/incremental/tickets/cursor", "tickets")
    assert [row["id"] for page in pages for row in page] == [ticket["id"]]

    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"priority": "low"}})

    pages, _ = walk(site, "/incremental/tickets/cursor", "tickets", cursor)
    assert [row["priority"] for page in pages for row in page] == ["low"]


def test_rows_of_the_last_minute_are_held_back(site):
    ticket = site.new_ticket()

    assert walk(site, "/incremental/tickets/cursor", "tickets")[0] == [[]]
    site.wait(59)
    assert walk(site, "/incremental/tickets/cursor", "tickets")[0] == [[]]
    site.wait(1)
    pages, _ = walk(site, "/incremental/tickets/cursor", "tickets")
    assert [row["id"] for page in pages for row in page] == [ticket["id"]]


def test_a_cursor_from_an_empty_start_finds_what_comes_later(site):
    _, cursor = walk(site, "/incremental/tickets/cursor", "tickets")
    ticket = site.new_ticket()
    site.wait()

    pages, _ = walk(site, "/incremental/tickets/cursor", "tickets", cursor)

    assert [row["id"] for page in pages for row in page] == [ticket["id"]]


def test_a_start_within_the_last_minute_is_refused(site):
    assert site.get("/incremental/tickets/cursor", 400, start_time=NOW - 59)["error"] == "StartTimeTooRecent"
    site.get("/incremental/tickets/cursor", start_time=NOW - 60)
    site.get("/incremental/tickets/cursor", 400)
    site.get("/incremental/tickets/cursor", 400, cursor="made-up")


def test_sideloads_come_with_the_call_that_asks_for_them(site):
    zendesk.load(site.world, tickets(4, requester={"email": "mia@globex.test"}, organization="Globex"))
    query = {"start_time": 0, "per_page": 2, "include": "users,organizations,groups,metric_sets"}

    first = site.get("/incremental/tickets/cursor", **query)
    second = site.get(first["after_url"])
    third = site.get(first["after_url"], include="users", cursor=first["after_cursor"])

    assert [user["email"] for user in first["users"]] == ["mia@globex.test"]
    assert [organization["name"] for organization in first["organizations"]] == ["Globex"]
    assert first["groups"][0]["name"] == "Support"
    assert first["tickets"][0]["metric_set"]["ticket_id"] == first["tickets"][0]["id"]
    assert "users" not in second
    assert "metric_set" not in second["tickets"][0]
    assert "users" in third


def test_system_updates_are_exported_again_with_the_old_updated_at(site):
    zendesk.load(site.world, tickets(2))
    before, cursor = walk(site, "/incremental/tickets/cursor", "tickets")
    site.control("PATCH", "/zendesk/tickets/1", json={"system_update": True})
    site.wait()

    pages, _ = walk(site, "/incremental/tickets/cursor", "tickets", cursor)

    again, first = pages[0][0], before[0][0]
    assert again["generated_timestamp"] > first["generated_timestamp"]
    assert {**again, "generated_timestamp": 0} == {**first, "generated_timestamp": 0}


def test_time_export_repeats_its_last_second_and_says_when_it_ends(site):
    zendesk.load(site.world, [{"kind": "organization", "name": f"Org {n}"} for n in range(5)])

    found, page = [], site.get("/incremental/organizations.json", start_time=0, per_page=2)
    while True:
        found.append([row["name"] for row in page["organizations"]])
        assert page["count"] == len(page["organizations"])
        if page["end_of_stream"]:
            break
        page = site.get(page["next_page"])

    # Each page starts with the second the page before ended with.
    assert found == [["Org 0", "Org 1"], ["Org 1", "Org 2"], ["Org 2", "Org 3"], ["Org 3", "Org 4"]]
    assert f"start_time={page['end_time']}" in page["next_page"]
    assert page["organizations"][0]["deleted_at"] is None


def test_time_export_keeps_rows_of_one_second_together(site):
    for name in ("a", "b", "c"):
        site.new_ticket(name)
    site.wait()

    page = site.get("/incremental/tickets.json", start_time=0, per_page=1)

    assert (page["count"], page["end_of_stream"]) == (3, True)


def test_users_export_has_deleted_users_without_their_address(site):
    made = site.send("POST", "/users.json", 201, json={"user": {"name": "Mia", "email": "mia@globex.test"}})["user"]
    site.send("DELETE", f"/users/{made['id']}")
    site.wait()

    pages, _ = walk(site, "/incremental/users/cursor.json", "users")

    row = next(row for page in pages for row in page if row["id"] == made["id"])
    assert (row["active"], row["email"]) == (False, None)


def test_organizations_export_alone_shows_deleted_ones(site):
    made = site.send("POST", "/organizations.json", 201, json={"organization": {"name": "Globex"}})["organization"]
    site.send("DELETE", f"/organizations/{made['id']}", 204)
    site.wait()

    site.get(f"/organizations/{made['id']}", 404)
    rows = site.get("/incremental/organizations", start_time=0)["organizations"]
    assert [(row["id"], row["deleted_at"]) for row in rows] == [(made["id"], "2026-05-06T08:46:13Z")]


def test_ticket_events_carry_comments_only_when_asked(site):
    ticket = site.new_ticket()
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"status": "open", "comment": {"body": "hello"}}})
    site.wait()

    plain = site.get("/incremental/ticket_events.json", start_time=0)["ticket_events"]
    full = site.get("/incremental/ticket_events.json", start_time=0, include="comment_events")["ticket_events"]

    bare = [child for child in plain[1]["child_events"] if child["event_type"] == "Comment"]
    assert bare[0]["comment_present"] is True
    assert "body" not in bare[0]
    said = [child for child in full[1]["child_events"] if child["event_type"] == "Comment"]
    assert said[0]["body"] == "hello"
    change = [child for child in full[1]["child_events"] if child["event_type"] == "Change"]
    assert (change[0]["status"], change[0]["previous_value"]) == ("open", "new")


def test_exports_need_an_administrator(site):
    zendesk.load(site.world, [{"kind": "user", "name": "Ana", "email": "ana@example.test", "role": "agent"}])
    ana = ("ana@example.test/token", "sandbox-token")

    refused = site.send("GET", "/incremental/tickets/cursor?start_time=0", 403, auth=ana)

    assert refused["error"]["title"] == "Forbidden"
    site.send("GET", "/tickets.json", auth=ana)


def test_search_stops_at_a_thousand_and_knows_no_cursor(site):
    zendesk.load(site.world, [{"subject": "same words"} for _ in range(1100)])

    page = site.get("/search.json", query="type:ticket same", page=10)
    assert (len(page["results"]), page["count"]) == (100, 1100)
    assert site.get("/search.json", 422, query="type:ticket same", page=11)["error"] == "invalid"
    site.get("/search.json", 400, query="x", **{"page[size]": 1})


def test_search_export_walks_past_a_thousand_until_its_cursor_dies(site):
    zendesk.load(site.world, [{"subject": "same words"} for _ in range(1100)])
    query = {"query": "same", "filter[type]": "ticket", "page[size]": 1000}

    first = site.get("/search/export.json", **query)
    second = site.get(first["links"]["next"])

    ids = [row["id"] for row in first["results"] + second["results"]]
    assert len(ids) == len(set(ids)) == 1100
    assert second["meta"]["has_more"] is False
    site.wait(3601)
    site.get(first["links"]["next"], 400)
    site.get("/search/export.json", 422, query="type:user x", **{"filter[type]": "ticket"})


def test_search_does_not_know_what_is_new(site):
    site.new_ticket("brand new thing")

    assert site.get("/search.json", query="brand")["results"] == []
    site.wait(30)
    assert [row["result_type"] for row in site.get("/search.json", query="brand")["results"]] == ["ticket"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type:ticket status:open", [2]),
        ("type:ticket status<pending", [2, 1]),
        ("type:ticket -status:open", [3, 1]),
        ("type:ticket tags:vip tags:eu", [3, 1]),
        ('type:ticket subject:"log in"', [2]),
        ("type:ticket requester:mia@globex.test", [1]),
        ("type:ticket created>2026-05-03", [3]),
        ("type:ticket created<=2026-05-03", [2, 1]),
        ("type:ticket created>4days", [3, 2]),
        ("type:ticket priority>normal", [3]),
        ("type:ticket assignee:none external_id:x-1", [1]),
    ],
)
def test_search_understands_names_and_comparisons(site, query, expected):
    rows = [
        {"id": 1, "subject": "Export", "age": "5d", "tags": ["vip"], "requester": {"email": "mia@globex.test"}},
        {"id": 2, "subject": "Cannot log in", "status": "open", "age": "3d", "assignee": "ana@example.test"},
        {"id": 3, "subject": "Invoice", "status": "pending", "age": "1d", "tags": ["eu"], "priority": "urgent"},
    ]
    rows[0]["external_id"] = "x-1"
    zendesk.load(site.world, rows)

    assert [row["id"] for row in site.get("/search.json", query=query)["results"]] == expected
