"""Reads tickets, people and companies that webhooks named, as an export would show them a minute later; saves nothing.

Exports hold the last minute back; these paths do not. Both show the same record, so that what the export brings later changes
nothing. Several: developer.zendesk.com/api-reference/ticketing/tickets/tickets/#show-multiple-tickets, up to 100 ids, and likewise
for users and organizations. What such an answer leaves out is asked for by itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import mapping, walks, wire
from cxbridge.plugins.zendesk.mapping import Shape
from cxbridge.plugins.zendesk.wire import Raws

T = TypeVar("T")
R = TypeVar("R", wire.User, wire.Organization, wire.Group)

_ASKED = {"include": "users,groups,organizations,metric_sets"}
# In a text of somebody's the quotes would be escaped.
_COUNTS = re.compile(rb'"metric_set"\s*:')


class _Around(msgspec.Struct):
    users: Raws = []
    groups: Raws = []
    organizations: Raws = []


class _Ticket(_Around, kw_only=True):
    ticket: msgspec.Raw


class _Tickets(_Around, kw_only=True):
    tickets: Raws


class _User(msgspec.Struct):
    user: msgspec.Raw


class _Users(msgspec.Struct):
    users: Raws


class _Organization(msgspec.Struct):
    organization: msgspec.Raw


class _Organizations(msgspec.Struct):
    organizations: Raws


@dataclass(frozen=True, slots=True)
class Single:
    """Reads single records of one account."""

    shape: Shape
    labels: walks.Labels = field(default_factory=walks.Labels)

    def ticket(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read a ticket with the people, company and team around it; None where it is not shown."""
        body = _shown(client, f"tickets/{key}", _ASKED, _Ticket, key)
        return None if body is None else self._ticket(client, body.ticket, self._around(body))

    def tickets(self, client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
        """Ask for several tickets, and what is around them, with one request."""
        body = _several(client, "tickets", _ASKED, _Tickets, keys)
        shown = {} if body is None else _by_key(body.tickets)
        around = self._around(body or _Around())

        def one(client: cx.Client, key: str) -> cx.Page | None:
            raw = shown.get(key)
            # That lists hold the counts as a single ticket does is unverified; without them the export would change them again.
            if raw is None or _COUNTS.search(raw) is None:
                return self.ticket(client, key)
            return self._ticket(client, raw, around)

        return one

    def comments(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read the newest comments of a ticket."""
        if not _is_id(key):
            return None
        refused: list[str] = []
        rows = next(walks.comments_of(client, key, newest_first=True), [])
        # The newest are asked for, and told in the order in which they were said: in that order they are carried over.
        said = [
            mapping.to_comment(row, int(key), self.shape)
            for row, _ in wire.read("comment", wire.Comment, rows[::-1], refused)
        ]
        # Our own come with the export, which does not show their marker: stored from here as well, they would change once more.
        theirs = [comment for comment in said if comment.marker is None]
        return cx.Page([], cursor=None, beside={"comments": theirs} if theirs else {}, refused=refused)

    def user(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read a person; None where there is none."""
        body = _shown(client, f"users/{key}", {}, _User, key)
        return None if body is None else _page("user", wire.User, body.user, mapping.to_person)

    def users(self, client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
        """Ask for several people with one request."""
        body = _several(client, "users", {}, _Users, keys)
        shown = {} if body is None else _by_key(body.users)
        return _given(shown, partial(_page, "user", wire.User, to=mapping.to_person), self.user)

    def organization(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read a company; None where there is none."""
        body = _shown(client, f"organizations/{key}", {}, _Organization, key)
        return None if body is None else self._organization(body.organization)

    def organizations(self, client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
        """Ask for several companies with one request."""
        body = _several(client, "organizations", {}, _Organizations, keys)
        shown = {} if body is None else _by_key(body.organizations)
        return _given(shown, self._organization, self.organization)

    def _organization(self, raw: msgspec.Raw) -> cx.Page:
        return _page("organization", wire.Organization, raw, partial(mapping.to_account, shape=self.shape))

    def _ticket(self, client: cx.Client, raw: msgspec.Raw, around: "_Beside") -> cx.Page:
        refused: list[str] = []
        found = list(wire.read("ticket", wire.Ticket, [raw], refused))
        shape = self.shape
        if any(row.custom_status_id is not None for row, _ in found):
            shape = replace(shape, labels=self.labels.now(client))
        make = mapping.TicketMapping(shape)
        beside: dict[str, Sequence[cx.AnyEntity]] = {}
        for row, _ in found:
            beside |= around.of(row, refused)
        return cx.Page(
            [make(row, row.metric_set) for row, _ in found],
            cursor=None,
            beside={stream: entities for stream, entities in beside.items() if entities},
            raw=[bytes(raw) for _, raw in found],
            refused=refused,
        )

    def _around(self, body: _Around) -> "_Beside":
        """Map who is around tickets, each once."""
        account, team = partial(mapping.to_account, shape=self.shape), partial(mapping.to_team, shape=self.shape)
        return _Beside(
            _mapped("user", wire.User, body.users, mapping.to_person),
            _mapped("organization", wire.Organization, body.organizations, account),
            _mapped("group", wire.Group, body.groups, team),
        )


@dataclass(frozen=True, slots=True)
class _Beside:
    """Who is around the tickets of one answer, by id: mapped, or why it cannot be."""

    users: Mapping[int, cx.AnyEntity | str]
    organizations: Mapping[int, cx.AnyEntity | str]
    groups: Mapping[int, cx.AnyEntity | str]

    def of(self, row: wire.Ticket, refused: list[str]) -> dict[str, Sequence[cx.AnyEntity]]:
        """Give those around one ticket, by stream; what cannot be read is told in `refused`."""
        people = (row.requester_id, row.submitter_id, row.assignee_id)
        others = (row.collaborator_ids, row.follower_ids, row.email_cc_ids)
        named: dict[str, tuple[Mapping[int, cx.AnyEntity | str], Iterable[int | None]]] = {
            "users": (self.users, dict.fromkeys((*people, *(id_ for some in others for id_ in some or ())))),
            "organizations": (self.organizations, (row.organization_id,)),
            "groups": (self.groups, (row.group_id,)),
        }
        found: dict[str, Sequence[cx.AnyEntity]] = {}
        for stream, (known, ids) in named.items():
            around = [known[id_] for id_ in ids if id_ is not None and id_ in known]
            refused += [one for one in around if isinstance(one, str)]
            found[stream] = [one for one in around if not isinstance(one, str)]
        return found


def _mapped(kind: str, type_: type[R], raws: Raws, to: Callable[[R], cx.AnyEntity]) -> dict[int, cx.AnyEntity | str]:
    made: dict[int, cx.AnyEntity | str] = {}
    for key, raw in _by_key(raws).items():
        refused: list[str] = []
        for row, _ in wire.read(kind, type_, [raw], refused):
            made[row.id] = to(row)
        if refused:
            made[int(key)] = refused[0]
    return made


def _by_key(raws: Raws) -> dict[str, msgspec.Raw]:
    return {key: raw for raw in raws if (key := wire.key_of(raw)) is not None}


def _given(shown: Mapping[str, msgspec.Raw], page: Callable[[msgspec.Raw], cx.Page], alone: cx.ReadOne) -> cx.ReadOne:
    def one(client: cx.Client, key: str) -> cx.Page | None:
        raw = shown.get(key)
        return alone(client, key) if raw is None else page(raw)

    return one


def _page(kind: str, type_: type[R], raw: msgspec.Raw, to: Callable[[R], cx.AnyEntity]) -> cx.Page:
    refused: list[str] = []
    rows = list(wire.read(kind, type_, [raw], refused))
    return cx.Page([to(row) for row, _ in rows], None, raw=[bytes(raw) for _, raw in rows], refused=refused)


def _shown(client: cx.Client, path: str, asked: dict[str, str], shape: type[T], key: str) -> T | None:
    """Ask for one record; a key that cannot be an id is asked for nowhere."""
    if not _is_id(key):
        return None
    try:
        return client.get(f"/api/v2/{path}.json", asked).decode(shape)
    except cx.NotFound:
        return None


def _several(client: cx.Client, records: str, asked: dict[str, str], shape: type[T], keys: Sequence[str]) -> T | None:
    """Ask for several records; what is not there is left out of the answer."""
    ids = [key for key in keys if _is_id(key)]
    if not ids:
        return None
    return client.get(f"/api/v2/{records}/show_many.json", {"ids": ",".join(ids), **asked}).decode(shape)


def _is_id(key: str) -> bool:
    return key.isascii() and key.isdigit()
