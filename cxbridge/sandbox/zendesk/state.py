"""The tables of a simulated Zendesk account, their look-ups and their ids. Holds no rule about what may change."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cxbridge.sandbox.journal import Via
from cxbridge.sandbox.zendesk import options
from cxbridge.sandbox.zendesk.changelog import ChangeLog
from cxbridge.sandbox.zendesk.entities import Article, Audit, Organization, Rating, Ticket, User
from cxbridge.sandbox.zendesk.webhooks import Webhooks

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

Json = dict[str, Any]

INTEGRATION_USER_ID = 46400000000019
ACCOUNT_ID = 22129848

_FIRST_ID = 46406130000000
_ID_STEP = 37
_STANDARD_FIELDS = (
    ("subject", "Subject"),
    ("description", "Description"),
    ("status", "Status"),
    ("tickettype", "Type"),
    ("priority", "Priority"),
    ("group", "Group"),
    ("assignee", "Assignee"),
)
_STATUSES = (("new", "New"), ("open", "Open"), ("pending", "Pending"), ("hold", "On-hold"), ("solved", "Solved"))


class ZendeskState:
    """One account. Every reader and writer holds the world's lock."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.options = options.from_mapping(world.zendesk_options)
        self._ids = itertools.count(_FIRST_ID, _ID_STEP)
        self._ticket_ids = itertools.count(1)

        self.organizations: dict[int, Organization] = {}
        self.users: dict[int, User] = {}
        self.tickets: dict[int, Ticket] = {}
        self.articles: dict[int, Article] = {}
        self.groups: dict[int, Json] = {}
        self.brands: dict[int, Json] = {}
        self.custom_statuses: dict[int, Json] = {}
        self.ticket_fields: dict[int, Json] = {}
        self.sections: dict[int, Json] = {}
        self.categories: dict[int, Json] = {}
        self.jobs: dict[str, Json] = {}
        self.uploads: dict[str, Json] = {}
        self.files: dict[str, bytes] = {}
        self.ratings: dict[int, Rating] = {}
        self.audits: dict[int, Audit] = {}
        self.webhooks = Webhooks(self, ACCOUNT_ID)
        self.idempotent: dict[str, tuple[float, str, Any]] = {}
        """First use, digest of the body and the reply, by `Idempotency-Key`."""

        self.ticket_changes = ChangeLog()
        self.user_changes = ChangeLog()
        self.organization_changes = ChangeLog()
        self.audit_changes = ChangeLog()
        self.article_changes = ChangeLog()

        self._user_by_email: dict[str, int] = {}
        self._organization_by_name: dict[str, int] = {}
        self._organization_by_domain: dict[str, int] = {}
        self.tickets_by_external_id: defaultdict[str, set[int]] = defaultdict(set)
        self.incidents: defaultdict[int, set[int]] = defaultdict(set)
        self.tag_counts: defaultdict[str, int] = defaultdict(int)

        self._add_basics()

    # time and ids

    def second(self) -> int:
        return int(self.world.clock.time())

    def new_id(self) -> int:
        """A 14-digit id, as accounts of 2026 give them to everything but tickets."""
        return next(self._ids)

    def new_ticket_id(self) -> int:
        """The next free ticket number; tickets alone are counted from 1."""
        while (number := next(self._ticket_ids)) in self.tickets:
            pass
        return number

    def url(self, path: str) -> str:
        return f"{self.world.url('zendesk')}/api/v2{path}"

    def effect(self, kind: str, key: object, actor: User | str, via: Via, **detail: Any) -> None:
        """Journal a change of this account, and tell its webhooks of it; what was so from the start is told to nobody."""
        name = actor if isinstance(actor, str) else actor.label
        self.world.journal.effect("zendesk", kind, str(key), name, via, **detail)
        if via != "seed":
            self.webhooks.happened(kind, str(key), actor, detail)

    # people

    def user_by_email(self, email: str) -> User | None:
        found = self._user_by_email.get(email.strip().lower())
        return None if found is None else self.users[found]

    def user_by_external_id(self, external_id: str) -> User | None:
        wanted = external_id.lower()
        return next(
            (u for u in self.users.values() if u.active and u.external_id and u.external_id.lower() == wanted), None
        )

    def organization_by_name(self, name: str) -> Organization | None:
        found = self._organization_by_name.get(name.strip().lower())
        return None if found is None else self.organizations[found]

    def organization_by_external_id(self, external_id: str) -> Organization | None:
        wanted = external_id.lower()
        return next(
            (
                o
                for o in self.organizations.values()
                if o.deleted is None and o.external_id and o.external_id.lower() == wanted
            ),
            None,
        )

    def organization_of_domain(self, email: str | None) -> int | None:
        """The organization that new users with an address of its domains are put into."""
        return self._organization_by_domain.get(email.rpartition("@")[2].lower()) if email else None

    def save_user(self, user: User) -> None:
        """Store a new or changed user and give it its place in the export."""
        self.users[user.id] = user
        for email in (user.email, *user.other_emails):
            if email and user.active:
                self._user_by_email[email.lower()] = user.id
            elif email:
                # A deleted user's address is free for the next one.
                self._user_by_email.pop(email.lower(), None)
        self.user_changes.put(user.id, user.updated)

    def save_organization(self, organization: Organization) -> None:
        """Store a new, changed or deleted organization and give it its place in the export."""
        self.organizations[organization.id] = organization
        for index in (self._organization_by_name, self._organization_by_domain):
            for name in [name for name, ident in index.items() if ident == organization.id]:
                del index[name]
        if organization.deleted is None:
            self._organization_by_name[organization.name.lower()] = organization.id
            for domain in organization.domain_names:
                self._organization_by_domain[domain.lower()] = organization.id
        self.organization_changes.put(organization.id, organization.updated)

    # tickets

    def live_tickets(self) -> Iterator[Ticket]:
        return (ticket for ticket in self.tickets.values() if ticket.deleted is None)

    def save_ticket(self, ticket: Ticket, second: int) -> None:
        """Store a new or changed ticket and give it its place in the export."""
        self.tickets[ticket.id] = ticket
        ticket.generated = self.ticket_changes.put(ticket.id, second)

    def set_external_id(self, ticket: Ticket, value: str | None) -> None:
        if ticket.external_id is not None:
            self.tickets_by_external_id[ticket.external_id].discard(ticket.id)
        ticket.external_id = value
        if value is not None:
            self.tickets_by_external_id[value].add(ticket.id)

    def set_problem(self, ticket: Ticket, problem_id: int | None) -> None:
        if ticket.problem_id is not None:
            self.incidents[ticket.problem_id].discard(ticket.id)
        ticket.problem_id = problem_id
        if problem_id is not None:
            self.incidents[problem_id].add(ticket.id)

    def set_tags(self, ticket: Ticket, tags: list[str]) -> None:
        for tag in ticket.tags:
            self.tag_counts[tag] -= 1
        ticket.tags = tags
        for tag in tags:
            self.tag_counts[tag] += 1

    def save_audit(self, audit: Audit) -> None:
        self.audits[audit.id] = audit
        self.audit_changes.put(audit.id, audit.created)

    def field_by_name(self, name: str) -> Json | None:
        """A custom ticket field by its id, key or title."""
        if name.isdigit() and int(name) in self.ticket_fields:
            return self.ticket_fields[int(name)]
        wanted = name.lower()
        return next(
            (f for f in self.custom_ticket_fields() if wanted in (f["title"].lower(), str(f.get("key")).lower())), None
        )

    def custom_ticket_fields(self) -> list[Json]:
        return [field for field in self.ticket_fields.values() if field["removable"]]

    def default_status(self, category: str) -> int:
        """The id of the custom status that stands for a plain status; closed tickets keep the solved one."""
        wanted = "solved" if category in ("closed", "deleted") else category
        return next(
            ident for ident, s in self.custom_statuses.items() if s["status_category"] == wanted and s["default"]
        )

    # what every account has from the start

    def _add_basics(self) -> None:
        born = self.second() - 500 * 86400
        self.born = born
        self.brand_id = self.new_id()
        self.brands[self.brand_id] = {
            "id": self.brand_id,
            "name": "Acme",
            "subdomain": "acme",
            "active": True,
            "default": True,
            "created_at": born,
            "updated_at": born,
        }
        self.ticket_form_id = self.new_id()
        self.group_id = self.add_group("Support", default=True)
        for category, label in _STATUSES:
            self.add_custom_status(category, label, default=True)
        for kind, title in _STANDARD_FIELDS:
            self.add_ticket_field(title, kind, removable=False)
        admin = User(
            id=INTEGRATION_USER_ID,
            name="cxbridge",
            email=self.options.user,
            role="admin",
            created=born,
            updated=born,
            verified=True,
            default_group_id=self.group_id,
        )
        self.save_user(admin)

    def add_group(self, name: str, *, ident: int | None = None, default: bool = False) -> int:
        ident = ident or self.new_id()
        now = self.second()
        self.groups[ident] = {
            "id": ident,
            "name": name,
            "description": "",
            "is_public": True,
            "default": default,
            "deleted": False,
            "created_at": now,
            "updated_at": now,
        }
        return ident

    def add_custom_status(
        self,
        category: str,
        label: str,
        *,
        ident: int | None = None,
        end_user_label: str | None = None,
        default: bool = False,
        active: bool = True,
    ) -> int:
        ident = ident or self.new_id()
        now = self.second()
        self.custom_statuses[ident] = {
            "id": ident,
            "status_category": category,
            "agent_label": label,
            "end_user_label": end_user_label or label,
            "description": "",
            "end_user_description": "",
            "active": active,
            "default": default,
            "created_at": now,
            "updated_at": now,
        }
        return ident

    def add_ticket_field(
        self,
        title: str,
        kind: str,
        *,
        ident: int | None = None,
        key: str | None = None,
        choices: list[Json] | None = None,
        removable: bool = True,
    ) -> int:
        ident = ident or self.new_id()
        now = self.second()
        field: Json = {
            "id": ident,
            "type": kind,
            "title": title,
            "raw_title": title,
            "key": key,
            "active": True,
            "required": False,
            "removable": removable,
            "position": len(self.ticket_fields),
            "created_at": now,
            "updated_at": now,
        }
        if kind in ("tagger", "multiselect"):
            field["custom_field_options"] = [
                {"id": self.new_id(), "name": c["name"], "raw_name": c["name"], "value": c["value"]}
                for c in choices or []
            ]
        if kind == "status":
            field["system_field_options"] = [{"name": label, "value": value} for value, label in _STATUSES]
        self.ticket_fields[ident] = field
        return ident
