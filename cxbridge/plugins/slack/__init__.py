"""Slack: people, channels and chosen messages are read; messages, answers and questions with buttons are written.

A vendor's connector: it imports nothing of the project but `cxbridge.core.connector`. How it is cut: `wire` (Slack's JSON as
types), `mapping` and `mrkdwn` and `blocks` (pure), `streams` (reads), `places` (where a message goes), `actions` with `posting` and
`settling` (writes), `hooks` (what Slack sends us), `answers` (what its answers mean) and `limits`.
"""

import re
from datetime import date, timedelta
from typing import Annotated, ClassVar, Self

from pydantic import StringConstraints, field_validator, model_validator

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import actions, answers, hooks, limits, mapping, streams, wire
from cxbridge.plugins.slack.places import Rules

ChannelId = Annotated[str, StringConstraints(pattern=rf"^{mapping.CHANNEL_ID.pattern}$")]
# How a channel is called in Slack: letters of any script, digits, hyphens and underscores.
ChannelName = Annotated[str, StringConstraints(pattern=r"^[^\s#@A-Z.,/:]{1,80}$")]


class Slack(cx.Connector):
    """One Slack workspace, seen by one app through its bot user."""

    name: ClassVar[str] = "slack"

    url: str = cx.Field(
        default="https://slack.com/api", description="Where the Web API is; another for Slack's GovSlack."
    )
    token: cx.Secret = cx.Field(description="The app's bot token.")
    webhook_secret: cx.Secret | None = cx.Field(
        default=None, description="The app's signing secret, which events and buttons are signed with."
    )
    webhook_secret_old: cx.Secret | None = cx.Field(
        default=None, description="The signing secret before the last, while both are in use."
    )
    workspace: str | None = cx.Field(
        default=None, description="The workspace's address, as https://acme.slack.com, for links to messages."
    )
    channels: dict[ChannelName, ChannelId] = cx.Field(
        default_factory=dict,
        description="Ids of channels by the names recipes use: not looked up, and the same when a channel is renamed.",
    )
    default_channel: str | None = cx.Field(
        default=None, description="Where a message goes whose addressee is not active in the workspace."
    )
    messages: list[str] = cx.Field(
        default_factory=list, description="The channels whose messages are read: ids, or names under channels."
    )
    start: date | None = cx.Field(default=None, description="Read only messages of this day or later.")
    overlap: cx.Span = cx.Field(default=86_400, description="How far back each read looks for answers and edits.")
    history: bool = cx.Field(
        default=True,
        description="Whether the app may read histories, so that a message whose answer was lost is found again.",
    )
    histories_per_minute: Annotated[int, cx.Field(ge=1)] = cx.Field(
        default=50,
        description="How often a minute a history may be asked for: 1 for apps sold outside the Marketplace.",
    )
    search_back: cx.Span = cx.Field(
        default=86_400, description="How far back a message is looked for when it is not known when it was sent."
    )
    join: bool = cx.Field(default=True, description="Whether the app joins public channels it is to write to.")
    shared: bool = cx.Field(
        default=False, description="Whether to write to channels that people of other organizations read."
    )
    settle: cx.Span = cx.Field(default=5, description="How long a history may not show a new message yet.")

    @field_validator("workspace")
    @classmethod
    def _is_address(cls, workspace: str | None) -> str | None:
        if workspace is not None and not re.fullmatch(r"https://[a-z0-9.-]+\.slack(-gov)?\.com/?", workspace):
            raise ValueError("a workspace is named by its address, as https://acme.slack.com")
        return workspace.rstrip("/") if workspace else None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        unknown = [name for name in self.messages if self._id(name) is None]
        if unknown:
            raise ValueError(f"{unknown[0]} under messages is neither a channel's id nor a name under channels")
        if self.messages and not self.history:
            raise ValueError("messages cannot be read with history = false")
        self.endpoint()
        return self

    def endpoint(self) -> cx.Endpoint:
        """Say where Slack is and how it wants to be spoken to."""
        return cx.Endpoint(
            self.url.rstrip("/"),
            auth=cx.Bearer(self.token),
            headers={"Accept": "application/json"},
            budgets=limits.budgets,
            buckets=limits.buckets,
            quotas=limits.quotas(self.histories_per_minute),
            refusal=answers.refusal,
            message_of=answers.message_of,
            request_id_header="x-slack-req-id",
        )

    def check(self, client: cx.Client) -> cx.Identity:
        """Find out whose token it is, whether it belongs to the workspace, and whether the app is in the channels it reads.

        Raises:
            Unauthorized: when the token is not valid, was revoked, or lacks a scope.
            Rejected: when it is another workspace's, or a channel is not visible.
        """
        reply = client.get("/auth.test")
        me = answers.judged(reply, wire.AuthTest, wrote=False)
        here = (me.url or "").rstrip("/")
        if self.workspace is not None and here and here != self.workspace:
            raise cx.Rejected(f"the token belongs to {here} and not to {self.workspace}: mend workspace, or the token")
        notices = [*self._lacking(reply.headers.get("x-oauth-scopes", ""))]
        if me.bot_id is None:
            notices.append("this is a person's token: messages would be sent in their name; use the app's bot token")
        if not self.history:
            notices.append(
                "history is off: a message whose answer is lost is neither found again nor repeated, a person decides"
            )
        for name in dict.fromkeys([*self.channels.values(), *self._followed()]):
            notices += self._seen(client, name)
        return cx.Identity(me.user or me.user_id, f"users/{me.user_id}", tuple(notices))

    def streams(self) -> list[cx.Stream]:
        """List what can be read."""
        return streams.streams(
            streams.Reading(self._followed(), self.start, timedelta(seconds=self.overlap), self.workspace)
        )

    def actions(self) -> list[cx.Action]:
        """List what can be written."""
        rules = Rules(
            channels=self.channels,
            default=self.default_channel,
            history=self.history,
            join=self.join,
            shared=self.shared,
            workspace=self.workspace,
            search_back=float(self.search_back),
        )
        return actions.actions(rules, float(self.settle))

    def webhook(self) -> cx.Webhook:
        """Say how Slack's events and button presses are judged and read."""
        return hooks.webhook(self._followed())

    def _id(self, name: str) -> str | None:
        plain = name.removeprefix("#")
        return self.channels.get(plain) or (plain if mapping.CHANNEL_ID.fullmatch(plain) else None)

    def _followed(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ident for name in self.messages if (ident := self._id(name)) is not None))

    def _lacking(self, told: str) -> list[str]:
        """Name the scopes that this connection will miss. The header that tells those granted is undocumented and may be absent."""
        granted = {scope.strip() for scope in told.split(",") if scope.strip()}
        if not granted:
            return []
        needed = {
            "chat:write": "to send messages",
            "channels:read": "to find channels by name",
            "users:read": "to read who is there",
            "users:read.email": "to write to people by e-mail address",
        }
        if self.history:
            needed |= {
                "channels:history": "to find a message again",
                "im:read": "to find a message to a person again",
                "im:history": "to find a message to a person again",
            }
        return [f"the app lacks the scope {scope}, {why}" for scope, why in needed.items() if scope not in granted]

    def _seen(self, client: cx.Client, ident: str) -> list[str]:
        """Look at a channel that the settings name.

        Raises:
            Rejected: when it cannot be seen.
        """
        try:
            found = answers.read(client, "conversations.info", wire.OneChannel, channel=ident)
        except answers.Gone:
            raise cx.Rejected(
                f"channel {ident} is not visible: mend the id, or invite the app where it is private"
            ) from None
        try:
            channel = mapping.decode(found.channel, wire.Channel)
        except mapping.Unreadable as error:
            raise cx.WireFormat(f"channel {ident} cannot be read: {error}") from None
        name = f"#{channel.name or ident}"
        if channel.is_archived:
            return [f"{name} is archived: nothing can be written there"]
        if ident in self._followed() and not channel.is_member:
            return [f"the app is not in {name}, whose messages it is to read: /invite it there"]
        return []


@cx.hookimpl
def cxbridge_connectors() -> list[type[cx.Connector]]:
    """Bring the connector for Slack."""
    return [Slack]
