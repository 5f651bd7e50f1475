"""Persons are made or changed by e-mail address, with their links to companies; timeline entries are made once per ExternalId."""

from typing import Any

from cxbridge.sandbox.gainsight.call import Call
from cxbridge.sandbox.gainsight.errors import person
from cxbridge.sandbox.gainsight.tenant import Row
from cxbridge.sandbox.gainsight.values import ProblemFound, written

_LINK_FIELDS = ("Title", "Role", "Active", "IsPrimaryCompany")
_TYPES = ("Update", "Call", "Email", "Meeting", "Milestone", "In-Person Meeting")


def upsert_person(call: Call) -> Any:
    """`PUT /v1/peoplemgmt/v1.0/people`: one person, found by address."""
    tenant, body = call.tenant, call.json()
    if not body.get("Email"):
        raise person("GSOBJ_PEOPLE1001", "Email is mandatory")
    values: Row = {}
    for spelled, value in body.items():
        if spelled == "companies":
            continue
        field = tenant.catalogue.field("person", spelled)
        if field is None or not field.writable:
            raise person("GSOBJ_1002", f"Invalid field {spelled}")
        try:
            values[field.name] = written(field, spelled, value)
        except ProblemFound as found:
            raise person(found.problem.code, f"Invalid value of {field.name}") from None
    links = _links(call, body.get("companies") or [])
    held = tenant.by_email("person", values["Email"])
    if held is None:
        made = tenant.add("person", {"EmailOptOut": False, **values}, via="api", actor=call.actor)
        for company, told in links.items():
            _link(call, made["Gsid"], company, told)
        return {"Gsid": made["Gsid"], "Email": made["Email"]}
    differs = any(held.get(name) != value for name, value in values.items() if name != "Email")
    linked = [company for company, told in links.items() if _link(call, held["Gsid"], company, told)]
    if linked:
        tenant.touch_person(held["Gsid"], via="api", actor=call.actor, companies=linked)
    if differs or not linked:
        # The address stays as it is spelled here already.
        changes = {name: value for name, value in values.items() if name != "Email"}
        tenant.change("person", held, changes, via="api", actor=call.actor)
    return {"Gsid": held["Gsid"], "Email": held["Email"]}


def add_activity(call: Call) -> Any:
    """`POST /v1/ant/es/activity`: each record by itself; an ExternalId that is there already is refused."""
    records = call.json().get("records")
    if not isinstance(records, list) or not records:
        raise person("GS_TL_10_0206", "records must be a list")
    success: dict[str, Any] = {}
    failures: dict[str, Any] = {}
    for number, record in enumerate(records):
        external = str(record.get("ExternalId") or number)
        try:
            gsid = _activity(call, record)
            success[external] = [{"activityId": gsid}]
        except _Refused as refused:
            failures[external] = [{"errorCode": refused.code, "message": refused.text}]
    return {"success": success, "failures": failures}


class _Refused(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


def _activity(call: Call, record: Row) -> str:
    tenant = call.tenant
    for name in ("ExternalId", "ContextName", "TypeName", "Subject", "Notes", "ActivityDate"):
        if not record.get(name):
            raise _Refused("GS_TL_10_0206", f"{name} is missing")
    author = tenant.by_email("gsuser", str(record.get("Author") or "")) or tenant.get("gsuser", record.get("AuthorId"))
    if author is None:
        raise _Refused("GS_TL_10_0206", "Author is missing or no user")
    if record["ContextName"] != "Company" or tenant.get("company", record.get("GsCompanyId")) is None:
        raise _Refused("GS_TL_10_0213", "The context is not found")
    if record["TypeName"] not in _TYPES:
        raise _Refused("GS_TL_10_0213", "The activity type is not found")
    if any(row.get("ExternalId") == record["ExternalId"] for row in tenant.rows("activity_timeline")):
        raise _Refused("GS_TL_10_0207", "An activity with this ExternalId exists")
    field = tenant.catalogue.field("activity_timeline", "ActivityDate")
    assert field is not None  # noqa: S101  # of our own catalogue
    try:
        happened = written(field, "ActivityDate", record["ActivityDate"])
    except ProblemFound as found:
        raise _Refused(found.problem.code, "Invalid ActivityDate") from None
    kept = {name: record[name] for name in ("ExternalId", "ContextName", "GsCompanyId", "TypeName", "Subject", "Notes")}
    values = {**kept, "ContextId": record["GsCompanyId"], "AuthorId": author["Gsid"], "ActivityDate": happened}
    return str(tenant.add("activity_timeline", values, via="api", actor=call.actor)["Gsid"])


def _links(call: Call, given: Any) -> dict[str, Row]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise person("GSOBJ_1002", "companies must be a list")
    links: dict[str, Row] = {}
    for one in given:
        company = str(one.get("Company_ID", ""))
        if call.tenant.get("company", company) is None:
            raise person("GSOBJ_VDTGSID1001", "Invalid Company_ID")
        links[company] = {name: one[name] for name in _LINK_FIELDS if name in one}
    return links


def _link(call: Call, gsid: str, company: str, told: Row) -> bool:
    """Link a person to a company; False where the link is there and says the same."""
    tenant = call.tenant
    held = next((link for link in tenant.links(gsid) if link["Company_ID"] == company), None)
    if held is None:
        first = not tenant.links(gsid)
        values = {"Company_ID": company, "Person_ID": gsid, "Active": True, "IsPrimaryCompany": first, **told}
        tenant.add("company_person", values, via="api", actor=call.actor)
        return True
    changed = {name: value for name, value in told.items() if held.get(name) != value}
    if changed:
        held |= changed
        held["ModifiedDate"] = tenant.now()
    return bool(changed)
