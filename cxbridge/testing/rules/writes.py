"""Rules about actions: what they declare, that each acts once whatever becomes of the answer, and what receipts tell."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from cxbridge.core.connector import (
    Action,
    Blind,
    Call,
    Effect,
    Findable,
    Idempotent,
    Inputs,
    Keyed,
    PluginError,
    RateLimited,
    Receipt,
    Rejected,
    Retryable,
    Unauthorized,
    VendorError,
    Visibility,
    WireFormat,
)
from cxbridge.testing import line
from cxbridge.testing.findings import Finding, Ruled, each, rule
from cxbridge.testing.lab import Lab, Tried, name_error

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_NOT_YET_SO = "try something that is not yet so, and count what really changed: Lab(effects=…)"
# As the engine does it: two looks that find nothing make sure that an unanswered write never arrived.
_LOOKS = 2
_WIDTH: dict[Visibility, int] = {"restricted": 0, "internal": 1, "public": 2}
# The answer to a write, what the client makes of it, and whether the write may have had an effect.
_TABLE: tuple[tuple[str, line.Fault, type[VendorError], bool | None], ...] = (
    ("answers 401", line.answers(401), Unauthorized, None),
    ("answers 403", line.answers(403), Rejected, None),
    ("answers 404", line.answers(404), Rejected, None),
    ("answers 429", line.answers(429, {"retry-after": "900"}), RateLimited, False),
    ("answers 500", line.answers(500), Retryable, True),
    ("answers with a web page", line.shows_web_page, WireFormat, None),
)


class WriteRules(Ruled):
    """What can be written, and how a write behaves on repetition."""

    @rule
    def test_actions_say_what_they_do(self, lab: Lab) -> Iterator[Finding]:
        """Each action is called `noun.verb`, knows its inputs, acts on a declared stream and declares its effect class."""
        connector = lab.connect()
        streams = {stream.name for stream in connector.streams()}
        names = [action.name for action in connector.actions()]
        for action in connector.actions():
            if not _NAME.fullmatch(action.name) or names.count(action.name) > 1:
                yield Finding(action.name, "is no name of its own", "noun.verb, once, such as comment.add_once")
            if action.stream not in streams:
                yield Finding(
                    action.name, f"acts on {action.stream}, which is no stream", "name one that streams() lists"
                )
            if action.prose not in ("plain", "html", "adf", "markdown", "slack"):
                yield Finding(action.name, f"writes prose as {action.prose!r}", "plain, html, adf, markdown or slack")
            try:
                wanted: Any = action.inputs_type
                if not (isinstance(wanted, type) and issubclass(wanted, Inputs)):
                    yield Finding(
                        action.name, "has inputs that are no cx.Inputs", "subclass cx.Inputs, frozen, kw_only"
                    )
            except PluginError:
                yield Finding(action.name, "is no canonical verb and names no inputs", "give cx.Action(inputs=…)")
            yield from _effect(action)

    @rule
    def test_every_action_has_a_trial(self, lab: Lab) -> Iterator[Finding]:
        """The lab has a write to try for each action, of the inputs that the action takes."""
        actions = {action.name: action for action in lab.connect().actions()}
        for name in actions.keys() - {trial.action for trial in lab.trials}:
            remedy = f'give the lab one that changes something: Trial("{name}", inputs, target=key)'
            yield Finding(name, "has no trial", remedy)
        for trial in lab.trials:
            if trial.action not in actions:
                yield Finding(trial.action, "has a trial and is no action", "mend the trial's name")
            elif not isinstance(trial.inputs, actions[trial.action].inputs_type):
                wanted = actions[trial.action].inputs_type.__name__
                yield Finding(trial.action, f"is tried with {type(trial.inputs).__name__}", f"give it {wanted}")

    @rule
    def test_a_write_is_one_call_and_the_last(self, lab: Lab) -> Iterator[Finding]:
        """`perform` changes something with one call at most, and asks nothing behind it."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            before, asked = lab.done(), len(lab.line.sent)
            call = lab.call(tried)
            asked = len(lab.line.sent)
            lab.perform(tried.action, call)
            sent = lab.line.sent[asked:]
            writes = [one for one in sent if one.writes]
            if lab.done() == before:
                yield Finding(tried.name, "changed nothing in its trial", _NOT_YET_SO)
            if len(writes) > 1:
                told = ", ".join(one.told for one in writes)
                remedy = "send one; what needs two is two actions, or one that is idempotent throughout"
                yield Finding(tried.name, f"wrote {len(writes)} times: {told}", remedy)
            elif writes and sent[-1] is not writes[0]:
                remedy = "read first and write last: what fails behind a write leaves it in doubt"
                yield Finding(tried.name, f"asked {sent[-1].told} behind its write", remedy)

        yield from each(trials_of(lab), inspect)

    @rule
    def test_a_write_repeated_acts_once(self, lab: Lab) -> Iterator[Finding]:
        """Under the same marker, an idempotent or keyed write done again changes nothing; a findable one is found."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            if isinstance(tried.action.effect, Idempotent | Keyed) and lab.effects is None:
                remedy = "let the lab's vendor count what really changed: Lab(effects=…)"
                yield Finding(tried.name, "cannot be judged: the vendor may take a repetition and do nothing", remedy)
                return
            call, sent = lab.call(tried), line.Keeps()
            with lab.line.broken(sent, which=line.is_write):
                receipt = lab.perform(tried.action, call)
            done = lab.done()
            if isinstance(tried.action.effect, Idempotent | Keyed):
                again = lab.perform(tried.action, call)
                if lab.done() != done:
                    remedy = "send only what differs, or under the same key; if it cannot be, declare another effect"
                    yield Finding(tried.name, f"changed {lab.done() - done} more when repeated", remedy)
                yield from _same_place(tried, receipt, again, "repeated")
            if isinstance(tried.action.effect, Findable | Keyed):
                lab.clock.advance(tried.action.effect.settle)
                found = lab.find(tried.action, call)
                if found is None:
                    remedy = "plant call.marker in the very call that writes, and look it up in find"
                    yield Finding(tried.name, "was done, and find does not find it", remedy)
                else:
                    yield from _same_place(tried, receipt, found, "found")
            if isinstance(tried.action.effect, Keyed) and sent.request is not None:
                yield from _key_is_kept(lab, tried, call, sent)

        yield from each(trials_of(lab), inspect)

    @rule
    def test_a_lost_answer_is_settled(self, lab: Lab) -> Iterator[Finding]:
        """The vendor acts and its answer is lost: recovered as the effect class says, the write has happened once."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            call = lab.call(tried)
            before, asked = lab.done(), len(lab.line.sent)
            with lab.line.broken(line.loses_answer, which=line.is_write, times=1):
                error = _failed(lab, tried, call)
            if lab.done() == before:
                yield Finding(tried.name, "changed nothing in its trial", _NOT_YET_SO)
                return
            if isinstance(tried.action.effect, Findable | Blind) and sum(s.writes for s in lab.line.sent[asked:]) > 1:
                remedy = "leave repeating to the engine, which looks before it does"
                yield Finding(tried.name, "sent its write again without knowing what became of the first", remedy)
            yield from _in_doubt(tried, error)
            once = lab.done()
            if error is None or isinstance(tried.action.effect, Blind):
                return
            if isinstance(tried.action.effect, Idempotent | Keyed) and lab.effects is None:
                return  # told by the rule about repetition
            yield from _settled(lab, tried, call)
            if lab.done() != once:
                remedy = "make the marker findable as soon as the write is done, or declare a longer settle"
                yield Finding(tried.name, f"happened {1 + lab.done() - once} times after a lost answer", remedy)

        yield from each(trials_of(lab), inspect)

    @rule
    def test_a_write_that_never_arrived_is_made_up_for(self, lab: Lab) -> Iterator[Finding]:
        """The request is lost: `find` finds nothing, so that it is sent again and happens after all."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            call = lab.call(tried)
            before = lab.done()
            with lab.line.broken(line.loses_request, which=line.is_write, times=1):
                error = _failed(lab, tried, call)
            if error is None or isinstance(tried.action.effect, Blind):
                return
            yield from _in_doubt(tried, error)
            if isinstance(tried.action.effect, Findable | Keyed) and lab.find(tried.action, call) is not None:
                remedy = "find must give a receipt only for a write that carries call.marker"
                yield Finding(tried.name, "find claims a write that never happened, which is then never made", remedy)
                return
            yield from _settled(lab, tried, call)
            if lab.done() == before:
                yield Finding(tried.name, "never happened", "perform must write when it is called again")

        yield from each(trials_of(lab), inspect)

    @rule
    def test_failed_writes_are_told(self, lab: Lab) -> Iterator[Finding]:
        """Refused, over a limit or in doubt: the error of a write says which, and no receipt is made up."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            for what, fault, expected, sent in _TABLE:
                call = lab.call(tried)
                with lab.line.broken(fault, which=line.is_write):
                    error = _failed(lab, tried, call)
                about = f"where the vendor {what}, it gave {name_error(error) if error else 'a receipt'}"
                if not isinstance(error, expected):
                    remedy = "let the client's error through, or raise one of the same class"
                    yield Finding(tried.name, f"{about} instead of {expected.__name__}", remedy)
                elif sent is not None and isinstance(error, Retryable) and error.sent != sent:
                    remedy = "keep `sent` as the client told it: the engine decides by it what may be repeated"
                    yield Finding(tried.name, f"{about} with sent={error.sent}", remedy)

        yield from each(trials_of(lab), inspect)

    @rule
    def test_looking_up_only_reads(self, lab: Lab) -> Iterator[Finding]:
        """`find` works with a client that lets no write pass."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            if tried.action.find is None:
                return
            call = lab.call(tried)
            asked = len(lab.line.sent)
            lab.find(tried.action, call, read_only=True)
            lab.perform(tried.action, call)
            begun = len(lab.line.sent)
            lab.find(tried.action, call, read_only=True)
            if asked == begun or any(sent.writes for sent in lab.line.sent[begun:]):
                yield Finding(tried.name, "find writes", "look up with client.get() only")

        yield from each(trials_of(lab), inspect)


def trials_of(lab: Lab) -> list[Tried]:
    """List the trials of a lab; a connector that writes nothing has none to judge."""
    found = lab.tried()
    if not found:
        pytest.skip("the connector writes nothing, or the lab has no trials")
    return found


def _effect(action: Action) -> Iterator[Finding]:
    effect: Any = action.effect
    if not isinstance(effect, get_args(Effect)):
        remedy = "cx.Idempotent(), cx.Keyed(window), cx.Findable(settle) or cx.Blind()"
        yield Finding(action.name, f"declares the effect {effect!r}", remedy)
    elif isinstance(effect, Findable | Keyed) and action.find is None:
        remedy = "give cx.Action(find=…): it looks for call.marker and gives the receipt of what it finds, or None"
        yield Finding(action.name, f"is {type(effect).__name__} and has no find", remedy)
    elif isinstance(effect, Findable | Keyed) and effect.settle < 0:
        yield Finding(
            action.name, "settles in less than no time", "give the seconds until find sees a write for certain"
        )
    if isinstance(effect, Keyed) and effect.window <= 0:
        yield Finding(action.name, "has a key that is never good", "give the seconds the vendor remembers a key for")


def _failed(lab: Lab, tried: Tried, call: Call) -> Exception | None:
    try:
        lab.perform(tried.action, call)
    except Exception as error:  # noqa: BLE001  # whatever it raises is what the rule is about
        return error
    return None


def _in_doubt(tried: Tried, error: Exception | None) -> Iterator[Finding]:
    """A write without an answer must be told as one that may have happened; anything else would repeat or bury it."""
    settled = isinstance(error, Rejected | Unauthorized) or (isinstance(error, Retryable) and not error.sent)
    if settled and error is not None:
        remedy = "let the client's Retryable through, with sent as it is"
        yield Finding(tried.name, f"told a write without an answer as {name_error(error)}", remedy)


def _key_is_kept(lab: Lab, tried: Tried, call: Call, sent: line.Keeps) -> Iterator[Finding]:
    """See that the vendor drops the very request as long as the engine sends it again, and that find goes on from there.

    `perform` may look before it writes, which would hide a key that nobody heeds.
    """
    effect: Any = tried.action.effect
    # The engine sends again inside half the window: this is the last moment.
    last, rest = 0.49 * effect.window, 0.51 * effect.window
    lab.clock.advance(max(0.0, last - effect.settle))
    asked, done = line.Keeps(), lab.done()
    with lab.line.broken(asked):
        lab.find(tried.action, call)
    status = sent.again(lab.line, asked)
    if lab.done() != done:
        remedy = "declare the window for which the vendor remembers a key, or Findable where it heeds none"
        yield Finding(tried.name, f"happened again {last:g} seconds later, under the same key", remedy)
    elif status in (401, 403, 429):
        remedy = "let the lab's vendor take it: without limits, with a credential that stays good"
        yield Finding(tried.name, f"cannot be judged: the same request was answered with {status}", remedy)
    lab.clock.advance(rest)
    if lab.find(tried.action, call) is None:
        remedy = "look for call.marker where it stays, not only as long as the key is good"
        yield Finding(tried.name, "is not found any more when its key is over", remedy)


def _settled(lab: Lab, tried: Tried, call: Call) -> Iterator[Finding]:
    """Recover a write of unknown fate as the engine does it."""
    effect = tried.action.effect
    if isinstance(effect, Findable):
        for _ in range(_LOOKS):
            lab.clock.advance(effect.settle)
            receipt = lab.find(tried.action, call)
            if receipt is not None:
                return
    try:
        lab.perform(tried.action, call)
    except Exception as error:  # noqa: BLE001  # as above
        yield Finding(tried.name, f"cannot be sent again: {name_error(error)}", "take what is already done for done")


def _same_place(tried: Tried, one: Receipt, other: Receipt, how: str) -> Iterator[Finding]:
    if (one.stream, one.key) != (other.stream, other.key):
        wrong = f"was {one.stream}/{one.key}, and {other.stream}/{other.key} when {how}"
        yield Finding(tried.name, wrong, "a receipt names the same entity however often it is asked for")
