"""The Slack connector keeps the contract, against the simulated workspace."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import Slack
from cxbridge.testing import ConnectorContract, Lab, Simulated, Trial, line, simulated
from cxbridge.testing.rules.checking import CheckRules
from cxbridge.testing.rules.writes import WriteRules

ALERTS, APPROVALS, DOCKS = "C0ALERTS00", "C0APPROVE0", "C0DOCKS000"

ROWS: list[dict[str, Any]] = [
    {"kind": "slack.user", "id": "U0ANA00000", "name": "Ana Costa", "email": "ana@harbourlight.example"},
    {
        "kind": "slack.user",
        "id": "U0BEN00000",
        "name": "Ben Vos",
        "email": "ben@harbourlight.example",
        "is_admin": True,
    },
    {"kind": "slack.user", "id": "U0EVA00000", "name": "Eva Lund", "email": "eva@partner.example", "is_guest": True},
    {
        "kind": "slack.user",
        "id": "U0OLD00000",
        "name": "Old Hand",
        "email": "old@harbourlight.example",
        "deleted": True,
    },
    {"kind": "slack.channel", "id": ALERTS, "name": "cx-alerts", "members": ["cxbridge", "ana@harbourlight.example"]},
    {"kind": "slack.channel", "id": APPROVALS, "name": "cx-approvals", "members": ["cxbridge"]},
    {"kind": "slack.channel", "id": DOCKS, "name": "docks", "private": True, "members": ["cxbridge"]},
    *(
        {"kind": "slack.message", "channel": "cx-alerts", "user": "ana", "text": f"Alert {n}", "age": f"{9 - n}h"}
        for n in range(5)
    ),
    {"kind": "slack.message", "channel": "cx-alerts", "user": "ben", "text": "Mine", "thread": "Alert 2", "age": "5h"},
    {"kind": "slack.message", "channel": "cx-approvals", "user": "ben", "text": "Who decides?", "age": "3h"},
    {"kind": "slack.message", "channel": "cx-approvals", "user": "ana", "text": "I do.", "age": "2h"},
    {"kind": "slack.message", "channel": "docks", "user": "cxbridge", "text": "Ship it?", "age": "1h"},
    {"kind": "slack.message", "channel": "docks", "user": "ana", "text": "Aye", "age": "30m"},
]
COMPANY = "\n".join(json.dumps(row) for row in ROWS)

BY_CHANNEL_AND_TS = "a message is named by channel and ts together, and no record holds that name: see test_streams.py"
WAIVERS = {"a_malformed_record_is_refused_alone: messages": BY_CHANNEL_AND_TS}


class TestSlack(ConnectorContract):
    waivers = WAIVERS

    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        return lab_of(site)


class TestSlackOfSmallPages(ConnectorContract):
    """Histories give two messages at once whatever is asked for, and every listing begins with an empty page."""

    waivers = WAIVERS

    @pytest.fixture
    def lab(self, small_site: Simulated) -> Lab:
        return replace(lab_of(small_site), page_size={})


class TestSlackWithoutHistory(WriteRules, CheckRules):
    """No messages can be read, so none is read: what was sent without an answer is shown to a person."""

    @pytest.fixture
    def lab(self, site: Simulated) -> Iterator[Lab]:
        made = lab_of(site)
        bare = replace(made, settings={**made.settings, "history": False, "messages": []})
        yield bare
        bare.close()
        made.close()


@pytest.fixture
def site() -> Iterator[Simulated]:
    with simulated("slack", COMPANY, options={"limits": None}) as started:
        yield started


@pytest.fixture
def small_site() -> Iterator[Simulated]:
    with simulated("slack", COMPANY, options={"limits": None, "history_items": 2, "empty_page": True}) as started:
        yield started


@pytest.mark.parametrize("known", [True, False])
def test_a_lost_message_is_found_with_one_request_however_much_was_written_since(known: bool) -> None:
    """Apps that are sold get fifteen messages a minute: whoever had to read all of them would never come to an end."""
    with simulated("slack", COMPANY, options={"limits": None, "history_items": 15}) as site:
        lab = replace(lab_of(site), page_size={})
        [tried] = [one for one in lab.tried() if one.trial.label == "by alias"]
        sent = lab.clock.now()
        call = replace(lab.call(tried), since=sent, sent=sent if known else None)
        with lab.line.broken(line.loses_answer, which=line.is_write, times=1), pytest.raises(cx.Retryable):
            lab.perform(tried.action, call)
        lab.clock.advance(300)
        for _ in range(40):
            changed(site, "messages")
        asked = len(lab.line.sent)
        assert lab.find(tried.action, call) is not None
        histories = [one for one in lab.line.sent[asked:] if one.url.path.endswith("conversations.history")]
        assert len(histories) == (1 if known else 3)
        lab.close()


def lab_of(site: Simulated) -> Lab:
    return Lab(
        connector=Slack,
        settings={
            "url": f"{site.url}/api",
            "token": "sandbox-token",
            "webhook_secret": "sandbox-signing-secret",
            "workspace": "https://harbourlight.slack.com",
            "channels": {"cx-alerts": ALERTS, "cx-approvals": APPROVALS},
            "messages": ["cx-alerts", "#cx-approvals", DOCKS],
            "default_channel": "#cx-alerts",
        },
        wrong={"token": "wrong-secret"},
        trials=trials(site),
        effects=site.effects,
        change=lambda stream: changed(site, stream),
        clock=site.clock,
        page_size={"limit": 2},
    )


def trials(site: Simulated) -> tuple[Trial, ...]:
    def key(channel: str, text: str) -> str:
        _, told = site.world.vendors["slack"].control("GET", f"channels/{channel}/messages", {})
        return str(next(one["key"] for one in told["messages"] if one["text"] == text))

    question = cx.Ask(
        to="#cx-approvals",
        text="Give *Globex* a refund &lt;now&gt;?",
        approval="apr-1",
        buttons=[
            cx.Button(label="Approve", choice="approve", style="primary"),
            cx.Button(label="Decline", choice="decline", style="danger"),
        ],
        form=[
            cx.FormField(name="reason", type="choice", of=["outage", "goodwill"]),
            cx.FormField(name="amount", type="number", label="Amount", optional=True),
            cx.FormField(name="note", optional=True),
        ],
    )
    return (
        Trial("message.notify_once", cx.Notify(to="cx-alerts", text="Ana &amp; Ben"), None, "by alias"),
        Trial("message.notify_once", cx.Notify(to="#docks", text="By name"), None, "by name"),
        Trial("message.reply_once", cx.ReplyTo(text="On it."), key("cx-alerts", "Alert 3")),
        Trial("message.ask", question),
        Trial("message.settle", cx.CloseAsk(text="*Approved* by Ana"), key("docks", "Ship it?")),
    )


def changed(site: Simulated, stream: str) -> str | None:
    """Somebody writes."""
    if stream != "messages":
        return None
    site.clock.advance(1)
    _, told = site.world.vendors["slack"].control(
        "POST", "messages", {"channel": "cx-alerts", "user": "ana", "text": "Another"}
    )
    return str(told["key"])
