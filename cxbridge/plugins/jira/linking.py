"""Shows on an issue that it belongs with something elsewhere (`link.ensure`): one remote link per thing, made or
brought up to date.

`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-remote-links/`: the vendor keeps one link per
`globalId`.
"""

from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import issues, wire
from cxbridge.plugins.jira.rules import Rules

_LONGEST_ID: Final = 255


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Make the link as wanted, unless it is so already.

    Raises:
        Rejected: when the other side has no address, which Jira asks of a link.
    """
    inputs = issues.inputs(call, cx.EnsureLink)
    if not inputs.url:
        raise cx.Rejected(f"{inputs.system} {inputs.key} has no address, and a link in Jira needs one")
    path = f"{issues.path(rules, call.target)}/remotelink"
    identity = f"system={inputs.system}&id={inputs.key}"[:_LONGEST_ID]
    body = {
        "globalId": identity,
        "application": {"type": "cxbridge", "name": inputs.system},
        "relationship": inputs.relation.replace("_", " "),
        "object": {
            "url": inputs.url,
            "title": inputs.title or f"{inputs.system} {inputs.key}",
            "status": {"resolved": inputs.resolved},
        },
    }
    changed = _held(client, path, identity) != _shape(body)
    if changed:
        # An update sets to nothing what it leaves out, so the whole link is sent.
        client.post(path, body, repeatable=True)
    return cx.Receipt("issues", str(call.target), changed=changed)


def _held(client: cx.Client, path: str, identity: str) -> tuple[object, ...] | None:
    try:
        reply = client.get(path, {"globalId": identity})
    except cx.NotFound:
        return None  # no such link, or no such issue: the write will tell
    rows = reply.decode(wire.RemoteLink | list[wire.RemoteLink])  # type: ignore[arg-type]  # a union is no type to mypy
    for row in rows if isinstance(rows, list) else [rows]:
        if row.global_id == identity:
            status = row.object.status
            resolved = bool(status and status.resolved)
            return (row.object.url, row.object.title, row.relationship, resolved)
    return None


def _shape(body: dict[str, cx.Json]) -> tuple[object, ...]:
    link = msgspec.convert(body, wire.RemoteLink)
    status = link.object.status
    return (link.object.url, link.object.title, link.relationship, bool(status and status.resolved))
