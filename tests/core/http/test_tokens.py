"""One renewal for everybody, written before it is used, and a clear word when a person must act."""

import json
import threading
from base64 import b64encode
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import RateLimited, Retryable, StoreError, Unauthorized, VendorError, WireFormat
from cxbridge.core.http import Auth, Client, ClientCredentials, Endpoint, MemoryTokens, RefreshToken, Tokens

from .conftest import BASE, START, Open, Vendor

TOKEN_URL = "https://login.example/oauth/token"


class Issuer:
    """A vendor with a token endpoint that rotates: one access token and one refresh token are good at a time."""

    def __init__(self, **reply: Any) -> None:
        self.reply = {"token_type": "bearer", "expires_in": 3600, **reply}
        self.asked: list[dict[str, Any]] = []
        self.good = "access-0"
        self.refresh = "refresh-0"
        self.refusal: httpx.Response | None = None
        self.log: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            if str(request.url) == TOKEN_URL:
                return self.token(request)
            sent = request.headers["authorization"].removeprefix("Bearer ")
            self.log.append(f"{request.method} with {sent}")
            return httpx.Response(200, json={}) if sent == self.good else httpx.Response(401)

    def token(self, request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        asked = json.loads(request.content)
        self.asked.append(asked)
        self.log.append("token")
        if self.refusal is not None:
            return self.refusal
        if asked["grant_type"] == "refresh_token" and asked["refresh_token"] != self.refresh:
            return httpx.Response(403, json={"error": "invalid_grant", "error_description": "private words"})
        turn = len(self.asked)
        self.good = f"access-{turn}"
        given = {"access_token": self.good, **self.reply}
        if asked["grant_type"] == "refresh_token":
            self.refresh = given["refresh_token"] = f"refresh-{turn}"
        return httpx.Response(201, json=given)


class Witness(MemoryTokens):
    """Notes each write in the issuer's own log, so that the order of things can be seen; fails on demand."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__()
        self.issuer = issuer
        self.broken = False

    def write(self, connection: str, tokens: Tokens) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        self.issuer.log.append(f"write {tokens.access_token} {tokens.refresh_token}")
        super().write(connection, tokens)


def rotating(first: str | None = "refresh-0", scope: str = "") -> RefreshToken:
    return RefreshToken(TOKEN_URL, "client-7", SecretStr("a-word"), SecretStr(first) if first else None, scope)


def own(scope: str = "") -> ClientCredentials:
    return ClientCredentials(TOKEN_URL, "client-7", SecretStr("a-word"), scope, {"expires_in": 3600})


@pytest.fixture
def issuer(vendor: Vendor) -> Issuer:
    issuer = Issuer()
    vendor.plays(issuer)
    return issuer


@pytest.fixture
def store(issuer: Issuer) -> Witness:
    return Witness(issuer)


def opened(connect: Open, store: MemoryTokens, auth: Auth, **options: Any) -> Client:
    return connect(Endpoint(BASE, auth=auth), tokens=store, **options)


def test_a_new_pair_is_written_before_it_is_used(connect: Open, issuer: Issuer, store: Witness) -> None:
    client = opened(connect, store, rotating())
    client.get("/a")
    client.get("/a")
    assert issuer.log == ["token", "write access-1 refresh-1", "GET with access-1", "GET with access-1"]
    assert issuer.asked == [
        {
            "grant_type": "refresh_token",
            "client_id": "client-7",
            "client_secret": "a-word",
            "refresh_token": "refresh-0",
        }
    ]
    kept = store.read("acme")
    assert kept is not None
    assert kept.expires_at == START + timedelta(hours=1)


def test_client_credentials_ask_and_keep(connect: Open, issuer: Issuer, store: Witness) -> None:
    opened(connect, store, own("read write")).get("/a")
    assert issuer.asked == [
        {
            "grant_type": "client_credentials",
            "client_id": "client-7",
            "client_secret": "a-word",
            "scope": "read write",
            "expires_in": 3600,
        }
    ]
    opened(connect, store, own("read write")).get("/a")
    assert issuer.log == ["token", "write access-1 None", "GET with access-1", "GET with access-1"]


def test_other_settings_do_not_use_the_tokens_of_the_old(connect: Open, issuer: Issuer, store: Witness) -> None:
    opened(connect, store, own("read")).get("/a")
    opened(connect, store, own("read write")).get("/a")
    assert len(issuer.asked) == 2


def test_a_form_where_the_endpoint_wants_one(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, json={"access_token": "access-1", "expires_in": "3600"}))
    auth = ClientCredentials(TOKEN_URL, "client-7", SecretStr("a-word"), "a b", encoding="form")
    connect(Endpoint(BASE, auth=auth)).get("/a")
    assert vendor.seen[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert vendor.seen[0].content == b"grant_type=client_credentials&client_id=client-7&client_secret=a-word&scope=a+b"


def test_a_client_may_prove_itself_in_a_header(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, json={"access_token": "access-1"}), httpx.Response(200, json={}))
    asked = ClientCredentials(TOKEN_URL, "client-7", SecretStr("a-word"), "a b", encoding="form", basic=True)
    connect(Endpoint(BASE, auth=asked)).get("/a")
    assert vendor.seen[0].content == b"grant_type=client_credentials&scope=a+b"
    assert vendor.seen[0].headers["authorization"] == f"Basic {b64encode(b'client-7:a-word').decode()}"
    assert vendor.seen[1].headers["authorization"] == "Bearer access-1"


@pytest.mark.parametrize("auth", [rotating(), own()], ids=["rotating", "own"])
def test_a_refused_token_is_renewed_once_and_the_request_repeated(
    connect: Open, issuer: Issuer, store: Witness, auth: Auth
) -> None:
    client = opened(connect, store, auth)
    client.get("/a")
    issuer.good = "nobody's"
    issuer.log.clear()
    client.post("/a", {})
    assert [line for line in issuer.log if not line.startswith("write")] == [
        "POST with access-1",
        "token",
        "POST with access-2",
    ]


def test_refused_again_is_a_persons_business(connect: Open, vendor: Vendor, issuer: Issuer, store: Witness) -> None:
    def stubborn(request: httpx.Request) -> httpx.Response:
        return issuer(request) if str(request.url) == TOKEN_URL else httpx.Response(401)

    vendor.plays(stubborn)
    with pytest.raises(Unauthorized, match="credential is not accepted"):
        opened(connect, store, rotating()).get("/a")
    assert vendor.lines == ["POST /oauth/token", "GET /a", "POST /oauth/token", "GET /a"]


def test_a_fixed_token_is_not_renewed(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(401))
    with pytest.raises(Unauthorized):
        connect().get("/a")
    assert vendor.lines == ["GET /a"]


def test_tokens_are_renewed_ahead_of_their_end(
    connect: Open, issuer: Issuer, store: Witness, clock: ManualClock
) -> None:
    client = opened(connect, store, rotating())
    client.get("/a")
    clock.advance(3600 - 61)
    client.get("/a")
    assert len(issuer.asked) == 1
    clock.advance(1)
    client.get("/a")
    assert [asked["refresh_token"] for asked in issuer.asked] == ["refresh-0", "refresh-1"]
    assert not any(line == "GET with access-1" for line in issuer.log[-1:])


def test_a_short_life_is_used_before_it_is_renewed(
    connect: Open, vendor: Vendor, clock: ManualClock, store: Witness
) -> None:
    issuer = Issuer(expires_in=50)
    vendor.plays(issuer)
    client = opened(connect, store, rotating())
    for _ in range(6):
        client.get("/a")
        clock.advance(9)
    assert len(issuer.asked) == 2


@pytest.mark.parametrize("life", [None, 1e300])
def test_without_a_sensible_end_a_token_serves_until_refused(
    connect: Open, vendor: Vendor, clock: ManualClock, store: Witness, life: float | None
) -> None:
    issuer = Issuer(expires_in=life)
    vendor.plays(issuer)
    client = opened(connect, store, own())
    for _ in range(3):
        client.get("/a")
        clock.advance(86400)
    assert len(issuer.asked) == 1


@pytest.mark.parametrize("clients", [1, 8])
def test_eight_threads_renew_once(connect: Open, vendor: Vendor, issuer: Issuer, store: Witness, clients: int) -> None:
    pool = [opened(connect, store, rotating()) for _ in range(clients)]
    for client in pool:
        client.get("/a")
    issuer.good = "nobody's"
    together = threading.Barrier(8)
    arrived = threading.Barrier(8)
    answered: list[int] = []

    def refuse_together(request: httpx.Request) -> httpx.Response:
        reply = issuer(request)
        if reply.status_code == 401:
            arrived.wait(timeout=30)  # all eight hold a refusal before anyone renews
        return reply

    vendor.plays(refuse_together)

    def ask(client: Client) -> None:
        together.wait(timeout=30)
        answered.append(client.get("/a").status)

    threads = [threading.Thread(target=ask, args=(pool[number % clients],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [200] * 8
    assert len(issuer.asked) == 2


def test_a_pair_that_someone_else_renewed_is_taken_over(connect: Open, issuer: Issuer, store: Witness) -> None:
    here = opened(connect, store, rotating())
    here.get("/a")
    there = opened(connect, store, rotating())
    issuer.good = "nobody's"
    there.get("/a")
    here.get("/a")
    assert len(issuer.asked) == 2
    assert issuer.log[-2:] == ["GET with access-1", "GET with access-2"]


def test_a_crash_after_the_write_loses_nothing(connect: Open, issuer: Issuer, store: Witness) -> None:
    class Crash(BaseException):
        pass

    class Dying(Witness):
        def write(self, connection: str, tokens: Tokens) -> None:
            super().write(connection, tokens)
            raise Crash

    dying = Dying(issuer)
    with pytest.raises(Crash):
        opened(connect, dying, rotating()).get("/a")
    kept = dying.read("acme")
    assert kept is not None
    store.write("acme", kept)
    issuer.log.clear()
    opened(connect, store, rotating()).get("/a")
    assert issuer.log == ["GET with access-1"]


def test_a_pair_that_could_not_be_written_is_not_used_and_not_lost(
    connect: Open, issuer: Issuer, store: Witness
) -> None:
    client = opened(connect, store, rotating())
    store.broken = True
    for _ in range(2):
        with pytest.raises(StoreError):
            client.get("/a")
    assert issuer.log == ["token"]
    store.broken = False
    client.get("/a")
    assert issuer.log == ["token", "write access-1 refresh-1", "GET with access-1"]


def test_a_stored_pair_counts_more_than_the_first_token(connect: Open, issuer: Issuer, store: Witness) -> None:
    opened(connect, store, rotating()).get("/a")
    issuer.good = "nobody's"
    opened(connect, store, rotating()).get("/a")
    assert [asked["refresh_token"] for asked in issuer.asked] == ["refresh-0", "refresh-1"]


def test_a_new_first_token_replaces_a_stored_pair(connect: Open, issuer: Issuer, store: Witness) -> None:
    opened(connect, store, rotating()).get("/a")
    issuer.refresh = "consented-anew"
    opened(connect, store, rotating("consented-anew")).get("/a")
    assert issuer.asked[-1]["refresh_token"] == "consented-anew"


def test_a_stored_pair_without_a_first_token_serves(connect: Open, issuer: Issuer, store: Witness) -> None:
    store.write("acme", Tokens(access_token="old", refresh_token="refresh-0", expires_at=START))
    opened(connect, store, rotating(None)).get("/a")
    assert issuer.asked[0]["refresh_token"] == "refresh-0"


def test_without_any_refresh_token_a_person_must_authorise(connect: Open, vendor: Vendor, store: Witness) -> None:
    with pytest.raises(Unauthorized, match="there is no refresh token yet: authorise this connection"):
        opened(connect, store, rotating(None)).get("/a")
    assert vendor.seen == []


def test_a_refresh_token_that_does_not_change_is_kept(connect: Open, vendor: Vendor, store: Witness) -> None:
    vendor.plays(httpx.Response(200, json={"access_token": "access-1", "expires_in": 3600}))
    opened(connect, store, rotating()).get("/a")
    kept = store.read("acme")
    assert kept is not None
    assert kept.refresh_token == "refresh-0"


@pytest.mark.parametrize(
    ("auth", "answer", "told"),
    [
        (
            rotating(),
            httpx.Response(403, json={"error": "invalid_grant"}),
            r"not accepted \(invalid_grant\): authorise",
        ),
        (rotating(), httpx.Response(400, json={"error": "invalid_grant"}), "authorise this connection anew"),
        (rotating(), httpx.Response(403, html="<html>private</html>"), "authorise this connection anew"),
        (
            rotating(),
            httpx.Response(401, json={"error": "invalid_client"}),
            "check the client id and the client secret",
        ),
        (own(), httpx.Response(401, json={"error": "invalid_client"}), r"refused \(invalid_client\): check the client"),
        (own(), httpx.Response(400, json={"error": "private"}), "refused: check the client id"),
        (own("x"), httpx.Response(400, json={"error": "invalid_scope"}), "does not grant the scope asked for"),
        (own(), httpx.Response(404), "check the client id"),
    ],
)
def test_a_refused_grant_names_the_remedy(
    connect: Open, vendor: Vendor, store: Witness, auth: Auth, answer: httpx.Response, told: str
) -> None:
    vendor.plays(answer)
    with pytest.raises(Unauthorized, match=told) as caught:
        opened(connect, store, auth).get("/a")
    assert "private" not in str(caught.value)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "tries"),
    [
        (httpx.Response(503), Retryable, 4),
        (httpx.Response(429, headers={"retry-after": "600"}), RateLimited, 1),
        (httpx.ReadTimeout("slow"), Retryable, 4),
        (httpx.ConnectError("refused"), Retryable, 4),
        (httpx.Response(302, headers={"location": "/login"}), WireFormat, 1),
        (httpx.Response(200, html="<html>Log in</html>"), WireFormat, 1),
        (httpx.Response(200, json={"token": "private"}), WireFormat, 1),
        (httpx.Response(200, json={"access_token": None}), WireFormat, 1),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_token_endpoint_in_trouble_means_the_request_never_left(
    connect: Open,
    vendor: Vendor,
    store: Witness,
    answer: httpx.Response | Exception,
    kind: type[VendorError],
    tries: int,
    method: str,
) -> None:
    vendor.plays(answer)
    with pytest.raises(VendorError) as caught:
        getattr(opened(connect, store, own()), method)("/a")
    assert type(caught.value) is kind
    assert vendor.lines == ["POST /oauth/token"] * tries
    if isinstance(caught.value, Retryable):
        assert not caught.value.sent


def test_the_token_endpoints_wait_is_kept_by_all(connect: Open, vendor: Vendor, store: Witness) -> None:
    vendor.plays(httpx.Response(429, headers={"retry-after": "600"}))
    client = opened(connect, store, own())
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            client.get("/a")
        assert caught.value.retry_at == START + timedelta(seconds=600)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("auth", [own("read write tickets:read"), rotating(scope="read write tickets:read")])
def test_a_missing_scope_is_named(connect: Open, vendor: Vendor, store: Witness, auth: Auth) -> None:
    issuer = Issuer(scope="read extra")
    vendor.plays(issuer)
    for _ in range(2):
        with pytest.raises(Unauthorized, match="the token lacks the scope tickets:read, write: "):
            opened(connect, store, auth).get("/a")
    assert not any(line.startswith("GET") for line in issuer.log)
    kept = store.read("acme")
    assert kept is not None, "the pair is kept all the same: the old one is dead"
    issuer.reply["scope"] = "read write tickets:read"
    opened(connect, store, auth).get("/a")


@pytest.mark.parametrize("granted", [{}, {"scope": "write read"}, {"scope": ""}, {"scope": None}])
def test_a_scope_in_another_order_or_left_out_is_as_asked(
    connect: Open, vendor: Vendor, store: Witness, granted: dict[str, Any]
) -> None:
    vendor.plays(Issuer(**granted))
    opened(connect, store, own("read write offline_access")).get("/a")
    kept = store.read("acme")
    assert kept is not None
    assert set(kept.scope.split()) >= {"read", "write"}


def test_a_store_without_turns_will_do(connect: Open, vendor: Vendor, issuer: Issuer) -> None:
    class Plain:
        kept: Tokens | None = None

        def read(self, connection: str) -> Tokens | None:
            return self.kept

        def write(self, connection: str, tokens: Tokens) -> None:
            self.kept = tokens

    plain = Plain()
    connect(Endpoint(BASE, auth=rotating()), tokens=plain).get("/a")
    assert plain.kept is not None


def test_a_secret_that_no_header_can_carry_is_refused_unseen(connect: Open, vendor: Vendor, store: Witness) -> None:
    vendor.plays(httpx.Response(200, json={"access_token": "private\nwords"}))
    with pytest.raises(Unauthorized, match="copy it anew") as caught:
        opened(connect, store, own()).get("/a")
    assert "private" not in str(caught.value)
    assert vendor.lines == ["POST /oauth/token"]
