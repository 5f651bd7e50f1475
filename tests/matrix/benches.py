"""One bench for each connector: its vendor alone, a recipe that writes back to it, and what people do there.

Each recipe makes a new thing and then writes to what it was about, so that the classes of effect which a connector has for new
things are met. A bench says where its reads and writes go, so that faults can strike them; it judges nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cxbridge.sandbox.checker import Due
from tests.reliability.stage import Setting, Stage

RECIPES = Path(__file__).with_name("recipes")
MAYA = "maya@harbourlight.example"


@dataclass(frozen=True)
class Reads:
    """A stream and the request for its pages.

    `row` leads to one row of a page; `word` is a field of it that holds one of the vendor's words, `vital` one that it cannot be
    read without.
    """

    stream: str
    path: str
    method: str
    row: str
    word: str
    vital: str


@dataclass(frozen=True)
class Bench:
    """What a cell needs to know of a connector.

    `happens` lets somebody do the thing of that number, from 1 to 9, and gives what must come of it. `reads` is where that is
    seen; `listed` is a stream that comes as pages of JSON, which is the same one but for Qualtrics, whose answers come as files.
    `actions` and `writes` are those of the two steps, `finds` where a write is looked for. `smaller` are parameters by which a
    vendor gives smaller pages where no setting asks for them. `place` picks out of a cursor how far was read, where more stands
    in it. `most_body` is how large an answer the connector takes. `subscribes` has the vendor send its webhooks to an address,
    `stirs` is something harmless that it sends one for.
    """

    vendor: str
    reads: Reads
    actions: tuple[str, str]
    writes: tuple[tuple[str, str], tuple[str, str]]
    finds: str
    happens: Callable[[Stage, int], list[Due]]
    subscribes: Callable[[Stage, str], None]
    stirs: Callable[[Stage, int], None]
    rows: tuple[Mapping[str, Any], ...] = ()
    connection: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    smaller: Mapping[str, int] = field(default_factory=dict)
    files: Reads | None = None
    place: Callable[[Any], Any] = lambda cursor: cursor
    most_body: int = 64 * 1024 * 1024

    @property
    def listed(self) -> Reads:
        """A stream that comes as pages of JSON."""
        return self.files or self.reads

    @property
    def setting(self) -> Setting:
        """The stage it is played on."""
        recipe = (RECIPES / f"{self.vendor}.toml").read_text(encoding="utf-8")
        return Setting(
            f"matrix-{self.vendor}",
            {"matrix.toml": recipe},
            vendors=(self.vendor,),
            rows=self.rows,
            connections={self.vendor: self.connection},
            options={self.vendor: self.options},
            more='[webhooks]\nlisten = "127.0.0.1:0"\n',
        )


class Smaller(httpx.BaseTransport):
    """Asks for smaller pages than the connector does, as if the vendor gave no larger ones."""

    def __init__(self, inner: httpx.BaseTransport, asked: Mapping[str, int]) -> None:
        self._inner = inner
        self._asked = asked

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = {name: size for name, size in self._asked.items() if name in request.url.params}
        if asked:
            request.url = request.url.copy_merge_params(asked)
        return self._inner.handle_request(request)


def _due(what: str, vendor: str, kind: str, key: str | None = None, **where: Any) -> Due:
    return Due(what=what, vendor=vendor, kind=kind, key=key, where=where)


# -- what people do ----------------------------------------------------------------------------------------------------


def _ticket(stage: Stage, number: int) -> list[Due]:
    key = stage.people.ticket(subject=f"Export {number} stops", tags=["risk"])
    return [
        _due(f"a ticket to call {number} back", "zendesk", "ticket.created", subject=f"Call back about {key}."),
        _due(f"a note at ticket {number}", "zendesk", "comment.added", str(key), body="We call back"),
    ]


def _issue(stage: Stage, number: int) -> list[Due]:
    key = stage.people.issue(summary=f"Docks overheat, {number}", labels=["risk"])
    return [
        _due(f"an issue beside {key}", "jira", "issue.created", summary=f"Look into {key}."),
        _due(f"a comment on {key}", "jira", "comment.added", key),
    ]


def _company(stage: Stage, number: int) -> list[Due]:
    stage.act("PATCH", f"/gainsight/companies/HL-{number}", {"arr": 10})
    return [
        _due(f"a task for company {number}", "gainsight", "task.created", name=f"Company {number} shrinks"),
        _due(f"an entry for company {number}", "gainsight", "touchpoint.created", company=f"Company {number}"),
    ]


def _response(stage: Stage, number: int) -> list[Due]:
    email = f"p{number}@northwind.test"
    said = {"email": email, "score": 2, "contact_ok": True, "verbatim": "It is slow, and nobody answers."}
    key = str(stage.act("POST", "/qualtrics/responses", said)["id"])
    return [
        Due(
            what=f"an invitation for person {number}", vendor="qualtrics", kind="invitation.sent", where={"to": [email]}
        ),
        # To write the same again is harmless, and what is done where an answer is lost.
        Due(
            what=f"a word at the answer of person {number}",
            vendor="qualtrics",
            kind="response.updated",
            key=key,
            where={"embedded": {"cxb_loop": "asked"}},
            most=8,
        ),
    ]


def _message(stage: Stage, number: int) -> list[Due]:
    told = stage.act("POST", "/slack/messages", {"channel": "alerts", "user": MAYA, "text": f"A risk, number {number}"})
    ts = str(told["key"]).partition(":")[2]
    return [
        _due(f"news of message {number}", "slack", "message.posted", channel="cx-ops", text=ts),
        _due(f"an answer to message {number}", "slack", "message.posted", channel="alerts", thread=ts),
    ]


def _stirs_ticket(stage: Stage, number: int) -> None:
    first = min(stage.world.zendesk.tickets)
    stage.people.agent(first, priority=("low", "normal", "high", "urgent")[number % 4])


def _stirs_issue(stage: Stage, number: int) -> None:
    stage.people.engineer("ENG-1", summary=f"Docks overheat, seen {number} times")


def _stirs_company(stage: Stage, number: int) -> None:
    stage.act("PATCH", "/gainsight/companies/HL-9", {"arr": 5000 + number})


def _stirs_response(stage: Stage, number: int) -> None:
    del number
    stage.act("POST", "/qualtrics/responses", {"email": "p9@northwind.test", "score": 9})


def _stirs_message(stage: Stage, number: int) -> None:
    stage.act("POST", "/slack/messages", {"channel": "alerts", "user": MAYA, "text": f"All is well, says {number}"})


# -- where they are sent to --------------------------------------------------------------------------------------------

SECRET = "sandbox-signing-secret"
_TICKET_EVENTS = [f"zen:event-type:ticket.{what}" for what in ("created", "priority_changed", "tags_changed")]


def _subscribes(path: str, method: str = "POST", address: str = "url", **body: Any) -> Callable[[Stage, str], None]:
    def subscribe(stage: Stage, url: str) -> None:
        stage.act(method, path, {address: url, **body})

    return subscribe


# -- the benches -------------------------------------------------------------------------------------------------------

BENCHES: Mapping[str, Bench] = {
    "zendesk": Bench(
        vendor="zendesk",
        reads=Reads("tickets", r"/incremental/tickets/cursor", "GET", "tickets.0", "status", "id"),
        actions=("ticket.ensure", "comment.add_once"),
        writes=((r"/api/v2/tickets\.json$", "POST"), (r"/api/v2/tickets/\d+\.json$", "PUT")),
        finds=r"/api/v2/tickets(\.json|/\d+/(comments|audits))",
        happens=_ticket,
        subscribes=_subscribes("/zendesk/webhooks", address="endpoint", subscriptions=_TICKET_EVENTS, secret=SECRET),
        stirs=_stirs_ticket,
        rows=({"kind": "organization", "name": "Northwind", "domains": ["northwind.test"], "tier": "enterprise"},),
        connection="per_page = 2\n",
    ),
    "jira": Bench(
        vendor="jira",
        reads=Reads("issues", r"/rest/api/3/search/jql", "GET", "issues.0", "fields.status.name", "id"),
        actions=("issue.ensure", "comment.add_once"),
        writes=((r"/rest/api/3/issue$", "POST"), (r"/rest/api/3/issue/[^/]+/comment$", "POST")),
        finds=r"/rest/api/3/(search/jql|issue/[^/]+/comment)",
        happens=_issue,
        subscribes=_subscribes("/jira/webhooks", events=["jira:issue_created", "jira:issue_updated"], secret=SECRET),
        stirs=_stirs_issue,
        smaller={"maxResults": 2},
    ),
    "gainsight": Bench(
        vendor="gainsight",
        reads=Reads("companies", r"/v1/data/objects/query/Company$", "POST", "data.0", "Stage", "Gsid"),
        actions=("task.ensure", "timeline.add_once"),
        writes=((r"/v2/cockpit/cta/?$", "POST"), (r"/v1/ant/es/activity$", "POST")),
        finds=r"/(v2/cockpit/cta/list|v1/data/objects/query/activity_timeline)$",
        happens=_company,
        subscribes=_subscribes("/gainsight/webhooks", token=SECRET),
        stirs=_stirs_company,
        rows=(
            {"kind": "gainsight.user", "email": MAYA, "name": "Maya Ortiz"},
            *(
                {
                    "kind": "gainsight.company",
                    "name": f"Company {number}",
                    "external_id": f"HL-{number}",
                    "arr": 5000,
                    "csm": MAYA,
                    "stage": "Adopting",
                    "ago": f"{20 - number}d",
                }
                for number in range(1, 10)
            ),
        ),
        connection="page = 2\n",
    ),
    "qualtrics": Bench(
        vendor="qualtrics",
        reads=Reads("responses", r"/export-responses/.*/file$", "GET", "responses.0", "values.status", "responseId"),
        actions=("survey.invite_once", "response.set"),
        writes=((r"/API/v3/distributions$", "POST"), (r"/API/v3/responses/[^/]+$", "PUT")),
        finds=r"/API/v3/distributions$",
        # Export files may be large, and one bound holds for the whole connection.
        most_body=256 * 1024 * 1024,
        files=Reads("contacts", r"/directories/[^/]+/contacts$", "GET", "result.elements.0", "language", "contactId"),
        # An export under way stands in the cursor as well, and how large the next one may be.
        place=lambda cursor: {survey: place.get("at") for survey, place in (cursor or {}).get("surveys", {}).items()},
        happens=_response,
        subscribes=_subscribes("/qualtrics/subscriptions", shared_key=SECRET),
        stirs=_stirs_response,
        rows=tuple(
            {"kind": "qualtrics.contact", "email": f"p{number}@northwind.test", "name": f"Person {number}"}
            for number in range(1, 10)
        ),
        connection=(
            'page_size = 2\n[connections.qualtrics.invite]\nlibrary = "UR_sandbox"\nmessage = "MS_sandbox"\n'
            'from_email = "surveys@harbourlight.example"\nfrom_name = "Harbourlight"\nsubject = "Better?"\n'
        ),
    ),
    "slack": Bench(
        vendor="slack",
        reads=Reads("messages", r"/api/conversations\.history$", "GET", "messages.0", "subtype", "ts"),
        actions=("message.notify_once", "message.reply_once"),
        writes=((r"/api/chat\.postMessage$", "POST"), (r"/api/chat\.postMessage$", "POST")),
        finds=r"/api/conversations\.(history|replies)$",
        happens=_message,
        subscribes=_subscribes("/slack/hooks", method="PUT", address="events_url", signing_secret=SECRET),
        stirs=_stirs_message,
        rows=(
            {"kind": "slack.user", "name": "Maya Ortiz", "email": MAYA},
            {"kind": "slack.channel", "name": "cx-ops", "id": "C0OPS00000"},
            {"kind": "slack.channel", "name": "alerts", "id": "C0ALERTS00", "members": ["cxbridge", MAYA]},
        ),
        connection='channels = { alerts = "C0ALERTS00" }\nmessages = ["alerts"]\n',
        options={"history_items": 2},
    ),
}
