"""A Qualtrics connection under test: settings, a client whose requests a router answers, bodies as Qualtrics writes them."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import respx

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.qualtrics import Qualtrics
from tests.plugins.mocked import mocked

API = "https://az1.qualtrics.com/API/v3"
SURVEY = "SV_0abcDEF12345678"
RESPONSE = "R_1aBcDeFgHiJkLmN"
KEY = f"{SURVEY}/{RESPONSE}"
POOL = "POOL_000000000000001"
MARKER = "cxb:00112233aabbccdd"


@dataclass
class Desk:
    """One connection: what is configured, and the router that plays the brand."""

    qualtrics: Qualtrics
    client: cx.Client
    router: respx.MockRouter

    def stream(self, name: str) -> cx.Stream:
        (found,) = [one for one in self.qualtrics.streams() if one.name == name]
        return found

    def pages(self, stream: str, cursor: cx.Json = None) -> list[cx.Page]:
        """Pull a stream to its end."""
        pages = self.stream(stream).pages
        assert pages is not None
        return list(pages(self.client, cursor))

    def one(self, stream: str, key: str) -> cx.Page | None:
        """Read a single entity, as for a nudge."""
        one = self.stream(stream).one
        assert one is not None
        return one(self.client, key)

    def action(self, name: str) -> cx.Action:
        (found,) = [one for one in self.qualtrics.actions() if one.name == name]
        return found

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        """Do one write."""
        return self.action(name).perform(self.client, cx.Call(inputs=inputs, marker=MARKER, target=target))

    def find(self, name: str, inputs: cx.Inputs) -> cx.Receipt | None:
        """Look for an earlier write."""
        find = self.action(name).find
        assert find is not None
        return find(self.client, cx.Call(inputs=inputs, marker=MARKER))

    @property
    def sent(self) -> list[tuple[str, str, Any]]:
        """Everything that was asked: method, path and query under the API, body."""
        return [
            (
                made.request.method,
                str(made.request.url).removeprefix(API),
                json.loads(made.request.content) if made.request.content else None,
            )
            for made in self.router.calls
        ]

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        reading = ("/export-responses", "/contacts/search")
        return [one for one in self.sent if one[0] != "GET" and not one[1].endswith(reading)]


def settings(**changed: Any) -> Qualtrics:
    given: dict[str, Any] = {"datacenter": "az1", "api_token": "a-fake-token", **changed}
    return Qualtrics(**given)


@pytest.fixture
def connect(clock: ManualClock) -> Iterator[Callable[..., Desk]]:
    """Open a connection with these settings."""
    with mocked("voice", clock) as open_one:

        def open_desk(*, read_only: bool = False, **changed: Any) -> Desk:
            qualtrics = settings(**changed)
            return Desk(qualtrics, *open_one(qualtrics, read_only=read_only))

        yield open_desk


@pytest.fixture
def desk(connect: Callable[..., Desk]) -> Desk:
    """A connection with nothing out of the ordinary."""
    return connect(directory=POOL)


def answer(result: Any = None, status: int = 200, **meta: Any) -> httpx.Response:
    """A reply as the brand gives it."""
    told = {"httpStatus": f"{status} - OK", "requestId": None, **meta}
    body = {"meta": told} if result is None else {"result": result, "meta": told}
    return httpx.Response(status, json=body)


def refuse(status: int, code: str, message: str = "No.") -> httpx.Response:
    error = {"errorMessage": message, "errorCode": code}
    return httpx.Response(status, json={"meta": {"httpStatus": f"{status} - No", "requestId": None, "error": error}})


def listed(*elements: Any, next_page: str | None = None) -> httpx.Response:
    return answer({"elements": list(elements), "nextPage": next_page})


def zipped(text: bytes | str, name: str = "Déjà vu: 50 % / survey?.ndjson") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return out.getvalue()


def ndjson(rows: Sequence[Any]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def survey_row(id_: str = SURVEY, **changed: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "name": "Support CSAT",
        "ownerId": "UR_1AbCdEfGhIjKlMn",
        "isActive": True,
        "creationDate": "2026-05-01T09:00:00Z",
        "lastModified": "2026-05-02T16:40:11Z",
        **changed,
    }


NPS = {
    "QuestionID": "QID1",
    "QuestionText": "How <b>likely</b> are you to recommend us?",
    "DataExportTag": "Q1",
    "QuestionType": "MC",
    "Selector": "NPS",
    "Choices": {str(at): {"Display": str(at)} for at in range(11)},
    "RecodeValues": [],
    "Language": [],
}
WORDS = {
    "QuestionID": "QID2",
    "QuestionText": "Why?",
    "DataExportTag": "Q2",
    "QuestionType": "TE",
    "Selector": "ML",
    "Choices": [],
}
AGREED = {
    "QuestionID": "QID5",
    "QuestionText": "May we contact you?",
    "DataExportTag": "Q5",
    "QuestionType": "MC",
    "Selector": "SAVR",
    "Choices": {"1": {"Display": "Yes"}, "2": {"Display": "No, thanks"}},
}


def rated(text: str, tag: str = "Q3", labels: Sequence[str] = (), **changed: Any) -> dict[str, Any]:
    """A question with one choice out of a few, of which nothing but its words says what it measures."""
    told = labels or ("Very bad", "Bad", "Neither", "Good", "Very good")
    return {
        "QuestionID": "QID3",
        "QuestionText": text,
        "DataExportTag": tag,
        "QuestionType": "MC",
        "Selector": "SAVR",
        "Choices": {str(at): {"Display": label} for at, label in enumerate(told, 1)},
        **changed,
    }


def definition(*questions: dict[str, Any]) -> dict[str, Any]:
    return {
        "SurveyID": SURVEY,
        "SurveyName": "Support CSAT",
        "SurveyStatus": "Active",
        "QuestionCount": str(len(questions)),
        "Questions": {one["QuestionID"]: one for one in questions} or [],
        "SurveyOptions": [],
    }


def response(
    id_: str = RESPONSE, *, labels: dict[str, Any] | None = None, drop: Sequence[str] = (), **values: Any
) -> dict[str, Any]:
    """A response as an export and a single read show it."""
    told = {
        "startDate": "2026-05-04T10:12:02Z",
        "endDate": "2026-05-04T10:15:28Z",
        "status": 0,
        "ipAddress": "203.0.113.7",
        "progress": 100,
        "duration": 206,
        "finished": 1,
        "recordedDate": "2026-05-04T10:15:30.146Z",
        "_recordId": id_,
        "recipientLastName": "Duarte",
        "recipientFirstName": "Ines",
        "recipientEmail": "Ines.Duarte@northwind.example",
        "externalDataReference": "45121",
        "locationLatitude": "52.52",
        "locationLongitude": "13.40",
        "distributionChannel": "email",
        "userLanguage": "EN",
        "QID1": 3,
        "QID1_NPS_GROUP": 1,
        "QID2_TEXT": "Export keeps failing",
        "QID4": ["1", "4"],
        "ticketId": "45121",
        "accountId": "1P02AAAA",
        **values,
    }
    return {
        "responseId": id_,
        "values": {name: value for name, value in told.items() if name not in drop},
        "labels": {"status": "IP Address", "QID1_NPS_GROUP": "Detractor", "QID4": ["Speed", "Price"], **(labels or {})},
        "displayedFields": ["QID1", "QID2_TEXT", "QID4"],
        "displayedValues": {"QID1": list(range(11))},
    }


def contact(id_: str = "CID_3kQxYzAbCdEfGhI", **changed: Any) -> dict[str, Any]:
    return {
        "contactId": id_,
        "firstName": "Ines",
        "lastName": "Duarte",
        "email": "ines.duarte@northwind.example",
        "phone": None,
        "extRef": "zd-990142",
        "language": "en",
        "unsubscribed": False,
        "embeddedData": {"accountId": "1P02AAAA", "plan": "enterprise"},
        **changed,
    }
