"""Recorded and published bodies of Slack's: each one the connector reads becomes an entity, a nudge, or a refusal with a reason.

Three kinds of material: exchanges of a live workspace, the vendor's own samples of answers and of deliveries, whose values are
blanked (they show which keys can occur). What the connector has no use for is named, so that nothing is passed over in silence.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import answers, hooks, limits, mapping, wire

from .conftest import ALERTS, settings

pytestmark = pytest.mark.shared

AT = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
HOOK = settings(messages=[ALERTS]).webhook()

# Methods of which the connector reads the answers; everything else is none of its business.
READ = {
    "auth.test",
    "users.list",
    "users.info",
    "users.lookupByEmail",
    "conversations.list",
    "conversations.info",
    "conversations.history",
    "conversations.replies",
    "chat.postMessage",
    "chat.update",
}
# What people do in forms that the connector never shows.
OTHER_DELIVERIES = {"DialogSubmissionPayload", "DialogSuggestionPayload", "AttachmentActionPayload"}


class Tally:
    """What became of each body, by kind."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.unread: Counter[str] = Counter()

    def told(self) -> None:
        for kind, count in sorted(self.read.items()):
            print(f"{count:>6} read: {kind}")
        for (kind, reason), count in sorted(self.refused.items()):
            print(f"{count:>6} refused: {kind}: {reason}")
        for kind, count in sorted(self.unread.items()):
            print(f"{count:>6} not asked for by this connector: {kind}")

    def record(self, kind: str, source: Any, shape: Any, entity: Any) -> None:
        try:
            assert entity(mapping.decode(source, shape)) is not None
            self.read[kind] += 1
        except mapping.Unreadable as error:
            self.refused[kind, str(error)] += 1


def reply(method: str, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> cx.Reply:
    return cx.Reply("GET", f"/{method}", status, headers or {}, body, AT)


def take(tally: Tally, method: str, answered: cx.Reply) -> None:
    """Read an answer as the connector does."""
    if method not in READ:
        tally.unread[f"the answer of {method}"] += 1
        return

    def message(row: wire.Message) -> cx.Message:
        return mapping.message(row, ALERTS, None)

    def container(row: wire.Channel) -> cx.Container:
        return mapping.container(row, None)

    match method:
        case "auth.test":
            assert answers.judged(answered, wire.AuthTest, wrote=False).user_id
            tally.read["a credential"] += 1
        case "users.list":
            for source in answers.judged(answered, wire.Users, wrote=False).members:
                tally.record("a person", source, wire.User, mapping.agent)
        case "users.info" | "users.lookupByEmail":
            found = answers.judged(answered, wire.OneUser, wrote=False)
            tally.record("a person", found.user, wire.User, mapping.agent)
        case "conversations.list":
            for source in answers.judged(answered, wire.Channels, wrote=False).channels:
                tally.record("a channel", source, wire.Channel, container)
        case "conversations.info":
            there = answers.judged(answered, wire.OneChannel, wrote=False)
            tally.record("a channel", there.channel, wire.Channel, container)
        case "conversations.history" | "conversations.replies":
            for source in answers.judged(answered, wire.Messages, wrote=False).messages:
                tally.record("a message", source, wire.Message, message)
        case "chat.postMessage" | "chat.update":
            assert answers.judged(answered, wire.Posted, wrote=True).channel
            tally.read["a message that was written"] += 1


def live(place: Path) -> Iterator[tuple[str, cx.Reply]]:
    """Every exchange of the live recordings, by its method."""
    for file in sorted(place.glob("ruby_client*/*.yml")):
        for one in yaml.safe_load(file.read_text())["http_interactions"]:
            method = one["request"]["uri"].partition("/api/")[2]
            response = one["response"]
            headers = {name: str(values[0]) for name, values in response["headers"].items()}
            body = response["body"]["string"]
            yield method or "an upload", reply(method, body.encode(), response["status"]["code"], headers)


def test_live_answers_are_read_or_refused_with_a_reason(shared_data: Path) -> None:
    tally = Tally()
    limited = 0
    for method, answered in live(shared_data / "data" / "cassettes" / "slack"):
        if answered.status == 429:
            error = answers.refusal(answered)
            assert isinstance(error, cx.RateLimited)
            assert error.retry_at is not None
            assert error.retry_at > AT
            [budget] = limits.budgets(answered)
            assert (budget.name, budget.remaining) == (method, 0)
            limited += 1
            continue
        if not answered.body.startswith(b"{"):
            tally.unread["what an upload answers"] += 1
            continue
        if not json.loads(answered.body)["ok"]:
            with pytest.raises(cx.VendorError) as caught:
                answers.judged(answered, wire.Head, wrote=False)
            tally.refused[method, type(caught.value).__name__] += 1
            continue
        take(tally, method, answered)
    tally.told()
    print(f"{limited:>6} over a limit")
    assert {"a credential", "a person", "a channel"} <= set(tally.read)
    assert tally.read["a person"] > 20
    assert limited == 1
    # No record is refused; two answers are refusals: a token that is none, and a form that was asked for too late.
    assert set(tally.refused) == {("auth.test", "Unauthorized"), ("views.open", "Refused")}


def test_people_of_a_live_workspace_keep_what_they_are(shared_data: Path) -> None:
    bots = admins = gone = 0
    for method, answered in live(shared_data / "data" / "cassettes" / "slack"):
        if method != "users.list":
            continue
        for source in answers.judged(answered, wire.Users, wrote=False).members:
            row = json.loads(bytes(source))
            agent = mapping.agent(mapping.decode(source, wire.User))
            assert agent.source_id == row["id"]
            assert agent.active is not row["deleted"]
            assert agent.email == (row["profile"].get("email") or "").lower() or agent.email is None
            bots += "bot" in agent.roles
            admins += "admin" in agent.roles
            gone += not agent.active
    print(f"{bots:>6} bots, {admins} administrators, {gone} deactivated")
    assert bots
    assert admins
    assert gone


def test_the_vendors_samples_of_answers_are_read(shared_data: Path) -> None:
    tally = Tally()
    for file in sorted((shared_data / "data" / "cassettes" / "slack" / "sdk_shapes").iterdir()):
        method = file.name.removeprefix("api__").partition(".json")[0]
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        # The vendor blanked everything, also whether it went well.
        body = {**filled(json.loads(text)), "ok": True}
        take(tally, method, reply(method, json.dumps(body).encode()))
    tally.told()
    assert {"a person", "a message", "a message that was written", "a credential"} <= set(tally.read)
    assert not tally.refused


def filled(value: Any, key: str = "") -> Any:
    """A sample with something in place of the blanks that say which record it is."""
    if isinstance(value, dict):
        return {name: filled(held, name) for name, held in value.items()}
    if isinstance(value, list):
        return [filled(held, key) for held in value]
    if value == "":
        return BLANKS.get(key, value)
    return value


BLANKS = {
    "event_id": "Ev08MFMKH6",
    "user": "U061F7AUR",
    "user_id": "U061F7AUR",
    "channel": ALERTS,
    "channel_id": ALERTS,
    "ts": "1741082130.004519",
    "message_ts": "1741082130.004519",
    "action_ts": "1741082140.120001",
    "deleted_ts": "1741082130.004519",
}


def deliveries(place: Path) -> Iterator[tuple[str, Any]]:
    for file in sorted((place / "data" / "cassettes" / "slack" / "sdk_events").iterdir()):
        yield file.stem.rpartition("__")[2], json.loads(file.read_text())


def inbound(body: bytes, kind: str) -> cx.Inbound:
    return cx.Inbound("POST", {"content-type": kind}, body, {}, AT)


def test_the_vendors_samples_of_deliveries_are_read_or_refused(shared_data: Path) -> None:
    tally = Tally()
    for name, body in deliveries(shared_data):
        if name == "BlockActionPayload" or name in OTHER_DELIVERIES:
            shown = filled(body)
            shown["user"]["id"] = "U061F7AUR"
            told = urlencode({"payload": json.dumps(shown)}).encode()
            found = HOOK.read(inbound(told, "application/x-www-form-urlencoded"))
            tally.read[f"an interaction ({name})"] += 1
            # Nobody's buttons but ours press anything.
            assert not found.pressed
            assert not found.nudges
            continue
        with pytest.raises(cx.Forged):
            HOOK.read(inbound(json.dumps(body).encode(), "application/json"))
        tally.refused["an event", "without an id, as the vendor blanked it"] += 1
        whole = filled(body)
        whole["type"] = "event_callback"
        if isinstance(whole["event"].get("user"), dict):
            whole["event"]["user"]["id"] = "U061F7AUR"
        if isinstance(whole["event"].get("channel"), dict):
            whole["event"]["channel"]["id"] = ALERTS
        found = HOOK.read(inbound(json.dumps(whole).encode(), "application/json"))
        assert found.event_id == "Ev08MFMKH6"
        kind = whole["event"]["type"]
        tally.read[
            f"an event {kind}: {', '.join(sorted({one.stream for one in found.nudges})) or 'nothing to do'}"
        ] += 1
    tally.told()
    said = " ".join(tally.read)
    for expected in (
        "team_join: users",
        "user_change: users",
        "user_profile_changed: users",
        "channel_created: channels",
        "channel_rename: channels",
        "channel_unarchive: channels",
        "channel_unshared: channels",
        "message: messages",
        "emoji_changed: nothing to do",
        "an interaction (BlockActionPayload)",
    ):
        assert expected in said, expected


def test_the_envelope_is_that_of_the_vendors_description(shared_data: Path) -> None:
    """Slack's own schema of the event envelope: what the connector reads of it is there and of the type it takes."""
    described = json.loads((shared_data / "data" / "specs" / "slack" / "event-wrapper-schema.json").read_text())
    known = described["properties"]
    assert set(described["required"]) >= {"event", "event_id", "type"}
    for name in ("type", "event_id", "api_app_id"):
        assert known[name]["type"] == "string", name
    sample = {
        "token": "x",
        "team_id": "T1",
        "api_app_id": "A1",
        "event": {"type": "message", "event_ts": "1.000001"},
        "type": "event_callback",
        "event_id": "Ev1",
        "event_time": 1,
        "authed_users": ["U1"],
    }
    assert set(sample) >= set(described["required"])
    assert hooks.read(frozenset(), inbound(json.dumps(sample).encode(), "application/json")).event_id == "Ev1"
