"""Reads the one ticket, person or company that a webhook named, as an export would show it a minute later; saves nothing.

Exports hold the last minute back; these paths do not. Both show the same record, so that what the export brings later changes
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import mapping, walks, wire
from cxbridge.plugins.zendesk.mapping import Shape
from cxbridge.plugins.zendesk.wire import Raws

T = TypeVar("T")


class _Ticket(msgspec.Struct):
    ticket: msgspec.Raw
    users: Raws = []
    groups: Raws = []
    organizations: Raws = []


class _User(msgspec.Struct):
    user: msgspec.Raw


class _Organization(msgspec.Struct):
    organization: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Single:
    """Reads single records of one account."""

    shape: Shape
    labels: walks.Labels = field(default_factory=walks.Labels)

    def ticket(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read a ticket with the people, company and team around it, and its newest comments; None where it is not shown."""
        asked = {"include": "users,groups,organizations,metric_sets"}
        body = _shown(client, f"tickets/{key}", asked, _Ticket, key)
        if body is None:
            return None
        refused: list[str] = []
        found = list(wire.read("ticket", wire.Ticket, [body.ticket], refused))
        shape = self.shape
        if any(row.custom_status_id is not None for row, _ in found):
            shape = replace(shape, labels=self.labels.now(client))
        make = mapping.TicketMapping(shape)
        companies = wire.read("organization", wire.Organization, body.organizations, refused)
        beside: dict[str, Sequence[cx.AnyEntity]] = {
            "users": [mapping.to_person(row) for row, _ in wire.read("user", wire.User, body.users, refused)],
            "organizations": [mapping.to_account(row, shape) for row, _ in companies],
            "groups": [mapping.to_team(row, shape) for row, _ in wire.read("group", wire.Group, body.groups, refused)],
            "comments": self._comments(client, key, refused),
        }
        return cx.Page(
            [make(row, row.metric_set) for row, _ in found],
            cursor=None,
            beside={stream: entities for stream, entities in beside.items() if entities},
            raw=[bytes(raw) for _, raw in found],
            refused=refused,
        )

    def user(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read a person; None where there is none."""
        body = _shown(client, f"users/{key}", {}, _User, key)
        if body is None:
            return None
        refused: list[str] = []
        rows = list(wire.read("user", wire.User, [body.user], refused))
        return cx.Page(
            [mapping.to_person(row) for row, _ in rows], None, raw=[bytes(raw) for _, raw in rows], refused=refused
        )

    def organization(self, client: cx.Client, key: str) -> cx.Page | None:
        """Read a company; None where there is none."""
        body = _shown(client, f"organizations/{key}", {}, _Organization, key)
        if body is None:
            return None
        refused: list[str] = []
        rows = list(wire.read("organization", wire.Organization, [body.organization], refused))
        found = [mapping.to_account(row, self.shape) for row, _ in rows]
        return cx.Page(found, None, raw=[bytes(raw) for _, raw in rows], refused=refused)

    def _comments(self, client: cx.Client, key: str, refused: list[str]) -> list[cx.Comment]:
        rows = next(walks.comments_of(client, key, newest_first=True), [])
        # The newest are asked for, and told in the order in which they were said: in that order they are carried over.
        said = [
            mapping.to_comment(row, int(key), self.shape)
            for row, _ in wire.read("comment", wire.Comment, rows[::-1], refused)
        ]
        # Our own come with the export, which does not show their marker: stored from here as well, they would change once more.
        return [comment for comment in said if comment.marker is None]


def _shown(client: cx.Client, path: str, asked: dict[str, str], shape: type[T], key: str) -> T | None:
    """Ask for one record; a key that cannot be an id is asked for nowhere."""
    if not (key.isascii() and key.isdigit()):
        return None
    try:
        return client.get(f"/api/v2/{path}.json", asked).decode(shape)
    except cx.NotFound:
        return None
