"""Who may call the simulated Zendesk, as whom, and how often."""

import base64
import hashlib

import httpx
import pytest

from cxbridge.sandbox import zendesk

CLIENT = {"client_id": "cxbridge", "client_secret": "sandbox-secret"}


def tokens(site, status=201, **body):
    reply = httpx.post(f"{site.sandbox.zendesk_url}/oauth/tokens", json={**CLIENT, **body}, trust_env=False)
    assert reply.status_code == status, reply.text
    return reply.json()


def bare(site, path, status, **headers):
    """A request with no credentials but those in `headers`."""
    reply = httpx.get(f"{site.sandbox.zendesk_url}/api/v2{path}", headers=headers, trust_env=False)
    assert reply.status_code == status, reply.text
    return reply.json()


def bearer(grant):
    return {"authorization": f"Bearer {grant['access_token']}"}


def basic(login):
    return {"authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


WRONG = [
    {},
    basic("bridge@example.test/token:wrong-token"),
    basic("nobody@example.test/token:sandbox-token"),
    basic("bridge@example.test:sandbox-token"),
    {"authorization": "Basic not-base64"},
    {"authorization": "Bearer wrong-token"},
]


@pytest.mark.parametrize("headers", WRONG)
def test_wrong_credentials_are_refused_but_users_me_answers_an_anonymous_user(site, headers):
    refused = bare(site, "/tickets/count.json", 401, **headers)

    assert refused["error"] in ("Couldn't authenticate you", "invalid_token")
    anonymous = bare(site, "/users/me.json", 200, **headers)["user"]
    assert (anonymous["id"], anonymous["name"]) == (None, "Anonymous user")


def test_an_api_token_acts_as_the_agent_whose_address_is_sent(site):
    zendesk.load(site.world, [{"kind": "user", "name": "Ana", "email": "ana@example.test", "role": "agent"}])

    assert site.get("/users/me.json")["user"]["email"] == "bridge@example.test"
    ana = bare(site, "/users/me.json", 200, **basic("Ana@example.test/token:sandbox-token"))["user"]
    assert (ana["email"], ana["role"]) == ("ana@example.test", "agent")


def test_client_credentials_give_a_token_that_expires(site):
    grant = tokens(site, grant_type="client_credentials", scope="read write", expires_in=600)

    assert (grant["token_type"], grant["scope"], grant["expires_in"]) == ("bearer", "read write", 600)
    assert bare(site, "/users/me.json", 200, **bearer(grant))["user"]["email"] == "bridge@example.test"
    site.wait(601)
    assert bare(site, "/tickets/count.json", 401, **bearer(grant))["error"] == "invalid_token"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"grant_type": "client_credentials", "client_secret": "wrong-secret"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "nobody"}, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "impersonate"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "expires_in": 300}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "made-up"}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "made-up"}, "invalid_grant"),
    ],
)
def test_the_token_endpoint_says_what_is_wrong(site, body, error):
    status = 401 if error == "invalid_client" else 400
    assert tokens(site, status, **body)["error"] == error


def test_an_unknown_scope_yields_a_token_that_may_do_nothing(site):
    grant = tokens(site, grant_type="client_credentials", scope="everything")

    refused = bare(site, "/tickets.json", 403, **bearer(grant))
    assert refused["description"] == "Missing the following required scopes: read"


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("read", "/tickets.json", 200),
        ("tickets:read", "/incremental/tickets/cursor.json?start_time=0", 200),
        ("tickets:read", "/users.json", 403),
        ("users:read", "/users.json", 200),
        ("hc:read", "/help_center/articles.json", 200),
        ("write", "/tickets.json", 403),
    ],
)
def test_scopes_open_what_they_name(site, scope, path, status):
    bare(site, path, status, **bearer(tokens(site, grant_type="client_credentials", scope=scope)))


def test_reading_scope_does_not_write(site):
    grant = tokens(site, grant_type="client_credentials", scope="read")
    body = {"ticket": {"subject": "x", "comment": {"body": "y"}}}

    reply = httpx.post(
        f"{site.sandbox.zendesk_url}/api/v2/tickets.json", json=body, headers=bearer(grant), trust_env=False
    )

    assert reply.status_code == 403
    assert site.kinds() == []


def test_refresh_rotates_and_a_replay_leaves_the_successor_alone(site):
    first = tokens(site, grant_type="client_credentials", scope="read")

    second = tokens(site, grant_type="refresh_token", refresh_token=first["refresh_token"])
    tokens(site, 400, grant_type="refresh_token", refresh_token=first["refresh_token"])

    bare(site, "/tickets.json", 401, **bearer(first))
    bare(site, "/tickets.json", 200, **bearer(second))
    assert second["scope"] == "read"


def test_a_code_is_redeemed_once_within_two_minutes_by_whoever_holds_the_verifier(site):
    verifier = "a-verifier-of-words"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    def code():
        reply = httpx.get(
            f"{site.sandbox.zendesk_url}/oauth/authorizations/new",
            params={
                "response_type": "code",
                "client_id": "cxbridge",
                "redirect_uri": "http://127.0.0.1/back",
                "scope": "read",
                "state": "s1",
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            trust_env=False,
        )
        assert reply.status_code == 302
        sent = httpx.URL(reply.headers["location"]).params
        assert sent["state"] == "s1"
        return sent["code"]

    def redeem(status, code, **more):
        body = {"grant_type": "authorization_code", "client_id": "cxbridge", "code": code, **more}
        reply = httpx.post(f"{site.sandbox.zendesk_url}/oauth/tokens", json=body, trust_env=False)
        assert reply.status_code == status, reply.text
        return reply.json()

    good = code()
    grant = redeem(201, good, code_verifier=verifier)
    bare(site, "/tickets.json", 200, **bearer(grant))
    redeem(400, good, code_verifier=verifier)
    redeem(400, code(), code_verifier="another")
    late = code()
    site.wait(121)
    redeem(400, late, code_verifier=verifier)


def test_revoked_credentials_are_refused_until_restored(site):
    site.control("POST", "/tokens/zendesk/revoke")
    assert site.get("/tickets.json", 401)["error"] == "Couldn't authenticate you"
    assert site.get("/users/me.json")["user"]["id"] is None

    site.control("POST", "/tokens/zendesk/restore")
    site.get("/tickets.json")


def test_deactivated_users_cannot_call(site):
    zendesk.load(site.world, [{"kind": "user", "name": "Ana", "email": "ana@example.test", "role": "agent"}])
    ana = site.world.zendesk.user_by_email("ana@example.test")
    bare(site, "/tickets.json", 200, **basic("ana@example.test/token:sandbox-token"))

    site.control("DELETE", f"/zendesk/users/{ana.id}")

    bare(site, "/tickets.json", 401, **basic("ana@example.test/token:sandbox-token"))


def test_every_reply_has_a_request_id_and_the_vendors_time(site):
    replies = [site.ask("GET", "/tickets.json"), site.ask("GET", "/nothing"), site.ask("GET", "/tickets/9")]

    assert {reply.headers["date"] for reply in replies} == {"Wed, 06 May 2026 08:46:13 GMT"}
    assert len({reply.headers["x-request-id"] for reply in replies}) == 3


def test_the_account_limit_is_told_in_headers_and_kept(start_site):
    site = start_site(limits={"account": 3})

    for left in (2, 1, 0):
        headers = site.ask("GET", "/users.json").headers
        assert (headers["x-rate-limit"], headers["x-rate-limit-remaining"]) == ("3", str(left))
        assert (headers["ratelimit-remaining"], headers["ratelimit-reset"]) == (str(left), "60")
    site.wait(20)
    refused = site.ask("GET", "/users.json")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    assert refused.json()["error"] == "APIRateLimitExceeded"
    # The Help Center is counted apart.
    assert site.ask("GET", "/help_center/articles.json").status_code == 200
    site.wait(40)
    assert site.ask("GET", "/users.json").status_code == 200


def test_exports_have_a_limit_of_their_own(start_site):
    site = start_site(limits={"incremental-exports-cursor": 2})
    path = "/incremental/tickets/cursor.json?start_time=0"

    first = site.ask("GET", path).headers
    assert first["zendesk-ratelimit-incremental-exports-cursor"] == "total=2; remaining=1; resets=60"
    assert first["x-rate-limit"] == "400"
    site.ask("GET", path)
    refused = site.ask("GET", path)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    # A limiter that only watches this one would not see it coming.
    assert int(refused.headers["x-rate-limit-remaining"]) > 390
    assert site.ask("GET", "/incremental/organizations.json?start_time=0").status_code == 200


def test_one_ticket_takes_thirty_updates_in_ten_minutes(start_site):
    site = start_site(limits={"tickets-update": None})
    one, two = site.new_ticket(), site.new_ticket()

    for n in range(30):
        site.send("PUT", f"/tickets/{one['id']}.json", json={"ticket": {"subject": f"Subject {n}"}})

    refused = site.ask("PUT", f"/tickets/{one['id']}.json", json={"ticket": {"subject": "one too many"}})
    assert refused.status_code == 429
    assert refused.headers["zendesk-ratelimit-per-ticket-updates"] == "total=30; remaining=0; resets=600"
    site.send("PUT", f"/tickets/{two['id']}.json", json={"ticket": {"subject": "another"}})
    site.wait(600)
    site.send("PUT", f"/tickets/{one['id']}.json", json={"ticket": {"subject": "later"}})


def test_unknown_options_and_limits_are_named(start_site):
    with pytest.raises(ValueError, match="export_lagg"):
        start_site(export_lagg=3)
    with pytest.raises(ValueError, match="acount"):
        start_site(limits={"acount": 3})
