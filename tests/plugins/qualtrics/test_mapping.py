"""Every response, contact, distribution and ticket becomes what the canonical model says, whatever form its values have."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.ledger import digest_of
from cxbridge.plugins.qualtrics import answers, mapping, scoring, values, wire
from cxbridge.plugins.qualtrics.answers import Told, Unreadable
from cxbridge.plugins.qualtrics.questions import instrument, questions

from .conftest import AGREED, KEY, NPS, SURVEY, WORDS, contact, definition, rated, response, settings

ASKED = (NPS, WORDS, AGREED, rated("Which matter to you?", QuestionID="QID4", Selector="MAVR"))


def tell(row: dict[str, Any], *asked: dict[str, Any], **rule: Any) -> Told:
    rules = settings(surveys={SURVEY: rule} if rule else {}).rules
    found = instrument(SURVEY, questions(msgspec.convert(definition(*(asked or ASKED)), wire.Definition)), rules)
    return answers.tell(msgspec.convert(row, wire.Response), SURVEY, found, rules)


def test_a_response_becomes_feedback() -> None:
    told = tell(response())
    found = told.feedback
    assert (found.source_id, found.source_key) == (KEY, "R_1aBcDeFgHiJkLmN")
    assert (found.kind, found.score, found.scale_min, found.scale_max, found.score_100) == ("nps", 3.0, 0.0, 10.0, 30.0)
    assert (found.band, found.verbatim, found.language, found.channel) == (
        "detractor",
        "Export keeps failing",
        "en",
        "email",
    )
    assert (found.survey, found.account) == (f"surveys/{SURVEY}", "accounts/1P02AAAA")
    assert (found.completed, found.excluded, found.anonymous, found.contact_ok) == (True, False, False, None)
    assert found.started_at == datetime(2026, 5, 4, 10, 12, 2, tzinfo=UTC)
    assert found.submitted_at == datetime(2026, 5, 4, 10, 15, 28, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 5, 4, 10, 15, 30, 146_000, tzinfo=UTC)
    assert found.attributes == {"ticketId": "45121", "accountId": "1P02AAAA"}
    assert found.ticket is None, "a ticket of another platform is no record of this connection"


def test_the_answers_keep_their_questions_and_labels() -> None:
    found = tell(response(QID5=1, QID4_4_TEXT="Colours", QID1_DO="3", QID9_FILE_ID="F_1")).feedback
    assert [(one.question, one.sort, one.value, one.label) for one in found.answers] == [
        ("QID1", "nps", 3, None),
        ("QID2_TEXT", "text", "Export keeps failing", None),
        ("QID4", "choice", ["1", "4"], "Speed, Price"),
        ("QID4_4_TEXT", "text", "Colours", None),
        ("QID5", "choice", 1, "Yes"),
    ]
    assert found.answers[0].text == "How likely are you to recommend us?"


def test_whoever_answered_is_there_with_the_answer() -> None:
    told = tell(response(accountName="Northwind"))
    assert told.respondent is not None
    assert told.feedback.contact == f"respondents/{told.respondent.source_id}"
    assert (told.respondent.name, told.respondent.emails) == ("Ines Duarte", ["ines.duarte@northwind.example"])
    assert (told.respondent.external_id, told.respondent.account) == ("45121", "accounts/1P02AAAA")
    assert "@" not in told.respondent.source_id
    assert told.account is not None
    assert (told.account.source_id, told.account.name, told.account.external_ids) == (
        "1P02AAAA",
        "Northwind",
        ["1P02AAAA"],
    )


@pytest.mark.parametrize(
    ("given", "drop", "contact", "anonymous"),
    [
        ({"Email": "a@b.example"}, ["recipientEmail"], f"respondents/{values.person_key('a@b.example')}", False),
        ({"RecipientID": "CID_1"}, ["recipientEmail"], "contacts/CID_1", False),
        ({"RecipientID": "MLRP_1"}, ["recipientEmail"], None, True),
        ({"email": "not an address"}, ["recipientEmail"], None, True),
        ({}, ["recipientEmail"], None, True),
    ],
)
def test_who_it_was_otherwise(given: dict[str, Any], drop: list[str], contact: str | None, anonymous: bool) -> None:
    found = tell(response(drop=drop, **given)).feedback
    assert (found.contact, found.anonymous) == (contact, anonymous)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"status": 1}, "preview"),
        ({"status": 2}, "test"),
        ({"status": "8"}, "possible spam"),
        ({"status": 256}, "synthetic"),
        ({"distributionChannel": "preview"}, "preview"),
        ({"distributionChannel": "test"}, "test"),
    ],
)
def test_what_is_not_real_is_kept_and_never_scored(given: dict[str, Any], why: str) -> None:
    found = tell(response(**given)).feedback
    assert (found.excluded, found.excluded_why, found.score, found.band, found.score_100) == (
        True,
        why,
        None,
        "none",
        None,
    )
    assert found.verbatim == "Export keeps failing"


@pytest.mark.parametrize("finished", [0, False, "0", "False", None])
def test_a_partial_answer_is_kept_and_never_scored(finished: Any) -> None:
    found = tell(response(finished=finished)).feedback
    assert (found.score, found.band, found.submitted_at) == (None, "none", None)
    assert found.completed is (None if finished is None else False)


@pytest.mark.parametrize("finished", [1, True, "1", "True"])
def test_a_finished_one_is_told_in_several_ways(finished: Any) -> None:
    assert tell(response(finished=finished)).feedback.completed is True


@pytest.mark.parametrize("status", [0, 4, 16])
def test_imported_and_offline_answers_count(status: int) -> None:
    assert tell(response(status=status)).feedback.score == 3.0


@pytest.mark.parametrize(
    ("score", "band"),
    [(0, "detractor"), (6, "detractor"), (7, "passive"), (8, "passive"), (9, "promoter"), (10, "promoter")],
)
def test_the_group_of_nps_is_recomputed(score: int, band: str) -> None:
    assert tell(response(QID1=score, QID1_NPS_GROUP=2)).feedback.band == band


@pytest.mark.parametrize("score", [11, -1, "many", None, True, float("nan"), [3]])
def test_a_score_that_is_not_on_the_scale_is_none(score: Any) -> None:
    row = response()
    row["values"]["QID1"] = score
    assert tell(row).feedback.score is None


def test_an_nps_score_as_text_counts() -> None:
    assert tell(response(QID1="9")).feedback.band == "promoter"


@pytest.mark.parametrize(
    ("code", "up", "down"),
    [
        (1, ("dissatisfied", 0.0), ("satisfied", 100.0)),
        (2, ("dissatisfied", 25.0), ("satisfied", 75.0)),
        (3, ("neutral", 50.0), ("neutral", 50.0)),
        (4, ("satisfied", 75.0), ("dissatisfied", 25.0)),
        (5, ("satisfied", 100.0), ("dissatisfied", 0.0)),
    ],
)
def test_the_direction_of_a_csat_scale_is_honoured(code: int, up: Any, down: Any) -> None:
    asked = rated("How satisfied are you?")
    for direction, expected in (("up", up), ("down", down)):
        found = tell(response(QID3=code), asked, metric="csat", question="QID3", direction=direction).feedback
        assert (found.band, found.score_100) == expected
        assert found.score == code, "the raw score stays as it was given"


@pytest.mark.parametrize(
    ("code", "band"), [(1, "high_effort"), (3, "high_effort"), (4, "neutral"), (5, "low_effort"), (7, "low_effort")]
)
def test_effort_has_bands_of_its_own(code: int, band: str) -> None:
    labels = [f"{at}" for at in range(1, 8)]
    assert tell(response(QID3=code), rated("It was easy", labels=labels)).feedback.band == band


def test_scales_of_other_lengths() -> None:
    assert [scoring.band("csat", score, (score - 1) / 9) for score in range(1, 11)] == [
        *["dissatisfied"] * 4,
        "neutral",
        "neutral",
        *["satisfied"] * 4,
    ]


@pytest.mark.parametrize(
    ("given", "labels", "rule", "agreed"),
    [
        ({}, {}, {}, None),
        ({"contactOk": "true"}, {}, {}, True),
        ({"CONTACTOK": "No"}, {}, {}, False),
        ({"contactOk": "perhaps"}, {}, {}, None),
        ({"contactOk": ""}, {}, {}, None),
        ({"QID5": 1}, {}, {}, None),
        ({"QID5": 1}, {}, {"contact_ok": "QID5"}, True),
        ({"QID5": 2}, {}, {"contact_ok": "QID5"}, False),
        ({"QID5": 2}, {"QID5": "Ja, gerne"}, {"contact_ok": "QID5"}, True),
        ({"QID5": 1}, {"QID5": "I would rather not"}, {"contact_ok": "QID5"}, None),
        ({"QID8": 1}, {}, {"contact_ok": "QID8"}, None),
        ({"QID8": "1"}, {}, {"contact_ok": "QID8"}, None),
        ({"QID8": "yes"}, {}, {"contact_ok": "QID8"}, True),
        ({"QID8": True}, {}, {"contact_ok": "QID8"}, True),
        ({}, {}, {"contact_ok": "QID5"}, None),
        ({"followUp": "1"}, {}, {"contact_ok": "followUp"}, True),
    ],
)
def test_consent_is_what_was_said(
    given: dict[str, Any], labels: dict[str, Any], rule: dict[str, Any], agreed: Any
) -> None:
    assert tell(response(labels=labels, **given), **rule).feedback.contact_ok is agreed


def test_without_a_definition_an_answer_is_kept_with_its_keys() -> None:
    rules = settings().rules
    found = answers.tell(
        msgspec.convert(response(), wire.Response), SURVEY, instrument(SURVEY, (), rules), rules
    ).feedback
    assert (found.kind, found.score, found.verbatim) == ("survey", None, None)
    assert [one.question for one in found.answers] == ["QID1", "QID2_TEXT", "QID4"]


def test_where_somebody_was_is_not_kept() -> None:
    found = msgspec.json.encode(tell(response()).feedback)
    assert b"203.0.113.7" not in found
    assert b"52.52" not in found


@pytest.mark.parametrize(
    "given", ["2026-05-04 10:15:30", "2026-05-04T10:15:30+00:00", "2026-05-04 10:15:30.000000", 1_777_889_730_000]
)
def test_times_come_in_several_forms(given: Any) -> None:
    assert tell(response(recordedDate=given)).feedback.updated_at == datetime(2026, 5, 4, 10, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize("given", ["soon", "", None, [], True])
def test_without_a_time_of_recording_a_response_is_refused(given: Any) -> None:
    with pytest.raises(Unreadable, match="recordedDate"):
        tell(response(recordedDate=given))


def test_a_restamped_answer_looks_the_same() -> None:
    """What our own write does to a response beside its values does not look like a change."""
    before, after = response(), response(recordedDate="2026-05-04T10:15:30.147Z")
    assert digest_of(tell(before).feedback) == digest_of(tell(after).feedback)
    changed = response(recordedDate="2026-05-04T10:15:30.147Z", jiraKey="OPS-12")
    assert digest_of(tell(before).feedback) != digest_of(tell(changed).feedback)


def test_a_follow_up_ticket_of_the_brand_is_referred_to() -> None:
    assert tell(response(ticketId="TK-20417")).feedback.ticket == "tickets/TK-20417"


def test_a_contact_of_the_directory() -> None:
    row = contact(
        unsubscribed="1", embeddedData={"accountId": "HL-1", "contactOk": "yes", "plan": "pro", "cxb_marker": "cxb:1"}
    )
    found = mapping.contact(msgspec.convert(row, wire.Contact), settings().rules.fields)
    assert (found.name, found.emails, found.language) == ("Ines Duarte", ["ines.duarte@northwind.example"], "en")
    assert (found.external_id, found.external_ids, found.account) == ("zd-990142", ["zd-990142"], "accounts/HL-1")
    assert (found.consent, found.unsubscribed) == ({"follow_up": True}, True)
    assert found.custom == {"accountId": "HL-1", "contactOk": "yes", "plan": "pro"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [(False, False), ("0", False), ("1", True), (True, True), (None, None), ("who knows", None)],
)
def test_unsubscribed_comes_in_several_forms(given: Any, expected: Any) -> None:
    found = mapping.contact(msgspec.convert(contact(unsubscribed=given), wire.Contact), settings().rules.fields)
    assert found.unsubscribed is expected


def test_a_single_contact_tells_its_times_in_milliseconds() -> None:
    row = contact(creationDate=1_777_889_730_000, lastModified=1_777_889_731_000, directoryUnsubscribed=True)
    found = mapping.contact(msgspec.convert(row, wire.Contact), settings().rules.fields)
    assert found.created_at == datetime(2026, 5, 4, 10, 15, 30, tzinfo=UTC)
    assert found.unsubscribed is True


def test_a_distribution_becomes_an_invitation() -> None:
    row = {
        "id": "EMD_1",
        "requestType": "Invite",
        "requestStatus": "Done",
        "sendDate": "2026-05-04T10:15:30Z",
        "createdDate": "2026-05-04T10:15:00Z",
        "modifiedDate": "2026-05-04T10:15:31Z",
        "headers": {"subject": "How did we do?"},
        "recipients": {"mailingListId": None, "contactId": "CID_1"},
        "surveyLink": {"surveyId": SURVEY, "linkType": "Individual"},
        "embeddedData": {"cxb_marker": "cxb:1"},
        "stats": {"sent": 1, "failed": 0, "odd": "x", "flag": True},
    }
    found = mapping.invitation(msgspec.convert(row, wire.Distribution), "SV_other")
    assert (found.survey, found.contact, found.sort, found.marker) == (
        f"surveys/{SURVEY}",
        "contacts/CID_1",
        "invite",
        "cxb:1",
    )
    assert (found.counts, found.custom) == ({"sent": 1, "failed": 0}, {"status": "Done"})
    bare = mapping.invitation(msgspec.convert({"id": "EMD_2", "requestType": "Portal"}, wire.Distribution), SURVEY)
    assert (bare.survey, bare.contact, bare.sort, bare.marker) == (f"surveys/{SURVEY}", None, "other", None)


def test_a_tickets_numbers_mean_what_is_configured_and_nothing_else() -> None:
    row = msgspec.convert(
        {
            "key": "TK-1",
            "name": "Detractor",
            "ownerId": "UR_1",
            "status": 1,
            "priority": 2,
            "followUpDetails": {"surveyId": SURVEY, "responseId": "R_1"},
        },
        wire.Ticket,
    )
    bare = mapping.ticket(row, settings().rules)
    assert (bare.status_category, bare.status_native, bare.priority, bare.priority_native) == (
        "unknown",
        "1",
        "none",
        "2",
    )
    named = mapping.ticket(row, settings(ticket_statuses={"1": "in_progress"}, ticket_priorities={2: "high"}).rules)
    assert (named.status_category, named.priority) == ("in_progress", "high")
    assert named.custom == {"owner": "UR_1", "response": f"responses/{SURVEY}/R_1"}


@pytest.mark.parametrize("key", ["", "R_1", "SV_1", "SV_1/", "SV_1/X_1", "R_1/SV_1"])
def test_what_is_no_key_of_a_response(key: str) -> None:
    with pytest.raises(cx.Rejected, match="names no response"):
        answers.split_key(key)
