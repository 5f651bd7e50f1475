"""A Gainsight connection under test: settings, a client whose requests a router answers, bodies as Gainsight writes them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import respx

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.gainsight import Gainsight
from tests.plugins.mocked import mocked

SITE = "https://acme.gainsightcloud.com"
DATE = "Wed, 06 May 2026 08:46:13 GMT"
NOW_MS = 1_778_057_173_000
MARKER = "cxb:00112233aabbccdd"
COMPANY = "1P02AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH"
USER = "1P01USERUSERUSERUSERUSERUSERUSERUSER"
CTA = "1S01CTACTACTACTACTACTACTACTACTACTACT"
STAGE = "1I00STAGEACTIVE00000000000000000000"


@dataclass
class Desk:
    """One connection: what is configured, and the router that plays the tenant."""

    gainsight: Gainsight
    client: cx.Client
    router: respx.MockRouter

    def pages(self, stream: str, cursor: cx.Json = None) -> list[cx.Page]:
        """Pull a stream to its end."""
        (found,) = [one for one in self.gainsight.streams() if one.name == stream]
        assert found.pages is not None
        return list(found.pages(self.client, cursor))

    def one(self, stream: str, key: str) -> cx.Page | None:
        (found,) = [one for one in self.gainsight.streams() if one.name == stream]
        assert found.one is not None
        return found.one(self.client, key)

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        """Do one write."""
        (found,) = [one for one in self.gainsight.actions() if one.name == name]
        return found.perform(self.client, cx.Call(inputs=inputs, marker=MARKER, target=target))

    def plays(self, path: str, *answers: Any, method: str = "POST") -> respx.Route:
        """Answer a path with these bodies, the last one for ever; a response stands for itself."""
        given = [one if isinstance(one, httpx.Response) else answer(one) for one in answers]
        route = self.router.route(method=method, path=path)

        def play(request: httpx.Request) -> httpx.Response:
            made = given[min(route.call_count, len(given) - 1)]
            return httpx.Response(made.status_code, headers=made.headers, content=made.content)

        route.side_effect = play
        return route

    def queries(self, name: str, *answers: Any) -> respx.Route:
        """Answer the queries of an object."""
        return self.plays(f"/v1/data/objects/query/{name}", *answers)

    def asked(self, path: str) -> list[Any]:
        """The bodies that were sent to a path."""
        calls = [made.request for made in self.router.calls if made.request.url.path == path]
        return [json.loads(request.content) for request in calls]


def settings(**changed: Any) -> Gainsight:
    return Gainsight(**{"domain": "acme", "access_key": "a-fake-key", "page": 3, **changed})


@pytest.fixture
def connect(clock: ManualClock) -> Iterator[Callable[..., Desk]]:
    """Open a connection with these settings."""
    with mocked("cs", clock) as open_one:

        def open_desk(**changed: Any) -> Desk:
            gainsight = settings(**changed)
            desk = Desk(gainsight, *open_one(gainsight))
            desk.plays("/v1/meta/services/objects/describe", DESCRIBED)
            desk.queries("record_delete_log", NO_DATA)
            desk.queries("record_delete_log_high_volume", NO_OBJECT)
            return desk

        yield open_desk


@pytest.fixture
def desk(connect: Callable[..., Desk]) -> Desk:
    """A connection with nothing out of the ordinary but small pages."""
    return connect()


def answer(data: Any, status: int = 200, **headers: str) -> httpx.Response:
    """A reply as the tenant gives it, with its clock in it."""
    body = {"result": True, "errorCode": None, "errorDesc": None, "requestId": "0b7f", "data": data, "message": None}
    return httpx.Response(status, json=body, headers={"Date": DATE, **headers})


def refused(
    status: int, code: str | None, text: str = "Told with a customer's name in it", **more: Any
) -> httpx.Response:
    body = {"result": False, "errorCode": code, "errorDesc": text, "requestId": "0b7f-44", "message": None, **more}
    return httpx.Response(status, json=body, headers={"Date": DATE})


NO_DATA = refused(400, "GSOBJ_1011", "No data found for given criteria")
NO_OBJECT = refused(400, None, "Object is not found", title="OBJECT_NOT_FOUND")


def field(name: str, kind: str = "STRING", *options: str, updateable: bool = True) -> dict[str, Any]:
    told: dict[str, Any] = {"fieldName": name, "label": name, "dataType": kind, "meta": {"updateable": updateable}}
    if options:
        told["options"] = [{"label": label, "value": gsid_of(label), "active": True} for label in options]
    return told


def gsid_of(label: str) -> str:
    return "1I00" + label.upper().replace(" ", "").ljust(32, "0")[:32]


DESCRIBED = [
    {
        "objectName": "company",
        "fields": [
            field("Gsid", "GSID", updateable=False),
            field("Name"),
            field("ARR", "CURRENCY"),
            field("Renewal_Date", "DATE"),
            field("Stage", "PICKLIST", "Launched", "Will Churn", "Sunset"),
            field("Csm", "LOOKUP"),
            field("CurrentScore", "NUMBER", updateable=False),
            field("Trend"),
            field("SfdcAccountId"),
            field("External_Id__gc"),
            field("Score_In__gc", "NUMBER"),
            field("ModifiedDate", "DATETIME", updateable=False),
        ],
    },
    {
        "objectName": "person",
        "fields": [field("Email", "EMAIL"), field("Name"), field("EmailOptOut", "BOOLEAN"), field("Language__gc")],
    },
    {
        "objectName": "call_to_action",
        "fields": [
            field("Name"),
            field("ClosedDate", "DATETIME"),
            field("Cxbridge_Marker__gc"),
            field("Source_Ref__gc"),
        ],
    },
    {
        "objectName": "activity_timeline",
        "fields": [field("Subject"), field("contextname"), field("LastModifiedDate", "DATETIME")],
    },
]


def company(number: int = 1, changed: Any = NOW_MS - 60_000, **fields: Any) -> dict[str, Any]:
    """A company as a query gives it."""
    return {
        "Gsid": f"1P02{number:032d}",
        "Name": "Northwind Traders",
        "ARR": 248000.0,
        "Renewal_Date": 1798675200000,
        "Stage": gsid_of("Launched"),
        "CurrentScore": 62.0,
        "Trend": "Down",
        "Csm": USER,
        "SfdcAccountId": "0015g00000AbCdE",
        "CreatedDate": 1672617600000,
        "ModifiedDate": changed,
        **fields,
    }


def cta(**fields: Any) -> dict[str, Any]:
    """A call to action as the cockpit lists it."""
    return {
        "Gsid": CTA,
        "Name": "Detractor follow-up: Northwind",
        "EntityType": "COMPANY",
        "CompanyId": COMPANY,
        "CompanyId__gr.Name": "Northwind Traders",
        "CompanyId__gr.Arr": 248000.00000000000,
        "OwnerId": USER,
        "OwnerId__gr.Email": "maya.ortiz@example.com",
        "DueDate": "2026-05-12T11:30:00Z",
        "IsClosed": False,
        "IsImportant": True,
        "TypeId__gr.Name": "Risk",
        "StatusId__gr.Name": "New",
        "PriorityId__gr.Name": "High",
        "ReasonId__gr.Name": "Survey Response",
        "CreatedDate": "2026-05-04T10:16:02.518Z",
        "ModifiedDate": "2026-05-06T08:16:02.518Z",
        "associatedRecords": [{"recordId": "45121", "objectName": "zendesk_ticket__gc", "source": "MDA"}],
        **fields,
    }


VOCABULARY = {
    category: [{"name": label, "gsid": gsid_of(label), "active": True} for label in labels]
    for category, labels in {
        "CTA_TYPE": ["Risk", "Opportunity", "Lifecycle"],
        "CTA_STATUS": ["New", "Work In Progress", "Closed Success", "Closed Lost"],
        "CTA_PRIORITY": ["High", "Medium", "Low"],
        "CTA_REASON": ["Survey Response", "Other"],
    }.items()
}
