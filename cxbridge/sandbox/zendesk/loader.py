"""Fills an account from rows such as a company file holds. Reads no file and never touches what is already there.

Rows are taken in an order that lets any row name any other: organizations, groups, statuses, fields and people come
before articles and tickets, and problems are linked when all tickets are in.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cxbridge.sandbox.zendesk import desk, guide, people, tickets
from cxbridge.sandbox.zendesk.entities import Audit, Comment, Metrics, Ticket, User
from cxbridge.sandbox.zendesk.errors import ApiError
from cxbridge.sandbox.zendesk.fields import clean_tags
from cxbridge.sandbox.zendesk.rows import (
    ORDER,
    ArticleRow,
    CustomStatusRow,
    GroupRow,
    OrganizationRow,
    Person,
    Row,
    RowError,
    TicketFieldRow,
    TicketRow,
    UserRow,
    age_in_seconds,
    kind_of,
    read,
)
from cxbridge.sandbox.zendesk.state import Json, ZendeskState


def load(state: ZendeskState, rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Add rows to the account and return how many of each kind there were.

    Rows are all read before the first is used, so a row of the wrong shape leaves the account untouched.

    Raises:
        RowError: a row has the wrong shape, or names something that cannot be.
    """
    found = [(index, read(index, row)) for index, row in enumerate(rows)]
    found.sort(key=lambda pair: ORDER.index(type(pair[1])))
    ageless = sum(isinstance(row, TicketRow) and row.age is None and row.created_at is None for _, row in found)
    loader = _Loader(state, ageless)
    for index, row in found:
        try:
            loader.add(row)
        except ApiError as error:
            raise RowError(index, _told(error)) from error
        except ValueError as error:
            raise RowError(index, str(error)) from error
    for index, row in found:
        if isinstance(row, TicketRow) and row.problem is not None and row.problem not in state.tickets:
            raise RowError(index, f"problem {row.problem} is no ticket; give the id of a ticket of type problem")
    loader.link_problems()
    return dict(Counter(kind_of(row) for _, row in found))


def _told(error: ApiError) -> str:
    details = error.body.get("details") if isinstance(error.body, dict) else None
    if not details:
        return str(error.body)
    return "; ".join(problem["description"] for problems in details.values() for problem in problems)


class _Loader:
    def __init__(self, state: ZendeskState, ageless: int) -> None:
        self._state = state
        self._now = state.second()
        self._ageless = ageless
        self._people = 0
        self._problems: list[tuple[Ticket, int]] = []

    def add(self, row: Row) -> None:
        match row:
            case OrganizationRow():
                self._organization(row)
            case UserRow():
                self._user(row)
            case GroupRow():
                self._state.add_group(row.name, ident=row.id)
            case CustomStatusRow():
                label = row.agent_label or row.label or row.name
                self._state.add_custom_status(
                    row.status_category, label, ident=row.id, end_user_label=row.end_user_label, active=row.active
                )
            case TicketFieldRow():
                choices: list[Json] = [{"name": c.name, "value": c.value} for c in row.options]
                self._state.add_ticket_field(row.title, row.type, ident=row.id, key=row.key, choices=choices)
            case ArticleRow():
                self._article(row)
            case TicketRow():
                self._ticket(row)

    def link_problems(self) -> None:
        for ticket, problem in self._problems:
            self._state.set_problem(ticket, problem)

    def _organization(self, row: OrganizationRow) -> None:
        fields = {**row.fields, **({"tier": row.tier} if row.tier else {})}
        body = {
            "name": row.name,
            "external_id": row.external_id,
            "domain_names": row.domains,
            "organization_fields": fields,
            "tags": row.tags,
            "details": row.details,
            "notes": row.notes,
        }
        known = self._state.organization_by_name(row.name)
        if known is None:
            known = people.create_organization(self._state, "seed", body, via="seed")
        else:
            people.update_organization(self._state, self._admin(), known, body, via="seed")
        known.created = known.updated = self._old()
        self._state.save_organization(known)

    def _user(self, row: UserRow) -> None:
        body: Json = {
            "name": row.name,
            "email": row.email,
            "role": row.role,
            "external_id": row.external_id,
            "tags": row.tags,
            "user_fields": row.fields,
            "phone": row.phone,
            "verified": True,
        }
        if row.organization:
            body["organization_id"] = desk.organization(self._state, row.organization, via="seed").id
        known = self._state.user_by_email(row.email)
        if known is None:
            known = people.create_user(self._state, "seed", body, via="seed")
        else:
            people.update_user(self._state, self._admin(), known, body, via="seed")
        if known.is_staff and known.default_group_id is None:
            known.default_group_id = self._state.group_id
        self._age(known)

    def _article(self, row: ArticleRow) -> None:
        author = desk.agent(self._state, row.author, via="seed")
        section = guide.section(self._state, row.section, row.category)
        body = {"title": row.title, "body": row.body, "draft": row.draft, "label_names": row.labels}
        created = self._now - age_in_seconds(row.age) if row.age else self._old()
        if row.id is not None and row.id in self._state.articles:
            raise ValueError(f"article {row.id} exists already; give another id or none")
        guide.create(
            self._state, author, section, {**body, "locale": row.locale}, via="seed", ident=row.id, created=created
        )

    def _ticket(self, row: TicketRow) -> None:
        state = self._state
        if row.id is not None and row.id in state.tickets:
            raise ValueError(f"ticket {row.id} exists already; give another id or none")
        created = self._created(row)
        given = row.requester or Person(email="customer@example.test", name="Customer")
        requester = self._known(given.email) or self._new_customer(given, row.organization)
        company = desk.organization(state, row.organization, via="seed").id if row.organization else None
        assignee = self._agent(row.assignee) if row.assignee else None
        status = state.default_status(row.status)
        if row.custom_status:
            status = self._custom_status(row.custom_status)
        ticket = Ticket(
            id=row.id or state.new_ticket_id(),
            subject=row.subject,
            description=row.description or row.subject,
            requester_id=requester.id,
            submitter_id=requester.id,
            assignee_id=assignee.id if assignee else None,
            organization_id=company or requester.organization_id,
            group_id=self._group(row.group) if row.group else state.group_id,
            created=created,
            updated=created,
            metrics=Metrics(id=state.new_id(), status_updated=created, requester_updated=created),
            custom_status_id=status,
            status=row.status if not row.custom_status else state.custom_statuses[status]["status_category"],
            brand_id=state.brand_id,
            ticket_form_id=state.ticket_form_id,
            type=row.type,
            priority=row.priority,
            channel=row.channel,
        )
        if assignee:
            ticket.metrics.initially_assigned = ticket.metrics.assigned = created
        state.set_external_id(ticket, row.external_id)
        ticket.custom_fields = {int(ident): v for ident, v in desk.named_fields(state, row.custom_fields).items()}
        state.set_tags(ticket, clean_tags(row.tags))
        self._say(ticket, requester, ticket.description, public=True, when=created)
        for said in row.comments:
            author = self._speaker(said.author, ticket)
            when = self._now - age_in_seconds(said.age) if said.age else ticket.updated + 60
            self._say(ticket, author, said.body, public=said.public, when=max(created, min(when, self._now)))
        if row.updated_age:
            ticket.updated = max(ticket.updated, self._now - age_in_seconds(row.updated_age))
        if ticket.status in ("solved", "closed"):
            ticket.metrics.solved = ticket.metrics.first_solved = ticket.updated
        if row.problem is not None:
            self._problems.append((ticket, row.problem))
        if row.satisfaction:
            tickets.rate(
                state, ticket, row.satisfaction.score, row.satisfaction.comment, via="seed", when=ticket.updated
            )
        state.save_ticket(ticket, ticket.updated)
        state.effect("ticket.created", ticket.id, requester, "seed", subject=ticket.subject, status=ticket.status)

    def _say(self, ticket: Ticket, author: User, text: str, *, public: bool, when: int) -> None:
        """A comment of the past, in an audit of its own, as the history of a real ticket has it."""
        state = self._state
        audit = Audit(id=state.new_id(), ticket_id=ticket.id, author_id=author.id, created=when, channel=ticket.channel)
        comment = Comment(
            id=state.new_id(),
            audit_id=audit.id,
            author_id=author.id,
            body=text,
            public=public,
            created=when,
            channel=ticket.channel,
        )
        audit.events.append({"id": comment.id, "type": "Comment"})
        if not ticket.comments:
            for name in ("subject", "status", "priority", "type"):
                if getattr(ticket, name):
                    event = {"type": "Create", "field_name": name, "value": getattr(ticket, name)}
                    audit.events.append({"id": state.new_id(), **event})
        elif author.is_staff and public:
            ticket.metrics.replies += 1
            ticket.metrics.first_reply = ticket.metrics.first_reply or when
        ticket.comments.append(comment)
        ticket.audits.append(audit)
        ticket.metrics.latest_comment = when
        ticket.updated = max(ticket.updated, when)
        state.save_audit(audit)

    def _created(self, row: TicketRow) -> int:
        if row.created_at:
            moment = datetime.fromisoformat(row.created_at)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        if row.age:
            return self._now - age_in_seconds(row.age)
        # Tickets without a time come one a minute, the last an hour ago, so that time-based pages stay small.
        self._ageless -= 1
        return self._now - 3600 - 60 * self._ageless

    def _old(self) -> int:
        """A time for what has none: soon after the account was opened, one second apart."""
        self._people += 1
        return self._state.born + self._people

    def _age(self, user: User) -> User:
        user.created = user.updated = self._old()
        self._state.save_user(user)
        return user

    def _known(self, email: str) -> User | None:
        return self._state.user_by_email(email)

    def _new_customer(self, given: Person, organization: str | None) -> User:
        person = {"email": given.email, "name": given.name}
        return self._age(desk.customer(self._state, person, organization, via="seed"))

    def _agent(self, email: str) -> User:
        known = self._known(email)
        if known is not None and not known.is_staff:
            raise ValueError(f"assignee {email} is not an agent; give the user row the role agent")
        return known or self._age(desk.agent(self._state, email, via="seed"))

    def _speaker(self, email: str | None, ticket: Ticket) -> User:
        if email is None:
            return self._state.users[ticket.requester_id]
        return self._known(email) or self._new_customer(Person(email=email), None)

    def _admin(self) -> User:
        found = self._state.user_by_email(self._state.options.user)
        if found is None:
            raise ValueError("the integration user is gone; start a new world")
        return found

    def _group(self, name: str) -> int:
        known = next((ident for ident, g in self._state.groups.items() if g["name"].lower() == name.lower()), None)
        return known or self._state.add_group(name)

    def _custom_status(self, label: str) -> int:
        for ident, row in self._state.custom_statuses.items():
            if row["agent_label"].lower() == label.lower():
                return ident
        raise ValueError(f"custom status {label!r} is unknown; add it as a custom_status row")
