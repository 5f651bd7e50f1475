"""Tickets of the simulated Zendesk: what a write changes, what it refuses, and what the journal keeps of it."""

import pytest


def test_create_answers_201_with_ticket_audit_and_location(site):
    reply = site.ask(
        "POST",
        "/tickets.json",
        json={
            "ticket": {
                "subject": "Export fails",
                "comment": {"body": "It stops at 40%.", "public": True},
                "requester": {"name": "Mia Lee", "email": "mia@globex.test"},
                "priority": "high",
                "tags": ["Export job", "vip"],
                "external_id": "cxb:jira:OPS-77",
            }
        },
    )

    ticket = reply.json()["ticket"]
    assert reply.status_code == 201
    assert reply.headers["location"].endswith(f"/tickets/{ticket['id']}.json")
    assert (ticket["status"], ticket["priority"], ticket["tags"]) == ("new", "high", ["export_job", "vip"])
    assert ticket["description"] == "It stops at 40%."
    assert ticket["generated_timestamp"] == 0
    assert len(str(ticket["requester_id"])) == 14
    assert site.get(f"/users/{ticket['requester_id']}")["user"]["email"] == "mia@globex.test"
    assert site.get(f"/tickets/{ticket['id']}")["ticket"]["generated_timestamp"] == 1778057173
    created = site.world.journal.effects("ticket.created", via="api")
    assert [(e.key, e.actor, e.detail["external_id"]) for e in created] == [
        (str(ticket["id"]), "bridge@example.test", "cxb:jira:OPS-77")
    ]


def test_paths_work_with_and_without_json(site):
    ticket = site.new_ticket()

    assert site.get(f"/tickets/{ticket['id']}.json") == site.get(f"/tickets/{ticket['id']}")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"comment": {"body": ""}}, "base"),
        ({"status": "deleted"}, "status"),
        ({"priority": "P1"}, "priority"),
        ({"assignee_id": 12345}, "assignee"),
        ({"problem_id": 999}, "problem_id"),
        ({"requester": {"name": "No Address"}}, "requester"),
    ],
)
def test_wrong_values_are_refused_by_field_and_change_nothing(site, fields, field):
    ticket = {"subject": "x", "comment": {"body": "y"}, **fields}

    refused = site.send("POST", "/tickets.json", 422, json={"ticket": ticket})

    assert refused["error"] == "RecordInvalid"
    assert list(refused["details"]) == [field]
    assert site.kinds() == []
    assert site.get("/tickets/count.json")["count"]["value"] == 0


def test_idempotency_key_replays_the_first_answer_for_two_hours(site):
    body = {"ticket": {"subject": "Once", "comment": {"body": "only"}}}
    key = {"idempotency-key": "cxb-0001"}

    first = site.ask("POST", "/tickets.json", json=body, headers=key)
    again = site.ask("POST", "/tickets.json", json=body, headers=key)

    assert (first.headers["x-idempotency-lookup"], again.headers["x-idempotency-lookup"]) == ("miss", "hit")
    assert again.status_code == 201
    assert again.json() == first.json()
    other = {"ticket": {"subject": "Twice", "comment": {"body": "only"}}}
    refused = site.send("POST", "/tickets.json", 400, json=other, headers=key)
    assert refused["error"] == "IdempotentRequestError"
    assert site.kinds() == ["ticket.created"]

    site.wait(7201)
    late = site.ask("POST", "/tickets.json", json=body, headers=key)
    assert late.headers["x-idempotency-lookup"] == "miss"
    assert site.kinds() == ["ticket.created"] * 2


def test_a_refused_create_does_not_use_up_its_key(site):
    key = {"idempotency-key": "cxb-0002"}
    site.send("POST", "/tickets.json", 422, json={"ticket": {"subject": "no text"}}, headers=key)

    body = {"ticket": {"subject": "text", "comment": {"body": "now"}}}
    assert site.ask("POST", "/tickets.json", json=body, headers=key).headers["x-idempotency-lookup"] == "miss"


def test_update_changes_fields_and_adds_a_comment_in_one_audit(site):
    ticket = site.new_ticket()
    site.wait(5)

    answer = site.send(
        "PUT",
        f"/tickets/{ticket['id']}.json",
        json={
            "ticket": {
                "status": "pending",
                "comment": {"body": "We look into it.", "public": False},
                "metadata": {"cxbridge": "cxb:0123456789abcdef"},
            }
        },
    )

    events = {event.get("field_name", event["type"]): event for event in answer["audit"]["events"]}
    assert set(events) == {"Comment", "status", "custom_status_id"}
    assert (events["status"]["previous_value"], events["status"]["value"]) == ("new", "pending")
    assert events["Comment"]["body"] == "We look into it."
    comments = site.get(f"/tickets/{ticket['id']}/comments.json")["comments"]
    assert [comment["public"] for comment in comments] == [True, False]
    assert comments[1]["metadata"]["custom"] == {"cxbridge": "cxb:0123456789abcdef"}
    assert comments[1]["audit_id"] == answer["audit"]["id"]
    assert answer["audit"]["metadata"]["custom"] == {"cxbridge": "cxb:0123456789abcdef"}
    assert site.kinds() == ["ticket.created", "comment.added", "ticket.updated"]
    updated = site.world.journal.effects("ticket.updated")[0]
    assert updated.detail["changes"]["status"] == ["new", "pending"]


def test_a_write_that_changes_nothing_is_a_noop_and_moves_no_time(site):
    ticket = site.new_ticket(priority="high", tags=["a"])
    before = site.get(f"/tickets/{ticket['id']}")["ticket"]
    site.wait(90)

    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"priority": "high", "tags": ["a"]}})

    assert site.get(f"/tickets/{ticket['id']}")["ticket"] == before
    assert site.kinds() == ["ticket.created", "noop"]


@pytest.mark.parametrize("first_public", [True, False])
def test_a_comment_without_public_follows_its_ticket(site, first_public):
    ticket = site.new_ticket(comment={"body": "first", "public": first_public})

    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"comment": {"body": "second"}}})

    comments = site.get(f"/tickets/{ticket['id']}/comments")["comments"]
    assert [comment["public"] for comment in comments] == [first_public, first_public]


def test_safe_update_refuses_what_was_read_before_the_last_change(site):
    ticket = site.new_ticket()
    stale = ticket["updated_at"]
    site.wait(1)
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"priority": "low"}})

    change = {"status": "open", "updated_stamp": stale, "safe_update": True}
    refused = site.send("PUT", f"/tickets/{ticket['id']}", 409, json={"ticket": change})
    assert refused["error"] == "UpdateConflict"
    # False asks for the check as well.
    site.send("PUT", f"/tickets/{ticket['id']}", 409, json={"ticket": {**change, "safe_update": False}})

    fresh = site.get(f"/tickets/{ticket['id']}")["ticket"]["updated_at"]
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {**change, "updated_stamp": fresh}})
    site.wait(1)
    forced = {"status": "hold", "updated_stamp": stale}
    assert site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": forced})["ticket"]["status"] == "hold"


def test_closed_is_for_ever_and_a_follow_up_is_the_way_on(site):
    ticket = site.new_ticket()
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"status": "closed"}})

    refused = site.send("PUT", f"/tickets/{ticket['id']}", 422, json={"ticket": {"status": "open"}})
    assert refused["details"]["status"][0]["description"] == "Status: closed prevents ticket update"
    site.send("PUT", f"/tickets/{ticket['id']}/tags", 422, json={"tags": ["late"]})

    follow_up = site.new_ticket("Again", via_followup_source_id=ticket["id"])
    assert site.get(f"/tickets/{ticket['id']}")["ticket"]["followup_ids"] == [follow_up["id"]]


def test_tag_endpoints_add_set_and_remove_without_touching_the_rest(site):
    ticket = site.new_ticket(tags=["a"])
    path = f"/tickets/{ticket['id']}/tags.json"

    assert site.send("PUT", path, json={"tags": ["B c"]})["tags"] == ["a", "b_c"]
    assert site.send("DELETE", path, json={"tags": ["a"]})["tags"] == ["b_c"]
    assert site.send("POST", path, 201, json={"tags": ["z"]})["tags"] == ["z"]
    assert site.get(path)["tags"] == ["z"]
    site.wait(1)
    site.send("PUT", path, json={"tags": ["y"]})
    stale = {"tags": ["x"], "updated_stamp": ticket["updated_at"], "safe_update": "true"}
    site.send("PUT", path, 409, json=stale)
    effects = site.world.journal.effects("tags")
    assert [(e.detail["added"], e.detail["removed"]) for e in effects][:2] == [(["b_c"], []), ([], ["a"])]


def test_custom_fields_keep_their_type_and_choices_become_tags(site):
    state = site.world.zendesk
    text = state.add_ticket_field("Engineering issue", "text")
    choice = state.add_ticket_field("Region", "tagger", choices=[{"name": "North", "value": "region_north"}])
    date = state.add_ticket_field("Promised", "date")

    ticket = site.new_ticket(custom_fields=[{"id": text, "value": "OPS-1"}, {"id": choice, "value": "region_north"}])

    values = {row["id"]: row["value"] for row in ticket["custom_fields"]}
    assert values == {text: "OPS-1", choice: "region_north", date: None}
    assert ticket["fields"] == ticket["custom_fields"]
    assert ticket["tags"] == ["region_north"]
    site.send(
        "PUT", f"/tickets/{ticket['id']}", 422, json={"ticket": {"custom_fields": [{"id": date, "value": "soon"}]}}
    )
    cleared = {"custom_fields": [{"id": choice, "value": None}]}
    assert site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": cleared})["ticket"]["tags"] == []


def test_custom_status_and_status_move_together(site):
    state = site.world.zendesk
    waiting = state.add_custom_status("hold", "Waiting for engineering")
    ticket = site.new_ticket()

    moved = site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"custom_status_id": waiting}})["ticket"]
    assert (moved["status"], moved["custom_status_id"]) == ("hold", waiting)
    back = site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"status": "open"}})["ticket"]
    assert back["custom_status_id"] == state.default_status("open")


def test_dropped_keys_are_named_in_a_header(site):
    ticket = site.new_ticket()

    reply = site.ask("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"mood": "bad", "priority": "low"}})

    assert reply.headers["x-zendesk-api-warn"] == "unpermitted_keys: mood"


def test_external_id_finds_every_ticket_that_has_it(site):
    one, two = site.new_ticket(external_id="cxb:jira:A-1"), site.new_ticket(external_id="cxb:jira:A-1")
    site.new_ticket(external_id="cxb:jira:A-2")

    found = site.get("/tickets.json", external_id="cxb:jira:A-1")["tickets"]

    assert [ticket["id"] for ticket in found] == [one["id"], two["id"]]
    site.send("PUT", f"/tickets/{one['id']}", json={"ticket": {"external_id": None}})
    assert len(site.get("/tickets.json", external_id="cxb:jira:A-1")["tickets"]) == 1


def test_deleted_tickets_are_gone_but_for_the_export_and_the_list_of_deleted(site):
    ticket = site.new_ticket()
    site.send("DELETE", f"/tickets/{ticket['id']}.json", 204)

    for child in ("", "/comments", "/audits", "/metrics", "/tags"):
        assert site.get(f"/tickets/{ticket['id']}{child}", 404)["error"] == "RecordNotFound"
    assert site.get("/tickets.json")["tickets"] == []
    listed = site.get("/deleted_tickets.json")["deleted_tickets"]
    assert [(row["id"], row["previous_state"]) for row in listed] == [(ticket["id"], "new")]
    site.wait()
    exported = site.get("/incremental/tickets/cursor", start_time=0)["tickets"]
    assert [(row["id"], row["status"]) for row in exported] == [(ticket["id"], "deleted")]

    site.send("PUT", f"/deleted_tickets/{ticket['id']}/restore")
    assert site.get(f"/tickets/{ticket['id']}")["ticket"]["status"] == "new"


def test_problems_know_their_incidents(site):
    problem = site.new_ticket("Outage", type="problem")
    incident = site.new_ticket("Cannot log in", type="incident", problem_id=problem["id"])

    assert site.get(f"/tickets/{problem['id']}")["ticket"]["has_incidents"] is True
    incidents = site.get(f"/tickets/{problem['id']}/incidents.json")["tickets"]
    assert [ticket["id"] for ticket in incidents] == [incident["id"]]


def test_metrics_follow_replies_and_solutions(site):
    ticket = site.new_ticket(requester={"name": "Mia", "email": "mia@globex.test"})
    site.wait(600)
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"comment": {"body": "On it.", "public": True}}})
    site.wait(600)
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"status": "solved"}})
    site.send("PUT", f"/tickets/{ticket['id']}", json={"ticket": {"status": "open"}})

    metric = site.get(f"/tickets/{ticket['id']}/metrics")["ticket_metric"]

    assert (metric["replies"], metric["reopens"], metric["solved_at"]) == (1, 1, None)
    assert metric["reply_time_in_minutes"] == {"calendar": 10, "business": 10}
    assert metric["first_resolution_time_in_minutes"]["calendar"] == 20


def test_show_many_takes_at_most_100_ids(site):
    ticket = site.new_ticket()

    assert site.get("/tickets/show_many.json", ids=f"{ticket['id']},999")["count"] == 1
    too_many = site.get("/tickets/show_many.json", 400, ids=",".join(map(str, range(1, 102))))
    assert (too_many["error"], too_many["max_count"]) == ("TooManyValues", 100)


def test_bulk_jobs_must_be_polled_and_report_each_row(site):
    good = {"subject": "one", "comment": {"body": "text"}}
    job = site.send("POST", "/tickets/create_many.json", json={"tickets": [good, {"subject": "no text"}]})["job_status"]
    assert (job["status"], job["results"], job["total"]) == ("queued", None, 2)

    seen = [site.get(f"/job_statuses/{job['id']}.json")["job_status"] for _ in range(2)]

    assert [look["status"] for look in seen] == ["working", "completed"]
    created, failed = seen[1]["results"]
    assert site.get(f"/tickets/{created['id']}")["ticket"]["subject"] == "one"
    assert (failed["index"], failed["error"]) == (1, "RecordInvalid")

    change = {"tickets": [{"id": created["id"], "additional_tags": ["bulk"], "remove_tags": ["none"]}]}
    site.send("PUT", "/tickets/update_many.json", json=change)
    assert site.get(f"/tickets/{created['id']}")["ticket"]["tags"] == ["bulk"]


def test_uploads_come_back_as_attachments_of_the_comment(site):
    upload = site.send(
        "POST", "/uploads.json?filename=log.txt", 201, content=b"line", headers={"content-type": "text/plain"}
    )
    token = upload["upload"]["token"]

    ticket = site.new_ticket(comment={"body": "see file", "uploads": [token]})

    attachment = site.get(f"/tickets/{ticket['id']}/comments")["comments"][0]["attachments"][0]
    assert (attachment["file_name"], attachment["size"]) == ("log.txt", 4)
    assert site.client.get(attachment["content_url"]).content == b"line"


def test_wrong_paths_have_their_own_errors(site):
    assert site.get("/tickets/abc.json", 400)["error"]["title"] == "Invalid attribute"
    assert site.get("/tickets/999.json", 404)["error"] == "RecordNotFound"
    assert site.get("/nothing", 404)["error"] == "InvalidEndpoint"
    assert site.send("PATCH", "/tickets/1.json", 404)["error"] == "InvalidEndpoint"


def test_a_body_that_is_not_json_is_400(site):
    site.send("POST", "/tickets.json", 400, content=b"{not json", headers={"content-type": "application/json"})
    site.send("POST", "/tickets.json", 400, json={"no": "ticket"})
