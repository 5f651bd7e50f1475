"""What is asked about texts: once for each text, kept with the run, unknown without a judge, and shown in a trace."""

from typing import Any

import pytest

from cxbridge.core.canonical import Sentiment
from cxbridge.core.recipes.expressions import JUDGED, ExpressionError, Language, Surroundings

ANGRY = Sentiment(label="negative", model="house-1", score=-0.8, complaint=True, language="en")


class Judge:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def sentiment(self, text: str, language: str | None = None, asked: str | None = None) -> Sentiment:
        self.asked.append(("sentiment", text, language or "", asked or ""))
        return ANGRY

    def language(self, text: str) -> str:
        self.asked.append(("language", text))
        return "de"


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def language(judge: Judge) -> Language:
    return Language(around=Surroundings(judge=judge))


def scope(**more: Any) -> dict[str, Any]:
    return {"feedback": {"verbatim": "Export fails", "language": "en", "empty": None}, JUDGED: {}, **more}


def test_a_judgement_has_its_fields(language: Language, judge: Judge) -> None:
    found = language.expression("sentiment(feedback.verbatim, feedback.language, 'Why?')").evaluate(scope())
    assert found == {"label": "negative", "model": "house-1", "score": -0.8, "complaint": True, "language": "en"}
    assert judge.asked == [("sentiment", "Export fails", "en", "Why?")]
    assert language.expression("language(feedback.verbatim)").evaluate(scope()) == "de"


def test_a_text_is_judged_once_and_what_was_said_is_kept(language: Language, judge: Judge) -> None:
    kept: dict[str, Any] = {}
    condition = language.condition("sentiment(feedback.verbatim).score < 0 and sentiment(feedback.verbatim).complaint")
    for _ in range(3):
        assert condition.holds(scope(**{JUDGED: kept}))
    assert len(judge.asked) == 1
    assert list(kept.values()) == [
        {"label": "negative", "model": "house-1", "score": -0.8, "complaint": True, "language": "en"}
    ]
    # The text itself is not kept a second time.
    assert "Export" not in str(kept)
    # What was kept holds, whatever the judge says by now.
    (key,) = kept
    kept[key] = {**kept[key], "complaint": False}
    assert not condition.holds(scope(**{JUDGED: kept}))


def test_another_language_or_question_is_another_judgement(language: Language, judge: Judge) -> None:
    shared = scope()
    for source in (
        "sentiment(feedback.verbatim)",
        "sentiment(feedback.verbatim, 'de')",
        "sentiment(feedback.verbatim, none, 'de')",
        "language(feedback.verbatim)",
    ):
        language.expression(source).evaluate(shared)
    assert len(judge.asked) == 4


@pytest.mark.parametrize("text", ["feedback.empty", "''"])
def test_nothing_is_asked_about_an_empty_text(text: str, language: Language, judge: Judge) -> None:
    assert language.expression(f"sentiment({text}).label").evaluate(scope()) == "unknown"
    assert language.expression(f"language({text})").evaluate(scope()) == "unknown"
    assert judge.asked == []


def test_without_a_judge_everything_is_unknown_and_nothing_has_a_score() -> None:
    found = Language().expression("sentiment(feedback.verbatim)").evaluate(scope())
    assert (found["label"], found["score"], found["complaint"]) == ("unknown", None, False)
    assert Language().expression("language(feedback.verbatim)").evaluate(scope()) == "unknown"


def test_a_trace_shows_judgement_and_model(language: Language) -> None:
    [leaf] = language.condition("sentiment(feedback.verbatim).label == 'positive'").explain(scope())
    assert leaf.verdict is False
    assert dict(leaf.values)["sentiment(feedback.verbatim)"] == "negative -0.80, a complaint, in en (house-1)"
    [leaf] = Language().condition("sentiment(feedback.verbatim).label == 'positive'").explain(scope())
    assert dict(leaf.values)["sentiment(feedback.verbatim)"] == "unknown (none)"


@pytest.mark.parametrize("source", ["sentiment(7)", "sentiment('x', 7)", "language([])"])
def test_what_is_no_text_is_told(source: str, language: Language) -> None:
    with pytest.raises(ExpressionError, match="is about texts, not"):
        language.expression(source).evaluate(scope())


def test_many_long_texts_take_too_long() -> None:
    texts = " and ".join(f"sentiment(t[{number}]).label == 'unknown'" for number in range(20))
    with pytest.raises(ExpressionError, match="takes too long"):
        Language().condition(texts).holds({"t": [f"{number}" + "x" * 100_000 for number in range(20)]})
