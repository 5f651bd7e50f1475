"""What a vendor tells beside an answer is found in any spelling, however it was told."""

import pytest

from cxbridge.core.http.headers import Told


def test_a_header_is_found_in_any_spelling():
    told = Told([("Retry-After", "5"), ("x-request-ID", "a")])
    assert told["retry-after"] == told["RETRY-AFTER"] == "5"
    assert told.get("X-Request-Id") == "a"
    assert told.get("date") is None
    assert told.get("date", "") == ""
    assert "Retry-AFTER" in told
    assert "date" not in told
    with pytest.raises(KeyError):
        told["date"]


def test_several_of_one_name_are_one_value():
    told = Told([("Link", "<1>"), ("date", "x"), ("link", "<2>")])
    assert dict(told) == {"link": "<1>, <2>", "date": "x"}
    assert len(told) == 2


def test_what_came_over_the_wire_is_read_as_utf8_and_else_as_latin_1():
    told = Told.raw([(b"X-Name", "Zo\u00eb".encode()), (b"X-Old", b"Zo\xeb")])
    assert (told["x-name"], told["x-old"]) == ("Zo\u00eb", "Zo\u00eb")
