"""Functions that ask how a text is meant. Who answers comes with the surroundings; what was answered stays with the run."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from jinja2 import nodes

from cxbridge.core.canonical import Sentiment
from cxbridge.core.recipes.evaluation import Builder, Eval, Frame
from cxbridge.core.recipes.forms import JUDGED, Form, around
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.surroundings import Judge
from cxbridge.core.recipes.values import kind

# A model costs more than all of an expression; a long text more than a short one.
_UNITS_PER_JUDGEMENT = 2_000
_JUDGED_PER_UNIT = 4
_UNKNOWN = Sentiment(label="unknown", model="none")


def _asker(
    builder: Builder, name: str, arguments: list[nodes.Expr], ask: Callable[..., Any], nothing: Any
) -> Callable[[Frame], Any]:
    """A closure that puts a question to the judge, or takes the answer that the run has had before."""
    values = [builder.build(argument) for argument in arguments]
    surroundings = around(builder)

    def run(frame: Frame) -> Any:
        text, *rest = [value(frame) for value in values]
        if text is None or text == "":
            return nothing
        for given in (text, *rest):
            if given is not None and type(given) is not str:
                raise ExpressionError(f"`{name}` is about texts, not {kind(given)}")
        kept = frame.scope.get(JUDGED)
        key = _key(name, text, *rest)
        if type(kept) is dict and key in kept:
            return kept[key]
        frame.spend(_UNITS_PER_JUDGEMENT + len(text) // _JUDGED_PER_UNIT)
        judge = surroundings(frame).judge
        found = ask(judge, text, *rest) if judge is not None else nothing
        if type(kept) is dict:
            kept[key] = found
        return found

    return run


def _key(*asked: str | None) -> str:
    """Name a question without keeping the text, which may be a customer's."""
    told = "\x1f".join(one or "" for one in asked).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=8).hexdigest()


def _sentiment(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    def ask(judge: Judge, text: str, language: str | None = None, asked: str | None = None) -> dict[str, Any]:
        return msgspec.structs.asdict(judge.sentiment(text, language, asked))

    asker = _asker(builder, "sentiment", arguments, ask, msgspec.structs.asdict(_UNKNOWN))
    run = builder.placed(node, lambda frame: dict(asker(frame)))
    builder.watched.append((builder.reading.text(node), lambda frame: judged_text(run(frame))))
    return run


def judged_text(found: Mapping[str, Any]) -> str:
    """A judgement as a trace shows it."""
    said = str(found["label"])
    if found["score"] is not None:
        said += f" {found['score']:+.2f}"
    if found["complaint"]:
        said += ", a complaint"
    if found["language"]:
        said += f", in {found['language']}"
    return f"{said} ({found['model']})"


def _language(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    def ask(judge: Judge, text: str) -> str:
        return judge.language(text)

    run = builder.placed(node, _asker(builder, "language", arguments, ask, "unknown"))
    builder.watched.append((builder.reading.text(node), run))
    return run


JUDGING_FORMS: Mapping[str, Form] = {
    "sentiment": Form(("text", "language", "asked"), _sentiment, 1),
    "language": Form(("text",), _language, 1),
}
