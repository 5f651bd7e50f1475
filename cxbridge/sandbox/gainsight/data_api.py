"""The data API: queries over every object, companies inserted, updated and deleted; and what objects and fields there are."""

from typing import Any

from cxbridge.sandbox.gainsight.call import Call
from cxbridge.sandbox.gainsight.catalogue import HIGH_VOLUME, options_of
from cxbridge.sandbox.gainsight.errors import (
    FieldProblem,
    bad_id,
    bad_request,
    invalid_field,
    invalid_records,
    no_data,
    no_such_object,
)
from cxbridge.sandbox.gainsight.query import filtered, ordered, selected
from cxbridge.sandbox.gainsight.tenant import Row
from cxbridge.sandbox.gainsight.values import ProblemFound, shown, written

# Whose pages show the rows inside `data.records`, and whose show `data` as the list itself.
_AS_RECORDS = ("activity_timeline", "record_delete_log", HIGH_VOLUME)
_MOST_RECORDS = 50


def query(call: Call) -> Any:
    """`POST /v1/data/objects/query/{Object}`."""
    tenant, name = call.tenant, call.params["object"]
    table = tenant.catalogue.table(name)
    if table is None:
        raise no_such_object(name)
    tenant.forget_old_deletions()
    asked = call.json()
    limit, offset = asked.get("limit", 1000), asked.get("offset", 0)
    if not isinstance(limit, int) or not isinstance(offset, int) or limit < 1 or offset < 0:
        raise bad_request("limit and offset must be numbers")
    rows = filtered(tenant, name, list(tenant.rows(table)), asked.get("where"), named="name", refuse=bad_request)
    rows = ordered(tenant, name, rows, asked.get("orderBy"))[offset : offset + min(limit, tenant.options.most_rows)]
    # An unknown field fails the query whether or not it finds something.
    found = selected(tenant, name, rows, asked.get("select"), lambda value: shown(value, tenant.options.dates))
    if not rows and tenant.options.empty == "error":
        raise no_data()
    shape = tenant.options.shape
    if shape == "mixed":
        shape = "records" if table in _AS_RECORDS else "list"
    return {"records": found} if shape == "records" else found


def insert(call: Call) -> Any:
    """`POST /v1/data/objects/Company`: all records, or none."""
    records = _checked(call, new=True)
    made = [call.tenant.add("company", values, via="api", actor=call.actor)["Gsid"] for values in records]
    return {"count": len(made), "errors": None, "records": [{"Gsid": gsid} for gsid in made]}


def update(call: Call) -> Any:
    """`PUT /v1/data/objects/Company?keys=…`: it updates what is there, and makes nothing."""
    keys = [key for key in call.query.get("keys", "").split(",") if key]
    if not 1 <= len(keys) <= 3:
        raise bad_request("keys must name one to three fields")
    given = call.json().get("records")
    records = _checked(call, new=False)
    tenant = call.tenant
    matched: list[tuple[Row, dict[str, Any]]] = []
    for raw, values in zip(given or [], records, strict=True):
        fields = [tenant.catalogue.field("company", key) for key in keys]
        if None in fields:
            raise invalid_field(keys[fields.index(None)])
        wanted = {field.name: raw.get(key) for field, key in zip(fields, keys, strict=True) if field}
        rows = [row for row in tenant.rows("company") if all(row.get(name) == value for name, value in wanted.items())]
        matched += [(row, {name: value for name, value in values.items() if name not in wanted}) for row in rows]
    for row, values in matched:
        tenant.change("company", row, values, via="api", actor=call.actor)
    return {"count": len(matched), "errors": None, "records": [{"Gsid": row["Gsid"]} for row, _ in matched]}


def delete(call: Call) -> Any:
    """`DELETE /v1/data/objects/Company/{Gsid}`."""
    row = call.tenant.get("company", call.params["gsid"])
    if row is None:
        raise bad_id()
    call.tenant.remove("company", row, via="api", actor=call.actor)
    return {"count": 1}


def describe(call: Call) -> Any:
    """`POST /v1/meta/services/objects/describe`."""
    names = call.json().get("objectNames")
    if not isinstance(names, list) or not names:
        raise bad_request("objectNames must be a list")
    return [_described(call, str(name), call.json().get("populatePickListOptions") is True) for name in names]


def describe_one(call: Call) -> Any:
    """`GET /v1/meta/services/objects/{name}/describe`."""
    return [_described(call, call.params["object"], options=True)]


def list_objects(call: Call) -> Any:
    """`GET /v1/meta/services/objects/list`."""
    return [{"objectName": name, "label": name, "readable": True} for name in call.tenant.catalogue.names()]


def dropdown(call: Call) -> Any:
    """`GET /v1/meta/services/dropdowns/{category}`."""
    try:
        return list(options_of(call.params["category"]))
    except KeyError:
        raise no_data() from None


def list_users(call: Call) -> Any:
    """`POST /v1/users/services/list`: pages are counted from 0."""
    asked = call.json()
    limit, page = int(asked.get("limit", 100)), int(asked.get("page", 0))
    rows = list(call.tenant.rows("gsuser"))[page * limit : (page + 1) * limit]
    return [{name: shown(value, "iso") for name, value in row.items()} for row in rows]


def _described(call: Call, name: str, options: bool) -> dict[str, Any]:
    if call.tenant.catalogue.table(name) is None:
        raise no_such_object(name)
    told = call.tenant.catalogue.described(name)
    if not options:
        for field in told["fields"]:
            field.pop("options", None)
    return told


def _checked(call: Call, *, new: bool) -> list[dict[str, Any]]:
    """The records of a write, every field of every one looked at before anything is done."""
    body = call.json()
    given = body.get("records")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise bad_request("records must be a list of objects")
    if len(given) > _MOST_RECORDS:
        raise bad_request(f"no more than {_MOST_RECORDS} records at once")
    found, problems = [], []
    for record in given:
        values, wrong = _values(call, record, body.get("lookups") or {}, new)
        found.append(values)
        problems.append(wrong)
    if any(problems):
        raise invalid_records(problems)
    return found


def _values(call: Call, record: Row, lookups: Any, new: bool) -> tuple[dict[str, Any], list[FieldProblem]]:
    catalogue = call.tenant.catalogue
    values: dict[str, Any] = {}
    wrong: list[FieldProblem] = []
    searched = {source: name for name, rule in lookups.items() for source in rule.get("fields", {})}
    for spelled, value in record.items():
        if spelled in searched:
            user = call.tenant.by_email("gsuser", str(value))
            if user is None:
                wrong.append(FieldProblem(searched[spelled], value, "GSOBJ_1002", "No matching record for the lookup."))
            else:
                values[searched[spelled]] = user["Gsid"]
            continue
        field = catalogue.field("company", spelled)
        if field is None:
            wrong.append(FieldProblem(spelled, value, "GSOBJ_1002", "Invalid field."))
        elif field.name == "Gsid":
            values["Gsid"] = value
        elif not field.writable:
            wrong.append(FieldProblem(spelled, value, "GSOBJ_1002", "The field is read only."))
        elif field.lookup and call.tenant.get(field.lookup, value) is None and value is not None:
            wrong.append(FieldProblem(spelled, value, "GSOBJ_1002", "Invalid lookup value."))
        else:
            try:
                values[field.name] = written(field, spelled, value)
            except ProblemFound as found:
                wrong.append(found.problem)
    if new and not record.get("Name"):
        wrong.append(FieldProblem("Name", None, "GSOBJ_1002", "A required field is missing."))
    return values, wrong
