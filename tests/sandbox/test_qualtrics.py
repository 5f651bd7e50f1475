"""The simulated brand over real HTTP: what a client may rely on, and what it must be ready for."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from cxbridge.sandbox import seed, verdict
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.surveys import ONBOARDING, RELATION, SUPPORT
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

from .conftest import NOW


class Brand:
    """The simulated brand as a test talks to it: over its API with the integration's token, and as its people."""

    def __init__(self, sandbox: Sandbox, web: httpx.Client) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.web = web
        self.headers = {"X-API-TOKEN": "sandbox-token"}

    @property
    def state(self) -> BrandState:
        vendor: Any = self.world.vendors["qualtrics"]
        state: BrandState = vendor.state
        return state

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        url = path if "://" in path else f"{self.sandbox.url('qualtrics')}/API/v3{path}"
        return self.web.request(method, url, json=body, params=params or None, headers=self.headers)

    def api(self, method: str, path: str, body: Any = None, status: int = 200, **params: Any) -> Any:
        """Ask, look at the status, and give the result, or the error where it is one."""
        reply = self.ask(method, path, body, **params)
        assert reply.status_code == status, reply.text
        told = reply.json()
        assert told["meta"]["httpStatus"].startswith(str(status))
        return told["meta"]["error"] if status >= 400 else told.get("result")

    def people(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """Do something as one of the people of the brand, over the control API."""
        reply = self.web.request(method, f"{self.sandbox.control_url}/qualtrics/{path}", json=body or {})
        assert reply.status_code == status if status else reply.status_code < 300, reply.text
        return reply.json()

    def answers(self, *scores: int, survey: str = RELATION, **more: Any) -> list[str]:
        return [self.people("POST", "responses", {"survey": survey, "score": one, **more})["id"] for one in scores]

    def wait(self, seconds: float = 60) -> None:
        self.world.clock.advance(seconds)

    def export(self, survey: str = RELATION, **body: Any) -> Any:
        """Export as a patient client does; gives the bytes of the file."""
        where = f"/surveys/{survey}/export-responses"
        progress = self.api("POST", where, {"format": "ndjson", **body})["progressId"]
        for _ in range(10):
            told = self.api("GET", f"{where}/{progress}")
            if told["status"] != "inProgress":
                break
            self.wait(2)
        assert told["status"] == "complete", told
        return self.ask("GET", f"{where}/{told['fileId']}/file").content

    def rows(self, survey: str = RELATION, **body: Any) -> list[Any]:
        lines = self.export(survey, compress=False, **body).decode().splitlines()
        return [row for row in (json.loads(line) for line in lines if line) if row]


@pytest.fixture
def start() -> Iterator[Callable[..., Brand]]:
    with ExitStack() as stack:

        def begin(**options: Any) -> Brand:
            world = World(clock=SandboxClock(NOW, frozen=True), options={"qualtrics": options})
            sandbox = stack.enter_context(Sandbox(world, vendors=("qualtrics",)))
            return Brand(sandbox, stack.enter_context(httpx.Client(trust_env=False)))

        yield begin


@pytest.fixture
def brand(start: Callable[..., Brand]) -> Brand:
    return start()


# -- who asks --------------------------------------------------------------------------------------------------------


def test_a_token_is_needed_and_belongs_to_a_user(brand: Brand) -> None:
    assert brand.api("GET", "/whoami")["userName"] == "bridge@example.test"
    brand.headers = {"X-API-TOKEN": "wrong"}
    assert brand.api("GET", "/whoami", status=401)["errorCode"] == "AUTH_3"
    brand.headers = {}
    brand.api("GET", "/surveys", status=401)


def test_revoked_credentials_are_refused(brand: Brand) -> None:
    brand.world.faults.revoke("qualtrics")
    brand.api("GET", "/whoami", status=401)
    brand.world.faults.restore("qualtrics")
    brand.api("GET", "/whoami")


def token(brand: Brand, secret: str = "sandbox-secret", **fields: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "scope": "read:surveys", **fields}
    return brand.web.post(f"{brand.sandbox.url('qualtrics')}/oauth2/token", data=form, auth=("cxbridge", secret))


def test_a_client_is_granted_what_it_asks_for_and_no_more(brand: Brand) -> None:
    granted = token(brand).json()
    assert (granted["token_type"], granted["expires_in"], granted["scope"]) == ("Bearer", 3600, "read:surveys")
    brand.headers = {"Authorization": f"Bearer {granted['access_token']}"}
    brand.api("GET", "/surveys")
    assert "read:survey_responses" in brand.api("GET", f"/surveys/{RELATION}/responses/R_1", status=403)["errorMessage"]
    brand.api("GET", "/tickets", status=403)
    brand.wait(3600)
    brand.api("GET", "/surveys", status=401)


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"secret": "wrong"}, 401), ({"grant_type": "password"}, 400), ({"scope": "manage:all"}, 400)],
)
def test_other_grants_are_refused(brand: Brand, fields: dict[str, str], status: int) -> None:
    assert token(brand, **fields).status_code == status


# -- surveys and pages -----------------------------------------------------------------------------------------------


def test_a_brand_begins_with_three_surveys(brand: Brand) -> None:
    found = brand.api("GET", "/surveys")
    assert [row["id"] for row in found["elements"]] == [RELATION, SUPPORT, ONBOARDING]
    assert found["nextPage"] is None
    told = brand.api("GET", f"/survey-definitions/{RELATION}")
    assert told["Questions"]["QID1"]["Selector"] == "NPS"
    assert told["QuestionCount"] == "3"
    assert told["Questions"]["QID2"]["Choices"] == []
    assert brand.api("GET", f"/surveys/{SUPPORT}")["responseCounts"]["auditable"] == 0
    assert len(brand.api("GET", f"/survey-definitions/{SUPPORT}/questions")["elements"]) == 3


def test_a_survey_that_is_not_there_is_forbidden(brand: Brand) -> None:
    assert brand.api("GET", "/survey-definitions/SV_nobody", status=403)["errorCode"] == "QMST_2.1"


def test_pages_link_to_the_next_one_and_may_be_empty(start: Callable[..., Brand]) -> None:
    brand = start(survey_page=2, empty_pages=True)
    sizes, link = [], "/surveys"
    while link:
        page = brand.api("GET", link)
        sizes.append(len(page["elements"]))
        link = page["nextPage"]
    assert sizes == [2, 0, 1]


def test_behind_a_proxy_notices_and_links_name_the_other_host(start: Callable[..., Brand]) -> None:
    brand = start(survey_page=2, proxied="az1.qualtrics.com")
    told = brand.ask("GET", "/surveys").json()
    assert told["meta"]["notice"].endswith("use this host instead: az1.qualtrics.com")
    assert told["result"]["nextPage"] == "https://az1.qualtrics.com/API/v3/surveys?offset=2&proxyDepth=1"


def test_request_ids_may_be_null(start: Callable[..., Brand]) -> None:
    told = start(null_request_ids=True).ask("GET", "/surveys/SV_nobody").json()
    assert told["meta"]["requestId"] is None
    assert told["meta"]["error"]["errorCode"] == "QMST_2.1"


@pytest.mark.parametrize("size", ["0", "1001", "many"])
def test_a_page_has_a_largest_size(brand: Brand, size: str) -> None:
    path = f"/directories/{brand.state.directory_id}/contacts"
    assert brand.api("GET", path, status=400, pageSize=size)["errorCode"] == "BRE_0.5"


# -- exports ---------------------------------------------------------------------------------------------------------


def test_an_export_takes_time_and_looks(start: Callable[..., Brand]) -> None:
    brand = start(export_seconds=10, export_polls=2)
    where = f"/surveys/{RELATION}/export-responses"
    progress = brand.api("POST", where, {"format": "ndjson"})["progressId"]
    assert brand.api("GET", f"{where}/{progress}") == {"fileId": None, "percentComplete": 0.0, "status": "inProgress"}
    brand.wait(60)
    assert brand.api("GET", f"{where}/{progress}")["status"] == "inProgress", "looked at too seldom"
    told = brand.api("GET", f"{where}/{progress}")
    assert told["status"] == "complete"
    assert told["fileId"] != progress
    brand.api("GET", f"{where}/{progress}/file", status=404)
    assert brand.ask("GET", f"{where}/{told['fileId']}/file").status_code == 200


def test_a_failed_export_has_no_file(brand: Brand) -> None:
    brand.people("POST", "exports/fail", {"times": 1})
    where = f"/surveys/{RELATION}/export-responses"
    progress = brand.api("POST", where, {"format": "ndjson"})["progressId"]
    brand.wait()
    brand.api("GET", f"{where}/{progress}")
    told = brand.api("GET", f"{where}/{progress}")
    assert (told["status"], told["fileId"], told["percentComplete"]) == ("failed", None, 37.5)
    assert brand.rows() == [], "the next one comes to something"


def test_a_file_is_zipped_under_the_surveys_title_or_plain(brand: Brand) -> None:
    brand.people("PATCH", f"surveys/{RELATION}", {"name": "NPS / Q1: 50 %?"})
    brand.answers(9)
    brand.wait()
    with zipfile.ZipFile(io.BytesIO(brand.export())) as archive:
        assert archive.namelist() == ["NPS _ Q1: 50 %?.ndjson"]
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    assert lines[0] == "{}"
    assert lines[-2:] == ["", "{}"]
    assert json.loads(brand.export(compress=False, format="json"))["responses"][0]["values"]["QID1"] == 9


def test_the_end_of_a_window_is_not_in_it(brand: Brand) -> None:
    for second in ("00", "01", "02"):
        brand.answers(int(second), recorded=f"2026-05-01T10:00:{second}Z")
    found = brand.rows(startDate="2026-05-01T10:00:00Z", endDate="2026-05-01T10:00:02Z")
    assert [row["values"]["QID1"] for row in found] == [0, 1]
    assert [row["values"]["QID1"] for row in brand.rows(limit=1)] == [0], "from the oldest"


def test_a_new_response_reaches_exports_late(brand: Brand) -> None:
    brand.answers(3)
    brand.wait(20)
    assert brand.rows() == []
    brand.wait(20)
    assert len(brand.rows()) == 1


def test_labels_are_refused_for_json(brand: Brand) -> None:
    where = f"/surveys/{RELATION}/export-responses"
    brand.api("POST", where, {"format": "ndjson", "useLabels": True}, status=400)
    brand.api("POST", where, {"format": "docx"}, status=400)
    brand.api("POST", where, {"format": "json", "startDate": "soon"}, status=400)


def test_a_response_looks_as_on_the_wire(brand: Brand) -> None:
    brand.people(
        "POST", "contacts", {"email": "mia@globex.test", "name": "Mia Lee", "ext_ref": "zd-1", "account": "HL-1"}
    )
    brand.answers(7, email="mia@globex.test", verbatim="Fine", contact_ok=False, language="de", account_name="Globex")
    brand.wait()
    (row,) = brand.rows()
    values = row["values"]
    assert (values["QID1"], values["QID1_NPS_GROUP"], values["QID2_TEXT"], values["QID3"]) == (7, 2, "Fine", 2)
    assert row["labels"]["QID1_NPS_GROUP"] == "Passive"
    assert row["labels"]["QID3"] == "No"
    assert (values["accountId"], values["accountName"], values["userLanguage"]) == ("HL-1", "Globex", "DE")
    assert (values["recipientEmail"], values["externalDataReference"]) == ("mia@globex.test", "zd-1")
    assert (values["finished"], values["status"], values["distributionChannel"]) == (1, 0, "email")


def test_a_single_response_may_not_be_there_yet(start: Callable[..., Brand]) -> None:
    brand = start(response_lag=15)
    (made,) = brand.answers(3)
    path = f"/surveys/{RELATION}/responses/{made}"
    brand.api("GET", path, status=404)
    brand.wait(15)
    assert brand.api("GET", path)["responseId"] == made
    brand.api("GET", f"/surveys/{SUPPORT}/responses/{made}", status=404)


@pytest.mark.parametrize(("reset", "moved"), [(False, 0.001), (True, 600.0), (None, 600.0)])
def test_an_update_moves_the_time_of_recording(brand: Brand, reset: bool | None, moved: float) -> None:
    (made,) = brand.answers(3)
    before = brand.state.responses[made].recorded
    brand.wait(600)
    body = {"surveyId": RELATION, "embeddedData": {"jiraKey": "OPS-12"}}
    brand.api("PUT", f"/responses/{made}", body if reset is None else {**body, "resetRecordedDate": reset})
    assert (brand.state.responses[made].recorded - before).total_seconds() == moved
    assert brand.api("GET", f"/surveys/{RELATION}/responses/{made}")["values"]["jiraKey"] == "OPS-12"
    (effect,) = brand.world.journal.effects("response.updated", via="api")
    assert effect.actor == "bridge@example.test"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"surveyId": SUPPORT, "embeddedData": {"a": "b"}}, 404),
        ({"surveyId": RELATION, "embeddedData": {"a": 1}}, 400),
        ({"surveyId": RELATION, "embeddedData": {"a": "x" * 1025}}, 400),
        ({"surveyId": RELATION}, 400),
    ],
)
def test_an_update_that_cannot_be_is_refused(brand: Brand, body: Any, status: int) -> None:
    (made,) = brand.answers(3)
    brand.api("PUT", f"/responses/{made}", body, status=status)
    assert brand.world.journal.effects("response.updated") == []


def test_starts_of_exports_have_a_limit_of_their_own(start: Callable[..., Brand]) -> None:
    brand = start(limits={"export starts": 2})
    where = f"/surveys/{RELATION}/export-responses"
    for _ in range(2):
        brand.api("POST", where, {"format": "ndjson"})
    brand.wait(20)
    refused = brand.ask("POST", where, {"format": "ndjson"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    brand.api("GET", "/surveys")
    brand.wait(40)
    brand.api("POST", where, {"format": "ndjson"})


def test_the_whole_brand_has_a_limit(start: Callable[..., Brand]) -> None:
    brand = start(limits={"brand": 3})
    for _ in range(3):
        brand.api("GET", "/surveys")
    assert brand.ask("GET", "/whoami").status_code == 429


# -- people and sending ----------------------------------------------------------------------------------------------


def contacts(brand: Brand) -> str:
    return f"/directories/{brand.state.directory_id}/contacts"


def test_contacts_are_made_twice_found_and_changed(brand: Brand) -> None:
    (row,) = brand.api("GET", "/directories")["elements"]
    assert row["isDefault"]
    body = {"email": "mia@globex.test", "firstName": "Mia", "embeddedData": {"plan": "pro"}}
    first, second = (brand.api("POST", contacts(brand), body)["id"] for _ in range(2))
    wanted = {"filter": {"filterType": "email", "comparison": "eq", "value": "MIA@globex.test"}}
    found = brand.api("POST", f"{contacts(brand)}/search", wanted)["elements"]
    assert {one["contactId"] for one in found} == {first, second}
    brand.api("PUT", f"{contacts(brand)}/{first}", {"lastName": "Lee", "embeddedData": {"tier": "gold"}})
    whole = brand.api("GET", f"{contacts(brand)}/{first}")
    assert (whole["lastName"], whole["embeddedData"]) == ("Lee", {"tier": "gold"})
    assert isinstance(whole["lastModified"], int)
    brand.api("POST", f"{contacts(brand)}/search", {"filter": {"filterType": "phone"}}, status=400)
    brand.api("GET", f"{contacts(brand)}/CID_nobody", status=404)
    brand.api("GET", "/directories/POOL_other/contacts", status=404)


def test_a_search_may_lag(start: Callable[..., Brand]) -> None:
    brand = start(search_lag=30)
    brand.people("POST", "contacts", {"email": "mia@globex.test"})
    wanted = {"filter": {"filterType": "email", "comparison": "eq", "value": "mia@globex.test"}}
    assert brand.api("POST", f"{contacts(brand)}/search", wanted)["elements"] == []
    brand.wait(30)
    assert len(brand.api("POST", f"{contacts(brand)}/search", wanted)["elements"]) == 1


def mail(contact: str, **embedded: str) -> dict[str, Any]:
    return {
        "message": {"libraryId": "UR_1", "messageId": "MS_1"},
        "recipients": {"contactId": contact},
        "header": {"fromEmail": "a@b.example", "fromName": "A", "replyToEmail": "a@b.example", "subject": "How?"},
        "surveyLink": {"surveyId": RELATION, "type": "Individual"},
        "embeddedData": embedded,
        "sendDate": "2026-05-06T09:00:00Z",
    }


def test_a_mail_is_journaled_with_what_was_planted_in_it(brand: Brand) -> None:
    contact = brand.people("POST", "contacts", {"email": "mia@globex.test"})["contactId"]
    marker = "cxb:00112233aabbccdd"
    made = brand.api("POST", "/distributions", mail(contact, cxb_marker=marker))["id"]
    (sent,) = brand.world.journal.effects("invitation.sent")
    assert (sent.key, sent.detail["to"], sent.detail["embedded"]) == (made, ["mia@globex.test"], {"cxb_marker": marker})
    (listed,) = brand.api("GET", "/distributions", surveyId=RELATION)["elements"]
    assert (listed["embeddedData"], listed["stats"]["sent"], listed["requestType"]) == (
        {"cxb_marker": marker},
        1,
        "Invite",
    )
    brand.api("GET", "/distributions", status=400)
    brand.api("GET", f"/distributions/{made}", surveyId=RELATION)
    assert brand.api("GET", "/distributions/EMD_nobody", status=404, surveyId=RELATION)["errorCode"] == "GED_3"
    assert list(verdict.markers(sent.detail)) == [marker]


def test_who_has_unsubscribed_gets_no_mail(brand: Brand) -> None:
    contact = brand.people("POST", "contacts", {"email": "mia@globex.test"})["contactId"]
    brand.people("PATCH", "contacts/mia@globex.test", {"unsubscribed": True})
    brand.api("POST", "/distributions", mail(contact))
    (sent,) = brand.world.journal.effects("invitation.sent")
    assert sent.detail["to"] == []
    assert brand.api("GET", "/distributions", surveyId=RELATION)["elements"][0]["stats"]["skipped"] == 1


@pytest.mark.parametrize("part", ["message", "header", "surveyLink", "recipients"])
def test_a_mail_needs_its_parts(brand: Brand, part: str) -> None:
    contact = brand.people("POST", "contacts", {"email": "mia@globex.test"})["contactId"]
    brand.api("POST", "/distributions", {**mail(contact), part: {}}, status=400)
    assert brand.world.journal.effects("invitation.sent") == []


def test_links_are_no_mail(brand: Brand) -> None:
    body = {"action": "CreateDistribution", "surveyId": RELATION, "linkType": "Individual", "mailingListId": "CG_1"}
    brand.api("POST", "/distributions", body)
    assert brand.world.journal.effects("invitation.sent") == []
    assert brand.api("GET", "/distributions", surveyId=RELATION)["elements"][0]["requestType"] == "GeneratedInvite"


def test_tickets_are_a_licence_of_their_own(start: Callable[..., Brand]) -> None:
    assert start(ticketing=False).api("GET", "/tickets", status=403)["errorCode"] == "TIK_1.1"
    brand = start()
    (made,) = brand.answers(2)
    key = brand.people("POST", "tickets", {"name": "Detractor", "response": made})["key"]
    brand.api("PUT", f"/tickets/{key}", {"status": 1, "comment": "Called."})
    told = brand.api("GET", f"/tickets/{key}")
    assert (told["status"], told["followUpDetails"]) == (1, {"surveyId": RELATION, "responseId": made})
    brand.api("PUT", f"/tickets/{key}", {"status": "1"}, status=400)
    brand.api("PUT", f"/tickets/{key}", {}, status=400)
    assert len(brand.api("GET", "/tickets", allTickets="true")["elements"]) == 1


# -- events ----------------------------------------------------------------------------------------------------------


def test_subscriptions_come_and_go(brand: Brand) -> None:
    body = {
        "topics": f"surveyengine.completedResponse.{RELATION}",
        "publicationUrl": "http://127.0.0.1:1/x",
        "encrypt": False,
    }
    made = brand.api("POST", "/eventsubscriptions", body)["id"]
    told = brand.api("GET", f"/eventsubscriptions/{made}")
    assert (told["topics"], told["successfulCalls"], told["encrypted"]) == (body["topics"], 0, False)
    assert "sharedKey" not in told
    assert len(brand.api("GET", "/eventsubscriptions")["elements"]) == 1
    brand.api("DELETE", f"/eventsubscriptions/{made}")
    assert brand.api("GET", f"/eventsubscriptions/{made}", status=404)["errorCode"] == "ESSG_2"
    brand.api("POST", "/eventsubscriptions", {"topics": "x"}, status=400)


def test_faults_speak_as_the_brand_does(brand: Brand) -> None:
    brand.world.faults.add("rate_limited", "qualtrics", retry_after=7)
    assert brand.api("GET", "/surveys", status=429)["errorCode"] == "SANDBOX_429"
    brand.world.faults.add("status", "qualtrics", code=503)
    brand.api("GET", "/surveys", status=503)


# -- people ----------------------------------------------------------------------------------------------------------


def test_thousands_of_answers_are_loaded_at_once(brand: Brand) -> None:
    rows = [
        {
            "survey": SUPPORT,
            "score": 1 + n % 5,
            "verbatim": f"Answer {n}",
            "recorded": f"2026-04-{1 + n % 28:02d}T10:00:00Z",
        }
        for n in range(3000)
    ]
    assert len(brand.people("POST", "responses/bulk", {"rows": rows})["loaded"]) == 3000
    assert len(brand.rows(SUPPORT)) == 3000
    assert brand.world.hooks.sent() == []


def test_a_company_file_fills_the_brand(brand: Brand) -> None:
    rows: list[dict[str, Any]] = [
        {
            "kind": "qualtrics.survey",
            "id": "SV_churnCSAT000001",
            "name": "Leaving",
            "metric": "csat",
            "direction": "down",
        },
        {
            "kind": "qualtrics.contact",
            "email": "mia@globex.test",
            "name": "Mia Lee",
            "account": "HL-1",
            "contact_ok": True,
        },
        {"kind": "qualtrics.response", "survey": "SV_churnCSAT000001", "score": 5, "email": "mia@globex.test"},
        {"kind": "qualtrics.ticket", "name": "Call her"},
    ]
    counts = seed.load_text(brand.world, "\n".join(map(json.dumps, rows)))
    assert counts == {row["kind"]: 1 for row in rows}
    assert brand.state.surveys["SV_churnCSAT000001"].questions["QID1"].codes["5"] == "Very dissatisfied"
    assert brand.people("GET", "state")["responses"] == 1


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "qualtrics.poll"},
        {"kind": "qualtrics.survey", "id": "SV_1", "metric": "love"},
        {"kind": "qualtrics.survey", "id": "SV_1", "colour": "red"},
        {"kind": "qualtrics.survey", "id": "SV_1", "metric": "csat", "scale": [1, 3], "labels": ["a"]},
        {"kind": "qualtrics.contact", "mail": "x"},
        {"kind": "qualtrics.response", "survey": "SV_nobody"},
        {"kind": "qualtrics.response", "contact": "CID_nobody"},
        {"kind": "qualtrics.response", "recorded": "soon"},
    ],
)
def test_a_row_that_cannot_be_is_told_with_its_place(brand: Brand, row: dict[str, Any]) -> None:
    with pytest.raises(seed.SeedError, match="request body:1"):
        seed.load_text(brand.world, json.dumps(row))


def test_a_mistake_of_a_person_is_told(brand: Brand) -> None:
    assert "there is no survey" in brand.people("POST", "responses", {"survey": "SV_nobody"}, status=400)["error"]
    assert "there is no GET nonsense" in brand.people("GET", "nonsense", status=400)["error"]
    assert "qualtrics options" in brand.people("PATCH", "options", {"speed": 1}, status=400)["error"]


def test_equal_seeds_give_equal_ids(start: Callable[..., Brand]) -> None:
    one, other = start(), start()
    assert one.answers(3, 4) == other.answers(3, 4)
    assert one.state.directory_id == other.state.directory_id
