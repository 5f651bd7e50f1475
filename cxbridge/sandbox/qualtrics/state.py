"""The state of one brand and what may be done to it: every change is journaled in the step that makes it. Speaks no HTTP."""

import string
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cxbridge.sandbox.journal import Via
from cxbridge.sandbox.qualtrics import events, surveys
from cxbridge.sandbox.qualtrics.options import QualtricsOptions
from cxbridge.sandbox.qualtrics.records import (
    Contact,
    Distribution,
    Export,
    MailingList,
    Response,
    Subscription,
    Survey,
    Ticket,
)

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

Json = Any
VENDOR = "qualtrics"
_LETTERS = string.ascii_letters + string.digits


class BrandState:
    """Everything that a brand holds. Call under the world's lock."""

    def __init__(self, world: "World", options: QualtricsOptions) -> None:
        self.world = world
        self.options = options
        self._random = world.random_for(VENDOR)
        self.user_id = self.new_id("UR")
        self.directory_id = self.new_id("POOL")
        self.surveys: dict[str, Survey] = {}
        self.responses: dict[str, Response] = {}
        self.by_survey: dict[str, list[str]] = {}
        self.contacts: dict[str, Contact] = {}
        self.lists: dict[str, MailingList] = {}
        self.distributions: dict[str, Distribution] = {}
        self.tickets: dict[str, Ticket] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.exports: dict[str, Export] = {}
        self.failing_exports = 0
        if options.seed_surveys:
            for survey in surveys.first(self.user_id, self.now()):
                self.surveys[survey.id] = survey

    def now(self) -> datetime:
        return self.world.clock.now()

    def new_id(self, prefix: str) -> str:
        """An id as Qualtrics makes them: 15 letters and digits behind its prefix."""
        return f"{prefix}_{''.join(self._random.choice(_LETTERS) for _ in range(15))}"

    def request_id(self) -> str | None:
        if self.options.null_request_ids:
            return None
        text = f"{self._random.getrandbits(128):032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def journal(self, kind: str, key: str, via: Via, **detail: Json) -> None:
        actor = self.options.user if via == "api" else via
        self.world.journal.effect(VENDOR, kind, key, actor, via, **detail)

    # -- surveys and responses ---------------------------------------------------------------------------------------

    def survey(self, survey_id: str) -> Survey:
        """A survey by its id.

        Raises:
            LookupError: there is none.
        """
        if survey_id not in self.surveys:
            raise LookupError(f"there is no survey {survey_id}; there are {', '.join(sorted(self.surveys))}")
        return self.surveys[survey_id]

    def add_survey(self, survey: Survey, via: Via) -> Survey:
        self.surveys[survey.id] = survey
        self.journal("survey.created", survey.id, via, name=survey.name)
        return survey

    def add_response(self, response: Response, via: Via) -> Response:
        self.responses[response.id] = response
        self.by_survey.setdefault(response.survey, []).append(response.id)
        self.journal("response.created", response.id, via, survey=response.survey, finished=response.finished)
        return response

    def set_embedded(self, response: Response, embedded: Mapping[str, str], *, reset: bool, via: Via) -> None:
        """Keep values beside an answer. Its time of recording moves in any case: to now, or by a millisecond."""
        response.embedded.update(embedded)
        response.recorded = self.now() if reset else response.recorded + timedelta(milliseconds=1)
        self.journal("response.updated", response.id, via, embedded=dict(embedded), reset=reset)

    def delete_response(self, response: Response, via: Via) -> None:
        del self.responses[response.id]
        self.by_survey[response.survey].remove(response.id)
        self.journal("response.deleted", response.id, via, survey=response.survey)

    def announce(self, response: Response, times: int = 1) -> int:
        """Post the event of a response to every subscription of its topic; gives how many were posted."""
        posted = 0
        for subscription in self.subscriptions.values():
            topic = events.topic(response)
            if not events.matches(subscription.topics, topic):
                continue
            for _ in range(times):
                headers, body = events.delivery(self.options.brand, topic, response, subscription.shared_key)
                self.world.hooks.send(VENDOR, subscription.url, headers, body)
                subscription.calls += 1
                posted += 1
        return posted

    # -- people ------------------------------------------------------------------------------------------------------

    def contact_of(self, email: str) -> Contact | None:
        """The contact of an address."""
        wanted = email.strip().casefold()
        return next((one for one in self.contacts.values() if one.email.casefold() == wanted), None) if wanted else None

    def add_contact(self, contact: Contact, via: Via) -> Contact:
        self.contacts[contact.id] = contact
        self.journal("contact.created", contact.id, via, email=contact.email, embedded=dict(contact.embedded))
        return contact

    def change_contact(self, contact: Contact, changed: Mapping[str, Json], via: Via) -> None:
        """Give a contact other values; `embedded` takes the place of what there was."""
        for name, value in changed.items():
            setattr(contact, name, value)
        contact.changed = self.now()
        self.journal("contact.updated", contact.id, via, changes=dict(changed))

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, distribution: Distribution, via: Via) -> Distribution:
        """Send a survey out: one mail to each recipient that has not unsubscribed."""
        self.distributions[distribution.id] = distribution
        people = self._recipients(distribution)
        willing = [one for one in people if not one.unsubscribed] if distribution.sent else []
        distribution.mailed, distribution.skipped = len(willing), len(people) - len(willing)
        to = [one.email for one in willing]
        kind = "invitation.sent" if distribution.sent else "distribution.created"
        told = {"survey": distribution.survey, "to": to, "embedded": dict(distribution.embedded)}
        self.journal(kind, distribution.id, via, **told)
        return distribution

    def _recipients(self, distribution: Distribution) -> list[Contact]:
        one = distribution.recipients.get("contactId")
        if one in self.contacts:
            return [self.contacts[one]]
        group = distribution.recipients.get("mailingListId")
        return [contact for contact in self.contacts.values() if group in contact.lists]

    # -- tickets -----------------------------------------------------------------------------------------------------

    def add_ticket(self, ticket: Ticket, via: Via) -> Ticket:
        self.tickets[ticket.key] = ticket
        self.journal("ticket.created", ticket.key, via, subject=ticket.name, response=ticket.response)
        return ticket

    def change_ticket(self, ticket: Ticket, changed: Mapping[str, Json], via: Via) -> None:
        for name, value in changed.items():
            if name == "comment":
                ticket.comments.append(str(value))
            else:
                setattr(ticket, name, value)
        self.journal("ticket.updated", ticket.key, via, changes=dict(changed))
