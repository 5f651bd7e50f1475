"""How the site shows the parts an issue is made of to one caller. Changes nothing and knows no whole issue."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from cxbridge.sandbox.jira import adf
from cxbridge.sandbox.jira.records import Change, Comment, Issue, Item, RemoteLink
from cxbridge.sandbox.jira.site import IssueType, Priority, Project, Status, StatusCategory, User
from cxbridge.sandbox.jira.state import JiraState
from cxbridge.sandbox.jira.wire import Call

Json = Any
Object = dict[str, Any]

_UTC: Final = ZoneInfo("Etc/UTC")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an issue as one caller sees them."""

    state: JiraState
    call: Call

    # small parts

    def time(self, moment: datetime | None) -> str | None:
        """Milliseconds and an offset without a colon, in the caller's profile time zone."""
        if moment is None:
            return None
        local = moment.astimezone(self.call.user.zone if self.call.user else _UTC)
        return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}{local:%z}"

    def rich(self, document: Json) -> Json:
        """A document as this API version shows it: itself in version 3, its text in version 2."""
        if document is None or self.call.version == 3:
            return document
        return adf.to_text(document)

    def user(self, account_id: str | None) -> Object | None:
        user = self.state.site.user(account_id)
        return None if user is None else self.person(user)

    def person(self, user: User) -> Object:
        """A user; the e-mail address only of those who show it, and of the caller."""
        shown: Object = {
            "self": self.call.rest(f"user?accountId={quote(user.account_id)}"),
            "accountId": user.account_id,
            "accountType": user.account_type,
            "avatarUrls": self._avatars(f"avatar/{user.account_id[-4:]}"),
            "displayName": user.name,
            "active": user.active,
            "timeZone": user.time_zone,
        }
        if user.email and (user.email_visible or self.call.user == user):
            shown["emailAddress"] = user.email
        return shown

    def category(self, category: StatusCategory) -> Object:
        return {
            "self": self.call.rest(f"statuscategory/{category.id}"),
            "id": category.id,
            "key": category.key,
            "colorName": category.colour,
            "name": category.name,
        }

    def status(self, status: Status) -> Object:
        return {
            "self": self.call.rest(f"status/{status.id}"),
            "description": "",
            "iconUrl": f"{self.call.base}/images/icons/statuses/generic.png",
            "name": status.name,
            "id": status.id,
            "statusCategory": self.category(status.category),
        }

    def priority(self, priority: Priority) -> Object:
        return {
            "self": self.call.rest(f"priority/{priority.id}"),
            "iconUrl": f"{self.call.base}/images/icons/priorities/{priority.name.lower()}.svg",
            "name": priority.name,
            "id": priority.id,
        }

    def resolution(self, resolution_id: str) -> Object:
        resolution = self.state.site.resolution(resolution_id)
        return {
            "self": self.call.rest(f"resolution/{resolution.id}"),
            "id": resolution.id,
            "description": resolution.description,
            "name": resolution.name,
        }

    def type(self, kind: IssueType) -> Object:
        return {
            "self": self.call.rest(f"issuetype/{kind.id}"),
            "id": kind.id,
            "description": "",
            "iconUrl": f"{self.call.base}/images/icons/issuetypes/{kind.id}.svg",
            "name": kind.name,
            "subtask": kind.subtask,
            "avatarId": 10300 + int(kind.id) % 100,
            "hierarchyLevel": kind.level,
        }

    def project(self, project: Project) -> Object:
        return {
            "self": self.call.rest(f"project/{project.id}"),
            "id": project.id,
            "key": project.key,
            "name": project.name,
            "projectTypeKey": project.kind,
            "simplified": False,
            "avatarUrls": self._avatars(f"universal_avatar/view/type/project/avatar/{project.id}"),
        }

    def named(self, kind: str, ids: Iterable[str], project: Project) -> list[Object]:
        names = {one.id: one.name for one in (*project.components, *project.versions)}
        return [{"self": self.call.rest(f"{kind}/{one}"), "id": one, "name": names[one]} for one in ids]

    def _avatars(self, path: str) -> Object:
        return {f"{size}x{size}": f"{self.call.base}/{path}?size={size}" for size in (16, 24, 32, 48)}

    # comments, history, links

    def comment(self, issue: Issue, comment: Comment, expand: Iterable[str] = ()) -> Object:
        shown: Object = {
            "self": self.call.rest(f"issue/{issue.id}/comment/{comment.id}"),
            "id": str(comment.id),
            "author": self.user(comment.author),
            "body": self.rich(comment.body),
            "updateAuthor": self.user(comment.update_author),
            "created": self.time(comment.created),
            "updated": self.time(comment.updated),
            "jsdPublic": not comment.internal,
        }
        if comment.visibility:
            shown["visibility"] = comment.visibility
        if "renderedBody" in expand:
            shown["renderedBody"] = adf.to_html(comment.body)
        if "properties" in expand:
            shown["properties"] = [{"key": key, "value": value} for key, value in comment.properties.items()]
        return shown

    def item(self, item: Item) -> Object:
        shown: Object = {"field": item.field, "fieldtype": "custom" if item.custom else "jira"}
        if item.field_id:
            shown["fieldId"] = item.field_id
        return shown | {
            "from": item.before,
            "fromString": item.before_text,
            "to": item.after,
            "toString": item.after_text,
        }

    def change(self, change: Change) -> Object:
        return {
            "id": str(change.id),
            "author": self.user(change.author),
            "created": self.time(change.created),
            "items": [self.item(item) for item in change.items],
        }

    def remote_link(self, issue: Issue, link: RemoteLink) -> Object:
        """A remote link; what was left out of the last write shows as an empty object or not at all."""
        target = link.object
        status = target.get("status") or {}
        shown: Object = {"id": link.id, "self": self.call.rest(f"issue/{issue.id}/remotelink/{link.id}")}
        if link.global_id is not None:
            shown["globalId"] = link.global_id
        shown["application"] = link.application or {}
        if link.relationship is not None:
            shown["relationship"] = link.relationship
        given = {name: target[name] for name in ("url", "title", "summary") if target.get(name) is not None}
        settled = {"resolved": status["resolved"]} if status.get("resolved") is not None else {}
        shown["object"] = {
            **given,
            "icon": target.get("icon") or {},
            "status": {**settled, "icon": status.get("icon") or {}},
        }
        return shown

    def link_type(self, type_id: str) -> Object:
        kind = next(one for one in self.state.site.link_types if one.id == type_id)
        return {
            "id": kind.id,
            "name": kind.name,
            "inward": kind.inward,
            "outward": kind.outward,
            "self": self.call.rest(f"issueLinkType/{kind.id}"),
        }
