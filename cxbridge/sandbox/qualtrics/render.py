"""How things look on the wire. Changes nothing.

Several are as odd as the real ones: `finished` is 1 or 0, empty tables are lists, times of contacts are milliseconds.
"""

from typing import Any

from cxbridge.sandbox.qualtrics.records import (
    Contact,
    Distribution,
    MailingList,
    Question,
    Response,
    Subscription,
    Survey,
    Ticket,
)
from cxbridge.sandbox.qualtrics.wire import fine, stamp

Json = Any

_GROUPS = {1: "Detractor", 2: "Passive", 3: "Promoter"}


def survey_row(survey: Survey) -> dict[str, Json]:
    return {
        "id": survey.id,
        "name": survey.name,
        "ownerId": survey.owner,
        "isActive": survey.active,
        "creationDate": stamp(survey.created),
        "lastModified": stamp(survey.modified),
    }


def survey_compact(survey: Survey, brand: str, counts: dict[str, int]) -> dict[str, Json]:
    return {
        "id": survey.id,
        "name": survey.name,
        "ownerId": survey.owner,
        "organizationId": brand,
        "isActive": survey.active,
        "creationDate": stamp(survey.created),
        "lastModifiedDate": stamp(survey.modified),
        "expiration": {"startDate": None, "endDate": None},
        "questions": {one.id: _compact(one) for one in survey.questions.values()},
        "exportColumnMap": {one.tag: {"question": one.id} for one in survey.questions.values()},
        "blocks": {"BL_1": {"description": "Default", "elements": []}},
        "flow": [],
        "embeddedData": [{"name": name} for name in survey.embedded],
        "responseCounts": counts,
    }


def definition(survey: Survey, brand: str) -> dict[str, Json]:
    return {
        "SurveyID": survey.id,
        "SurveyName": survey.name,
        "SurveyStatus": "Active" if survey.active else "Inactive",
        "OwnerID": survey.owner,
        "BrandID": brand,
        "BrandBaseURL": f"{brand}.iad1.qualtrics.com",
        "LastModified": stamp(survey.modified),
        "LastAccessed": None,
        "LastActivated": None,
        "QuestionCount": str(len(survey.questions)),
        "Questions": {one.id: question(one) for one in survey.questions.values()} or [],
        "Blocks": {"BL_1": {"Type": "Default", "BlockElements": []}},
        "SurveyFlow": {"Flow": [{"Type": "EmbeddedData", "EmbeddedData": [{"Field": n} for n in survey.embedded]}]},
        "SurveyOptions": {},
        "ProjectInfo": {"ProjectCategory": "CX", "ProjectType": "Survey"},
    }


def question(one: Question) -> dict[str, Json]:
    choices: Json = {}
    recodes: Json = {}
    if one.selector == "NPS":
        choices = {str(number): {"Display": label} for number, label in enumerate(one.codes.values())}
    else:
        # Choices have numbers of their own; what a response holds is the recode value.
        choices = {str(number): {"Display": label} for number, label in enumerate(one.codes.values(), 1)}
        recodes = {str(number): code for number, code in enumerate(one.codes, 1)}
    return {
        "QuestionID": one.id,
        "QuestionText": one.text,
        "QuestionDescription": one.text,
        "DataExportTag": one.tag,
        "QuestionType": one.type,
        "Selector": one.selector,
        "SubSelector": "TX" if one.type == "MC" else None,
        "Choices": choices or [],
        "ChoiceOrder": list(choices),
        "RecodeValues": recodes or [],
        "Language": [],
    }


def _compact(one: Question) -> dict[str, Json]:
    return {
        "questionType": {"type": one.type, "selector": one.selector, "subSelector": None},
        "questionText": one.text,
        "questionLabel": None,
        "questionName": one.tag,
        "validation": {"doesForceResponse": False},
        "choices": {
            str(number): {
                "recode": code,
                "description": label,
                "choiceText": label,
                "variableName": None,
                "analyze": True,
            }
            for number, (code, label) in enumerate(one.codes.items(), 1)
        },
    }


def response(one: Response, survey: Survey) -> dict[str, Json]:
    values: dict[str, Json] = {
        "startDate": stamp(one.started),
        "endDate": stamp(one.ended),
        "status": one.status,
        "ipAddress": "203.0.113.7",
        "progress": 100 if one.finished else 40,
        "duration": int((one.ended - one.started).total_seconds()),
        "finished": 1 if one.finished else 0,
        "recordedDate": fine(one.recorded),
        "_recordId": one.id,
        "locationLatitude": "52.52",
        "locationLongitude": "13.40",
        "distributionChannel": one.channel,
        "userLanguage": one.language,
    }
    recipient = {
        "recipientLastName": one.last_name,
        "recipientFirstName": one.first_name,
        "recipientEmail": one.email,
        "externalDataReference": one.ext_ref,
        "RecipientID": one.contact,
    }
    values |= {name: value for name, value in recipient.items() if value}
    labels: dict[str, Json] = {"status": "IP Address", "finished": "True" if one.finished else "False"}
    for name, value in one.answers.items():
        values[name] = value
        asked = next((found for found in survey.questions.values() if found.key == name), None)
        if asked is None or asked.type != "MC":
            continue
        if asked.selector == "NPS":
            group = 1 if value <= 6 else 2 if value <= 8 else 3
            values[f"{name}_NPS_GROUP"], labels[f"{name}_NPS_GROUP"] = group, _GROUPS[group]
        elif str(value) in asked.codes:
            labels[name] = asked.codes[str(value)]
    values |= one.embedded
    shown = [name for name in values if name.startswith("QID")]
    displayed = {
        name: [int(code) for code in survey.questions[name].codes] for name in shown if name in survey.questions
    }
    return {
        "responseId": one.id,
        "values": values,
        "labels": labels,
        "displayedFields": shown,
        "displayedValues": displayed,
    }


def contact(one: Contact, *, whole: bool = False) -> dict[str, Json]:
    told: dict[str, Json] = {
        "contactId": one.id,
        "firstName": one.first_name or None,
        "lastName": one.last_name or None,
        "email": one.email or None,
        "phone": one.phone or None,
        "extRef": one.ext_ref or None,
        "language": one.language or None,
        "unsubscribed": one.unsubscribed,
        "embeddedData": dict(one.embedded),
    }
    if whole:
        told |= {
            "creationDate": int(one.made.timestamp() * 1000),
            "lastModified": int(one.changed.timestamp() * 1000),
            "emailDomain": one.email.partition("@")[2] or None,
            "directoryUnsubscribed": one.unsubscribed,
            "mailingListMembership": {name: {"contactLookupId": f"CGC_{one.id[4:]}"} for name in sorted(one.lists)},
            "stats": {},
        }
    return told


def list_contact(one: Contact, group: str) -> dict[str, Json]:
    return {
        **contact(one),
        "mailingListId": group,
        "contactLookupId": f"CGC_{one.id[4:]}",
        "mailingListUnsubscribed": False,
    }


def mailing_list(one: MailingList, count: int) -> dict[str, Json]:
    made = int(one.made.timestamp() * 1000)
    return {
        "mailingListId": one.id,
        "name": one.name,
        "ownerId": one.owner,
        "contactCount": count,
        "creationDate": made,
        "lastModifiedDate": made,
    }


def distribution(one: Distribution, owner: str, brand: str) -> dict[str, Json]:
    return {
        "id": one.id,
        "parentDistributionId": one.parent,
        "ownerId": owner,
        "organizationId": brand,
        "requestType": one.kind,
        "requestStatus": "Done" if one.sent else "Generated",
        "sendDate": stamp(one.send_at),
        "createdDate": stamp(one.made),
        "modifiedDate": stamp(one.made),
        "customHeaders": {},
        "headers": {name: one.header.get(name) for name in ("fromEmail", "replyToEmail", "fromName", "subject")},
        "recipients": {
            "mailingListId": one.recipients.get("mailingListId"),
            "contactId": one.recipients.get("contactId"),
            "libraryId": None,
            "sampleId": None,
        },
        "message": {"libraryId": None, "messageId": None, **one.message, "messageType": "Library"},
        "surveyLink": {"surveyId": one.survey, "expirationDate": one.expires, "linkType": one.link_type},
        "embeddedData": dict(one.embedded) or None,
        "stats": {
            "sent": one.mailed,
            "failed": 0,
            "started": 0,
            "bounced": 0,
            "opened": 0,
            "skipped": one.skipped,
            "finished": 0,
            "complaints": 0,
            "blocked": 0,
        },
    }


def ticket(one: Ticket, *, whole: bool = False) -> dict[str, Json]:
    told: dict[str, Json] = {
        "key": one.key,
        "name": one.name,
        "ownerId": one.owner,
        "status": one.status,
        "priority": one.priority,
        "followUpDetails": {"surveyId": one.survey, "responseId": one.response},
    }
    return {**told, "ticketTeamId": one.team, "ticketGroupId": one.group} if whole else told


def subscription(one: Subscription, brand: str) -> dict[str, Json]:
    return {
        "id": one.id,
        "scope": brand,
        "topics": one.topics,
        "publicationUrl": one.url,
        "encrypted": False,
        "successfulCalls": one.calls,
    }
