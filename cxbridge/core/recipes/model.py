"""A recipe as the engine runs it: compiled, checked, immutable. Made by `load`; holds no state and does no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import msgspec

from cxbridge.core.recipes.expressions import Condition, Escape, Expression, Template
from cxbridge.core.recipes.functions import ValueMap
from cxbridge.core.recipes.nouns import NOUNS
from cxbridge.core.recipes.schema import Limits, OnError, TestCase
from cxbridge.core.recipes.surroundings import Surroundings

Stage = Literal["draft", "shadow", "canary", "live", "paused"]
Event = Literal["created", "updated", "changed", "deleted"]

# What a step leaves behind for the steps after it.
RESULT_FIELDS = ("id", "source_key", "url", "version", "told", "changed")


@dataclass(frozen=True, slots=True)
class Canary:
    """Which accounts a canary recipe acts for."""

    accounts: tuple[str, ...] = ()
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes the recipe look at a subject. `event` for changes; `every` or `cron` for sweeps."""

    id: str
    role: str
    connection: str
    noun: str
    event: Event | None = None
    fields: tuple[str, ...] = ()
    every: timedelta | None = None
    cron: str | None = None
    zone: str = "UTC"
    find: Condition | None = None
    catch_up: Literal["none", "latest", "all"] | timedelta = "latest"

    @property
    def kind(self) -> str:
        """The canonical kind of the subject."""
        return NOUNS[self.noun]

    @property
    def sweeps(self) -> bool:
        """Whether a schedule starts it."""
        return self.event is None


@dataclass(frozen=True, slots=True)
class RunRule:
    """Order, overlap and repetition. `key` and `once_per` are expressions over the scope."""

    key: Expression | None
    mode: Literal["queue", "skip", "restart", "parallel"] = "queue"
    once_per: Expression | None = None
    window: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A `with` table: literals, and templates that are filled in per run."""

    values: Mapping[str, Any]

    def render(self, scope: Mapping[str, Any], escape: Escape) -> dict[str, Any]:
        """Fill in the templates.

        Raises:
            ExpressionError: when one cannot be evaluated. Unmapped: when a map holds back a value.
        """
        return {name: _fill(value, scope, escape) for name, value in self.values.items()}


def _fill(value: Any, scope: Mapping[str, Any], escape: Escape) -> Any:
    if isinstance(value, Template):
        return value.value(scope, escape)
    if isinstance(value, Mapping):
        return {name: _fill(item, scope, escape) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_fill(item, scope, escape) for item in value]
    return value


# What an `approve` step leaves behind, beside the fields of its form; and a `wait` step.
APPROVAL_FIELDS = ("approved", "by", "at", "told")
WAIT_FIELDS = ("until", "told")


class FormInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One field of an `approve` step's form. A choice is `of` a list, or of what an earlier step found (`from`)."""

    type: Literal["choice", "text", "number"]
    label: str = ""
    of: list[Any] | None = None
    from_: str | None = None
    optional: bool = False
    default: Any = None


class ApproveInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `with` table of an `approve` step, filled in. Times are lengths like `4h`; with `clock`, open time of that calendar."""

    ask: str
    ttl: str
    to: str | None = None
    quorum: int = 1
    deputies: list[str] = []
    deputies_after: str | None = None
    clock: str | None = None
    on_timeout: Literal["approve", "reject", "hold"] = "hold"
    on_reject: Literal["stop", "continue"] = "stop"
    form: dict[str, FormInput] = {}


class WaitInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    """The `with` table of a `wait` step, filled in: a length of time, or a moment."""

    for_: str | None = None
    until: Any = None
    clock: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. A core step (`link`, `stop`) has no role; an action names role, connection and `entity.verb`.

    `fields` are what its result holds. `purpose` says what a customer is contacted for, `quarantine` how long after any other such
    contact that is left out. With `for_each` it is done once for each item of a list, `batch` of them at a time.
    """

    id: str
    do: str
    condition: Condition | None
    inputs: Rendered
    role: str = ""
    connection: str = ""
    action: str = ""
    fields: tuple[str, ...] = RESULT_FIELDS
    purpose: str | None = None
    quarantine: timedelta | None = None
    for_each: Expression | None = None
    batch: int = 25


@dataclass(frozen=True, slots=True)
class SyncField:
    """One field kept in step on both sides of a link. Paths are without the noun: `("priority",)`, `("custom", "status")`."""

    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    owner: Literal["left", "right"]
    join: Literal["max", "min", "first"] | None
    map: str | None
    # The connection and verb that write the side that does not own the field.
    connection: str
    action: str


@dataclass(frozen=True, slots=True)
class SyncComment:
    """Comments of one side (`source`) carried over to the other. `connection` and `action` write them there."""

    name: str
    source: Literal["left", "right"]
    condition: Condition | None
    inputs: Rendered
    connection: str
    action: str


@dataclass(frozen=True, slots=True)
class Sync:
    """What holds for the life of a link of `relation`."""

    relation: str
    many: Literal["left", "right"] | None
    left_connection: str
    right_connection: str
    fields: tuple[SyncField, ...]
    comments: tuple[SyncComment, ...] = ()


@dataclass(frozen=True, slots=True)
class Follow:
    """A second act on what is linked: one delivery per entity that `for_each` gives and whose `condition` holds.

    With `once_per`, one at most per value of it and per entity that changed, for good.
    """

    id: str
    trigger: Trigger
    when: Condition
    for_each: Expression
    batch: int
    step: Step
    condition: Condition | None = None
    once_per: Expression | None = None


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """One line of `[when]`."""

    name: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Recipe:
    """A loaded recipe. `version` is a hash of the file's text and of the inputs it was given.

    `title`, `owner` and `process` are for people: they say what it does, who answers for it, and what it is part of.
    """

    id: str
    path: str
    source: str
    version: str
    title: str
    owner: str
    stage: Stage
    canary: Canary
    use: Mapping[str, str]
    inputs: Mapping[str, Any]
    noun: str
    triggers: tuple[Trigger, ...]
    conditions: tuple[NamedCondition, ...]
    run: RunRule
    limits: Limits
    maps: Mapping[str, ValueMap]
    steps: tuple[Step, ...]
    syncs: tuple[Sync, ...] = ()
    follows: tuple[Follow, ...] = ()
    on_error: OnError = field(default_factory=OnError)
    tests: tuple[TestCase, ...] = ()
    process: str = ""
    # The calendars, windows and judge of the installation that it was loaded for.
    around: Surroundings = field(default_factory=Surroundings)

    @property
    def acts(self) -> bool:
        """Whether its runs may write to vendors."""
        return self.stage in ("live", "canary")

    @property
    def considered(self) -> bool:
        """Whether the daemon lets changes meet it at all."""
        return self.stage in ("shadow", "canary", "live")

    def listens_to(self) -> Iterator[tuple[str, str]]:
        """Give each connection and kind of entity whose changes it is met by, sweeps left aside; some may come twice."""
        for trigger in (*self.triggers, *(one.trigger for one in self.follows)):
            if not trigger.sweeps:
                yield trigger.connection, trigger.kind
        for sync in self.syncs:
            sides = {"left": sync.left_connection, "right": sync.right_connection}
            for connection in sides.values():
                yield connection, "ticket"
            for rule in sync.comments:
                yield sides[rule.source], "comment"

    def part(self, name: str) -> Sequence[Step]:
        """Give the steps of a part: `steps`, or the single one of `follow:ID`."""
        if name == "steps":
            return self.steps
        kind, _, wanted = name.partition(":")
        return tuple(one.step for one in self.follows if kind == "follow" and one.id == wanted)
