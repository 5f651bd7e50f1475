"""Sends a survey to one person, once (`survey.invite_once`): a distribution to a single contact of the directory.

Posting a distribution sends a mail, and Qualtrics has no key against doing it twice. The call's marker rides in the distribution's
embedded data, which the list of distributions shows: a call whose answer was lost is looked up there and never just repeated. The
person must be a contact first. Where they are none, the first call makes them one and asks to be called again, so that each call
changes one thing.
"""

from datetime import timedelta
from typing import Any, Final, NoReturn

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import listing, mapping, people, wire
from cxbridge.plugins.qualtrics.errors import NoSurvey
from cxbridge.plugins.qualtrics.people import Person, embeddable
from cxbridge.plugins.qualtrics.reading import DISTRIBUTIONS, directory, listed_distributions
from cxbridge.plugins.qualtrics.rules import MARKER, MOST_EMBEDDED, InviteRule, Rules
from cxbridge.plugins.qualtrics.values import flag, stamp

# How long the list may not show a new distribution yet (unverified).
SETTLE: Final = 60.0


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Send the mail.

    Raises:
        Rejected: when no message is configured, the survey may not be sent out, or the person wants nothing from us.
        Retryable: when the person had to be made a contact first; nothing was sent yet.
    """
    inputs = _given(call)
    how = _allowed(rules, inputs)
    embedded = _embedded(rules, inputs, call.marker)
    place = directory(rules, client)
    person = people.search(client, place, inputs.email)
    if person is None:
        _introduce(rules, how, client, place, inputs, call.marker)
    _willing(person)
    now = client.server_now()
    body = {
        "message": {"libraryId": how.library, "messageId": how.message},
        "recipients": _recipients(how, person),
        "header": {
            "fromEmail": how.from_email,
            "fromName": how.from_name,
            "replyToEmail": how.reply_to or how.from_email,
            "subject": how.subject,
        },
        "surveyLink": {
            "surveyId": inputs.survey,
            "type": "Individual",
            "expirationDate": stamp(now + timedelta(days=how.expires_days)),
        },
        "embeddedData": embedded,
        "sendDate": stamp(now),
    }
    made = listing.result(client.post(DISTRIBUTIONS, body), wire.Made)
    if not made.id:
        raise cx.WireFormat("a distribution was made and has no id")
    wrote = {"survey": f"surveys/{inputs.survey}", "contact": f"contacts/{person.key}", "marker": call.marker}
    return cx.Receipt("distributions", made.id, wrote=wrote, made=(f"distributions/{made.id}",))


def find(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look among the survey's distributions for the one that an earlier, unanswered call made."""
    del rules
    inputs = _given(call)
    refused: list[str] = []
    try:
        for page in listed_distributions(client, inputs.survey):
            for row, _ in listing.read("distribution", wire.Distribution, page, refused):
                if (row.embedded_data or {}).get(MARKER) == call.marker:
                    entity = mapping.invitation(row, inputs.survey)
                    wrote = {"survey": entity.survey, "contact": entity.contact, "marker": entity.marker}
                    return cx.Receipt("distributions", row.id, wrote=wrote, made=(f"distributions/{row.id}",))
    except (NoSurvey, cx.NotFound):
        return None  # a survey that is not there can neither have been sent out nor be sent out now
    if refused:
        # It may have been one of these: nothing is sent again on a guess.
        raise cx.WireFormat(f"{len(refused)} distributions of the survey could not be read: {refused[0]}")
    return None


def _allowed(rules: Rules, inputs: cx.Invite) -> InviteRule:
    how = rules.invite
    if how is None:
        raise cx.Rejected("no message is configured for invitations: fill the table invite (library, message, sender)")
    if how.surveys and inputs.survey not in how.surveys:
        raise cx.Rejected(f"survey {inputs.survey[:40]} is not among invite.surveys, so nothing is sent")
    return how


def _introduce(
    rules: Rules, how: InviteRule, client: cx.Client, place: str, inputs: cx.Invite, marker: str
) -> NoReturn:
    wanted = cx.SetContact(email=inputs.email, name=inputs.name, language=inputs.language, account=inputs.account)
    # A mail through a mailing list reaches only its members.
    people.create(client, place, people.changes(wanted, None, rules), marker, mailing_list=how.mailing_list)
    raise cx.Retryable(
        "the person was made a contact of the directory; the invitation follows",
        # Before a search shows them they would be made a contact once more.
        retry_at=client.now + timedelta(seconds=people.SETTLE),
        sent=False,
    )


def _willing(person: Person) -> None:
    if flag(person.row.unsubscribed) or flag(person.row.directory_unsubscribed):
        raise cx.Rejected("this person has unsubscribed in Qualtrics: nothing was sent")


def _embedded(rules: Rules, inputs: cx.Invite, marker: str) -> dict[str, str]:
    told = {name: embeddable(name, value) for name, value in inputs.attributes.items()}
    if inputs.account is not None:
        told.setdefault(rules.fields.account, embeddable(rules.fields.account, inputs.account))
    if len(told) >= MOST_EMBEDDED:
        raise cx.Rejected(f"a distribution takes {MOST_EMBEDDED} values, one of them ours: {len(told)} were given")
    return {**told, MARKER: marker}


def _recipients(how: InviteRule, person: Person) -> dict[str, Any]:
    listed = {"mailingListId": how.mailing_list} if how.mailing_list else {}
    return {**listed, "contactId": person.key}


def _given(call: cx.Call) -> cx.Invite:
    if not isinstance(call.inputs, cx.Invite):
        raise TypeError("survey.invite_once takes Invite")
    return call.inputs
