"""A recipe as the engine runs it: compiled, checked, immutable. Made by `load`; holds no state and does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from cxbridge.core.recipes.expressions import Condition, Escape, Expression, Template
from cxbridge.core.recipes.functions import ValueMap
from cxbridge.core.recipes.schema import Limits, OnError, TestCase

Stage = Literal["draft", "shadow", "canary", "live", "paused"]
Event = Literal["created", "updated", "changed", "deleted"]

# What a recipe calls an entity → its canonical kind. A tracker's ticket is called an issue so that both can be spoken of at once.
NOUNS: Mapping[str, str] = {
    "ticket": "ticket",
    "issue": "ticket",
    "incident": "ticket",
    "problem": "ticket",
    "request": "ticket",
    "comment": "comment",
    "account": "account",
    "contact": "contact",
    "agent": "agent",
    "feedback": "feedback",
    "article": "article",
}
# Who belongs to a subject: name in scope → the field that holds the ref, and the kind it leads to.
BELONGINGS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "ticket": {
        "account": ("account", "account"),
        "contact": ("requester", "contact"),
        "assignee": ("assignee", "agent"),
    },
    "comment": {"author": ("author", "contact")},
    "contact": {"account": ("account", "account")},
    "feedback": {"account": ("account", "account"), "contact": ("contact", "contact")},
}
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


@dataclass(frozen=True, slots=True)
class Step:
    """One step. A core step (`link`, `stop`) has no role; an action names role, connection and `entity.verb`."""

    id: str
    do: str
    condition: Condition | None
    inputs: Rendered
    role: str = ""
    connection: str = ""
    action: str = ""


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
class Sync:
    """What holds for the life of a link of `relation`."""

    relation: str
    many: Literal["left", "right"] | None
    left_connection: str
    right_connection: str
    fields: tuple[SyncField, ...]


@dataclass(frozen=True, slots=True)
class Follow:
    """A second act on what is linked: one delivery per entity that `for_each` gives."""

    id: str
    trigger: Trigger
    when: Condition
    for_each: Expression
    batch: int
    step: Step


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

    @property
    def acts(self) -> bool:
        """Whether its runs may write to vendors."""
        return self.stage in ("live", "canary")

    @property
    def considered(self) -> bool:
        """Whether the daemon lets changes meet it at all."""
        return self.stage in ("shadow", "canary", "live")

    def part(self, name: str) -> Sequence[Step]:
        """Give the steps of a part: `steps`, or the single one of `follow:ID`."""
        if name == "steps":
            return self.steps
        kind, _, wanted = name.partition(":")
        return tuple(one.step for one in self.follows if kind == "follow" and one.id == wanted)
