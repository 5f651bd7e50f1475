"""The judge: what it asks, what it remembers, and that no plugin's failure gets past it."""

from typing import Any

import pluggy
import pytest
import structlog

from cxbridge.core import connector as cx
from cxbridge.core import hookspecs
from cxbridge.core.canonical import Sentiment
from cxbridge.core.engine.judging import LONGEST, Judge
from cxbridge.core.registry import Registry

GOOD = Sentiment(label="positive", score=0.5, model="m 1", language="en")
UNKNOWN = Sentiment(label="unknown", model="none")


class Model:
    """A plugin that answers with what it was given and keeps what it was asked."""

    def __init__(self, answer: Any = GOOD, language: Any = "en") -> None:
        self.answer, self.tongue = answer, language
        self.asked: list[tuple[Any, ...]] = []

    @cx.hookimpl
    def cxbridge_sentiment(self, text: str, language: str | None, asked: str | None) -> Any:
        self.asked.append((text, language, asked))
        return self._given(self.answer)

    @cx.hookimpl
    def cxbridge_language(self, text: str) -> Any:
        self.asked.append((text,))
        return self._given(self.tongue)

    @staticmethod
    def _given(answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer


def judge_of(*plugins: Any, remember: int = 100) -> Judge:
    manager = pluggy.PluginManager("cxbridge")
    manager.add_hookspecs(hookspecs)
    for plugin in plugins:
        manager.register(plugin)
    manager.check_pending()
    return Judge(Registry({}, [], [], manager), remember=remember)


def test_without_a_plugin_everything_is_unknown() -> None:
    for judge in (judge_of(), Judge(Registry({}, []))):
        assert judge.sentiment("Great") == UNKNOWN
        assert judge.sentiment("Great", "en") == Sentiment(label="unknown", model="none", language="en")
        assert judge.language("Great") == "unknown"


def test_an_empty_text_is_unknown_and_asks_nobody() -> None:
    model = Model()
    judge = judge_of(model)
    for empty in ("", " \n\t "):
        assert judge.sentiment(empty) == UNKNOWN
        assert judge.language(empty) == "unknown"
    assert model.asked == []


def test_a_text_is_asked_about_once() -> None:
    model = Model()
    judge = judge_of(model)
    for _ in range(3):
        assert judge.sentiment("Great", "en", "What was good?") == GOOD
        assert judge.language("Great") == "en"
    assert model.asked == [("Great", "en", "What was good?"), ("Great",)]
    # Another question, and another language, is another question to the model.
    judge.sentiment("Great", "en", "What was bad?")
    judge.sentiment("Great", "de")
    judge.sentiment("Great")
    assert len(model.asked) == 5


def test_that_nobody_could_answer_is_remembered_too() -> None:
    model = Model(answer=None, language=None)
    judge = judge_of(model)
    for _ in range(2):
        assert judge.sentiment("Great") == UNKNOWN
        assert judge.language("Great") == "unknown"
    assert len(model.asked) == 2


def test_memory_is_bounded_and_the_least_used_go_first() -> None:
    model = Model()
    judge = judge_of(model, remember=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        judge.sentiment(text)
    assert [one[0] for one in model.asked] == ["a", "b", "c", "b"]


def test_long_texts_are_judged_by_their_beginning() -> None:
    model = Model()
    judge_of(model).sentiment("x" * (LONGEST + 5), None, "y" * (LONGEST + 5))
    assert [len(one) for one in model.asked[0] if one] == [LONGEST, LONGEST]


@pytest.mark.parametrize(
    "wrong",
    [
        RuntimeError("out of memory: customer said X"),
        {"label": "positive"},
        "positive",
        Sentiment(label="positive", score=float("nan"), model="m"),
        Sentiment(label="negative", score=-1.5, model="m"),
    ],
    ids=repr,
)
def test_what_a_plugin_does_wrong_leaves_the_text_unknown_and_is_told_once(wrong: Any) -> None:
    model = Model(answer=wrong)
    judge = judge_of(model)
    with structlog.testing.capture_logs() as logs:
        assert judge.sentiment("the customer's words", "en") == Sentiment(label="unknown", model="none", language="en")
        assert judge.sentiment("other words").label == "unknown"
    assert [(one["event"], one["hook"], one["log_level"]) for one in logs] == [
        ("judging.failed", "cxbridge_sentiment", "error")
    ]
    # Neither a customer's words nor what a model says of them reach the log.
    assert "customer" not in str(logs)
    # A failure is no answer: next time the plugin is asked again.
    model.answer = GOOD
    assert judge.sentiment("other words") == GOOD


@pytest.mark.parametrize("wrong", [RuntimeError("x"), 7], ids=repr)
def test_a_wrong_language_is_unknown(wrong: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        assert judge_of(Model(language=wrong)).language("Great") == "unknown"
    assert [one["hook"] for one in logs] == ["cxbridge_language"]


def test_an_unknown_text_never_has_a_score() -> None:
    judge = judge_of(Model(answer=Sentiment(label="unknown", score=0.9, complaint=True, model="m", language="de")))
    assert judge.sentiment("Gut") == Sentiment(label="unknown", model="m", language="de")
