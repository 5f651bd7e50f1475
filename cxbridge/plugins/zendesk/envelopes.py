"""Zendesk's answers as types: what stands around the records of a page, and where the page is in its walk; no I/O here.

Records stay slices of the answer's bytes until `wire.read` decodes them one by one.
"""

import msgspec

from cxbridge.plugins.zendesk.wire import Audit, Epoch, Raws, Ticket


class CursorExport(msgspec.Struct):
    """What every page of an export by cursor tells of its place; the cursor is opaque and stays good at the end."""

    end_of_stream: bool
    after_cursor: str | None = None

    def rows(self) -> Raws:
        """Give the page's own records."""
        raise NotImplementedError


class TicketExport(CursorExport, kw_only=True):
    """A page of the ticket export by cursor, with what `include` asked for beside it."""

    tickets: Raws
    users: Raws = []
    groups: Raws = []
    organizations: Raws = []
    metric_sets: Raws = []

    def rows(self) -> Raws:
        return self.tickets


class UserExport(CursorExport, kw_only=True):
    """A page of the user export by cursor."""

    users: Raws

    def rows(self) -> Raws:
        return self.users


class TimeExport(msgspec.Struct):
    """What every page of an export by time tells of its place: `next_page` is never null and therefore not read."""

    end_of_stream: bool
    end_time: Epoch | None = None

    def rows(self) -> Raws:
        """Give the page's own records."""
        raise NotImplementedError


class OrganizationExport(TimeExport, kw_only=True):
    """A page of the organization export by time."""

    organizations: Raws

    def rows(self) -> Raws:
        return self.organizations


class EventExport(TimeExport, kw_only=True):
    """A page of the ticket event export by time."""

    ticket_events: Raws

    def rows(self) -> Raws:
        return self.ticket_events


class ListMeta(msgspec.Struct):
    """Whether a cursor list has more, and where."""

    has_more: bool = False
    after_cursor: str | None = None


class CursorList(msgspec.Struct):
    """What all cursor lists share; `meta` is missing where an account answers in the old style, in one page."""

    meta: ListMeta | None = None

    def rows(self) -> Raws:
        """Give the page's own records."""
        raise NotImplementedError


class OrganizationList(CursorList, kw_only=True):
    """A page of the organization list."""

    organizations: Raws

    def rows(self) -> Raws:
        return self.organizations


class GroupList(CursorList, kw_only=True):
    """A page of the group list."""

    groups: Raws

    def rows(self) -> Raws:
        return self.groups


class CommentList(CursorList, kw_only=True):
    """A page of one ticket's comments."""

    comments: Raws

    def rows(self) -> Raws:
        return self.comments


class RatingList(CursorList, kw_only=True):
    """A page of the satisfaction ratings."""

    satisfaction_ratings: Raws

    def rows(self) -> Raws:
        return self.satisfaction_ratings


class ArticleExport(msgspec.Struct):
    """A page of the article export: no `end_of_stream`, and an `end_time` of 1 where there is nothing new."""

    articles: Raws
    count: int | None = None
    next_page: str | None = None
    end_time: Epoch | None = None


class CustomStatusList(msgspec.Struct):
    """All custom statuses; the list has no pages."""

    custom_statuses: Raws


class TicketList(msgspec.Struct):
    """Tickets found by external id; there may be several."""

    tickets: list[Ticket]


class TicketAnswer(msgspec.Struct):
    """One ticket, with the audit when it was written."""

    ticket: Ticket
    audit: Audit | None = None


class TagsAnswer(msgspec.Struct):
    """A ticket's tags after they were written."""

    tags: list[str]


class Me(msgspec.Struct):
    """Whose credential it is; `id` is null for the anonymous user."""

    id: int | None = None
    name: str | None = None
    email: str | None = None
    role: str | None = None


class MeAnswer(msgspec.Struct):
    """The envelope of `users/me`."""

    user: Me
