"""Zendesk's search language over the account's records: what matches a query, in which order. Pages nothing.

developer.zendesk.com/api-reference/ticketing/ticket-management/search. Words, quoted phrases, `name:value`, `<`, `>`,
`-` and several values of one name are understood; wildcards are not.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cxbridge.sandbox.zendesk.entities import Organization, Ticket, User
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

TYPES = ("ticket", "user", "organization", "group")

_STATUS_ORDER = ("new", "open", "pending", "hold", "solved", "closed")
_PRIORITY_ORDER = ("low", "normal", "high", "urgent")
_TERM = re.compile(r'(?P<minus>-?)(?:(?P<name>[a-z_0-9]+)(?P<sign>:|<=|>=|<|>))?(?P<value>"[^"]*"|\S+)', re.IGNORECASE)
_AGO = re.compile(r"(\d+)(minute|hour|day|week|month|year)s?")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}


class Term(NamedTuple):
    name: str
    sign: str
    value: str
    negated: bool


class Hit(NamedTuple):
    """A record that matches, and the name of its kind as results carry it."""

    kind: str
    id: int
    created: int
    row: Any


def terms(query: str) -> list[Term]:
    """The parts of a query; a bare word has an empty name."""
    return [
        Term(
            (found["name"] or "").lower(),
            found["sign"] or "",
            found["value"].strip('"').lower(),
            found["minus"] == "-",
        )
        for found in _TERM.finditer(query)
    ]


def run(state: ZendeskState, query: str, kind: str | None = None) -> list[Hit]:
    """Records that match, newest first; what is younger than the index's lag is unknown to it.

    A record that changed is found by what it is now, which is kinder than the real index.
    """
    asked = terms(query)
    kinds = [t.value for t in asked if t.name == "type" and not t.negated] or ([kind] if kind else list(TYPES))
    wanted = [t for t in asked if t.name != "type"]
    until = state.second() - state.options.search_lag
    hits = [hit for hit in _everything(state, kinds) if hit.created <= until and _matches(state, hit, wanted)]
    return sorted(hits, key=lambda hit: (hit.created, hit.id), reverse=True)


def sorted_by(hits: list[Hit], sort_by: str | None, sort_order: str | None) -> list[Hit]:
    """The order a request asks for; anything but a known name leaves them newest first."""
    keys: dict[str, Callable[[Hit], Any]] = {
        "created_at": lambda hit: hit.created,
        "updated_at": lambda hit: getattr(hit.row, "updated", hit.created),
        "status": lambda hit: _rank(_STATUS_ORDER, getattr(hit.row, "status", None)),
        "priority": lambda hit: _rank(_PRIORITY_ORDER, getattr(hit.row, "priority", None)),
        "ticket_type": lambda hit: getattr(hit.row, "type", None) or "",
    }
    if sort_by not in keys:
        return hits
    return sorted(hits, key=keys[sort_by], reverse=sort_order != "asc")


def users(state: ZendeskState, query: str) -> list[User]:
    """The users that `/users/search?query=` finds: the search language, limited to users."""
    return [hit.row for hit in run(state, query, "user") if hit.kind == "user"]


def _everything(state: ZendeskState, kinds: Iterable[str]) -> Iterable[Hit]:
    for kind in kinds:
        if kind == "ticket":
            yield from (Hit(kind, t.id, t.created, t) for t in state.live_tickets())
        elif kind == "user":
            yield from (Hit(kind, u.id, u.created, u) for u in state.users.values() if u.active)
        elif kind == "organization":
            yield from (Hit(kind, o.id, o.created, o) for o in state.organizations.values() if o.deleted is None)
        elif kind == "group":
            yield from (Hit(kind, g["id"], g["created_at"], g) for g in state.groups.values())


def _matches(state: ZendeskState, hit: Hit, wanted: list[Term]) -> bool:
    facts = _FACTS[hit.kind](state, hit.row)
    either: defaultdict[str, list[bool]] = defaultdict(list)
    for term in wanted:
        found = _term_matches(state, term, facts)
        if term.negated:
            if found:
                return False
        elif term.sign == ":":
            # Several values of one name are alternatives.
            either[term.name].append(found)
        elif not found:
            return False
    return all(any(found) for found in either.values())


def _term_matches(state: ZendeskState, term: Term, facts: Json) -> bool:
    if not term.name:
        return any(term.value in text for text in facts["text"])
    if term.name not in facts:
        return False
    known = facts[term.name]
    if term.name in ("created", "updated", "solved"):
        return known is not None and _date_matches(state, term, known)
    if term.name in ("status", "priority") and term.sign != ":":
        order = _STATUS_ORDER if term.name == "status" else _PRIORITY_ORDER
        return _compare(_rank(order, known), term.sign, _rank(order, term.value))
    values = known if isinstance(known, list) else [known]
    if term.value == "none":
        return not any(values)
    shown = [str(value).lower() for value in values if value is not None]
    if term.name in ("subject", "description", "name"):
        return any(term.value in text for text in shown)
    return term.value in shown


def _date_matches(state: ZendeskState, term: Term, known: int) -> bool:
    if ago := _AGO.fullmatch(term.value):
        start = end = state.second() - int(ago[1]) * _SECONDS[ago[2]]
    else:
        try:
            moment = datetime.fromisoformat(term.value.upper())
        except ValueError:
            return False
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        start = int(moment.timestamp())
        end = start + 86399 if len(term.value) == len("2026-05-06") else start
    if term.sign == ":":
        return start <= known <= end
    # `>` a day means after its end, `<` a day before its start.
    return _compare(known, term.sign, end if term.sign in (">", "<=") else start)


def _compare(left: int, sign: str, right: int) -> bool:
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign]


def _rank(order: tuple[str, ...], value: object) -> int:
    return order.index(str(value)) if value in order else -1


def _named(state: ZendeskState, ident: int | None, table: dict[int, Any]) -> list[Any]:
    row = table.get(ident) if ident is not None else None
    if row is None:
        return []
    if isinstance(row, dict):
        return [ident, row["name"]]
    return [ident, row.name, getattr(row, "email", None)]


def _ticket_facts(state: ZendeskState, row: Ticket) -> Json:
    requester = state.users[row.requester_id]
    facts: Json = {
        "text": [row.subject.lower(), row.description.lower(), str(row.id), requester.name.lower()],
        "id": row.id,
        "status": row.status,
        "priority": row.priority,
        "ticket_type": row.type,
        "subject": row.subject,
        "description": row.description,
        "tags": row.tags,
        "external_id": row.external_id,
        "requester": _named(state, row.requester_id, state.users),
        "assignee": _named(state, row.assignee_id, state.users),
        "submitter": _named(state, row.submitter_id, state.users),
        "organization": _named(state, row.organization_id, state.organizations),
        "group": _named(state, row.group_id, state.groups),
        "via": row.channel,
        "created": row.created,
        "updated": row.updated,
        "solved": row.metrics.solved,
    }
    facts |= {f"custom_field_{id}": value for ident, value in row.custom_fields.items()}
    facts["fieldvalue"] = list(row.custom_fields.values())
    return facts


def _user_facts(state: ZendeskState, row: User) -> Json:
    return {
        "text": [row.name.lower(), (row.email or "").lower()],
        "id": row.id,
        "name": row.name,
        "user": [row.name, row.email],
        "email": [row.email, *row.other_emails],
        "role": row.role,
        "phone": row.phone,
        "external_id": row.external_id,
        "organization": _named(state, row.organization_id, state.organizations),
        "tags": row.tags,
        "created": row.created,
        "updated": row.updated,
    }


def _organization_facts(state: ZendeskState, row: Organization) -> Json:
    del state
    return {
        "text": [row.name.lower(), *row.domain_names],
        "id": row.id,
        "name": row.name,
        "organization": [row.name],
        "external_id": row.external_id,
        "tags": row.tags,
        "created": row.created,
        "updated": row.updated,
    }


def _group_facts(state: ZendeskState, row: Json) -> Json:
    del state
    return {"text": [row["name"].lower()], "id": row["id"], "name": row["name"], "created": row["created_at"]}


_FACTS: dict[str, Callable[[ZendeskState, Any], Json]] = {
    "ticket": _ticket_facts,
    "user": _user_facts,
    "organization": _organization_facts,
    "group": _group_facts,
}
