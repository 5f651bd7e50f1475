"""Plays people and the weather: answers are given, contacts change, subscriptions are made, exports fail; rows are loaded.

GET    state                       survey ids, directory, counts
POST   responses                   {"survey", "score", "verbatim", "email", "name", "contact", "account", "account_name", "ticket",
                                   "contact_ok", "language", "embedded", "answers", "finished", "status", "channel", "recorded",
                                   "announce": true | false | times}
POST   responses/bulk              {"rows": [the same, …]}; nothing is announced
GET    responses/R_…               as the API shows it; DELETE removes it
PATCH  responses/R_…               {"embedded": {…}, "reset": true}
POST   responses/R_…/announce      {"times": 3}
POST   contacts                    {"email", "name", "ext_ref", "account", "account_name", "contact_ok", "language",
                                   "unsubscribed", "embedded"}; PATCH contacts/CID_… or contacts/ADDRESS
POST   surveys                     as a row of kind qualtrics.survey; PATCH surveys/SV_… {"name", "active"}
POST   distributions               {"survey", "email"}: an administrator sends a survey to a contact
POST   subscriptions               {"url", "topics", "shared_key"}; DELETE subscriptions/SUB_…
POST   tickets                     {"name", "status", "priority", "response", "key"}; PATCH tickets/KEY
POST   exports/fail                {"times": 1}: so many of the next exports come to nothing
PATCH  options                     delays and moods, as in QualtricsOptions
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from cxbridge.sandbox.journal import Via
from cxbridge.sandbox.qualtrics import render, surveys
from cxbridge.sandbox.qualtrics.options import from_mapping
from cxbridge.sandbox.qualtrics.records import Contact, Distribution, Response, Subscription, Survey, Ticket
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.wire import moment

Json = Any

_RESPONSE = frozenset(
    {
        "kind",
        "id",
        "survey",
        "score",
        "verbatim",
        "email",
        "name",
        "contact",
        "account",
        "account_name",
        "ticket",
        "contact_ok",
        "language",
        "embedded",
        "answers",
        "finished",
        "status",
        "channel",
        "recorded",
        "announce",
    }
)
_CONTACT = frozenset(
    {
        "kind",
        "id",
        "email",
        "name",
        "ext_ref",
        "phone",
        "account",
        "account_name",
        "contact_ok",
        "language",
        "unsubscribed",
        "embedded",
        "list",
    }
)
_TICKET = frozenset({"kind", "key", "name", "owner", "status", "priority", "response", "comment"})
# How long people take over a survey.
_TAKES = timedelta(minutes=3)


class Control:
    """The brand as a vendor of the world."""

    def __init__(self, state: BrandState) -> None:
        self.state = state

    def state_counts(self) -> dict[str, int]:
        state = self.state
        return {
            "surveys": len(state.surveys),
            "responses": len(state.responses),
            "contacts": len(state.contacts),
            "distributions": len(state.distributions),
            "tickets": len(state.tickets),
            "subscriptions": len(state.subscriptions),
        }

    def load_row(self, row: Mapping[str, Json]) -> None:
        """Add a survey, a contact, a response or a ticket.

        Raises:
            ValueError: the row cannot be used.
        """
        kind = str(row.get("kind", "")).partition(".")[2]
        if kind == "survey":
            self._survey(row, "seed")
        elif kind == "contact":
            self._contact(row, "seed")
        elif kind == "response":
            self._response(row, "seed")
        elif kind == "ticket":
            self._ticket(row, "seed")
        else:
            raise ValueError(
                f"kind {row.get('kind')!r} is unknown; use qualtrics.survey, .contact, .response or .ticket"
            )

    def control(self, method: str, path: str, body: Mapping[str, Json]) -> tuple[int, Json]:
        """Play a person; gives status and content.

        Raises:
            LookupError, ValueError: the request cannot be done.
        """
        what, _, rest = path.strip("/").partition("/")
        match method, what:
            case "GET", "state":
                return 200, self._told()
            case "POST", "responses" if not rest:
                return 201, self._respond(body)
            case "POST", "responses" if rest == "bulk":
                return 201, {"loaded": [self._response(row, "ui").id for row in _list(body.get("rows"))]}
            case "POST", "responses" if rest.endswith("/announce"):
                found = self._given(rest.removesuffix("/announce"))
                return 200, {"posted": self.state.announce(found, int(body.get("times", 1)))}
            case "GET", "responses":
                found = self._given(rest)
                return 200, render.response(found, self.state.survey(found.survey))
            case "PATCH", "responses":
                found = self._given(rest)
                embedded = {str(name): str(value) for name, value in dict(body.get("embedded", {})).items()}
                self.state.set_embedded(found, embedded, reset=body.get("reset", True) is True, via="ui")
                return 200, render.response(found, self.state.survey(found.survey))
            case "DELETE", "responses":
                self.state.delete_response(self._given(rest), "ui")
                return 200, {"deleted": rest}
            case "POST", "contacts":
                return 201, render.contact(self._contact(body, "ui"), whole=True)
            case "PATCH", "contacts":
                return 200, self._change_contact(rest, body)
            case "POST", "surveys":
                return 201, render.survey_row(self._survey(body, "ui"))
            case "PATCH", "surveys":
                return 200, self._change_survey(rest, body)
            case _:
                return self._machinery(method, what, rest, body)

    def _machinery(self, method: str, what: str, rest: str, body: Mapping[str, Json]) -> tuple[int, Json]:
        state = self.state
        match method, what:
            case "POST", "subscriptions":
                made = Subscription(
                    state.new_id("SUB"),
                    str(body.get("topics", "surveyengine.completedResponse.*")),
                    str(body["url"]),
                    body.get("shared_key"),
                )
                state.subscriptions[made.id] = made
                state.journal("subscription.created", made.id, "ui", topics=made.topics, url=made.url)
                return 201, render.subscription(made, state.options.brand)
            case "DELETE", "subscriptions":
                del state.subscriptions[rest]
                return 200, {"deleted": rest}
            case "POST", "distributions":
                return 201, {"id": self._distribute(body).id}
            case "POST", "tickets":
                return 201, render.ticket(self._ticket(body, "ui"), whole=True)
            case "PATCH", "tickets":
                changed = _known(body, _TICKET, "ticket")
                state.change_ticket(state.tickets[rest], changed, "ui")
                return 200, render.ticket(state.tickets[rest], whole=True)
            case "POST", "exports" if rest == "fail":
                state.failing_exports = int(body.get("times", 1))
                return 200, {"failing": state.failing_exports}
            case "PATCH", "options":
                state.options = from_mapping({**msgspec.to_builtins(state.options), **body})
                return 200, msgspec.to_builtins(state.options)
        raise LookupError(f"there is no {method} {what}/{rest} here; see cxbridge.sandbox.qualtrics.control")

    # -- surveys -----------------------------------------------------------------------------------------------------

    def _survey(self, row: Mapping[str, Json], via: Via) -> Survey:
        fresh = {"id": self.state.new_id("SV")} if "id" not in row else {}
        made = surveys.build(row, self.state.user_id, fresh, self.state.now())
        return self.state.add_survey(made, via)

    def _change_survey(self, key: str, body: Mapping[str, Json]) -> Json:
        found = self.state.survey(key)
        changed = _known(body, frozenset({"name", "active"}), "survey")
        for name, value in changed.items():
            setattr(found, name, value)
        found.modified = self.state.now()
        self.state.journal("survey.updated", found.id, "ui", changes=changed)
        return render.survey_row(found)

    # -- responses ---------------------------------------------------------------------------------------------------

    def _respond(self, body: Mapping[str, Json]) -> Json:
        made = self._response(body, "ui")
        announce = body.get("announce", True)
        times = int(announce) if not isinstance(announce, bool) else int(announce is True)
        posted = self.state.announce(made, times) if times else 0
        return {"id": made.id, "survey": made.survey, "contact": made.contact, "posted": posted}

    def _response(self, row: Mapping[str, Json], via: Via) -> Response:
        told = _known(row, _RESPONSE, "response")
        survey = self.state.survey(str(told.get("survey", surveys.RELATION)))
        person = self._person(told)
        now = self.state.now()
        recorded = moment(told.get("recorded"), now)
        channel = str(told.get("channel") or ("email" if person is not None else "anonymous"))
        first, _, last = str(told.get("name") or "").partition(" ")
        email = str(told.get("email") or (person.email if person else "") or "")
        response = Response(
            id=str(told.get("id") or self.state.new_id("R")),
            survey=survey.id,
            started=recorded - _TAKES,
            ended=recorded,
            recorded=recorded,
            made=min(recorded, now),
            answers=_answers(told, survey),
            embedded=self._embedded(told, person, survey),
            status=int(told.get("status", 0)),
            finished=bool(told.get("finished", True)),
            channel=channel,
            language=str(told.get("language") or (person.language if person else "") or "EN").upper(),
            contact=person.id if person else None,
            first_name=person.first_name if person else first,
            last_name=person.last_name if person else last,
            email=email,
            ext_ref=person.ext_ref if person else "",
        )
        return self.state.add_response(response, via)

    def _person(self, told: Mapping[str, Json]) -> Contact | None:
        if told.get("contact"):
            if told["contact"] not in self.state.contacts:
                raise LookupError(f"there is no contact {told['contact']}")
            return self.state.contacts[str(told["contact"])]
        return self.state.contact_of(str(told.get("email") or ""))

    def _embedded(self, told: Mapping[str, Json], person: Contact | None, survey: Survey) -> dict[str, str]:
        held = {name: person.embedded[name] for name in survey.embedded if person and name in person.embedded}
        # What a contact agreed to once is not what they said with this answer.
        held.pop("contactOk", None)
        for name, value in (
            ("accountId", told.get("account")),
            ("accountName", told.get("account_name")),
            ("ticketId", told.get("ticket")),
        ):
            if value:
                held[name] = str(value)
        if told.get("contact_ok") is not None and survey.consent is None:
            held["contactOk"] = "true" if told["contact_ok"] else "false"
        return {**held, **{str(name): str(value) for name, value in dict(told.get("embedded") or {}).items()}}

    def _given(self, key: str) -> Response:
        if key not in self.state.responses:
            raise LookupError(f"there is no response {key}")
        return self.state.responses[key]

    # -- people and tickets ------------------------------------------------------------------------------------------

    def _contact(self, row: Mapping[str, Json], via: Via) -> Contact:
        told = _known(row, _CONTACT, "contact")
        now = self.state.now()
        contact = Contact(id=str(told.get("id") or self.state.new_id("CID")), made=now, changed=now)
        for name, value in self._changes(told, contact).items():
            setattr(contact, name, value)
        return self.state.add_contact(contact, via)

    def _change_contact(self, key: str, body: Mapping[str, Json]) -> Json:
        found = self.state.contacts.get(key) or self.state.contact_of(key)
        if found is None:
            raise LookupError(f"there is no contact {key}")
        self.state.change_contact(found, self._changes(_known(body, _CONTACT, "contact"), found), "ui")
        return render.contact(found, whole=True)

    def _changes(self, told: Mapping[str, Json], contact: Contact) -> dict[str, Json]:
        changed: dict[str, Json] = {}
        if "name" in told:
            first, _, last = str(told["name"]).partition(" ")
            changed |= {"first_name": first, "last_name": last}
        for name in ("email", "ext_ref", "phone", "language"):
            if name in told:
                changed[name] = str(told[name] or "")
        if "unsubscribed" in told:
            changed["unsubscribed"] = bool(told["unsubscribed"])
        if "list" in told:
            changed["lists"] = {*contact.lists, str(told["list"])}
        embedded = {str(name): str(value) for name, value in dict(told.get("embedded") or {}).items()}
        for ours, theirs in (("account", "accountId"), ("account_name", "accountName")):
            if told.get(ours):
                embedded[theirs] = str(told[ours])
        if told.get("contact_ok") is not None:
            embedded["contactOk"] = "true" if told["contact_ok"] else "false"
        return {**changed, **({"embedded": {**contact.embedded, **embedded}} if embedded else {})}

    def _distribute(self, body: Mapping[str, Json]) -> Distribution:
        survey = self.state.survey(str(body.get("survey", surveys.RELATION)))
        person = self.state.contact_of(str(body["email"]))
        if person is None:
            raise LookupError(f"there is no contact {body['email']}")
        now = self.state.now()
        made = Distribution(
            id=self.state.new_id("EMD"),
            survey=survey.id,
            made=now,
            send_at=now,
            kind="Invite",
            sent=True,
            header={"fromEmail": "surveys@harbourlight.example", "subject": "How did we do?"},
            recipients={"contactId": person.id},
        )
        return self.state.send(made, "ui")

    def _ticket(self, row: Mapping[str, Json], via: Via) -> Ticket:
        told = _known(row, _TICKET, "ticket")
        about = self._given(str(told["response"])) if told.get("response") else None
        key = str(told.get("key") or f"TK-{20000 + len(self.state.tickets) + 1}")
        ticket = Ticket(
            key=key,
            name=str(told.get("name") or key),
            owner=str(told.get("owner") or self.state.user_id),
            status=int(told.get("status", 0)),
            priority=int(told.get("priority", 1)),
            survey=about.survey if about else None,
            response=about.id if about else None,
        )
        return self.state.add_ticket(ticket, via)

    def _told(self) -> Json:
        state = self.state
        return {
            **self.state_counts(),
            "directory": state.directory_id,
            "user": state.user_id,
            "ids": sorted(state.surveys),
            "now": state.now().isoformat(timespec="milliseconds"),
        }


def _answers(told: Mapping[str, Json], survey: Survey) -> dict[str, Json]:
    answers: dict[str, Json] = {}
    if told.get("score") is not None:
        if survey.score is None:
            raise ValueError(f"survey {survey.id} has no scored question")
        answers[survey.questions[survey.score].key] = told["score"]
    if told.get("verbatim"):
        if survey.verbatim is None:
            raise ValueError(f"survey {survey.id} asks for no words")
        answers[survey.questions[survey.verbatim].key] = str(told["verbatim"])
    if told.get("contact_ok") is not None and survey.consent is not None:
        answers[survey.questions[survey.consent].key] = 1 if told["contact_ok"] else 2
    return {**answers, **dict(told.get("answers") or {})}


def _known(row: Mapping[str, Json], known: frozenset[str], what: str) -> dict[str, Json]:
    unknown = set(row) - known
    if unknown:
        raise ValueError(f"a {what} has no {min(unknown)}; it has {', '.join(sorted(known - {'kind'}))}")
    return dict(row)


def _list(value: Json) -> list[Mapping[str, Json]]:
    if not isinstance(value, list):
        raise TypeError('give the rows as a list: {"rows": [{…}, {…}]}')
    return value
