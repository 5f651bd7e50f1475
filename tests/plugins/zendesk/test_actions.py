"""The actions of a Zendesk connection: the exact requests they send, what they tell, and what makes them stop."""

import json

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk.mapping import Shape, TicketMapping

MARKER = "cxb:0123456789abcdef"
TICKET = "/api/v2/tickets/5512.json"
TAGS = "/api/v2/tickets/5512/tags.json"
COMMENTS = "/api/v2/tickets/5512/comments.json"
STAMP = {"updated_stamp": "2026-05-06T08:40:11Z", "safe_update": True}
CONFLICT = {"error": "UpdateConflict", "description": "Safe Update prevented the update due to outdated ticket data."}


def sent(route):
    """The bodies of all requests to a route."""
    return [json.loads(call.request.content) for call in route.calls]


def answers(*bodies, status=200):
    return [httpx.Response(status, json=body) for body in bodies]


def audit(*comments, metadata=None):
    events = [{"id": 1, "type": "Change", "field_name": "status", "value": "open"}]
    events += [{"id": id_, "type": "Comment", "public": False, "body": "x"} for id_ in comments]
    return {"id": 900, "ticket_id": 5512, "events": events, "metadata": {"system": {}, "custom": metadata or {}}}


@pytest.fixture
def ticket(desk, make_ticket):
    """Give ticket 5512 some fields; writes answer with them changed as asked."""

    def there(now=None, after=None, comments=()):
        now, after = now or {}, after or {}
        desk.get(TICKET, name="read").respond(json={"ticket": make_ticket(**now)})
        changed = {"updated_at": "2026-05-06T08:46:13Z", **now, **after}
        desk.put(TICKET, name="put").respond(json={"ticket": make_ticket(**changed), "audit": audit(*comments)})
        return desk["put"]

    return there


def as_pulled(make_ticket, **changed):
    """The ticket as the next pull would show it."""
    row = make_ticket(**changed)
    shape = Shape("https://acme.zendesk.com", {"severity": 901, "region": 902})
    import msgspec

    from cxbridge.plugins.zendesk import wire

    return TicketMapping(shape)(msgspec.convert(row, wire.Ticket, strict=False))


class TestEnsure:
    @pytest.fixture
    def none_yet(self, desk):
        desk.get("/api/v2/tickets.json", name="look").respond(json={"tickets": [], "count": 0})

    @pytest.fixture
    def made(self, desk, make_ticket, none_yet):
        row = make_ticket(6001, external_id=MARKER, updated_at="2026-05-06T08:46:13Z")
        body = {"ticket": row, "audit": audit(77)}
        return desk.post("/api/v2/tickets.json", name="post").respond(201, json=body)

    def test_a_ticket_is_made_under_the_marker_as_key_and_external_id(self, desk, made, perform, call):
        receipt = perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails", body="Since 40%."), None))
        assert desk["look"].calls.last.request.url.params["external_id"] == MARKER
        assert made.calls.last.request.headers["idempotency-key"] == MARKER
        assert sent(made) == [
            {
                "ticket": {
                    "subject": "Export fails",
                    "comment": {"body": "Since 40%.", "public": False},
                    "external_id": MARKER,
                }
            }
        ]
        assert (receipt.stream, receipt.key, receipt.source_key) == ("tickets", "6001", "6001")
        assert receipt.url == "https://acme.zendesk.com/agent/tickets/6001"
        assert receipt.made == ("tickets/6001", "comments/77")
        assert (receipt.changed, receipt.version) == (True, "2026-05-06T08:46:13Z")
        assert receipt.wrote["external_id"] == MARKER
        assert receipt.wrote["tags"] == ["export", "vip"]

    def test_everything_that_can_be_said(self, made, perform, call, desk):
        desk.get("/api/v2/groups.json").respond(
            json={"groups": [{"id": 5, "name": "Tier 2"}], "meta": {"has_more": False}}
        )
        inputs = cx.EnsureTicket(
            subject="Export fails",
            body="Since 40%.",
            project="tier 2",
            type="incident",
            priority="Urgent",
            severity="S1",
            labels=["VIP", "From Jira"],
            requester_email="mia@globex.test",
            custom={"region": "emea", "777": "nightly"},
        )
        receipt = perform("ticket.ensure", call(inputs, None))
        assert sent(made)[0]["ticket"] == {
            "subject": "Export fails",
            "comment": {"body": "Since 40%.", "public": True},
            "external_id": MARKER,
            "requester": {"email": "mia@globex.test", "name": "mia"},
            "priority": "urgent",
            "type": "incident",
            "tags": ["vip", "from_jira"],
            "custom_fields": [
                {"id": 902, "value": "emea"},
                {"id": 777, "value": "nightly"},
                {"id": 901, "value": "S1"},
            ],
            "group_id": 5,
        }
        assert receipt.told == ""

    def test_one_that_was_made_before_is_adopted_the_oldest_of_several(self, desk, perform, call, make_ticket):
        rows = [
            make_ticket(6002, external_id=MARKER),
            make_ticket(6001, external_id=MARKER),
            make_ticket(9, external_id="x"),
        ]
        desk.get("/api/v2/tickets.json").respond(json={"tickets": rows})
        receipt = perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails"), None))
        assert (receipt.key, receipt.changed, receipt.made) == ("6001", False, ())

    def test_what_an_unanswered_call_made_is_found_and_counts_as_made(self, desk, find, call, make_ticket):
        desk.get("/api/v2/tickets.json").respond(json={"tickets": [make_ticket(6001, external_id=MARKER)]})
        receipt = find("ticket.ensure", call(cx.EnsureTicket(subject="Export fails"), None))
        assert (receipt.key, receipt.changed, receipt.made) == ("6001", True, ("tickets/6001",))

    def test_nothing_is_found_where_nothing_was_made(self, none_yet, find, call):
        assert find("ticket.ensure", call(cx.EnsureTicket(subject="Export fails"), None)) is None

    @pytest.mark.parametrize("key", ["5512", "#5512"])
    def test_a_ticket_that_is_named_wins(self, ticket, desk, perform, call, key):
        ticket()
        receipt = perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails", match=key), None))
        assert (receipt.key, receipt.changed) == ("5512", False)
        assert [one.request.method for one in desk.calls if "oauth" not in one.request.url.path] == ["GET"]

    def test_a_ticket_that_is_named_and_gone_is_not_made_anew(self, desk, perform, call):
        desk.get(TICKET).respond(404, json={"error": "RecordNotFound"})
        with pytest.raises(cx.NotFound):
            perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails", match="5512"), None))

    def test_a_key_used_with_another_body_is_told(self, desk, none_yet, perform, call):
        desk.post("/api/v2/tickets.json").respond(
            400, json={"error": "IdempotentRequestError", "description": "no match"}
        )
        with pytest.raises(cx.Rejected, match="not there any more: look for it"):
            perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails"), None))

    def test_no_answer_leaves_it_unknown_and_is_not_repeated(self, desk, none_yet, perform, call):
        route = desk.post("/api/v2/tickets.json").mock(side_effect=httpx.ReadTimeout("late"))
        with pytest.raises(cx.Retryable) as problem:
            perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails"), None))
        assert problem.value.sent is True
        assert route.call_count == 1

    def test_a_twin_under_way_leaves_it_unknown(self, desk, none_yet, perform, call):
        desk.post("/api/v2/tickets.json").respond(409, json={"error": "Conflict"})
        with pytest.raises(cx.Retryable) as problem:
            perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails"), None))
        assert problem.value.sent is True

    def test_severity_without_a_field_for_it_is_left_out_and_told(self, connect, client, made, call):
        plain = connect()
        ensure = next(action for action in plain.actions() if action.name == "ticket.ensure")
        receipt = ensure.perform(client, call(cx.EnsureTicket(subject="Export fails", severity="S1"), None))
        assert "severity was left out" in receipt.told
        assert "custom_fields" not in sent(made)[0]["ticket"]

    @pytest.mark.parametrize(
        ("inputs", "sentence"),
        [
            ({"priority": "P1"}, "say one of urgent, high, normal, low or none"),
            ({"type": "bug"}, "no ticket type bug"),
            ({"custom": {"country": "pl"}}, "no custom field is called country"),
            ({"match": "../users"}, "named by its number"),
        ],
    )
    def test_what_zendesk_has_not_is_rejected_before_anything_is_sent(
        self, none_yet, made, perform, call, inputs, sentence
    ):
        with pytest.raises(cx.Rejected, match=sentence):
            perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails", **inputs), None))
        assert made.call_count == 0

    def test_a_group_that_does_not_exist_is_rejected(self, desk, made, perform, call):
        desk.get("/api/v2/groups.json").respond(json={"groups": [], "meta": {"has_more": False}})
        with pytest.raises(cx.Rejected, match="no group is called Tier 9"):
            perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails", project="Tier 9"), None))
        assert made.call_count == 0

    def test_a_group_may_be_named_by_its_id(self, made, perform, call):
        perform("ticket.ensure", call(cx.EnsureTicket(subject="Export fails", project="12"), None))
        assert sent(made)[0]["ticket"]["group_id"] == 12

    def test_prose_in_html_goes_where_zendesk_takes_html_and_the_subject_stays_plain(self, connect, client, made, call):
        writer = connect(prose="html")
        ensure = next(action for action in writer.actions() if action.name == "ticket.ensure")
        assert ensure.prose == "html"
        ensure.perform(client, call(cx.EnsureTicket(subject="A &amp; <b>B</b>", body="<p>See</p>"), None))
        assert sent(made)[0]["ticket"]["subject"] == "A & B"
        assert sent(made)[0]["ticket"]["comment"] == {"html_body": "<p>See</p>", "public": False}


class TestSet:
    def test_all_goes_in_one_update_that_quotes_what_was_read(self, ticket, perform, call, make_ticket):
        after = {"status": "pending", "priority": "urgent", "tags": ["export", "escalated"], "subject": "New"}
        put = ticket(after={**after, "custom_fields": [{"id": 901, "value": "S2"}]}, comments=[77])
        inputs = cx.SetTicket(
            status_category="waiting",
            priority="urgent",
            severity="S2",
            subject="New",
            tags_add=["Escalated"],
            tags_remove=["vip"],
            note="Waiting for you.",
            note_visibility="internal",
        )
        receipt = perform("ticket.set", call(inputs))
        assert sent(put) == [
            {
                "ticket": {
                    "status": "pending",
                    "priority": "urgent",
                    "subject": "New",
                    "custom_fields": [{"id": 901, "value": "S2"}],
                    "tags": ["export", "escalated"],
                    "comment": {"body": "Waiting for you.", "public": False},
                    "metadata": {"cxbridge": MARKER},
                    **STAMP,
                }
            }
        ]
        assert receipt.made == ("comments/77",)
        assert receipt.version == "2026-05-06T08:46:13Z"
        pulled = as_pulled(make_ticket, **after, custom_fields=[{"id": 901, "value": "S2"}])
        assert receipt.wrote == {name: getattr(pulled, name) for name in receipt.wrote}
        assert receipt.wrote["status_category"] == "waiting"
        assert receipt.wrote["waiting_on"] == "requester"
        assert receipt.wrote["tags"] == ["escalated", "export"]
        assert receipt.wrote["custom"] == {"severity": "S2", "region": None}

    @pytest.mark.parametrize(
        ("held", "value", "alike"),
        [
            ("5", 5, True),
            (5.5, "5.5", True),
            (["a", "b"], ["b", "a"], True),
            (["a"], ["a", "b"], False),
            (True, True, True),
            (True, "True", False),
            (None, "", True),
            (None, False, False),
            ("a", None, False),
        ],
    )
    def test_a_custom_field_is_set_only_when_it_differs(self, ticket, perform, call, held, value, alike):
        put = ticket({"custom_fields": [{"id": 902, "value": held}]})
        perform("ticket.set", call(cx.SetTicket(custom={"region": value})))
        assert put.call_count == (0 if alike else 1)

    def test_a_priority_and_a_type_can_be_taken_away(self, ticket, perform, call):
        put = ticket()
        perform("ticket.set", call(cx.SetTicket(priority="none", type="other")))
        assert sent(put) == [{"ticket": {"priority": None, "type": None, **STAMP}}]

    @pytest.mark.parametrize(
        "inputs",
        [
            {"status_category": "open"},
            {"status_category": "in_progress"},
            {"priority": "high"},
            {"type": "incident"},
            {"subject": "Export job fails"},
            {"tags_add": ["VIP"], "tags_remove": ["gone"]},
            {"custom": {"777": "nightly", "region": ""}},
            {},
        ],
    )
    def test_nothing_is_sent_when_nothing_would_change(self, ticket, perform, call, inputs):
        put = ticket()
        receipt = perform("ticket.set", call(cx.SetTicket(**inputs)))
        assert (receipt.changed, put.call_count) == (False, 0)

    def test_a_ticket_on_hold_is_waiting_already(self, ticket, perform, call):
        put = ticket({"status": "hold"})
        assert perform("ticket.set", call(cx.SetTicket(status_category="waiting"))).changed is False
        assert put.call_count == 0

    @pytest.mark.parametrize(("visibility", "public"), [("public", True), ("internal", False)])
    def test_a_note_always_says_whether_the_customer_sees_it(self, ticket, perform, call, visibility, public):
        put = ticket(comments=[77])
        perform("ticket.set", call(cx.SetTicket(note="Hello", note_visibility=visibility)))
        assert sent(put)[0]["ticket"]["comment"]["public"] is public

    @pytest.mark.parametrize(
        ("inputs", "sentence"),
        [
            ({"note": "Hello"}, "a note needs note_visibility"),
            ({"note": "Hello", "note_visibility": "restricted"}, "no restricted comments"),
            ({"status_category": "cancelled"}, "cannot bring a ticket to cancelled"),
            ({"status_category": "new"}, "cannot bring a ticket to new"),
            ({"priority": "blocker"}, "no priority of that name"),
            ({"type": "change"}, "no ticket type change"),
            ({"custom": {"country": "pl"}}, "no custom field is called country"),
        ],
    )
    def test_what_zendesk_has_not_is_rejected(self, ticket, perform, call, inputs, sentence):
        put = ticket()
        with pytest.raises(cx.Rejected, match=sentence):
            perform("ticket.set", call(cx.SetTicket(**inputs)))
        assert put.call_count == 0

    def test_severity_without_a_field_for_it_is_rejected(self, connect, client, ticket, call):
        ticket()
        plain = connect()
        set_ = next(action for action in plain.actions() if action.name == "ticket.set")
        with pytest.raises(cx.Rejected, match="give a custom field the alias severity"):
            set_.perform(client, call(cx.SetTicket(severity="S1")))

    def test_somebody_quicker_is_respected_and_what_they_did_is_kept(self, desk, perform, call, make_ticket):
        theirs = {"tags": ["export", "vip", "theirs"], "updated_at": "2026-05-06T08:45:00Z"}
        desk.get(TICKET).mock(side_effect=answers({"ticket": make_ticket()}, {"ticket": make_ticket(**theirs)}))
        put = desk.put(TICKET).mock(
            side_effect=[
                httpx.Response(409, json=CONFLICT),
                *answers({"ticket": make_ticket(tags=["export", "theirs", "vip", "ours"]), "audit": audit()}),
            ]
        )
        receipt = perform("ticket.set", call(cx.SetTicket(tags_add=["ours"])))
        assert [one["ticket"]["updated_stamp"] for one in sent(put)] == ["2026-05-06T08:40:11Z", "2026-05-06T08:45:00Z"]
        assert sent(put)[1]["ticket"]["tags"] == ["export", "vip", "theirs", "ours"]
        assert receipt.wrote == {"tags": ["export", "ours", "theirs", "vip"]}

    def test_somebody_who_did_the_same_leaves_nothing_to_do(self, desk, perform, call, make_ticket):
        desk.get(TICKET).mock(side_effect=answers({"ticket": make_ticket()}, {"ticket": make_ticket(status="solved")}))
        put = desk.put(TICKET).respond(409, json=CONFLICT)
        receipt = perform("ticket.set", call(cx.SetTicket(status_category="resolved")))
        assert (receipt.changed, put.call_count) == (False, 1)

    def test_after_three_lost_races_it_is_given_up(self, ticket, desk, perform, call):
        ticket()
        put = desk["put"].respond(409, json=CONFLICT)
        with pytest.raises(cx.Conflict, match="changed since it was read"):
            perform("ticket.set", call(cx.SetTicket(status_category="resolved")))
        assert put.call_count == 3

    def test_a_collision_in_the_vendors_database_is_tried_again_in_line(self, ticket, desk, perform, call, make_ticket):
        ticket()
        put = desk["put"].mock(
            side_effect=[
                httpx.Response(409, json={"error": "DatabaseConflict", "description": "Database collision"}),
                *answers({"ticket": make_ticket(status="solved"), "audit": audit()}),
            ]
        )
        assert perform("ticket.set", call(cx.SetTicket(status_category="resolved"))).changed is True
        assert put.call_count == 2

    def test_collisions_without_end_are_told_as_without_effect(self, ticket, desk, perform, call):
        ticket()
        desk["put"].respond(409, json={"error": "DatabaseConflict", "description": "Database collision"})
        with pytest.raises(cx.Retryable) as problem:
            perform("ticket.set", call(cx.SetTicket(status_category="resolved")))
        assert problem.value.sent is False

    @pytest.mark.parametrize("inputs", [{"status_category": "open"}, {"note": "Hello", "note_visibility": "internal"}])
    def test_a_closed_ticket_takes_nothing(self, ticket, perform, call, inputs):
        put = ticket({"status": "closed"})
        with pytest.raises(cx.Rejected, match="open a follow-up ticket instead"):
            perform("ticket.set", call(cx.SetTicket(**inputs)))
        assert put.call_count == 0

    def test_a_deleted_ticket_is_not_found(self, ticket, perform, call):
        put = ticket({"status": "deleted"})
        with pytest.raises(cx.NotFound, match="deleted"):
            perform("ticket.set", call(cx.SetTicket(status_category="open")))
        assert put.call_count == 0

    def test_what_the_vendor_finds_wrong_is_told_by_field(self, ticket, desk, perform, call):
        ticket()
        details = {"base": [{"description": "Region: is required when solving a ticket", "error": "BlankValue"}]}
        desk["put"].respond(
            422, json={"error": "RecordInvalid", "description": "Record validation errors", "details": details}
        )
        with pytest.raises(cx.Rejected, match="base: Region: is required when solving a ticket"):
            perform("ticket.set", call(cx.SetTicket(status_category="resolved")))

    def test_a_connection_may_let_the_last_writer_win(self, connect, client, ticket, call):
        put = ticket()
        careless = connect(safe_update=False)
        set_ = next(action for action in careless.actions() if action.name == "ticket.set")
        set_.perform(client, call(cx.SetTicket(status_category="resolved")))
        assert sent(put) == [{"ticket": {"status": "solved"}}]

    def test_a_drop_downs_tag_follows_its_field(self, ticket, perform, call):
        put = ticket({"tags": ["emea", "vip"], "custom_fields": [{"id": 902, "value": "emea"}]})
        perform("ticket.set", call(cx.SetTicket(custom={"region": "apac"}, tags_add=["new"])))
        assert sent(put)[0]["ticket"]["tags"] == ["vip", "new", "apac"]

    def test_the_label_of_the_new_status_is_told_where_the_account_has_labels(self, ticket, desk, perform, call):
        put = ticket({"custom_status_id": 8}, {"status": "solved", "custom_status_id": 9})
        desk.get("/api/v2/custom_statuses.json").respond(json={"custom_statuses": [{"id": 9, "agent_label": "Done"}]})
        receipt = perform("ticket.set", call(cx.SetTicket(status_category="resolved")))
        assert receipt.wrote == {
            "status_category": "resolved",
            "waiting_on": "none",
            "status_native": "Done",
            "status_native_id": "9",
        }
        writes = [one.request.method for one in desk.calls]
        assert (put.call_count, writes[-1]) == (1, "PUT")

    def test_find_with_a_note_goes_by_the_marker(self, ticket, desk, find, call, make_comment):
        ticket({"status": "pending"})
        inputs = cx.SetTicket(status_category="waiting", note="Hello", note_visibility="internal")
        route = desk.get(COMMENTS).respond(json={"comments": [make_comment(70)], "meta": {"has_more": False}})
        assert find("ticket.set", call(inputs)) is None
        assert dict(route.calls.last.request.url.params) == {"page[size]": "100", "sort": "-created_at"}
        rows = [make_comment(78), make_comment(77, marker=MARKER)]
        route.respond(json={"comments": rows, "meta": {"has_more": True, "after_cursor": "c"}})
        receipt = find("ticket.set", call(inputs))
        assert (receipt.made, receipt.changed) == (("comments/77",), True)
        assert receipt.wrote["status_category"] == "waiting"

    def test_find_without_a_note_looks_whether_the_fields_are_as_wanted(self, ticket, find, call):
        ticket()
        assert find("ticket.set", call(cx.SetTicket(status_category="resolved"))) is None
        receipt = find("ticket.set", call(cx.SetTicket(priority="high")))
        assert receipt.wrote == {"priority": "high", "priority_native": "high"}


class TestTransition:
    @pytest.mark.parametrize(("to", "status"), [("waiting", "pending"), ("resolved", "solved"), ("closed", "closed")])
    def test_it_sets_the_status_of_that_category(self, ticket, perform, call, to, status):
        put = ticket(after={"status": status})
        receipt = perform("ticket.transition", call(cx.Transition(to=to)))
        assert sent(put) == [{"ticket": {"status": status, **STAMP}}]
        assert receipt.wrote["status_category"] == to

    def test_where_it_is_already_nothing_is_sent(self, ticket, perform, call):
        put = ticket({"status": "closed"})
        assert perform("ticket.transition", call(cx.Transition(to="closed"))).changed is False
        assert put.call_count == 0

    def test_a_resolution_goes_into_its_field_or_is_told_as_left_out(self, connect, client, ticket, call):
        put = ticket(after={"status": "solved"})
        knowing = connect(fields={"resolution": 903})
        transition = next(action for action in knowing.actions() if action.name == "ticket.transition")
        transition.perform(client, call(cx.Transition(to="resolved", resolution="fixed")))
        assert sent(put)[0]["ticket"]["custom_fields"] == [{"id": 903, "value": "fixed"}]
        plain = connect()
        transition = next(action for action in plain.actions() if action.name == "ticket.transition")
        receipt = transition.perform(client, call(cx.Transition(to="resolved", resolution="fixed")))
        assert "custom_fields" not in sent(put)[1]["ticket"]
        assert "resolution was left out" in receipt.told


class TestComment:
    @pytest.fixture
    def none_yet(self, desk, make_comment):
        body = {"comments": [make_comment(70), make_comment(71, marker="cxb:another")], "meta": {"has_more": False}}
        return desk.get(COMMENTS, name="comments").respond(json=body)

    @pytest.mark.parametrize(("visibility", "public"), [("public", True), ("internal", False)])
    def test_it_is_said_once_with_the_marker_in_its_metadata(self, ticket, none_yet, perform, call, visibility, public):
        put = ticket(comments=[77])
        receipt = perform("comment.add_once", call(cx.AddComment(visibility=visibility, body="Escalated")))
        assert sent(put) == [
            {"ticket": {"comment": {"body": "Escalated", "public": public}, "metadata": {"cxbridge": MARKER}}}
        ]
        assert (receipt.stream, receipt.key, receipt.made) == ("tickets", "5512", ("comments/77",))
        assert receipt.changed is True

    def test_what_was_said_before_is_not_said_again(self, ticket, desk, perform, call, make_comment):
        put = ticket()
        first = {"comments": [make_comment(79)], "meta": {"has_more": True, "after_cursor": "c"}}
        second = {"comments": [make_comment(77, marker=MARKER)], "meta": {"has_more": False}}
        looked = desk.get(COMMENTS).mock(side_effect=answers(first, second))
        receipt = perform("comment.add_once", call(cx.AddComment(visibility="internal", body="Escalated")))
        assert (receipt.changed, receipt.made, put.call_count) == (False, ("comments/77",), 0)
        assert [dict(one.request.url.params) for one in looked.calls] == [
            {"page[size]": "100", "sort": "-created_at"},
            {"page[size]": "100", "page[after]": "c", "sort": "-created_at"},
        ]

    def test_find_tells_whether_it_was_said(self, desk, none_yet, find, call, make_comment):
        planned = call(cx.AddComment(visibility="internal", body="Escalated"))
        assert find("comment.add_once", planned) is None
        desk["comments"].respond(json={"comments": [make_comment(77, marker=MARKER)], "meta": {"has_more": False}})
        receipt = find("comment.add_once", planned)
        assert (receipt.changed, receipt.made) == (True, ("comments/77",))

    def test_restricted_is_refused_before_anything_is_asked(self, desk, perform, call):
        with pytest.raises(cx.Rejected, match="no restricted comments: say internal or public"):
            perform("comment.add_once", call(cx.AddComment(visibility="restricted", body="Escalated")))
        assert desk.calls.call_count == 0

    def test_a_closed_ticket_takes_no_comment(self, ticket, none_yet, desk, perform, call):
        ticket()
        details = {"status": [{"description": "Status: closed prevents ticket update", "error": "InvalidValue"}]}
        desk["put"].respond(
            422, json={"error": "RecordInvalid", "description": "Record validation errors", "details": details}
        )
        with pytest.raises(cx.Rejected, match="open a follow-up ticket instead"):
            perform("comment.add_once", call(cx.AddComment(visibility="internal", body="Escalated")))

    def test_no_answer_leaves_it_unknown(self, ticket, none_yet, desk, perform, call):
        ticket()
        put = desk["put"].mock(side_effect=httpx.ReadTimeout("late"))
        with pytest.raises(cx.Retryable) as problem:
            perform("comment.add_once", call(cx.AddComment(visibility="internal", body="Escalated")))
        assert (problem.value.sent, put.call_count) == (True, 1)

    def test_prose_in_html(self, connect, client, ticket, none_yet, call):
        put = ticket()
        writer = connect(prose="html")
        comment = next(action for action in writer.actions() if action.name == "comment.add_once")
        comment.perform(client, call(cx.AddComment(visibility="internal", body="<p>See</p>")))
        assert sent(put)[0]["ticket"]["comment"] == {"html_body": "<p>See</p>", "public": False}


class TestTags:
    @pytest.fixture
    def tags(self, desk):
        for method in ("PUT", "POST", "DELETE"):
            desk.request(method, TAGS, name=method).respond(json={"tags": ["vip", "b", "a"]})
        return desk

    @pytest.mark.parametrize(
        ("inputs", "method", "body"),
        [
            ({"add": ["New One", "vip"]}, "PUT", {"tags": ["new_one"]}),
            ({"remove": ["VIP", "gone"]}, "DELETE", {"tags": ["vip"]}),
            (
                {"add": ["new"], "remove": ["vip"]},
                "POST",
                {"tags": ["export", "new"], **STAMP, "safe_update": "true"},
            ),
        ],
    )
    def test_the_tag_list_is_changed_in_one_call(self, ticket, tags, perform, call, inputs, method, body):
        ticket()
        receipt = perform("tags.set", call(cx.SetTags(**inputs)))
        assert sent(tags[method]) == [body]
        assert sum(tags[one].call_count for one in ("PUT", "POST", "DELETE")) == 1
        assert receipt.wrote == {"tags": ["a", "b", "vip"]}

    def test_nothing_is_sent_when_nothing_would_change(self, ticket, tags, perform, call):
        ticket()
        receipt = perform("tags.set", call(cx.SetTags(add=["vip"], remove=["gone"])))
        assert receipt.changed is False
        assert sum(tags[one].call_count for one in ("PUT", "POST", "DELETE")) == 0

    def test_a_lost_race_for_the_whole_list_is_run_again(self, desk, perform, call, make_ticket):
        desk.get(TICKET).mock(
            side_effect=answers({"ticket": make_ticket()}, {"ticket": make_ticket(tags=["vip", "theirs"])})
        )
        post = desk.post(TAGS).mock(
            side_effect=[httpx.Response(409, json=CONFLICT), *answers({"tags": ["theirs", "new"]})]
        )
        perform("tags.set", call(cx.SetTags(add=["new"], remove=["vip"])))
        assert [one["tags"] for one in sent(post)] == [["export", "new"], ["theirs", "new"]]

    def test_a_closed_ticket_keeps_its_tags(self, ticket, tags, perform, call):
        ticket({"status": "closed"})
        with pytest.raises(cx.Rejected, match="follow-up"):
            perform("tags.set", call(cx.SetTags(add=["new"])))


LINK = cx.EnsureLink(system="jira", key="ENG-12", ref="jira/issues/10012", url="https://jira.test/ENG-12")


class TestLink:
    @pytest.fixture
    def with_field(self, connect, client, call):
        writer = connect(link_field=905)
        link = next(action for action in writer.actions() if action.name == "link.ensure")
        return lambda: link.perform(client, call(LINK))

    def test_a_free_external_id_shows_it(self, ticket, perform, call):
        put = ticket(after={"external_id": "cxb:jira:ENG-12"})
        receipt = perform("link.ensure", call(LINK))
        assert sent(put) == [{"ticket": {"external_id": "cxb:jira:ENG-12", **STAMP}}]
        assert (receipt.wrote, receipt.told) == ({"external_id": "cxb:jira:ENG-12"}, "shown as the external id")

    @pytest.mark.parametrize(
        ("now", "told"),
        [
            ({"external_id": "cxb:jira:ENG-12"}, "shown as the external id"),
            ({"external_id": "crm-5", "tags": ["cxb_jira_eng-12"]}, "shown as a tag"),
        ],
    )
    def test_shown_once_is_enough(self, ticket, perform, call, now, told):
        put = ticket(now)
        receipt = perform("link.ensure", call(LINK))
        assert (receipt.changed, receipt.told, put.call_count) == (False, told, 0)

    @pytest.mark.parametrize("taken", ["crm-5", MARKER, "cxb:jira:ENG-11"])
    def test_an_external_id_that_says_something_else_is_left_and_a_tag_shows_it(
        self, ticket, desk, perform, call, taken
    ):
        put = ticket({"external_id": taken})
        tags = desk.put(TAGS).respond(json={"tags": ["vip", "export", "cxb_jira_eng-12"]})
        receipt = perform("link.ensure", call(LINK))
        assert (sent(tags), put.call_count) == ([{"tags": ["cxb_jira_eng-12"]}], 0)
        assert (receipt.wrote, receipt.told) == ({"tags": ["cxb_jira_eng-12", "export", "vip"]}, "shown as a tag")

    @pytest.mark.parametrize(("held", "text"), [(None, "ENG-12"), ("ENG-11", "ENG-11, ENG-12")])
    def test_the_link_field_shows_it_where_there_is_one(self, ticket, with_field, held, text):
        fields = [{"id": 905, "value": held}]
        put = ticket({"external_id": "crm-5", "custom_fields": fields}, {"custom_fields": [{"id": 905, "value": text}]})
        receipt = with_field()
        assert sent(put) == [{"ticket": {"custom_fields": [{"id": 905, "value": text}], **STAMP}}]
        assert (receipt.told, receipt.wrote) == ("shown in the link field", {"custom": {"905": text}})

    def test_a_link_field_that_shows_it_already_is_left_alone(self, ticket, with_field):
        put = ticket({"external_id": "crm-5", "custom_fields": [{"id": 905, "value": "ENG-11, ENG-12"}]})
        assert (with_field().changed, put.call_count) == (False, 0)

    def test_a_closed_ticket_shows_no_new_link(self, ticket, perform, call):
        ticket({"status": "closed"})
        with pytest.raises(cx.Rejected, match="follow-up"):
            perform("link.ensure", call(LINK))


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("ticket.set", cx.SetTicket(priority="low")),
        ("ticket.transition", cx.Transition(to="resolved")),
        ("comment.add_once", cx.AddComment(visibility="internal", body="x")),
        ("tags.set", cx.SetTags(add=["x"])),
        ("link.ensure", LINK),
    ],
)
def test_an_action_without_its_ticket_is_rejected(perform, call, name, inputs):
    with pytest.raises(cx.Rejected, match="needs a ticket"):
        perform(name, call(inputs, None))


def test_inputs_of_another_action_are_the_callers_mistake(perform, call):
    with pytest.raises(cx.PluginError, match="takes SetTags, not Transition"):
        perform("tags.set", call(cx.Transition(to="resolved")))
