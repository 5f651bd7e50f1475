"""Links of an issue: to other issues, and to things elsewhere. Leaves storing and journaling to the writer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cxbridge.sandbox.jira.records import Issue, Item, Link, RemoteLink
from cxbridge.sandbox.jira.site import LinkType
from cxbridge.sandbox.jira.wire import NO_ISSUE, refused
from cxbridge.sandbox.jira.writer import Writer

Json = Any


def put_remote(
    writer: Writer, issue: Issue, body: Mapping[str, Json], link: RemoteLink | None = None
) -> tuple[Issue, RemoteLink, bool]:
    """Make a remote link, or replace the one with the same global id (or `link`), and whether it is new.

    A replaced link loses what the body leaves out.

    Raises:
        RefusedError: the body lacks the object's title or address, or holds a wrong type.
    """
    content = _remote_content(body)
    global_id = body.get("globalId")
    if link is None and global_id is not None:
        link = next((one for one in issue.remote_links if one.global_id == global_id), None)
    if link is None:
        writer.state.counters.remote_link += 1
        made = RemoteLink(writer.state.counters.remote_link - 1, global_id, *content)
        item = Item("RemoteIssueLink", "", None, None, str(made.id), _sentence(made))
        # That a remote link moves `updated` and enters the history is unverified; a bridge must stand either.
        issue = writer.record(replace(issue, remote_links=(*issue.remote_links, made)), [item])
        _effect(writer, "remotelink.created", issue, made)
        return issue, made, True
    changed = RemoteLink(link.id, global_id if global_id is not None else link.global_id, *content)
    if changed == link:
        writer.noop("remotelink.updated", issue, global_id=link.global_id)
        return issue, link, False
    item = Item("RemoteIssueLink", "", str(link.id), _sentence(link), str(link.id), _sentence(changed))
    links = tuple(changed if one.id == link.id else one for one in issue.remote_links)
    issue = writer.record(replace(issue, remote_links=links), [item])
    _effect(writer, "remotelink.updated", issue, changed)
    return issue, changed, False


def drop_remote(writer: Writer, issue: Issue, link: RemoteLink) -> Issue:
    item = Item("RemoteIssueLink", "", str(link.id), _sentence(link), None, None)
    issue = writer.record(
        replace(issue, remote_links=tuple(one for one in issue.remote_links if one.id != link.id)), [item]
    )
    _effect(writer, "remotelink.deleted", issue, link)
    return issue


def _effect(writer: Writer, kind: str, issue: Issue, link: RemoteLink) -> None:
    writer.state.effect(
        kind,
        issue,
        writer.user,
        writer.via,
        link=link.id,
        global_id=link.global_id,
        url=link.object["url"],
        title=link.object["title"],
        status=link.object.get("status"),
    )


def _sentence(link: RemoteLink) -> str:
    application = (link.application or {}).get("name") or "Web Link"
    return f'This issue links to "{link.object["title"]} ({application})"'


def _remote_content(body: Mapping[str, Json]) -> tuple[Json, str | None, Json]:
    application, relationship, target = body.get("application"), body.get("relationship"), body.get("object")
    errors: dict[str, str] = {}
    # Unverified wordings.
    if not isinstance(target, dict):
        raise refused(400, errors={"object": "'object' is required."})
    for name in ("url", "title"):
        if not isinstance(target.get(name), str) or not target[name]:
            errors[name] = f"'{name}' is required."
    if application is not None and not isinstance(application, dict):
        errors["application"] = "data was not an object"
    if relationship is not None and not isinstance(relationship, str):
        errors["relationship"] = "Operation value must be a string"
    global_id = body.get("globalId")
    if global_id is not None and (not isinstance(global_id, str) or not 0 < len(global_id) <= 255):
        errors["globalId"] = "'globalId' must have between 1 and 255 characters."
    if errors:
        raise refused(400, errors=errors)
    return application, relationship, target


def link_issues(writer: Writer, body: Mapping[str, Json]) -> None:
    """Link two issues; a link that exists already is left as it is.

    Raises:
        RefusedError: the type or an issue is unknown, or both ends are one issue.
    """
    state = writer.state
    kind = _link_type(writer, body.get("type"))
    ends: list[Issue] = []
    for name in ("inwardIssue", "outwardIssue"):
        reference = body.get(name)
        issue = state.seen(reference.get("id") or reference.get("key")) if isinstance(reference, dict) else None
        if issue is None:
            raise refused(404, NO_ISSUE)
        ends.append(issue)
    source, target = ends
    if source.id == target.id:
        raise refused(400, "You cannot link an issue to itself.")
    comment = body.get("comment")
    text = writer.comment_bodies([{"add": comment}])[0] if comment is not None else None
    same = (kind.id, source.id, target.id)
    if any((one.type_id, one.source, one.target) == same for one in state.links.values()):
        writer.noop("issuelink.created", source, type=kind.name, other=target.key)
        return
    state.counters.link += 1
    state.links[state.counters.link] = Link(state.counters.link, kind.id, source.id, target.id)
    source = writer.record(source, [_item(kind.outward, target)])
    target = writer.record(target, [_item(kind.inward, source)])
    state.effect("issuelink.created", source, writer.user, writer.via, type=kind.name, other=target.key)
    if text is not None:
        writer.add_comment(source, text, internal=False)


def unlink(writer: Writer, link: Link) -> None:
    state = writer.state
    del state.links[link.id]
    kind = next(one for one in state.site.link_types if one.id == link.type_id)
    source, target = state.find(link.source), state.find(link.target)
    if source is None or target is None:  # pragma: no cover - links go with their issues
        return
    source = writer.record(source, [_item(kind.outward, target, gone=True)])
    target = writer.record(target, [_item(kind.inward, source, gone=True)])
    state.effect("issuelink.deleted", source, writer.user, writer.via, type=kind.name, other=target.key)


def _item(phrase: str, other: Issue, gone: bool = False) -> Item:
    text = f"This issue {phrase} {other.key}"
    return Item("Link", "", other.key, text, None, None) if gone else Item("Link", "", None, None, other.key, text)


def _link_type(writer: Writer, given: Json) -> LinkType:
    if isinstance(given, dict):
        for kind in writer.state.site.link_types:
            if str(given.get("id")) == kind.id or str(given.get("name", "")).casefold() == kind.name.casefold():
                return kind
        raise refused(404, f"No issue link type with name '{given.get('name', given.get('id'))}' found.")
    raise refused(400, "Issue link type is required.")  # unverified wording
