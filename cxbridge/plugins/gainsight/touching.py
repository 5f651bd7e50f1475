"""Adds one entry to a company's timeline, once: the vendor refuses an ExternalId that it has, which is a key of our own."""

from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, errors, lookups, mapping, prose, wire
from cxbridge.plugins.gainsight.mapping import COMPANIES, TIMELINE, USERS
from cxbridge.plugins.gainsight.rows import Unreadable, read_row
from cxbridge.plugins.gainsight.rules import Rules

_OBJECT: Final = "activity_timeline"
_SUBJECT: Final = 250


class _Outcomes(msgspec.Struct, frozen=True):
    """What became of each record, by its ExternalId; the name of the second is told by one source only."""

    success: dict[str, Any] = {}
    failures: dict[str, Any] = {}
    failure: dict[str, Any] = {}


def add(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Add the entry, unless one with this marker is there.

    Raises:
        Rejected: nobody is named as its author, or the vendor does not know the company or the type.
        Retryable: the vendor has the entry and does not show it yet.
    """
    inputs = lookups.inputs(call, cx.AddTouchpoint)
    account = lookups.gsid(inputs.account, "the account")
    email = inputs.author_email or rules.author_email
    if not email:
        raise cx.Rejected("a timeline entry needs an author: name author_email in the step or in the connection")
    author = lookups.user(client, email, "author_email")
    happened = lookups.when(inputs.at, "at") if inputs.at is not None else client.now
    subject, notes = " ".join(inputs.subject.split())[:_SUBJECT], prose.to_html(inputs.body)
    if not subject:
        raise cx.Rejected("a timeline entry needs a subject")
    record = {
        "ExternalId": call.marker,
        "ContextName": "Company",
        "GsCompanyId": account,
        "TypeName": inputs.kind,
        # The vendor takes no entry without a text.
        "Notes": notes or prose.to_html(subject),
        "Author": email.strip(),
        "Subject": subject,
        "ActivityDate": dates.written(happened),
    }
    try:
        key = _added(client.post(wire.ACTIVITY, {"records": [record]}), call.marker)
    except errors.Duplicate:
        earlier = _earlier(client, call.marker, changed=False)
        if earlier is None:
            # By its marker it is this very entry, which queries do not show yet.
            raise cx.Retryable("the entry is there already, and is not shown yet", sent=False) from None
        return earlier
    wrote = {
        "subject": subject,
        "body_text": prose.to_text(str(record["Notes"])),
        "kind_native": inputs.kind,
        "account": f"{COMPANIES}/{account}",
        "author": f"{USERS}/{author.key}",
        "happened_at": happened.replace(microsecond=happened.microsecond // 1000 * 1000),
        "marker": call.marker,
    }
    return cx.Receipt(stream=TIMELINE, key=key, wrote=wrote, made=(f"{TIMELINE}/{key}",))


def find(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the entry that an earlier, unanswered call added."""
    del rules
    lookups.inputs(call, cx.AddTouchpoint)
    return _earlier(client, call.marker, changed=True)


def _earlier(client: cx.Client, marker: str, *, changed: bool) -> cx.Receipt | None:
    select = ("Gsid", "ExternalId", "GsCompanyId", "AuthorId", "TypeName", "Subject", "Notes", "ActivityDate")
    for raw in wire.query(client, _OBJECT, select, [("ExternalId", "EQ", [marker])], limit=1):
        try:
            read = mapping.touchpoint(read_row(raw, "Gsid", None), None)
        except Unreadable as error:
            raise cx.WireFormat(f"a timeline entry: {error}", operation=f"POST {wire.QUERY}/{_OBJECT}") from None
        if read.marker == marker:
            names = ("subject", "body_text", "kind_native", "account", "author", "happened_at", "marker")
            wrote = {name: getattr(read, name) for name in names}
            made = (f"{TIMELINE}/{read.source_id}",)
            return cx.Receipt(stream=TIMELINE, key=read.source_id, wrote=wrote, made=made, changed=changed)
    return None


def _added(reply: cx.Reply, marker: str) -> str:
    """Give the id of the entry that was sent under this marker.

    Raises:
        Duplicate: the timeline has it already.
        VendorError: it was refused.
        WireFormat: the answer says nothing of it.
    """
    told = wire.decoded(reply, _Outcomes)
    failed = told.failures.get(marker) or told.failure.get(marker)
    if failed is not None:
        raise errors.coded(_code(failed), reply)
    key = _activity(told.success.get(marker))
    if key is None:
        raise cx.WireFormat("the answer says nothing of the entry that was sent", operation=f"POST {wire.ACTIVITY}")
    return key


def _activity(told: Any) -> str | None:
    for one in told if isinstance(told, list) else [told]:
        found = one.get("activityId") if isinstance(one, dict) else None
        if isinstance(found, str) and found:
            return found
    return None


def _code(told: Any) -> str:
    for one in told if isinstance(told, list) else [told]:
        if isinstance(one, dict):
            return errors.code_in(one.get("errorCode"))
    return errors.code_in(told)
