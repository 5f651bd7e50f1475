"""Adds one comment, once (`comment.add_once`), with the marker in a property of the comment.

`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/`. On a service desk a comment is public
unless it says otherwise in the very call that makes it: the customer is mailed at once.
"""

from collections.abc import Iterator
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import adf, issues, mapping, wire
from cxbridge.plugins.jira.mapping import Issue
from cxbridge.plugins.jira.rules import Rules

_PAGE: Final = 100
# An unanswered call is looked up within hours; an issue with more comments than this since then is a machine's.
_NEWEST: Final = 500


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Add the comment, unless one with its marker is there.

    Raises:
        Rejected: when the text is empty, or the visibility is one that Jira ties to a group or role.
    """
    inputs = issues.inputs(call, cx.AddComment)
    document = adf.from_text(inputs.body)
    if not document["content"]:
        raise cx.Rejected("the comment is empty, and Jira takes no empty comment")
    if inputs.visibility == "restricted":
        raise cx.Rejected("a restricted comment belongs to a group or role of Jira: choose internal or public")
    issue = issues.get(client, rules, call.target)
    if earlier := _earlier(rules, client, issue, call.marker, changed=False):
        return earlier
    properties = [{"key": mapping.MARKER_PROPERTY, "value": {"marker": call.marker}}]
    if inputs.visibility == "internal":
        properties.append({"key": mapping.INTERNAL_PROPERTY, "value": {"internal": True}})
    reply = client.post(f"{issues.path(rules, issue.id)}/comment", {"body": document, "properties": properties})
    made = reply.decode(wire.Created)
    # Outside a service desk nobody but the site's own people sees a comment, however it was written.
    seen = wire.Comment(id=made.id, jsd_public=inputs.visibility == "public")
    wrote = {
        "ticket": f"issues/{issue.id}",
        "body_text": adf.to_text(document),
        "visibility": mapping.visibility(seen, issue.wire.fields.project),
    }
    return _receipt(rules, issue, str(made.id), wrote)


def find(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the comment that an earlier, unanswered call made."""
    issue = issues.get(client, rules, call.target)
    return _earlier(rules, client, issue, call.marker, changed=True)


def _earlier(rules: Rules, client: cx.Client, issue: Issue, marker: str, *, changed: bool) -> cx.Receipt | None:
    for row in _newest(client, issue):
        if _marker(client, row) == marker:
            read = mapping.comment(row, issue, rules)
            wrote = {"ticket": read.ticket, "body_text": read.body_text, "visibility": read.visibility}
            return _receipt(rules, issue, read.source_id, wrote, changed=changed)
    return None


def _newest(client: cx.Client, issue: Issue) -> Iterator[wire.Comment]:
    """List an issue's comments with their properties, the newest first."""
    start = 0
    while start < _NEWEST:
        # `expand=properties` is documented for the list by ids, not for this one; hence the second look in `_marker`.
        asked = {"startAt": start, "maxResults": _PAGE, "orderBy": "-created", "expand": "properties"}
        page = client.get(f"/rest/api/3/issue/{issue.id}/comment", asked).decode(wire.Comments)
        for source in page.comments:
            try:
                yield mapping.read_comment(source)
            except mapping.Unreadable as error:
                raise cx.WireFormat(f"a comment of issue {issue.id}: {error}") from None
        start += len(page.comments)
        if not page.comments or start >= (page.total or 0):
            return


def _marker(client: cx.Client, row: wire.Comment) -> str | None:
    if row.properties is not None:
        return mapping.marker(row.properties)
    try:
        reply = client.get(f"/rest/api/3/comment/{row.id}/properties/{mapping.MARKER_PROPERTY}")
    except cx.NotFound:
        return None
    return mapping.marker([reply.decode(wire.Property)])


def _receipt(rules: Rules, issue: Issue, number: str, wrote: dict[str, cx.Json], *, changed: bool = True) -> cx.Receipt:
    page = rules.url(issue.wire.key)
    return cx.Receipt(
        stream="comments",
        key=number,
        source_key=issue.wire.key,
        url=f"{page}?focusedCommentId={number}" if page else None,
        wrote=wrote,
        made=(f"comments/{number}",),
        changed=changed,
    )
