"""Makes a call to action once, changes and closes it; the marker lies in a field of its own, for the vendor has no key of ours.

A `referenceId` only tells records of one request apart. An answer that says success may hold records that failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import cockpit, dates, errors, lookups, mapping, prose, wire
from cxbridge.plugins.gainsight.cockpit import TaskShape
from cxbridge.plugins.gainsight.mapping import COMPANIES, TASKS, USERS
from cxbridge.plugins.gainsight.rows import Row, Unreadable
from cxbridge.plugins.gainsight.rules import Rules

_TITLE: Final = 250
_OTHER: Final = ("Other", "Others", "General")
_Vocabulary = Mapping[str, Sequence[wire.Choice]]


@dataclass
class _Draft:
    """What will be sent, what it will read as when pulled, and what a person should know of it."""

    record: dict[str, cx.Json] = field(default_factory=dict)
    wrote: dict[str, cx.Json] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


def ensure(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Reuse the call to action with this marker, else make one.

    Raises:
        Rejected: the tenant has no field for the marker, the account no owner, or a label is not offered.
    """
    inputs = lookups.inputs(call, cx.EnsureTask)
    shape = _marked(client, rules)
    if earlier := _earlier(client, rules, shape, call.marker, changed=False):
        return earlier
    draft = _Draft({"referenceId": call.marker}, {"marker": call.marker})
    _owned(client, inputs, draft)
    _labelled(rules, wire.vocabulary(client), inputs, draft)
    title = _title(inputs.title)
    due = _due(inputs.due_at, client.now + timedelta(days=rules.due_days))
    draft.record |= {"Name": title, "DueDate": due.date().isoformat(), rules.marker_field: call.marker}
    draft.wrote |= {"title": title, "due_at": due}
    _worded(rules, inputs, draft)
    if inputs.custom:
        draft.wrote["custom"] = _custom(rules, inputs.custom, {}, draft)
    gsid = _written(client.post(wire.CTA, {"requests": [{"record": draft.record}]}), call.marker)
    return cx.Receipt(stream=TASKS, key=gsid, wrote=draft.wrote, made=(f"{TASKS}/{gsid}",), told="; ".join(draft.told))


def find(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the call to action that an earlier, unanswered call made."""
    lookups.inputs(call, cx.EnsureTask)
    return _earlier(client, rules, _marked(client, rules), call.marker, changed=True)


def set_fields(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Give the named fields of a call to action new values; what is already so is not sent.

    Raises:
        NotFound: it is gone.
        Rejected: a label is not offered, or the owner is no user.
    """
    inputs = lookups.inputs(call, cx.SetTask)
    row, now = _current(client, rules, call.target)
    draft = _Draft()
    if inputs.title is not None and _title(inputs.title) != now.title:
        draft.record["Name"] = draft.wrote["title"] = _title(inputs.title)
    if inputs.due_at is not None:
        due = _due(inputs.due_at, client.now)
        if now.due_at is None or dates.as_day(now.due_at) != dates.as_day(due):
            draft.record["DueDate"] = due.date().isoformat()
            draft.wrote["due_at"] = due
    if inputs.owner_email is not None and inputs.owner_email.strip().lower() != now.owner_email:
        _give_to(client, inputs.owner_email, draft)
    wants_status = inputs.status is not None and inputs.status not in (now.status, now.status_native)
    wants_priority = inputs.priority is not None and inputs.priority not in (now.priority, now.priority_native)
    if wants_status or wants_priority:
        offers = wire.vocabulary(client)
        if wants_status and inputs.status is not None:
            _status(rules, offers, inputs.status, draft)
        if wants_priority and inputs.priority is not None:
            _priority(rules, offers, inputs.priority, now, draft)
    _noted(inputs.note, row, now, draft)
    if inputs.custom:
        after = _custom(rules, inputs.custom, now.custom, draft)
        if after != now.custom:
            draft.wrote["custom"] = after
    return _changed(client, call, now, draft)


def close(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Close a call to action as done or dropped. One that is closed stays as it was closed; a note is still put down.

    Raises:
        NotFound: it is gone.
        Rejected: the tenant offers no status for that.
    """
    inputs = lookups.inputs(call, cx.CloseTask)
    row, now = _current(client, rules, call.target)
    draft = _Draft()
    if now.status not in ("done", "dropped"):
        _status(rules, wire.vocabulary(client), inputs.outcome, draft)
    elif now.status != inputs.outcome:
        draft.told.append(f"it was closed already, as {now.status_native or now.status}")
    _noted(inputs.note, row, now, draft)
    return _changed(client, call, now, draft)


# -- the parts of a record -------------------------------------------------------------------------------------------------


def _owned(client: cx.Client, inputs: cx.EnsureTask, draft: _Draft) -> None:
    """Say whose it is: the user that is named, else the owner of the account."""
    account = lookups.gsid(inputs.account, "the account")
    draft.record["CompanyId"] = account
    draft.wrote["account"] = f"{COMPANIES}/{account}"
    if inputs.owner_email:
        _give_to(client, inputs.owner_email, draft)
        return
    row = lookups.company(client, account, ("Csm", "Csm__gr.Email"))
    owner = _text(row, "Csm")
    if owner is None:
        raise cx.Rejected(
            "the account has no owner in Gainsight, and a call to action needs one: set its CSM, or name owner_email"
        )
    draft.record["OwnerId"] = owner
    draft.wrote |= {"owner": f"{USERS}/{owner}", "owner_email": (_text(row, "Csm__gr.Email") or "").lower() or None}


def _give_to(client: cx.Client, email: str, draft: _Draft) -> None:
    user = lookups.user(client, email, "owner_email")
    draft.record["OwnerId"] = user.key
    draft.wrote |= {"owner": f"{USERS}/{user.key}", "owner_email": (_text(user, "Email") or email).lower()}


def _labelled(rules: Rules, offers: _Vocabulary, inputs: cx.EnsureTask, draft: _Draft) -> None:
    kind = lookups.chosen(offers.get("CTA_TYPE", ()), rules.kind_names(inputs.kind), "type")
    draft.record["type"] = kind
    draft.wrote |= {"kind": rules.kind(kind), "kind_native": kind}
    wanted = [*([rules.reasons[inputs.reason]] if inputs.reason in rules.reasons else []), inputs.reason]
    reasons = offers.get("CTA_REASON", ())
    # An alert under another reason is better than none; what was meant is said in its text.
    if lookups.choice(reasons, wanted) is None and lookups.choice(reasons, _OTHER) is not None:
        draft.told.append(f"the reason {inputs.reason[:60]} is not offered in this tenant: used another")
        wanted = list(_OTHER)
    draft.record["reason"] = draft.wrote["reason"] = lookups.chosen(reasons, wanted, "reason")
    status = lookups.chosen(offers.get("CTA_STATUS", ()), rules.status_names("open"), "status")
    draft.record["status"] = status
    draft.wrote |= {"status": rules.status(status, closed=False), "status_native": status}
    priority = lookups.chosen(offers.get("CTA_PRIORITY", ()), rules.priority_names(inputs.priority), "priority")
    draft.record["priority"] = priority
    draft.wrote |= {"priority": rules.priority(priority), "priority_native": priority}


def _worded(rules: Rules, inputs: cx.EnsureTask, draft: _Draft) -> None:
    parts = [inputs.body]
    if draft.record["reason"] != inputs.reason and draft.told:
        parts.insert(0, f"Reason: {inputs.reason}")
    evidence = [one for one in (" ".join(given.split()) for given in inputs.evidence) if one]
    if evidence and rules.evidence_field is None:
        parts.append("\n".join(["Evidence:", *evidence]))
    elif evidence and rules.evidence_field is not None:
        draft.record[rules.evidence_field] = "\n".join(evidence)
        draft.wrote["evidence"] = evidence
    text = "\n\n".join(part for part in parts if part.strip())
    draft.record["Comments"] = prose.to_html(text)
    draft.wrote["body_text"] = mapping.plain_text(text)


def _status(rules: Rules, offers: _Vocabulary, wanted: str, draft: _Draft) -> None:
    label = lookups.chosen(offers.get("CTA_STATUS", ()), rules.status_names(wanted), "status")
    closed = rules.status(label, closed=None) in ("done", "dropped") or wanted in ("done", "dropped")
    draft.record["status"] = label
    draft.wrote |= {"status": rules.status(label, closed=closed), "status_native": label}


def _priority(rules: Rules, offers: _Vocabulary, wanted: str, now: cx.Task, draft: _Draft) -> None:
    label = lookups.chosen(offers.get("CTA_PRIORITY", ()), rules.priority_names(wanted), "priority")
    if label == now.priority_native:
        draft.told.append(f"the tenant knows nothing between {label} and {wanted}")
        return
    draft.record["priority"] = label
    draft.wrote |= {"priority": rules.priority(label), "priority_native": label}


def _noted(note: str | None, row: Row, now: cx.Task, draft: _Draft) -> None:
    """Put a note before what is said already; one that is there is not put there again."""
    text = mapping.plain_text(note or "")
    # Whole lines are compared: a short note may be part of a longer word.
    if not text or f"\n{text}\n" in f"\n{now.body_text}\n":
        return
    draft.record["Comments"] = prose.to_html(text) + (_text(row, "Comments") or "")
    draft.wrote["body_text"] = prose.to_text(draft.record["Comments"])


def _custom(
    rules: Rules, wanted: Mapping[str, cx.Json], now: Mapping[str, cx.Json], draft: _Draft
) -> dict[str, cx.Json]:
    """Add fields under aliases; gives all of them as they will be."""
    after = {alias: now.get(alias) for alias in rules.task_fields}
    for alias, value in wanted.items():
        name = lookups.named(rules.task_fields, alias, "task_fields")
        if isinstance(value, dict | list):
            raise cx.Rejected(f"{alias} takes one value, not a list or table")
        if alias in rules.task_fields and now.get(alias) == value:
            continue
        draft.record[name] = value
        if alias in rules.task_fields:
            after[alias] = value
    return after


# -- reading and writing ---------------------------------------------------------------------------------------------------


def _marked(client: cx.Client, rules: Rules) -> TaskShape:
    shape = TaskShape.of(client, rules)
    if not shape.has_marker:
        raise cx.Rejected(
            f"Call to Action has no field {rules.marker_field}, by which one that was made is found again when the answer is "
            "lost: make it in Gainsight as a text field, or name another one as marker_field"
        )
    return shape


def _earlier(client: cx.Client, rules: Rules, shape: TaskShape, marker: str, *, changed: bool) -> cx.Receipt | None:
    rows = cockpit.by_field(client, rules, shape.select, rules.marker_field, marker)
    tasks = sorted(
        (_mapped(row, rules, shape) for row in rows), key=lambda task: (str(task.created_at), task.source_id)
    )
    tasks = [task for task in tasks if task.marker == marker]
    if not tasks:
        return None
    first, *copies = tasks
    told = f"{len(copies)} more were made for the same reason: close them" if copies else ""
    names = (
        "title",
        "account",
        "kind",
        "kind_native",
        "reason",
        "priority",
        "priority_native",
        "body_text",
        "due_at",
        "marker",
    )
    wrote = {name: getattr(first, name) for name in names}
    return cx.Receipt(
        stream=TASKS, key=first.source_id, wrote=wrote, made=(f"{TASKS}/{first.source_id}",), changed=changed, told=told
    )


def _current(client: cx.Client, rules: Rules, target: str | None) -> tuple[Row, cx.Task]:
    key = lookups.gsid(target, "the task")
    shape = TaskShape.of(client, rules)
    rows = cockpit.by_field(client, rules, shape.select, "Gsid", key, most=1)
    if not rows:
        raise cx.NotFound("there is no call to action of this id any more")
    return rows[0], _mapped(rows[0], rules, shape)


def _mapped(row: Row, rules: Rules, shape: TaskShape) -> cx.Task:
    try:
        return mapping.task(row, rules, shape.own)
    except Unreadable as error:
        raise cx.WireFormat(f"a call to action: {error}", operation=f"POST {wire.CTA_LIST}") from None


def _changed(client: cx.Client, call: cx.Call, now: cx.Task, draft: _Draft) -> cx.Receipt:
    if draft.record:
        record = {"Gsid": now.source_id, "referenceId": call.marker, **draft.record}
        _written(client.put(wire.CTA, {"requests": [{"record": record}]}), call.marker)
    return cx.Receipt(
        stream=TASKS,
        key=now.source_id,
        wrote=draft.wrote,
        changed=bool(draft.record),
        told="; ".join(draft.told),
    )


def _written(reply: cx.Reply, reference: str) -> str:
    """Give the id of the record that was sent under this reference.

    Raises:
        VendorError: that record failed.
        WireFormat: the answer says nothing of it.
    """
    told = wire.decoded(reply, wire.Outcomes)
    for one in told.failure:
        if reference in one:
            raise errors.coded(errors.code_in(one[reference]), reply)
    for one in told.success:
        found = one.get(reference)
        if isinstance(found, str) and found:
            return found
    raise cx.WireFormat("the answer says nothing of the record that was sent", operation=f"{reply.method} {reply.path}")


def _title(text: str) -> str:
    title = " ".join(text.split())
    if not title:
        raise cx.Rejected("a call to action needs a title")
    return title if len(title) <= _TITLE else title[: _TITLE - 1].rstrip() + "…"


def _due(value: datetime | str | None, default: datetime) -> datetime:
    """A due day, as its midnight: that is all the cockpit keeps of it when it is written."""
    moment = default if value is None else lookups.when(value, "due_at")
    return datetime.combine(dates.as_day(moment), time(), UTC)


def _text(row: Row, name: str) -> str | None:
    try:
        return row.text(name)
    except Unreadable as error:
        raise cx.WireFormat(f"a row that was asked for: {error}") from None
