"""What a person adds to an issue: comments and properties; and how any change is stored and noted. Edits no field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cxbridge.sandbox.jira import adf, values
from cxbridge.sandbox.jira.records import Change, Comment, Issue, Item
from cxbridge.sandbox.jira.site import User
from cxbridge.sandbox.jira.state import JiraState
from cxbridge.sandbox.jira.values import BadInputError, FieldError
from cxbridge.sandbox.jira.wire import refused
from cxbridge.sandbox.journal import Via

Json = Any

PROPERTY_LIMIT: Final = 32_768
INTERNAL: Final = "sd.public.comment"


@dataclass(frozen=True, slots=True)
class Annotator:
    """One person's hand. `version` decides whether rich text comes as a document (3) or as plain text (2)."""

    state: JiraState
    user: User
    via: Via = "api"
    version: int = 3

    # comments

    def comment(
        self, issue: Issue, body: Json, properties: Json = None, visibility: Json = None
    ) -> tuple[Issue, Comment]:
        """Add a comment; it is public unless its properties say otherwise.

        Raises:
            RefusedError: the text or a property is not acceptable, or the issue is full.
        """
        kept = read_properties(properties)
        return self.add_comment(
            issue, self._comment_body(body), _internal(kept), properties=kept, visibility=_visibility(visibility)
        )

    def edit_comment(
        self, issue: Issue, comment: Comment, body: Json, properties: Json = None, visibility: Json = None
    ) -> tuple[Issue, Comment]:
        """Change a comment's text; without properties it stays as public or internal as it was.

        Raises:
            RefusedError: the text or a property is not acceptable.
        """
        kept = {**comment.properties, **read_properties(properties)}
        edited = replace(
            comment,
            body=self._comment_body(body),
            properties=kept,
            internal=_internal(kept),
            visibility=comment.visibility if visibility is None else _visibility(visibility),
        )
        if edited == comment:
            self.noop("comment.updated", issue, comment=str(comment.id))
            return issue, comment
        edited = replace(edited, updated=self.state.now(), update_author=self.user.account_id)
        comments = tuple(edited if one.id == comment.id else one for one in issue.comments)
        issue = self.record(replace(issue, comments=comments))
        self._comment_effect("comment.updated", issue, edited)
        return issue, edited

    def delete_comment(self, issue: Issue, comment: Comment) -> Issue:
        issue = self.record(replace(issue, comments=tuple(one for one in issue.comments if one.id != comment.id)))
        self.state.effect("comment.deleted", issue, self.user, self.via, comment=str(comment.id))
        return issue

    def add_comment(
        self,
        issue: Issue,
        body: Json,
        internal: bool,
        properties: Mapping[str, Json] | None = None,
        visibility: Json = None,
    ) -> tuple[Issue, Comment]:
        if len(issue.comments) >= self.state.options.comment_cap:
            # Unverified wording; the status is the documented one.
            raise refused(413, f"The issue has reached its limit of {self.state.options.comment_cap} comments.")
        self.state.counters.comment += 1
        now = self.state.now()
        comment = Comment(
            id=self.state.counters.comment,
            author=self.user.account_id,
            body=body,
            created=now,
            updated=now,
            update_author=self.user.account_id,
            internal=internal,
            visibility=visibility,
            properties=dict(properties or {}),
        )
        issue = self.record(replace(issue, comments=(*issue.comments, comment)))
        self._comment_effect("comment.added", issue, comment)
        return issue, comment

    def _comment_effect(self, kind: str, issue: Issue, comment: Comment) -> None:
        self.state.effect(
            kind,
            issue,
            self.user,
            self.via,
            comment=str(comment.id),
            text=adf.to_text(comment.body),
            internal=comment.internal,
            properties=dict(comment.properties),
        )

    def comment_bodies(self, operations: Json) -> list[Json]:
        """The texts of `update.comment`, read before anything is changed."""
        if operations is None:
            return []
        if not isinstance(operations, list):
            raise refused(400, errors={"comment": "data was not an array"})
        bodies: list[Json] = []
        for operation in operations:
            added = operation.get("add") if isinstance(operation, dict) else None
            if not isinstance(added, dict):
                raise refused(400, errors={"comment": "Field with id 'comment' supports the operation 'add' only"})
            bodies.append(self._comment_body(added.get("body")))
        return bodies

    def _comment_body(self, body: Json) -> Json:
        # Both wordings are unverified.
        if body in (None, "", {}):
            raise refused(400, errors={"comment": "Comment body can not be empty!"})
        try:
            kept = values.document(body, self.version, "Comment body is not valid!")
        except FieldError as error:
            raise refused(400, errors={"comment": str(error)}) from None
        except BadInputError as error:
            raise refused(400, str(error)) from None
        if not kept or not kept["content"]:
            raise refused(400, errors={"comment": "Comment body can not be empty!"})
        return kept

    # properties

    def set_property(self, issue: Issue, key: str, value: Json) -> tuple[Issue, bool]:
        """Keep a value under a key of the issue, and whether the key is new. Neither `updated` nor the history moves.

        Raises:
            RefusedError: the key or the value is too long.
        """
        check_property(key, value)
        new = key not in issue.properties
        if not new and issue.properties[key] == value:
            self.noop("property.set", issue, property=key)
            return issue, False
        issue = self.state.store(replace(issue, properties={**issue.properties, key: value}))
        self.state.effect("property.set", issue, self.user, self.via, property=key, value=value)
        return issue, new

    def delete_property(self, issue: Issue, key: str) -> Issue:
        issue = self.state.store(
            replace(issue, properties={name: value for name, value in issue.properties.items() if name != key})
        )
        self.state.effect("property.deleted", issue, self.user, self.via, property=key)
        return issue

    # what all of them use

    def record(self, issue: Issue, items: Sequence[Item] = ()) -> Issue:
        """Store a new version with `updated` moved and, where items are given, a line in the history."""
        now = self.state.now()
        history = issue.history
        if items:
            self.state.counters.change += 1
            history = (*history, Change(self.state.counters.change, self.user.account_id, now, tuple(items)))
        return self.state.store(replace(issue, updated=now, history=history))

    def noop(self, of: str, issue: Issue, **detail: Json) -> None:
        """Journal a write that asked for what was so already."""
        self.state.effect("noop", issue, self.user, self.via, of=of, **detail)


def check_property(key: str, value: Json) -> None:
    """Refuse an entity property that the site would not keep.

    Raises:
        RefusedError: the key has more than 255 characters or the value more than 32 768.
    """
    # Unverified wordings.
    if not key or len(key) > 255:
        raise refused(400, "The property key must have between 1 and 255 characters.")
    if len(json.dumps(value)) > PROPERTY_LIMIT:
        raise refused(400, f"The property value cannot be longer than {PROPERTY_LIMIT} characters.")


def read_properties(given: Json) -> dict[str, Json]:
    """The `properties` list of a body as a mapping."""
    kept: dict[str, Json] = {}
    if given is None:
        return kept
    if not isinstance(given, list):
        raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    for entry in given:
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or "value" not in entry:
            raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        check_property(entry["key"], entry["value"])
        kept[entry["key"]] = entry["value"]
    return kept


def _internal(properties: Mapping[str, Json]) -> bool:
    value = properties.get(INTERNAL)
    return isinstance(value, dict) and value.get("internal") is True


def _visibility(given: Json) -> Json:
    # Both wordings are unverified.
    if given is None or given == {}:
        return None
    if not isinstance(given, dict) or given.get("type") not in ("group", "role"):
        raise refused(400, errors={"commentLevel": "Specify a valid 'type' for visibility: group or role"})
    value = given.get("value") or given.get("identifier")
    if not isinstance(value, str):
        raise refused(400, errors={"commentLevel": "Specify a 'value' or an 'identifier' for visibility"})
    return {"type": given["type"], "value": value, "identifier": given.get("identifier", value)}
