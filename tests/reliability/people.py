"""What people do on a stage: customers, agents, engineers, and whoever is asked. Each deed is remembered for whoever judges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cxbridge.console.endpoints import Endpoints, judge
from cxbridge.core.connector import Inbound, Pressed
from cxbridge.core.engine.approvals import answered
from cxbridge.core.engine.mend import drop_deliveries, retry_deliveries, waiting_for_a_person
from cxbridge.core.engine.verdicts import token_of
from cxbridge.core.store import approvals, inbox, state
from cxbridge.sandbox.hooks import Hooks, Sent
from cxbridge.sandbox.verdict import markers

if TYPE_CHECKING:
    from tests.reliability.stage import Stage

_EVENTS = [
    "zen:event-type:ticket.created",
    "zen:event-type:ticket.tags_changed",
    "zen:event-type:ticket.priority_changed",
]


@dataclass(frozen=True)
class Deed:
    """Something a person did: what, to which thing of which vendor, and with which values."""

    at: float
    what: str
    vendor: str
    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


class _Postbox(Hooks):
    """Keeps what vendors send until the stage hands it over: no thread and no socket."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.waiting: list[tuple[str, str, dict[str, str], bytes]] = []

    def send(self, vendor: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        if not self.down:
            self.waiting.append((vendor, url, {name.lower(): value for name, value in headers.items()}, body))

    def told(self, vendor: str, url: str, size: int, status: int) -> None:
        self._sent.append(Sent(t=self._clock.time(), vendor=vendor, url=url, bytes=size, status=status))


class People:
    """Everybody around cxbridge. `deeds` is what they did, in order."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self.deeds: list[Deed] = []
        self.post = _Postbox(stage.world.clock)
        stage.world.hooks = self.post

    def _did(self, what: str, vendor: str, key: object, **values: Any) -> None:
        self.deeds.append(Deed(self._stage.world.clock.time(), what, vendor, str(key), values))

    # -- Zendesk ---------------------------------------------------------------------------------------------------

    def ticket(self, **fields: Any) -> int:
        """A customer writes; gives the ticket's number."""
        body = {
            "subject": "Export stops",
            "description": "The nightly export stops at forty percent.",
            "priority": "high",
            "requester": {"name": "Mia Lee", "email": "mia@northwind.test"},
            "organization": "Northwind",
            **fields,
        }
        number = int(self._stage.act("POST", "/zendesk/tickets", body)["ticket"]["id"])
        self._did("ticket", "zendesk", number, **body)
        return number

    def agent(self, number: int, **changes: Any) -> None:
        """An agent saves a ticket's page."""
        self._stage.act("PATCH", f"/zendesk/tickets/{number}", changes)
        self._did("edit", "zendesk", number, **changes)

    def tags(self, number: int, *tags: str) -> None:
        """An agent tags a ticket."""
        self.agent(number, tags_add=list(tags))

    def says(self, number: int, body: str, *, public: bool = False, author: str | None = None) -> None:
        """Somebody comments on a ticket: an agent, or the `customer`."""
        said: dict[str, Any] = {"body": body, "public": public}
        self.agent(number, comment={**said, "author": author} if author else said)

    # -- Jira ------------------------------------------------------------------------------------------------------

    def issue(self, **fields: Any) -> str:
        """An engineer makes an issue; gives its key."""
        body = {"project": "ENG", "summary": "Docks overheat", **fields}
        key = str(self._stage.act("POST", "/jira/issues", body)["key"])
        self._did("issue", "jira", key, **body)
        return key

    def engineer(self, key: str, **changes: Any) -> None:
        """An engineer edits an issue."""
        self._stage.act("PATCH", f"/jira/issues/{key}", changes)
        self._did("edit", "jira", key, **changes)

    def moves(self, key: str, to: str, resolution: str | None = None) -> None:
        """An engineer moves an issue through its workflow."""
        body = {"to": to, **({"resolution": resolution} if resolution else {})}
        self._stage.act("POST", f"/jira/issues/{key}/transition", body)
        self._did("transition", "jira", key, **body)

    def engineer_says(self, key: str, body: str) -> None:
        """An engineer comments on an issue."""
        self._stage.act("POST", f"/jira/issues/{key}/comment", {"body": body})
        self._did("comment", "jira", key, body=body)

    # -- whoever is asked ------------------------------------------------------------------------------------------

    def presses(self, choice: str, *, user: str = "Maya Ortiz", about: str = "", **form: str) -> None:
        """Somebody presses a button of the newest open question (`about` that); what Slack sends is in the post then."""
        hooks = {"interactivity_url": "http://bridge.test/slack", "signing_secret": "sandbox-signing-secret"}
        self._stage.act("PUT", "/slack/hooks", hooks)
        approval = self.open_question(about)
        self._stage.act("POST", "/slack/click", {"approval": approval, "choice": choice, "user": user, "form": form})
        self._did("press", "slack", approval, choice=choice, user=user)

    def answers(self, choice: str, who: str = "maya@harbourlight.example", *, about: str = "") -> None:
        """Somebody answers the newest open question (`about` that) on the command line."""
        bridge = self._stage.bridge
        with bridge.store.write() as tx:
            approval = approvals.get(tx, self.open_question(about))
            assert approval is not None
            pressed = Pressed(token_of(approval), choice, who=who, name=who)
            outcome = answered(tx, "", pressed, bridge.clock.now())
        assert outcome.counts, outcome.told
        self._did("answer", "", approval.id, choice=choice, who=who)

    def open_question(self, about: str = "") -> str:
        """Give the id of the newest question that is open and has these words."""
        with self._stage.bridge.store.read() as tx:
            return next(one.id for one in approvals.find(tx, state="open") if about in one.question)

    # -- what vendors send -----------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Hand over what vendors have sent; what is not acknowledged stays in the post, as a vendor sends it again."""
        bridge = self._stage.bridge
        if not self.post.waiting:
            return
        with bridge.store.read() as tx:
            endpoints = Endpoints(bridge.connections, state.instance_key(tx))
        while self.post.waiting:
            vendor, url, headers, body = self.post.waiting[0]
            verdict = judge(endpoints.all[vendor], Inbound("POST", headers, body, {}, bridge.clock.now()))
            if verdict.arrival is not None:
                with bridge.store.write() as tx:
                    inbox.add(tx, [verdict.arrival])
            self.post.told(vendor, url, len(body), verdict.status)
            self.post.waiting.pop(0)

    # -- the operator ----------------------------------------------------------------------------------------------

    def decides(self) -> int:
        """The operator looks at the vendor for each write that nobody else can settle: what is there is dropped, else sent again.

        Gives how many there were.
        """
        bridge = self._stage.bridge
        with bridge.store.read() as tx:
            waiting = waiting_for_a_person(tx)
        there = {one for effect in self._stage.writes() for one in markers(effect.detail)}
        for one in waiting:
            do = drop_deliveries if one.marker in there else retry_deliveries
            do(bridge.store, [one.id], bridge.clock.now())
            self._did("decide", one.connection, one.id, dropped=one.marker in there)
        return len(waiting)

    def subscribes(self, *vendors: str) -> None:
        """Somebody has the vendors send webhooks."""
        secret = "sandbox-signing-secret"
        for vendor in vendors:
            body = {
                "zendesk": {"endpoint": "http://bridge.test", "subscriptions": _EVENTS, "secret": secret},
                "jira": {"url": "http://bridge.test", "events": ["jira:issue_updated"], "secret": secret},
            }[vendor]
            self._stage.act("POST", f"/{vendor}/webhooks", body)
