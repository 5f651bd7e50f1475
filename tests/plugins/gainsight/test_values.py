"""Three ways of writing a time, notes with markup, and rows whose values are of the wrong type."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.plugins.gainsight import dates, prose
from cxbridge.plugins.gainsight.dates import NoTime
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row

# Later than the milliseconds that look like seconds, and within the calendar.
MOMENTS = st.datetimes(min_value=datetime(1970, 5, 1), max_value=datetime(2280, 1, 1), timezones=st.just(UTC)).map(
    lambda when: when.replace(microsecond=when.microsecond // 1000 * 1000)
)


@given(MOMENTS)
def test_a_time_reads_the_same_in_every_dialect(when: datetime) -> None:
    millis = round(when.timestamp() * 1000)
    stamped = when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}"
    for told in (millis, float(millis), str(millis), f"{stamped}Z", f"{stamped}+00:00", f" {stamped}Z "):
        assert dates.moment(told) == when
    assert dates.millis(when) == millis
    assert dates.moment(dates.written(when)) == when


@given(MOMENTS, st.integers(min_value=-14 * 60, max_value=14 * 60))
def test_a_time_with_an_offset_is_told_in_utc(when: datetime, minutes: int) -> None:
    there = when.astimezone(timezone(timedelta(minutes=minutes)))
    assert dates.moment(there.isoformat()) == when
    assert dates.moment(there.isoformat()).utcoffset() == timedelta(0)  # type: ignore[union-attr]


@given(st.dates(min_value=date(1970, 5, 2), max_value=date(2280, 1, 1)), st.integers(min_value=-11, max_value=11))
def test_a_day_is_the_day_whichever_way_it_is_told(day: date, hours: int) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    off = midnight + timedelta(hours=hours)
    for told in (day.isoformat(), dates.millis(midnight), dates.millis(off), midnight.isoformat()):
        assert dates.day(told) == midnight


@given(st.integers(min_value=0, max_value=9_000_000_000), st.sampled_from(["UTC", "Asia/Tokyo", "Asia/Kolkata"]))
def test_a_literal_is_read_back_where_it_is_read_in_the_same_zone(seconds: int, zone: str) -> None:
    there = ZoneInfo(zone)
    back = datetime.strptime(dates.literal(seconds, there), "%Y-%m-%d %H:%M:%S").replace(tzinfo=there)
    assert back.timestamp() == seconds


@given(st.one_of(st.text(max_size=40), st.floats(), st.integers(), st.lists(st.integers()), st.booleans()))
def test_whatever_comes_is_a_time_or_told_to_be_none(value: Any) -> None:
    told = ""
    found = None
    try:
        found = dates.moment(value)
    except NoTime as error:
        told = str(error)
    assert found is None or found.utcoffset() == timedelta(0)
    # The value itself, which may be a customer's words, is not in what is told.
    assert not isinstance(value, str) or len(value) < 4 or value not in told


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_no_time(value: Any) -> None:
    assert dates.moment(value) is None
    assert dates.day(value) is None


@pytest.mark.parametrize(
    "value",
    [1_772_611_200, "1772611200", 10**14, -(10**14), True, "soon", "2026-02-30", [], {}, float("nan"), float("inf")],
)
def test_what_is_no_time_is_never_guessed(value: Any) -> None:
    with pytest.raises(NoTime):
        dates.moment(value)


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=300)


@given(TEXTS)
def test_a_text_comes_back_from_its_markup(text: str) -> None:
    assert prose.to_text(prose.to_html(text)) == prose.clean(text)


@given(TEXTS)
def test_no_text_becomes_markup(text: str) -> None:
    made = prose.to_html(text).replace("<p>", "").replace("</p>", "").replace("<br>", "")
    assert "<" not in made
    assert ">" not in made


@given(TEXTS)
def test_no_markup_makes_the_reader_fail(text: str) -> None:
    prose.to_text(text)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Root cause: expired token.</p>", "Root cause: expired token."),
        ("<p>One</p><p>Two<br>and a half</p>", "One\n\nTwo\nand a half"),
        ("<ul><li>first</li><li>second</li></ul>", "- first\n- second"),
        ("<div>5 &lt; 6 &amp; 7</div>", "5 < 6 & 7"),
        ("<script>steal()</script><p>seen</p><style>p{}</style>", "seen"),
        ("no markup at all", "no markup at all"),
        ("<p>broken <b>markup", "broken markup"),
        (None, ""),
    ],
)
def test_markup_is_read_as_people_do(markup: str | None, text: str) -> None:
    assert prose.to_text(markup) == text


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    assert prose.clean("x" * 40_000).endswith("[cut by cxbridge]")


def row(**values: Any) -> Row:
    return Row(values, b"", "key", 0)


def test_values_are_read_in_the_forms_they_come_in() -> None:
    held = row(n="998765.00000000000", i=7, f="false", t=True, b=0, text=" x ", empty=" ", many=["a"], one="a")
    assert held.number("n") == 998765.0
    assert (held.flag("f"), held.flag("t"), held.flag("b"), held.flag("missing")) == (False, True, False, None)
    assert (held.text("text"), held.text("empty"), held.text("i"), held.text(None)) == ("x", None, "7", None)
    assert (held.list("many"), held.list("one"), held.list("missing")) == (["a"], ["a"], [])


@pytest.mark.parametrize("kind", ["text", "number", "flag", "moment", "day", "list", "plain", "prose"])
def test_a_value_of_the_wrong_type_is_named_and_never_quoted(kind: str) -> None:
    wrong: Any = [{"secret-word": 1}]
    with pytest.raises(Unreadable, match=r"^Name") as caught:
        getattr(row(Name=wrong), kind)("Name")
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"7",
        b"[]",
        b'{"ModifiedDate": 1772611200000}',
        b'{"Gsid": ["x"], "ModifiedDate": 1772611200000}',
        b'{"Gsid": " x", "ModifiedDate": 1772611200000}',
        b'{"Gsid": "x"}',
        b'{"Gsid": "x", "ModifiedDate": ["y"]}',
        b'{"Gsid": "x", "ModifiedDate": "yesterday"}',
    ],
)
def test_a_row_without_id_or_time_is_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_row(msgspec.Raw(raw), "Gsid", "ModifiedDate")
