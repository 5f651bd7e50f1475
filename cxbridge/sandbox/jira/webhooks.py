"""The site's webhooks: what administrators and apps asked to be told, and the requests that tell them. Posts nothing itself.

developer.atlassian.com/cloud/jira/platform/webhooks/. An administrator's webhook is signed where it was given a secret; an app's
carries a token made with the app's own secret, and dies after thirty days. Texts are sent as version 2 shows them.
"""

import base64
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cxbridge.sandbox.jira import jql, query
from cxbridge.sandbox.jira.records import Comment, Issue
from cxbridge.sandbox.jira.site import User

if TYPE_CHECKING:
    from cxbridge.sandbox.jira.render import Renderer
    from cxbridge.sandbox.jira.state import JiraState

Json = Any

LIFE: Final = timedelta(days=30)
# developer.atlassian.com: five for each app, user and site.
MOST_OF_APP: Final = 5
_TOKEN_LIFE: Final = 180
ISSUE_EVENTS: Final = ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted")
EVENTS: Final = (
    *ISSUE_EVENTS,
    *("comment_created", "comment_updated", "comment_deleted"),
    *("issue_property_set", "issue_property_deleted"),
)
# What the journal calls it, what the site calls it, and the older name beside it.
_TOLD: Final[Mapping[str, tuple[str, str]]] = {
    "issue.created": ("jira:issue_created", "issue_created"),
    "issue.updated": ("jira:issue_updated", "issue_updated"),
    "transition": ("jira:issue_updated", "issue_generic"),
    "issue.moved": ("jira:issue_updated", "issue_moved"),
    "issue.deleted": ("jira:issue_deleted", ""),
    "comment.added": ("comment_created", ""),
    "comment.updated": ("comment_updated", ""),
    "comment.deleted": ("comment_deleted", ""),
    "property.set": ("issue_property_set", ""),
    "property.deleted": ("issue_property_deleted", ""),
}
_THIN: Final = ("summary", "status", "priority", "issuetype", "project", "assignee")


@dataclass(slots=True)
class Webhook:
    """One registered webhook. `app` names the app it belongs to and `expires` when it ends; an administrator's has neither."""

    id: int
    url: str
    events: tuple[str, ...]
    jql: str = ""
    name: str = ""
    secret: str = field(default="", repr=False)
    app: str | None = None
    expires: datetime | None = None


class Webhooks:
    """The webhooks of one site. Everything here happens while the world's lock is held."""

    def __init__(self, state: "JiraState") -> None:
        self._state = state
        self._numbers = itertools.count(1000)
        self._random = state.world.random_for("jira webhooks")
        self.all: dict[int, Webhook] = {}

    def add(
        self,
        url: str,
        events: Sequence[str],
        *,
        where: str = "",
        name: str = "",
        secret: str = "",
        app: str | None = None,
    ) -> Webhook:
        """Register a webhook.

        Raises:
            ValueError: the address, an event or the filter is not acceptable; the text is the site's.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError("The url is not valid.")
        unknown = [one for one in events if one not in EVENTS]
        if unknown or not events:
            raise ValueError(f"The event {unknown[0] if unknown else ''!r} is not supported.")
        if where:
            self._plan(where)
        expires = None if app is None else self._state.now() + LIFE
        made = Webhook(next(self._numbers), url, tuple(events), where, name, secret, app, expires)
        self.all[made.id] = made
        return made

    def of_app(self, app: str) -> list[Webhook]:
        """The webhooks of an app that have not ended."""
        now = self._state.now()
        return [one for one in self.all.values() if one.app == app and one.expires is not None and one.expires > now]

    def happened(self, kind: str, issue: Issue, actor: User, detail: Mapping[str, Json]) -> None:
        """Tell everybody who asked for it of a change that was just stored."""
        now = self._state.now()
        told = _TOLD.get(kind)
        asked = [
            one
            for one in self.all.values()
            if told is not None and told[0] in one.events and (one.expires is None or one.expires > now)
        ]
        if told is None or not asked or self._state.hidden(issue.id):
            return
        body = json.dumps(self._body(kind, *told, issue, actor, detail)).encode()
        for webhook in asked:
            if not webhook.jql or self._plan(webhook.jql)(issue):
                self._state.world.hooks.send("jira", webhook.url, self._headers(webhook, body), body)

    def _plan(self, text: str) -> query.Test:
        try:
            asker = query.Asker(self._state.bot, self._state.site, self._state.find, self._state.now())
            return query.plan(jql.parse(text), asker).matches
        except jql.JqlError as error:
            raise ValueError(str(error)) from None

    def _body(
        self, kind: str, event: str, older: str, issue: Issue, actor: User, detail: Mapping[str, Json]
    ) -> dict[str, Json]:
        renderer = self._renderer(actor)
        body: dict[str, Json] = {"timestamp": int(self._state.now().timestamp() * 1000), "webhookEvent": event}
        if older:
            body["issue_event_type_name"] = older
        if event.startswith("comment_"):
            body["comment"] = self._comment(renderer, issue, str(detail.get("comment", "")))
            body["issue"] = renderer.issue(issue, _THIN, default="*all")
            return body
        body["user"] = renderer.person(actor)
        body["issue"] = renderer.issue(issue, (), default="*all")
        if kind in ("issue.updated", "transition", "issue.moved") and issue.history:
            last = issue.history[-1]
            body["changelog"] = {"id": str(last.id), "items": [renderer.item(item) for item in last.items]}
        if event.startswith("issue_property_"):
            body["property"] = {"key": detail.get("property")}
        return body

    def _comment(self, renderer: "Renderer", issue: Issue, comment_id: str) -> dict[str, Json]:
        found: Comment | None = next((one for one in issue.comments if str(one.id) == comment_id), None)
        if found is not None:
            return renderer.comment(issue, found)
        # Deleted: nothing is left of it to show.
        return {"id": comment_id, "self": renderer.call.rest(f"issue/{issue.id}/comment/{comment_id}")}

    def _renderer(self, actor: User) -> "Renderer":
        from cxbridge.sandbox.jira.render import Renderer
        from cxbridge.sandbox.jira.wire import Call

        call = Call(
            method="GET",
            user=actor,
            base=self._state.world.url("jira"),
            version=2,
            path="",
            params={},
            query=(),
            body=None,
            has_body=False,
            now=self._state.now(),
        )
        return Renderer(self._state, call)

    def _headers(self, webhook: Webhook, body: bytes) -> dict[str, str]:
        headers = {
            "content-type": "application/json; charset=UTF-8",
            "user-agent": "Atlassian Webhook HTTP Client",
            "x-atlassian-webhook-identifier": str(uuid.UUID(bytes=self._random.randbytes(16), version=4)),
            "x-atlassian-webhook-flow": "Primary",
        }
        if webhook.app is not None:
            headers["authorization"] = f"Bearer {self._token(webhook.app)}"
        elif webhook.secret:
            made = hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["x-hub-signature"] = f"sha256={made}"
        return headers

    def _token(self, app: str) -> str:
        """The token of an app's delivery: signed with the app's secret, over its own claims and nothing else."""
        now = int(self._state.now().timestamp())
        claims = {"iss": app, "iat": now, "exp": now + _TOKEN_LIFE}
        signed = ".".join(_url64(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims))
        secret = self._state.options.oauth_clients[app].secret
        return f"{signed}.{_url64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
