"""Makes an issue once (`issue.ensure`): the one that is meant, the one made earlier, or a new one that can be found
again.

Jira has no idempotency key
(`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post`), so a label to
search for and a property as proof are part of the very call that creates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import adf, issues, mapping, screens, wire
from cxbridge.plugins.jira.rules import Rules, fold
from cxbridge.plugins.jira.screens import Screen

_META: Final = "/rest/api/3/issue/createmeta"
_KEPT: Final = timedelta(minutes=1)


@dataclass
class _Draft:
    """What will be sent, what it will read as when pulled, and what a person should know of it."""

    fields: dict[str, cx.Json] = field(default_factory=dict)
    wrote: dict[str, cx.Json] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Offer:
    """What an account may create in a project, and the create screens that were asked for, by the id of the type."""

    at: datetime
    types: list[wire.IssueType]
    screens: dict[int | str | None, Screen] = field(default_factory=dict)


class Offers:
    """What may be created in each project, kept for a minute.

    It seldom changes, and asking for it before every issue would double the requests of a connection.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Offer] = {}

    def of(self, client: cx.Client, project: str) -> tuple[_Offer, bool]:
        """Give what a project offers, and whether it was kept from an earlier call."""
        kept = self._kept.get(project)
        if kept is not None and timedelta() <= client.now - kept.at < _KEPT:
            return kept, True
        made = self._kept[project] = _Offer(client.now, _types(client, project))
        return made, False

    def renewed(self, client: cx.Client, project: str, kept: _Offer) -> _Offer | None:
        """Ask anew for what was kept; gives it where it has changed."""
        made = _Offer(client.now, _types(client, project))
        still = {str(one.id): one for one in made.types}
        made.screens.update(
            {ident: _screen(client, project, still[str(ident)]) for ident in kept.screens if str(ident) in still}
        )
        self._kept[project] = made
        return None if (made.types, made.screens) == (kept.types, kept.screens) else made


def perform(rules: Rules, offers: Offers, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Reuse the issue that is named or marked, else create one.

    Raises:
        Rejected: when the named issue is not to be had, or the project and its create screen do not allow this.
    """
    inputs = issues.inputs(call, cx.EnsureTicket)
    if inputs.match:
        return _named(rules, client, inputs.match)
    if not call.fresh and (earlier := _earlier(rules, client, call.marker, changed=False)):
        return earlier
    project = _project(rules, inputs)
    offer, was_kept = offers.of(client, project)
    try:
        return _created(rules, client, call, inputs, project, offer)
    except cx.Rejected:
        # Nothing was made. Where that rests on what was kept and has changed since, what is offered now decides.
        changed = offers.renewed(client, project, offer) if was_kept else None
        if changed is None:
            raise
    return _created(rules, client, call, inputs, project, changed)


def _created(
    rules: Rules, client: cx.Client, call: cx.Call, inputs: cx.EnsureTicket, project: str, offer: _Offer
) -> cx.Receipt:
    kind, told = _type(rules, offer.types, project, inputs)
    screen = offer.screens.get(kind.id)
    if screen is None:
        screen = offer.screens[kind.id] = _screen(client, project, kind)
    draft = _drafted(rules, inputs, kind, screen, call.marker)
    if told:
        draft.told.insert(0, told)
    body = {
        "fields": {"project": {"key": project}, **draft.fields},
        "properties": [{"key": mapping.LINK_PROPERTY, "value": {"marker": call.marker}}],
    }
    made = client.post("/rest/api/3/issue", body).decode(wire.Created)
    return cx.Receipt(
        stream="issues",
        key=str(made.id),
        source_key=made.key,
        url=rules.url(made.key),
        wrote=draft.wrote,
        made=(f"issues/{made.id}",),
        told="; ".join(draft.told),
    )


def find(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the issue that an earlier, unanswered call made."""
    inputs = issues.inputs(call, cx.EnsureTicket)
    # Nothing is made when an issue is named: asking again is all there is to recover.
    return _named(rules, client, inputs.match) if inputs.match else _earlier(rules, client, call.marker, changed=True)


def _named(rules: Rules, client: cx.Client, name: str) -> cx.Receipt:
    issue = issues.get(client, rules, name)
    project = issue.wire.fields.project
    if project is None or project.key not in rules.projects:
        where = project.key if project and project.key else "an unknown project"
        raise cx.Rejected(f"issue {name} is in {where}, which this connection does not read: add it to projects")
    return issues.receipt(issue, rules, changed=False)


def _earlier(rules: Rules, client: cx.Client, marker: str, *, changed: bool) -> cx.Receipt | None:
    found = issues.marked(client, rules, marker)
    if not found:
        return None
    first, *copies = found
    told = ""
    if copies:
        keys = ", ".join(str(copy.wire.key) for copy in copies)
        told = f"{first.wire.key} is kept of {len(found)} issues made for the same reason; close as duplicates: {keys}"
    wrote = ("subject", "body_text", "type", "type_native", "priority", "priority_native", "severity", "tags", "custom")
    return issues.receipt(first, rules, wrote=wrote, made=True, changed=changed, told=told)


def _project(rules: Rules, inputs: cx.EnsureTicket) -> str:
    if inputs.project is None and len(rules.projects) == 1:
        return rules.projects[0]
    if inputs.project is None:
        raise cx.Rejected(f"the step must name a project, one of {', '.join(rules.projects)}")
    if inputs.project.upper() not in rules.projects:
        raise cx.Rejected(
            f"project {inputs.project[:40]} is not read by this connection, so its issues could not be followed: "
            f"add it to projects, or name one of {', '.join(rules.projects)}"
        )
    return inputs.project.upper()


def _type(
    rules: Rules, offered: list[wire.IssueType], project: str, inputs: cx.EnsureTicket
) -> tuple[wire.IssueType, str]:
    """Choose the issue type: by the configured or stock names of the wanted kind, else what the project has."""
    names = rules.type_names(inputs.type)
    kinds = [one for one in offered if not one.subtask]
    if not kinds:
        raise cx.Rejected(
            f'this account may create nothing in {project}: it needs the "Create issues" permission there'
        )
    for name in names:
        for kind in kinds:
            if name == str(kind.id) or fold(name) == fold(kind.name or ""):
                lost = inputs.type is not None and rules.type(kind) != inputs.type
                return kind, f"{project} has no type for {inputs.type}: used {kind.name}" if lost else ""
    return kinds[0], f"{project} has no type {names[0]}: used {kinds[0].name}"


def _types(client: cx.Client, project: str) -> list[wire.IssueType]:
    offers: list[wire.IssueType] = []
    while True:
        asked = {"startAt": len(offers), "maxResults": 200}
        try:
            page = client.get(f"{_META}/{project}/issuetypes", asked).decode(wire.CreateTypes)
        except cx.NotFound:
            raise cx.NotFound(
                f'project {project} is not visible to this account, or it lacks the "Create issues" permission there'
            ) from None
        offers += page.issue_types
        if not page.issue_types or len(offers) >= (page.total or 0):
            return offers


def _screen(client: cx.Client, project: str, kind: wire.IssueType) -> Screen:
    fields: list[wire.FieldMeta] = []
    while True:
        asked = {"startAt": len(fields), "maxResults": 200}
        page = client.get(f"{_META}/{project}/issuetypes/{kind.id}", asked).decode(wire.CreateFields)
        fields += page.fields
        if not page.fields or len(fields) >= (page.total or 0):
            return {str(one.field_id or one.key): one for one in fields}


def _drafted(rules: Rules, inputs: cx.EnsureTicket, kind: wire.IssueType, screen: Screen, marker: str) -> _Draft:
    if not screens.has(screen, "labels"):
        raise cx.Rejected(
            f"the create screen of {kind.name} lacks the Labels field, by which a new issue is found again "
            "when the answer is lost: add it to the screen"
        )
    title, document = screens.summary(inputs.subject), adf.from_text(inputs.body)
    draft = _Draft({"issuetype": {"id": str(kind.id)}, "summary": title})
    draft.wrote = {"subject": title, "type": rules.type(kind), "type_native": kind.name}
    tags = screens.labels(inputs.labels)
    # The marker comes first, before any label that a person may add or a rule may cut.
    draft.fields["labels"] = [mapping.marker_label(marker), *tags]
    draft.wrote["tags"] = tags
    if document["content"]:
        _put(draft, screen, "description", document, {"body_text": adf.to_text(document)}, "the description")
    if inputs.priority:
        _priority(draft, rules, screen, inputs.priority)
    if inputs.severity:
        _severity(draft, rules, screen, inputs.severity)
    if inputs.custom:
        _custom(draft, rules, screen, inputs.custom)
    if inputs.requester_email or inputs.requester_name:
        draft.told.append(
            "the requester was not set: customers have no account that an issue could name as its reporter"
        )
    return draft


def _put(draft: _Draft, screen: Screen, field_id: str, value: cx.Json, reads: Mapping[str, cx.Json], what: str) -> None:
    """Set a field, or leave it out and say so where the screen lacks it: Jira would refuse the whole issue."""
    if screens.has(screen, field_id):
        draft.fields[field_id] = value
        draft.wrote.update(reads)
    else:
        draft.told.append(f"{what} was left out: the create screen does not have it")


def _priority(draft: _Draft, rules: Rules, screen: Screen, wanted: str) -> None:
    names = rules.priority_names(wanted)
    if not names:
        return  # "none": the project's default applies
    choice = screens.option(screen, "priority", names)
    if screens.has(screen, "priority") and choice is None:
        draft.told.append(
            f"the priority was left out: {wanted} is not offered, only {screens.offered(screen, 'priority')}"
        )
        return
    choice = choice or wire.Named(name=names[0])
    reads = {"priority": rules.priority(choice), "priority_native": choice.name}
    _put(draft, screen, "priority", screens.named(choice), reads, "the priority")


def _severity(draft: _Draft, rules: Rules, screen: Screen, wanted: str) -> None:
    field_id = rules.fields.get("severity")
    if field_id is None:
        draft.told.append("the severity was left out: no field is named for it under fields")
        return
    value = screens.severity(screen, field_id, wanted, rules)
    if value is None:
        draft.told.append(f"the severity was left out: {wanted} is not offered")
        return
    _put(draft, screen, field_id, value, {"severity": wanted}, "the severity")


def _custom(draft: _Draft, rules: Rules, screen: Screen, wanted: Mapping[str, cx.Json]) -> None:
    reads: dict[str, cx.Json] = {}
    for alias, value in wanted.items():
        field_id = rules.field(alias)
        sent = screens.custom(value, screen.get(field_id) if screen else None)
        _put(draft, screen, field_id, sent, {}, alias)
        if field_id in draft.fields and alias in rules.fields:
            reads[alias] = mapping.plain(sent)
    if reads:
        draft.wrote["custom"] = {alias: reads.get(alias) for alias in rules.fields if alias != "severity"}
