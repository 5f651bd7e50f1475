"""Gives an issue's fields new values (`issue.set`): reads it, sends only what differs, all in one call.

Jira has no version to quote: the last write wins, field by field
(`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-issueidorkey-put`). Hence
nothing that is already so is sent, and labels are added and removed one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import issues, mapping, moving, screens, wire
from cxbridge.plugins.jira.mapping import Issue
from cxbridge.plugins.jira.rules import Rules, fold
from cxbridge.plugins.jira.screens import Screen


@dataclass
class _Edit:
    """What will be sent; `wrote` is what the changed fields will read as when pulled."""

    fields: dict[str, cx.Json] = field(default_factory=dict)
    update: dict[str, list[dict[str, cx.Json]]] = field(default_factory=dict)
    wrote: dict[str, cx.Json] = field(default_factory=dict)


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Change the fields that are not yet as wanted.

    A status goes through the workflow and a field does not, so one call can change only one of the two.

    Raises:
        Rejected: when a field or value is not on the issue's edit screen, or when both a status and a field must
        change.
    """
    inputs = issues.inputs(call, cx.SetTicket)
    if inputs.note is not None:
        raise cx.Rejected("a note is a comment here: write it with comment.add_once, in a step of its own")
    issue = issues.get(client, rules, call.target, editmeta=True)
    now = issues.mapped(issue, rules)
    edit = _edited(rules, inputs, issue, now)
    differs = bool(edit.fields or edit.update)
    status = issue.wire.fields.status
    if inputs.status_category is not None and not rules.reached(status, inputs.status_category):
        if differs:
            raise cx.Rejected(
                "a status and other fields cannot change in one call: "
                "move the issue with issue.transition, in a step of its own"
            )
        return moving.move(rules, client, issue, cx.Transition(to=inputs.status_category))
    if not differs:
        # Sent before and never answered, it may have been done then. Unless it is told, nobody meets a person who sets it back.
        return issues.receipt(issue, rules, wrote=_wanted(inputs) if call.sent else (), changed=False)
    body: dict[str, cx.Json] = {"fields": edit.fields}
    if edit.update:
        body["update"] = edit.update
    # The answer with the issue in it tells how the change will look when it is pulled.
    reply = client.put(issues.path(rules, issue.id), body, params={"returnIssue": True})
    after = _after(reply, rules)
    if after is None:
        return cx.Receipt("issues", now.source_id, now.source_key, now.url, wrote=edit.wrote)
    return issues.receipt(after, rules, wrote=tuple(edit.wrote))


def _after(reply: cx.Reply, rules: Rules) -> Issue | None:
    """Read the issue in the answer, if there is one to be read: the write is done, whatever the answer looks like."""
    if not reply.body:
        return None
    try:
        issue = mapping.read_issue(reply.body, rules)
        return issue if mapping.ticket(issue, rules).updated_at else None
    except mapping.Unreadable:
        return None


def _wanted(inputs: cx.SetTicket) -> tuple[str, ...]:
    """Name the fields that a write gives a value, those with the platform's own words among them."""
    given = [name for name in ("subject", "priority", "type", "severity") if getattr(inputs, name) is not None]
    native = [f"{name}_native" for name in given if name in ("priority", "type")]
    tags = ["tags"] if inputs.tags_add or inputs.tags_remove else []
    return (*given, *native, *tags, *(["custom"] if inputs.custom else []))


def _edited(rules: Rules, inputs: cx.SetTicket, issue: Issue, now: cx.Ticket) -> _Edit:
    edit = _Edit()
    meta = issue.wire.editmeta
    screen = meta.fields if meta else None
    if inputs.subject is not None and screens.summary(inputs.subject) != now.subject:
        title = screens.summary(inputs.subject)
        _put(edit, screen, now, "summary", title, {"subject": title})
    if inputs.priority is not None:
        _priority(edit, rules, screen, inputs.priority, now)
    if inputs.type is not None and inputs.type != now.type:
        _type(edit, rules, screen, inputs.type, now)
    if inputs.severity is not None and inputs.severity != now.severity:
        _severity(edit, rules, screen, inputs.severity, now)
    _labels(edit, screen, inputs, issue, now)
    _custom(edit, rules, screen, inputs.custom, issue, now)
    return edit


def _put(
    edit: _Edit, screen: Screen, now: cx.Ticket, field_id: str, value: cx.Json, reads: Mapping[str, cx.Json]
) -> None:
    _editable(screen, now, field_id)
    edit.fields[field_id] = value
    edit.wrote.update(reads)


def _editable(screen: Screen, now: cx.Ticket, field_id: str) -> None:
    if not screens.has(screen, field_id):
        raise cx.Rejected(
            f"{field_id} cannot be changed on {now.source_key}: "
            "it is not on the edit screen, or this account may not edit the issue"
        )


def _priority(edit: _Edit, rules: Rules, screen: Screen, wanted: str, now: cx.Ticket) -> None:
    if wanted in (now.priority, now.priority_native) or fold(wanted) == fold(now.priority_native or ""):
        return
    if wanted == "none":
        _put(edit, screen, now, "priority", None, {"priority": "none", "priority_native": None})
        return
    choice = screens.option(screen, "priority", rules.priority_names(wanted))
    if choice is None:
        _editable(screen, now, "priority")
        raise cx.Rejected(f"{now.source_key} offers no priority {wanted}, only {screens.offered(screen, 'priority')}")
    reads = {"priority": rules.priority(choice), "priority_native": choice.name}
    _put(edit, screen, now, "priority", screens.named(choice), reads)


def _type(edit: _Edit, rules: Rules, screen: Screen, wanted: cx.TicketType, now: cx.Ticket) -> None:
    # Unlike for a new issue, no other type will do: it would not be what was asked for.
    names = [name for name in rules.type_names(wanted) if rules.type(wire.IssueType(id=name, name=name)) == wanted]
    choice = screens.option(screen, "issuetype", names)
    if choice is None:
        _editable(screen, now, "issuetype")
        raise cx.Rejected(f"{now.source_key} can become no {wanted}, only {screens.offered(screen, 'issuetype')}")
    _put(edit, screen, now, "issuetype", screens.named(choice), {"type": wanted, "type_native": choice.name})


def _severity(edit: _Edit, rules: Rules, screen: Screen, wanted: str, now: cx.Ticket) -> None:
    if "severity" not in rules.fields:
        raise cx.Rejected(
            'no field is configured for the severity: name it under fields, as severity = "customfield_…"'
        )
    field_id = rules.fields["severity"]
    value = screens.severity(screen, field_id, wanted, rules)
    if value is None:
        _editable(screen, now, field_id)
        raise cx.Rejected(f"{now.source_key} offers no severity {wanted}, only {screens.offered(screen, field_id)}")
    _put(edit, screen, now, field_id, value, {"severity": wanted})


def _labels(edit: _Edit, screen: Screen, inputs: cx.SetTicket, issue: Issue, now: cx.Ticket) -> None:
    held = issue.wire.fields.labels or []
    remove = [label for label in screens.labels(inputs.tags_remove) if label in now.tags]
    add = [label for label in screens.labels(inputs.tags_add) if label not in held]
    if add or remove:
        _editable(screen, now, "labels")
        edit.update["labels"] = [*({"remove": label} for label in remove), *({"add": label} for label in add)]
        edit.wrote["tags"] = [*(tag for tag in now.tags if tag not in remove), *add]


def _custom(
    edit: _Edit, rules: Rules, screen: Screen, wanted: Mapping[str, cx.Json], issue: Issue, now: cx.Ticket
) -> None:
    reads = dict(now.custom)
    for alias, value in wanted.items():
        field_id = rules.field(alias)
        sent = screens.custom(value, screen.get(field_id) if screen else None)
        if field_id in issue.fields and mapping.plain(issue.fields[field_id]) == mapping.plain(sent):
            continue
        reads[alias] = mapping.plain(sent)
        _put(edit, screen, now, field_id, sent, {"custom": reads})
