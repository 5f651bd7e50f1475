"""Secrets appear in no repr, no message, no log and no report of anything here."""

import logging
import traceback

import httpx
import msgspec
import pytest
import respx
from pydantic import SecretStr

from cxbridge.core.errors import VendorError
from cxbridge.core.http import (
    Auth,
    Basic,
    Bearer,
    ClientCredentials,
    Endpoint,
    MemoryTokens,
    RefreshToken,
    Tokens,
)
from cxbridge.core.http.request import Ask

from .conftest import BASE, START, Open, Vendor

WORD = "hush-hush"
TOKEN_URL = "https://login.example/token"
AUTHS = [
    Basic("me", SecretStr(WORD)),
    Bearer(SecretStr(WORD)),
    ClientCredentials(TOKEN_URL, "client-7", SecretStr(WORD), extra={"assertion": WORD}),
    RefreshToken(TOKEN_URL, "client-7", SecretStr(WORD), SecretStr(WORD), extra={"assertion": WORD}),
]


def kind(auth: Auth) -> str:
    return type(auth).__name__


@pytest.mark.parametrize("auth", AUTHS, ids=kind)
def test_declarations(auth: Auth) -> None:
    endpoint = Endpoint(BASE, auth=auth, headers={"x-key": WORD})
    for shown in (repr(auth), str(auth), f"{auth}", repr(endpoint), str(endpoint)):
        assert WORD not in shown


def test_a_request() -> None:
    ask = Ask(
        method="POST",
        path="/a",
        url=httpx.URL(f"{BASE}/a?secret={WORD}"),
        headers={"authorization": WORD},
        content=WORD.encode(),
        reads=False,
    )
    for shown in (repr(ask), str(ask), f"{[ask]}"):
        assert WORD not in shown
        assert "POST /a" in shown


def test_a_closed_client_has_nothing_at_hand_of_what_requests_carried(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, json={}))
    client = connect(Endpoint(BASE, auth=Bearer(SecretStr(WORD))))
    client.get("/a")
    held = (client._session._fixed, client._wire._known)
    assert all(held)
    client.close()
    assert client._session._fixed is None
    assert not client._wire._known


def test_tokens() -> None:
    tokens = Tokens(access_token=WORD, refresh_token=WORD, expires_at=START, scope="read", root="r")
    for shown in (repr(tokens), str(tokens), f"{tokens}", f"{[tokens]}"):
        assert WORD not in shown
        assert "read" in shown
    assert msgspec.json.decode(msgspec.json.encode(tokens), type=Tokens) == tokens


ANSWERS = [
    httpx.Response(401, json={"echo": WORD}),
    httpx.Response(403, json={"echo": WORD}),
    httpx.Response(400, text=WORD, headers={"set-cookie": WORD, "x-echo": WORD}),
    httpx.Response(500, text=WORD),
    httpx.Response(302, headers={"location": f"https://{WORD}@login.example/?token={WORD}"}),
    httpx.Response(429, text=WORD),
    httpx.Response(200, text=WORD),
]


@pytest.mark.parametrize("auth", AUTHS, ids=kind)
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer.status_code))
@pytest.mark.parametrize("for_token", [False, True], ids=["api", "token"])
@pytest.mark.respx(assert_all_called=False)
def test_errors_logs_and_reports(
    connect: Open,
    respx_mock: respx.MockRouter,
    caplog: pytest.LogCaptureFixture,
    auth: Auth,
    answer: httpx.Response,
    for_token: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    granted = httpx.Response(200, json={"access_token": WORD, "refresh_token": WORD, "expires_in": 3600})
    respx_mock.post(TOKEN_URL).mock(return_value=answer if for_token else granted)
    respx_mock.route(host="acme.example").mock(return_value=answer)
    tokens = MemoryTokens()
    # The one that says more in its log than ours.
    client = connect(Endpoint(BASE, auth=auth), transport=httpx.HTTPTransport(trust_env=False), tokens=tokens)
    told = [repr(client), repr(tokens)]
    for ask in (client.get, client.post):
        try:
            ask(f"/a?secret={WORD}", params={"s": WORD}).json()
        except VendorError as error:
            told += [str(error), repr(error), error.operation, *traceback.format_exception(error)]
        else:
            pytest.fail("an answer like this is an error")
    told += [repr(done) for done in connect.done]
    told += [record.getMessage() for record in caplog.records]
    code = [line for line in "\n".join(told).splitlines() if "hush" in line]
    assert code == []


def test_broken_connections(connect: Open, vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.plays(httpx.ConnectError("refused"))
    with pytest.raises(VendorError) as caught:
        connect(Endpoint(BASE, auth=AUTHS[0])).get(f"/a?secret={WORD}")
    assert WORD not in "".join(traceback.format_exception(caught.value)) + caplog.text


@pytest.mark.parametrize("word", [f"{WORD}\n", f"{WORD}\r\nX-Evil: 1", f"{WORD} ", f"{WORD}é"])
def test_a_secret_with_a_slip_is_told_unseen(connect: Open, vendor: Vendor, word: str) -> None:
    with pytest.raises(VendorError, match="copy it anew") as caught:
        connect(Endpoint(BASE, auth=Bearer(SecretStr(word)))).get("/a")
    assert WORD not in "".join(traceback.format_exception(caught.value))
    assert vendor.seen == []
