"""Reads what happened to issues and counts how often they were reopened; it changes nothing and lasts for one pull.

`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-issueidorkey-changelog-get`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import mapping, wire
from cxbridge.plugins.jira.listing import beans
from cxbridge.plugins.jira.mapping import Issue, Unreadable
from cxbridge.plugins.jira.reference import STATUSES
from cxbridge.plugins.jira.rules import Rules

# An expanded changelog holds no more entries than this (JRACLOUD-96459). The vendor's description calls `total` the
# number of results on the page, so that at the cap it is not believed.
_EXPANDED: Final = 40
_PAGE: Final = 100
_ENDED: Final[frozenset[cx.StatusCategory]] = frozenset(("resolved", "closed", "cancelled"))


class Histories:
    """The histories of the issues of one pull."""

    def __init__(self, client: cx.Client, rules: Rules) -> None:
        self._client = client
        self._rules = rules

    def read(self, issue: Issue) -> tuple[Issue, int | None]:
        """Give an issue its whole history, and how often it was reopened; `None` when it is gone meanwhile.

        Raises:
            Unreadable: when an entry is not of the known form.
        """
        if not _whole(issue.wire.changelog):
            try:
                rows = list(self._listed(issue))
            except cx.NotFound:
                return issue, None
            changelog = wire.Changelog(rows, total=len(rows))
            issue = replace(issue, wire=msgspec.structs.replace(issue.wire, changelog=changelog))
        return issue, self._reopened(issue)

    def _listed(self, issue: Issue) -> Iterator[wire.History]:
        for rows in beans(self._client, f"/rest/api/3/issue/{issue.id}/changelog", {}, _PAGE):
            yield from map(_entry, rows)

    def _reopened(self, issue: Issue) -> int:
        """Count the times that the category left the end. A status nobody knows any more says nothing either way."""
        passed: list[bool] = []
        for entry in mapping.timeline(issue.wire.changelog, mapping.moment(issue.wire.fields.updated)):
            for item in entry.items:
                if _of_status(item):
                    for status in (wire.Status(item.from_, item.from_string), wire.Status(item.to, item.to_string)):
                        category = self._category(status)
                        if category != "unknown":
                            passed.append(category in _ENDED)
        return sum(before and not after for before, after in pairwise(passed))

    def _category(self, status: wire.Status) -> cx.StatusCategory:
        """An entry tells id and name of a status only; its category is in the site's list, and overrides go first."""
        return self._rules.category(self._statuses.get(str(status.id), status))

    @cached_property
    def _statuses(self) -> Mapping[str, wire.Status]:
        listed = map(_status, self._client.get(STATUSES).decode(list[msgspec.Raw]))
        return {str(status.id): status for status in listed if status.id is not None}


def _entry(source: msgspec.Raw) -> wire.History:
    try:
        return msgspec.json.decode(source, type=wire.History)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"an entry of its history: {mapping.misfit(error)}") from None


def _status(source: msgspec.Raw) -> wire.Status:
    """Read a listed status as far as it can be read: one that cannot be is as good as gone."""
    try:
        return msgspec.json.decode(source, type=wire.Status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return wire.Status()


def _whole(changelog: wire.Changelog | None) -> bool:
    if changelog is None or changelog.total is None:
        return False
    return changelog.total <= len(changelog.histories) < _EXPANDED


def _of_status(item: wire.Change) -> bool:
    # A custom field may be called "status", too; servers give no `fieldId`.
    return item.field_id == "status" or (item.field_id is None and (item.field, item.fieldtype) == ("status", "jira"))
