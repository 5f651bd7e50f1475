"""A help desk, a chat and a survey tool without a wire, and a bridge over them: what people do, what cxbridge did."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.config import Configuration, Settings
from cxbridge.core.connector import Pressed
from cxbridge.core.engine import approvals as answering
from cxbridge.core.engine.approvals import Outcome
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.connections import no_probe
from cxbridge.core.engine.verdicts import token_of
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.registry import Registry
from cxbridge.core.store import approvals, asks, outbox, planning, runs
from cxbridge.core.store.approvals import Approval

HEAD = """
title = "An example"
owner = "support-ops"
stage = "live"
use = { desk = "desk", chat = "chat", survey = "survey" }

[[trigger]]
on = "ticket.changed"
from = "desk"
"""
# The streams of each vendor, with what they hold.
STREAMS: Mapping[str, Mapping[str, type[cx.Entity]]] = {
    "desk": {"accounts": cx.Account, "contacts": cx.Contact, "tickets": cx.Ticket},
    "chat": {"users": cx.Agent, "messages": cx.Message},
    "survey": {"contacts": cx.Contact, "invitations": cx.Invitation, "responses": cx.Feedback},
    "success": {
        "companies": cx.Account,
        "users": cx.Agent,
        "scores": cx.Health,
        "tasks": cx.Task,
        "timeline": cx.Touchpoint,
    },
}
# Verb → the stream it writes to.
ACTIONS: Mapping[str, Mapping[str, str]] = {
    "desk": {"comment.add_once": "tickets", "ticket.set": "tickets"},
    "chat": {
        "message.ask": "messages",
        "message.settle": "messages",
        "message.reply_once": "messages",
        "message.notify_once": "messages",
    },
    "survey": {"survey.invite_once": "invitations", "response.set": "responses"},
    "success": {
        "task.ensure": "tasks",
        "task.set": "tasks",
        "task.close": "tasks",
        "timeline.add_once": "timeline",
        "account.set": "companies",
    },
}


class Vendors:
    """What the vendors hold and were told; it outlives the bridge, as vendors do."""

    def __init__(self) -> None:
        self.entities: dict[str, list[cx.AnyEntity]] = {}
        self.done: list[tuple[str, cx.Call]] = []
        # Verb → what happens at the next calls: `refused`, `busy`, `lost` (done, no answer); done and answered when empty.
        self.script: dict[str, list[str]] = {}

    def put(self, place: str, *entities: cx.AnyEntity) -> None:
        self.entities.setdefault(place, []).extend(entities)

    def pages(self, place: str, cursor: Any) -> Iterator[cx.Page]:
        found = self.entities.get(place, [])
        yield cx.Page(found[int(cursor or 0) :], cursor=len(found))

    def perform(self, connection: str, verb: str, stream: str, call: cx.Call) -> cx.Receipt:
        how = self.script.get(verb, []).pop(0) if self.script.get(verb) else "ok"
        if how == "refused":
            raise cx.Rejected("there is no such channel", status=404)
        if how == "busy":
            raise cx.Retryable("busy", status=503, sent=False)
        if how == "locked":
            raise cx.Unauthorized("token expired")
        self.done.append((verb, call))
        if how == "lost":
            raise cx.Retryable("no answer", sent=True)
        return self._receipt(stream, call)

    def find(self, verb: str, stream: str, call: cx.Call) -> cx.Receipt | None:
        return self._receipt(stream, call) if any(call.marker == one.marker for _, one in self.done) else None

    def _receipt(self, stream: str, call: cx.Call) -> cx.Receipt:
        key = call.target or f"{stream[0]}-{call.marker[-8:]}"
        return cx.Receipt(stream, key, source_key=key.upper(), url=f"https://vendor.test/{key}")

    def calls(self, verb: str) -> list[Any]:
        """The inputs of every call of a verb that took effect."""
        return [call.inputs for name, call in self.done if name == verb]


def connector(vendors: Vendors, vendor: str) -> cx.Connector:
    class Wireless(cx.Connector):
        name = vendor

        def endpoint(self) -> cx.Endpoint:
            return cx.Endpoint(f"https://{vendor}.test")

        def streams(self) -> list[cx.Stream]:
            def pages(place: str) -> Callable[[cx.Client, cx.Json], Iterator[cx.Page]]:
                return lambda _, cursor: vendors.pages(place, cursor)

            return [cx.Stream(name, (kind,), pages=pages(f"{vendor}/{name}")) for name, kind in STREAMS[vendor].items()]

        def actions(self) -> list[cx.Action]:
            def perform(verb: str, stream: str) -> Callable[[cx.Client, cx.Call], cx.Receipt]:
                return lambda _, call: vendors.perform(vendor, verb, stream, call)

            def find(verb: str, stream: str) -> Callable[[cx.Client, cx.Call], cx.Receipt | None]:
                return lambda _, call: vendors.find(verb, stream, call)

            return [
                cx.Action(verb, stream, perform(verb, stream), cx.Findable(settle=5), find(verb, stream))
                for verb, stream in ACTIONS[vendor].items()
            ]

    return Wireless()


class Company:
    """The vendors, a folder of recipes and a bridge that can be closed and opened again."""

    def __init__(self, folder: Path, recipes: Mapping[str, str], clock: ManualClock, **settings: Any) -> None:
        self.clock = clock
        self.vendors = Vendors()
        self.folder = folder
        self._settings = settings
        (folder / "recipes").mkdir(parents=True, exist_ok=True)
        self.write(recipes)
        self.bridge = self.open()
        assert self.bridge.library.errors == (), str(self.bridge.library.errors[0])

    def write(self, recipes: Mapping[str, str]) -> None:
        for name, text in recipes.items():
            whole = text if "title" in text else HEAD + text
            (self.folder / "recipes" / f"{name}.toml").write_text(whole, encoding="utf-8")

    def configuration(self) -> Configuration:
        connections = {name: connector(self.vendors, name) for name in STREAMS}
        return Configuration(self.folder, Settings(**self._settings), Registry({}, []), connections)

    def open(self, probe: Callable[[str], None] = no_probe) -> Bridge:
        return Bridge(self.configuration(), clock=self.clock, probe=probe)

    def restart(self, probe: Callable[[str], None] = no_probe) -> None:
        """End the process, as far as the store can tell, and start another one."""
        self.bridge.close()
        self.bridge = self.open(probe)
        self.bridge.pusher.recover()

    # -- what people do ----------------------------------------------------------------------------------------------

    def ticket(self, key: str = "1", contact: str = "mia", **fields: Any) -> None:
        """A ticket of Mia's at Northwind, new or changed now."""
        self.vendors.put(
            "desk/tickets",
            cx.Ticket(
                **{
                    "source_id": key,
                    "source_key": f"#{key}",
                    "subject": "Export stops",
                    "requester": f"contacts/{contact}",
                    "account": "accounts/northwind",
                    "updated_at": self.clock.now(),
                    **fields,
                }
            ),
        )

    def answer(self, choice: str, who: str = "U1", form: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
        """Somebody presses a button of the newest question."""
        approval = self.approval()
        connection = more.pop("connection", "chat")
        given = {"approval": token_of(approval), "name": "", **more}
        pressed = Pressed(choice=choice, who=f"users/{who}" if connection else who, form=form or {}, **given)
        with self.bridge.store.write() as tx:
            return answering.answered(tx, connection, pressed, self.clock.now())

    # -- what cxbridge does ------------------------------------------------------------------------------------------

    def cycle(self, seconds: float = 1) -> None:
        """Pull, plan and push until nothing is due; then time passes."""
        for connection, stream in self.bridge.streams():
            self.bridge.pull(connection, stream)
        self.bridge.plan()
        self.push()
        self.clock.advance(seconds)

    def push(self) -> None:
        for _ in range(20):
            pushed = [self.bridge.push(name) for name in self.bridge.connections]
            if not any(one.confirmed or one.connections for one in pushed):
                return
        raise AssertionError("pushing never came to an end")

    def later(self, seconds: float) -> None:
        """Let time pass, then do what is due."""
        self.clock.advance(seconds)
        self.cycle()

    # -- what came of it ---------------------------------------------------------------------------------------------

    def run(self, **wanted: Any) -> Run:
        [found] = self.runs(**wanted)
        return found

    def runs(self, **wanted: Any) -> list[Run]:
        with self.bridge.store.read() as tx:
            return runs.find(tx, **wanted)

    def approval(self) -> Approval:
        with self.bridge.store.read() as tx:
            return approvals.find(tx)[0]

    def deliveries(self, **wanted: Any) -> list[Delivery]:
        with self.bridge.store.read() as tx:
            return outbox.find(tx, **wanted)

    def tallies(self, recipe: str) -> dict[str, int]:
        with self.bridge.store.read() as tx:
            return {what: one.n for what, one in planning.tallies(tx, recipe).items()}

    def asked(self, person: str) -> list[asks.Asked]:
        with self.bridge.store.read() as tx:
            return asks.of_person(tx, person)

    def notes(self) -> list[str]:
        return [one.body for one in self.vendors.calls("comment.add_once")]


@contextmanager
def company(folder: Path, recipes: Mapping[str, str] | str, clock: ManualClock, **settings: Any) -> Iterator[Company]:
    """Open a company whose only recipe is called `example`, or several by their names."""
    staged = Company(folder, {"example": recipes} if isinstance(recipes, str) else recipes, clock, **settings)
    try:
        yield staged
    finally:
        staged.bridge.close()
