"""What strangers may put on the wire: bounded before a request is whole, never two where one was sent, answered in order."""

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cxbridge.console.listener import LONGEST_HEADERS, MOST_AHEAD
from cxbridge.core.clock import ManualClock
from tests.console.conftest import Delivery, House, opened

HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One receiver for all of them: it stands where the last one failed."""
    with opened(tmp_path_factory.mktemp("wire"), ManualClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))) as house:
        yield house


def dialled(house: House) -> socket.socket:
    host, _, port = house.receiver.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def heard(line: socket.socket) -> bytes:
    """Hear what comes until the other side hangs up."""
    said = b""
    try:
        while chunk := line.recv(65536):
            said += chunk
    except ConnectionError:
        pass
    return said


def asked(house: House, *pieces: bytes) -> bytes:
    """Say something piece by piece, and hear what comes until the other side hangs up by itself."""
    with dialled(house) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
        except ConnectionError:
            pass
        return heard(line)


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def written(house: House, delivery: Delivery, *more: str, framed: bool = False) -> bytes:
    """Write a delivery of Zendesk's by hand; `framed` where its headers say how long the body is."""
    lines = [f"POST {house.paths['zendesk']} HTTP/1.1", "host: x", *more]
    lines += [] if framed else [f"content-length: {len(delivery.body)}"]
    lines += [f"{name}: {value}" for name, value in delivery.headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + delivery.body


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n" % (b"x" * LONGEST_HEADERS), id="a long path"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\na: %b\r\n\r\n" % (b"x" * LONGEST_HEADERS), id="a long header"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\n%b: a\r\n\r\n" % (b"x" * LONGEST_HEADERS), id="a long name"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\n%b\r\n" % (b"a: b\r\n" * 6000), id="many headers"),
        pytest.param(b"GET /" + b"x" * 100_000, id="a path without end"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 100_000, id="a header without end"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20_000, id="headers without end"),
        pytest.param(b"\r\n" * 50_000, id="lines before a request"),
    ],
)
@pytest.mark.parametrize("size", [1_000_000, 1_000], ids=["at once", "in pieces"])
def test_headers_are_taken_up_to_a_length(besieged: House, words: bytes, size: int) -> None:
    pieces = [words[start : start + size] for start in range(0, len(words), size)]
    said = asked(besieged, *pieces)
    assert statuses(said) in ([400], []), "one that still sends may not hear it"
    assert besieged.client.get("/healthz").status_code == 200


def test_headers_of_less_are_taken(besieged: House) -> None:
    many = "\r\n".join(f"x-{number}: {'y' * 1000}" for number in range(30))
    assert statuses(asked(besieged, written(besieged, besieged.zendesk(secret="no"), "connection: close", many))) == [
        401
    ]


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"1;x=" + b"y" * 150_000, id="of a piece's size"),
        pytest.param(b"0\r\nx: " + b"y" * 150_000, id="behind the last piece"),
        pytest.param(b"0\r\n" + b"x: y\r\n" * 30_000, id="behind the last piece, in lines"),
    ],
)
def test_what_is_said_around_a_body_is_taken_up_to_a_length(besieged: House, endless: bytes) -> None:
    head = written(besieged, Delivery(b""), "transfer-encoding: chunked", framed=True)
    assert statuses(asked(besieged, head, endless)) in ([400], [])
    assert besieged.stored() == []


def test_a_request_may_come_byte_by_byte_and_a_long_body_in_pieces(house: House) -> None:
    words = written(house, house.zendesk(1), "connection: close")
    assert statuses(asked(house, *(words[at : at + 1] for at in range(len(words))))) == [200]
    long = written(house, house.zendesk(2, event={"comment": "x" * 900_000}), "connection: close")
    assert statuses(asked(house, long)) == [200]
    whole = house.zendesk(3)
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, whole.body[at : at + 1]) for at in range(len(whole.body)))
    more = ["connection: close", "transfer-encoding: chunked"]
    assert statuses(asked(house, written(house, whole.with_(body=chunks + b"0\r\n\r\n"), *more, framed=True))) == [200]
    assert len(house.stored()) == 3


def test_what_comes_behind_a_body_is_no_header(besieged: House) -> None:
    delivery = besieged.zendesk()
    signature = delivery.headers["x-zendesk-webhook-signature"]
    unsigned = delivery.headed(x_zendesk_webhook_signature="")
    body = b"%x\r\n%b\r\n0\r\nx-zendesk-webhook-signature: %b\r\n\r\n" % (
        len(delivery.body),
        delivery.body,
        signature.encode(),
    )
    more = ["connection: close", "transfer-encoding: chunked"]
    assert statuses(asked(besieged, written(besieged, unsigned.with_(body=body), *more, framed=True))) == [401]
    assert besieged.stored() == []


# -- never two where one was sent --------------------------------------------------------------------------------------

HEAD = "POST /hooks/x HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    "words",
    [
        f"{HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        f"{HEAD}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        f"{HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        f"{HEAD}content-length: 5, 6\r\n\r\nhello",
        f"{HEAD}content-length: +5\r\n\r\nhello",
        f"{HEAD}content-length: -5\r\n\r\nhello",
        f"{HEAD}content-length: 0x5\r\n\r\nhello",
        f"{HEAD}content-length: 5 5\r\n\r\nhello",
        f"{HEAD}content-length:\r\n\r\nhello",
        f"{HEAD}content-length : 5\r\n\r\nhello",
        f"{HEAD}content-length: 99999999999999999999999999\r\n\r\nhello",
        f"{HEAD}transfer-encoding: gzip\r\n\r\nhello",
        f"{HEAD}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        f"{HEAD}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        f"{HEAD}transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        f"{HEAD}transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        f"{HEAD}x: y\r\n folded: z\r\n\r\n",
        f"{HEAD} folded: z\r\n\r\n",
        f"{HEAD}x: y\nz: w\r\n\r\n",
        f"{HEAD}x: y\rz: w\r\n\r\n",
        f"{HEAD}x: y\r\n\n",
        f"{HEAD}x: y\x00\r\n\r\n",
        f"{HEAD}x y: z\r\n\r\n",
        f"{HEAD}: z\r\n\r\n",
        "POST /hooks/x HTTP/1.1\nhost: x\n\n",
        "POST /hooks/x HTTP/1.1\r\n\r\n",
        "POST /hooks/x HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "POST /hooks/x HTTP/2.0\r\nhost: x\r\n\r\n",
        "POST /hooks/x HTTP/0.9\r\nhost: x\r\n\r\n",
        "POST /hooks/\xe9 HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /hooks /x HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST\t/hooks/x HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST hooks HTTP/1.1\r\nhost: x\r\n\r\n",
        "CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        "CONNECT /hooks/x HTTP/1.1\r\nhost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /hooks/x\r\n\r\n",
    ],
)
def test_a_request_that_two_might_read_differently_is_refused_and_what_follows_it_is_not_read(
    besieged: House, words: str
) -> None:
    assert statuses(asked(besieged, words.encode("latin-1") + HEALTH + LAST)) == [400]


@pytest.mark.parametrize(
    "chunks",
    [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhellohello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "fffffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n",
        "5\r\nhello\r\n0\r\nx y: z\r\n\r\n",
    ],
)
def test_a_body_whose_pieces_are_not_in_order_is_refused_and_what_follows_it_is_not_read(
    besieged: House, chunks: str
) -> None:
    head = written(besieged, Delivery(b""), "transfer-encoding: chunked", framed=True)
    assert statuses(asked(besieged, head + chunks.encode() + HEALTH + LAST)) == [400]


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "anything"])
def test_who_would_like_to_speak_something_else_is_answered_in_http(house: House, protocol: str) -> None:
    empty = f"GET /healthz HTTP/1.1\r\nhost: x\r\nupgrade: {protocol}\r\nconnection: upgrade\r\n\r\n".encode()
    assert statuses(asked(house, empty + written(house, house.zendesk(1)) + empty + LAST)) == [200, 200, 200, 200]
    assert len(house.stored()) == 1


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "anything"])
@pytest.mark.parametrize("framed", [True, False])
def test_what_comes_along_with_such_a_wish_is_never_read_as_a_request(
    house: House, protocol: str, framed: bool
) -> None:
    inside = Delivery(written(house, house.zendesk(13)))
    more = ["transfer-encoding: chunked"] if framed else []
    words = written(house, inside, f"upgrade: {protocol}", "connection: upgrade", *more, framed=framed)
    assert statuses(asked(house, words + LAST)) == [400]
    assert house.stored() == []


# -- before their turn -------------------------------------------------------------------------------------------------


def test_requests_that_come_before_their_turn_are_answered_in_order(house: House) -> None:
    ahead = [written(house, house.zendesk(number)) for number in range(3)]
    wrong = b"POST /hooks/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
    assert statuses(asked(house, ahead[0] + wrong + ahead[1] + ahead[2] + LAST)) == [200, 404, 200, 200, 200]
    assert len(house.stored()) == 3


@pytest.mark.parametrize(
    "broken",
    [b"HELLO\r\n\r\n", b"POST / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 2 * LONGEST_HEADERS],
    ids=["no HTTP", "long"],
)
def test_what_is_broken_is_answered_behind_what_came_before_it(house: House, broken: bytes) -> None:
    good = written(house, house.zendesk(1)) + written(house, house.zendesk(2))
    assert statuses(asked(house, good + broken)) == [200, 200, 400]
    assert len(house.stored()) == 2


def test_so_many_wait_for_their_turn_and_no_more(besieged: House) -> None:
    answered = statuses(asked(besieged, HEALTH * 10_000))
    assert answered[-1] == 400
    assert set(answered[:-1]) == {200}
    assert len(answered) <= MOST_AHEAD + 2
    assert besieged.client.get("/healthz").status_code == 200
