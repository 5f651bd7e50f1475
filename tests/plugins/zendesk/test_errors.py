"""Zendesk's error answers: four envelopes in, what happens next out; and which header tells which limit."""

import json
from datetime import UTC, datetime

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.http.verdict import verdict
from cxbridge.plugins.zendesk import Zendesk, limits
from cxbridge.plugins.zendesk.errors import Absent, ClosedTicket, Forbidden, KeyReused, StartTimeTooRecent, Told, told

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
TICKET = "/api/v2/tickets/5512.json"


def reply(status, body="", *, method="GET", path=TICKET, headers=None):
    text = body if isinstance(body, str) else json.dumps(body)
    return cx.Reply(method, path, status, headers or {}, text.encode(), NOW)


def judged(status, body="", **more):
    endpoint = Zendesk.model_validate({"subdomain": "acme", "access_token": "fine"}).endpoint()
    method = more.get("method", "GET")
    return verdict(reply(status, body, **more), endpoint, safe=method == "GET")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "RecordNotFound", "description": "Not found"}, Told("RecordNotFound", "Not found")),
        ({"error": "Couldn't authenticate you"}, Told("Couldn't authenticate you")),
        ({"error": {"title": "Forbidden", "message": "Contact the owner"}}, Told("Forbidden", "Contact the owner")),
        (
            {"errors": [{"code": "InvalidPaginationDepth", "title": "Depth", "detail": "Too deep"}]},
            Told("InvalidPaginationDepth", "Too deep"),
        ),
        ({"errors": [{"code": "X", "title": "Title only"}]}, Told("X", "Title only")),
        (
            {
                "error": "RecordInvalid",
                "description": "Record validation errors",
                "details": {"subject": [{"description": "Subject: cannot be blank"}], "base": [{"error": "TooLong"}]},
            },
            Told("RecordInvalid", "subject: Subject: cannot be blank; base: TooLong", ("subject", "base")),
        ),
        (
            {"error": "RecordInvalid", "details": {"a": "odd", "b": [3]}},
            Told("RecordInvalid", "a: odd; b: ", ("a", "b")),
        ),
        ({"error": "invalid_token", "error_description": "Expired"}, Told("invalid_token", "Expired")),
        ({}, Told()),
        ([], Told()),
        ({"error": None, "errors": []}, Told()),
    ],
)
def test_every_envelope_is_read(body, expected):
    assert told(body) == expected


def test_addresses_quotes_and_length_stay_out_of_sentences():
    details = {"email": [{"description": 'Email: mia@globex.test is used by "Mia Lee" ' + "x" * 300}]}
    sentence = told({"error": "RecordInvalid", "details": details}).sentence
    assert "mia@globex.test" not in sentence
    assert "Mia Lee" not in sentence
    assert len(sentence) == 160


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "StartTimeTooRecent"}, StartTimeTooRecent),
        (400, {"error": "IdempotentRequestError"}, KeyReused),
        (400, {"error": {"title": "Invalid attribute", "message": "id must be an integer"}}, cx.Rejected),
        (400, {"error": "TooManyValues", "max_count": 100}, cx.Rejected),
        (401, {"error": "Couldn't authenticate you"}, cx.Unauthorized),
        (401, {"error": "invalid_token", "error_description": "expired"}, cx.Unauthorized),
        (403, {"error": {"title": "Forbidden", "message": "no"}}, Forbidden),
        (404, {"error": "RecordNotFound", "description": "Not found"}, cx.NotFound),
        (404, {"error": "InvalidEndpoint", "description": "Not found"}, Absent),
        (404, "<html>nothing here</html>", cx.NotFound),
        (409, {"error": "UpdateConflict", "description": "outdated"}, cx.Conflict),
        (409, {"error": "DatabaseConflict", "description": "Database collision"}, cx.Retryable),
        (422, {"error": "RecordInvalid", "details": {"base": [{"description": "no"}]}}, cx.Rejected),
        (
            422,
            {
                "error": "RecordInvalid",
                "details": {"status": [{"description": "Status: closed prevents ticket update"}]},
            },
            ClosedTicket,
        ),
        (429, "", cx.RateLimited),
        (500, "<html>oops</html>", cx.Retryable),
        (503, "", cx.Retryable),
    ],
)
def test_the_table_of_the_vendors_errors(status, body, kind):
    assert type(judged(status, body)) is kind


def test_help_center_401_means_a_plan_without_it():
    path = "/api/v2/help_center/incremental/articles.json"
    error = judged(401, {"error": "Couldn't authenticate you"}, path=path)
    assert type(error) is Absent
    assert "set guide = false" in str(error)


def test_a_database_collision_is_certain_to_have_had_no_effect_and_a_lost_answer_is_not():
    collision = judged(409, {"error": "DatabaseConflict"}, method="PUT")
    assert isinstance(collision, cx.Retryable)
    assert collision.sent is False
    trouble = judged(502, "", method="PUT")
    assert isinstance(trouble, cx.Retryable)
    assert trouble.sent is True


def test_a_missing_scope_is_named_with_its_remedy():
    error = judged(403, {"error": "Forbidden", "description": "Missing the following required scopes: tickets:read"})
    assert "Missing the following required scopes: tickets:read: allow the scope" in str(error)


def test_retry_after_is_obeyed():
    error = judged(503, "", headers={"retry-after": "40"})
    assert isinstance(error, cx.Retryable)
    assert error.retry_at is not None
    assert (error.retry_at - NOW).total_seconds() == 40


def budgets(path=TICKET, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = limits.budgets(reply(200, path=path, headers=named))
    return {one.name: (one.limit, one.remaining, one.reset) for one in found}


def test_limits_are_read_under_all_their_names():
    assert budgets(x_rate_limit="400", x_rate_limit_remaining="394", ratelimit_reset="50") == {
        "account": (400, 394, 50)
    }
    assert budgets(ratelimit_limit="400", ratelimit_remaining="394") == {"account": (400, 394, None)}
    assert budgets(rate_limit="700", rate_limit_remaining="0", rate_limit_reset="43") == {"account": (700, 0, 43)}
    assert budgets() == {"account": (None, None, None)}
    assert budgets(x_rate_limit="many") == {"account": (None, None, None)}


def test_help_center_has_a_limit_of_its_own():
    path = "/api/v2/help_center/incremental/articles.json"
    assert budgets(path, x_rate_limit="400") == {"help-center": (400, None, None)}
    assert limits.buckets("GET", path) == ("help-center",)


def test_every_bucket_that_a_header_names_is_read():
    found = budgets(
        zendesk_ratelimit_incremental_exports_cursor="total=20; remaining=19; resets=60",
        zendesk_ratelimit_tickets_index="total=100;remaining=0",
        zendesk_ratelimit_per_ticket_updates="total=30; remaining=29; resets=468",
        zendesk_ratelimit_nonsense="what",
    )
    del found["account"]
    assert found == {
        "incremental-exports-cursor": (20, 19, 60),
        "tickets-index": (100, 0, None),
        "per-ticket-updates:5512": (30, 29, 468),
        "nonsense": (None, None, None),
    }


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("GET", "/api/v2/incremental/tickets/cursor.json", ("account", "incremental-exports-cursor")),
        ("GET", "/api/v2/incremental/users/cursor.json", ("account", "incremental-exports-cursor")),
        ("GET", "/api/v2/incremental/organizations.json", ("account", "incremental-exports")),
        ("GET", "/api/v2/incremental/ticket_events.json", ("account", "incremental-exports")),
        ("PUT", TICKET, ("account", "tickets-update", "per-ticket-updates:5512")),
        ("PUT", "/api/v2/tickets/5512/tags.json", ("account", "tickets-update", "per-ticket-updates:5512")),
        ("GET", TICKET, ("account",)),
        ("GET", "/api/v2/tickets.json", ("account", "tickets-index")),
        ("POST", "/api/v2/tickets.json", ("account",)),
    ],
)
def test_a_request_draws_from_the_limits_that_the_headers_will_name(method, path, names):
    assert limits.buckets(method, path) == names
