"""Gives a company's fields new values, and a score where an administrator has made a field for one; sends only what differs.

`PUT ?keys=` changes what is there and makes nothing. One bad value refuses the whole call, so that each call holds one company.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, lookups, mapping, schema, wire
from cxbridge.plugins.gainsight.mapping import COMPANIES, CompanyShape
from cxbridge.plugins.gainsight.rows import Row, Unreadable
from cxbridge.plugins.gainsight.rules import COMPANY_FIELDS, Rules
from cxbridge.plugins.gainsight.schema import Described, describe

_NO_API: Final = (
    "Gainsight has no API that sets a scorecard: make a number field on Company, name it as health_field, and let a Set Score rule "
    "of your own copy it from there"
)


class _Updated(msgspec.Struct, frozen=True):
    count: int | None = None
    errors: Any = None


@dataclass
class _Edit:
    record: dict[str, cx.Json] = field(default_factory=dict)
    wrote: dict[str, cx.Json] = field(default_factory=dict)


def set_fields(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Change the fields of a company that are not yet as wanted.

    Raises:
        NotFound: it is gone.
        Rejected: a field is not there or read-only, or takes no such value.
    """
    inputs = lookups.inputs(call, cx.SetAccount)
    key = lookups.gsid(call.target or inputs.account, "the account")
    [described] = describe(client, "company")
    shape = CompanyShape.of(rules, described)
    own = {alias: _own(rules, described, alias) for alias in inputs.custom}
    row = lookups.company(client, key, [*shape.select(), *(one.field_name for one in own.values())])
    now = _read(row, shape, rules)
    edit = _Edit()
    if inputs.tier is not None and inputs.tier != now.tier:
        label = _put(edit, shape, "tier", inputs.tier)
        edit.wrote["tier"] = label
    if inputs.renewal_at is not None:
        renewal = lookups.when(inputs.renewal_at, "renewal_at")
        if now.renewal_at is None or dates.as_day(now.renewal_at) != dates.as_day(renewal):
            _put(edit, shape, "renewal_at", renewal)
            edit.wrote["renewal_at"] = dates.day(dates.as_day(renewal).isoformat())
    if inputs.lifecycle is not None and inputs.lifecycle not in (now.lifecycle, now.lifecycle_native):
        label = _stage(rules, edit, shape, inputs.lifecycle)
        edit.wrote |= {"lifecycle": rules.lifecycle(label), "lifecycle_native": label}
    _custom(edit, inputs.custom, own, row, now)
    return _sent(client, key, edit, "")


def set_health(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Write a score into the field that an administrator made for it.

    Raises:
        Rejected: there is no such field, for a scorecard itself can be set by nobody from outside.
    """
    inputs = lookups.inputs(call, cx.SetHealth)
    if rules.health_field is None:
        raise cx.Rejected(_NO_API)
    if inputs.scheme != "overall":
        raise cx.Rejected(f"only an overall score can be written, into {rules.health_field}: {_NO_API}")
    if not 0 <= inputs.value <= 100:
        raise cx.Rejected("a score runs from 0 to 100")
    key = lookups.gsid(inputs.account, "the account")
    [described] = describe(client, "company")
    shape = CompanyShape.of(rules, described)
    found = _writable(described.need(rules.health_field, "health_field"), "health_field")
    row = lookups.company(client, key, shape.select())
    now = _read(row, shape, rules)
    edit = _Edit()
    alias = next(alias for alias, name in rules.custom().items() if name == rules.health_field)
    if now.custom.get(alias) != inputs.value:
        edit.record[found.field_name] = inputs.value
        edit.wrote["custom"] = {**now.custom, alias: inputs.value}
    told = "the score itself follows when the tenant's rule has run"
    return _sent(client, key, edit, f"{told}; the comment was left out" if inputs.comment else told)


def _own(rules: Rules, described: Described, alias: str) -> wire.Field:
    known = {**rules.fields, **rules.custom()}
    if alias in COMPANY_FIELDS and alias not in known:
        found = described.find(*COMPANY_FIELDS[alias])
        if found is not None:
            return found
    return described.need(lookups.named(known, alias, "fields"), f"fields.{alias}")


def _put(edit: _Edit, shape: CompanyShape, canonical: str, value: cx.Json) -> cx.Json:
    found = shape.fields.get(canonical)
    if found is None:
        raise cx.Rejected(f'no field holds the {canonical}: name it under fields, as {canonical} = "…__gc"')
    sent = lookups.sendable(_writable(found, canonical), canonical, value)
    edit.record[found.field_name] = sent
    return sent


def _stage(rules: Rules, edit: _Edit, shape: CompanyShape, wanted: str) -> str:
    found = shape.fields.get("lifecycle")
    if found is None:
        raise cx.Rejected('no field holds the lifecycle: name it under fields, as lifecycle = "Stage"')
    label = schema.offered(found, rules.stage_names(wanted))
    if label is None:
        raise cx.Rejected(f"the stage {wanted[:60]} is not offered in this tenant, only {schema.options(found)}")
    edit.record[_writable(found, "lifecycle").field_name] = label
    return label


def _custom(
    edit: _Edit, wanted: Mapping[str, cx.Json], own: Mapping[str, wire.Field], row: Row, now: cx.Account
) -> None:
    after = dict(now.custom)
    for alias, value in wanted.items():
        found = _writable(own[alias], alias)
        sent = lookups.sendable(found, alias, value)
        held = _held(row, found)
        shown = sent if found.data_type != "DATETIME" else held if _same_time(held, sent) else sent
        if held == shown:
            continue
        edit.record[found.field_name] = sent
        if alias in after:
            after[alias] = sent if found.data_type != "DATETIME" else lookups.when(str(sent), alias).isoformat()
    if after != now.custom:
        edit.wrote["custom"] = after


def _same_time(held: cx.Json, sent: cx.Json) -> bool:
    return isinstance(held, str) and isinstance(sent, str) and dates.moment(held) == dates.moment(sent)


def _held(row: Row, found: wire.Field) -> cx.Json:
    try:
        return mapping.custom(row, found)
    except Unreadable as error:
        raise cx.WireFormat(f"a company: {error}", operation=f"POST {wire.QUERY}/Company") from None


def _writable(found: wire.Field, what: str) -> wire.Field:
    if not found.meta.updateable:
        raise cx.Rejected(f"{found.field_name}, which holds {what}, cannot be written: Gainsight fills it itself")
    return found


def _read(row: Row, shape: CompanyShape, rules: Rules) -> cx.Account:
    try:
        return mapping.company(row, shape, rules)
    except Unreadable as error:
        raise cx.WireFormat(f"a company: {error}", operation=f"POST {wire.QUERY}/Company") from None


def _sent(client: cx.Client, key: str, edit: _Edit, told: str) -> cx.Receipt:
    if edit.record:
        body = {"records": [{"Gsid": key, **edit.record}]}
        reply = client.put(wire.COMPANY, body, params={"keys": "Gsid"})
        after = wire.decoded(reply, _Updated)
        if after.count == 0:
            raise cx.NotFound("there is no company of this id any more", operation=f"PUT {wire.COMPANY}")
        if after.errors:
            raise cx.Rejected("the company was not changed", operation=f"PUT {wire.COMPANY}")
    return cx.Receipt(
        stream=COMPANIES, key=key, wrote=edit.wrote, changed=bool(edit.record), told=told if edit.record else ""
    )
