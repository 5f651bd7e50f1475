"""What admins and colleagues do in Gainsight's own pages, as control requests.

GET, POST, PATCH, DELETE  companies/GSID|EXTERNAL ID|NAME   the words of a row; {"current_score": 41, "trend": "Down"}
GET, POST, PATCH, DELETE  ctas/GSID                         {"status": "Closed Success", "owner": "ana@…", "body": "…"}
GET, POST, PATCH, DELETE  persons/EMAIL|GSID                {"name", "title", "company", "opt_out"}
GET, POST, PATCH          users/EMAIL                       {"name", "active"}
GET, POST                 touchpoints
POST                      scores                            {"company", "measure", "score"}
GET, POST, DELETE         webhooks/NUMBER                   {"url", "token", "events": ["health."]}
PATCH                     options                           {"ip_allowed": false}
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from cxbridge.sandbox.gainsight import rows
from cxbridge.sandbox.gainsight.options import from_mapping

if TYPE_CHECKING:
    from cxbridge.sandbox.gainsight.tenant import Row, Tenant

_TABLES = {
    "companies": "company",
    "ctas": "call_to_action",
    "persons": "person",
    "users": "gsuser",
    "touchpoints": "activity_timeline",
}
_MAKERS: dict[str, Callable[["Tenant", Mapping[str, Any], Any], dict[str, Any]]] = {
    "companies": rows.company,
    "ctas": rows.cta,
    "persons": rows.person,
    "users": rows.user,
    "touchpoints": rows.touchpoint,
}
_ACTOR = "ui"
_PERSON = {"name": "Name", "opt_out": "EmailOptOut", "language": "Language__gc", "timezone": "Timezone"}
_LINK = {"title": "Title", "role": "Role", "active": "Active"}


def control(tenant: "Tenant", method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
    """Do one control request; gives status and content.

    Raises:
        LookupError, ValueError: it cannot be done; the message says what would be right.
    """
    kind, _, named = path.strip("/").partition("/")
    if kind == "webhooks":
        return _webhooks(tenant, method, named, body)
    if kind == "scores" and method == "POST":
        return 201, tenant.told_as(rows.score(tenant, body, "ui"))
    if kind == "options" and method == "PATCH":
        # Objects and fields are settled when the tenant is made; the rest can change while it runs.
        held = msgspec.to_builtins(tenant.options)
        tenant.options = from_mapping({**held, **body})
        return 200, msgspec.to_builtins(tenant.options)
    if kind not in _TABLES:
        raise LookupError(
            f"there is no {method} {path}: there are {', '.join(sorted([*_TABLES, 'scores', 'webhooks']))}"
        )
    if method == "GET" and not named:
        return 200, [tenant.told_as(row) for row in tenant.rows(_TABLES[kind])]
    if method == "POST" and not named:
        return 201, tenant.told_as(_MAKERS[kind](tenant, body, "ui"))
    row = _row(tenant, kind, named)
    if method == "PATCH":
        _change(tenant, kind, row, body)
    elif method == "DELETE":
        tenant.remove(_TABLES[kind], row, via="ui", actor=_ACTOR)
    elif method != "GET":
        raise LookupError(f"{method} means nothing for {path}")
    return 200, tenant.told_as(row)


def _row(tenant: "Tenant", kind: str, named: str) -> "Row":
    if kind == "companies":
        return tenant.company(named)
    table = _TABLES[kind]
    found = tenant.get(table, named) or (tenant.by_email(table, named) if kind in ("persons", "users") else None)
    if found is None:
        raise LookupError(f"there is no {named!r} among the {kind}")
    return found


def _change(tenant: "Tenant", kind: str, row: "Row", body: Mapping[str, Any]) -> None:
    match kind:
        case "companies":
            values = rows.company_values(tenant, body)
        case "ctas":
            values = rows.cta_values(tenant, body)
        case "persons":
            _relink(tenant, row, body)
            values = {_PERSON[word]: value for word, value in body.items() if word in _PERSON}
            if not values:
                return
        case "users":
            values = {"IsActiveUser": body["active"]} if "active" in body else {}
            values |= {"Name": body["name"]} if "name" in body else {}
        case _:
            names = {"subject": "Subject", "body": "Notes", "type": "TypeName"}
            values = {names[word]: value for word, value in body.items()}
    tenant.change(_TABLES[kind], row, values, via="ui", actor=_ACTOR)


def _relink(tenant: "Tenant", row: "Row", body: Mapping[str, Any]) -> None:
    """Change what a person is at the company they belong to, or move them to another one."""
    changed = {_LINK[word]: value for word, value in body.items() if word in _LINK}
    if "company" in body:
        changed["Company_ID"] = tenant.company(body["company"])["Gsid"]
    unknown = sorted(set(body) - set(_PERSON) - set(_LINK) - {"company"})
    if unknown:
        raise ValueError(f"a person has no {unknown[0]!r} that could be changed")
    if not changed:
        return
    links = tenant.links(row["Gsid"])
    if not links:
        values = {"Person_ID": row["Gsid"], "Active": True, "IsPrimaryCompany": True, **changed}
        tenant.add("company_person", values, via="ui", actor=_ACTOR)
    else:
        links[0] |= changed | {"ModifiedDate": tenant.now()}
    tenant.touch_person(row["Gsid"], via="ui", actor=_ACTOR)


def _webhooks(tenant: "Tenant", method: str, named: str, body: Mapping[str, Any]) -> tuple[int, Any]:
    if method == "GET":
        return 200, [{"id": one.id, "url": one.url, "events": one.events} for one in tenant.outbound.actions]
    if method == "POST":
        url, token = body.get("url"), body.get("token")
        if not isinstance(url, str) or not (token is None or isinstance(token, str)):
            raise ValueError('a webhook needs an address, such as {"url": "http://127.0.0.1:8700/…", "token": "…"}')
        made = tenant.outbound.register(url, token, tuple(body.get("events", ())))
        return 201, {"id": made.id, "url": made.url}
    if method == "DELETE" and named.isdigit() and tenant.outbound.remove(int(named)):
        return 200, {"removed": 1}
    raise LookupError(f"there is no webhook {named!r} to {method}")
