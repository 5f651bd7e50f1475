"""Similarity: the right one comes first, whatever order they are given in, and nothing in common is no match."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.functions.similarity import Match, similar, terms

TICKETS = {
    1: "The app crashes when I open the export dialog on Windows",
    2: "Invoice shows the wrong VAT number for our German branch",
    3: "Cannot log in with single sign-on since the weekend",
    4: "Export to CSV is very slow for large boards",
    5: "Please add a dark theme to the dashboard",
    6: "Dashboard does not load, it only shows a spinner",
}


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("App crashing on opening the export dialog", 1),
        ("wrong VAT on invoices", 2),
        ("SSO: single sign on fails, nobody can log in", 3),
        ("exporting large boards as csv takes minutes", 4),
        ("Would love a dark theme", 5),
        ("spinner instead of the dashboard, nothing loads", 6),
    ],
)
def test_a_paraphrase_finds_its_ticket(asked: str, right: int) -> None:
    found = similar(asked, TICKETS)
    assert found[0].key == right
    assert all(0.15 <= one.score <= 1 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_the_same_words_are_as_alike_as_can_be() -> None:
    assert similar(TICKETS[2], TICKETS, most=1) == [Match(2, 1.0)]


def test_what_has_nothing_in_common_is_no_match() -> None:
    assert similar("Quarterly roadmap meeting", TICKETS) == []
    assert similar("", TICKETS) == []
    assert similar("the and of", TICKETS) == []
    assert similar("crash", {}) == []


def test_rare_words_weigh_more_than_common_ones() -> None:
    candidates = {number: f"the board shows an old value {number}" for number in range(20)}
    candidates[99] = "webhook signature refused"
    assert similar("board shows a refused webhook signature", candidates)[0].key == 99


def test_limits_are_kept() -> None:
    same = dict.fromkeys(range(9), "export is slow")
    assert [one.key for one in similar("export is slow", same, most=3)] == [0, 1, 2]
    assert similar("export to csv", TICKETS, least=0.99) == []


@given(st.text(max_size=200), st.dictionaries(st.integers(), st.text(max_size=200), max_size=8))
def test_any_text_is_compared(asked: str, candidates: dict[int, str]) -> None:
    found = similar(asked, candidates, least=0.0, most=100)
    assert all(0 <= one.score <= 1 for one in found)
    if found:
        assert {one.key for one in found} == set(candidates)
    # A text is as like another as the other is like it.
    for match in found:
        back = {
            one.key: one.score
            for one in similar(candidates[match.key], {**candidates, match.key: asked}, least=0.0, most=100)
        }
        assert back.get(match.key, 0.0) == pytest.approx(match.score, abs=1e-5)


def test_paraphrases_are_found_among_many() -> None:
    """Each of 300 tickets of twelve words, asked for with a third of them changed, comes first."""
    draw = random.Random(7)
    words = [f"w{number:03}x" for number in range(900)]
    tickets = {number: draw.sample(words, 12) for number in range(300)}
    texts = {number: " ".join(told) for number, told in tickets.items()}
    first = 0
    for number, told in tickets.items():
        asked = [*told[:8], *draw.sample(words, 4)]
        first += similar(" ".join(asked), texts, most=1)[0].key == number
    assert first >= 297


def test_the_terms_to_look_for() -> None:
    assert terms("Please help: the App crashes, the app CRASHES on Windows 11!") == [
        "help",
        "app",
        "crashes",
        "windows",
        "11",
    ]
    assert terms("") == []
    assert len(terms(" ".join(f"w{number}" for number in range(99)))) == 30
