"""The streams of a Zendesk connection: what is asked page by page, where each cursor leads, what ends a walk."""

import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx

TICKETS = "/api/v2/incremental/tickets/cursor.json"
USERS = "/api/v2/incremental/users/cursor.json"
ORGANIZATIONS = "/api/v2/incremental/organizations.json"
EVENTS = "/api/v2/incremental/ticket_events.json"
RATINGS = "/api/v2/satisfaction_ratings.json"
ARTICLES = "/api/v2/help_center/incremental/articles.json"

INCLUDE = "users,groups,organizations,metric_sets"


def answers(*bodies):
    return [httpx.Response(200, json=body) for body in bodies]


def asked(route):
    return [dict(call.request.url.params) for call in route.calls]


class TestTickets:
    def test_start_time_goes_with_the_first_request_only_and_include_with_every_one(self, desk, pull, make_ticket):
        route = desk.get(TICKETS).mock(
            side_effect=answers(
                {"tickets": [make_ticket(1)], "after_cursor": "a", "end_of_stream": False},
                {"tickets": [make_ticket(2)], "after_cursor": "b", "end_of_stream": True},
            )
        )
        pages = pull("tickets")
        assert asked(route) == [
            {"include": INCLUDE, "per_page": "1000", "start_time": "0"},
            {"include": INCLUDE, "per_page": "1000", "cursor": "a"},
        ]
        assert [page.cursor for page in pages] == [{"after": "a"}, {"after": "b"}]
        assert [entity.source_id for page in pages for entity in page.entities] == ["1", "2"]

    def test_the_cursor_of_the_end_is_where_the_next_pull_goes_on(self, desk, pull, make_ticket):
        route = desk.get(TICKETS).respond(json={"tickets": [], "after_cursor": "b", "end_of_stream": True})
        [page] = pull("tickets", {"after": "b"})
        assert asked(route) == [{"include": INCLUDE, "per_page": "1000", "cursor": "b"}]
        assert (page.cursor, list(page.entities)) == ({"after": "b"}, [])

    def test_an_account_without_tickets_leaves_the_cursor_alone(self, desk, pull):
        desk.get(TICKETS).respond(json={"tickets": [], "after_cursor": None, "end_of_stream": True})
        assert [page.cursor for page in pull("tickets")] == [None]

    def test_the_raw_bytes_are_the_vendors_own_ticket_by_ticket(self, desk, pull, make_ticket):
        first, second = '{"id": 1,  "status":"open"}', '{"id":2,"status":"new", "unknown":[1]}'
        body = f'{{"tickets":[{first} , {second}],"after_cursor":"a","end_of_stream":true}}'
        desk.get(TICKETS).respond(text=body)
        [page] = pull("tickets")
        assert list(page.raw) == [first.encode(), second.encode()]

    def test_a_start_date_is_where_the_first_pull_begins(self, connect, desk, client, account):
        route = desk.get(TICKETS).respond(json={"tickets": [], "end_of_stream": True})
        started = connect(start="2026-01-01", per_page=50)
        list(next(s for s in started.streams() if s.name == "tickets").pages(client, None))
        assert asked(route) == [{"include": INCLUDE, "per_page": "50", "start_time": "1767225600"}]

    def test_a_start_in_the_last_minute_is_moved_out_of_it(self, connect, desk, client, clock):
        route = desk.get(TICKETS).respond(json={"tickets": [], "end_of_stream": True})
        started = connect(start=(clock.now() + timedelta(days=1)).date())
        list(next(s for s in started.streams() if s.name == "tickets").pages(client, None))
        assert asked(route)[0]["start_time"] == str(int(clock.now().timestamp()) - 61)

    def test_too_recent_a_start_is_asked_again_by_the_vendors_clock(self, connect, desk, client, clock):
        theirs = clock.now() - timedelta(minutes=10)
        route = desk.get(TICKETS).mock(
            side_effect=[
                httpx.Response(400, json={"error": "StartTimeTooRecent"}, headers={"date": format_datetime(theirs)}),
                *answers({"tickets": [], "end_of_stream": True}),
            ]
        )
        started = connect(start=(clock.now() + timedelta(days=1)).date())
        pages = list(next(s for s in started.streams() if s.name == "tickets").pages(client, None))
        assert len(pages) == 1
        assert asked(route)[1]["start_time"] == str(int(theirs.timestamp()) - 61)

    def test_a_start_that_stays_too_recent_means_nothing_new(self, desk, pull):
        desk.get(TICKETS).respond(400, json={"error": "StartTimeTooRecent"})
        assert pull("tickets") == []

    def test_one_bad_ticket_is_told_and_the_page_goes_on(self, desk, pull, make_ticket):
        rows = [make_ticket(1), make_ticket(2, tags=7), make_ticket(3)]
        desk.get(TICKETS).respond(json={"tickets": rows, "after_cursor": "a", "end_of_stream": True})
        [page] = pull("tickets")
        assert [entity.source_id for entity in page.entities] == ["1", "3"]
        assert len(page.raw) == 2
        assert list(page.refused) == ["ticket 2: tags: Expected `array | null`, got `int`"]

    @pytest.mark.parametrize(
        "body",
        [
            '{"tickets": []}',
            '{"end_of_stream": true}',
            '{"tickets": {}, "end_of_stream": true}',
            "[]",
            "not json",
            "<html>Sign in</html>",
        ],
    )
    def test_what_is_no_page_stops_the_stream(self, desk, pull, body):
        desk.get(TICKETS).respond(text=body)
        with pytest.raises(cx.WireFormat):
            pull("tickets")

    def test_people_companies_and_teams_come_beside(self, desk, pull, make_ticket):
        body = {
            "tickets": [make_ticket(1)],
            "users": [
                {"id": 3, "role": "end-user", "name": "Mia"},
                {"id": 4, "role": "agent", "name": "Ana"},
                {"id": "x"},
            ],
            "organizations": [{"id": 5, "name": "Globex"}],
            "groups": [{"id": 6, "name": "Tier 2"}],
            "after_cursor": "a",
            "end_of_stream": True,
        }
        desk.get(TICKETS).respond(json=body)
        [page] = pull("tickets")
        assert {stream: [type(e).__name__ for e in found] for stream, found in page.beside.items()} == {
            "users": ["Contact", "Agent"],
            "organizations": ["Account"],
            "groups": ["Container"],
        }
        assert list(page.refused) == ["a user without a usable id: id: Expected `int`, got `str`"]

    @pytest.mark.parametrize("inside", [True, False])
    def test_counts_are_found_inside_a_ticket_or_beside_it(self, desk, pull, make_ticket, inside):
        counts = {"id": 8, "ticket_id": 1, "reopens": 2, "replies": 5}
        body: dict[str, Any] = {"tickets": [make_ticket(1)], "after_cursor": "a", "end_of_stream": True}
        if inside:
            body["tickets"][0]["metric_set"] = counts
        else:
            body["metric_sets"] = [counts]
        desk.get(TICKETS).respond(json=body)
        [page] = pull("tickets")
        [found] = page.entities
        assert isinstance(found, cx.Ticket)
        assert (found.reopen_count, found.reply_count) == (2, 5)

    def test_labels_of_statuses_are_read_once_a_pull_and_only_when_needed(self, desk, pull, make_ticket):
        labels = desk.get("/api/v2/custom_statuses.json").respond(
            json={"custom_statuses": [{"id": 9, "agent_label": "In hand", "status_category": "open"}]}
        )
        desk.get(TICKETS).mock(
            side_effect=answers(
                {"tickets": [make_ticket(1)], "after_cursor": "a", "end_of_stream": False},
                {"tickets": [make_ticket(2, custom_status_id=9)], "after_cursor": "b", "end_of_stream": False},
                {"tickets": [make_ticket(3, custom_status_id=9)], "after_cursor": "c", "end_of_stream": True},
            )
        )
        found = [entity for page in pull("tickets") for entity in page.entities]
        assert [entity.status_native for entity in found] == ["open", "In hand", "In hand"]
        assert labels.call_count == 1

    def test_whatever_a_ticket_is_mapped_by_makes_another_mapping(self, connect, desk, client, make_ticket):
        labels = {"custom_statuses": [{"id": 9, "agent_label": "In hand"}]}
        page = {"tickets": [make_ticket(1, custom_status_id=9)], "after_cursor": "a", "end_of_stream": True}
        desk.get(TICKETS).respond(json=page)
        seen = []
        for settings, label in (
            ({}, "In hand"),
            ({}, "In hand"),
            ({}, "At work"),
            ({"fields": {"severity": 901}}, "In hand"),
            ({"fields": {"severity": 902}}, "In hand"),
            ({"tier_field": "plan"}, "In hand"),
        ):
            labels["custom_statuses"][0]["agent_label"] = label
            desk.get("/api/v2/custom_statuses.json").respond(json=labels)
            read = next(one for one in connect(**settings).streams() if one.name == "tickets").pages
            [page] = read(client, None)
            seen.append(page.rows["tickets"].mapping)
        assert seen[0] == seen[1]
        assert len(set(seen)) == 5

    def test_counts_that_stand_beside_a_ticket_are_a_part_of_it(self, desk, account, client, make_ticket):
        body = {"tickets": [make_ticket(1), make_ticket(2)], "after_cursor": "a", "end_of_stream": True}
        desk.get(TICKETS).respond(json=body | {"metric_sets": [{"ticket_id": 2, "reopens": 3}]})
        [page] = next(one for one in account.streams() if one.name == "tickets").pages(client, None)
        rows = page.rows["tickets"]
        assert {key: json.loads(raw) for key, raw in rows.also.items()} == {"2": {"ticket_id": 2, "reopens": 3}}
        assert [rows.key(raw) for raw in rows.raw] == ["1", "2"]

    def test_for_tickets_that_webhooks_name_labels_are_read_once_a_minute(
        self, desk, account, client, clock, make_ticket
    ):
        labels = desk.get("/api/v2/custom_statuses.json").respond(
            json={"custom_statuses": [{"id": 9, "agent_label": "In hand", "status_category": "open"}]}
        )
        for number in (1, 2, 3):
            desk.get(f"/api/v2/tickets/{number}.json").respond(json={"ticket": make_ticket(number, custom_status_id=9)})
        [tickets] = [one for one in account.streams() if one.name == "tickets"]
        shown = [tickets.one(client, key).entities[0].status_native for key in ("1", "2")]
        clock.advance(61)
        shown.append(tickets.one(client, "3").entities[0].status_native)
        assert shown == ["In hand"] * 3
        assert labels.call_count == 2

    @pytest.mark.parametrize("status", [403, 404])
    def test_an_account_without_custom_statuses_shows_the_plain_word(self, desk, pull, make_ticket, status):
        desk.get("/api/v2/custom_statuses.json").respond(status, json={"error": "InvalidEndpoint"})
        page = {"tickets": [make_ticket(1, custom_status_id=9)], "after_cursor": "a", "end_of_stream": True}
        desk.get(TICKETS).respond(json=page)
        [found] = [entity for page in pull("tickets") for entity in page.entities]
        assert found.status_native == "open"

    def test_a_cursor_that_leads_back_is_noticed(self, desk, pull, make_ticket):
        bodies = [
            {"tickets": [make_ticket(1 + number % 2)], "after_cursor": "ab"[number % 2], "end_of_stream": False}
            for number in range(9)
        ]
        desk.get(TICKETS).mock(side_effect=answers(*bodies))
        with pytest.raises(cx.WireFormat, match="goes in circles"):
            pull("tickets")

    def test_the_same_page_under_ever_new_cursors_is_noticed(self, desk, pull, make_ticket):
        bodies = [{"tickets": [make_ticket(1)], "after_cursor": str(n), "end_of_stream": False} for n in range(9)]
        desk.get(TICKETS).mock(side_effect=answers(*bodies))
        with pytest.raises(cx.WireFormat, match="goes in circles"):
            pull("tickets")

    def test_the_same_ticket_changed_again_is_no_circle(self, desk, pull, make_ticket):
        bodies = [
            {
                "tickets": [make_ticket(1, generated_timestamp=1778056811 + n)],
                "after_cursor": str(n),
                "end_of_stream": n == 3,
            }
            for n in range(4)
        ]
        desk.get(TICKETS).mock(side_effect=answers(*bodies))
        assert len(pull("tickets")) == 4

    def test_empty_pages_without_an_end_are_noticed(self, desk, pull):
        bodies = [{"tickets": [], "after_cursor": str(n), "end_of_stream": False} for n in range(99)]
        desk.get(TICKETS).mock(side_effect=answers(*bodies))
        with pytest.raises(cx.WireFormat, match="empty pages and no end"):
            pull("tickets")

    def test_a_page_that_neither_ends_nor_leads_on_is_noticed(self, desk, pull, make_ticket):
        desk.get(TICKETS).respond(json={"tickets": [make_ticket(1)], "after_cursor": None, "end_of_stream": False})
        with pytest.raises(cx.WireFormat, match="gives no cursor"):
            pull("tickets")

    def test_every_page_can_be_gone_on_from(self, desk, pull, make_ticket):
        at = {None: 0, "a": 1, "b": 2, "c": 3}

        def answer(request):
            place = at[request.url.params.get("cursor")]
            rows = [make_ticket(place)] if place < 3 else []
            return httpx.Response(
                200, json={"tickets": rows, "after_cursor": "abcc"[place], "end_of_stream": place >= 2}
            )

        desk.get(TICKETS).mock(side_effect=answer)
        whole = pull("tickets")
        assert [e.source_id for page in whole for e in page.entities] == ["0", "1", "2"]
        for number, page in enumerate(whole):
            rest = [e.source_id for later in pull("tickets", page.cursor) for e in later.entities]
            assert rest == ["0", "1", "2"][number + 1 :]

    def test_a_missing_right_to_export_stops_the_stream_with_a_remedy(self, desk, pull):
        desk.get(TICKETS).respond(403, json={"error": {"title": "Forbidden", "message": "no"}})
        with pytest.raises(cx.Rejected, match="give it the admin role"):
            pull("tickets")

    def test_the_vendors_limit_is_waited_for_in_line_when_it_is_short(self, desk, pull, clock):
        route = desk.get(TICKETS).mock(
            side_effect=[
                httpx.Response(429, headers={"retry-after": "7"}),
                *answers({"tickets": [], "after_cursor": "a", "end_of_stream": True}),
            ]
        )
        before = clock.now()
        assert len(pull("tickets")) == 1
        assert route.call_count == 2
        assert clock.now() - before >= timedelta(seconds=7)

    def test_a_long_limit_is_left_to_the_caller(self, desk, pull, clock):
        desk.get(TICKETS).respond(429, headers={"retry-after": "93"})
        with pytest.raises(cx.RateLimited) as problem:
            pull("tickets")
        assert problem.value.retry_at == clock.now() + timedelta(seconds=93)


class TestUsers:
    def test_they_are_walked_by_cursor(self, desk, pull):
        route = desk.get(USERS).mock(
            side_effect=answers(
                {"users": [{"id": 3, "name": "Mia", "role": "end-user"}], "after_cursor": "a", "end_of_stream": False},
                {
                    "users": [{"id": 4, "name": "Ana", "role": "admin"}, {"id": None}],
                    "after_cursor": "b",
                    "end_of_stream": True,
                },
            )
        )
        pages = pull("users")
        assert asked(route) == [{"per_page": "1000", "start_time": "0"}, {"per_page": "1000", "cursor": "a"}]
        assert [type(e).__name__ for page in pages for e in page.entities] == ["Contact", "Agent"]
        assert [page.cursor for page in pages] == [{"after": "a"}, {"after": "b"}]
        assert list(pages[1].refused) == ["a user without a usable id: id: Expected `int`, got `null`"]


def company(id_):
    return {"id": id_, "name": f"Company {id_}", "updated_at": "2026-05-06T08:40:11Z"}


class TestOrganizations:
    def test_they_are_walked_by_time_until_the_vendor_says_so(self, desk, pull):
        route = desk.get(ORGANIZATIONS).mock(
            side_effect=answers(
                {
                    "organizations": [company(1)],
                    "end_time": 100,
                    "end_of_stream": False,
                    "next_page": "https://else.test",
                },
                {"organizations": [company(1), company(2)], "end_time": 200, "end_of_stream": True, "next_page": "x"},
            )
        )
        pages = pull("organizations")
        assert asked(route) == [{"per_page": "1000", "start_time": "0"}, {"per_page": "1000", "start_time": "100"}]
        assert [page.cursor for page in pages] == [{"start_time": 100}, {"start_time": 200}]

    @pytest.mark.parametrize("end_time", [None, 1, 900])
    def test_an_empty_window_does_not_move_the_cursor(self, desk, pull, end_time):
        desk.get(ORGANIZATIONS).respond(
            json={"organizations": [], "end_time": end_time, "end_of_stream": True, "count": 0}
        )
        [page] = pull("organizations", {"start_time": 500})
        assert page.cursor == {"start_time": 500}

    def test_more_than_a_page_in_one_second_is_read_from_the_list(self, desk, pull):
        stuck = {"organizations": [company(1), company(2)], "end_time": 100, "end_of_stream": False}
        route = desk.get(ORGANIZATIONS).mock(
            side_effect=answers(stuck, {"organizations": [company(9)], "end_time": 300, "end_of_stream": True})
        )
        listed = desk.get("/api/v2/organizations.json").mock(
            side_effect=answers(
                {"organizations": [company(1), company(2)], "meta": {"has_more": True, "after_cursor": "l"}},
                {"organizations": [company(3)], "meta": {"has_more": False, "after_cursor": "m"}},
            )
        )
        pages = pull("organizations", {"start_time": 100})
        assert [page.cursor for page in pages] == [
            {"behind": 100},
            {"behind": 100, "after": "l"},
            {"start_time": 101},
            {"start_time": 300},
        ]
        assert asked(listed) == [{"page[size]": "100"}, {"page[size]": "100", "page[after]": "l"}]
        assert asked(route)[1]["start_time"] == "101"
        assert {e.source_id for page in pages for e in page.entities} == {"1", "2", "3", "9"}

    def test_a_pull_that_ended_within_the_list_goes_on_there(self, desk, pull):
        listed = desk.get("/api/v2/organizations.json").mock(
            side_effect=answers({"organizations": [company(3)], "meta": {"has_more": False}})
        )
        desk.get(ORGANIZATIONS).respond(json={"organizations": [], "end_time": None, "end_of_stream": True})
        pages = pull("organizations", {"behind": 100, "after": "l"})
        assert asked(listed) == [{"page[size]": "100", "page[after]": "l"}]
        assert [page.cursor for page in pages] == [{"start_time": 101}, {"start_time": 101}]


def event(id_, *children, **changed):
    return {
        "id": id_,
        "ticket_id": 5512,
        "timestamp": 1778056811,
        "created_at": "2026-05-06T08:40:11Z",
        "updater_id": 7,
        "via": "Web form",
        "event_type": "Audit",
        "child_events": list(children),
        **changed,
    }


def said(id_, **changed):
    return {"id": id_, "event_type": "Comment", "public": True, "author_id": 7, "body": "Hello", "via": {}, **changed}


class TestComments:
    def test_they_are_taken_out_of_the_ticket_events(self, desk, pull):
        change = {"id": 70, "event_type": "Change", "status": "open", "previous_value": "new"}
        rows = [event(1, change, said(71)), event(2, said(72, public=False), ticket_id=5513), event(3, change)]
        route = desk.get(EVENTS).respond(json={"ticket_events": rows, "end_time": 900, "end_of_stream": True})
        [page] = pull("comments")
        assert asked(route) == [{"include": "comment_events", "start_time": "0"}]
        assert [(e.source_id, e.ticket, e.visibility, e.channel) for e in page.entities] == [
            ("71", "tickets/5512", "public", "web_form"),
            ("72", "tickets/5513", "internal", "web_form"),
        ]
        assert page.cursor == {"start_time": 900}
        assert len(page.raw) == 2

    def test_a_comment_that_does_not_fit_is_told_by_its_id(self, desk, pull):
        rows = [event(1, said(71, public=None), said(72)), {"id": 3}]
        desk.get(EVENTS).respond(json={"ticket_events": rows, "end_time": 900, "end_of_stream": True})
        [page] = pull("comments")
        assert [e.source_id for e in page.entities] == ["72"]
        assert list(page.refused) == [
            "comment 71: public: Expected `bool`, got `null`",
            "ticket event 3: Object missing required field `ticket_id`",
        ]

    @pytest.mark.parametrize("kind", ["CommentPrivacyChange", "CommentRedactionEvent"])
    def test_a_comment_changed_later_is_read_again(self, desk, pull, make_comment, kind):
        rows = [event(1, {"id": 80, "event_type": kind, "comment_id": 71})]
        desk.get(EVENTS).respond(json={"ticket_events": rows, "end_time": 900, "end_of_stream": True})
        listed = desk.get("/api/v2/tickets/5512/comments.json").mock(
            side_effect=answers(
                {"comments": [make_comment(70)], "meta": {"has_more": True, "after_cursor": "c"}},
                {"comments": [make_comment(71)], "meta": {"has_more": False}},
            )
        )
        [page] = pull("comments")
        assert [(e.source_id, e.visibility) for e in page.entities] == [("71", "internal")]
        assert asked(listed) == [{"page[size]": "100"}, {"page[size]": "100", "page[after]": "c"}]

    def test_comments_of_a_ticket_that_is_gone_are_none(self, desk, pull):
        rows = [event(1, {"id": 80, "event_type": "CommentRedactionEvent", "comment_id": 71})]
        desk.get(EVENTS).respond(json={"ticket_events": rows, "end_time": 900, "end_of_stream": True})
        desk.get("/api/v2/tickets/5512/comments.json").respond(404, json={"error": "RecordNotFound"})
        [page] = pull("comments")
        assert list(page.entities) == []

    def test_a_start_within_the_last_minute_means_nothing_new(self, desk, pull):
        desk.get(EVENTS).respond(400, json={"error": "StartTimeTooRecent"})
        assert pull("comments", {"start_time": 1778057170}) == []

    def test_an_export_that_stands_still_stops_with_its_cursor_unmoved(self, desk, pull):
        desk.get(EVENTS).respond(json={"ticket_events": [event(1, said(71))], "end_time": 500, "end_of_stream": False})
        with pytest.raises(cx.WireFormat, match="stand still at 500"):
            pull("comments", {"start_time": 500})


def rating(id_, updated="2026-05-06T08:40:11Z", **changed):
    return {"id": id_, "score": "good", "ticket_id": 5512, "requester_id": 3, "updated_at": updated, **changed}


class TestRatings:
    def test_the_cursor_moves_on_at_the_end_to_the_latest_one_seen(self, desk, pull):
        route = desk.get(RATINGS).mock(
            side_effect=answers(
                {
                    "satisfaction_ratings": [rating(1, "2026-05-06T08:40:11Z")],
                    "meta": {"has_more": True, "after_cursor": "r"},
                },
                {"satisfaction_ratings": [rating(2, "2026-05-06T08:30:00Z")], "meta": {"has_more": False}},
            )
        )
        pages = pull("satisfaction_ratings", {"start_time": 1778000000})
        first = {"start_time": str(1778000000 - 86400), "score": "received", "page[size]": "100"}
        assert asked(route) == [first, {**first, "page[after]": "r"}]
        assert [page.cursor for page in pages] == [
            {"start_time": 1778000000, "after": "r", "latest": 1778056811},
            {"start_time": 1778056811},
        ]
        assert [e.score for page in pages for e in page.entities] == [1.0, 1.0]

    def test_a_pull_that_ended_half_way_goes_on_and_remembers_the_latest(self, desk, pull):
        desk.get(RATINGS).respond(
            json={"satisfaction_ratings": [rating(2, "2026-05-01T00:00:00Z")], "meta": {"has_more": False}}
        )
        [page] = pull("satisfaction_ratings", {"start_time": 1778000000, "after": "r", "latest": 1778056811})
        assert page.cursor == {"start_time": 1778056811}

    def test_an_account_that_answers_in_one_page_the_old_way_is_read(self, desk, pull):
        desk.get(RATINGS).respond(json={"satisfaction_ratings": [rating(1)], "next_page": None, "count": 1})
        assert [e.source_id for page in pull("satisfaction_ratings") for e in page.entities] == ["1"]

    @pytest.mark.parametrize(
        ("status", "body", "reason"),
        [
            (403, {"error": {"title": "Forbidden", "message": "no"}}, "give it the admin role, or the plan lacks"),
            (404, {"error": "InvalidEndpoint", "description": "Not found"}, "does not have that feature"),
            (404, {"error": "RecordNotFound", "description": "Not found"}, "gone, or hidden"),
        ],
    )
    def test_an_account_without_ratings_says_so_and_stays_where_it_is(self, desk, pull, status, body, reason):
        desk.get(RATINGS).respond(status, json=body)
        [page] = pull("satisfaction_ratings", {"start_time": 5})
        assert (list(page.entities), page.cursor) == ([], {"start_time": 5})
        [told] = page.refused
        assert told.startswith("satisfaction ratings cannot be read: ")
        assert reason in told


class TestGroups:
    def test_all_are_read_every_time(self, desk, pull):
        route = desk.get("/api/v2/groups.json").mock(
            side_effect=answers(
                {"groups": [{"id": 5, "name": "Tier 1"}], "meta": {"has_more": True, "after_cursor": "g"}},
                {"groups": [{"id": 6, "name": "Tier 2"}, {"id": 7}], "meta": {"has_more": False, "after_cursor": "h"}},
            )
        )
        pages = pull("groups")
        assert asked(route) == [{"page[size]": "100"}, {"page[size]": "100", "page[after]": "g"}]
        assert [page.cursor for page in pages] == [{"after": "g"}, None]
        assert list(pages[1].refused) == ["group 7: Object missing required field `name`"]

    def test_a_list_that_turns_in_circles_is_noticed(self, desk, pull):
        body = {"groups": [{"id": 5, "name": "Tier 1"}], "meta": {"has_more": True, "after_cursor": "g"}}
        desk.get("/api/v2/groups.json").respond(json=body)
        with pytest.raises(cx.WireFormat, match="goes in circles"):
            pull("groups")


def article(id_, **changed):
    return {"id": id_, "title": f"Article {id_}", "body": "<p>Text</p>", "locale": "en-us", **changed}


class TestArticles:
    def test_they_are_walked_by_time_while_there_is_a_next_page(self, desk, pull):
        route = desk.get(ARTICLES).mock(
            side_effect=answers(
                {"articles": [article(1)], "count": 1, "next_page": "https://acme.zendesk.com/x", "end_time": 100},
                {"articles": [article(2)], "count": 1, "next_page": None, "end_time": 200},
            )
        )
        pages = pull("articles")
        assert asked(route) == [
            {"start_time": "0", "sort_by": "updated_at", "sort_order": "asc"},
            {"start_time": "100", "sort_by": "updated_at", "sort_order": "asc"},
        ]
        assert [page.cursor for page in pages] == [{"start_time": 100}, {"start_time": 200}]

    def test_an_empty_window_does_not_send_the_next_pull_back_to_the_beginning(self, desk, pull):
        desk.get(ARTICLES).respond(json={"articles": [], "count": 0, "next_page": None, "end_time": 1})
        [page] = pull("articles", {"start_time": 500})
        assert page.cursor == {"start_time": 500}

    def test_more_than_a_page_in_one_second_is_noticed(self, desk, pull):
        desk.get(ARTICLES).respond(json={"articles": [article(1)], "next_page": "x", "end_time": 500})
        with pytest.raises(cx.WireFormat, match="stand still at 500"):
            pull("articles", {"start_time": 500})

    def test_translations_come_along_when_they_are_wanted(self, connect, desk, client):
        route = desk.get(ARTICLES).respond(
            json={"articles": [article(1, translations=[{"locale": "pl", "title": "Artykuł"}])], "end_time": 100}
        )
        wanting = connect(translations=True)
        [page] = next(s for s in wanting.streams() if s.name == "articles").pages(client, None)
        assert asked(route)[0]["include"] == "translations"
        assert [e.source_id for e in page.entities] == ["1", "1:pl"]
        assert len(page.raw) == 2

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (401, {"error": "Couldn't authenticate you"}),
            (403, {"error": {"title": "Forbidden", "message": "no"}}),
            (404, {"error": "InvalidEndpoint"}),
        ],
    )
    def test_a_plan_without_guide_is_no_bad_credential(self, desk, pull, status, body):
        desk.get(ARTICLES).respond(status, json=body)
        [page] = pull("articles", {"start_time": 5})
        assert (list(page.entities), page.cursor) == ([], {"start_time": 5})
        [told] = page.refused
        assert told.startswith("articles cannot be read: ")
