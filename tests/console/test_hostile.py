"""Forged, replayed, truncated and malformed deliveries over real HTTP: none is accepted, none is answered with an error of ours."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from cxbridge.core.clock import ManualClock
from tests.console.conftest import OLD, Delivery, House, opened

DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
LONG = b'{"type": "' + b"x" * (1024 * 1024) + b'"}'

Hostile = Callable[[House], Delivery]


def resigned(house: House, body: bytes) -> Delivery:
    return house.signed_by_zendesk(body)


ZENDESK: dict[str, Hostile] = {
    # forged
    "no signature": lambda h: h.zendesk().headed(x_zendesk_webhook_signature=""),
    "no timestamp": lambda h: h.zendesk().headed(x_zendesk_webhook_signature_timestamp=""),
    "another secret": lambda h: h.zendesk(secret="guessed"),
    "an empty secret": lambda h: h.zendesk(secret=""),
    "the secret of test deliveries": lambda h: h.zendesk(secret="dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="),
    "another body": lambda h: h.zendesk().with_(body=h.zendesk(5513).body),
    "a byte more": lambda h: h.zendesk().with_(body=h.zendesk().body + b" "),
    "another timestamp": lambda h: h.zendesk().headed(
        x_zendesk_webhook_signature_timestamp=h.zendesk(ago=1).headers["x-zendesk-webhook-signature-timestamp"]
    ),
    "a signature cut short": lambda h: h.zendesk().headed(
        x_zendesk_webhook_signature=h.zendesk().headers["x-zendesk-webhook-signature"][:-2]
    ),
    "no base64": lambda h: h.zendesk().headed(x_zendesk_webhook_signature="!!!!"),
    "a signature beyond ASCII": lambda h: h.zendesk().headed(x_zendesk_webhook_signature="\xff\xfe"),
    "a list of signatures": lambda h: h.zendesk().headed(
        x_zendesk_webhook_signature="v1,AAAA, " + h.zendesk().headers["x-zendesk-webhook-signature"]
    ),
    "Jira's signature": lambda h: h.jira(),
    # replayed
    "signed six minutes ago": lambda h: h.zendesk(ago=360),
    "signed a year ago": lambda h: h.zendesk(ago=365 * 86_400),
    "signed in the future": lambda h: h.zendesk(ago=-360),
    "a timestamp that is no time": lambda h: h.zendesk().headed(x_zendesk_webhook_signature_timestamp="now"),
    "a timestamp without an offset": lambda h: h.zendesk().headed(
        x_zendesk_webhook_signature_timestamp="2026-05-06T08:46:13"
    ),
    "a timestamp out of range": lambda h: h.zendesk().headed(
        x_zendesk_webhook_signature_timestamp="99999-05-06T08:46:13Z"
    ),
    # truncated
    "half of the body": lambda h: h.zendesk().with_(body=h.zendesk().body[:100]),
    "no body": lambda h: h.zendesk().with_(body=b""),
    # well signed, and still nothing that can be read
    "signed, half of a JSON": lambda h: resigned(h, h.zendesk().body[:100]),
    "signed, no body": lambda h: resigned(h, b""),
    "signed, no JSON": lambda h: resigned(h, b"ticket=1"),
    "signed, not UTF-8": lambda h: resigned(h, b'{"ticket_id": "\xff\xfe"}'),
    "signed, half a surrogate pair": lambda h: resigned(h, b'{"type": "zen:event-type:ticket.x", "id": "\\ud800"}'),
    "signed, deep": lambda h: resigned(h, DEEP),
    "signed, too long": lambda h: resigned(h, LONG),
    "signed, a list": lambda h: resigned(h, b"[1, 2]"),
    "signed, null": lambda h: resigned(h, b"null"),
    "signed, a number of many digits": lambda h: resigned(h, b'{"ticket_id": ' + b"9" * 5000 + b"}"),
    "signed, no ticket": lambda h: resigned(h, b'{"subject": "Export fails"}'),
    "signed, a ticket that is a path": lambda h: resigned(h, b'{"ticket_id": "../users/1"}'),
    "signed, a ticket with a NUL": lambda h: resigned(h, b'{"ticket_id": "1\\u0000"}'),
    "signed, an event without its record": lambda h: h.zendesk(detail={}),
    "signed, an event of another form": lambda h: h.zendesk(detail="5512"),
    "signed, an event without a name": lambda h: h.zendesk(id=None),
    "signed, a trigger's template broken by a quote": lambda h: resigned(h, b'{"ticket_id": "1", "title": "a "b" c"}'),
}

JIRA: dict[str, Hostile] = {
    "no signature": lambda h: h.jira().headed(x_hub_signature=""),
    "another secret": lambda h: h.jira(secret="guessed"),
    "an empty secret": lambda h: h.jira(secret=""),
    "a digest alone": lambda h: h.jira().headed(x_hub_signature=h.jira().headers["x-hub-signature"][7:]),
    "a weaker digest": lambda h: h.jira().headed(x_hub_signature="sha1=" + "0" * 40),
    "capitals": lambda h: h.jira().headed(x_hub_signature=h.jira().headers["x-hub-signature"].upper()),
    "an empty digest": lambda h: h.jira().headed(x_hub_signature="sha256="),
    "beyond ASCII": lambda h: h.jira().headed(x_hub_signature="sha256=\xe9"),
    "another body": lambda h: h.jira().with_(body=h.jira(10043).body),
    "half of the body": lambda h: h.jira().with_(body=h.jira().body[:60]),
    "no body": lambda h: h.jira().with_(body=b""),
    "Zendesk's signature": lambda h: h.zendesk(),
    "an app's token of no secret": lambda h: h.jira().headed(
        x_hub_signature="", authorization="Bearer eyJhbGciOiJub25lIn0.e30."
    ),
    "signed, two days old": lambda h: h.jira(ago=2 * 86_400),
    "signed, from tomorrow": lambda h: h.jira(ago=-2 * 86_400),
    "signed, half of a JSON": lambda h: h.signed_by_jira(h.jira().body[:60]),
    "signed, no body": lambda h: h.signed_by_jira(b""),
    "signed, not UTF-8": lambda h: h.signed_by_jira(b'{"webhookEvent": "\xff"}'),
    "signed, deep": lambda h: h.signed_by_jira(DEEP),
    "signed, no event": lambda h: h.signed_by_jira(b'{"issue": {"id": "1"}}'),
    "signed, an event that is a number": lambda h: h.jira(webhookEvent=7),
    "signed, no issue": lambda h: h.jira(issue=None),
    "signed, an issue that is a path": lambda h: h.jira("../myself"),
    "signed, an issue in other digits": lambda h: h.jira("\u0661\u0662"),
}

UNSIGNED: dict[str, Hostile] = {
    "no body": lambda h: Delivery(b""),
    "no JSON": lambda h: Delivery(b"issue=1"),
    "deep": lambda h: Delivery(DEEP),
    "no issue": lambda h: h.jira(issue={}),
    "a path": lambda h: h.jira("1/../../myself"),
    "not UTF-8": lambda h: Delivery(b"\xff\xfe\x00"),
}

ALL = [
    pytest.param(name, hostile, id=f"{name}: {what}")
    for name, kinds in (("zendesk", ZENDESK), ("jira", JIRA), ("jira-unsigned", UNSIGNED))
    for what, hostile in kinds.items()
]


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One receiver for all of them: it stands where the last one failed."""
    with opened(tmp_path_factory.mktemp("besieged"), ManualClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))) as house:
        yield house


@pytest.mark.parametrize(("name", "hostile"), ALL)
def test_nothing_hostile_is_accepted_or_answered_with_an_error_of_ours(
    besieged: House, name: str, hostile: Hostile
) -> None:
    reply = besieged.post(name, hostile(besieged))
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.text in ("Bad Request", "Unauthorized", "Content Too Large"), "the sender is told nothing"
    assert besieged.stored() == []
    assert besieged.jobs == []


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 40


@pytest.mark.parametrize(
    ("name", "good"),
    [("zendesk", House.zendesk), ("jira", House.jira), ("jira-unsigned", House.jira)],
)
def test_the_same_deliveries_are_accepted_when_nothing_is_wrong_with_them(
    house: House, name: str, good: Callable[..., Delivery]
) -> None:
    assert house.post(name, good(house)).status_code == 200
    assert [one.connection for one in house.stored()] == [name]


def test_each_is_counted_with_the_next_good_one_and_none_of_them_makes_us_write(house: House) -> None:
    for hostile in list(ZENDESK.values())[:5]:
        house.post("zendesk", hostile(house))
    assert house.tallies("zendesk") == {}
    house.post("zendesk", house.zendesk())
    assert house.tallies("zendesk") == {"received": 1, "refused": 5}


def test_a_connection_that_should_be_signed_and_has_no_secret_takes_nothing(house: House) -> None:
    for secret in ("", "the-secret-in-use", "guessed"):
        assert house.post("zendesk-closed", house.zendesk(secret=secret)).status_code == 401
    assert house.stored() == []


def test_the_secret_before_is_accepted_and_its_use_is_counted(house: House) -> None:
    assert house.post("zendesk", house.zendesk(1, secret=OLD)).status_code == 200
    assert house.post("zendesk", house.zendesk(2)).status_code == 200
    assert house.tallies("zendesk") == {"received": 2, "old secret": 1}


# -- paths -------------------------------------------------------------------------------------------------------------


def test_every_wrong_path_is_answered_alike(house: House) -> None:
    right = house.paths["zendesk"]
    wrong = [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/zendesk",
        "/hooks/zendesk/",
        f"/hooks/zendesk/{'0' * 40}",
        f"/hooks/nothing/{'0' * 40}",
        house.paths["jira"].replace("jira", "zendesk"),
        right[:-1],
        right + "0",
        right + "/",
        right.upper(),
        right.replace("/hooks/", "//hooks/"),
        right + "/../x",
        "/hooks/%00/%ff",
        "/hooks/zend%65sk/" + "0" * 40,
        "/docs",
        "/admin",
        "/healthz/",
    ]
    replies = {(reply.status_code, reply.text) for reply in (_raw_post(house, path) for path in wrong)}
    assert replies == {(404, "Not Found")}
    assert house.stored() == []


def _raw_post(house: House, path: str) -> httpx.Response:
    request = house.client.build_request(
        "POST", house.url, content=house.zendesk().body, headers=house.zendesk().headers
    )
    request.url = request.url.copy_with(raw_path=path.encode())
    return house.client.send(request)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_only_post_brings_something(house: House, method: str) -> None:
    delivery = house.zendesk()
    reply = house.client.request(method, house.paths["zendesk"], content=delivery.body, headers=delivery.headers)
    assert reply.status_code == 405
    assert house.client.request(method, "/hooks/zendesk/x").status_code == 404
    assert house.stored() == []


def test_a_path_is_the_same_after_a_restart_and_another_for_each_connection(house: House) -> None:
    assert len(set(house.paths.values())) == 4
    assert all(len(path.rpartition("/")[2]) == 40 for path in house.paths.values())


# -- the wire ----------------------------------------------------------------------------------------------------------


def spoken(house: House, words: bytes) -> bytes:
    """Say something over a socket of its own and hear what comes back, until the other side hangs up or says nothing more."""
    host, _, port = house.receiver.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(words)
        line.shutdown(socket.SHUT_WR)
        heard = b""
        while chunk := line.recv(65536):
            heard += chunk
        return heard


def request(house: House, *headers: str, body: bytes = b"", path: str | None = None) -> bytes:
    lines = [f"POST {path or house.paths['zendesk']} HTTP/1.1", "host: x", "connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["content-length: 100"], b"{}"),
        (["content-length: -1"], b"{}"),
        (["content-length: ten"], b"{}"),
        (["content-length: 2", "content-length: 3"], b"{}"),
        (["transfer-encoding: chunked"], b"5\r\n{}"),
        (["transfer-encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n"),
        (["transfer-encoding: gzip, chunked"], b"0\r\n\r\n"),
        ([f"x-{number}: {'y' * 400}" for number in range(200)], b""),
        (["x: " + "y" * 70_000], b""),
        (["content-length: 9999999999999999999999"], b""),
        (["content-encoding: gzip", "content-length: 2"], b"{}"),
        (["expect: 100-continue", "content-length: 2"], b"{}"),
        (["x\x00y: z", "content-length: 2"], b"{}"),
        (["upgrade: websocket", "connection: upgrade", "content-length: 2"], b"{}"),
    ],
)
def test_broken_http_is_refused(besieged: House, headers: list[str], body: bytes) -> None:
    heard = spoken(besieged, request(besieged, *headers, body=body))
    # A sender that hangs up in the middle may hear nothing.
    statuses = [line.split()[1] for line in heard.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert all(status.startswith(b"4") for status in statuses if status != b"100"), heard
    assert besieged.stored() == []
    assert besieged.client.get("/healthz").status_code == 200, "and it goes on"


@pytest.mark.parametrize(
    "words", [b"", b"\x00" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELLO\r\n\r\n"]
)
def test_what_is_no_http_is_refused(besieged: House, words: bytes) -> None:
    assert not spoken(besieged, words).startswith(b"HTTP/1.1 5")
    assert besieged.client.get("/healthz").status_code == 200


def test_a_header_sent_twice_fits_no_signature(house: House) -> None:
    delivery = house.zendesk()
    headers = [*delivery.headers.items(), ("x-zendesk-webhook-signature", "AAAA")]
    reply = house.client.post(house.paths["zendesk"], content=delivery.body, headers=headers)
    assert reply.status_code == 401
