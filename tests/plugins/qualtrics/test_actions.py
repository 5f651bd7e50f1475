"""Writes send what differs, once, and what cannot be done safely is refused before anything is sent."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import errors, people

from .conftest import API, KEY, MARKER, POOL, RESPONSE, SURVEY, Desk, answer, contact, listed, refuse, response

EMAIL = "ines.duarte@northwind.example"
HOW = {
    "library": "UR_1",
    "message": "MS_1",
    "from_email": "surveys@harbourlight.example",
    "from_name": "Harbourlight",
    "subject": "How did we do?",
}
SEARCH = f"{API}/directories/{POOL}/contacts/search"


@pytest.fixture
def desk(connect: Callable[..., Desk]) -> Desk:
    made = connect(directory=POOL, invite=HOW, ticket_statuses={"2": "closed"}, ticket_priorities={"2": "high"})
    made.router.post(SEARCH).mock(return_value=listed(contact()))
    return made


def invite(**changed: Any) -> cx.Invite:
    return cx.Invite(**{"survey": SURVEY, "email": EMAIL, **changed})


# -- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_is_one_mail_to_one_contact_with_the_marker_in_it(desk: Desk) -> None:
    desk.router.post(f"{API}/distributions").mock(return_value=answer({"id": "EMD_1"}))
    receipt = desk.perform("survey.invite_once", invite(account="HL-1001", attributes={"ticketId": "45121"}))
    ((method, path, body),) = desk.writes
    assert (method, path) == ("POST", "/distributions")
    assert body == {
        "message": {"libraryId": "UR_1", "messageId": "MS_1"},
        "recipients": {"contactId": "CID_3kQxYzAbCdEfGhI"},
        "header": {
            "fromEmail": "surveys@harbourlight.example",
            "fromName": "Harbourlight",
            "replyToEmail": "surveys@harbourlight.example",
            "subject": "How did we do?",
        },
        "surveyLink": {"surveyId": SURVEY, "type": "Individual", "expirationDate": "2026-06-05T08:46:13Z"},
        "embeddedData": {"ticketId": "45121", "accountId": "HL-1001", "cxb_marker": MARKER},
        "sendDate": "2026-05-06T08:46:13Z",
    }
    assert (receipt.stream, receipt.key, receipt.made) == ("distributions", "EMD_1", ("distributions/EMD_1",))
    assert receipt.wrote["marker"] == MARKER


def test_an_invitation_is_never_repeated_in_line(desk: Desk) -> None:
    desk.router.post(f"{API}/distributions").mock(side_effect=httpx.ReadTimeout("no answer"))
    with pytest.raises(cx.Retryable) as caught:
        desk.perform("survey.invite_once", invite())
    assert caught.value.sent
    assert len(desk.writes) == 1


def test_a_lost_invitation_is_found_by_its_marker_on_any_page(desk: Desk) -> None:
    other = {"id": "EMD_1", "embeddedData": {"cxb_marker": "cxb:another"}}
    ours = {"id": "EMD_2", "embeddedData": {"cxb_marker": MARKER}, "recipients": {"contactId": "CID_3"}}
    place = desk.router.get(f"{API}/distributions")
    place.mock(
        side_effect=[
            listed(other, next_page=f"{API}/distributions?skipToken=a"),
            listed(next_page="?skipToken=b"),
            listed(ours),
        ]
    )
    found = desk.find("survey.invite_once", invite())
    assert found is not None
    assert (found.key, found.wrote["contact"]) == ("EMD_2", "contacts/CID_3")
    place.mock(side_effect=[listed(other)])
    assert desk.find("survey.invite_once", invite()) is None
    place.mock(side_effect=[listed({"id": 7})])
    with pytest.raises(cx.WireFormat, match="could not be read"):
        desk.find("survey.invite_once", invite())


def test_who_may_not_look_does_not_take_an_invitation_for_one_that_was_not_sent(desk: Desk) -> None:
    place = desk.router.get(f"{API}/distributions")
    place.mock(side_effect=[refuse(403, "OTHER"), refuse(403, "QMST_2.1")])
    with pytest.raises(errors.Forbidden):
        desk.find("survey.invite_once", invite())
    assert desk.find("survey.invite_once", invite()) is None, "a survey that is not there is sent to nobody"


def test_somebody_new_is_made_a_contact_first_and_invited_by_the_next_call(desk: Desk) -> None:
    desk.router.post(SEARCH).mock(side_effect=[listed(), listed(contact())])
    desk.router.post(f"{API}/directories/{POOL}/contacts").mock(return_value=answer({"id": "CID_9"}))
    desk.router.post(f"{API}/distributions").mock(return_value=answer({"id": "EMD_1"}))
    wanted = invite(name="Ines Duarte", language="pt", account="HL-1001")
    with pytest.raises(cx.Retryable) as caught:
        desk.perform("survey.invite_once", wanted)
    assert not caught.value.sent, "no mail was sent, so the engine calls again"
    assert caught.value.retry_at == desk.client.now + timedelta(seconds=people.SETTLE), "when a search shows them"
    ((_, path, body),) = desk.writes
    assert path == f"/directories/{POOL}/contacts"
    assert body == {
        "email": EMAIL,
        "firstName": "Ines",
        "lastName": "Duarte",
        "language": "pt",
        "embeddedData": {"accountId": "HL-1001", "cxb_marker": MARKER},
    }
    assert desk.perform("survey.invite_once", wanted).key == "EMD_1"
    assert len(desk.writes) == 2


def test_somebody_new_becomes_a_member_of_the_list_that_the_mail_goes_through(connect: Callable[..., Desk]) -> None:
    desk = connect(directory=POOL, invite={**HOW, "mailing_list": "CG_1"})
    desk.router.post(SEARCH).mock(side_effect=[listed(), listed(contact())])
    place = f"/directories/{POOL}/mailinglists/CG_1/contacts"
    desk.router.post(f"{API}{place}").mock(return_value=answer({"id": "CGC_9", "contactId": "CID_9"}))
    desk.router.post(f"{API}/distributions").mock(return_value=answer({"id": "EMD_1"}))
    with pytest.raises(cx.Retryable):
        desk.perform("survey.invite_once", invite())
    desk.perform("survey.invite_once", invite())
    assert [path for _, path, _ in desk.writes] == [place, "/distributions"]
    assert desk.writes[1][2]["recipients"] == {"mailingListId": "CG_1", "contactId": "CID_3kQxYzAbCdEfGhI"}


@pytest.mark.parametrize("off", [{"unsubscribed": True}, {"unsubscribed": "1"}, {"directoryUnsubscribed": True}])
def test_who_has_unsubscribed_is_left_alone(desk: Desk, off: dict[str, Any]) -> None:
    desk.router.post(SEARCH).mock(return_value=listed(contact(**off)))
    with pytest.raises(cx.Rejected, match="has unsubscribed"):
        desk.perform("survey.invite_once", invite())
    assert desk.writes == []


@pytest.mark.parametrize(
    ("settings", "inputs", "told"),
    [
        ({"invite": None}, {}, "no message is configured"),
        ({"invite": {**HOW, "surveys": ["SV_other"]}}, {}, "not among invite.surveys"),
        ({"invite": HOW}, {"attributes": {f"n{at}": "x" for at in range(10)}}, "takes 10 values"),
        ({"invite": HOW}, {"attributes": {"x": "y" * 1001}}, "values up to 1000"),
        ({"invite": HOW}, {"attributes": {"CXB_marker": "y"}}, "choose another"),
    ],
)
def test_what_may_not_be_sent_is_refused_before_anything_is(
    connect: Callable[..., Desk], settings: dict[str, Any], inputs: dict[str, Any], told: str
) -> None:
    desk = connect(directory=POOL, **settings)
    with pytest.raises(cx.Rejected, match=told):
        desk.perform("survey.invite_once", invite(**inputs))
    assert desk.sent == []


def test_the_mailing_list_goes_along_where_the_brand_wants_one(connect: Callable[..., Desk]) -> None:
    desk = connect(directory=POOL, invite={**HOW, "mailing_list": "CG_1", "reply_to": "care@harbourlight.example"})
    desk.router.post(SEARCH).mock(return_value=listed(contact()))
    desk.router.post(f"{API}/distributions").mock(return_value=answer({"id": "EMD_1"}))
    desk.perform("survey.invite_once", invite())
    body = desk.writes[0][2]
    assert body["recipients"] == {"mailingListId": "CG_1", "contactId": "CID_3kQxYzAbCdEfGhI"}
    assert body["header"]["replyToEmail"] == "care@harbourlight.example"


# -- responses -------------------------------------------------------------------------------------------------------


def test_only_what_differs_is_kept_beside_an_answer_and_the_time_is_not_reset(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys/{SURVEY}/responses/{RESPONSE}").mock(
        return_value=answer(response(JiraKey="OPS-11"))
    )
    desk.router.put(f"{API}/responses/{RESPONSE}").mock(return_value=answer())
    wanted = cx.SetResponse(attributes={"jiraKey": "OPS-12", "ticketId": "45121", "owner": "mia"})
    receipt = desk.perform("response.set", wanted, KEY)
    ((_, _, body),) = desk.writes
    assert body == {
        "surveyId": SURVEY,
        "embeddedData": {"JiraKey": "OPS-12", "owner": "mia"},
        "resetRecordedDate": False,
    }
    assert receipt.wrote == {
        "attributes": {"ticketId": "45121", "accountId": "1P02AAAA", "JiraKey": "OPS-12", "owner": "mia"}
    }


def test_what_is_there_already_is_not_written(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys/{SURVEY}/responses/{RESPONSE}").mock(return_value=answer(response()))
    receipt = desk.perform("response.set", cx.SetResponse(attributes={"TICKETID": "45121", "gone": ""}), KEY)
    assert (receipt.changed, receipt.wrote) == (False, {})
    assert desk.writes == []


@pytest.mark.parametrize("given", [{"x" * 201: "y"}, {"x": "y" * 1001}, {"": "y"}, {"cxb_marker": "y"}])
def test_what_cannot_be_kept_is_refused(desk: Desk, given: dict[str, str]) -> None:
    with pytest.raises(cx.Rejected):
        desk.perform("response.set", cx.SetResponse(attributes=given), KEY)
    assert desk.sent == []


def test_an_answer_that_is_gone_is_told(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys/{SURVEY}/responses/{RESPONSE}").mock(return_value=refuse(404, "RGR_3"))
    with pytest.raises(cx.NotFound):
        desk.perform("response.set", cx.SetResponse(attributes={"a": "b"}), KEY)


# -- contacts --------------------------------------------------------------------------------------------------------


def test_a_known_person_is_changed_where_something_differs(desk: Desk) -> None:
    desk.router.put(f"{API}/directories/{POOL}/contacts/CID_3kQxYzAbCdEfGhI").mock(return_value=answer())
    wanted = cx.SetContact(
        email=EMAIL.upper(), name="Ines Duarte Silva", language="EN", account="1P02AAAA", custom={"PLAN": "pro"}
    )
    receipt = desk.perform("contact.set", wanted)
    ((_, _, body),) = desk.writes
    assert body == {
        "lastName": "Duarte Silva",
        "embeddedData": {"accountId": "1P02AAAA", "plan": "pro", "cxb_marker": MARKER},
    }
    assert receipt.wrote["name"] == "Ines Duarte Silva"
    assert receipt.wrote["custom"] == {"accountId": "1P02AAAA", "plan": "pro"}
    assert receipt.made == ()


def test_a_person_who_is_as_wanted_is_left_alone(desk: Desk) -> None:
    receipt = desk.perform("contact.set", cx.SetContact(email=EMAIL, name="Ines Duarte", language="en"))
    assert (receipt.key, receipt.changed) == ("CID_3kQxYzAbCdEfGhI", False)
    assert desk.writes == []


def test_somebody_new_is_made_under_the_marker(desk: Desk) -> None:
    desk.router.post(SEARCH).mock(return_value=listed(contact(email="other@northwind.example")))
    desk.router.post(f"{API}/directories/{POOL}/contacts").mock(return_value=answer({"id": "CID_9"}))
    receipt = desk.perform("contact.set", cx.SetContact(email=EMAIL, name="Ines"))
    assert desk.writes[0][2] == {
        "email": EMAIL,
        "firstName": "Ines",
        "lastName": "",
        "embeddedData": {"cxb_marker": MARKER},
    }
    assert (receipt.key, receipt.made) == ("CID_9", ("contacts/CID_9",))


def test_of_several_with_one_address_the_same_is_meant_every_time(desk: Desk) -> None:
    desk.router.post(SEARCH).mock(return_value=listed(contact("CID_b"), contact("CID_a"), {"email": EMAIL}))
    assert desk.perform("contact.set", cx.SetContact(email=EMAIL)).key == "CID_a"


def test_a_contact_that_cannot_be_read_is_not_taken_for_nobody(desk: Desk) -> None:
    desk.router.post(SEARCH).mock(return_value=listed({**contact(), "firstName": ["Ines"]}))
    for name, inputs in (("contact.set", cx.SetContact(email=EMAIL)), ("survey.invite_once", invite())):
        with pytest.raises(cx.WireFormat, match="1 contacts of the address could not be read"):
            desk.perform(name, inputs)
    assert desk.writes == []


def test_a_lost_write_of_a_contact_is_found_by_its_marker_alone(desk: Desk) -> None:
    assert desk.find("contact.set", cx.SetContact(email=EMAIL)) is None
    desk.router.post(SEARCH).mock(return_value=listed(contact(), contact("CID_9", embeddedData={"cxb_marker": MARKER})))
    found = desk.find("contact.set", cx.SetContact(email=EMAIL))
    assert found is not None
    assert found.key == "CID_9"


@pytest.mark.parametrize(
    "inputs",
    [{"title": "CTO"}, {"custom": {"tags": ["a"]}}, {"custom": {"x": {"y": 1}}}, {"custom": {"cxb_marker": "x"}}],
)
def test_what_a_contact_does_not_have_is_refused(desk: Desk, inputs: dict[str, Any]) -> None:
    with pytest.raises(cx.Rejected):
        desk.perform("contact.set", cx.SetContact(email=EMAIL, **inputs))
    assert desk.writes == []


# -- tickets ---------------------------------------------------------------------------------------------------------

TICKET = {"key": "TK-1", "name": "Detractor", "ownerId": "UR_1", "status": 0, "priority": 2}


def test_a_ticket_is_changed_by_the_numbers_that_are_configured(desk: Desk) -> None:
    desk.router.get(f"{API}/tickets/TK-1").mock(return_value=answer(TICKET))
    desk.router.put(f"{API}/tickets/TK-1").mock(return_value=answer())
    wanted = cx.SetTicket(status_category="closed", priority="high", subject="Detractor", custom={"owner": "UR_2"})
    receipt = desk.perform("ticket.set", wanted, "TK-1")
    assert desk.writes[0][2] == {"status": 2, "ownerId": "UR_2"}
    assert receipt.wrote == {"status_category": "closed", "status_native": "2", "custom": {"owner": "UR_2"}}
    desk.router.get(f"{API}/tickets/TK-1").mock(return_value=answer({**TICKET, "status": 2, "ownerId": "UR_2"}))
    assert not desk.perform("ticket.set", wanted, "TK-1").changed


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"status_category": "open"}, "not configured.*ticket_statuses"),
        ({"priority": "urgent"}, "not configured.*ticket_priorities"),
        ({"note": "x", "note_visibility": "internal"}, "one more, also when it is sent twice"),
        ({"tags_add": ["x"]}, "no tags"),
        ({"custom": {"colour": "red"}}, "owner, ticketTeamId"),
        ({"custom": {"owner": None}}, "owner, ticketTeamId"),
    ],
)
def test_what_is_not_certain_about_tickets_fails_loudly(desk: Desk, inputs: dict[str, Any], told: str) -> None:
    with pytest.raises(cx.Rejected, match=told):
        desk.perform("ticket.set", cx.SetTicket(**inputs), "TK-1")
    assert desk.sent == []
