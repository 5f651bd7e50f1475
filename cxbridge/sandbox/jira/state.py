"""The issues of one simulated site, by id or key, and the note of every change. Holds no rule about what may change."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cxbridge.sandbox.jira import options
from cxbridge.sandbox.jira.index import Index
from cxbridge.sandbox.jira.records import Counters, Issue, Link
from cxbridge.sandbox.jira.site import Project, User, default_site
from cxbridge.sandbox.jira.webhooks import Webhooks
from cxbridge.sandbox.journal import Via

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

Json = Any

MISSING: Final = object()
"""Stands for a field that is not in an answer at all."""


class JiraState:
    """One site. Every reader and writer holds the world's lock.

    Issues are immutable: a change stores a new version, and the index shows it to searches later.
    """

    def __init__(self, world: "World") -> None:
        self.world = world
        self.options = options.from_mapping(world.jira_options)
        self.site = default_site(self.options)
        self.users: dict[str, User] = dict(self.site.users)
        self.site = self.site.with_users(self.users)
        self.counters = Counters()
        self.index = Index(self.options.search_lag)
        self.links: dict[int, Link] = {}
        self.bot = next(iter(self.users.values()))
        self._issues: dict[int, Issue] = {}
        self._keys: dict[str, int] = {}
        self._hidden: set[int] = set()
        self._drift: dict[int, Mapping[str, Json]] = {}
        self.webhooks = Webhooks(self)

    def now(self) -> datetime:
        """The time to the millisecond, as finely as the site keeps it."""
        now = self.world.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def find(self, reference: object) -> Issue | None:
        """The issue with this id or key; a key it had before it moved still leads to it."""
        text = str(reference).upper()
        if text.isdigit():
            return self._issues.get(int(text))
        issue_id = self._keys.get(text)
        return None if issue_id is None else self._issues.get(issue_id)

    def seen(self, reference: object) -> Issue | None:
        """The issue, unless it does not exist or is hidden from callers of the API."""
        issue = self.find(reference)
        return None if issue is None or issue.id in self._hidden else issue

    def hidden(self, issue_id: int) -> bool:
        return issue_id in self._hidden

    def hide(self, issue_id: int, hidden: bool) -> None:
        """Take an issue out of the sight of every caller of the API, as a security level does, or put it back."""
        (self._hidden.add if hidden else self._hidden.discard)(issue_id)
        self.index.touch()

    def drift(self, issue_id: int) -> Mapping[str, Json]:
        """The raw field values this issue is shown with, whatever it holds; `MISSING` leaves a field out."""
        return self._drift.get(issue_id, {})

    def let_drift(self, issue_id: int, fields: Mapping[str, Json]) -> None:
        """Show an issue with these raw values from now on, as after a change of the vendor's schema; none ends it."""
        self._drift[issue_id] = fields

    def issues(self) -> Iterator[Issue]:
        """Every issue as it is now, oldest first."""
        return iter(self._issues.values())

    def children(self, issue: Issue) -> list[Issue]:
        return [other for other in self._issues.values() if other.values.get("parent") == issue.id]

    def links_of(self, issue: Issue) -> list[Link]:
        return [link for link in self.links.values() if issue.id in (link.source, link.target)]

    def project_of(self, issue: Issue) -> Project:
        project = self.site.project(issue.project)
        if project is None:  # pragma: no cover - projects are never taken away
            raise LookupError(issue.project)
        return project

    def store(self, issue: Issue) -> Issue:
        """Keep a new version; the time of its writing, not its `updated`, decides when searches see it."""
        self._issues[issue.id] = issue
        self._keys[issue.key] = issue.id
        self.index.wrote(issue, self.world.clock.now())
        return issue

    def drop(self, issue: Issue) -> None:
        """Delete for good, with its links; its key is never given out again."""
        del self._issues[issue.id]
        for link in self.links_of(issue):
            del self.links[link.id]
        self.index.removed(issue.id)

    def add_user(self, user: User) -> None:
        self.users[user.account_id] = user

    def effect(self, kind: str, issue: Issue, actor: User, via: Via, **detail: Json) -> None:
        """Journal a change of this site under the issue's present key, and tell its webhooks.

        `id` says for ever which issue it was.
        """
        self.world.journal.effect("jira", kind, issue.key, actor.label, via, id=str(issue.id), **detail)
        if via != "seed":
            self.webhooks.happened(kind, issue, actor, detail)
