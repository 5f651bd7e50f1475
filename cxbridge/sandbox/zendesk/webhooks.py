"""The account's webhooks: who asked to be told of what, and the signed requests that tell them. Posts nothing itself.

developer.zendesk.com/documentation/webhooks/anatomy-of-a-webhook-request and …/verifying; the envelope of events is that of version
2022-11-06. Both kinds are played: subscriptions to events, and triggers that fill a template.
"""

import base64
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cxbridge.sandbox.zendesk.entities import Audit, Ticket, User
from cxbridge.sandbox.zendesk.errors import ApiError

if TYPE_CHECKING:
    from cxbridge.sandbox.zendesk.state import ZendeskState

Json = dict[str, Any]

BY_TRIGGER: Final = "conditional_ticket_events"
_EVENT: Final = "zen:event-type:"
_TEMPLATE: Final = '{"ticket_id": "{{ticket.id}}"}'
# Which event tells of a changed field; what is not here changes silently.
_CHANGES: Final = {
    "status": "status_changed",
    "custom_status_id": "custom_status_changed",
    "priority": "priority_changed",
    "subject": "subject_changed",
    "type": "ticket_type_changed",
    "assignee_id": "agent_assignment_changed",
    "group_id": "group_assignment_changed",
    "organization_id": "organization_changed",
    "requester_id": "requester_changed",
    "tags": "tags_changed",
    "external_id": "external_id_changed",
    "problem_id": "problem_link_changed",
}
# What happens to people and companies; that a webhook tells of no more is a choice of this simulator's.
_OTHERS: Final = {"user.created": "user.created", "organization.created": "organization.created"}
# The name is unverified.
_DELETED: Final = "soft_deleted"


@dataclass(slots=True)
class Webhook:
    """One registered webhook. `template` is what the trigger that feeds it sends, `skipped` whose changes do not fire that."""

    id: str
    name: str
    endpoint: str
    subscriptions: list[str]
    secret: str = field(repr=False)
    created: int
    status: str = "active"
    authentication: Json | None = field(default=None, repr=False)
    template: str = _TEMPLATE
    skipped: str = ""
    told: int = 0
    """The audit that its trigger fired for last: a save fires it once, whatever it changed."""


class Webhooks:
    """The webhooks of one account. Everything here happens while the world's lock is held."""

    def __init__(self, state: "ZendeskState", account_id: int) -> None:
        self._state = state
        self._account_id = account_id
        self._numbers = itertools.count(1)
        self._random = state.world.random_for("zendesk webhooks")
        self.all: dict[str, Webhook] = {}

    def create(self, body: Mapping[str, Any]) -> Webhook:
        """Register a webhook; its secret is made here, and only ever here.

        Raises:
            ApiError: 400, it has no name, no address, or subscribes to both kinds at once.
        """
        endpoint, subscriptions = body.get("endpoint"), list(body.get("subscriptions") or [])
        if not body.get("name") or not isinstance(endpoint, str) or not endpoint.startswith(("http://", "https://")):
            raise _invalid("name and endpoint are required, and endpoint is an address")
        events = [one for one in subscriptions if str(one).startswith(_EVENT)]
        if BY_TRIGGER in subscriptions and events:
            raise _invalid("a webhook is connected either to triggers or to events")
        if len(events) + subscriptions.count(BY_TRIGGER) < len(subscriptions):
            raise _invalid("there is a subscription of an unknown kind")
        made = Webhook(
            id=f"01SANDBOX{next(self._numbers):017d}",
            name=str(body["name"]),
            endpoint=endpoint,
            subscriptions=subscriptions or [BY_TRIGGER],
            secret=self.new_secret(),
            created=self._state.second(),
            status=str(body.get("status") or "active"),
            authentication=body.get("authentication"),
        )
        self.all[made.id] = made
        return made

    def new_secret(self) -> str:
        """Make a signing secret of the form that Zendesk shows."""
        return base64.b64encode(self._random.randbytes(32)).decode()

    def shown(self, webhook: Webhook) -> Json:
        """A webhook as the API shows it, without its secrets."""
        from cxbridge.sandbox.zendesk.render import iso

        return {
            "id": webhook.id,
            "name": webhook.name,
            "endpoint": webhook.endpoint,
            "http_method": "POST",
            "request_format": "json",
            "status": webhook.status,
            "subscriptions": webhook.subscriptions,
            "created_at": iso(webhook.created),
            "updated_at": iso(webhook.created),
        }

    def happened(self, kind: str, key: str, actor: User | str, detail: Mapping[str, Any]) -> None:
        """Tell everybody who asked for it of a change that was just stored."""
        listening = [one for one in self.all.values() if one.status == "active"]
        if not listening:
            return
        ticket = self._state.tickets.get(int(key)) if kind.startswith(("ticket.", "comment.", "tags")) else None
        told = list(self._events(kind, key, ticket, actor, detail))
        for webhook in listening:
            if BY_TRIGGER in webhook.subscriptions:
                if ticket is not None and ticket.deleted is None:
                    self._fire(webhook, ticket, actor)
                continue
            for name, envelope in told:
                if f"{_EVENT}{name}" in webhook.subscriptions:
                    self._send(webhook, json.dumps(envelope).encode())

    def _events(
        self, kind: str, key: str, ticket: Ticket | None, actor: User | str, detail: Mapping[str, Any]
    ) -> Iterator[tuple[str, Json]]:
        if kind in _OTHERS:
            noun = kind.partition(".")[0]
            yield _OTHERS[kind], self._envelope(_OTHERS[kind], f"{noun}:{key}", {"id": key}, {})
            return
        if ticket is None:
            return
        names: list[tuple[str, Json]] = []
        if kind == "ticket.created":
            names = [("ticket.created", {})]
        elif kind == "ticket.deleted":
            names = [(f"ticket.{_DELETED}", {})]
        elif kind == "comment.added":
            names = [("ticket.comment_added", self._comment(ticket))]
        elif kind == "tags":
            added, removed = list(detail.get("added") or []), list(detail.get("removed") or [])
            names = [("ticket.tags_changed", {"tags_added": added, "tags_removed": removed})]
        elif kind == "ticket.updated":
            names = [
                (f"ticket.{_CHANGES.get(name, 'custom_field_changed')}", {"previous": before, "current": after})
                for name, (before, after) in _changed(detail).items()
            ]
        shown = self._detail(ticket, actor)
        for place, (name, event) in enumerate(names, start=1):
            meta = {"sequence": {"id": f"01S{ticket.generated:023d}", "position": place, "total": len(names)}}
            yield name, self._envelope(name, f"ticket:{ticket.id}", shown, {"meta": meta, **event})

    def _envelope(self, name: str, subject: str, detail: Json, event: Json) -> Json:
        now = self._state.world.clock.now()
        return {
            "type": f"{_EVENT}{name}",
            "account_id": self._account_id,
            "id": str(uuid.UUID(bytes=self._random.randbytes(16), version=4)),
            "time": f"{now:%Y-%m-%dT%H:%M:%S.%f}000Z",
            "zendesk_event_version": "2022-11-06",
            "subject": f"zen:{subject}",
            "detail": detail,
            "event": event,
        }

    def _detail(self, ticket: Ticket, actor: User | str) -> Json:
        """A ticket as events show it: ids are texts, words are in capitals, names are others than in the API."""
        from cxbridge.sandbox.zendesk.render import iso

        def text(value: object) -> str | None:
            return None if value is None else str(value)

        return {
            "id": str(ticket.id),
            "actor_id": None if isinstance(actor, str) else str(actor.id),
            "assignee_id": text(ticket.assignee_id),
            "brand_id": text(ticket.brand_id),
            "created_at": iso(ticket.created),
            "custom_status": text(ticket.custom_status_id),
            "description": ticket.description,
            "external_id": ticket.external_id,
            "form_id": text(ticket.ticket_form_id),
            "group_id": text(ticket.group_id),
            "is_public": ticket.is_public,
            "organization_id": text(ticket.organization_id),
            "priority": ticket.priority.upper() if ticket.priority else None,
            "requester_id": text(ticket.requester_id),
            "status": "DELETED" if ticket.deleted is not None else ticket.status.upper(),
            "subject": ticket.subject,
            "submitter_id": text(ticket.submitter_id),
            "tags": list(ticket.tags),
            "type": ticket.type.upper() if ticket.type else None,
            "updated_at": iso(ticket.updated),
            "via": {"channel": ticket.channel},
        }

    def _comment(self, ticket: Ticket) -> Json:
        said = ticket.comments[-1]
        author = self._state.users[said.author_id]
        return {
            "comment": {
                "id": str(said.id),
                "body": said.body,
                "is_public": said.public,
                "author": {"id": str(author.id), "is_staff": author.is_staff, "name": author.name},
            }
        }

    def _fire(self, webhook: Webhook, ticket: Ticket, actor: User | str) -> None:
        audit: Audit | None = ticket.audits[-1] if ticket.audits else None
        if audit is None or audit.id == webhook.told:
            return
        webhook.told = audit.id
        if webhook.skipped and not isinstance(actor, str) and actor.email == webhook.skipped:
            return
        words = {
            "{{ticket.id}}": str(ticket.id),
            "{{ticket.status}}": ticket.status.title(),
            "{{ticket.title}}": ticket.subject,
        }
        body = webhook.template
        for word, value in words.items():
            # As text, whatever stands in it: a quote in a title breaks the JSON.
            body = body.replace(word, value)
        self._send(webhook, body.encode())

    def _send(self, webhook: Webhook, body: bytes) -> None:
        stamp = f"{self._state.world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        made = hmac.new(webhook.secret.encode(), stamp.encode() + body, hashlib.sha256).digest()
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Zendesk Webhook",
            "x-zendesk-account-id": str(self._account_id),
            "x-zendesk-webhook-id": webhook.id,
            "x-zendesk-webhook-invocation-id": f"01I{self._random.randrange(10**22):023d}",
            "x-zendesk-webhook-signature": base64.b64encode(made).decode(),
            "x-zendesk-webhook-signature-timestamp": stamp,
        }
        token = ((webhook.authentication or {}).get("data") or {}).get("token")
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._state.world.hooks.send("zendesk", webhook.endpoint, headers, body)


def _changed(detail: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    changes = detail.get("changes") or {}
    return {name: (pair[0], pair[1]) for name, pair in changes.items()}


def _invalid(message: str) -> ApiError:
    # The envelope is that of the newer endpoints; its words are unverified.
    return ApiError(400, {"errors": [{"code": "InvalidWebhook", "title": message, "detail": message}]})
