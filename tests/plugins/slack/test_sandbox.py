"""The connector against the simulated workspace: from the message to the press and back, and what goes wrong in earnest."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.core.recipes.expressions import Escape, Language
from cxbridge.plugins.slack import Slack
from cxbridge.sandbox import seed, verdict
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from cxbridge.testing import LabClock

from .receiver import Receiver, receiving

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
MARKER = "cxb:00112233aabbccdd"
ALERTS, OPEN = "C0ALERTS00", "C0OPEN0000"
SECRET = "sandbox-signing-secret"
ROWS: list[dict[str, Any]] = [
    {"kind": "slack.user", "id": "U0ANA00000", "name": "Ana Costa", "email": "ana@harbourlight.example"},
    {"kind": "slack.user", "id": "U0BEN00000", "name": "Ben Vos", "email": "ben@harbourlight.example"},
    {"kind": "slack.channel", "id": ALERTS, "name": "cx-alerts", "members": ["cxbridge", "ana"]},
    {"kind": "slack.channel", "id": OPEN, "name": "open", "members": ["ana"]},
    {"kind": "slack.channel", "name": "partners", "shared": True, "members": ["cxbridge"]},
]
ASK = cx.Ask(
    to="#cx-alerts",
    text="Refund *Globex*?",
    approval="apr-9f2c",
    buttons=[
        cx.Button(label="Approve", choice="approve", style="primary"),
        cx.Button(label="Decline", choice="decline", style="danger"),
    ],
    form=[
        cx.FormField(name="reason", type="choice", label="Reason", of=["outage", "goodwill"]),
        cx.FormField(name="amount", type="number", label="Amount"),
        cx.FormField(name="note", label="Note", optional=True),
    ],
)


class Place:
    """A running workspace, the connection to it, and the people there."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver, stack: ExitStack) -> None:
        self.world = sandbox.world
        self.receiver = receiver
        # Whoever waits lets the time pass for Slack too.
        self.clock = LabClock(NOW, sandbox.world.clock.advance)
        self.slack = Slack(
            url=f"{sandbox.url('slack')}/api",
            token=cx.Secret("sandbox-token"),
            webhook_secret=cx.Secret(SECRET),
            messages=[ALERTS],
            default_channel="#cx-alerts",
        )
        self.client = stack.enter_context(
            open_client(
                self.slack.endpoint(),
                connection="chat",
                clock=self.clock,
                tokens=MemoryTokens(),
                random=Random(1),
            )
        )

    def people(self, method: str, path: str, **body: Any) -> Any:
        """Do something as one of the people there."""
        with self.world.lock:
            return self.world.vendors["slack"].control(method, path, body)[1]

    def action(self, name: str) -> cx.Action:
        (found,) = [one for one in self.slack.actions() if one.name == name]
        return found

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        return self.action(name).perform(self.client, cx.Call(inputs, MARKER, target))

    def find(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt | None:
        find = self.action(name).find
        assert find is not None
        return find(self.client, cx.Call(inputs, MARKER, target, since=NOW))

    def posted(self) -> list[dict[str, Any]]:
        """What the app has posted, by the workspace's own journal."""
        return [one.detail for one in self.world.journal.effects("message.posted", via="api")]

    def announced(self) -> list[cx.Announced]:
        """What was delivered so far, judged and read."""
        assert self.world.hooks.settle()
        hook = self.slack.webhook()
        found = []
        for inbound in self.receiver.inbound(self.clock.now()):
            hook.verify(inbound, [SECRET])
            found.append(hook.read(inbound))
        return found


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        world = World(options={"slack": {}}, clock=SandboxClock(NOW, frozen=True))
        sandbox = stack.enter_context(Sandbox(world, vendors=("slack",)))
        seed.load_text(world, "\n".join(msgspec.json.encode(row).decode() for row in ROWS))
        receiver = stack.enter_context(receiving())
        world.vendors["slack"].control(
            "PUT", "hooks", {"events_url": receiver.url, "interactivity_url": receiver.url, "signing_secret": SECRET}
        )
        yield Place(sandbox, receiver, stack)


def test_check_names_the_bot(place: Place) -> None:
    assert place.slack.check(place.client) == cx.Identity("cxbridge", "users/U0CXBRIDGE")
    place.world.faults.revoke("slack")
    with pytest.raises(cx.Unauthorized, match="the token is not valid"):
        place.slack.check(place.client)


def test_a_question_is_asked_answered_and_settled(place: Place) -> None:
    asked = place.perform("message.ask", ASK)
    place.people(
        "POST",
        "click",
        approval="apr-9f2c",
        choice="approve",
        user="ben@harbourlight.example",
        form={"Reason": "outage", "amount": "12.50"},
    )
    # The question itself is an event of our own and nudges nobody.
    question, press = place.announced()
    assert not question.nudges
    assert press.pressed == [
        cx.Pressed(
            approval="apr-9f2c",
            choice="approve",
            who="users/U0BEN00000",
            name="ben",
            form={"reason": "outage", "amount": "12.50"},
            message=f"messages/{asked.key}",
        )
    ]
    settled = place.perform("message.settle", cx.CloseAsk(text="*Approved* by Ben"), asked.key)
    assert settled.changed
    [said] = place.people("GET", "channels/cx-alerts/messages")["messages"]
    assert (said["buttons"], said["fields"]) == ([], [])
    assert said["text"] == "Refund *Globex*?\n\n*Approved* by Ben"
    assert said["metadata"]["event_payload"]["key"] == MARKER
    # Nothing can be pressed any more, and settling again changes nothing.
    with pytest.raises(LookupError, match="no message has a button"):
        place.people("POST", "click", approval="apr-9f2c", choice="approve", user="ben")
    assert not place.perform("message.settle", cx.CloseAsk(text="*Approved* by Ben"), asked.key).changed
    assert [one.kind for one in place.world.journal.effects(via="api")] == ["message.posted", "message.updated"]


def test_who_pressed_is_somebody_the_users_stream_knows(place: Place) -> None:
    place.perform("message.ask", ASK)
    place.people("POST", "click", approval="apr-9f2c", choice="Decline", user="ana")
    [pressed] = [one for told in place.announced() for one in told.pressed]
    assert (pressed.choice, pressed.form) == ("decline", {})
    [users] = [one for one in place.slack.streams() if one.name == "users"]
    assert users.one is not None
    page = users.one(place.client, pressed.who.removeprefix("users/"))
    assert page is not None
    [agent] = page.entities
    assert isinstance(agent, cx.Agent)
    assert agent.email == "ana@harbourlight.example"


def test_a_repeated_delivery_is_told_by_its_id(place: Place) -> None:
    place.people("POST", "messages", channel="cx-alerts", user="ana", text="Look")
    place.perform("message.ask", ASK)
    place.people("POST", "click", approval="apr-9f2c", choice="approve", user="ana")
    place.people("POST", "events/again", count=3)
    ids = [told.event_id for told in place.announced()]
    assert (len(ids), ids[:3]) == (6, ids[3:])


def test_what_is_stale_or_signed_with_another_secret_is_forged(place: Place) -> None:
    event = {"type": "user_change", "user": {"id": "U0ANA00000"}}
    place.people("POST", "events", event=event, skew=-301)
    place.people("POST", "events", event=event, secret="stolen")
    with pytest.raises(cx.Forged, match="replayed"):
        place.announced()
    place.receiver.bodies.pop(0)
    with pytest.raises(cx.Forged, match="not that of this app"):
        place.announced()


def test_a_nudge_leads_to_the_message_and_to_the_answer(place: Place) -> None:
    said = place.people("POST", "messages", channel="cx-alerts", user="ana", text="Look")
    answer = place.people("POST", "messages", channel="cx-alerts", user="ana", text="There", thread=said["key"])
    place.people("DELETE", f"messages/{answer['key']}")
    place.people("POST", "messages", channel="open", user="ana", text="Nobody follows this")
    [messages] = [one for one in place.slack.streams() if one.name == "messages"]
    assert messages.one is not None
    shown = []
    for told in place.announced():
        for nudge in told.nudges:
            page = messages.one(place.client, nudge.key or "")
            shown.append([entity.source_id for entity in page.entities] if page else None)
    assert shown == [[said["key"]], None, None]


def test_a_customers_words_call_nobody_and_link_nowhere(place: Place) -> None:
    """What a template puts in is escaped for Slack, so that neither channel nor person is called."""
    subject = "<!channel> <@U0ANA00000> <https://evil.example|your invoice> & <b>"
    template = Language().template("New ticket: {{ subject }} <https://desk.example/1|open>")
    text = template.render({"subject": subject}, Escape.SLACK)
    place.perform("message.notify_once", cx.Notify(to="#cx-alerts", text=text))
    place.perform("message.ask", msgspec.structs.replace(ASK, text=text))
    for said in place.posted():
        assert said["pings"] == []
        assert said["text"].count("<") == 1
    # The same words unescaped would have called both: the test can fail.
    place.perform("message.notify_once", cx.Notify(to="#cx-alerts", text=subject))
    assert place.posted()[-1]["pings"] == ["!channel", "@U0ANA00000"]


def test_people_are_told_in_a_direct_message_and_found_there(place: Place) -> None:
    note = cx.Notify(to="ana@harbourlight.example", text="For you")
    assert place.find("message.notify_once", note) is None
    receipt = place.perform("message.notify_once", note)
    assert [one["person"] for one in place.posted()] == ["ana@harbourlight.example"]
    found = place.find("message.notify_once", note)
    assert found is not None
    assert (found.key, found.made) == (receipt.key, receipt.made)
    again = cx.Notify(to="nobody@harbourlight.example", text="For whom?")
    assert place.perform("message.notify_once", again).told.endswith("sent to #cx-alerts")
    assert place.find("message.notify_once", again) is not None


def test_the_app_joins_an_open_channel_and_refuses_a_shared_one(place: Place) -> None:
    place.perform("message.notify_once", cx.Notify(to="#open", text="hello"))
    assert len(place.world.journal.effects("channel.joined")) == 1
    with pytest.raises(cx.Rejected, match="shared with another organization"):
        place.perform("message.notify_once", cx.Notify(to="#partners", text="hello"))
    place.people("PUT", "scopes", scopes=["chat:write", "channels:read", "groups:read"])
    place.people("PATCH", "channels/open", members_remove=["cxbridge"])
    with pytest.raises(cx.Rejected, match="grant the app the scope channels:join"):
        place.perform("message.notify_once", cx.Notify(to="#open", text="hello"))
    assert len(place.posted()) == 1


@pytest.mark.parametrize("fault", ["ghost", "limit_data", "bad_json"])
def test_a_lost_answer_leaves_a_doubt_that_a_look_resolves(place: Place, fault: str) -> None:
    note = cx.Notify(to="#cx-alerts", text="Once")
    place.world.faults.add(fault, "slack", path_regex="chat.postMessage")
    with pytest.raises((cx.Retryable, cx.WireFormat)) as caught:
        place.perform("message.notify_once", note)
    assert getattr(caught.value, "sent", True)
    place.clock.advance(5)
    found = place.find("message.notify_once", note)
    assert found is not None
    assert len(place.posted()) == 1
    assert not verdict.duplicates(place.world.journal)


def test_a_fatal_error_after_the_fact_is_in_doubt_too(place: Place) -> None:
    """Slack says `ok` false at status 200, and the message stands there all the same."""
    failure = {"ok": False, "error": "fatal_error"}
    place.world.faults.add("rewrite", "slack", path_regex="chat.postMessage", set=failure, drop=["ts", "channel"])
    with pytest.raises(cx.Retryable, match="may have done part of it") as caught:
        place.perform("message.notify_once", cx.Notify(to="#cx-alerts", text="Once"))
    assert caught.value.sent
    assert place.find("message.notify_once", cx.Notify(to="#cx-alerts", text="Once")) is not None


def test_a_message_that_never_arrived_is_not_found(place: Place) -> None:
    place.world.faults.add("reset", "slack", path_regex="chat.postMessage")
    with pytest.raises(cx.Retryable) as caught:
        place.perform("message.notify_once", cx.Notify(to="#cx-alerts", text="Once"))
    assert caught.value.sent
    assert place.find("message.notify_once", cx.Notify(to="#cx-alerts", text="Once")) is None
    assert place.perform("message.notify_once", cx.Notify(to="#cx-alerts", text="Once")).changed
    assert len(place.posted()) == 1


def test_a_burst_is_spread_before_slack_has_to_say_so(place: Place) -> None:
    for number in range(6):
        place.perform("message.notify_once", cx.Notify(to="#cx-alerts", text=f"{number}"))
    assert [one["text"] for one in place.posted()] == [f"{number}" for number in range(6)]
    assert all(request.status == 200 for request in place.world.journal.requests("slack"))
    assert place.clock.now() - NOW >= timedelta(seconds=4)


def test_a_dead_receiver_loses_deliveries_and_a_pull_finds_what_they_told(place: Place) -> None:
    place.world.hooks.down = True
    said = place.people("POST", "messages", channel="cx-alerts", user="ana", text="Unheard")
    assert place.announced() == []
    [messages] = [one for one in place.slack.streams() if one.name == "messages"]
    assert messages.pages is not None
    found = [entity.source_id for page in messages.pages(place.client, None) for entity in page.entities]
    assert found == [said["key"]]
