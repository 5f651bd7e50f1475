"""The third-party client QualtricsAPI, unmodified, at work against the simulated brand.

It speaks to `https://{data center}.qualtrics.com` with functions of `requests` that make a session each time; only the adapter of
those sessions is another one, which leads here.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.surveys import RELATION, SUPPORT
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

from .conftest import NOW

# The client takes tokens of 40 letters only.
TOKEN = "sandbox-token-of-the-forty-letters-wanted"[:40]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


class ToLoopback(HTTPAdapter):
    """Sends what is meant for the vendor's host to the sandbox."""

    def __init__(self, url):
        super().__init__()
        self._target = urlsplit(url)

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        assert urlsplit(request.url).hostname == "iad1.qualtrics.com"
        request.url = urlsplit(request.url)._replace(scheme="http", netloc=self._target.netloc).geturl()
        request.headers["Host"] = "iad1.qualtrics.com"
        return super().send(request, stream, timeout, verify, cert, {})


@pytest.fixture
def brand(monkeypatch) -> Iterator[Sandbox]:
    client = pytest.importorskip(
        "QualtricsAPI", reason="the third-party client is not installed: install cxbridge[dev]"
    )
    del client
    world = World(
        clock=SandboxClock(NOW, frozen=True),
        options={"qualtrics": {"tokens": [TOKEN], "export_seconds": 0, "export_lag": 0, "survey_page": 2}},
    )
    with Sandbox(world, vendors=("qualtrics",)) as sandbox:
        state = held(sandbox)
        adapter = ToLoopback(sandbox.url("qualtrics"))
        monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: adapter)
        for name, value in (("token", TOKEN), ("data_center", "iad1"), ("directory_id", state.directory_id)):
            monkeypatch.setenv(name, value)
        yield sandbox
        adapter.close()


def held(sandbox: Sandbox) -> BrandState:
    vendor: Any = sandbox.world.vendors["qualtrics"]
    state: BrandState = vendor.state
    return state


@pytest.fixture
def ui(brand: Sandbox) -> Callable[..., Any]:
    def do(method: str, path: str, **body: Any) -> Any:
        return brand.world.vendors["qualtrics"].control(method, path, body)[1]

    return do


def of(module: str, name: str) -> Any:
    """One of the client's classes, ready for use."""
    return getattr(importlib.import_module(f"QualtricsAPI.{module}"), name)()


def test_surveys_are_listed_over_all_pages(brand, ui):
    ui("POST", "surveys", id="SV_quiet0000000001", name="Old")
    ui("POST", "surveys", id="SV_quiet0000000002", name="Older")

    found = of("Users", "Surveys").list_user_surveys()

    assert len(set(found["id"])) == 5
    asked = [one.query for one in brand.world.journal.requests("qualtrics") if one.path.endswith("/surveys")]
    assert asked == ["", "offset=2", "offset=4"]


def test_responses_are_exported_as_a_table(brand, ui):
    ui("POST", "responses", survey=RELATION, score=3, verbatim="The export fails", account="HL-1001")
    ui("POST", "responses", survey=RELATION, score=10, verbatim='"Great", they said')
    brand.world.clock.advance(60)

    found = of("Survey", "Responses").get_survey_responses(survey=RELATION)

    assert list(found["Q1"][2:]) == ["3", "10"]
    assert list(found["Q2"][2:]) == ["The export fails", '"Great", they said']
    assert json.loads(found["Q1"][1]) == {"ImportId": "QID1"}
    assert found["accountId"][2] == "HL-1001"


def test_a_window_of_time_ends_before_its_end(brand, ui):
    for minute in (0, 1, 2):
        ui("POST", "responses", survey=RELATION, score=minute, recorded=f"2026-05-01T10:0{minute}:00Z")

    found = of("Survey", "Responses").get_survey_responses(
        survey=RELATION, startDate="2026-05-01T10:00:00Z", endDate="2026-05-01T10:02:00Z"
    )

    assert list(found["Q1"][2:]) == ["0", "1"]


def test_a_single_response_and_its_embedded_data(brand, ui):
    made = ui("POST", "responses", survey=SUPPORT, score=2, verbatim="Slow")["id"]
    responses = of("Survey", "Responses")

    assert responses.get_survey_response(survey=SUPPORT, response=made)["values"]["QID1"] == 2
    responses.update_survey_response_embedded_data(
        survey=SUPPORT, response_id=made, embedded_data={"jiraKey": "OPS-12"}
    )

    assert responses.get_survey_response(survey=SUPPORT, response=made)["values"]["jiraKey"] == "OPS-12"
    (effect,) = brand.world.journal.effects("response.updated")
    assert effect.detail == {"embedded": {"jiraKey": "OPS-12"}, "reset": False}


def test_contacts_and_mailing_lists(brand):
    directory, lists = of("XM", "XMDirectory"), of("XM", "MailingList")
    contact = directory.create_contact_in_XM(
        first_name="Mia",
        last_name="Lee",
        email="mia@globex.test",
        language="de",
        external_ref="zd-1",
        metadata={"plan": "pro"},
    )
    name, group = lists.create_list("Beta testers")
    listed, lookup = lists.create_contact_in_list(mailing_list=group, first_name="Bo", email="bo@globex.test")

    assert name == "Beta testers"
    assert set(directory.list_contacts_in_directory()["contactId"]) == {contact, listed}
    assert directory.get_contact(contact_id=contact)["email"][0] == "mia@globex.test"
    assert list(lists.list_contacts(mailing_list=group)["email"]) == ["bo@globex.test"]
    assert lookup.startswith("CGC_")
    assert list(lists.list_lists()["contactCount"]) == [1]


def test_a_distribution_is_sent_and_listed(brand):
    lists, distributions = of("XM", "MailingList"), of("Survey", "Distributions")
    _, group = lists.create_list("Customers")
    lists.create_contact_in_list(mailing_list=group, first_name="Bo", email="bo@globex.test")

    made = distributions.create_distribution(
        subject="How did we do?",
        reply_email="care@harbourlight.example",
        from_email="care@harbourlight.example",
        from_name="Harbourlight",
        mailing_list=group,
        library="UR_sandboxlibrary1",
        survey=RELATION,
        message="MS_sandboxmessage1",
        send_date="2026-05-06T09:00:00Z",
    )

    (sent,) = brand.world.journal.effects("invitation.sent")
    assert (sent.key, sent.detail["to"]) == (made, ["bo@globex.test"])
    assert list(distributions.list_distributions(RELATION)["id"]) == [made]


def test_a_wrong_token_is_told(brand, monkeypatch, capsys):
    monkeypatch.setenv("token", "x" * 40)

    of("Survey", "Responses").get_survey_response(survey=RELATION, response="R_" + "0" * 15)

    assert "401 - Unauthorized" in capsys.readouterr().out
