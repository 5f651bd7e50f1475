"""What a run was told about a text stays with it: asked once, shown in its trace, the same after a change of model."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.canonical import Sentiment
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.given import SaidSo
from cxbridge.core.recipes.judging import judged_text
from cxbridge.core.recipes.surroundings import Judge, Surroundings
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
RECIPE = """
title = "Angry words"
owner = "voice-of-customer"
stage = "live"
use   = { survey = "survey", chat = "chat" }

[[trigger]]
on   = "feedback.changed"
from = "survey"

[when]
angry = "sentiment(feedback.verbatim, feedback.language).label != 'positive'"

[[step]]
id   = "tell"
do   = "chat.message.notify_once"
with = { to = "#voice", text = "{{ sentiment(feedback.verbatim, feedback.language).label }}" }

[[step]]
id   = "kept"
do   = "survey.response.set"
[step.with.attributes]
mood     = "{{ sentiment(feedback.verbatim, feedback.language).label }}"
model    = "{{ sentiment(feedback.verbatim, feedback.language).model }}"
score    = "{{ sentiment(feedback.verbatim, feedback.language).score }}"
language = "{{ language(feedback.verbatim) }}"
"""
ANGRY = Sentiment(label="negative", model="house-1", score=-0.75, language="en")
HAPPY = Sentiment(label="positive", model="house-2", score=0.9, language="de")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def judged_by(staged: Company, judge: Judge | None) -> None:
    """From now on this one judges."""
    staged.bridge.library.around = Surroundings(judge=judge)
    staged.write({"example": RECIPE + f"# {judge}\n"})
    staged.bridge.library.refresh()


def answer(staged: Company) -> None:
    staged.vendors.put(
        "survey/responses", cx.Feedback(source_id="r1", kind="nps", verbatim="Export fails", language="en")
    )
    staged.cycle()


def test_the_judgement_is_kept_with_the_run(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, RECIPE, clock) as staged:
        judged_by(staged, SaidSo(ANGRY))
        answer(staged)
        run = staged.run()
        assert run.state == "done"
        kept = run.context["judged"]
        assert [judged_text(one) if isinstance(one, dict) else one for one in kept.values()] == [
            "negative -0.75, in en (house-1)",
            "en",
        ]
        assert "Export" not in json.dumps(kept)
        [attributes] = [one.attributes for one in staged.vendors.calls("response.set")]
        assert attributes == {"mood": "negative", "model": "house-1", "score": "-0.75", "language": "en"}


def test_a_run_under_way_keeps_what_it_was_told(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, RECIPE, clock) as staged:
        judged_by(staged, SaidSo(ANGRY))
        staged.vendors.script["message.notify_once"] = ["busy"]
        answer(staged)
        assert staged.run().state == "running"
        judged_by(staged, SaidSo(HAPPY))
        staged.later(7200)
        [attributes] = [one.attributes for one in staged.vendors.calls("response.set")]
        # What was asked before holds; what is asked for the first time is asked of the new one.
        assert attributes == {"mood": "negative", "model": "house-1", "score": "-0.75", "language": "de"}


def test_without_a_judge_nothing_fails_and_nothing_is_claimed(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, RECIPE, clock) as staged:
        answer(staged)
        assert staged.run().state == "done"
        [attributes] = [one.attributes for one in staged.vendors.calls("response.set")]
        assert attributes == {"mood": "unknown", "model": "none", "language": "unknown"}


def test_a_run_that_judged_nothing_keeps_nothing(tmp_path: Path, clock: ManualClock) -> None:
    text = RECIPE[: RECIPE.index("[when]")] + '[[step]]\nid = "x"\ndo = "stop"\nwith = { reason = "enough" }\n'
    with company(tmp_path, text, clock) as staged:
        answer(staged)
        assert staged.run().state == "stopped"
        assert "judged" not in staged.run().context
