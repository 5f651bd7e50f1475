"""How the site shows whole issues to one caller: their fields, screens and neighbours. Changes nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cxbridge.sandbox.jira import adf, catalogue
from cxbridge.sandbox.jira.catalogue import Field
from cxbridge.sandbox.jira.parts import Object, Parts
from cxbridge.sandbox.jira.records import Issue, Link
from cxbridge.sandbox.jira.site import Project, Transition
from cxbridge.sandbox.jira.state import MISSING

Json = Any

COMMENTS_IN_SEARCH: Final = 20  # unverified figure, from reports
CHANGES_IN_EXPAND: Final = 40  # JRACLOUD-96459


@dataclass(frozen=True, slots=True)
class Renderer(Parts):
    """The records as one caller sees them."""

    def link(self, issue: Issue, link: Link) -> Object | None:
        """A link as one of its ends shows it; nothing if the other end is hidden."""
        side, other_id = ("outwardIssue", link.target) if link.source == issue.id else ("inwardIssue", link.source)
        other = self.state.seen(other_id)
        if other is None:
            return None
        return {
            "id": str(link.id),
            "self": self.call.rest(f"issueLink/{link.id}"),
            "type": self.link_type(link.type_id),
            side: self.thin(other),
        }

    def thin(self, issue: Issue) -> Object:
        """An issue as its neighbours show it."""
        names = ("summary", "status", "priority", "issuetype")
        return {
            "id": str(issue.id),
            "key": issue.key,
            "self": self.call.rest(f"issue/{issue.id}"),
            "fields": {name: self.field(catalogue.FIELDS[name], issue) for name in names},
        }

    def transition(self, transition: Transition, issue: Issue, with_fields: bool) -> Object:
        shown: Object = {
            "id": transition.id,
            "name": transition.name,
            "to": self.status(self.state.site.step(transition.target)),
            "hasScreen": transition.has_screen,
            "isGlobal": False,
            "isInitial": False,
            "isAvailable": True,
            "isConditional": False,
            "isLooped": False,
        }
        if with_fields:
            screen = [catalogue.FIELDS["resolution"]] if transition.has_screen else []
            shown["fields"] = {field.id: self.meta(field, self.state.project_of(issue)) for field in screen}
        return shown

    # fields

    def field(self, field: Field, issue: Issue, *, full: bool = True) -> Json:
        """The value of one field; `full` False shortens the comments, as search does."""
        reader = _READERS.get(field.id)
        if reader is not None:
            return reader(self, issue)
        if field.id == "comment":
            return self._comments(issue, full)
        return self._kept(field, issue)

    def _kept(self, field: Field, issue: Issue) -> Json:
        value = issue.values.get(field.id)
        if field.kind in ("components", "versions"):
            kind = "component" if field.kind == "components" else "version"
            return self.named(kind, value or (), self.state.project_of(issue))
        if field.kind == "labels":
            return list(value or ())
        if field.kind == "organizations":
            if self.state.project_of(issue).kind != "service_desk":
                return None
            known = {organization.id: organization.name for organization in self.state.site.organizations}
            return [{"id": one, "name": known[one], "_links": {}} for one in value or ()]
        if value is None:
            return None
        return _SHOWN.get(field.kind, _as_it_is)(self, field, value)

    def _comments(self, issue: Issue, full: bool) -> Object:
        shown = issue.comments if full else issue.comments[:COMMENTS_IN_SEARCH]
        return {
            "comments": [self.comment(issue, comment) for comment in shown],
            "self": self.call.rest(f"issue/{issue.id}/comment"),
            "maxResults": len(shown),
            "total": len(issue.comments),
            "startAt": 0,
        }

    def meta(self, field: Field, project: Project, create: bool = False) -> Object:
        """A field as the create and edit screens describe it."""
        site = self.state.site
        required = field.id in ("summary", "issuetype", "project") or (
            create and field.id in self.state.options.required_fields.get(project.key, [])
        )
        shown: Object = {
            "required": required,
            "schema": field.schema(),
            "name": field.name,
            "key": field.id,
            "hasDefaultValue": field.id in ("priority", "reporter"),
            "operations": field.operations,
        }
        allowed: Mapping[str, Callable[[], Sequence[Object]]] = {
            "type": lambda: [self.type(site.type(kind)) for kind in project.type_ids],
            "priority": lambda: [self.priority(priority) for priority in site.priorities],
            "resolution": lambda: [self.resolution(resolution.id) for resolution in site.resolutions],
            "project": lambda: [self.project(project)],
            "components": lambda: self.named("component", [one.id for one in project.components], project),
            "versions": lambda: self.named("version", [one.id for one in project.versions], project),
            "option": lambda: [self.option(option) for option in field.options],
        }
        if field.kind in allowed:
            shown["allowedValues"] = list(allowed[field.kind]())
        return shown

    def option(self, option: tuple[str, str]) -> Object:
        return {"self": self.call.rest(f"customFieldOption/{option[0]}"), "value": option[1], "id": option[0]}

    # whole issues

    def issue(
        self,
        issue: Issue,
        fields: Sequence[str],
        *,
        default: str,
        expand: Iterable[str] = (),
        properties: Sequence[str] = (),
        search: bool = False,
    ) -> Object:
        """One issue. `default` is what a caller who names no field gets; asking for the id alone gives the id alone."""
        names = list(fields) or [default]
        if search and names == ["id"] and not properties:
            return {"id": str(issue.id)}
        shown: Object = {
            "expand": "" if search else "renderedFields,names,schema,operations,editmeta,changelog",
            "id": str(issue.id),
            "self": self.call.rest(f"issue/{issue.id}"),
            "key": issue.key,
        }
        wanted = catalogue.wanted(names, default)
        if set(names) - {"id", "key"}:
            values = {field.id: self.field(field, issue, full=not search) for field in wanted}
            drift = self.state.drift(issue.id)
            values |= {name: value for name, value in drift.items() if name in values}
            shown["fields"] = {name: value for name, value in values.items() if value is not MISSING}
        if properties:
            keys = issue.properties if "*all" in properties else [key for key in properties if key in issue.properties]
            shown["properties"] = {key: issue.properties[key] for key in keys}
        for name in expand:
            if name in _EXPANDED:
                shown[name] = _EXPANDED[name](self, issue, wanted)
        if not search:
            shown |= named_parts(wanted, expand)
        return shown


def named_parts(fields: Sequence[Field], expand: Iterable[str]) -> Object:
    """The `names` and `schema` parts of an answer, where asked for."""
    parts: Object = {}
    if "names" in expand:
        parts["names"] = {field.id: field.name for field in fields}
    if "schema" in expand:
        parts["schema"] = {field.id: field.schema() for field in fields}
    return parts


def _as_it_is(renderer: Renderer, field: Field, value: Json) -> Json:
    return value


_SHOWN: Final[Mapping[str, Callable[[Renderer, Field, Json], Json]]] = {
    "document": lambda renderer, field, value: renderer.rich(value),
    "type": lambda renderer, field, value: renderer.type(renderer.state.site.type(value)),
    "priority": lambda renderer, field, value: renderer.priority(renderer.state.site.priority(value)),
    "user": lambda renderer, field, value: renderer.user(value),
    "option": lambda renderer, field, value: renderer.option((value, dict(field.options)[value])),
    "parent": lambda renderer, field, value: (
        renderer.thin(parent) if (parent := renderer.state.seen(value)) is not None else None
    ),
}

_READERS: Final[Mapping[str, Callable[[Renderer, Issue], Json]]] = {
    "project": lambda renderer, issue: renderer.project(renderer.state.project_of(issue)),
    "status": lambda renderer, issue: renderer.status(renderer.state.site.status(issue.status)),
    "resolution": lambda renderer, issue: renderer.resolution(issue.resolution) if issue.resolution else None,
    "resolutiondate": lambda renderer, issue: renderer.time(issue.resolved),
    "statuscategorychangedate": lambda renderer, issue: renderer.time(issue.category_changed),
    "created": lambda renderer, issue: renderer.time(issue.created),
    "updated": lambda renderer, issue: renderer.time(issue.updated),
    "creator": lambda renderer, issue: renderer.user(issue.creator),
    "attachment": lambda renderer, issue: [],
    "security": lambda renderer, issue: None,
    "votes": lambda renderer, issue: {
        "self": renderer.call.rest(f"issue/{issue.key}/votes"),
        "votes": 0,
        "hasVoted": False,
    },
    "watches": lambda renderer, issue: {
        "self": renderer.call.rest(f"issue/{issue.key}/watchers"),
        "watchCount": 1,
        "isWatching": renderer.call.user is not None and renderer.call.user.account_id == issue.creator,
    },
    "issuelinks": lambda renderer, issue: [
        shown for link in renderer.state.links_of(issue) if (shown := renderer.link(issue, link)) is not None
    ],
    "subtasks": lambda renderer, issue: [
        renderer.thin(child)
        for child in renderer.state.children(issue)
        if renderer.state.site.type(child.type_id).subtask and not renderer.state.hidden(child.id)
    ],
    "customfield_10010": lambda renderer, issue: None,
}


def _changelog(renderer: Renderer, issue: Issue, fields: Sequence[Field]) -> Object:
    """The newest changes only, newest first: longer histories have to be read from their own path."""
    newest = [renderer.change(change) for change in reversed(issue.history)][:CHANGES_IN_EXPAND]
    return {"startAt": 0, "maxResults": len(newest), "total": len(issue.history), "histories": newest}


def _rendered(renderer: Renderer, issue: Issue, fields: Sequence[Field]) -> Object:
    return {
        field.id: adf.to_html(value)
        if field.kind == "document" and (value := issue.values.get(field.id)) is not None
        else None
        for field in fields
    }


_EXPANDED: Final[Mapping[str, Callable[[Renderer, Issue, Sequence[Field]], Json]]] = {
    "changelog": _changelog,
    "renderedFields": _rendered,
    "transitions": lambda renderer, issue, fields: [
        renderer.transition(one, issue, with_fields=False) for one in renderer.state.site.transitions(issue.status)
    ],
    "operations": lambda renderer, issue, fields: {"linkGroups": []},
    "editmeta": lambda renderer, issue, fields: edit_meta(renderer, issue),
    "versionedRepresentations": lambda renderer, issue, fields: {
        field.id: {"1": renderer.field(field, issue)} for field in fields
    },
}


def edit_meta(renderer: Renderer, issue: Issue) -> Object:
    """The edit screen of an issue."""
    project = renderer.state.project_of(issue)
    desk = project.kind == "service_desk"
    return {
        "fields": {
            field.id: renderer.meta(field, project)
            for field in catalogue.FIELDS.values()
            if catalogue.on_screen(field.id, "e", desk) is not None
        }
    }
