"""Steps done for each of several: one delivery per item, in batches, counted, once; and what verbs act on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.rehearse import rehearse
from cxbridge.core.ledger import Link, Ref
from cxbridge.core.recipes.model import RESULT_FIELDS
from cxbridge.core.store import links
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
HEAD = """
title = "Everybody hears of it"
owner = "voice-of-customer"
stage = "live"
use   = { survey = "survey", desk = "desk", chat = "chat", success = "success" }

[inputs]
channels = { type = "list", default = ["#voice", "#product", "#voice-eu"] }

[[trigger]]
on   = "feedback.changed"
from = "survey"
"""
TELL = """
[[step]]
id       = "tell"
do       = "chat.message.notify_once"
for_each = "inputs.channels"
batch    = 2
with     = { to = "{{ item }}", text = "{{ feedback.score }}" }

[[step]]
id   = "sum"
do   = "survey.response.set"
[step.with.attributes]
told  = "{{ tell.count }}: {% for one in tell.items %}{{ one.source_key }} {% endfor %}"
first = "{{ tell.id }}"
"""
LINK = """
[[step]]
id   = "never"
do   = "link"
if   = "feedback.score > 100"
with = { left = "{{ feedback.id }}", right = "{{ ticket.id }}", relation = "about" }
"""
NOTE = """
[[step]]
id       = "note"
do       = "desk.comment.add_once"
for_each = "linked(feedback, 'about')"
batch    = 2
[step.with]
visibility = "internal"
body       = "{{ item.subject }}: {{ feedback.score }} from {{ its(item, 'contact').name | default('somebody', true) }}"
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def told(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    with company(tmp_path, HEAD + TELL, clock) as opened:
        yield opened


@pytest.fixture
def noted(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    with company(tmp_path, HEAD + NOTE + LINK, clock) as opened:
        opened.vendors.put("desk/contacts", cx.Contact(source_id="mia", name="Mia"))
        for key in "123":
            opened.ticket(key, subject=f"Export {key}")
        for connection, stream in opened.bridge.streams("desk"):
            opened.bridge.pull(connection, stream)
        with opened.bridge.store.write() as tx:
            for key in "1234":
                links.ensure(tx, about(key))
        yield opened


def about(ticket: str) -> Link:
    answer = Ref("survey", "responses", "r1")
    return Link(left=answer, right=Ref("desk", "tickets", ticket), relation="about", made_by="test", made_at=START)


def answered(staged: Company, score: float = 3) -> None:
    staged.vendors.put("survey/responses", cx.Feedback(source_id="r1", kind="nps", score=score))
    staged.cycle()


def test_each_item_has_its_delivery_and_the_result_holds_them_all(told: Company) -> None:
    answered(told)
    assert [one.to for one in told.vendors.calls("message.notify_once")] == ["#voice", "#product", "#voice-eu"]
    sent = [one for one in told.deliveries() if one.action == "message.notify_once"]
    assert len({one.marker for one in sent}) == 3
    [kept] = told.vendors.calls("response.set")
    keys = [f"M-{one.marker[-8:]}".upper() for one in sorted(sent, key=lambda one: one.index)]
    assert kept.attributes["told"] == f"3: {' '.join(keys)} "
    assert kept.attributes["first"].upper().endswith(keys[0])
    run = told.run()
    assert run.state == "done"
    assert run.results["tell"]["count"] == 3


def test_the_next_batch_waits_for_the_one_before(told: Company) -> None:
    told.vendors.script["message.notify_once"] = ["ok", "busy"]
    answered(told)
    assert [one.to for one in told.vendors.calls("message.notify_once")] == ["#voice"]
    assert len(told.deliveries()) == 2
    told.restart()
    told.later(7200)
    assert [one.to for one in told.vendors.calls("message.notify_once")] == ["#voice", "#product", "#voice-eu"]
    assert told.run().state == "done"


def test_a_lost_answer_repeats_nothing(told: Company) -> None:
    told.vendors.script["message.notify_once"] = ["lost", "ok", "lost"]
    answered(told)
    for _ in range(3):
        told.later(60)
    assert sorted(one.to for one in told.vendors.calls("message.notify_once")) == ["#product", "#voice", "#voice-eu"]
    assert told.run().results["tell"]["count"] == 3


def test_an_empty_list_is_done_at_once(tmp_path: Path, clock: ManualClock) -> None:
    text = HEAD + TELL.replace("inputs.channels", "linked(feedback, 'about')") + LINK
    with company(tmp_path, text, clock) as staged:
        answered(staged)
        assert staged.run().results["tell"] == {**dict.fromkeys(RESULT_FIELDS), "items": [], "count": 0}
        assert staged.vendors.calls("response.set")[0].attributes["told"] == "0: "


def test_linked_records_are_the_targets_and_what_belongs_to_them_can_be_told(noted: Company) -> None:
    answered(noted)
    targets = [call.target for name, call in noted.vendors.done if name == "comment.add_once"]
    written = list(zip(targets, [one.body for one in noted.vendors.calls("comment.add_once")], strict=True))
    assert written[:3] == [(key, f"Export {key}: 3 from Mia") for key in "123"]
    # One that was not pulled yet is written to all the same; nothing is known of it.
    assert written[3] == ("4", ": 3 from somebody")


def test_the_list_is_the_one_there_was_when_the_step_was_reached(noted: Company) -> None:
    noted.vendors.script["comment.add_once"] = ["busy"]
    answered(noted)
    with noted.bridge.store.write() as tx:
        links.ensure(tx, about("5"))
    noted.later(7200)
    assert len(noted.vendors.calls("comment.add_once")) == 4


def test_more_writes_than_a_run_may_do_fail_it(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, HEAD + "[limits]\nwrites_per_run = 2\n" + TELL, clock) as staged:
        answered(staged)
        run = staged.run()
        assert run.state == "failed"
        assert "writes_per_run = 2" in run.reason
        assert len(staged.vendors.calls("message.notify_once")) == 2


def test_a_plan_shows_each_of_them(told: Company) -> None:
    told.vendors.put("survey/responses", cx.Feedback(source_id="r1", kind="nps", score=3))
    told.bridge.pull("survey", "responses")
    found = rehearse(told.bridge.store, told.bridge.stepper, told.bridge.recipe("example"), told.clock)
    [run] = found.acts
    assert [(one.step, one.index) for one in run.deliveries] == [("tell", 0), ("tell", 1), ("tell", 2), ("sum", 0)]
    assert run.deliveries[3].inputs["attributes"]["told"] == "3: «new message» «new message» «new message» "
    assert told.vendors.done == []


def test_what_is_no_list_fails_the_run(tmp_path: Path, clock: ManualClock) -> None:
    text = (HEAD + TELL).replace("inputs.channels", "coalesce(feedback.verbatim, feedback.kind)")
    with company(tmp_path, text, clock) as staged:
        answered(staged)
        assert (staged.run().state, staged.run().reason) == (
            "failed",
            "step tell: `for_each` goes over a list, and this is a text",
        )


def test_what_has_an_id_and_is_no_record_is_taken_as_it_stands(tmp_path: Path, clock: ManualClock) -> None:
    text = (HEAD + TELL).replace("inputs.channels", "feedback.custom.teams").replace("{{ item }}", "{{ item.id }}")
    with company(tmp_path, text, clock) as staged:
        staged.vendors.put(
            "survey/responses",
            cx.Feedback(source_id="r1", kind="nps", score=3, custom={"teams": [{"id": "#voice"}, {"id": "#product"}]}),
        )
        staged.cycle()
        assert [one.to for one in staged.vendors.calls("message.notify_once")] == ["#voice", "#product"]


# -- what verbs act on -------------------------------------------------------------------------------------------------

TASKS = """
[[step]]
id   = "task"
do   = "success.task.ensure"
[step.with]
account = "success/companies/northwind"
title   = "Call"
reason  = "NPS"
due_at  = "{{ deadline(now, '2 business_days', 'weekdays') }}"

[[step]]
id   = "told"
do   = "success.timeline.add_once"
with = { account = "success/companies/northwind", subject = "Answer", body = "{{ feedback.score }}", at = "{{ now }}" }

[[step]]
id   = "tell"
do   = "chat.message.notify_once"
with = { to = "#voice", text = "Due {{ deadline(now, '2 business_days', 'weekdays') | day }}" }

[[step]]
id   = "more"
do   = "success.task.set"
with = { note = "in {{ tell.source_key }}" }

[[step]]
id   = "thread"
do   = "chat.message.reply_once"
with = { text = "{{ task.url }}" }

[[step]]
id   = "tier"
do   = "success.account.set"
with = { account = "success/companies/northwind", renewal_at = "2026-12-31" }

[[step]]
id   = "done"
do   = "survey.response.set"
with = { attributes = { loop = "open" } }
"""


def test_a_verb_acts_on_what_its_kind_was_made_or_on_the_subject(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, HEAD + TASKS, clock) as staged:
        staged.vendors.put("success/companies", cx.Account(source_id="northwind", name="Northwind"))
        answered(staged)
        assert staged.run().state == "done", staged.run().reason
        calls = dict(staged.vendors.done)
        results = {name: Ref.parse(told["id"]) for name, told in staged.run().results.items()}
        assert calls["task.set"].target == results["task"].key
        assert results["task"].stream == "tasks"
        assert results["told"].stream == "timeline"
        assert calls["message.reply_once"].target == results["tell"].key
        assert calls["response.set"].target == "r1"
        assert calls["account.set"].target is None
        # Times reach inputs as text, and people as they read them.
        assert [one.due_at for one in staged.vendors.calls("task.ensure")] == ["2026-05-08T09:00:00Z"]
        assert [one.at for one in staged.vendors.calls("timeline.add_once")] == ["2026-05-06T08:00:00Z"]
        assert [one.text for one in staged.vendors.calls("message.notify_once")] == ["Due Fri 8 May 2026"]


def test_one_task_per_key_and_one_per_same_as(tmp_path: Path, clock: ManualClock) -> None:
    def markers(with_: str) -> int:
        text = HEAD + f'[[step]]\nid = "task"\ndo = "success.task.ensure"\nwith = {{ {with_} }}\n'
        folder = tmp_path / str(len(with_))
        with company(folder, text, clock) as staged:
            staged.vendors.put("success/companies", cx.Account(source_id="northwind", name="Northwind"))
            answered(staged, 3)
            answered(staged, 2)
            assert len(staged.runs()) == 2
            return len({one.marker for one in staged.deliveries()})

    base = 'account = "success/companies/northwind", title = "{{ feedback.score }}", reason = "NPS"'
    assert markers(base) == 1
    assert markers(base + ', same_as = "{{ feedback.score }}"') == 2
