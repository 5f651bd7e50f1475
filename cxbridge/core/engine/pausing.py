"""Steps at which a run waits: for a time here, for people in `approvals`; says what is to be written, and writes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from cxbridge.core.clock import from_iso
from cxbridge.core.engine.connections import Connection
from cxbridge.core.ledger import Ref, Run
from cxbridge.core.recipes.model import Step, WaitInputs
from cxbridge.core.recipes.schema import parse_duration
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.store import Tx
from cxbridge.core.store.approvals import Approval
from cxbridge.functions.calendars import add_business

# When so much time from a moment has passed; by a calendar where its name is given.
After = Callable[[datetime, str, str | None], datetime]
_Inputs = TypeVar("_Inputs", bound=msgspec.Struct)


class Unreached(Exception):  # not an error for users: it becomes the reason a run ends with
    """A step cannot wait as it is told to; the text says why in words."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be sent beside the run: it waits for no answer of the vendor."""

    step: Step
    target: Ref | None = None
    index: int = 0


@dataclass(slots=True)
class Reached:
    """What coming to such a step gives: the run as it then is, whether it goes on behind the step, a question, messages."""

    run: Run
    goes_on: bool = False
    approval: Approval | None = None
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands when it comes to such a step, and what is known there.

    `fill()` gives the step's `with`, filled in; `ask(connection)` its question and `write(connection, text)` any other text, as
    they are written there. `use` leads from roles to connections. A pretended run neither waits nor asks.
    """

    tx: Tx
    now: datetime
    run: Run
    step: Step
    fill: Callable[[], Mapping[str, Any]]
    use: Mapping[str, str]
    connections: Mapping[str, Connection]
    ask: Callable[[str], str]
    write: Callable[[str, str], str]
    after: After
    pretended: bool = False

    def offers(self, connection: str, action: str) -> bool:
        """Whether a connection can do something."""
        found = self.connections.get(connection)
        return found is not None and action in found.actions

    def read(self, inputs: type[_Inputs]) -> _Inputs:
        """Read the step's inputs.

        Raises:
            Unreached: when a template gave something else than what is needed.
        """
        given = {name: value for name, value in self.fill().items() if value is not None and value != ""}
        try:
            return msgspec.convert(given, inputs)
        except msgspec.ValidationError as error:
            raise Unreached(f"step {self.step.id}: {self.step.do} cannot take this: {error}") from error


def after(around: Surroundings, start: datetime, text: str, clock: str | None) -> datetime:
    """Say when so much time has passed: ordinary time, or with `clock` the open time of that calendar.

    Raises:
        Unreached: when the text is no length of time, or there is no such calendar.
    """
    try:
        if clock is None:
            return start + parse_duration(text)
        calendar = around.calendar(clock)
        if calendar is None:
            raise Unreached(f"there is no calendar {clock!r}; there are {', '.join(around.known_calendars)}")
        return add_business(start, text, calendar)
    except ValueError as error:
        raise Unreached(str(error)) from error
    except OverflowError as error:
        raise Unreached(f"{text} from now is later than time lasts") from error


def with_step(run: Run, step: Step, told: Mapping[str, Any]) -> Run:
    """Let a run go on behind a step with what the step gives."""
    results = {**run.results, step.id: {**dict.fromkeys(step.fields), **told}}
    return msgspec.structs.replace(run, results=results, state="running", reason="", wake_at=None)


def wait(place: Place) -> Reached:
    """Come to a `wait`, for the first time or when the run is looked at again: it goes on once its time has come."""
    run, step, now = place.run, place.step, place.now
    if run.state == "waiting" and run.wake_at is not None:
        if now < run.wake_at:
            return Reached(run)
        told = f"waited until {clock_text(run.wake_at)}"
        return Reached(with_step(run, step, {"until": run.wake_at, "told": told}), goes_on=True)
    inputs = place.read(WaitInputs)
    when = place.after(now, inputs.for_, inputs.clock) if inputs.for_ is not None else _moment(step, inputs.until)
    if when <= now:
        told = f"{clock_text(when)} was over already"
        return Reached(with_step(run, step, {"until": when, "told": told}), goes_on=True)
    if place.pretended:
        told = f"would wait until {clock_text(when)}"
        return Reached(with_step(run, step, {"until": when, "told": told}), goes_on=True)
    reason = f"{step.id}: waits until {clock_text(when)}"
    return Reached(msgspec.structs.replace(run, state="waiting", reason=reason, wake_at=when))


def _moment(step: Step, value: Any) -> datetime:
    found = value
    if isinstance(value, str):
        try:
            found = from_iso(value)
        except ValueError:
            found = None
    if not isinstance(found, datetime):
        told = "nothing" if value is None else repr(value)
        raise Unreached(f"step {step.id} cannot wait until {told}: that is no time")
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def clock_text(moment: datetime) -> str:
    """Write a time for people, down to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"
