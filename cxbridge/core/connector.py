"""Everything a connector author needs, in one module: `from cxbridge.core import connector as cx`.

A connector is the code for one vendor. Its settings are the fields of a frozen pydantic model; it holds no state, opens no
socket, retries nothing, saves no cursor and sleeps never: the engine does all that. Forty lines make a useful one:

    class Pulse(cx.Connector):
        name = "pulse"

        url: str
        token: cx.Secret

        def endpoint(self) -> cx.Endpoint:
            return cx.Endpoint(self.url, auth=cx.Bearer(self.token))

        def check(self, client: cx.Client) -> cx.Identity:
            return cx.Identity(client.get("/me").json()["name"])

        def streams(self) -> list[cx.Stream]:
            return [cx.Stream("scores", (cx.Feedback,), pages=scores, order="changed")]


    def scores(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        after, more = cursor, True
        while more:
            body = client.get("/scores", {"after": after}).json()
            after, more = body["after"], body["more"]
            yield cx.Page([to_feedback(row) for row in body["scores"]], cursor=after)


    @cx.hookimpl
    def cxbridge_connectors() -> list[type[cx.Connector]]:
        return [Pulse]

and one line in the plugin's `pyproject.toml`: `[project.entry-points."cxbridge.plugins"]  pulse = "pulse"`. The administrator
enables it by name: `[plugins]  enable = ["pulse"]`.

**Streams** read. A stream is a generator of pages, oldest change first, resuming behind the given cursor (`None`: from the
beginning). Everything on a page is stored in the same commit as its cursor; yield a page even when it is empty if its cursor moved.

**Actions** write. An action is a function from a `Call` to a `Receipt` and declares its effect class, from which the engine
picks the recovery when an answer never came: `Idempotent` is sent again; `Keyed` is sent again under the same key inside half
its window; `Findable` is looked up by its marker, twice, `settle` seconds apart, before it may be sent again; `Blind` is shown
to a person and never repeated. A `perform` makes at most one call that changes something, and makes it last; only an
`Idempotent` one may go in several steps, because it takes up again wherever it stands.

This module imports nothing that can open a socket or a database.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pluggy
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from cxbridge.core.actions import (
    VERBS,
    AccountRef,
    AddComment,
    AddTouchpoint,
    Ask,
    Button,
    CloseAsk,
    CloseTask,
    ContactRef,
    EnsureLink,
    EnsureTask,
    EnsureTicket,
    FormField,
    Inputs,
    Invite,
    Notify,
    ReplyTo,
    SetAccount,
    SetContact,
    SetHealth,
    SetResponse,
    SetTags,
    SetTask,
    SetTicket,
    Text,
    Transition,
)
from cxbridge.core.canonical import (
    PRIORITY_ORDER,
    Account,
    Actor,
    Agent,
    Answer,
    AnyEntity,
    Article,
    Attachment,
    AuthorKind,
    Band,
    Channel,
    Comment,
    Contact,
    Container,
    Entity,
    Feedback,
    FeedbackKind,
    Health,
    HealthBand,
    HealthPart,
    Invitation,
    Lifecycle,
    Message,
    Priority,
    Resolution,
    Sentiment,
    StatusCategory,
    Survey,
    Task,
    TaskKind,
    TaskStatus,
    Ticket,
    TicketType,
    Touchpoint,
    Visibility,
    WaitingOn,
)
from cxbridge.core.errors import (
    ConfigError,
    Conflict,
    NotFound,
    PluginError,
    RateLimited,
    Rejected,
    Retryable,
    Unauthorized,
    VendorError,
    WireFormat,
)
from cxbridge.core.http import (
    Anonymous,
    Auth,
    Basic,
    Bearer,
    Budget,
    Client,
    ClientCredentials,
    Endpoint,
    Quota,
    RefreshToken,
    Reply,
    Unrepeating,
    on_this_machine,
)
from cxbridge.core.imprints import code_of, mapping_of
from cxbridge.core.pages import Page, Row, Rows
from cxbridge.core.webhooks import Announced, Forged, Inbound, Nudge, Pressed, Webhook, event_of, same

hookimpl = pluggy.HookimplMarker("cxbridge")

Json = Any
Secret = SecretStr

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(value: object) -> object:
    found = re.fullmatch(r"(\d+)\s*([smhd])", value) if isinstance(value, str) else None
    return int(found[1]) * _UNITS[found[2]] if found else value


# Seconds in settings, written as a number or as "90s", "5m", "1h", "2d".
Span = Annotated[int, BeforeValidator(_seconds), Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the credential belongs to, as `check` found out. `ref` is the local ref of that user, for telling echoes.

    `notices` are sentences an operator should read at every start, such as a credential type that will end.
    """

    name: str
    ref: str | None = None
    notices: tuple[str, ...] = ()


ReadOne = Callable[[Client, str], Page | None]


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of entity read from a connection, in a stated order.

    `pages(client, cursor)` yields pages and ends when the vendor has no more for now. `order` says what the cursor follows:
    `"changed"` (oldest change first) or `"scan"` (all of it, every time). `gaps` are canonical fields this platform cannot fill.
    `every` is the shortest sensible time between two pulls, in seconds. `filled_by` names the stream whose pages carry this
    one's entities beside their own; such a stream may have no `pages`. `one(client, key)` reads a single entity, for when a webhook
    names it: a page without a cursor of its own, or None when the vendor does not show it (yet). `several(client, keys)` asks the
    vendor once for what it tells of several entities at once, 50 at the most, and gives the function that reads each of them, as
    `one` would and from several threads. `beside(client, key)` reads what stands beside an entity and can be asked for without it,
    such as its comments: a vendor that takes its time is asked for both at once. Where `beside_streams` names all streams whose
    entities it gives, it is asked for only where a recipe listens to one of their kinds; pulls bring them to everybody else.
    """

    name: str
    kinds: tuple[type[Entity], ...]
    pages: Callable[[Client, Json], Iterator[Page]] | None = None
    order: Literal["changed", "scan"] = "changed"
    gaps: tuple[str, ...] = ()
    every: float = 0.0
    filled_by: str | None = None
    one: ReadOne | None = None
    several: Callable[[Client, Sequence[str]], ReadOne] | None = None
    beside: ReadOne | None = None
    beside_streams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Idempotent:
    """Repeating the call changes nothing more."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """The vendor drops a repetition under the same key for `window` seconds; afterwards the marker is looked up."""

    window: float
    settle: float = 5.0


@dataclass(frozen=True, slots=True)
class Findable:
    """The call plants a marker that `find` can look up, at the latest `settle` seconds after the call."""

    settle: float


@dataclass(frozen=True, slots=True)
class Blind:
    """Neither key nor marker: done at most once, a person decides on doubt."""


Effect = Idempotent | Keyed | Findable | Blind


@dataclass(frozen=True, slots=True)
class Call:
    """One planned write. `target` is the key of the entity to act on in its stream (`None` for `ensure`).

    `marker` is stable over restarts, unguessable and holds no personal data: plant it where it can be found again.
    `base` is the canonical entity as it was when the write was decided, if the store has it. `since` is when the write was first
    under way at the earliest (UTC), where that is known: an unanswered one need not be looked for further back. `sent` is when it
    was last sent, where that is known: it did not happen long after that. `fresh` says that `planted` told a few seconds ago that
    nothing carries the marker: `perform` need not look for it.
    """

    inputs: Inputs
    marker: str
    target: str | None = None
    base: AnyEntity | None = None
    since: datetime | None = None
    sent: datetime | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the vendor answered. `stream` and `key` name the entity written; `wrote` its canonical fields as they now are.

    `made` are local refs of entities that came into being (`"comments/77"`). `wrote` and `made` are how the engine tells the
    echo of this write when it is pulled. `changed` is False when the vendor already had it so; `told` is a word for people.
    """

    stream: str
    key: str
    source_key: str | None = None
    url: str | None = None
    version: str | None = None
    wrote: Mapping[str, Any] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    changed: bool = True
    told: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """A typed write: `name` is `entity.verb`, `effect` how it behaves on repetition.

    `find(client, call)` looks for the effect of an earlier, unanswered `perform` and gives its receipt, or `None`; it is required
    for `Findable` and `Keyed`. `stream` is the one whose entities it acts on. `prose` says how text inputs are written there.
    `planted(client, markers)` names those of several markers, 50 at the most, that something may carry already, with one request
    in place of one for each `perform` that looks before it writes; what it leaves out is written as `Call.fresh`.

    Raises from `perform`: the errors of `cxbridge.core.errors`; anything that is not a clear refusal leaves the delivery unknown.
    """

    name: str
    stream: str
    perform: Callable[[Client, Call], Receipt]
    effect: Effect
    find: Callable[[Client, Call], Receipt | None] | None = None
    inputs: type[Inputs] | None = None
    prose: Literal["plain", "html", "adf", "markdown", "slack"] = "plain"
    planted: Callable[[Client, Sequence[str]], Collection[str]] | None = None

    @property
    def inputs_type(self) -> type[Inputs]:
        """The struct that `Call.inputs` is an instance of.

        Raises:
            PluginError: when the verb is not canonical and names no inputs of its own.
        """
        found = self.inputs or VERBS.get(self.name)
        if found is None:
            raise PluginError(self.name, "an action that is not a canonical verb must name its inputs")
        return found


class Connector(BaseModel):
    """The settings of one connection and what can be done with it; subclass, add fields, override."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # The name that `connector = "…"` in the configuration uses.
    name: ClassVar[str]

    def endpoint(self) -> Endpoint:
        """Say where the vendor is and how to speak to it."""
        raise NotImplementedError

    def check(self, client: Client) -> Identity:
        """Find out whether the credential works, and whose it is.

        Raises:
            Unauthorized: when it does not.
            Retryable: when the vendor cannot be reached.
        """
        raise NotImplementedError

    def streams(self) -> Sequence[Stream]:
        """List what can be read."""
        return ()

    def actions(self) -> Sequence[Action]:
        """List what can be written."""
        return ()

    def webhook(self) -> Webhook | None:
        """Say how this vendor's webhooks are judged and read; None where it sends none that we take."""
        return None


__all__ = [
    # what an author writes
    "Action",
    "Call",
    "Connector",
    "Identity",
    "Page",
    "ReadOne",
    "Receipt",
    "Row",
    "Rows",
    "Stream",
    "code_of",
    "hookimpl",
    "mapping_of",
    # effect classes
    "Blind",
    "Effect",
    "Findable",
    "Idempotent",
    "Keyed",
    # speaking to the vendor
    "Anonymous",
    "Auth",
    "Basic",
    "Bearer",
    "Budget",
    "Client",
    "ClientCredentials",
    "Endpoint",
    "Quota",
    "RefreshToken",
    "Reply",
    "Span",
    "Unrepeating",
    "on_this_machine",
    # canonical entities
    "PRIORITY_ORDER",
    "Account",
    "Actor",
    "Agent",
    "Answer",
    "AnyEntity",
    "Article",
    "Attachment",
    "AuthorKind",
    "Band",
    "Channel",
    "Comment",
    "Contact",
    "Container",
    "Entity",
    "Feedback",
    "FeedbackKind",
    "Health",
    "HealthBand",
    "HealthPart",
    "Invitation",
    "Lifecycle",
    "Message",
    "Priority",
    "Resolution",
    "Sentiment",
    "StatusCategory",
    "Survey",
    "Task",
    "TaskKind",
    "TaskStatus",
    "Ticket",
    "TicketType",
    "Touchpoint",
    "Visibility",
    "WaitingOn",
    # canonical inputs
    "AccountRef",
    "AddComment",
    "AddTouchpoint",
    "Ask",
    "Button",
    "CloseAsk",
    "CloseTask",
    "ContactRef",
    "EnsureLink",
    "EnsureTask",
    "EnsureTicket",
    "FormField",
    "Inputs",
    "Invite",
    "Notify",
    "ReplyTo",
    "SetAccount",
    "SetContact",
    "SetHealth",
    "SetResponse",
    "SetTags",
    "SetTask",
    "SetTicket",
    "Text",
    "Transition",
    # webhooks
    "Announced",
    "Forged",
    "Inbound",
    "Nudge",
    "Pressed",
    "Webhook",
    "event_of",
    "same",
    # errors
    "ConfigError",
    "Conflict",
    "NotFound",
    "PluginError",
    "RateLimited",
    "Rejected",
    "Retryable",
    "Unauthorized",
    "VendorError",
    "WireFormat",
    # shorthands
    "Field",
    "Iterable",
    "Json",
    "Secret",
    "msgspec",
]
