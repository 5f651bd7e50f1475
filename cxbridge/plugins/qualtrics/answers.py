"""Turns a response into feedback: score, band, answers, words, consent, and what is kept beside them; no I/O, no clock."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import mapping, scoring, wire
from cxbridge.plugins.qualtrics.questions import Asked, Instrument
from cxbridge.plugins.qualtrics.rules import Fields, Rules
from cxbridge.plugins.qualtrics.values import flag, full_name, language, moment, named, person_key, text

FEEDBACK_GAPS: Final = ("agent", "reason", "url", "changed_by")

_METADATA: Final = frozenset(
    {
        "startDate",
        "endDate",
        "status",
        "ipAddress",
        "progress",
        "duration",
        "finished",
        "recordedDate",
        "_recordId",
        "recipientLastName",
        "recipientFirstName",
        "recipientEmail",
        "externalDataReference",
        "locationLatitude",
        "locationLongitude",
        "distributionChannel",
        "userLanguage",
    }
)
_ANSWER: Final = re.compile(r"^(?P<loop>\d+_)?(?P<question>QID\d+)(?P<part>.*)$")
# Beside answers: NPS groups (recomputed instead), display orders, timings, uploaded files.
_NO_ANSWER: Final = re.compile(
    r"_NPS_GROUP$|_DO(_\d+)?$|_(PAGE_SUBMIT|FIRST_CLICK|LAST_CLICK|CLICK_COUNT)$|_FILE_(ID|NAME|SIZE|TYPE)$"
)
_STATUS: Final = {1: "preview", 2: "test", 8: "possible spam", 256: "synthetic"}
_UNREAL: Final = {"preview": "preview", "test": "test"}
_CHANNELS: Final[dict[str, cx.Channel]] = {"email": "email", "sms": "sms"}


class Unreadable(Exception):
    """A response that lacks what every one has; the text names the field, never its value."""


@dataclass(frozen=True, slots=True)
class Told:
    """A response as it is stored: the feedback, who gave it, and for which account."""

    feedback: cx.Feedback
    recorded: datetime
    respondent: cx.Contact | None
    account: cx.Account | None


def key_of(survey: str, response: str) -> str:
    """Give the key of a response: it can only be asked for with its survey."""
    return f"{survey}/{response}"


def split_key(key: str) -> tuple[str, str]:
    """Take a key apart into survey and response.

    Raises:
        Rejected: when it is none.
    """
    survey, _, response = key.partition("/")
    if not survey.startswith("SV_") or not response.startswith("R_"):
        raise cx.Rejected(f"{key[:60]!r} names no response: its key reads SV_…/R_…")
    return survey, response


def tell(row: wire.Response, survey: str, instrument: Instrument, rules: Rules) -> Told:
    """Map a response.

    Raises:
        Unreadable: when it has no time of recording.
    """
    values = row.values
    recorded = moment(values.get("recordedDate"))
    if recorded is None:
        raise Unreadable("recordedDate is missing or is no time")
    ended = moment(values.get("endDate"))
    embedded = attributes(values)
    fields = rules.fields
    completed = flag(values.get("finished"))
    excluded = _excluded(values)
    counts = completed is True and not excluded
    account = mapping.account(embedded, fields)
    respondent = _respondent(values, embedded, fields)
    ticket = text(named(embedded, fields.ticket))
    feedback = cx.Feedback(
        source_id=key_of(survey, row.response_id),
        source_key=row.response_id,
        created_at=ended or recorded,
        updated_at=recorded,
        kind=instrument.metric or "survey",
        programme=rules.of(survey).programme,
        survey=f"surveys/{survey}",
        distribution=None,
        answers=list(_answers(row, instrument)),
        verbatim=_verbatim(values, instrument),
        language=language(values.get("userLanguage")),
        contact=f"respondents/{respondent.source_id}" if respondent else _directory_contact(embedded),
        account=f"accounts/{account.source_id}" if account else None,
        ticket=f"tickets/{ticket}" if ticket and ticket.startswith("TK-") else None,
        channel=_CHANNELS.get(str(values.get("distributionChannel")), "survey"),
        started_at=moment(values.get("startDate")),
        submitted_at=ended if completed else None,
        completed=completed,
        excluded=bool(excluded),
        excluded_why=excluded,
        anonymous=respondent is None and _directory_contact(embedded) is None,
        contact_ok=_contact_ok(row, embedded, instrument),
        attributes=embedded,
        **(_score(values, instrument) if counts else {}),
    )
    return Told(feedback, recorded, respondent, account)


def attributes(values: Mapping[str, Any]) -> dict[str, str]:
    """Give the embedded data of a response, which stands among its answers under its own names."""
    kept = {}
    for name, value in values.items():
        if name in _METADATA or _ANSWER.match(name):
            continue
        said = "" if value is None else text(value)
        if said is None and isinstance(value, str):
            said = ""
        if said is not None:
            kept[name] = said
    return kept


def _excluded(values: Mapping[str, Any]) -> str | None:
    status = scoring.number(values.get("status"))
    channel = str(values.get("distributionChannel") or "").lower()
    return (_STATUS.get(int(status)) if status is not None else None) or _UNREAL.get(channel)


def _score(values: Mapping[str, Any], instrument: Instrument) -> dict[str, Any]:
    if instrument.metric is None or instrument.question is None or instrument.scale is None:
        return {}
    score = scoring.number(values.get(instrument.question))
    if score is None:
        return {}
    share = scoring.place(score, instrument.scale, instrument.direction)
    if share is None:
        return {}
    return {
        "score": score,
        "scale_min": instrument.scale[0],
        "scale_max": instrument.scale[1],
        "score_100": round(100 * share, 2),
        "band": scoring.band(instrument.metric, score, share),
    }


def _verbatim(values: Mapping[str, Any], instrument: Instrument) -> str | None:
    key = instrument.verbatim
    if key is None:
        return None
    return text(values.get(f"{key}_TEXT")) or text(values.get(key))


def _contact_ok(row: wire.Response, embedded: Mapping[str, str], instrument: Instrument) -> bool | None:
    name = instrument.contact_ok
    if name is None:
        return None
    if not name.startswith("QID"):
        return flag(named(embedded, name))
    value = row.values.get(name)
    label = row.labels.get(name) or _chosen(instrument.asked(name), value)
    if isinstance(label, str):
        return flag(label)
    # A number is the place of a choice in a list, and the first one may be a refusal.
    return flag(value) if scoring.number(value) is None else None


def _chosen(asked: Asked | None, value: Any) -> str | None:
    return asked.codes.get(text(value) or "") if asked is not None else None


def _respondent(values: Mapping[str, Any], embedded: Mapping[str, str], fields: Fields) -> cx.Contact | None:
    email = text(values.get("recipientEmail")) or named(embedded, fields.email)
    if not email or "@" not in email:
        return None
    external = text(values.get("externalDataReference"))
    account = text(named(embedded, fields.account))
    return cx.Contact(
        source_id=person_key(email),
        name=full_name(values.get("recipientFirstName"), values.get("recipientLastName")) or email.lower(),
        emails=[email.lower()],
        account=f"accounts/{account}" if account else None,
        external_id=external,
        external_ids=[external] if external else [],
    )


def _directory_contact(embedded: Mapping[str, str]) -> str | None:
    found = named(embedded, "RecipientID") or named(embedded, "contactId")
    return f"contacts/{found}" if isinstance(found, str) and found.startswith("CID_") else None


def _answers(row: wire.Response, instrument: Instrument) -> Iterator[cx.Answer]:
    order = {one.id: at for at, one in enumerate(instrument.questions)}
    keys = [key for key in row.values if (found := _ANSWER.match(key)) and not _NO_ANSWER.search(found["part"])]

    def place(key: str) -> tuple[int, str]:
        found = _ANSWER.match(key)
        return (order.get(found["question"] if found else "", len(order)), key)

    for key in sorted(keys, key=place):
        value = row.values[key]
        if value is None or value == "" or isinstance(value, dict):
            continue
        asked = instrument.asked(key.partition("_")[2] if key[0].isdigit() else key)
        yield cx.Answer(
            question=key,
            text=_question_text(key, asked),
            sort=mapping.sort_of(key, instrument),
            value=value,
            label=_label(row.labels.get(key), asked, value),
        )


def _question_text(key: str, asked: Asked | None) -> str | None:
    if asked is None:
        return None
    part = re.search(r"_(\d+)(?:_TEXT)?$", key)
    row = asked.rows.get(part[1]) if part else None
    return f"{asked.text}: {row}" if row else asked.text or None


def _label(told: Any, asked: Asked | None, value: Any) -> str | None:
    if isinstance(told, list):
        return ", ".join(one for one in told if isinstance(one, str)) or None
    return text(told) or _chosen(asked, value)
