"""The tables and keys of a recipe file, as pydantic models: shapes, types, defaults; `check` judges the meaning.

What the language names but this version cannot do yet stands in `planned` and `planned_values`, so that the error can say so.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_CATCH_UP = ("none", "latest", "all")
_SHORTEST = timedelta(seconds=1)


def parse_duration(text: str) -> timedelta:
    """Read `"90s"`, `"15m"`, `"4h"`, `"2d"`, `"1d12h"`.

    Raises:
        ValueError: when it is none of these.
    """
    squeezed = text.replace(" ", "")
    if "business" in squeezed:
        raise ValueError("business time counts by a calendar, and there is none here: write it like 4h or 2d")
    parts = _DURATION.findall(squeezed)
    if not parts or "".join(number + unit for number, unit in parts) != squeezed:
        raise ValueError(f"{text!r} is no duration: write it like 90s, 15m, 4h, 2d or 1d12h")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f"{text!r} is longer than time lasts") from None


def _duration(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError(f'write the unit of time with it, in quotes: "{int(value) or 15}m"')  # noqa: TRY004  # pydantic takes ValueError as a verdict
    return parse_duration(value) if isinstance(value, str) else value


def _interval(value: Any) -> Any:
    found = _duration(value)
    if isinstance(found, timedelta) and found < _SHORTEST:
        raise ValueError("this must be at least 1s")
    return found


def _catch_up(value: Any) -> Any:
    if value in _CATCH_UP:
        return value
    try:
        return _duration(value)
    except ValueError:
        raise ValueError(f"{value!r} is neither none, latest or all nor a time like 6h") from None


def _share(value: Any) -> Any:
    if isinstance(value, str):
        number = value.strip().removesuffix("%").strip()
        if not value.strip().endswith("%") or not re.fullmatch(r"\d+(\.\d+)?", number):
            raise ValueError(f"{value!r} is no share: write it like 10%")
        value = float(number) / 100
    if isinstance(value, int | float) and not 0 <= value <= 1:
        raise ValueError("a share lies between 0% and 100%")
    return value


Interval = Annotated[timedelta, BeforeValidator(_interval)]
# As an interval, and it may be nothing at all.
Length = Annotated[timedelta, BeforeValidator(_duration)]
CatchUp = Annotated[Literal["none", "latest", "all"] | timedelta, BeforeValidator(_catch_up)]
Share = Annotated[float, BeforeValidator(_share)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Words = Annotated[str, Field(min_length=1)]

EVENTS = ("created", "updated", "changed", "deleted")
# Steps of the language that this version has no code for.
PLANNED_STEPS = ("assign",)


class Table(BaseModel):
    """Base of all tables: unknown keys are refused, nothing is converted in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    planned: ClassVar[frozenset[str]] = frozenset()
    planned_values: ClassVar[Mapping[str, frozenset[str]]] = {}


class Canary(Table):
    """Which accounts a canary recipe may act for: those named, and a fixed share of the others."""

    accounts: list[str] = Field(default=[], description="Accounts by name, key or external id.")
    share: Share = Field(default=0.0, description="The share of all other accounts, like 10%.")


class Input(Table):
    """A value that an admin sets per installation, under [recipes.inputs.ID] in cxbridge.toml."""

    planned_values = {"type": frozenset({"secret"})}

    type: Literal["text", "number", "list", "duration", "choice", "calendar"] = Field(description="What may be set.")
    default: Any = Field(default=None, description="What holds where cxbridge.toml says nothing.")
    of: list[str] = Field(default=[], description="What can be chosen; for a choice only.")
    about: str = Field(default="", description="What it is for, in words for the admin.")


class BandTable(Table):
    """Two numbers with room between them, so that a value that wavers crosses once. Each may be {{ inputs.NAME }}."""

    enter: float | int | str = Field(description="At this value, or beyond it, the band is crossed.")
    leave: float | int | str = Field(description="It can be crossed again only after the value was back here.")
    direction: Literal["falling", "rising"] | None = Field(
        default=None, description="Which way it is crossed; follows from the two numbers without."
    )


class Trigger(Table):
    """What starts the recipe: an event (`on`), or a sweep (`every` or `cron`, with `find`)."""

    planned = frozenset({"settle"})

    id: Name | None = Field(default=None, description="Its name in traces.")
    on: str | None = Field(default=None, description="An event: ticket.changed, ticket.created, account.deleted …")
    from_: Name = Field(alias="from", description="The role whose entities it watches.")
    fields: list[str] = Field(default=[], description="Look only at changes of these fields; all without.")
    every: Interval | None = Field(default=None, description="Sweep this often, like 15m.")
    cron: str | None = Field(default=None, description="Sweep at these times: minute hour day month weekday.")
    zone: str = Field(default="UTC", description="The time zone of `cron`, like Europe/Berlin.")
    find: str | None = Field(default=None, description="A condition: the records that a sweep looks at.")
    catch_up: CatchUp = Field(
        default="latest", description="Sweeps that were missed while stopped: none, latest, all, or as old as 6h."
    )


class RunTable(Table):
    """Order, overlap and repetition, judged per key."""

    key: str | None = Field(default=None, description="An expression; runs of the same key never overlap.")
    mode: Literal["queue", "skip", "restart", "parallel"] = Field(
        default="queue", description="What happens to a run while an earlier one of its key goes on."
    )
    once_per: str | None = Field(default=None, description="An expression; it acts once per value of it.")
    window: Interval | None = Field(default=None, description="How long `once_per` holds; for ever without.")


class Limits(Table):
    """How much one recipe may do before it stops and asks."""

    planned = frozenset({"budget"})

    writes_per_run: Annotated[int, Field(ge=1)] = Field(default=20, description="Writes of one run at most.")
    writes_per_hour: Annotated[int, Field(ge=1)] = Field(default=600, description="Writes within an hour; more wait.")
    halt_if_matches: Annotated[int, Field(ge=1)] = Field(
        default=200, description="More subjects than this within an hour stop the recipe until a person allows it."
    )
    quarantine: Length | None = Field(
        default=None, description="How long nobody is asked who was asked for anything; as in cxbridge.toml without."
    )


class Step(Table):
    """One step: a verb of a role, or a step of the core (`link`, `wait`, `approve`, `stop`)."""

    id: Name = Field(description="Its name; later steps read its result by it.")
    do: str = Field(description="role.entity.verb, or a core step: link, wait, approve, stop.")
    if_: str | None = Field(
        default=None, alias="if", description="A condition; the step is skipped where it does not hold."
    )
    for_each: str | None = Field(
        default=None, description="A list, such as linked(feedback, 'about'); done once for each `item` of it."
    )
    batch: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=25, description="Of how many items the deliveries are planned at once; for `for_each` only."
    )
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="What the verb needs; texts may be templates."
    )
    purpose: Name | None = Field(
        default=None, description="What a customer is contacted for, such as follow_up: then consent is looked at."
    )
    quarantine: Length | None = Field(
        default=None, description="How long nobody is contacted who was contacted for anything."
    )


class SyncField(Table):
    """One field kept in step: the owner's value goes to the other side."""

    planned_values = {"owner": frozenset({"newest", "manual"})}

    left: str = Field(description="A field on the left of the link, like ticket.priority.")
    right: str = Field(description="A field on the right of the link, like issue.priority.")
    owner: Literal["left", "right"] = Field(description="The side whose value holds.")
    join: Literal["max", "min", "first"] | None = Field(
        default=None, description="How the values of several owners become one."
    )
    map: Name | None = Field(default=None, description="The [map.NAME] that translates the owner's value.")


class SyncComment(Table):
    """Comments that are carried over from one side of a link to the other, each one once."""

    from_: Literal["left", "right"] = Field(alias="from", description="The side whose comments are carried over.")
    if_: str | None = Field(
        default=None, alias="if", description="A condition on the comment; all are carried over without."
    )
    visibility: Literal["public", "internal"] = Field(description="Who may read it on the other side; always said.")
    body: Words = Field(
        default="{{ author.name | default('Somebody', true) }}: {{ comment.body_text }}",
        description="What is written there.",
    )


class Sync(Table):
    """What holds for the life of a link."""

    relation: Name = Field(description="The relation of the links, as a link step names it.")
    many: Literal["left", "right"] | None = Field(default=None, description="The side that several may share.")
    field: list[SyncField] = Field(default=[], description="The fields that are kept in step.")
    comment: list[SyncComment] = Field(default=[], description="The comments that are carried over.")


class Follow(Table):
    """A second act on what is linked."""

    id: Name = Field(description="Its name in traces.")
    on: str = Field(description="An event: issue.changed …")
    from_: Name = Field(alias="from", description="The role whose entities it watches.")
    when: str = Field(description="A condition on what changed.")
    for_each: str = Field(description="Whom it acts on: linked(issue, 'escalated_to').")
    if_: str | None = Field(
        default=None, alias="if", description="A condition on each of them; `item` is the linked entity."
    )
    once_per: str | None = Field(
        default=None, description="An expression over `item`; it acts once per value of it and per changed entity."
    )
    batch: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=25, description="How many are written to before the rest is planned."
    )
    do: str = Field(description="role.entity.verb.")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="What the verb needs; texts may be templates."
    )
    purpose: Name | None = Field(
        default=None, description="What a customer is contacted for, such as follow_up: then consent is looked at."
    )
    quarantine: Length | None = Field(
        default=None, description="How long nobody is contacted who was contacted for anything."
    )


class Retry(Table):
    """When and how often a delivery that failed for the moment is tried again."""

    tries: Annotated[int, Field(ge=1, le=50)] = Field(default=8, description="Attempts at most.")
    first: Interval = Field(default=timedelta(seconds=10), description="The first pause; each is longer than the last.")
    max: Interval = Field(default=timedelta(hours=8), description="The longest pause.")
    only: list[Literal["rate_limited", "timeout", "server_error"]] = Field(
        default=["rate_limited", "timeout", "server_error"], description="What is worth another attempt."
    )


class OnError(Table):
    """What happens when a delivery cannot be done."""

    retry: Retry = Field(default=Retry(), description="Failures of the moment.")
    then: Literal["quarantine", "halt", "skip"] = Field(
        default="quarantine", description="A failure that stays: keep it for a person, stop the recipe, or go on."
    )
    notify: Words | None = Field(default=None, description="Who is told when runs fail: chat:#channel, once an hour.")


class Expect(Table):
    """What a test in the file expects. `step` maps step ids to inputs that must be among those planned."""

    writes: Annotated[int, Field(ge=0)] | None = Field(default=None, description="How many writes are planned.")
    stopped_at: str | None = Field(default=None, description="The condition of [when] that does not hold.")
    held: str | None = Field(default=None, description="Words of the reason why it waits for a person.")
    echoes: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Not known yet.")
    issues: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many tickets or issues are ensured."
    )
    links: Annotated[int, Field(ge=0)] | None = Field(default=None, description="How many links are made.")
    comments: Annotated[int, Field(ge=0)] | None = Field(default=None, description="How many comments are written.")
    tasks: Annotated[int, Field(ge=0)] | None = Field(default=None, description="How many tasks are ensured.")
    messages: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many messages are sent to channels or people on our side."
    )
    invitations: Annotated[int, Field(ge=0)] | None = Field(default=None, description="How many people are asked.")
    touchpoints: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many entries on timelines are written."
    )
    step: dict[str, dict[str, Any]] = Field(default={}, description="By step: inputs that must be among those planned.")


class TestCase(Table):
    """A test in the file: what is given, and what must come of it."""

    __test__ = False  # its name must not make pytest collect it

    name: Words = Field(description="What must hold, in words.")
    given: dict[str, Any] | str = Field(description="The subject and what belongs to it, with the fields that matter.")
    at: str | None = Field(default=None, description="The time it is, like 2026-05-06T09:00:00Z.")
    expect: Expect = Field(description="What must come of it.")


class RecipeFile(Table):
    """A whole recipe file."""

    planned = frozenset({"trace"})

    title: Words = Field(description="What the recipe does, in one line.")
    owner: Words = Field(description="The people who answer for it.")
    process: Words | None = Field(default=None, description="The process it belongs to, such as escalation.")
    stage: Literal["draft", "shadow", "canary", "live", "paused"] = Field(
        default="shadow",
        description="draft and paused do nothing, shadow writes nothing, canary acts for some accounts.",
    )
    canary: Canary = Field(default=Canary(), description="Whom a recipe in stage canary acts for.")
    use: dict[Name, str] = Field(description="The roles of this file and the connections that play them.")
    inputs: dict[Name, Input] = Field(default={}, description="What an admin may set per installation.")
    trigger: list[Trigger] = Field(default=[], description="What starts it; at least one.")
    when: dict[Name, str] = Field(default={}, description="Named conditions; all must hold, in order.")
    run: RunTable = Field(default=RunTable(), description="Order, overlap and repetition.")
    limits: Limits = Field(default=Limits(), description="Where it stops and asks.")
    map: dict[Name, dict[str, Any]] = Field(
        default={}, description="Value maps; `unmapped` is hold, pass, or the value for all others."
    )
    band: dict[Name, BandTable] = Field(default={}, description="Tolerance bands, for crossed(field, 'NAME').")
    step: list[Step] = Field(default=[], description="What it does, in order.")
    sync: list[Sync] = Field(default=[], description="What holds for the life of a link.")
    follow: list[Follow] = Field(default=[], description="Second acts on what is linked.")
    on_error: OnError = Field(default=OnError(), description="What happens when a write fails.")
    test: list[TestCase] = Field(default=[], description="Tests; run them with: cxbridge recipes test.")
