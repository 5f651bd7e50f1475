"""Reads single issues for the writes: by key, by id, by the marker they carry. It changes nothing."""

import re
from collections.abc import Collection, Sequence
from typing import Final, TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import mapping, wire
from cxbridge.plugins.jira.mapping import Issue, Unreadable
from cxbridge.plugins.jira.rules import Rules
from cxbridge.plugins.jira.streams import ISSUE_FIELDS, SEARCH

_Inputs = TypeVar("_Inputs", bound=cx.Inputs)

# Of so few fields a search shows more at once, and nearly always none is found.
_LABELLED: Final = 100
_NAME: Final = re.compile(r"\d{1,18}|[A-Za-z][A-Za-z0-9_]{0,99}-\d{1,12}")


def inputs(call: cx.Call, kind: type[_Inputs]) -> _Inputs:
    """Give the inputs of a call as what they must be.

    Raises:
        PluginError: when the engine handed over those of another action.
    """
    if not isinstance(call.inputs, kind):
        raise cx.PluginError("jira", f"expected {kind.__name__}, was handed {type(call.inputs).__name__}")
    return call.inputs


def path(rules: Rules, name: str | None) -> str:
    """Give the path of an issue by its key or id.

    Raises:
        Rejected: when the text is neither.
    """
    text = (name or "").strip().removeprefix(f"{rules.site}/browse/")
    if not _NAME.fullmatch(text):
        raise cx.Rejected("an issue is named by its key, such as ENG-12, or by its id; this text is neither")
    return f"/rest/api/3/issue/{text.upper()}"


def get(client: cx.Client, rules: Rules, name: str | None, *, editmeta: bool = False) -> Issue:
    """Read an issue with all fields that are mapped.

    Raises:
        NotFound: when it is gone, or this account may not see it.
        WireFormat: when it is not of the known form.
    """
    fields = (*ISSUE_FIELDS, *rules.fields.values())
    asked = {"fields": ",".join(dict.fromkeys(fields)), "expand": "editmeta" if editmeta else None}
    try:
        reply = client.get(path(rules, name), asked)
    except cx.NotFound as error:
        raise cx.NotFound(
            f"there is no issue {name} that this account may see", status=error.status, request_id=error.request_id
        ) from None
    return _read(reply.body, rules)


def marked(client: cx.Client, rules: Rules, marker: str) -> list[Issue]:
    """Find the issues that carry a marker, the oldest first.

    The label is what can be searched for; the property is the proof, since a clone of an issue copies its labels
    only. The search shows a new issue late, so finding nothing proves nothing.
    """
    asked = {
        "jql": f'{_within(rules)} AND labels = "{mapping.marker_label(marker)}" ORDER BY created ASC, key ASC',
        "fields": ",".join(dict.fromkeys((*ISSUE_FIELDS, *rules.fields.values()))),
        "properties": mapping.LINK_PROPERTY,
        "maxResults": 50,
    }
    page = client.get(SEARCH, asked).decode(wire.SearchPage)
    found = [_read(bytes(raw), rules) for raw in page.issues]
    mine = [issue for issue in found if _proof(client, issue) == marker]
    return sorted(mine, key=lambda issue: (len(issue.id), issue.id))


def planted(rules: Rules, client: cx.Client, markers: Sequence[str]) -> Collection[str]:
    """Name those of several markers that some issue is labelled with; whether it is the one that was made, `marked` finds out."""
    labels = {marker: mapping.marker_label(marker) for marker in markers}
    listed = ",".join(f'"{label}"' for label in labels.values())
    asked = {"jql": f"{_within(rules)} AND labels in ({listed})", "fields": "labels", "maxResults": _LABELLED}
    page = client.get(SEARCH, asked).decode(wire.SearchPage)
    if not page.is_last and (page.next_page_token is not None or page.is_last is False):
        # There is more than was shown, whether it says where or not: each is looked for by itself.
        return markers
    found = {label for raw in page.issues for label in _read(bytes(raw), rules).wire.fields.labels or ()}
    return [marker for marker, label in labels.items() if label in found]


def _within(rules: Rules) -> str:
    return f"project in ({','.join(f'{chr(34)}{key}{chr(34)}' for key in rules.projects)})"


def _proof(client: cx.Client, issue: Issue) -> str | None:
    held = issue.wire.properties
    if held is None:  # the search does not have to give what it was asked for
        try:
            reply = client.get(f"/rest/api/3/issue/{issue.id}/properties/{mapping.LINK_PROPERTY}")
        except cx.NotFound:
            return None
        value = reply.decode(wire.Property).value
    else:
        value = held.get(mapping.LINK_PROPERTY)
    marker = value.get("marker") if isinstance(value, dict) else None
    return marker if isinstance(marker, str) else None


def receipt(
    issue: Issue,
    rules: Rules,
    *,
    wrote: tuple[str, ...] = (),
    made: bool = False,
    changed: bool = True,
    told: str = "",
) -> cx.Receipt:
    """Write a receipt for an issue as it was read; `wrote` names the canonical fields that were written."""
    ticket = mapped(issue, rules)
    return cx.Receipt(
        stream="issues",
        key=ticket.source_id,
        source_key=ticket.source_key,
        url=ticket.url,
        version=ticket.version,
        wrote={name: getattr(ticket, name) for name in wrote},
        made=(f"issues/{ticket.source_id}",) if made else (),
        changed=changed,
        told=told,
    )


def mapped(issue: Issue, rules: Rules) -> cx.Ticket:
    """Map an issue that a write needs.

    Raises:
        WireFormat: when it cannot be mapped.
    """
    try:
        return mapping.ticket(issue, rules)
    except Unreadable as error:
        raise cx.WireFormat(f"issue {issue.id}: {error}") from None


def _read(body: bytes | msgspec.Raw, rules: Rules) -> Issue:
    try:
        return mapping.read_issue(body, rules)
    except Unreadable as error:
        raise cx.WireFormat(f"an issue cannot be read: {error}") from None
