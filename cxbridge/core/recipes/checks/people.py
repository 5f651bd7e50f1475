"""Steps that involve people and time: `wait`, `approve` with its form, and what is said about contacting customers."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, get_type_hints

import msgspec

from cxbridge.core.connector import Action
from cxbridge.core.recipes.checks import expressions
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.expressions import Condition
from cxbridge.core.recipes.model import (
    APPROVAL_FIELDS,
    WAIT_FIELDS,
    ApproveInputs,
    FormInput,
    Rendered,
    Step,
    WaitInputs,
)
from cxbridge.core.recipes.schema import Follow as FollowTable
from cxbridge.core.recipes.schema import Step as StepTable
from cxbridge.core.recipes.schema import parse_duration
from cxbridge.core.recipes.vocabulary import Vocabulary, choices_of, plain_type
from cxbridge.functions.calendars import parse_business

STEPS: Mapping[str, type[msgspec.Struct]] = {"wait": WaitInputs, "approve": ApproveInputs}
ASK, NOTIFY = "message.ask", "message.notify_once"
_LISTED: Mapping[str, tuple[str, ...]] = {
    name: choices_of(get_type_hints(ApproveInputs)[name]) for name in ("on_timeout", "on_reject")
}
_TYPES = ("choice", "text", "number")


def inputs_of(do: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name what such a step may be given, and what it must be."""
    fields = msgspec.structs.fields(STEPS[do])
    return tuple(one.encode_name for one in fields), tuple(one.encode_name for one in fields if one.required)


def step(draft: Draft, path: Path, table: StepTable, condition: Condition | None, inputs: Rendered) -> Step:
    """Check and compile a step at which a run waits; its names and templates were checked before."""
    if table.do == "wait":
        _check_wait(draft, path, table)
    else:
        _check_approve(draft, path, table)
    return Step(table.id, table.do, condition, inputs, fields=tuple(results(table) or ()))


def results(table: StepTable) -> dict[str, Any] | None:
    """Name what such a step leaves behind, with the types; `None` for any other step."""
    if table.do == "wait":
        return dict(zip(WAIT_FIELDS, (datetime, str), strict=True))
    if table.do != "approve":
        return None
    form = table.with_.get("form")
    fields = {str(name): _type_of(one) for name, one in form.items()} if isinstance(form, dict) else {}
    return {**fields, **dict(zip(APPROVAL_FIELDS, (bool, str, datetime, str), strict=True))}


def _type_of(field: Any) -> Any:
    if not isinstance(field, dict):
        return Any
    of = field.get("of")
    if field.get("type") == "choice" and isinstance(of, list) and of and all(_literal(one) for one in of):
        return Literal[tuple(of)]
    return {"number": float, "text": str, "choice": str}.get(str(field.get("type")), Any)


def _literal(value: Any) -> bool:
    return isinstance(value, str) and not expressions.is_template(value)


# -- wait --------------------------------------------------------------------------------------------------------------


def _check_wait(draft: Draft, path: Path, table: StepTable) -> None:
    given = [name for name in ("for", "until") if name in table.with_]
    if len(given) != 1:
        said = "both `for` and `until`" if given else "neither `for` nor `until`"
        hint = 'write with = { for = "2h" }, or until = "{{ … }}"'
        draft.problems.at_key(path, "CX010", f"`wait` needs one of `for` and `until`, and has {said}", hint)
    clocked = "clock" in table.with_
    _check_clock(draft, path, table)
    if clocked and "for" not in table.with_:
        draft.problems.at_key((*path, "with", "clock"), "CX025", "`clock` counts the time of `for`, and there is none")
    _check_duration(draft, (*path, "with", "for"), "for", table.with_.get("for"), clocked=clocked)
    until, here = table.with_.get("until"), (*path, "with", "until")
    if until is not None and not (isinstance(until, str) and expressions.is_template(until)):
        hint = "such as {{ ticket.due_at }}, or write `for`"
        draft.problems.at_value(here, "CX025", "`until` must be a template that gives a time", hint)


def check_until(draft: Draft, path: Path, table: StepTable, scope: Vocabulary) -> None:
    """Note an `until` that is one field which can never be a time."""
    until = table.with_.get("until")
    if table.do != "wait" or not isinstance(until, str) or not expressions.is_template(until):
        return
    parts = expressions.paths_of(draft, until)
    hint = scope.type_of(parts) if parts else None
    if parts and (choices_of(hint) or plain_type(hint) in (int, float, bool)):
        name = ".".join(str(one) for one in parts)
        draft.problems.at_value((*path, "with", "until"), "CX025", f"`{name}` is no time, and `until` needs one")


# -- approve -----------------------------------------------------------------------------------------------------------


def _check_approve(draft: Draft, path: Path, table: StepTable) -> None:
    values = table.with_
    here: Path = (*path, "with")
    if not isinstance(values.get("ask", ""), str):
        draft.problems.at_value((*here, "ask"), "CX025", "`ask` must be a text in quotes")
    _check_addresses(draft, here, values)
    quorum = values.get("quorum", 1)
    if isinstance(quorum, bool) or not isinstance(quorum, int) or quorum < 1:
        draft.problems.at_value((*here, "quorum"), "CX025", "`quorum` must be a whole number, at least 1")
    for name, choices in _LISTED.items():
        value = values.get(name)
        if value is not None and value not in choices:
            told = f"`{name}` cannot be {value!r}: it is one of {', '.join(choices)}"
            draft.problems.at_value((*here, name), "CX025", told, nearest(str(value), choices))
    _check_clock(draft, path, table)
    clocked = "clock" in values
    ttl = _check_duration(draft, (*here, "ttl"), "ttl", values.get("ttl"), clocked=clocked)
    turn = _check_duration(
        draft, (*here, "deputies_after"), "deputies_after", values.get("deputies_after"), clocked=clocked
    )
    if "deputies_after" in values and not values.get("deputies"):
        told = "`deputies_after` says when the deputies are asked, and there are none"
        draft.problems.at_key((*here, "deputies_after"), "CX025", told, 'add deputies = ["…"]')
    elif ttl is not None and turn is not None and turn >= ttl:
        told = "the deputies would be asked when the time is up already: `deputies_after` is not below `ttl`"
        draft.problems.at_value((*here, "deputies_after"), "CX025", told)
    _check_form(draft, (*here, "form"), table)


def _check_addresses(draft: Draft, here: Path, values: Mapping[str, Any]) -> None:
    to, deputies = values.get("to"), values.get("deputies", [])
    if to is not None:
        _check_address(draft, (*here, "to"), "to", to, bare=False)
    if not isinstance(deputies, list):
        draft.problems.at_value((*here, "deputies"), "CX025", "`deputies` must be a list: [ … ]")
        return
    for number, one in enumerate(deputies):
        _check_address(draft, (*here, "deputies", number), "deputies", one, bare=to is not None)


def check_notify(draft: Draft) -> None:
    """Who is told of failures must be somebody who can be told."""
    to, path = draft.file.on_error.notify, ("on_error", "notify")
    if to is not None and expressions.is_template(to):
        draft.problems.at_value(path, "CX025", "`notify` is said outright: what fails may be what a template reads")
    elif to is not None:
        _check_address(draft, path, "notify", to, bare=False, verb=NOTIFY)


def _check_address(draft: Draft, path: Path, name: str, value: Any, *, bare: bool, verb: str = ASK) -> None:
    """Somebody to be asked or told: `role:address`; a bare address where the role is clear."""
    if not isinstance(value, str) or not value:
        draft.problems.at_value(path, "CX025", f"`{name}` must be a text in quotes")
        return
    role, colon, address = value.split("{{", 1)[0].partition(":")
    if not colon:
        if not bare:
            able = [one for one, offer in draft.roles.items() if verb in offer.actions]
            alone = "leave it out: then it is answered on the command line" if verb == ASK else "leave it out"
            told = f"`{name}` must say the role first, then who: role:#channel"
            draft.problems.at_value(path, "CX025", told, f"write {able[0]}:{value}" if able else alone)
        return
    offer = draft.role(role, path)
    can = "ask" if verb == ASK else "tell"
    if offer is not None and verb not in offer.actions:
        able = [one for one, other in draft.roles.items() if verb in other.actions]
        hint = f"did you mean `{able[0]}:{address}`?" if able else ""
        draft.problems.at_value(path, "CX034", f"connector {offer.connector.name} cannot {can} people (`{verb}`)", hint)


def _check_duration(draft: Draft, path: Path, name: str, value: Any, *, clocked: bool) -> timedelta | None:
    """Check a length of time that stands there as such; gives it where it is one of ordinary time."""
    if value is None or (isinstance(value, str) and expressions.is_template(value)):
        return None
    if not isinstance(value, str):
        told = f"`{name}` must be a time with its unit, in quotes, like 4h"
        draft.problems.at_value(path, "CX025", told)
        return None
    try:
        if clocked:
            parse_business(value)
            return None
        found = parse_duration(value)
    except ValueError as error:
        hint = "add clock = the name of a calendar" if "business" in value and not clocked else ""
        draft.problems.at_value(path, "CX025", f"`{name}`: {error}", hint)
        return None
    if found <= timedelta():
        draft.problems.at_value(path, "CX025", f"`{name}` must be longer than nothing")
    return found


def _check_clock(draft: Draft, path: Path, table: StepTable) -> None:
    clock = table.with_.get("clock")
    if clock is not None and not isinstance(clock, str):
        draft.problems.at_value((*path, "with", "clock"), "CX025", "`clock` must be the name of a calendar, in quotes")
    elif clock is not None and not expressions.is_template(clock) and draft.around.calendar(clock) is None:
        known = draft.around.known_calendars
        hint = nearest(clock, known) or f"there are {', '.join(known)}; add others as [calendars.NAME]"
        draft.problems.at_value((*path, "with", "clock"), "CX025", f"there is no calendar {clock!r}", hint)


# -- the form ----------------------------------------------------------------------------------------------------------


def _check_form(draft: Draft, path: Path, table: StepTable) -> None:
    form = table.with_.get("form", {})
    if not isinstance(form, dict):
        draft.problems.at_value(path, "CX025", "`form` must be a table of fields")
        return
    known = [one.encode_name for one in msgspec.structs.fields(FormInput)]
    for name, field in form.items():
        here: Path = (*path, str(name))
        if not str(name).isidentifier() or str(name).startswith("_") or str(name) != str(name).lower():
            told = f"`{name}` is no name for a field: small letters, digits and _ only"
            draft.problems.at_key(here, "CX025", told)
        elif name in (*APPROVAL_FIELDS, "skipped"):
            told = f"`{table.id}.{name}` tells about the decision already: a field of the form needs another name"
            draft.problems.at_key(here, "CX042", told, "give it another")
        if not isinstance(field, dict):
            draft.problems.at_value(here, "CX025", f"`{name}` must be a table", f'write {name} = {{ type = "text" }}')
            continue
        for key in field:
            if key not in known:
                hint = nearest(str(key), known) or f"it has {', '.join(known)}"
                draft.problems.at_key((*here, str(key)), "CX023", f"a field of a form has no `{key}`", hint)
        _check_field(draft, here, str(name), field, table)


def _check_field(draft: Draft, here: Path, name: str, field: Mapping[str, Any], table: StepTable) -> None:
    kind = field.get("type")
    if kind is None:
        draft.problems.at_key(here, "CX010", f"the field `{name}` needs a `type`", 'add type = "text"')
        return
    if kind not in _TYPES:
        told = f"`type` is one of {', '.join(_TYPES)}, never {kind!r}"
        draft.problems.at_value((*here, "type"), "CX025", told, nearest(str(kind), _TYPES))
        return
    sources = [one for one in ("of", "from") if one in field]
    if kind == "choice" and len(sources) != 1:
        told = f"the choice `{name}` needs one of `of` and `from`: what can be chosen"
        draft.problems.at_key(here, "CX010", told, 'add of = ["…"], or from = an earlier step')
    elif kind != "choice" and sources:
        told = f"`{sources[0]}` belongs to a choice, and `{name}` is a {kind}"
        draft.problems.at_key((*here, sources[0]), "CX025", told)
    _check_source(draft, here, field, table)
    for key, wanted, said in (("label", str, "a text in quotes"), ("optional", bool, "true or false")):
        if key in field and not isinstance(field[key], wanted):
            draft.problems.at_value((*here, key), "CX025", f"`{key}` must be {said}")
    if "default" in field and not _fits(field["default"], kind, field.get("of")):
        of = field.get("of")
        told = f"the default of `{name}` is not one of its choices" if kind == "choice" else f"the default is no {kind}"
        hint = nearest(str(field["default"]), [str(one) for one in of]) if isinstance(of, list) else ""
        draft.problems.at_value((*here, "default"), "CX025", told, hint)


def _check_source(draft: Draft, here: Path, field: Mapping[str, Any], table: StepTable) -> None:
    """What can be chosen: a list that stands there or that a template gives, or what an earlier step found."""
    of, source = field.get("of"), field.get("from")
    if isinstance(of, list):
        if not of or not all(isinstance(one, str) and one for one in of):
            draft.problems.at_value((*here, "of"), "CX025", "`of` must be a list of texts, and not an empty one")
    elif of is not None and not (isinstance(of, str) and expressions.is_template(of)):
        draft.problems.at_value((*here, "of"), "CX025", "`of` must be a list of texts, or a template that gives one")
    if source is None:
        return
    names = [one.id for one in draft.file.step]
    earlier = names[: names.index(table.id)]
    if source not in earlier:
        told = f"`from` names an earlier step, and there is no such step {source!r}"
        draft.problems.at_value((*here, "from"), "CX021", told, nearest(str(source), earlier))


def _fits(value: Any, kind: str, of: Any) -> bool:
    if isinstance(value, str) and expressions.is_template(value):
        return True
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind == "choice" and isinstance(of, list):
        return value in of
    return isinstance(value, str)


# -- contacting customers ----------------------------------------------------------------------------------------------


def outreach(draft: Draft, path: Path, table: StepTable | FollowTable, action: Action | None) -> None:
    """Check what a step says about contacting a customer: only a verb that reaches one can have a purpose or a quarantine."""
    reaches = action is not None and (action.inputs_type.asks_person is not None or _may_reach(action))
    for name in ("purpose", "quarantine"):
        if getattr(table, name) is not None and not reaches:
            told = f"`{name}` is about contacting a customer, and `{table.do}` reaches none"
            draft.problems.at_key((*path, name), "CX025", told, "leave it out")
    silent = action is not None and reaches and action.inputs_type.asks_person is None
    if silent and table.quarantine is not None and table.purpose is None:
        told = "`quarantine` needs `purpose`: what the customer is written to for"
        draft.problems.at_key((*path, "quarantine"), "CX025", told, 'add purpose = "follow_up"')


def _may_reach(action: Action) -> bool:
    """Whether customers may read what a verb writes: one that says who may see it."""
    hints = action.inputs_type.__struct_fields__
    return any(name in hints for name in ("visibility", "note_visibility"))
