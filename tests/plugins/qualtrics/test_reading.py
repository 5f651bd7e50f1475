"""Surveys, contacts, distributions and tickets are read whole, with what they side-load, and refused in words."""

from collections.abc import Callable

import pytest

from cxbridge.core import connector as cx

from .conftest import (
    API,
    NPS,
    POOL,
    SURVEY,
    WORDS,
    Desk,
    answer,
    contact,
    definition,
    listed,
    rated,
    refuse,
    survey_row,
)

OTHER = "SV_1otherSurvey0001"


def test_surveys_come_with_what_they_measure_and_only_when_they_changed(desk: Desk) -> None:
    listing = desk.router.get(f"{API}/surveys")
    listing.mock(return_value=listed(survey_row(OTHER, lastModified="2026-05-03T00:00:00Z"), survey_row()))
    definitions = desk.router.get(url__regex=r"/survey-definitions/")
    definitions.mock(return_value=answer(definition(NPS, WORDS)))
    (page,) = desk.pages("surveys")
    assert [one.source_id for one in page.entities] == [SURVEY, OTHER], "the oldest change first"
    found = page.entities[0]
    assert isinstance(found, cx.Survey)
    assert (found.kind, found.score_question, found.verbatim_question, found.active) == ("nps", "QID1", "QID2", True)
    assert [(one.question, one.sort) for one in found.questions] == [("QID1", "nps"), ("QID2", "text")]
    assert desk.pages("surveys", page.cursor) == []
    asked = definitions.call_count
    listing.mock(return_value=listed(survey_row(OTHER, lastModified="2026-05-05T00:00:00Z"), survey_row()))
    (again,) = desk.pages("surveys", page.cursor)
    assert [one.source_id for one in again.entities] == [OTHER]
    assert definitions.call_count == asked + 1


def test_a_survey_that_is_shared_late_is_not_passed(desk: Desk) -> None:
    """It may have been changed long before anything that was read already."""
    listing = desk.router.get(f"{API}/surveys")
    desk.router.get(url__regex=r"/survey-definitions/").mock(return_value=answer(definition()))
    listing.mock(return_value=listed(survey_row()))
    (page,) = desk.pages("surveys")
    listing.mock(return_value=listed(survey_row(), survey_row(OTHER, lastModified="2019-01-01T00:00:00Z")))
    (late,) = desk.pages("surveys", page.cursor)
    assert [one.source_id for one in late.entities] == [OTHER]


def test_a_survey_whose_definition_is_not_shared_is_kept_by_its_name(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row()))
    desk.router.get(f"{API}/survey-definitions/{SURVEY}").mock(return_value=refuse(403, "QMST_2.1"))
    (page,) = desk.pages("surveys")
    (found,) = page.entities
    assert isinstance(found, cx.Survey)
    assert (found.name, found.kind, found.questions) == ("Support CSAT", "survey", [])


def test_one_survey_looks_as_in_the_list(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row()))
    desk.router.get(f"{API}/survey-definitions/{SURVEY}").mock(return_value=answer(definition(rated("Satisfied?"))))
    row = survey_row()
    compact = {**row, "lastModifiedDate": row["lastModified"], "questions": {}}
    del compact["lastModified"]
    place = desk.router.get(f"{API}/surveys/{SURVEY}")
    place.mock(return_value=answer(compact))
    page = desk.one("surveys", SURVEY)
    assert page is not None
    assert page.entities == desk.pages("surveys")[0].entities
    place.mock(return_value=refuse(403, "QMST_2.1"))
    assert desk.one("surveys", SURVEY) is None


def test_the_default_directory_is_taken_where_none_is_named(connect: Callable[..., Desk]) -> None:
    desk = connect()
    directories = desk.router.get(f"{API}/directories")
    directories.mock(
        return_value=listed({"directoryId": "POOL_2", "isDefault": False}, {"directoryId": POOL, "isDefault": True})
    )
    desk.router.get(f"{API}/directories/{POOL}/contacts").mock(return_value=listed(contact()))
    (page,) = desk.pages("contacts")
    assert [one.source_id for one in page.entities] == ["CID_3kQxYzAbCdEfGhI"]
    directories.mock(return_value=listed({"directoryId": "POOL_2"}, {"directoryId": "POOL_3"}))
    with pytest.raises(cx.Rejected, match="no default XM Directory"):
        desk.pages("contacts")
    directories.mock(return_value=listed({"directoryId": POOL, "isDefault": None}))
    assert len(desk.pages("contacts")) == 1, "the only one is meant"


def test_contacts_bring_their_accounts_and_bad_ones_are_refused(desk: Desk) -> None:
    desk.router.get(f"{API}/directories/{POOL}/contacts").mock(
        return_value=listed(
            contact(), contact("CID_2", email=["x"]), {"firstName": "Nobody"}, contact("CID_4", extRef=None)
        )
    )
    (page,) = desk.pages("contacts")
    assert [one.source_id for one in page.entities] == ["CID_3kQxYzAbCdEfGhI", "CID_4"]
    assert [one.source_id for one in page.beside["accounts"]] == ["1P02AAAA"]
    assert sorted(page.refused) == ["a contact has no id", "a contact is not of the expected form at $.email"]
    assert desk.sent[0][1] == f"/directories/{POOL}/contacts?pageSize=50&useNewPaginationScheme=true"


def test_one_contact(desk: Desk) -> None:
    place = desk.router.get(f"{API}/directories/{POOL}/contacts/CID_1")
    place.mock(return_value=answer(contact("CID_1")))
    page = desk.one("contacts", "CID_1")
    assert page is not None
    assert page.entities[0].source_id == "CID_1"
    place.mock(return_value=refuse(404, "DIR_3"))
    assert desk.one("contacts", "CID_1") is None


def test_distributions_are_read_survey_by_survey_and_a_closed_door_stops_nothing(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row(), survey_row(OTHER)))
    place = desk.router.get(f"{API}/distributions", params={"surveyId": SURVEY, "useNewPaginationScheme": "true"})
    place.mock(return_value=refuse(403, "QMST_2.1"))
    desk.router.get(f"{API}/distributions", params={"surveyId": OTHER}).mock(return_value=listed({"id": "EMD_1"}))
    (page,) = desk.pages("distributions")
    assert [one.source_id for one in page.entities] == ["EMD_1"]
    assert [reason.partition(":")[0] for reason in page.refused] == [
        f"the distributions of survey {SURVEY} cannot be read"
    ]


def test_tickets_are_told_as_not_licensed_and_do_not_stop_the_daemon(desk: Desk) -> None:
    place = desk.router.get(f"{API}/tickets")
    place.mock(return_value=listed({"key": "TK-1", "name": "x", "status": 0}, {"key": "TK-2", "status": "open"}))
    (page,) = desk.pages("tickets")
    assert [one.source_id for one in page.entities] == ["TK-1"]
    assert page.refused == ["a ticket is not of the expected form at $.status"]
    place.mock(return_value=refuse(403, "TIK_1.1"))
    (told,) = desk.pages("tickets")
    assert told.refused == [
        "tickets cannot be read: ticketing is a licence of its own (TIK_1.1); set tickets = false if this brand has none"
    ]
    place.mock(return_value=refuse(403, "OTHER"))
    with pytest.raises(cx.Rejected):
        desk.pages("tickets")
