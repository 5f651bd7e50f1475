"""What a person does to issues, over the API or in the web pages: the site's rules on create, edit, move and delete.

Every write that changes something is one effect in the journal, and one that changes nothing is a `noop`. It answers no
request and shows nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cxbridge.sandbox.jira import adf, catalogue, values
from cxbridge.sandbox.jira.annotator import Annotator, read_properties
from cxbridge.sandbox.jira.catalogue import Field
from cxbridge.sandbox.jira.records import Issue, Item
from cxbridge.sandbox.jira.site import Project
from cxbridge.sandbox.jira.values import BadInputError, FieldError, Setting
from cxbridge.sandbox.jira.wire import refused

Json = Any


def not_on_screen(field_id: str) -> str:
    return f"Field '{field_id}' cannot be set. It is not on the appropriate screen, or unknown."  # unverified wording


@dataclass(frozen=True, slots=True)
class Writer(Annotator):
    """One person's hand, for everything that can be done to an issue but its transitions and links."""

    def create(self, body: Mapping[str, Json]) -> Issue:
        """Make an issue from a create body.

        Raises:
            RefusedError: any field, property or transition of it is not acceptable; nothing was made.
        """
        fields, update = _object(body, "fields"), _object(body, "update")
        project = self._project(fields.get("project"))
        setting = self._setting(project)
        properties = read_properties(body.get("properties"))
        kept, errors = self._read(fields, update, {}, setting, "c")
        comments = update.get("comment")
        if "issuetype" not in fields:
            errors["issuetype"] = "Specify an issue type"
        if "summary" not in fields and "summary" not in update:
            errors.setdefault("summary", "You must specify a summary of the issue.")
        for field_id in self.state.options.required_fields.get(project.key, []):
            if kept.get(field_id) in (None, ()):
                errors.setdefault(field_id, f"{catalogue.FIELDS[field_id].name} is required.")
        if not errors:
            errors |= self._misplaced(kept)
        if errors:
            raise refused(400, errors=errors)
        texts = self.comment_bodies(comments)
        now = self.state.now()
        self.state.counters.issue += 1
        issue = Issue(
            id=self.state.counters.issue,
            project=project.key,
            number=self.state.counters.next_number(project.key),
            status=self.state.site.step("To Do").id,
            creator=self.user.account_id,
            created=now,
            updated=now,
            category_changed=now,
            values={"priority": "3", "reporter": self.user.account_id, **kept},
            properties=properties,
        )
        self.state.store(issue)
        self.state.effect(
            "issue.created",
            issue,
            self.user,
            self.via,
            project=issue.project,
            summary=issue.summary,
            labels=list(issue.labels),
            properties=dict(properties),
        )
        for text in texts:
            issue, _ = self.add_comment(issue, text, internal=False)
        return issue

    def edit(self, issue: Issue, body: Mapping[str, Json]) -> Issue:
        """Change an issue as an edit body says; a `transition` in it is ignored, as the vendor does.

        Raises:
            RefusedError: any part is not acceptable; nothing was changed.
        """
        if not any(name in body for name in ("fields", "update", "properties")):
            raise refused(400, "one of 'fields' or 'update' required")
        fields, update = _object(body, "fields"), _object(body, "update")
        setting = self._setting(self.state.project_of(issue))
        properties = read_properties(body.get("properties"))
        kept, errors = self._read(fields, update, issue.values, setting, "e")
        texts = [] if errors else self.comment_bodies(update.get("comment"))
        if errors:
            raise refused(400, errors=errors)
        changed = {name: value for name, value in kept.items() if value != _current(issue, name)}
        if changed:
            items = [
                item
                for name, value in changed.items()
                for item in values.history(
                    catalogue.FIELDS[name], _current(issue, name), value, self.state.site, self.state.find
                )
            ]
            issue = self.record(replace(issue, values={**issue.values, **changed}), items)
            detail = {name: _plain(value) for name, value in changed.items()}
            self.state.effect("issue.updated", issue, self.user, self.via, fields=sorted(changed), values=detail)
        for text in texts:
            issue, _ = self.add_comment(issue, text, internal=False)
        for key, value in properties.items():
            issue = self.set_property(issue, key, value)[0]
        if not (changed or texts or properties):
            self.noop("issue.updated", issue)
        return issue

    def delete(self, issue: Issue, with_children: bool = False) -> None:
        """Delete an issue.

        Raises:
            RefusedError: it has sub-tasks, and they were not to go with it.
        """
        subtasks = [child for child in self.state.children(issue) if self.state.site.type(child.type_id).subtask]
        if subtasks and not with_children:
            raise refused(
                400,
                f"The issue '{issue.key}' has subtasks.  You must specify the 'deleteSubtasks' parameter to delete "
                "this issue and all its subtasks.",
            )
        for child in subtasks:
            self.delete(child)
        self.state.drop(issue)
        self.state.effect("issue.deleted", issue, self.user, self.via)

    def move(self, issue: Issue, project: Project) -> Issue:
        """Put an issue into another project: its key changes, its id and its history stay."""
        if project.key == issue.project:
            self.noop("issue.moved", issue)
            return issue
        number = self.state.counters.next_number(project.key)
        moved = replace(issue, project=project.key, number=number)
        items = [
            Item("project", "project", self.state.project_of(issue).id, issue.project, project.id, project.key),
            Item("Key", "", None, issue.key, None, moved.key),
        ]
        kept = {**issue.values, "components": (), "fixVersions": (), "versions": ()}
        if issue.type_id not in project.type_ids:
            fallback = next(kind for kind in project.type_ids if self.state.site.type(kind).level == 0)
            items.append(
                Item(
                    "issuetype",
                    "issuetype",
                    issue.type_id,
                    self.state.site.type(issue.type_id).name,
                    fallback,
                    self.state.site.type(fallback).name,
                )
            )
            kept["issuetype"] = fallback
        moved = self.record(replace(moved, values=kept), items)
        self.state.effect("issue.moved", moved, self.user, self.via, before=issue.key)
        return moved

    def _project(self, given: Json) -> Project:
        if given is None:
            raise refused(400, errors={"project": "Specify a valid project ID or key"})
        found = None
        if isinstance(given, dict):
            found = self.state.site.project(given.get("id", given.get("key")))
        if found is None:
            raise refused(400, errors={"project": "valid project is required"})
        return found

    def _setting(self, project: Project) -> Setting:
        return Setting(self.state.site, project, self.state.find, self.version)

    def _read(
        self,
        fields: Mapping[str, Json],
        update: Mapping[str, Json],
        current: Mapping[str, Json],
        setting: Setting,
        screen: str,
    ) -> tuple[dict[str, Json], dict[str, str]]:
        kept: dict[str, Json] = {}
        errors: dict[str, str] = {}
        desk = setting.project.kind == "service_desk"

        def note(field_id: str, read: Callable[[Field], Json]) -> None:
            field = catalogue.on_screen(field_id, screen, desk)
            if field is None:
                errors[field_id] = not_on_screen(field_id)
                return
            try:
                kept[field_id] = read(field)
            except FieldError as error:
                errors[field_id] = str(error)
            except BadInputError as error:
                raise refused(400, str(error)) from None

        for name, value in fields.items():
            if name != "project" or screen != "c":
                note(name, partial(values.parse, value=value, setting=setting))
        for name, operations in update.items():
            if name in fields:
                errors[name] = f"Field '{name}' cannot appear in both 'fields' and 'update'"  # unverified wording
            elif name != "comment":
                held = current.get(name)
                note(name, partial(values.operate, current=held, operations=operations, setting=setting))
        return kept, errors

    def _misplaced(self, kept: Mapping[str, Json]) -> dict[str, str]:
        """What is wrong between an issue's type and its parent's."""
        kind = self.state.site.type(kept["issuetype"])
        parent = self.state.find(kept["parent"]) if kept.get("parent") is not None else None
        if kind.subtask and parent is None:
            return {"parent": "Issue type is a sub-task but parent issue key or id not specified."}
        if parent is not None and self.state.site.type(parent.type_id).level != kind.level + 1:
            return {"parent": "Given parent issue does not belong to appropriate hierarchy."}  # unverified wording
        return {}


def _current(issue: Issue, name: str) -> Json:
    value = issue.values.get(name)
    return () if value is None and catalogue.FIELDS[name].many else value


def _plain(value: Json) -> Json:
    """A kept value as a person would read it in the journal."""
    if isinstance(value, dict):
        return adf.to_text(value)
    return list(value) if isinstance(value, tuple) else value


def _object(body: Mapping[str, Json], name: str) -> dict[str, Json]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return value
