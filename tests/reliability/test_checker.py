"""The checker that judges by the vendors' log: each of its checks passes what is right, and can fail."""

from typing import Any

import httpx
import msgspec
import pytest

from cxbridge.sandbox.checker import (
    Budget,
    Due,
    Expected,
    Flow,
    Guard,
    Match,
    Mirror,
    Order,
    Violation,
    judge,
)
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.history import Place, now_at
from cxbridge.sandbox.world import World
from tests.reliability.stage import BEGIN
from tests.reliability.wire import Network, address

TICKET, ISSUE = Place("zendesk", "1", "priority"), Place("jira", "ENG-1", "priority")
MAP = {"urgent": "Highest", "high": "High", "normal": "Medium"}
WRITTEN = {"1": "Highest", "2": "High", "3": "Medium"}


class Scene:
    """Both vendors, people who use them, and an integration that does what a test says."""

    def __init__(self) -> None:
        limits: dict[str, Any] = {"limits": None, "seed_issues": False, "issue_writes": None}
        clock = SandboxClock(BEGIN, frozen=True)
        self.world = World(zendesk_options={"limits": None}, jira_options=limits, clock=clock)
        self.network = Network(self.world, ["zendesk", "jira"])

    def api(self, vendor: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """The integration asks a vendor for something."""
        user = "bridge@example.test" + ("/token" if vendor == "zendesk" else "")
        with httpx.Client(transport=self.network.transport(vendor), base_url=address(vendor)) as client:
            return client.request(method, path, json=body, headers=headers, auth=(user, "sandbox-token"))

    def person(self, method: str, path: str, body: Any) -> None:
        """A person does something."""
        import msgspec

        status, content = self.network.ask("control", method, path, msgspec.json.encode(body))
        assert status < 400, content

    def pair(self) -> None:
        """A ticket, and an issue for it."""
        self.person("POST", "/zendesk/tickets", {"subject": "Export stops", "priority": "high"})
        self.api("jira", "POST", "/rest/api/3/issue", {"fields": _issue("Export stops", "High")})

    def issue_priority(self, name: str) -> None:
        self.api("jira", "PUT", "/rest/api/3/issue/ENG-1", {"fields": {"priority": {"name": name}}})

    def ticket_priority(self, name: str) -> None:
        self.person("PATCH", "/zendesk/tickets/1", {"priority": name})

    def judged(self, **expected: Any) -> list[Violation]:
        return judge(self.world, Expected(**expected))

    def broken(self, **expected: Any) -> list[str]:
        return [one.invariant for one in self.judged(**expected)]


def _issue(summary: str, priority: str) -> dict[str, Any]:
    return {
        "project": {"key": "ENG"},
        "issuetype": {"name": "Bug"},
        "summary": summary,
        "priority": {"name": priority},
    }


@pytest.fixture
def scene() -> Scene:
    staged = Scene()
    staged.pair()
    return staged


def due(**more: Any) -> Due:
    return Due(what="the issue", vendor="jira", kind="issue.created", where={"summary": "Export"}, **more)


def test_what_is_due_must_have_come_and_no_more_often(scene: Scene) -> None:
    assert scene.broken(dues=[due()]) == []
    assert scene.broken(dues=[due(least=2, most=2)]) == ["I1"]
    scene.api("jira", "POST", "/rest/api/3/issue", {"fields": _issue("Export stops", "High")})
    assert scene.broken(dues=[due()]) == ["I3"]
    assert scene.broken(dues=[due(least=0, most=5)]) == []


def test_what_people_did_is_no_effect_of_an_integration(scene: Scene) -> None:
    created = Due(what="a ticket", vendor="zendesk", kind="ticket.created")
    assert scene.broken(dues=[created]) == ["I1"]


def test_where_must_hold_for_texts_lists_and_inner_values(scene: Scene) -> None:
    changed = {"fields": {"labels": ["from-support", "cxb-0123456789abcdef"]}}
    scene.api("jira", "PUT", "/rest/api/3/issue/ENG-1", changed)
    for where, times in (
        ({"values.labels": "from-support"}, 1),
        ({"values.labels": "other"}, 0),
        ({"fields": "labels"}, 1),
        ({"nowhere.at.all": 1}, 0),
    ):
        told = Due(what="labels", vendor="jira", kind="issue.updated", where=where, least=times, most=times)
        assert scene.broken(dues=[told]) == [], where


def test_one_marker_on_two_records_is_twice(scene: Scene) -> None:
    for _ in range(2):
        fields = {**_issue("Docks overheat", "High"), "labels": ["cxb-0123456789abcdef"]}
        scene.api("jira", "POST", "/rest/api/3/issue", {"fields": fields})
    [violation] = scene.judged()
    assert violation.invariant == "I3"
    assert violation.evidence == ["ENG-2", "ENG-3"]


def test_nothing_may_be_written_in_quiet_times(scene: Scene) -> None:
    quiet = len(scene.world.journal)
    scene.api("zendesk", "GET", "/api/v2/tickets/1.json")
    assert scene.broken(quiet_since=quiet) == []
    scene.issue_priority("Medium")
    assert scene.broken(quiet_since=quiet) == ["I4"]


def test_no_more_is_written_than_people_caused(scene: Scene) -> None:
    before = len(scene.world.journal)
    scene.ticket_priority("urgent")
    for name in ("Highest", "High", "Highest"):
        scene.issue_priority(name)
    deeds = sum(one.via == "ui" for one in scene.world.journal.effects() if one.seq > before)
    assert scene.broken(since=before, edges=3) == []
    assert deeds == 2, "the agent was made, and saved the ticket"
    assert scene.broken(since=before, edges=1) == ["I4"]


def flow(*sources: Place) -> Flow:
    return Flow(what="priority", sources=sources or (TICKET,), target=ISSUE, map=MAP, written=WRITTEN)


def test_fields_that_are_kept_in_step_must_agree(scene: Scene) -> None:
    assert scene.broken(flows=[flow()]) == []
    scene.ticket_priority("urgent")
    [violation] = scene.judged(flows=[flow()])
    assert violation.invariant == "I5"
    assert "is 'High', and should be 'Highest'" in violation.what
    scene.issue_priority("Highest")
    assert scene.broken(flows=[flow()]) == []


def test_of_several_the_first_in_the_map_counts(scene: Scene) -> None:
    scene.person("POST", "/zendesk/tickets", {"subject": "Export stops", "priority": "urgent"})
    both = flow(TICKET, Place("zendesk", "2", "priority"))
    assert scene.broken(flows=[both]) == ["I5"]
    scene.issue_priority("Highest")
    assert scene.broken(flows=[both]) == []


def test_one_that_joins_later_counts_from_then_on(scene: Scene) -> None:
    scene.person("POST", "/zendesk/tickets", {"subject": "Export stops", "priority": "urgent"})
    scene.ticket_priority("normal")
    asked = len(scene.world.journal)
    scene.issue_priority("Medium")
    linked = len(scene.world.journal)
    scene.issue_priority("Highest")
    sources = (TICKET, Place("zendesk", "2", "priority"))
    joins = msgspec.structs.replace(flow(*sources), joined=[(0, 0), (asked, linked)])
    assert scene.broken(flows=[joins]) == []
    assert scene.broken(flows=[flow(*sources)]) == ["I6"]
    early = msgspec.structs.replace(joins, joined=[(0, 0), (asked - 1, asked)])
    assert scene.broken(flows=[early]) == ["I6"]
    # Once it has joined, what the other one alone would come to is an older value.
    scene.issue_priority("Medium")
    assert scene.broken(flows=[joins]) == ["I5", "I6"]


def test_of_each_source_another_version_may_have_been_seen_last(scene: Scene) -> None:
    sources = (TICKET, Place("zendesk", "2", "priority"))
    scene.person("POST", "/zendesk/tickets", {"subject": "Export stops", "priority": "normal"})
    both = flow(*sources)
    scene.person("PATCH", "/zendesk/tickets/2", {"priority": "high"})
    scene.ticket_priority("normal")
    # Nobody told of the second ticket, and at no time both were normal.
    scene.issue_priority("Medium")
    scene.issue_priority("High")
    assert scene.broken(flows=[both]) == []
    # By then both have been seen as they are: that one of them was normal is over, and so is that the first was high.
    scene.issue_priority("Medium")
    [violation, *_] = (one for one in scene.judged(flows=[both]) if one.invariant == "I6")
    assert violation.what == "priority: jira ENG-1 priority went back to 'Medium'"
    assert [one.partition(":")[0] for one in violation.evidence[1:]] == [str(one) for one in sources]


def test_none_is_left_out_of_what_was_seen_by_then(scene: Scene) -> None:
    scene.person("POST", "/zendesk/tickets", {"subject": "Export stops", "priority": "urgent"})
    scene.ticket_priority("normal")
    # Whoever saw that the first is normal knew of the second, which has been urgent all the time.
    scene.issue_priority("Medium")
    both = flow(TICKET, Place("zendesk", "2", "priority"))
    assert scene.broken(flows=[both]) == ["I5", "I6"]


def test_a_version_once_used_is_never_followed_by_an_older_one(scene: Scene) -> None:
    scene.person("POST", "/zendesk/tickets", {"subject": "Export stops", "priority": "normal"})
    both = flow(TICKET, Place("zendesk", "2", "priority"))
    scene.ticket_priority("urgent")
    scene.ticket_priority("normal")
    for theirs in ("Highest", "Medium"):
        scene.issue_priority(theirs)
    assert scene.broken(flows=[both]) == []
    scene.person("PATCH", "/zendesk/tickets/2", {"priority": "high"})
    scene.issue_priority("Highest")
    scene.issue_priority("High")
    assert scene.broken(flows=[both]) == ["I6"]


def test_an_older_value_over_a_newer_one_is_seen_although_it_was_mended(scene: Scene) -> None:
    scene.ticket_priority("urgent")
    scene.issue_priority("Highest")
    assert scene.broken(flows=[flow()]) == []
    scene.issue_priority("High")
    scene.issue_priority("Highest")
    assert scene.broken(flows=[flow()]) == ["I6"]


def test_what_the_vendor_did_when_nobody_waited_any_more_is_no_step_back(scene: Scene) -> None:
    scene.ticket_priority("urgent")
    scene.world.faults.add("latency", "jira", method="PUT", seconds=8)
    with pytest.raises(httpx.ReadTimeout):
        scene.issue_priority("Highest")
    scene.ticket_priority("normal")
    scene.issue_priority("Medium")
    assert scene.broken(flows=[flow()]) == []
    scene.network.advance(5)
    assert scene.broken(flows=[flow()]) == ["I5"], "it stands there now, and is to be mended"
    scene.issue_priority("Medium")
    assert scene.broken(flows=[flow()]) == []


def test_a_value_that_was_set_twice_may_be_written_twice(scene: Scene) -> None:
    for ours, theirs in (("urgent", "Highest"), ("high", "High"), ("urgent", "Highest")):
        scene.ticket_priority(ours)
        scene.issue_priority(theirs)
    assert scene.broken(flows=[flow()]) == []


def test_writes_that_come_late_may_follow_values_that_came_again(scene: Scene) -> None:
    for ours in ("normal", "high", "normal"):
        scene.ticket_priority(ours)
    for theirs in ("Medium", "High", "Medium"):
        scene.issue_priority(theirs)
    assert scene.broken(flows=[flow()]) == []
    scene.issue_priority("High")
    scene.issue_priority("Medium")
    assert scene.broken(flows=[flow()]) == ["I6"]


def test_a_status_may_be_written_as_it_was_before_it_first_moved(scene: Scene) -> None:
    status = Flow(what="status", sources=[Place("jira", "ENG-1", "status")], target=Place("zendesk", "1", "subject"))
    for to in ("Done", "In Progress"):
        scene.person("POST", "/jira/issues/ENG-1/transition", {"to": to})
    for subject in ("To Do", "Done", "In Progress"):
        scene.api("zendesk", "PUT", "/api/v2/tickets/1.json", {"ticket": {"subject": subject}})
    assert scene.broken(flows=[status]) == []
    scene.api("zendesk", "PUT", "/api/v2/tickets/1.json", {"ticket": {"subject": "Blocked"}})
    assert scene.broken(flows=[status]) == ["I5", "I6"]


def test_a_value_that_nobody_set_is_none_to_write(scene: Scene) -> None:
    scene.issue_priority("Medium")
    assert scene.broken(flows=[flow()]) == ["I5", "I6"]


def test_a_beginning_that_the_log_does_not_tell_may_be_written(scene: Scene) -> None:
    status = Flow(what="status", sources=[Place("jira", "ENG-1", "status")], target=Place("zendesk", "1", "subject"))
    scene.api("zendesk", "PUT", "/api/v2/tickets/1.json", {"ticket": {"subject": "To Do"}})
    assert scene.broken(flows=[status]) == []
    scene.person("POST", "/jira/issues/ENG-1/transition", {"to": "In Progress"})
    scene.api("zendesk", "PUT", "/api/v2/tickets/1.json", {"ticket": {"subject": "In Progress"}})
    assert scene.broken(flows=[status]) == []
    scene.api("zendesk", "PUT", "/api/v2/tickets/1.json", {"ticket": {"subject": "To Do"}})
    assert "I6" in scene.broken(flows=[status])


MIRROR = Mirror(what="talk", source=("zendesk", "1"), target=("jira", "ENG-1"), marked="#eng")


def say(scene: Scene, body: str) -> None:
    scene.person("PATCH", "/zendesk/tickets/1", {"comment": {"body": body, "public": False}})


def comment(scene: Scene, text: str) -> httpx.Response:
    body = {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }
    return scene.api("jira", "POST", "/rest/api/3/issue/ENG-1/comment", {"body": body})


def carry(scene: Scene, text: str) -> None:
    reply = comment(scene, text)
    assert reply.is_success, reply.text


def test_marked_comments_are_carried_over_once_and_in_order(scene: Scene) -> None:
    say(scene, "#eng one")
    say(scene, "not for them")
    say(scene, "#eng two")
    assert scene.broken(mirrors=[MIRROR]) == ["I1", "I1"]
    carry(scene, "Agent: #eng one")
    carry(scene, "Agent: #eng two")
    assert scene.broken(mirrors=[MIRROR]) == []
    carry(scene, "Agent: #eng two.")
    assert scene.broken(mirrors=[MIRROR]) == ["I3"]


def test_another_order_is_seen(scene: Scene) -> None:
    for word in ("one", "two"):
        say(scene, f"#eng {word}")
    for word in ("two", "one"):
        carry(scene, f"Agent: #eng {word}")
    assert scene.broken(mirrors=[MIRROR]) == ["I7"]


@pytest.mark.parametrize(
    ("status", "carried", "broken"),
    [
        (409, ["two", "three", "one"], []),
        # One was refused, and two have changed places.
        (409, ["three", "two", "one"], ["I7"]),
        # What is asked to come again, or to show a credential that holds, has its turn before others.
        (429, ["two", "three", "one"], ["I7"]),
        (401, ["two", "three", "one"], ["I7"]),
        (503, ["two", "three", "one"], ["I7"]),
    ],
)
def test_what_the_vendor_refused_may_come_later_and_nothing_else_may(
    scene: Scene, status: int, carried: list[str], broken: list[str]
) -> None:
    for word in ("one", "two", "three"):
        say(scene, f"#eng {word}")
    scene.world.faults.add("status", "jira", method="POST", path_regex="/comment$", code=status)
    assert comment(scene, "Agent: #eng one").status_code == status
    for word in carried:
        carry(scene, f"Agent: #eng {word}")
    assert scene.broken(mirrors=[MIRROR]) == broken


@pytest.mark.parametrize("looked", ["/comment", ""])
@pytest.mark.parametrize(("status", "broken"), [(403, []), (429, ["I7"])])
def test_what_nobody_was_allowed_to_look_up_may_come_later_too(
    scene: Scene, looked: str, status: int, broken: list[str]
) -> None:
    for word in ("one", "two", "three"):
        say(scene, f"#eng {word}")
    scene.world.faults.add("status", "jira", method="GET", code=status)
    assert scene.api("jira", "GET", f"/rest/api/3/issue/ENG-1{looked}").status_code == status
    for word in ("two", "three", "one"):
        carry(scene, f"Agent: #eng {word}")
    assert scene.broken(mirrors=[MIRROR]) == broken


def test_effects_of_one_entity_come_in_order(scene: Scene) -> None:
    made = Match(vendor="jira", kind="issue.created")
    changed = Match(vendor="jira", kind="issue.updated", key="ENG-1")
    scene.issue_priority("Highest")
    assert scene.broken(orders=[Order(what="made, then changed", steps=[made, changed])]) == []
    assert scene.broken(orders=[Order(what="changed, then made", steps=[changed, made])]) == ["I7"]


def press(scene: Scene, label: str) -> None:
    scene.world.journal.effect("slack", "button.pressed", "C1:1", "maya", "ui", label=label)


def test_what_needs_an_approval_waits_for_one_and_has_it_once(scene: Scene) -> None:
    guarded = Match(vendor="jira", kind="issue.updated")
    by = Match(vendor="slack", kind="button.pressed", where={"label": "Approve"})
    guard = Guard(what="a change", guarded=guarded, by=by)
    assert scene.broken(guards=[guard]) == []
    press(scene, "Reject")
    scene.issue_priority("Highest")
    assert scene.broken(guards=[guard]) == ["I9"]
    press(scene, "Approve")
    # It came too late for the one, and may not be used for two.
    assert scene.broken(guards=[guard]) == ["I9"]
    late = Scene()
    late.pair()
    press(late, "Approve")
    late.issue_priority("Highest")
    assert late.broken(guards=[guard]) == []
    late.issue_priority("Medium")
    assert late.broken(guards=[guard]) == ["I9"]
    elsewhere = Guard(what="a change", guarded=guarded, at=[late.world.clock.time() - 60] * 2)
    assert late.broken(guards=[elsewhere]) == []


def test_a_budget_holds_in_any_window(scene: Scene) -> None:
    budget = Budget(vendor="zendesk", limit=3, period=60, path_regex="tickets", method="GET")
    for pause in (0, 30, 0, 61, 0):
        scene.network.advance(pause)
        scene.api("zendesk", "GET", "/api/v2/tickets/1.json")
    assert scene.broken(budgets=[budget]) == []
    for _ in range(2):
        scene.api("zendesk", "GET", "/api/v2/tickets/1.json")
    assert scene.broken(budgets=[budget]) == ["I11"]
    assert scene.broken(budgets=[Budget(vendor="jira", limit=3, period=60)]) == []


@pytest.mark.parametrize(
    ("params", "asked"), [({"retry_after": 30}, 30), ({"retry_after": "http-date", "seconds": 40}, 39)]
)
def test_nobody_asks_before_the_vendor_said_to_come_again(scene: Scene, params: dict[str, Any], asked: float) -> None:
    path = "/api/v2/tickets/1.json"
    scene.world.faults.add("rate_limited", "zendesk", **params)
    assert scene.api("zendesk", "GET", path).status_code == 429
    before = len(scene.world.journal)
    scene.network.advance(asked - 1)
    scene.api("zendesk", "GET", "/api/v2/users/me.json")
    assert scene.broken() == []
    assert scene.broken(held="vendor") == ["I11"]
    scene.api("zendesk", "GET", path)
    assert scene.broken() == ["I11"]
    scene.network.advance(2)
    scene.api("zendesk", "GET", path)
    assert scene.broken(since=before) == []


@pytest.mark.parametrize("wrong", [-400.0, 400.0])
def test_a_date_to_come_again_counts_by_the_clock_of_whoever_names_it(scene: Scene, wrong: float) -> None:
    path = "/api/v2/tickets/1.json"
    scene.world.clock.skew("zendesk", wrong)
    scene.world.faults.add("rate_limited", "zendesk", retry_after="http-date", seconds=40)
    assert scene.api("zendesk", "GET", path).status_code == 429
    scene.network.advance(41)
    scene.api("zendesk", "GET", path)
    assert scene.broken() == []
    scene.world.faults.add("rate_limited", "zendesk", retry_after="http-date", seconds=40)
    assert scene.api("zendesk", "GET", path).status_code == 429
    scene.network.advance(30)
    scene.api("zendesk", "GET", path)
    [violation] = scene.judged()
    assert (violation.invariant, violation.what) == ("I11", "zendesk was asked 9.98 s before it said to come again")


def test_whoever_had_gone_before_the_answer_does_not_know_to_wait(scene: Scene) -> None:
    path = "/api/v2/tickets/1.json"

    def told_to_wait(after: float) -> httpx.Response:
        scene.world.faults.add("latency", "zendesk", seconds=after)
        scene.world.faults.add("rate_limited", "zendesk", retry_after=90)
        return scene.api("zendesk", "GET", path)

    with pytest.raises(httpx.ReadTimeout):
        told_to_wait(after=8)
    scene.network.advance(5)
    scene.api("zendesk", "GET", path)
    assert [one.status for one in scene.world.journal.requests("zendesk")] == [429, 200]
    assert scene.broken() == []
    assert told_to_wait(after=3).status_code == 429
    scene.network.advance(5)
    scene.api("zendesk", "GET", path)
    assert scene.broken() == ["I11"]


def test_what_was_asked_before_the_vendor_said_so_is_none_that_could_wait(scene: Scene) -> None:
    path = "/api/v2/tickets/1.json"
    scene.world.faults.add("latency", "zendesk", seconds=8)
    with pytest.raises(httpx.ReadTimeout):
        scene.api("zendesk", "GET", path)
    scene.world.faults.add("rate_limited", "zendesk", retry_after=30)
    assert scene.api("zendesk", "GET", path).status_code == 429
    # Only now the vendor answers what was asked first.
    scene.network.advance(5)
    assert [one.status for one in scene.world.journal.requests("zendesk")] == [429, 200]
    assert scene.broken() == []
    # What is asked too early is, although it is answered when the time is over.
    scene.network.advance(22)
    scene.world.faults.add("latency", "zendesk", seconds=4)
    scene.api("zendesk", "GET", path)
    assert scene.broken() == ["I11"]


@pytest.mark.parametrize("how", ["absent", "garbled"])
def test_a_vendor_that_says_nothing_understandable_holds_nobody(scene: Scene, how: str) -> None:
    scene.world.faults.add("rate_limited", "zendesk", retry_after=how)
    for _ in range(2):
        scene.api("zendesk", "GET", "/api/v2/tickets/1.json")
    assert scene.broken() == []


def test_an_absurd_hold_ends_within_the_hour(scene: Scene) -> None:
    scene.world.faults.add("rate_limited", "zendesk", retry_after="absurd")
    scene.api("zendesk", "GET", "/api/v2/tickets/1.json")
    scene.network.advance(3601)
    scene.api("zendesk", "GET", "/api/v2/tickets/1.json")
    assert scene.broken() == []


def test_values_are_read_as_the_vendor_shows_them(scene: Scene) -> None:
    scene.person("POST", "/load", {"kind": "ticket_field", "id": 77, "title": "Engineering", "type": "text"})
    scene.api("zendesk", "PUT", "/api/v2/tickets/1.json", {"ticket": {"custom_fields": [{"id": 77, "value": "x"}]}})
    assert now_at(scene.world, Place("zendesk", "1", "custom_fields.77")) == "x"
    assert now_at(scene.world, Place("jira", "ENG-1", "status")) == "To Do"
    assert now_at(scene.world, Place("jira", "ENG-1", "nothing.inside")) is None
    with pytest.raises(LookupError):
        now_at(scene.world, Place("jira", "ENG-9", "status"))


def test_a_violation_says_what_shows_it(scene: Scene) -> None:
    [violation] = scene.judged(dues=[due(least=0, most=0)])
    assert str(violation).startswith("I3 the issue: 1 of at most 0\n      #")
    assert "jira issue.created ENG-1 by bridge@example.test (api)" in violation.evidence[0]
