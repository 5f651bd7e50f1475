"""A reply is read once, in bytes; what cannot be read is named without showing it."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest

from cxbridge.core.errors import WireFormat
from cxbridge.core.http import Reply

from .conftest import START

DATE = "Wed, 06 May 2026 08:40:00 GMT"


def reply(body: bytes = b"{}", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply("GET", "/things", 200, named, body, START, "acme", "r-7")


class Row(msgspec.Struct):
    id: int
    kind: Literal["plain", "odd"] = "plain"


class Rows(msgspec.Struct):
    rows: list[Row]


def test_headers_are_found_in_any_spelling() -> None:
    assert reply(X_Limit="5").headers["x-limit"] == "5"
    assert reply(x_limit="5").headers.get("X-LIMIT") == "5"


def test_decode_gives_the_shape() -> None:
    assert reply(b'{"rows":[{"id":7}]}').decode(Rows) == Rows([Row(7)])
    assert reply(b"[1,2]").decode(list[int]) == [1, 2]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"rows":[{"id":1},{"id":"4111-private"}]}', "Expected int, got str at $.rows[1].id"),
        (b'{"rows":[{}]}', "Object missing required field id at $.rows[0]"),
        (b'{"rows":[{"id":1,"kind":"private"}]}', "a value is not of the expected kind at $.rows[0].kind"),
        (b'{"rows":null}', "Expected array, got null at $.rows"),
        (b"[]", "Expected object, got array"),
    ],
)
def test_another_shape_is_named_by_place_and_never_by_value(body: bytes, told: str) -> None:
    with pytest.raises(WireFormat) as caught:
        reply(body).decode(Rows)
    assert str(caught.value) == f"acme: GET /things answered in an unknown form (200): {told}"
    assert "private" not in str(caught.value)
    assert caught.value.request_id == "r-7"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(b"<!doctype html><title>Log in</title>"), "answered a web page where JSON was expected"),
        (reply(b"\xef\xbb\xbf \r\n<html>"), "answered a web page where JSON was expected"),
        (reply(b"Please log in", content_type="text/HTML; charset=utf-8"), "answered a web page"),
        (reply(b""), "answered nothing where JSON was expected"),
        (reply(b'{"a": NaN}'), "the body is not valid JSON"),
        (reply(b'{"a": "\xff\xfe"}'), "the body is not valid JSON"),
        (reply('{"a": "\xe9"}'.encode("latin-1")), "the body is not valid JSON"),
        (reply(b'{"a": [1, 2'), "the body is not valid JSON"),
        (reply(b'{"a": 1} {"b": 2}'), "the body is not valid JSON"),
        (reply(b"[" * 100_000 + b"]" * 100_000), "nested too deeply"),
        (reply(b'{"a": 1e999}'), "Number out of range"),
    ],
    ids=["page", "page after mark", "page by type", "empty", "nan", "bytes", "latin", "cut", "two", "deep", "huge"],
)
def test_what_is_no_json_is_told_in_words(answer: Reply, told: str) -> None:
    with pytest.raises(WireFormat, match=told):
        answer.json()


def test_the_vendors_time_is_read_from_its_date() -> None:
    assert reply(date=DATE).server_time == datetime(2026, 5, 6, 8, 40, tzinfo=UTC)
    assert reply(date="Wed, 06 May 2026 08:40:00 -0000").server_time == datetime(2026, 5, 6, 8, 40, tzinfo=UTC)
    assert reply().server_time is None
    assert reply(date="yesterday").server_time is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "30"}, 30.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "-4"}, 0.0),
        ({"retry_after": "86400"}, 3600.0),
        ({"retry_after": "inf"}, 3600.0),
        # The vendor's own clock counts, wrong as it may be: six minutes behind ours here.
        ({"retry_after": "Wed, 06 May 2026 08:41:30 GMT", "date": DATE}, 90.0),
        ({"retry_after": "Wed, 06 May 2026 08:47:13 GMT"}, 60.0),
        ({"retry_after": "Wed, 06 May 2026 08:00:00 GMT", "date": DATE}, 0.0),
        ({"retry_after": "Wed, 06 May 2099 08:00:00 GMT", "date": DATE}, 3600.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert reply(b"{}", **headers).retry_after == seconds


def test_repr_shows_no_content() -> None:
    shown = repr(reply(b'{"private": 1}', set_cookie="private"))
    assert shown == "<Reply GET /things 200, 14 bytes>"


def test_what_is_not_utf8_is_refused_as_a_whole_and_not_record_by_record() -> None:
    class Raws(msgspec.Struct):
        rows: list[msgspec.Raw]

    assert len(reply('{"rows":[{"name":"Café"},{"name":"b"}]}'.encode()).decode(Raws).rows) == 2
    # A letter that stands across two of the parts that are looked at is one letter.
    assert reply(b'["' + b"x" * (1024 * 1024 - 3) + 'é"]'.encode()).decode(list[str])[0].endswith("xé")
    for body in ('{"rows":[{"name":"Café"},{"name":"b"}]}'.encode("latin-1"), b'["' + b"x" * 2_000_000 + b"\xc3"):
        with pytest.raises(WireFormat, match="not valid JSON"):
            reply(body).decode(Raws)
