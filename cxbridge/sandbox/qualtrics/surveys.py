"""Makes surveys: the brand's own three, and others out of a few words. Holds none."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cxbridge.sandbox.qualtrics.records import Question, Survey
from cxbridge.sandbox.qualtrics.wire import moment

RELATION = "SV_relationNPS0001"
SUPPORT = "SV_supportCSAT0001"
ONBOARDING = "SV_onboardCES00001"
EMBEDDED = ("accountId", "accountName", "ticketId", "contactOk")

_SATISFIED = ("Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied")
_AGREE = (
    "Strongly disagree",
    "Disagree",
    "Somewhat disagree",
    "Neither agree nor disagree",
    "Somewhat agree",
    "Agree",
    "Strongly agree",
)
_METRICS = ("nps", "csat", "ces")


def first(owner: str, now: datetime) -> list[Survey]:
    """The three surveys that every brand of the sandbox has."""
    rows: list[dict[str, Any]] = [
        {"id": RELATION, "name": "Harbourlight relationship", "metric": "nps"},
        {"id": SUPPORT, "name": "Harbourlight support", "metric": "csat"},
        {"id": ONBOARDING, "name": "Harbourlight onboarding", "metric": "ces"},
    ]
    created = (now - timedelta(days=120)).isoformat()
    return [build(row, owner, {"created": created}, now) for row in rows]


def build(row: Mapping[str, Any], owner: str, defaults: Mapping[str, Any], now: datetime) -> Survey:
    """A survey out of a row: id, name, metric, scale, direction, verbatim, contact_question, active, created, labels.

    Raises:
        ValueError: the row says something that no survey has.
    """
    told = {**defaults, **row}
    unknown = set(told) - _KNOWN
    if unknown:
        raise ValueError(f"a survey has no {min(unknown)}; it has {', '.join(sorted(_KNOWN - {'kind'}))}")
    metric = told.get("metric")
    if metric is not None and metric not in _METRICS:
        raise ValueError(f"metric {metric!r} is unknown; use {', '.join(_METRICS)}")
    asked: dict[str, Question] = {}
    score = verbatim = consent = None
    if metric is not None:
        score = "QID1"
        asked[score] = _scored(str(metric), told)
    if told.get("verbatim", True):
        verbatim = "QID2"
        asked[verbatim] = Question(verbatim, "Q2", "What is the main reason for your answer?", "TE", "ML")
    if told.get("contact_question", True):
        consent = "QID3"
        asked[consent] = Question(
            consent, "contactOk", "May we contact you about your answer?", "MC", "SAVR", {"1": "Yes", "2": "No"}
        )
    created = moment(told.get("created"), now)
    return Survey(
        id=str(told["id"]),
        name=str(told.get("name") or told["id"]),
        owner=owner,
        created=created,
        modified=created,
        questions=asked,
        active=bool(told.get("active", True)),
        score=score,
        verbatim=verbatim,
        consent=consent,
        embedded=EMBEDDED,
    )


_KNOWN = frozenset(
    {
        "kind",
        "id",
        "name",
        "metric",
        "scale",
        "direction",
        "labels",
        "question",
        "verbatim",
        "contact_question",
        "active",
        "created",
    }
)


def _scored(metric: str, told: Mapping[str, Any]) -> Question:
    if metric == "nps":
        text = told.get("question") or "How likely are you to recommend <b>Harbourlight</b> to a colleague?"
        return Question("QID1", "Q1", str(text), "MC", "NPS", {str(score): str(score) for score in range(11)})
    low, high = told.get("scale") or ((1, 5) if metric == "csat" else (1, 7))
    usual = _SATISFIED if metric == "csat" else _AGREE
    points = range(int(low), int(high) + 1)
    labels = told.get("labels") or (usual if len(points) == len(usual) else [str(one) for one in points])
    if told.get("direction") == "down" and not told.get("labels"):
        labels = list(reversed(labels))
    if len(labels) != len(points):
        raise ValueError(f"a scale from {low} to {high} needs {len(points)} labels")
    codes = {str(code): str(label) for code, label in zip(points, labels, strict=True)}
    if metric == "csat":
        text = told.get("question") or "How satisfied are you with how we handled your request?"
        return Question("QID1", "Q1_CSAT", str(text), "MC", "SAVR", codes)
    text = told.get("question") or "Harbourlight made it easy to get started."
    return Question("QID1", "Q1_CES", str(text), "MC", "SAVR", codes)
