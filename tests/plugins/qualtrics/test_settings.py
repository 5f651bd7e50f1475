"""Settings are what people copy out of Qualtrics; what cannot work is refused before anything is sent."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import Qualtrics

from .conftest import AGREED, API, NPS, SURVEY, Desk, answer, definition, listed, rated, refuse, settings


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("az1", "https://az1.qualtrics.com/API/v3"),
        (" AZ1 ", "https://az1.qualtrics.com/API/v3"),
        ("fra1.qualtrics.com", "https://fra1.qualtrics.com/API/v3"),
        ("https://Acme.iad1.qualtrics.com/", "https://acme.iad1.qualtrics.com/API/v3"),
    ],
)
def test_a_data_center_is_read_as_people_write_it(given: str, base: str) -> None:
    endpoint = settings(datacenter=given).endpoint()
    assert endpoint.base_url == base
    assert endpoint.hosts == (".qualtrics.com",)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"datacenter": "az1/x"}, "a data center is named as"),
        ({"datacenter": "az1.evil.example"}, "a data center is named as"),
        ({"datacenter": "a.b.c"}, "a data center is named as"),
        ({"datacenter": ""}, "a data center is named as"),
        ({"url": "https://acme.az1.qualtrics.com"}, "either datacenter"),
        ({"datacenter": None, "url": "http://acme.example"}, "write https://"),
        ({"datacenter": None, "url": "https://acme.example/API/v3"}, "leave the path out"),
        ({"datacenter": None}, "either datacenter"),
        ({"client_id": "x"}, "one credential"),
        ({"api_token": None}, "one credential"),
        ({"api_token": None, "client_id": "x"}, "belong together"),
        ({"webhook_secret_old": "x"}, "give the new one too"),
        ({"account_field": "EMAIL"}, "the same name"),
        ({"overlap": "1m"}, "greater than or equal to 120"),
        ({"surveys": {"SV_1": {"question": "QID1"}}}, "needs its metric"),
        ({"surveys": {"SV_1": {"metric": "csat", "scale": [5, 1]}}}, "lowest, highest"),
        ({"surveys": {"SV_1": {"metric": "nps", "scale": [1, 5]}}}, "NPS is asked from 0 to 10"),
        ({"surveys": {"SV_1": {"metric": "nps", "direction": "down"}}}, "NPS rises"),
        ({"surveys": {"R_1": {}}}, "String should match"),
        ({"surveys": {"SV_1": {"metric": "csat", "question": "Q1"}}}, "String should match"),
        ({"invite": {"library": "UR_1"}}, "Field required"),
        ({"ticket_statuses": {"open": "0"}}, "ticket_statuses"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as caught:
        settings(**given)
    assert "a-fake-token" not in str(caught.value)


def test_only_qualtrics_own_hosts_are_followed() -> None:
    """A sandbox on this machine gives its token to nobody else."""
    assert settings(datacenter=None, url="http://127.0.0.1:8080").endpoint().hosts == ()
    assert settings(datacenter=None, url="https://surveys.acme.example").endpoint().hosts == ()
    assert settings(datacenter=None, url="https://acme.az1.qualtrics.com").endpoint().hosts == (".qualtrics.com",)


def test_without_tickets_there_is_neither_stream_nor_action() -> None:
    made = settings(tickets=False)
    assert "tickets" not in [stream.name for stream in made.streams()]
    assert "ticket.set" not in [action.name for action in made.actions()]
    assert "ticket.ensure" not in [action.name for action in settings().actions()], "its request is not confirmed"


def test_a_token_goes_into_its_own_header(desk: Desk) -> None:
    desk.router.get(f"{API}/whoami").mock(return_value=answer({"userId": "UR_1"}))
    desk.client.get("/whoami")
    sent = desk.router.calls.last.request.headers
    assert sent["x-api-token"] == "a-fake-token"
    assert "authorization" not in sent


def test_an_oauth_client_proves_itself_in_the_header(connect: Callable[..., Desk]) -> None:
    desk = connect(api_token=None, client_id="client-7", client_secret="a-fake-secret", scope="read:surveys")
    token = desk.router.post("https://az1.qualtrics.com/oauth2/token").respond(
        json={"access_token": "access-1", "token_type": "Bearer", "expires_in": 3599, "scope": "read:surveys"}
    )
    desk.router.get(f"{API}/whoami").mock(return_value=answer({"userId": "UR_1"}))
    desk.client.get("/whoami")
    asked = token.calls.last.request
    assert asked.content == b"grant_type=client_credentials&scope=read%3Asurveys"
    assert asked.headers["authorization"].startswith("Basic ")
    assert desk.router.calls.last.request.headers["authorization"] == "Bearer access-1"


def checked(desk: Desk) -> cx.Identity:
    return desk.qualtrics.check(desk.client)


def test_check_names_the_user_and_passes_the_notice_on(desk: Desk) -> None:
    notice = "Request proxied. For faster response times, use this host instead: co1.qualtrics.com"
    desk.router.get(f"{API}/whoami").mock(return_value=answer({"userId": "UR_1", "userName": "bridge"}, notice=notice))
    desk.router.get(f"{API}/surveys").mock(return_value=listed())
    found = checked(desk)
    assert found.name == "bridge"
    assert found.notices == (f"Qualtrics says: {notice}",)


def test_check_tells_a_wrong_token_from_a_missing_licence_and_from_a_wrong_host(desk: Desk) -> None:
    whoami = desk.router.get(f"{API}/whoami")
    whoami.mock(return_value=refuse(401, "AUTH_3", "Unrecognized X-API-TOKEN."))
    with pytest.raises(cx.Unauthorized, match="belongs to this data center"):
        checked(desk)
    whoami.mock(return_value=answer({"userId": "UR_1"}))
    desk.router.get(f"{API}/surveys").mock(return_value=refuse(403, "AUTH_7", "Your brand may not."))
    with pytest.raises(cx.Rejected, match="the brand's licence must include the API"):
        checked(desk)
    whoami.mock(side_effect=httpx.ConnectError("no such host"))
    with pytest.raises(cx.Retryable, match="check datacenter"):
        checked(desk)


def test_check_holds_the_settings_against_the_surveys(connect: Callable[..., Desk]) -> None:
    desk = connect(surveys={SURVEY: {"metric": "csat", "question": "QID3", "scale": [1, 7], "contact_ok": "QID5"}})
    desk.router.get(f"{API}/whoami").mock(return_value=answer({"userId": "UR_1"}))
    desk.router.get(f"{API}/surveys").mock(return_value=listed())
    place = desk.router.get(f"{API}/survey-definitions/{SURVEY}")
    place.mock(return_value=answer(definition(NPS, rated("Satisfied?"))))
    with pytest.raises(cx.Rejected, match=r"no question QID5.*codes from 1 to 5"):
        checked(desk)
    place.mock(return_value=refuse(403, "QMST_2.1"))
    with pytest.raises(cx.Rejected, match=f"survey {SURVEY} is not to be had"):
        checked(desk)
    seven = rated("Satisfied?", labels=[str(at) for at in range(1, 8)])
    place.mock(return_value=answer(definition(NPS, seven, AGREED)))
    assert checked(desk).name == "UR_1"


def test_the_settings_survive_being_written_down() -> None:
    made = settings(surveys={SURVEY: {"metric": "nps"}}, overlap="10m", settle=0)
    assert (made.overlap, made.settle) == (600, 0)
    assert Qualtrics.model_validate({**made.model_dump(), "api_token": "a-fake-token"}) == made
