"""Rows of a company file: users, companies, persons, scores, calls to action and timeline entries, which name each other in words.

    gainsight.user        email, name, active
    gainsight.company     name, external_id, domains, csm, arr, renewal_date | renews_in, contract_start, stage, status, industry,
                          tier, segment, region, support_plan, parent, tags, summary, score, trend, nps, csat
    gainsight.person      email, name | first_name and last_name, company | companies, title, role, opt_out, language, timezone,
                          external_id
    gainsight.score       company, measure, score, previous, trend
    gainsight.cta         company, title, type, reason, status, priority, owner, due | due_in, body, important, marker, source
    gainsight.touchpoint  company, subject, body, type, author, external_id

A company is named by its external id or name, a user or person by e-mail address. Days are `2026-03-31`, spans `40d`. Every
row but a user's may say `ago` (`3d`, `5h`): how long ago it was last changed; for a timeline entry also when it happened.
"""

import html
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from cxbridge.sandbox.gainsight.catalogue import FACT, chosen, option_id
from cxbridge.sandbox.journal import Via

if TYPE_CHECKING:
    from cxbridge.sandbox.gainsight.tenant import Tenant

_UNITS = {"d": 86_400, "h": 3_600, "m": 60}
_PICKED = {"industry": "INDUSTRY", "stage": "STAGE", "status": "STATUS", "tier": "TIER"}
_CTA_PICKED = {"type": "CTA_TYPE", "reason": "CTA_REASON", "status": "CTA_STATUS", "priority": "CTA_PRIORITY"}

# What a word of a row is called in the tenant.
COMPANY: dict[str, str] = {
    "name": "Name",
    "external_id": "SfdcAccountId",
    "csm": "Csm",
    "arr": "Arr",
    "mrr": "Mrr",
    "renewal_date": "RenewalDate",
    "contract_start": "OriginalContractDate",
    "stage": "Stage",
    "status": "Status",
    "industry": "Industry",
    "tier": "Tier__gc",
    "segment": "Segment__gc",
    "region": "Region__gc",
    "support_plan": "Support_Plan__gc",
    "domains": "Domains__gc",
    "parent": "ParentCompany",
    "tags": "Tags",
    "summary": "Summary",
    "employees": "Employees",
    "score": "CurrentScore",
    "current_score": "CurrentScore",
    "trend": "Trend",
    "nps": "Nps",
    "csat": "Csat",
}
_PERSON = {
    "email": "Email",
    "name": "Name",
    "first_name": "FirstName",
    "last_name": "LastName",
    "opt_out": "EmailOptOut",
    "language": "Language__gc",
    "timezone": "Timezone",
    "external_id": "ExternalRecordID__gc",
}
_CTA = {
    "title": "Name",
    "owner": "OwnerId",
    "due": "DueDate",
    "body": "Comments",
    "important": "IsImportant",
    "marker": "Cxbridge_Marker__gc",
    "source": "Source_Ref__gc",
    "type": "TypeId",
    "reason": "ReasonId",
    "status": "StatusId",
    "priority": "PriorityId",
}


def load(tenant: "Tenant", row: Mapping[str, Any]) -> None:
    """Add what a row says.

    Raises:
        ValueError, LookupError: it cannot be used; the message says why.
    """
    kind = str(row.get("kind", "")).partition(".")[2]
    maker = _KINDS.get(kind)
    if maker is None:
        raise ValueError(f"gainsight.{kind} is no kind of row; there are {', '.join(sorted(_KINDS))}")
    maker(tenant, {name: value for name, value in row.items() if name != "kind"}, "seed")


def user(tenant: "Tenant", row: Mapping[str, Any], via: Via) -> dict[str, Any]:
    """Add a user."""
    _known(row, ("email", "name", "active"), "user")
    email = str(row["email"])
    first, _, last = str(row.get("name", email)).partition(" ")
    values = {
        "Email": email,
        "Name": row.get("name", email),
        "FirstName": first,
        "LastName": last,
        "LicenseType": "Full",
        "IsActiveUser": bool(row.get("active", True)),
    }
    held = tenant.by_email("gsuser", email)
    if held is not None:
        held |= values
        return held
    return tenant.add("gsuser", values, via=via, actor=via)


def company(tenant: "Tenant", row: Mapping[str, Any], via: Via) -> dict[str, Any]:
    """Add a company."""
    _known(row, (*COMPANY, "renews_in", "ago"), "company")
    if not row.get("name"):
        raise ValueError("a company needs a name")
    defaults = {"stage": "Adopting", "status": "Active"}
    return tenant.add("company", company_values(tenant, {**defaults, **row}), via=via, actor=via, at=_when(tenant, row))


def company_values(tenant: "Tenant", row: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a row as a company's fields."""
    values: dict[str, Any] = {}
    for word, value in row.items():
        match word:
            case "ago":
                continue
            case "renews_in":
                values["RenewalDate"] = (tenant.now() + span(value)).date()
            case "renewal_date" | "contract_start":
                values[COMPANY[word]] = None if value is None else date.fromisoformat(value)
            case "csm":
                values["Csm"] = None if value is None else _user(tenant, value)
            case "parent":
                values["ParentCompany"] = None if value is None else tenant.company(value)["Gsid"]
            case "external_id":
                values |= {"SfdcAccountId": value, "External_Id__gc": value}
            case "domains":
                values["Domains__gc"] = ", ".join(value)
            case "tags":
                values["Tags"] = [_option("TAGS", one) for one in value]
            case "industry" | "stage" | "status" | "tier":
                values[COMPANY[word]] = None if value is None else _option(_PICKED[word], value)
            case "arr" | "mrr" | "score" | "current_score" | "nps" | "csat" | "employees":
                values[COMPANY[word]] = None if value is None else float(value)
            case _:
                values[COMPANY[word]] = value
    return values


def person(tenant: "Tenant", row: Mapping[str, Any], via: Via) -> dict[str, Any]:
    """Add a person with links to companies, the first one being the primary."""
    _known(row, (*_PERSON, "company", "companies", "title", "role", "ago"), "person")
    email = str(row["email"]).lower()
    if tenant.by_email("person", email) is not None:
        raise ValueError(f"there is a person {email} already")
    values = {name: row[word] for word, name in _PERSON.items() if word in row} | {"Email": email}
    if "name" in row and "first_name" not in row:
        first, _, last = str(row["name"]).partition(" ")
        values |= {"FirstName": first, "LastName": last}
    values.setdefault("Name", f"{values.get('FirstName', '')} {values.get('LastName', '')}".strip() or email)
    values.setdefault("EmailOptOut", False)
    at = _when(tenant, row)
    made = tenant.add("person", values, via=via, actor=via, at=at)
    names = row.get("companies") or ([row["company"]] if row.get("company") else [])
    for number, named in enumerate(names):
        link = {
            "Company_ID": tenant.company(named)["Gsid"],
            "Person_ID": made["Gsid"],
            "Title": row.get("title"),
            "Role": row.get("role"),
            "Active": True,
            "IsPrimaryCompany": number == 0,
        }
        tenant.add("company_person", link, via=via, actor=via, at=at)
    return made


def score(tenant: "Tenant", row: Mapping[str, Any], via: Via) -> dict[str, Any]:
    """Give a company a score in one measure: one row per company and measure."""
    _known(row, ("company", "measure", "score", "previous", "trend", "ago"), "score")
    owner = tenant.company(row["company"])["Gsid"]
    measure = str(row["measure"])
    held = next((one for one in tenant.rows(FACT) if (one["CompanyId"], one["MeasureName"]) == (owner, measure)), None)
    was = held["CurrentScore"] if held else None
    values = {
        "CompanyId": owner,
        "MeasureId": re.sub(r"\W+", "_", measure).lower(),
        "MeasureName": measure,
        "CurrentScore": None if row.get("score") is None else float(row["score"]),
        "PreviousScore": float(row["previous"]) if row.get("previous") is not None else was,
        "Trend": row.get("trend"),
    }
    if held is None:
        return tenant.add(FACT, values, via=via, actor=via, at=_when(tenant, row))
    held |= values | {"ModifiedDate": _when(tenant, row) or tenant.now()}
    return held


def cta(tenant: "Tenant", row: Mapping[str, Any], via: Via) -> dict[str, Any]:
    """Add a call to action."""
    _known(row, (*_CTA, "company", "due_in", "ago"), "cta")
    owner = tenant.company(row["company"])
    values = {
        "Name": "A call to action",
        "CompanyId": owner["Gsid"],
        "OwnerId": owner.get("Csm"),
        "TypeId": option_id("CTA_TYPE", "Risk"),
        "ReasonId": option_id("CTA_REASON", "Other"),
        "StatusId": option_id("CTA_STATUS", "New"),
        "PriorityId": option_id("CTA_PRIORITY", "Medium"),
        "DueDate": tenant.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7),
        "IsImportant": False,
        **cta_values(tenant, row),
    }
    return tenant.add("call_to_action", values, via=via, actor=via, at=_when(tenant, row))


def cta_values(tenant: "Tenant", row: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a row as a call to action's fields."""
    values: dict[str, Any] = {}
    for word, value in row.items():
        match word:
            case "ago" | "company":
                continue
            case "due_in":
                values["DueDate"] = tenant.now() + span(value)
            case "due":
                values["DueDate"] = datetime.combine(date.fromisoformat(value), time(), tenant.now().tzinfo)
            case "owner":
                values["OwnerId"] = _user(tenant, value)
            case "body":
                values["Comments"] = f"<p>{html.escape(value)}</p>"
            case "type" | "reason" | "status" | "priority":
                values[_CTA[word]] = _option(_CTA_PICKED[word], value)
            case _:
                values[_CTA[word]] = value
    return values


def touchpoint(tenant: "Tenant", row: Mapping[str, Any], via: Via) -> dict[str, Any]:
    """Add a timeline entry."""
    _known(row, ("company", "subject", "body", "type", "author", "external_id", "ago"), "touchpoint")
    owner = tenant.company(row["company"])
    author = _user(tenant, row["author"]) if row.get("author") else owner.get("Csm")
    at = _when(tenant, row)
    values = {
        "ExternalId": row.get("external_id"),
        "ContextName": "Company",
        "ContextId": owner["Gsid"],
        "GsCompanyId": owner["Gsid"],
        "AuthorId": author,
        "TypeName": row.get("type", "Update"),
        "Subject": row["subject"],
        "Notes": f"<p>{html.escape(row.get('body', ''))}</p>",
        "ActivityDate": at or tenant.now(),
    }
    return tenant.add("activity_timeline", values, via=via, actor=via, at=at)


def span(text: Any) -> timedelta:
    """Read `40d`, `5h`, `30m`.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(-?\d+)([dhm])", str(text))
    if found is None:
        raise ValueError(f"{text!r} is no span: write 40d, 5h or 30m")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _when(tenant: "Tenant", row: Mapping[str, Any]) -> datetime | None:
    return tenant.now() - span(row["ago"]) if "ago" in row else None


def _user(tenant: "Tenant", email: str) -> str:
    found = tenant.by_email("gsuser", email)
    if found is None:
        raise LookupError(f"there is no user {email}: add a row gainsight.user before")
    return str(found["Gsid"])


def _option(category: str, label: str) -> str:
    found = next(
        (chosen(category, one) for one in (label, label.title(), label.lower()) if chosen(category, one)), None
    )
    if found is None:
        raise ValueError(f"{label!r} is no option of {category}")
    return found


def _known(row: Mapping[str, Any], words: tuple[str, ...], what: str) -> None:
    unknown = sorted(set(row) - set(words))
    if unknown:
        raise ValueError(f"a {what} has no {unknown[0]!r}; it may say {', '.join(words)}")


_KINDS: dict[str, Callable[["Tenant", Mapping[str, Any], Via], dict[str, Any]]] = {
    "user": user,
    "company": company,
    "person": person,
    "score": score,
    "cta": cta,
    "touchpoint": touchpoint,
}
