"""The cockpit: calls to action listed, made and changed. A list comes in no order, and one bad record does not spoil the others."""

import re
from typing import Any

from cxbridge.sandbox.gainsight.call import Call
from cxbridge.sandbox.gainsight.catalogue import PICKLISTS, chosen, label_of, option_id
from cxbridge.sandbox.gainsight.errors import ApiError, cockpit
from cxbridge.sandbox.gainsight.query import filtered, selected
from cxbridge.sandbox.gainsight.tenant import Row
from cxbridge.sandbox.gainsight.values import ProblemFound, shown, written

_OBJECT = "call_to_action"
# What every row has, asked for or not.
_ALWAYS = (
    "Gsid",
    "CompanyId",
    "CompanyId__gr.Name",
    "OwnerId",
    "OwnerId__gr.Email",
    "OwnerId__gr.Name",
    "DueDate",
    "TypeId",
    "TypeId__gr.Name",
    "ReasonId",
    "ReasonId__gr.Name",
    "StatusId",
    "StatusId__gr.Name",
    "PriorityId",
    "PriorityId__gr.Name",
)
# Labels stand under these names in a write.
_LABELLED = {"type": "CTA_TYPE", "reason": "CTA_REASON", "status": "CTA_STATUS", "priority": "CTA_PRIORITY"}
_KEPT_AS = {"type": "TypeId", "reason": "ReasonId", "status": "StatusId", "priority": "PriorityId"}
_MANDATORY = ("Name", "CompanyId", "OwnerId", "DueDate", "TypeId", "ReasonId", "StatusId", "PriorityId")
_MOST_REQUESTS = 50
_CUSTOM = re.compile(r".+__gc")


def list_ctas(call: Call) -> Any:
    """`POST /v2/cockpit/cta/list`."""
    tenant, asked = call.tenant, call.json()

    def refuse(text: str) -> ApiError:
        return cockpit(tenant.options.cockpit_errors, "COCKPIT_5101", text)

    size, page = asked.get("pageSize", 100), asked.get("pageNumber", 1)
    if not isinstance(size, int) or not isinstance(page, int) or size < 1 or page < 1:
        raise refuse("pageSize and pageNumber must be numbers from 1 on")
    size = min(size, tenant.options.most_ctas)
    try:
        rows = filtered(
            tenant, _OBJECT, list(tenant.rows(_OBJECT)), asked.get("where"), named="fieldName", refuse=refuse
        )
        # No order is documented; this one is the same at every request and follows nothing.
        rows = sorted(rows, key=lambda row: row["Gsid"][::-1])[(page - 1) * size : page * size]
        select = list(dict.fromkeys((*_ALWAYS, *(asked.get("select") or ()))))
        found = selected(tenant, _OBJECT, rows, select, lambda value: shown(value, "iso"))
    except ApiError as error:
        # Here an unknown field is the cockpit's own refusal.
        raise refuse(error.text) from None
    for told, row in zip(found, rows, strict=True):
        told["EntityType"] = "COMPANY"
        if asked.get("linkedObject"):
            told["associatedRecords"] = list(row.get("associatedRecords", ()))
    return found


def deleted_ctas(call: Call) -> Any:
    """`POST /v2/cockpit/cta/deleted/list`."""
    tenant = call.tenant
    tenant.forget_old_deletions()
    gone = [row for row in tenant.rows("record_delete_log") if row["ObjectName"] == _OBJECT]
    return [{name: shown(row[name], "iso") for name in ("RecordId", "ObjectName", "DeletedOn")} for row in gone]


def picklists(call: Call) -> Any:
    """`GET /v2/cockpit/admin/picklist/lite`."""
    wanted = [name for name in call.query.get("category", "").split(",") if name]
    return {
        name: [
            {
                "name": label,
                "gsid": option_id(name, label),
                "active": True,
                "entityType": "COMPANY",
                "picklistCategory": name,
            }
            for label in PICKLISTS.get(name, ())
        ]
        for name in wanted
    }


def create(call: Call) -> Any:
    """`POST /v2/cockpit/cta/`."""

    def make(record: Row, values: Row) -> str:
        missing = [name for name in _MANDATORY if not values.get(name)]
        if missing:
            raise _Failed("COCKPIT_9700", f"Mandatory field {missing[0]} is missing")
        return str(call.tenant.add(_OBJECT, values, via="api", actor=call.actor)["Gsid"])

    return _each(call, make)


def update(call: Call) -> Any:
    """`PUT /v2/cockpit/cta/`."""

    def change(record: Row, values: Row) -> str:
        row = call.tenant.get(_OBJECT, str(record.get("Gsid", "")))
        if row is None:
            raise _Failed("COCKPIT_6007", "The CTA is not found")
        call.tenant.change(_OBJECT, row, values, via="api", actor=call.actor)
        return str(row["Gsid"])

    return _each(call, change)


class _Failed(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.told = f"{code}: {text}"


def _each(call: Call, act: Any) -> Any:
    body = call.json()
    requests = body.get("requests")
    if not isinstance(requests, list) or not 1 <= len(requests) <= _MOST_REQUESTS:
        raise cockpit(call.tenant.options.cockpit_errors, "COCKPIT_5101", "requests must be a list of 1 to 50")
    success: list[dict[str, str]] = []
    failure: list[dict[str, str]] = []
    for request in requests:
        record = request.get("record") if isinstance(request, dict) else None
        if not isinstance(record, dict) or not isinstance(record.get("referenceId"), str):
            raise cockpit(call.tenant.options.cockpit_errors, "COCKPIT_5101", "a record needs a referenceId")
        reference = record["referenceId"]
        try:
            success.append({reference: act(record, _values(call, record, body.get("lookups") or {}))})
        except _Failed as failed:
            failure.append({reference: failed.told})
    return {"success": success, "failure": failure}


def _values(call: Call, record: Row, lookups: Row) -> Row:
    """What a record says, in the form it is kept in."""
    tenant = call.tenant
    values: Row = {}
    searched = {source: (name, rule) for name, rule in lookups.items() for source in rule.get("fields", {})}
    for spelled, value in record.items():
        if spelled in ("referenceId", "Gsid"):
            continue
        if spelled in searched:
            name, rule = searched[spelled]
            user = tenant.by_email("gsuser", str(value))
            if user is None and rule.get("onNoMatch") == "ERROR":
                raise _Failed("COCKPIT_5101", f"No match for the lookup {name}")
            values[name] = user["Gsid"] if user else None
            continue
        if spelled in _LABELLED:
            ident = chosen(_LABELLED[spelled], value)
            if ident is None or label_of(_LABELLED[spelled], ident) != value:
                raise _Failed("COCKPIT_5101", f"Invalid {spelled}")
            values[_KEPT_AS[spelled]] = ident
            continue
        field = tenant.catalogue.field(_OBJECT, spelled)
        if field is None or not field.writable or field.picklist:
            raise _Failed("COCKPIT_5101", f"Invalid field {spelled if _CUSTOM.fullmatch(spelled) else 'of the record'}")
        if field.lookup and tenant.get(field.lookup, value) is None:
            raise _Failed("COCKPIT_5101", f"Invalid {field.name}")
        try:
            values[field.name] = written(field, spelled, value)
        except ProblemFound as found:
            raise _Failed(found.problem.code, f"Invalid value of {field.name}") from None
    return values
