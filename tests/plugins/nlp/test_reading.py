"""What texts say, and that nothing a customer may paste stops the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.plugins import nlp
from cxbridge.plugins.nlp.phrases import PHRASES
from cxbridge.plugins.nlp.reading import Reader

BETTER = "How could we improve?"
GOOD = "What was good about our service?"


@pytest.fixture(scope="module")
def reader() -> Reader:
    found = nlp.reader()
    assert found is not None, "the tests run with the extra `nlp`"
    return found


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The agent was brilliant and solved it in minutes", "positive"),
        ("Very helpful and polite", "positive"),
        ("No complaints at all", "positive"),
        ("Could not have been better", "positive"),
        ("Above and beyond, as always", "positive"),
        ("I did not have to wait long", "positive"),
        ("The export keeps crashing and nobody answers my tickets", "negative"),
        ("Too slow", "negative"),
        ("We waited three weeks for a reply", "negative"),
        ("Still waiting for somebody to call back", "negative"),
        ("Nobody told us about the outage", "negative"),
        ("I would not recommend this to anyone", "negative"),
        ("not helpful", "negative"),
        ("I could not reach anybody by phone", "negative"),
        ("Invoices were wrong again, a waste of time", "negative"),
        ("We use it on Tuesdays", "neutral"),
        ("The support was great but the wait was far too long", "neutral"),
        ("n/a", "neutral"),
        ("I don't know", "neutral"),
    ],
)
def test_labels(reader: Reader, text: str, label: str) -> None:
    found = reader.read(text)
    assert found.label == label, found
    assert -1 <= found.score <= 1
    if label == "positive":
        assert found.score > 0
        assert not found.complaint
    if label == "negative":
        assert found.score < 0
        assert found.complaint


@pytest.mark.parametrize(
    "nothing", ["Nothing.", "nothing at all", "None", "Can’t think of anything", "Absolutely nothing!"]
)
def test_nothing_is_praise_or_blame_by_what_was_asked(reader: Reader, nothing: str) -> None:
    assert reader.read(nothing, BETTER).label == "positive"
    assert reader.read(nothing, GOOD).label == "negative"
    assert reader.read(nothing, GOOD).complaint


def test_a_first_nothing_does_not_turn_what_follows_into_its_opposite(reader: Reader) -> None:
    assert reader.read("Nothing, excellent service", BETTER).label == "positive"
    assert reader.read("Nothing works", BETTER).label == "negative"


@pytest.mark.parametrize(
    "wish",
    [
        "More staff",
        "Better communication",
        "It would be nice to get an answer",
        "Answer the phone",
        "Be more professional",
    ],
)
def test_a_wish_is_blame_unless_it_says_what_was_good(reader: Reader, wish: str) -> None:
    assert reader.read(wish, BETTER).label == "negative"
    assert reader.read(wish, GOOD).label != "negative"


def test_blame_is_a_complaint_even_where_praise_balances_it(reader: Reader) -> None:
    found = reader.read("The staff were lovely but nobody answered for three weeks")
    assert found.label == "neutral"
    assert found.complaint


def test_of_what_ails_them_people_speak_without_judging(reader: Reader) -> None:
    assert reader.read("I had an emergency at night and was in great pain").label == "neutral"
    assert reader.read("They helped with my depression").label == "positive"


def test_curly_quotes_and_capitals_read_alike(reader: Reader) -> None:
    plain = reader.read("can't fault the service")
    assert reader.read("Can’t fault the service").label == plain.label == "positive"


@given(st.text(max_size=300), st.one_of(st.none(), st.text(max_size=60)))
def test_any_text_is_read(text: str, asked: str | None) -> None:
    found = nlp.reader()
    assert found is not None
    read = found.read(text, asked)
    assert read.label in {"positive", "neutral", "negative"}
    assert -1 <= read.score <= 1
    assert read == found.read(text, asked)


@pytest.mark.parametrize(
    "hostile",
    [
        "." * 5000 + "a", "not to " * 700, "a " * 2500 + "z", "a" * 5000, "could " * 800, "nothing " * 600, "no one " * 700,
        "?!" * 2500, "12,5." * 1000, "the more or the " * 300, "could have been more or less better than " * 120, "\u202e" * 500,
        "but " * 1200, "TERRIBLE! " * 500,
    ],
)  # fmt: skip
def test_no_text_keeps_the_reader_busy(reader: Reader, hostile: str) -> None:
    """The suite's time limit is the judge: a pattern that tries every way through one of these would never end."""
    assert reader.read(hostile, BETTER).label in {"positive", "neutral", "negative"}


def test_valences_are_on_the_scale() -> None:
    assert all(-4 <= valence <= 4 for _, valence in PHRASES)
