"""Faults by name: what a client sees of each, and what the vendor did all the same."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from cxbridge.sandbox import faults, zendesk
from cxbridge.sandbox.faults import NAMES, Faults

TICKET = {"ticket": {"subject": "x", "comment": {"body": "y"}}}


def add(site, name, **rule):
    return site.control("POST", "/faults", 201, json={"name": name, "vendor": "zendesk", **rule})["fault"]


def test_reset_ends_the_connection_before_the_vendor_acts(site):
    add(site, "reset", method="POST")

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        site.ask("POST", "/tickets.json", json=TICKET)

    assert site.kinds() == []
    request = site.world.journal.requests("zendesk")[-1]
    assert (request.status, request.fault) == (0, "reset")
    site.new_ticket()


def test_ghost_does_the_work_and_loses_the_answer(site):
    add(site, "ghost", method="POST", path_regex="tickets")

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        site.ask("POST", "/tickets.json", json=TICKET, headers={"idempotency-key": "k-1"})

    assert site.kinds() == ["ticket.created"]
    request = site.world.journal.requests("zendesk")[-1]
    assert (request.status, request.fault, request.actor) == (201, "ghost", "bridge@example.test")
    assert request.request_headers["idempotency-key"] == "k-1"
    assert site.ask("POST", "/tickets.json", json=TICKET, headers={"idempotency-key": "k-1"}).status_code == 201
    assert site.kinds() == ["ticket.created"]


def test_a_ghost_may_hang_until_the_client_gives_up(site):
    add(site, "ghost", method="POST", params={"seconds": 0.5})

    with pytest.raises(httpx.ReadTimeout):
        site.ask("POST", "/tickets.json", json=TICKET, timeout=0.1)

    assert site.kinds() == ["ticket.created"]


def test_limit_data_cuts_the_body_under_its_full_length(site):
    zendesk.load(site.world, [{"subject": "a"}])
    add(site, "limit_data", params={"bytes": 10})

    with site.client.stream("GET", f"{site.sandbox.zendesk_url}/api/v2/tickets.json") as reply:
        assert int(reply.headers["content-length"]) > 10
        with pytest.raises(httpx.RemoteProtocolError, match="received 10 bytes"):
            reply.read()

    site.get("/tickets.json")


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_status_answers_without_asking_the_vendor(site, code):
    add(site, "status", params={"code": code, "headers": {"retry-after": "7"}})

    reply = site.ask("POST", "/tickets.json", json=TICKET)

    assert (reply.status_code, reply.headers["retry-after"]) == (code, "7")
    assert reply.headers["date"] == "Wed, 06 May 2026 08:46:13 GMT"
    assert site.kinds() == []


def test_status_may_say_anything(site):
    body = '{"tickets": [NaN'
    add(site, "status", params={"code": 200, "body": body, "headers": {"Content-Type": "application/json"}})

    reply = site.ask("GET", "/tickets.json")

    assert (reply.text, reply.headers["content-type"]) == (body, "application/json")


@pytest.mark.parametrize("how", [30, "http-date", "absent", "absurd"])
def test_rate_limited_says_when_in_four_ways(site, how):
    add(site, "rate_limited", params={"retry_after": how, "seconds": 90})

    reply = site.ask("GET", "/tickets.json")

    assert reply.status_code == 429
    after = reply.headers.get("retry-after")
    if how == "http-date":
        assert parsedate_to_datetime(after) == datetime(2026, 5, 6, 8, 47, 43, tzinfo=UTC)
    elif how == "absurd":
        assert int(after) > 10**9
    else:
        assert after == {30: "30", "absent": None}[how]


def test_html_is_a_login_page_with_200(site):
    add(site, "html")

    reply = site.ask("GET", "/tickets.json")

    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<form" in reply.text


def test_bad_json_breaks_off_under_a_matching_length(site):
    add(site, "bad_json", method="POST")

    reply = site.ask("POST", "/tickets.json", json=TICKET)

    assert reply.status_code == 201
    assert int(reply.headers["content-length"]) == len(reply.content)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        reply.json()
    assert site.kinds() == ["ticket.created"]


def test_rewrite_plays_a_schema_that_drifts(site):
    zendesk.load(site.world, [{"subject": "a"}, {"subject": "b"}])
    params = {"set": {"tickets.*.status": "triaged", "tickets.1.mood": None}, "drop": ["tickets.*.priority"]}
    add(site, "rewrite", params=params)

    rows = site.get("/tickets.json")["tickets"]

    assert [row["status"] for row in rows] == ["triaged", "triaged"]
    assert [("mood" in row, "priority" in row) for row in rows] == [(False, False), (True, False)]
    assert site.get("/tickets.json")["tickets"][0]["status"] == "new"


def test_duplicate_page_serves_the_page_before_again(site):
    zendesk.load(site.world, [{"subject": str(n), "age": f"{9 - n}d"} for n in range(4)])
    path = "/incremental/tickets/cursor.json"
    add(site, "duplicate_page", path_regex="incremental")
    first = site.get(path, start_time=0, per_page=2)
    assert len(first["tickets"]) == 2  # nothing to repeat yet, so the fault waits

    again = site.get(path, cursor=first["after_cursor"], per_page=2)
    second = site.get(path, cursor=again["after_cursor"], per_page=2)

    assert again == first
    assert [row["id"] for row in second["tickets"]] == [3, 4]


def test_latency_leaves_room_for_another_fault(site):
    add(site, "latency", params={"seconds": 0.01}, times=2)
    add(site, "status", params={"code": 503})

    assert site.ask("GET", "/tickets.json").status_code == 503
    assert site.ask("GET", "/tickets.json").status_code == 200
    faults = [request.fault for request in site.world.journal.requests("zendesk")]
    assert faults == ["latency,status", "latency"]


@pytest.mark.parametrize("name", ["slicer", "slow_close"])
def test_slow_answers_arrive_whole(site, name):
    add(site, name, params={"bytes": 7, "seconds": 0})

    assert site.get("/users/me.json")["user"]["email"] == "bridge@example.test"
    assert site.get("/users/me.json")["user"]["email"] == "bridge@example.test"


def test_rules_wait_strike_and_run_out(site):
    add(site, "status", params={"code": 500}, after=1, times=2, path_regex=r"/tickets\.json$")

    codes = [site.ask("GET", "/tickets.json").status_code for _ in range(4)]

    assert codes == [200, 500, 500, 200]
    assert site.ask("GET", "/users.json").status_code == 200
    assert site.control("GET", "/faults")["faults"] == []


def test_rules_can_be_taken_back(site):
    one = add(site, "status", times=None)
    add(site, "status", times=None, params={"code": 502})
    assert site.ask("GET", "/tickets.json").status_code == 500

    site.control("DELETE", f"/faults/{one['id']}")
    assert site.ask("GET", "/tickets.json").status_code == 502
    assert site.control("DELETE", "/faults")["removed"] == 1
    assert site.ask("GET", "/tickets.json").status_code == 200
    site.control("DELETE", "/faults/99", 404)


@pytest.mark.parametrize(
    "rule", [{"name": "toast"}, {"name": "reset", "path_regex": "("}, {"name": "reset", "often": 3}, {"vendor": None}]
)
def test_broken_rules_are_refused_in_words(site, rule):
    told = site.control("POST", "/faults", 400, json={"name": "reset", "vendor": "zendesk", **rule})

    assert "fault" in told["error"]


def test_every_name_in_the_manual_exists():
    manual = faults.__doc__ or ""

    documented = [line.split()[0] for line in manual.splitlines() if line.startswith("    ") and line[4] != " "]

    assert sorted(documented) == sorted(NAMES)
    with pytest.raises(ValueError, match="toast"):
        Faults().add("toast", "zendesk")
