"""Tells from a survey's definition what it measures: which question is scored, on which scale, which end is good; no I/O.

The rules, in this order. What is configured wins. NPS is the question that Qualtrics itself marks so (`Selector` NPS). CSAT and CES
have no mark: they are the first rated question whose export tag or text says so, with 3 to 11 codes, since two are a yes or no. The
highest code is the best one, unless its label sounds bad and the lowest one's does not.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from cxbridge.plugins.qualtrics import wire
from cxbridge.plugins.qualtrics.rules import NPS_SCALE, Direction, Metric, Rules, SurveyRule

_CSAT: Final = re.compile(r"\bcsat\b|satisf(?!y)|zufrieden", re.IGNORECASE)
_CES: Final = re.compile(r"\bces\b|\beffort|\beas(?:e|y|ily)\b|aufwand", re.IGNORECASE)
_BAD: Final = re.compile(
    r"dissatisf|unsatisf|unzufrieden|very bad|poor|terrible|difficult|hard\b|disagree|high effort|a lot of effort|schlecht",
    re.IGNORECASE,
)
_MARKUP: Final = re.compile(r"<[^>]*>")
_FEWEST: Final = 3
_MOST: Final = 11


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as people see it: `codes` are its choices by recode value, `rows` its rows by number."""

    id: str
    tag: str
    text: str
    type: str
    selector: str
    codes: Mapping[str, str]
    rows: Mapping[str, str]

    @property
    def said(self) -> str:
        """What it is recognised by."""
        return f"{self.tag} {self.text}"

    @property
    def numbers(self) -> list[float]:
        """Its codes, where all of them are numbers."""
        try:
            return sorted(float(code) for code in self.codes)
        except ValueError:
            return []


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a survey measures and by which keys its values are found; `problems` say what the settings have wrong."""

    metric: Metric | None = None
    question: str | None = None
    scale: tuple[float, float] | None = None
    direction: Direction = "up"
    verbatim: str | None = None
    contact_ok: str | None = None
    questions: tuple[Asked, ...] = ()
    problems: tuple[str, ...] = ()

    def asked(self, key: str) -> Asked | None:
        """Find the question that a key of `values` belongs to."""
        name = re.match(r"QID\d+", key)
        return next((one for one in self.questions if name and one.id == name[0]), None)


def questions(definition: wire.Definition) -> tuple[Asked, ...]:
    """Read the questions of a definition, in the order of their ids; one that cannot be read is left out."""
    return tuple(_asked_in(definition.questions))


def instrument(survey: str, asked: tuple[Asked, ...], rules: Rules) -> Instrument:
    """Say what a survey measures. Without a definition (no questions) only what is configured is known."""
    rule = rules.of(survey)
    metric, found = _scored(rule, asked)
    return Instrument(
        metric=metric,
        question=rule.question
        or (found.id + ("_1" if found.rows or found.type == "Slider" else "") if found else None),
        scale=rule.scale or _scale(metric, found),
        direction=rule.direction or _direction(metric, found),
        verbatim=rule.verbatim or next((one.id for one in asked if one.type == "TE" and one.selector != "FORM"), None),
        contact_ok=rule.contact_ok or _consent(asked, rules.fields.consent),
        questions=asked,
        problems=tuple(_problems(survey, rule, asked)),
    )


def plain(text: object) -> str:
    """Give the words of a question's HTML."""
    return " ".join(html.unescape(_MARKUP.sub(" ", text)).split()) if isinstance(text, str) else ""


def _asked_in(given: Any) -> Iterator[Asked]:
    rows = given.items() if isinstance(given, dict) else ()
    for name, raw in sorted(rows, key=lambda one: (len(one[0]), one[0])):
        try:
            question = msgspec.convert(raw, wire.Question)
        except msgspec.ValidationError:
            continue
        yield _asked(str(question.question_id or name), question)


def _asked(id_: str, question: wire.Question) -> Asked:
    matrix = question.question_type == "Matrix"
    columns = question.answers if matrix else question.choices
    recodes = question.recode_values if isinstance(question.recode_values, dict) else {}
    shown = columns if isinstance(columns, dict) else {}
    nps = question.selector == "NPS"
    # The choices of an NPS question are numbered from 0 or from 1; its values are the scores themselves.
    codes = {} if nps else {str(recodes.get(key, key)): _display(choice) for key, choice in shown.items()}
    rows = question.choices if matrix and isinstance(question.choices, dict) else {}
    return Asked(
        id=id_,
        tag=question.data_export_tag or "",
        text=plain(question.question_text) or plain(question.question_description),
        type=question.question_type or "",
        selector=question.selector or "",
        codes=codes,
        rows={key: _display(choice) for key, choice in rows.items()},
    )


def _display(choice: Any) -> str:
    return plain(choice.get("Display") if isinstance(choice, dict) else choice)


def _scored(rule: SurveyRule, asked: tuple[Asked, ...]) -> tuple[Metric | None, Asked | None]:
    if rule.question is not None:
        named = rule.question.partition("_")[0]
        return rule.metric, next((one for one in asked if one.id == named), None)
    found: dict[Metric, Asked] = {}
    for one in asked:
        metric = _measures(one)
        if metric is not None:
            found.setdefault(metric, one)
    metrics: tuple[Metric, ...] = ("nps", "csat", "ces") if rule.metric is None else (rule.metric,)
    for metric in metrics:
        if metric in found:
            return metric, found[metric]
    return rule.metric, None


def _measures(one: Asked) -> Metric | None:
    if one.type == "MC" and one.selector == "NPS":
        return "nps"
    single = one.type == "MC" and not one.selector.startswith("MA")
    if not (single or one.type == "Slider" or (one.type == "Matrix" and len(one.rows) == 1)):
        return None
    if one.type != "Slider" and not _FEWEST <= len(one.numbers) <= _MOST:
        return None
    if _CSAT.search(one.said):
        return "csat"
    return "ces" if _CES.search(one.said) else None


def _scale(metric: Metric | None, one: Asked | None) -> tuple[float, float] | None:
    if metric == "nps":
        return NPS_SCALE
    if one is None or metric is None:
        return None
    if one.type == "Slider":
        return (0.0, 100.0)
    codes = one.numbers
    return (codes[0], codes[-1]) if len(codes) > 1 else None


def _direction(metric: Metric | None, one: Asked | None) -> Direction:
    if metric == "nps" or one is None or len(one.numbers) < 2:
        return "up"
    labels = {float(code): label for code, label in one.codes.items()}
    lowest, highest = labels[min(labels)], labels[max(labels)]
    return "down" if _BAD.search(highest) and not _BAD.search(lowest) else "up"


def _consent(asked: tuple[Asked, ...], name: str) -> str:
    """A question that is called like the embedded data asks for the same; consent is never guessed from words."""
    return next((one.id for one in asked if one.tag.casefold() == name.casefold()), name)


def _problems(survey: str, rule: SurveyRule, asked: tuple[Asked, ...]) -> Iterator[str]:
    if not asked:
        return
    ids = {one.id for one in asked}
    for setting in ("question", "verbatim", "contact_ok"):
        named: str | None = getattr(rule, setting)
        if named and named.startswith("QID") and named.partition("_")[0] not in ids:
            yield f"survey {survey} has no question {named}, which surveys.{survey}.{setting} names"
    metric, found = _scored(rule, asked)
    if metric is None:
        return
    if found is None and rule.question is None:
        yield f"survey {survey} has no question that looks like {metric}: name it, as surveys.{survey}.question"
    scale = rule.scale or _scale(metric, found)
    if found is not None and scale is None:
        yield f"the scale of {found.id} in survey {survey} cannot be told: set surveys.{survey}.scale"
    codes = found.numbers if found is not None and found.type != "Slider" else []
    if scale is not None and codes and (codes[0], codes[-1]) != scale and metric != "nps":
        told = f"{codes[0]:g} to {codes[-1]:g}"
        yield f"{rule.question or 'the question'} of survey {survey} has codes from {told}, unlike surveys.{survey}.scale"
