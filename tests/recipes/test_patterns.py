"""Regular expressions for `matches`: the same answers as Python's `re` on the subset, and no text that makes them slow."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.patterns import Pattern
from cxbridge.core.recipes.values import BUDGET, Budget


def matches(pattern: str, text: str) -> bool:
    return Pattern(pattern).matches(text, Budget())


ATOMS = st.sampled_from(
    [
        "a", "b", "c", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\.", r"\n", "[ab]", "[^a]", "[a-c1-2]", r"[\d-]",
        "[]a]", "^", r"\b", r"\B", "é", "-", "{", "x{", "_",
    ]
)  # fmt: skip
REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,3}", "{,2}", "{2,}", "*?", "+?", "??", "{1,2}?"])


def compose(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map(lambda p: f"({p})"),
        st.tuples(inner, REPEATS).map(lambda t: f"(?:{t[0]}){t[1]}"),
        st.tuples(st.sampled_from(["a", "b", ".", r"\d", "[ab]"]), REPEATS).map("".join),
    )


@settings(max_examples=1500, deadline=None)
@given(st.recursive(ATOMS, compose, max_leaves=8), st.booleans(), st.text("abc1_ -.\né{x", max_size=12))
def test_same_answer_as_re(pattern, at_end, text):
    assume(text or r"\B" not in pattern)  # before 3.14, Python's \B does not hold in an empty text
    # In Python `$` also stands before a last line end; here it is the end and nothing else.
    expected = re.search(f"(?:{pattern})" + (r"\Z" if at_end else ""), text) is not None
    assert matches(f"(?:{pattern})$" if at_end else pattern, text) is expected


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.sampled_from(["a", "B", "[a-c]", "[^b]", ".", "_"]), compose, max_leaves=5), st.text("aAbBcC_"))
def test_same_answer_as_re_when_case_is_ignored(pattern, text):
    assert matches("(?i)" + pattern, text) is (re.search(pattern, text, re.IGNORECASE) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("a||b", "z", True),
        ("^$", "", True),
        ("^$", "a", False),
        ("a$", "a\n", False),
        (r"\bdown\b", "site is down.", True),
        (r"\bdown\b", "download", False),
        ("error.{0,50}timeout", "an error: " + "x" * 40 + " timeout", True),
        ("error.{0,50}timeout", "an error: " + "x" * 60 + " timeout", False),
        ("(?i)straße", "STRASSE", False),
        ("(?i)É", "é", True),
        (r"ERR-\d{3,5}\b", "ERR-12 ERR-1234567 ERR-123", True),
        ("a.b", "a\nb", False),
        ("[^\\s]+@", "x@", True),
    ],
)
def test_particular_answers(pattern, text, expected):
    assert matches(pattern, text) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*)*x",
        "(.*.*.*)=x",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "([a-zA-Z]+)*!",
        "(x+x+)+y",
        "(a?){50}a{50}b",
        "(?:a*){100}b",
        "(a*a*a*a*a*)*b",
        r"(\w+\s?)*!",
        "((a{1,10}){1,10})*b",
    ],
)
def test_work_grows_with_the_text_only(pattern):
    compiled = Pattern(pattern)
    spent = []
    for size in (500, 1000, 2000):
        budget = Budget()
        compiled.matches("a" * size, budget)
        spent.append(BUDGET - budget.left)
    assert spent == [1000, 2000, 4000]
    # What is remembered belongs to the pattern: a longer text of the same kind adds nothing.
    rows = len(compiled._rows)
    compiled.matches("a" * 10_000, Budget())
    assert len(compiled._rows) == rows


def test_text_that_needs_ever_new_rows_is_stopped():
    # 2^20 sets of states are possible here; building them is charged, so this ends soon instead.
    pattern = Pattern("(a|b)*a(a|b){20}c")
    state = 1
    text = []
    for _ in range(100_000):
        state = (state * 1103515245 + 12345) % 2**31
        text.append("ab"[state >> 16 & 1])
    with pytest.raises(ExpressionError, match="too long"):
        pattern.matches("".join(text), Budget())
    assert len(pattern._rows) <= 1500


def test_many_different_characters_do_not_fill_the_memory():
    pattern = Pattern(r"\d\d\d")
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 9000)))
    assert pattern.matches(text, Budget()) is False
    assert len(pattern._signatures) <= 4096


@pytest.mark.parametrize(
    ("pattern", "place", "message"),
    [
        ("a(b", 1, "never closed"),
        ("a)b", 1, "closes no group"),
        ("ab[c", 2, "never closed"),
        ("a[z-a]", 1, "wrong way round"),
        ("*a", 0, "nothing to repeat"),
        ("a|+", 2, "nothing to repeat"),
        ("^*", 0, "nothing to repeat"),
        ("a**", 2, "two repetitions"),
        ("a{2}{3}", 4, "two repetitions"),
        ("a{3,2}", 1, "wrong way round"),
        ("a{101}", 1, "at most 100"),
        ("a{1,99999999999}", 1, "at most 100"),
        (r"a\1", 1, "refer back"),
        (r"a\p", 1, "not supported"),
        (r"[\b]", 1, "not supported"),
        ("a\\", 1, "in the middle"),
        ("x(?=a)", 1, "look around"),
        ("(?P<n>a)", 0, "look around"),
        ("a(?i)b", 1, "look around"),
        ("(" * 30 + "a" + ")" * 30, 20, "too deeply"),
        ("a" * 201, 200, "at most 200"),
        ("(a{100}){100}", 0, "too large"),
        ("((((((){100}){100}){100}){100}){100}){100}", 0, "too large"),
    ],
)
def test_refused_patterns(pattern, place, message):
    with pytest.raises(ExpressionError) as caught:
        Pattern(pattern)
    assert message in caught.value.message
    assert caught.value.offset == place


@settings(max_examples=500, deadline=None)
@given(st.text("ab()[]{}|*+?^$\\.-,0123456789dwsbBn:i<=!P", max_size=40), st.text("ab1 ", max_size=20))
def test_any_pattern_answers_or_is_refused(pattern, text):
    try:
        compiled: Pattern | ExpressionError = Pattern(pattern)
    except ExpressionError as error:
        compiled = error
    if isinstance(compiled, ExpressionError):
        assert 0 <= compiled.offset <= len(pattern)
    else:
        assert compiled.matches(text, Budget()) in (True, False)
