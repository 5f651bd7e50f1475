"""Faults by name: what a client sees of each, and what the vendor did all the same."""

import base64
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec
import pytest

from cxbridge.sandbox import faults, zendesk
from cxbridge.sandbox.faults import NAMES, Faults
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

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
    assert request.unheard
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


@pytest.mark.parametrize("how", [30, "http-date", "absent", "absurd", "garbled"])
def test_rate_limited_says_when_in_five_ways(site, how):
    add(site, "rate_limited", params={"retry_after": how, "seconds": 90})

    reply = site.ask("GET", "/tickets.json")

    assert reply.status_code == 429
    after = reply.headers.get("retry-after")
    if how == "http-date":
        assert parsedate_to_datetime(after) == datetime(2026, 5, 6, 8, 47, 43, tzinfo=UTC)
    elif how == "absurd":
        assert int(after) > 10**9
    else:
        assert after == {30: "30", "absent": None, "garbled": "in a little while"}[how]
    request = site.world.journal.requests("zendesk")[-1]
    assert (request.retry_after, request.date) == (after or "", reply.headers["date"])


def test_an_answer_that_nobody_waited_for_is_unheard(site):
    add(site, "latency", params={"seconds": 0.3}, times=2)

    with pytest.raises(httpx.ReadTimeout):
        site.ask("GET", "/tickets.json", timeout=0.1)
    site.ask("GET", "/tickets.json")

    asked = sorted(site.world.journal.requests("zendesk"), key=lambda one: one.began)
    assert [one.unheard for one in asked] == [True, False]


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


def test_a_length_that_tells_too_much_leaves_the_client_waiting_until_the_end(site):
    add(site, "wrong_length", params={"by": 7})

    with pytest.raises(httpx.RemoteProtocolError, match="expected"):
        site.ask("GET", "/users/me.json")

    site.get("/users/me.json")


def test_a_length_that_tells_too_little_cuts_the_answer_and_spoils_the_next(site):
    whole = site.ask("GET", "/users/me.json").content
    add(site, "wrong_length", params={"by": -7})

    assert site.ask("GET", "/users/me.json").content == whole[:-7]
    with pytest.raises(httpx.RemoteProtocolError, match="status line"):
        site.ask("POST", "/tickets.json", json=TICKET)
    assert site.kinds() == ["ticket.created"]
    assert site.ask("GET", "/users/me.json").content == whole


@pytest.mark.parametrize("how", ["cut", "garbage", "checksum"])
def test_broken_gzip_cannot_be_read(site, how):
    whole = site.ask("GET", "/users/me.json").content
    add(site, "broken_gzip", params={"how": how})

    with site.client.stream("GET", f"{site.sandbox.zendesk_url}/api/v2/users/me.json") as reply:
        raw = b"".join(reply.iter_raw())

    assert reply.headers["content-encoding"] == "gzip"
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    if how == "cut":
        assert whole.startswith(inflate.decompress(raw))
        assert not inflate.eof
    else:
        with pytest.raises(zlib.error):
            inflate.decompress(raw)


def test_a_bomb_is_small_on_the_wire_and_large_behind_it(site):
    add(site, "broken_gzip", params={"how": "bomb"})

    with site.client.stream("GET", f"{site.sandbox.zendesk_url}/api/v2/users/me.json") as reply:
        raw = b"".join(reply.iter_raw())

    assert len(raw) < 1_000_000
    inflate, size = zlib.decompressobj(16 + zlib.MAX_WBITS), 0
    while not inflate.eof:
        size += len(inflate.decompress(raw, 1_000_000))
        raw = inflate.unconsumed_tail
    assert size > 200_000_000


@pytest.mark.parametrize("params", [{}, {"told": True}, {"gzip": True}], ids=["chunked", "told", "gzip"])
def test_a_huge_answer_is_valid_and_never_held_whole(site, params):
    me = site.ask("GET", "/users/me.json").content
    tracemalloc.start()
    add(site, "huge", params={"bytes": 60_000_000, **params})

    with site.client.stream("GET", f"{site.sandbox.zendesk_url}/api/v2/users/me.json") as reply:
        size, last = 0, b""
        for piece in reply.iter_bytes():
            size += len(piece)
            last = (last + piece)[-len(me) :]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (size, last) == (60_000_000 + len(me), me)
    assert ("content-length" in reply.headers) is bool(params.get("told"))
    assert peak < 30_000_000


def test_who_hangs_up_on_a_huge_answer_ends_it(site):
    add(site, "huge", params={"bytes": 10**12})

    with site.client.stream("GET", f"{site.sandbox.zendesk_url}/api/v2/users/me.json") as reply:
        next(reply.iter_bytes())

    site.get("/users/me.json")


def test_wrong_charset_is_not_utf8(site):
    add(site, "wrong_charset")
    add(site, "wrong_charset", params={"encoding": "utf-16"})

    latin, wide = site.ask("GET", "/users/me.json"), site.ask("GET", "/users/me.json")

    assert "utf-8" in latin.headers["content-type"]
    with pytest.raises(UnicodeDecodeError):
        latin.content.decode()
    assert "é" in latin.content.decode("latin-1")
    assert wide.content[:2] in (b"\xff\xfe", b"\xfe\xff")


def test_nan_and_depth_stand_where_they_were_asked_for(site):
    zendesk.load(site.world, [{"subject": "a"}])
    add(site, "nan", params={"path": "tickets.0.priority"})
    add(site, "nan")
    add(site, "deep", params={"path": "tickets.0.subject", "levels": 1000})
    add(site, "deep")

    there, first, inside, whole = (site.ask("GET", "/tickets.json").text for _ in range(4))

    assert '"priority":NaN' in there
    assert first.count("NaN") == 1
    assert '"subject":' + "[" * 1000 + "]" * 1000 in inside
    assert whole == "[" * 100_000 + "]" * 100_000


def test_rows_shift_a_cursor_is_forgotten_and_pages_go_in_circles(site):
    zendesk.load(site.world, [{"subject": str(n), "age": f"{9 - n}d"} for n in range(6)])
    path = "/incremental/tickets/cursor.json"

    def page(**asked):
        told = site.get(path, per_page=2, **asked)
        return [row["id"] for row in told["tickets"]], told["after_cursor"]

    add(site, "cursor_reset", path_regex="incremental")
    add(site, "cursor_loop", path_regex="incremental", times=4)
    first, then = page(start_time=0)
    assert first == [1, 2]
    assert page(cursor=then)[0] == [1, 2], "it began anew"
    second, then = page(cursor=then)
    assert second == [3, 4]
    assert [page(cursor=then)[0] for _ in range(4)] == [[1, 2], [3, 4], [1, 2], [3, 4]]
    assert page(cursor=then)[0] == [5, 6]
    add(site, "skip_item", params={"at": 1})
    assert page(start_time=0)[0] == [1]


def test_a_cached_answer_is_given_until_it_is_too_old(site):
    zendesk.load(site.world, [{"subject": "a"}])
    add(site, "stale", params={"seconds": 100}, times=None)
    assert len(site.get("/tickets.json")["tickets"]) == 1  # nothing was asked before, so nothing can be old
    site.new_ticket()
    assert len(site.get("/tickets.json")["tickets"]) == 1
    site.wait(101)
    assert len(site.get("/tickets.json")["tickets"]) == 2


def test_what_an_integration_wrote_shows_late_in_lists_alone(site):
    marker = "cxb:0123456789abcdef"
    add(site, "late_visible", method="GET", params={"seconds": 60}, times=None)
    made = site.new_ticket(external_id=marker)
    site.new_ticket()

    assert site.get("/tickets.json", external_id=marker)["tickets"] == []
    assert len(site.get("/tickets.json")["tickets"]) == 1
    assert site.get(f"/tickets/{made['id']}.json")["ticket"]["external_id"] == marker
    site.wait(61)
    assert [row["id"] for row in site.get("/tickets.json", external_id=marker)["tickets"]] == [made["id"]]


def test_one_vendors_clock_can_be_wrong_and_step_back(site):
    site.control("POST", "/clock/skew", json={"vendor": "zendesk", "seconds": 600})
    ahead = site.ask("GET", "/users/me.json").headers["date"]
    made = site.new_ticket()
    site.control("POST", "/clock/skew", json={"vendor": "zendesk", "seconds": -600})
    behind = site.ask("GET", "/users/me.json").headers["date"]

    assert parsedate_to_datetime(ahead) == datetime(2026, 5, 6, 8, 56, 13, tzinfo=UTC)
    assert parsedate_to_datetime(behind) == datetime(2026, 5, 6, 8, 36, 13, tzinfo=UTC)
    assert made["created_at"] == "2026-05-06T08:56:13Z"
    [effect] = site.world.journal.effects("ticket.created")
    assert effect.t == datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC).timestamp(), "the journal keeps the true time"
    assert site.control("POST", "/clock/skew", json={"vendor": "zendesk", "seconds": 0})["skews"] == {}
    site.control("POST", "/clock/skew", 400, json={"vendor": "zendesk"})


# -- every fault of every vendor ---------------------------------------------------------------------------------------

AUTH = {"authorization": "Basic " + base64.b64encode(b"bridge@example.test:sandbox-token").decode()}
# A request that reads from each vendor, and what it answers when its credential, or the reach of that, is refused.
READS = {
    "zendesk": (
        "GET",
        "/api/v2/tickets.json",
        {"authorization": "Basic " + base64.b64encode(b"bridge@example.test/token:sandbox-token").decode()},
    ),
    "jira": ("GET", "/rest/api/3/myself", AUTH),
    "gainsight": ("GET", "/v1/meta/services/objects/list", {"accesskey": "sandbox-token"}),
    "qualtrics": ("GET", "/API/v3/whoami", {"x-api-token": "sandbox-token"}),
    "slack": ("GET", "/api/auth.test", {"authorization": "Bearer sandbox-token"}),
}
REFUSED = {
    "zendesk": (401, 403),
    "jira": (401, 401),
    "gainsight": (401, 403),
    "qualtrics": (401, 403),
    "slack": (200, 200),
}


@pytest.fixture(scope="module")
def vendors():
    options = {"gainsight": {"per_minute": None}, "qualtrics": {"limits": None}, "slack": {"limits": None}}
    world = World(zendesk_options={"limits": None}, jira_options={"limits": None}, options=options)
    with Sandbox(world) as running, httpx.Client(trust_env=False, timeout=5) as client:

        def ask(vendor, **more):
            method, path, headers = READS[vendor]
            return client.request(method, f"{running.url(vendor)}{path}", headers={**headers, **more})

        yield world, ask


def broken(ask, vendor):
    with pytest.raises((httpx.TransportError, httpx.DecodingError)):
        ask(vendor)


def no_json(ask, vendor):
    reply = ask(vendor)
    assert reply.status_code == 200
    with pytest.raises((ValueError, RecursionError)):
        msgspec.json.decode(reply.content)


def answers(status):
    def judge(ask, vendor):
        assert ask(vendor).status_code == status

    return judge


def whole(ask, vendor):
    assert ask(vendor).status_code == 200


def refused(index):
    def judge(ask, vendor):
        reply = ask(vendor)
        assert reply.status_code == REFUSED[vendor][index]
        assert vendor != "slack" or reply.json()["ok"] is False

    return judge


Judge = Callable[[Any, str], None]

# How a client sees each; those that need a first answer, or rows, are looked at above and in the matrix.
SEEN: dict[str, tuple[dict[str, Any], Judge]] = {
    "status": ({"code": 503}, answers(503)),
    "rate_limited": ({"retry_after": "garbled"}, answers(429)),
    "reset": ({}, broken),
    "ghost": ({}, broken),
    "limit_data": ({"bytes": 5}, broken),
    "wrong_length": ({}, broken),
    "slicer": ({}, whole),
    "slow_close": ({"seconds": 0}, whole),
    "broken_gzip": ({"how": "garbage"}, broken),
    "latency": ({"seconds": 0}, whole),
    "html": ({}, no_json),
    "bad_json": ({}, no_json),
    "wrong_charset": ({"encoding": "utf-16"}, no_json),
    "nan": ({"path": "*"}, no_json),
    "deep": ({}, no_json),
    "huge": ({"bytes": 1000}, whole),
    "rewrite": ({"set": {"*": None}}, whole),
    "duplicate_page": ({}, whole),
    "skip_item": ({}, whole),
    "cursor_reset": ({}, whole),
    "cursor_loop": ({}, whole),
    "stale": ({}, whole),
    "late_visible": ({}, whole),
    "revoke_token": ({}, refused(0)),
    "scope_removed": ({}, refused(1)),
}


@pytest.mark.parametrize("vendor", READS)
@pytest.mark.parametrize("name", NAMES)
def test_every_fault_can_be_asked_of_every_vendor(vendors, vendor, name):
    world, ask = vendors
    assert ask(vendor).status_code == 200
    params, judge = SEEN[name]
    world.faults.add(name, vendor, **params)
    judge(ask, vendor)
    world.faults.clear()
    again = ask(vendor)
    assert again.status_code == 200
    assert vendor != "slack" or again.json()["ok"] is True
