"""Zendesk's streams: which pages are asked for, in which order, and the cursor behind each. Saves nothing, waits not.

Exports: developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api. All of them
need an administrator, hold the last minute back and may repeat rows at the edge of a page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import envelopes, mapping, walks, wire
from cxbridge.plugins.zendesk.errors import Forbidden
from cxbridge.plugins.zendesk.mapping import Shape
from cxbridge.plugins.zendesk.single import Single

# Sent again with every cursor: Zendesk forgets it between pages.
INCLUDE = "users,groups,organizations,metric_sets"
# Ratings may be counted by the time they were offered (unverified), so each pull looks back over a day.
RATING_OVERLAP = 86_400
# How the event export and the audits call what changes an earlier comment (names unverified).
COMMENT_CHANGES = frozenset({"CommentPrivacyChange", "CommentRedactionEvent", "AttachmentRedactionEvent"})
COMMENT_TYPES = frozenset({"Comment", "VoiceComment"})


TICKETS = "/api/v2/incremental/tickets/cursor.json"
USERS = "/api/v2/incremental/users/cursor.json"
ORGANIZATIONS = "/api/v2/incremental/organizations.json"
EVENTS = "/api/v2/incremental/ticket_events.json"
RATINGS = "/api/v2/satisfaction_ratings.json"
GROUPS = "/api/v2/groups.json"
# Help Center paths need their `.json`.
ARTICLES = "/api/v2/help_center/incremental/articles.json"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the settings say about reading: the account's words, how far back to begin, how large a page to ask for."""

    shape: Shape
    start: date | None = None
    per_page: int = 1000
    guide: bool = True
    translations: bool = False

    def streams(self) -> list[cx.Stream]:
        """List the streams."""
        single = Single(self.shape)
        found = [
            cx.Stream(
                "tickets",
                (cx.Ticket,),
                self.tickets,
                gaps=(
                    "body_html",
                    "language",
                    "resolution",
                    "resolution_native",
                    "severity",
                    "component",
                    "environment",
                    "container",
                    "parent",
                    "access",
                    "attachments",
                    "changed_by",
                ),
                one=single.ticket,
                several=single.tickets,
                beside=single.comments,
                beside_streams=("comments",),
            ),
            cx.Stream(
                "comments", (cx.Comment,), self.comments, gaps=("version", "in_reply_to", "edited_at", "changed_by")
            ),
            cx.Stream(
                "users",
                (cx.Contact, cx.Agent),
                self.users,
                every=300.0,
                gaps=("url", "changed_by"),
                one=single.user,
                several=single.users,
            ),
            cx.Stream(
                "organizations",
                (cx.Account,),
                self.organizations,
                every=300.0,
                gaps=("parent", "segment", "region", "language", "owner_csm", "support_plan", "changed_by"),
                one=single.organization,
                several=single.organizations,
            ),
            cx.Stream("groups", (cx.Container,), self.groups, order="scan", every=3600.0, gaps=("changed_by",)),
            cx.Stream(
                "satisfaction_ratings",
                (cx.Feedback,),
                self.ratings,
                every=900.0,
                gaps=("url", "account", "channel", "changed_by"),
            ),
        ]
        if self.guide:
            found.append(cx.Stream("articles", (cx.Article,), self.articles, every=900.0, gaps=("changed_by",)))
        return found

    def tickets(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read tickets as they changed, deletions among them, with the people, companies and teams around them."""
        shape, make, labelled = self.shape, mapping.TicketMapping(self.shape), False
        asked = {"include": INCLUDE, "per_page": self.per_page}
        for body in walks.by_cursor(client, TICKETS, envelopes.TicketExport, _after(cursor), self._first(), asked):
            cursor = {"after": body.after_cursor} if body.after_cursor else cursor
            if not labelled and any(map(wire.STATUS_ID.search, body.tickets)):
                shape, labelled = replace(self.shape, labels=walks.status_labels(client)), True
                make = mapping.TicketMapping(shape)
            refused: list[str] = []
            metrics = list(wire.read("metric set", wire.MetricSet, body.metric_sets, refused))
            counts = {one.ticket_id: one for one, _ in metrics}
            rows = {
                "tickets": wire.rows(
                    "ticket",
                    wire.Ticket,
                    body.tickets,
                    partial(_with_counts, make, counts),
                    mapping.of_tickets(shape),
                    {str(one.ticket_id): bytes(raw) for one, raw in metrics},
                ),
                "users": self._people(body.users),
                "organizations": self._companies(body.organizations),
                "groups": self._teams(body.groups),
            }
            yield cx.Page([], cursor, refused=refused, rows={stream: one for stream, one in rows.items() if one.raw})
            # As `walks` does: nothing of a page is kept while the next one comes.
            del body, metrics, counts, rows

    def users(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read people as they changed: contacts and agents, by role."""
        asked = {"per_page": self.per_page}
        for body in walks.by_cursor(client, USERS, envelopes.UserExport, _after(cursor), self._first(), asked):
            cursor = {"after": body.after_cursor} if body.after_cursor else cursor
            yield cx.Page([], cursor, rows={"users": self._people(body.users)})

    def organizations(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read companies as they changed.

        The export goes by whole seconds. Where more companies share one than fit a page, as a bulk import makes them,
        it stands still; then all companies are read from the list instead, and the export goes on behind that second.
        """
        while True:
            if isinstance(cursor, dict) and "behind" in cursor:
                for page in self._listed_organizations(client, cursor):
                    cursor = page.cursor
                    yield page
            stalled = False
            asked = {"per_page": self.per_page}
            for body, start in walks.by_time(
                client, ORGANIZATIONS, envelopes.OrganizationExport, _start(cursor, self._first()), asked
            ):
                stalled = walks.stands_still(body, start)
                cursor = {"behind": start} if stalled else {"start_time": walks.next_start(body, start)}
                yield cx.Page([], cursor, rows={"organizations": self._companies(body.organizations)})
            if not stalled:
                return

    def comments(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read what was said, oldest first, out of the ticket events; a comment changed later is read again."""
        first = _start(cursor, self._first())
        for body, start in walks.by_time(client, EVENTS, envelopes.EventExport, first, {"include": "comment_events"}):
            if walks.stands_still(body, start):
                raise cx.WireFormat(f"the ticket events stand still at {start}: more share that second than fit a page")
            refused: list[str] = []
            found: list[tuple[cx.Comment, bytes]] = []
            changed: dict[int, set[int]] = {}
            for event, _ in wire.read("ticket event", wire.TicketEvent, body.ticket_events, refused):
                for kind, raw in wire.read("child event", wire.ChildKind, event.child_events, refused):
                    word = kind.event_type or kind.type
                    if word in COMMENT_TYPES:
                        said = wire.read("comment", wire.Comment, [raw], refused)
                        found += [
                            (mapping.to_comment(row, event.ticket_id, self.shape, event), bytes(one))
                            for row, one in said
                        ]
                    elif word in COMMENT_CHANGES and kind.comment_id is not None:
                        changed.setdefault(event.ticket_id, set()).add(kind.comment_id)
            for ticket, ids in changed.items():
                found += self._read_again(client, ticket, ids, refused)
            yield cx.Page(
                [comment for comment, _ in found],
                cursor={"start_time": walks.next_start(body, start)},
                raw=[raw for _, raw in found],
                refused=refused,
            )

    def ratings(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read given satisfaction ratings; in no documented order, so that the cursor moves on at the end only."""
        place: dict[str, Any] = cursor if isinstance(cursor, dict) else {}
        start, after = place.get("start_time", self._first()), place.get("after")
        latest = int(place.get("latest", start))
        asked = {"start_time": max(0, start - RATING_OVERLAP), "score": "received"}
        pages = walks.by_list(client, RATINGS, envelopes.RatingList, after, asked)
        try:
            for body, after in pages:
                refused: list[str] = []
                rows = list(wire.read("satisfaction rating", wire.Rating, body.satisfaction_ratings, refused))
                times = [int(row.updated_at.timestamp()) for row, _ in rows if row.updated_at is not None]
                latest = max([latest, *times])
                cursor = {"start_time": start, "after": after, "latest": latest} if after else {"start_time": latest}
                yield cx.Page(
                    [mapping.to_feedback(row) for row, _ in rows],
                    cursor=cursor,
                    raw=[bytes(raw) for _, raw in rows],
                    refused=refused,
                )
        except (cx.NotFound, Forbidden) as error:
            yield cx.Page([], cursor=cursor, refused=[f"satisfaction ratings cannot be read: {error.detail}"])

    def groups(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read all teams, every time."""
        for body, after in walks.by_list(client, GROUPS, envelopes.GroupList, _after(cursor), {}):
            yield cx.Page([], {"after": after} if after else None, rows={"groups": self._teams(body.groups)})

    def articles(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        """Read knowledge as it changed; the export tells no deletions.

        An account without Guide yields one empty page that says so.
        """
        start = _start(cursor, self._first())
        params: dict[str, Any] = {"sort_by": "updated_at", "sort_order": "asc"}
        if self.translations:
            params["include"] = "translations"
        while True:
            try:
                reply = client.get(ARTICLES, {"start_time": start, **params})
            except (cx.NotFound, Forbidden) as error:
                yield cx.Page([], cursor=cursor, refused=[f"articles cannot be read: {error.detail}"])
                return
            body = reply.decode(envelopes.ArticleExport)
            refused: list[str] = []
            found = [
                (article, bytes(raw))
                for row, raw in wire.read("article", wire.Article, body.articles, refused)
                for article in mapping.to_articles(row)
            ]
            # An empty window answers `end_time` 1, which would send the next pull back to the beginning.
            moved = bool(body.articles) and body.end_time is not None and body.end_time > start
            start = body.end_time if moved and body.end_time is not None else start
            cursor = {"start_time": start}
            yield cx.Page(
                [article for article, _ in found], cursor=cursor, raw=[raw for _, raw in found], refused=refused
            )
            if body.next_page is None or not body.articles:
                return
            if not moved:
                raise cx.WireFormat(f"the articles stand still at {start}: more share that second than fit a page")

    def _listed_organizations(self, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        behind = cursor["behind"]
        for body, after in walks.by_list(
            client, "/api/v2/organizations.json", envelopes.OrganizationList, cursor.get("after"), {}
        ):
            place = {"behind": behind, "after": after} if after else {"start_time": behind + 1}
            yield cx.Page([], place, rows={"organizations": self._companies(body.organizations)})

    def _people(self, raws: wire.Raws) -> cx.Rows:
        return wire.rows("user", wire.User, raws, mapping.to_person, mapping.OF_PEOPLE)

    def _companies(self, raws: wire.Raws) -> cx.Rows:
        to = partial(mapping.to_account, shape=self.shape)
        return wire.rows("organization", wire.Organization, raws, to, mapping.of_shape(self.shape))

    def _teams(self, raws: wire.Raws) -> cx.Rows:
        to = partial(mapping.to_team, shape=self.shape)
        return wire.rows("group", wire.Group, raws, to, mapping.of_shape(self.shape))

    def _read_again(
        self, client: cx.Client, ticket: int, ids: set[int], refused: list[str]
    ) -> Iterator[tuple[cx.Comment, bytes]]:
        for raws in walks.comments_of(client, ticket):
            for row, raw in wire.read("comment", wire.Comment, raws, refused):
                if row.id in ids:
                    yield mapping.to_comment(row, ticket, self.shape), bytes(raw)

    def _first(self) -> int:
        start = self.start
        return 0 if start is None else int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp())


def _with_counts(
    make: mapping.TicketMapping, counts: Mapping[int | None, wire.MetricSet], row: wire.Ticket
) -> cx.Ticket:
    return make(row, counts.get(row.id))


def _after(cursor: cx.Json) -> str | None:
    after = cursor.get("after") if isinstance(cursor, dict) else None
    return after if isinstance(after, str) else None


def _start(cursor: cx.Json, first: int) -> int:
    start = cursor.get("start_time") if isinstance(cursor, dict) else None
    return start if isinstance(start, int) else first
