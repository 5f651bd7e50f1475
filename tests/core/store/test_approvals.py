"""Questions as rows: kept whole, one for each step of a run, and which of them wait for somebody."""

from datetime import timedelta

import msgspec
import pytest

from cxbridge.core.store import approvals, runs
from cxbridge.core.store.approvals import Answered, Approval

change = msgspec.structs.replace


@pytest.fixture
def question(noon):
    def make(number=1, **more):
        return Approval(
            **{
                "id": f"apr_{number:05}",
                "run": f"run_{number:05}",
                "recipe": "hand-over",
                "step": "triage",
                "question": "Escalate 4017?",
                "asked_at": noon,
                **more,
            }
        )

    return make


def test_a_question_comes_back_as_it_was_kept(store, question, noon):
    full = question(
        state="approved",
        asked={"to": [{"connection": "chat", "to": "#triage"}], "on_timeout": "hold", "by_clock": False},
        form=[{"name": "severity", "type": "choice", "of": ["S1", "S2"], "optional": False, "default": None}],
        quorum=2,
        answers=[
            Answered(who="chat/users/U1", name="Mia", choice="approve", at=noon, form={"severity": "S1"}),
            Answered(who="cli:tom", name="Tom", choice="approve", at=noon, refused="severity is missing", told=True),
        ],
        expires_at=noon + timedelta(hours=4),
        decided_at=noon + timedelta(hours=1),
    )
    with store.write() as tx:
        approvals.keep(tx, full)
    with store.read() as tx:
        assert approvals.get(tx, full.id) == full
        assert approvals.of_step(tx, "run_00001", "triage") == full
        assert approvals.of_step(tx, "run_00001", "other") is None
        assert approvals.get(tx, "apr_none") is None


def test_keeping_again_writes_anew(store, question, noon):
    with store.write() as tx:
        approvals.keep(tx, question())
        approvals.keep(tx, question(2))
        done = change(question(), state="rejected", decided_at=noon)
        approvals.keep(tx, done)
        assert approvals.get(tx, "apr_00001") == done
        assert approvals.get(tx, "apr_00002") == question(2)


def test_finding(store, question):
    with store.write() as tx:
        for one in (question(1), question(2, state="approved"), question(3, recipe="other")):
            approvals.keep(tx, one)
        assert [one.id for one in approvals.find(tx)] == ["apr_00003", "apr_00002", "apr_00001"]
        assert [one.id for one in approvals.find(tx, state="open", recipe="hand-over")] == ["apr_00001"]
        assert [one.id for one in approvals.find(tx, limit=1)] == ["apr_00003"]
        approvals.keep(tx, question(4, run="run_00001", step="second"))
        assert [one.id for one in approvals.of_run(tx, "run_00001")] == ["apr_00001", "apr_00004"]


def test_only_questions_of_runs_under_way_wait(store, question, run):
    with store.write() as tx:
        for number, state in enumerate(("waiting", "held", "failed", "cancelled", "done"), 1):
            runs.start(tx, run(number, state=state))
            approvals.keep(tx, question(number))
        approvals.keep(tx, question(6, run="run_00001", step="second", state="approved"))
        assert [one.id for one in approvals.waiting(tx)] == ["apr_00001", "apr_00002"]
        assert approvals.waiting(tx, recipe="other") == []
        assert [one.id for one in approvals.waiting(tx, limit=1)] == ["apr_00001"]
