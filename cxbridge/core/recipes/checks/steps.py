"""What a recipe does: steps, their verbs and what they are given; whether there will be something to act on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args, get_origin

import msgspec

from cxbridge.core.actions import SetTicket
from cxbridge.core.canonical import KINDS
from cxbridge.core.connector import Action
from cxbridge.core.recipes import mistakes
from cxbridge.core.recipes.checks import each, expressions, people
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.expressions import Condition
from cxbridge.core.recipes.model import Rendered, Step, Trigger
from cxbridge.core.recipes.schema import PLANNED_STEPS
from cxbridge.core.recipes.schema import Follow as FollowTable
from cxbridge.core.recipes.schema import Step as StepTable
from cxbridge.core.recipes.vocabulary import Offer, Vocabulary, choices_of, scope_of

CORE_STEPS: Mapping[str, tuple[str, ...]] = {
    "link": ("left", "right", "relation"),
    **{do: people.inputs_of(do)[0] for do in people.STEPS},
    "stop": ("reason",),
}
RELATION = re.compile(r"[a-z][a-z0-9_]*")
_SAID: Mapping[Any, str] = {
    str: "a text in quotes",
    list: "a list",
    dict: "a table",
    bool: "true or false",
    int: "a number",
}


def steps(draft: Draft, noun: str | None, triggers: Sequence[Trigger], *, history: bool) -> tuple[Step, ...]:
    """Check and compile the steps, in order."""
    done: list[Step] = []
    names = [table.id for table in draft.file.step]
    results = {
        table.id: found
        for table in draft.file.step
        if (found := people.results(table) or each.results(table)) is not None
    }
    kinds = each.kinds(draft, noun)
    for index, table in enumerate(draft.file.step):
        path: Path = ("step", index)
        scope = scope_of(
            noun, draft.setting, steps=names[:index], later=names[index:], history=history, results=results
        )
        if table.id in scope.names:
            why = "used twice" if table.id in names[:index] else "already the name of something else here"
            draft.problems.at_value((*path, "id"), "CX042", f"the step id `{table.id}` is {why}", "give it another")
        condition = expressions.condition(draft, (*path, "if"), table.if_, scope) if table.if_ is not None else None
        for_each, scope = each.of_step(draft, path, table, scope, kinds)
        if table.do in CORE_STEPS:
            people.outreach(draft, path, table, None)
            core = _waiting_step if table.do in people.STEPS else _core_step
            done.append(core(draft, path, table, condition, scope))
            continue
        step = verb(draft, path, table, scope)
        if step is None:
            continue
        if step.action == "link.ensure":
            hint = 'write do = "link"'
            draft.problems.at_value(
                (*path, "do"), "CX034", "links are made by the step `link`, and shown on both sides", hint
            )
        step = replace(step, condition=condition, for_each=for_each, batch=table.batch)
        if step.action != "link.ensure" and noun is not None and triggers:
            each.check_target(draft, path, step, noun, triggers, done)
        done.append(step)
    return tuple(done)


def _waiting_step(draft: Draft, path: Path, table: StepTable, condition: Condition | None, scope: Vocabulary) -> Step:
    known, required = people.inputs_of(table.do)
    inputs = _compiled_inputs(draft, path, table.with_, scope)
    _check_names(draft, path, table.with_, known, required, f"`{table.do}`")
    people.check_until(draft, path, table, scope)
    return people.step(draft, path, table, condition, inputs)


def _core_step(draft: Draft, path: Path, table: StepTable, condition: Condition | None, scope: Vocabulary) -> Step:
    wanted = CORE_STEPS[table.do]
    inputs = _compiled_inputs(draft, path, table.with_, scope)
    _check_names(draft, path, table.with_, wanted, wanted, f"`{table.do}`")
    for name in wanted:
        value = table.with_.get(name, "")
        if not isinstance(value, str):
            draft.problems.at_value((*path, "with", name), "CX025", f"`{name}` must be a text in quotes")
        elif name in ("left", "right") and name in table.with_:
            _check_ref(draft, (*path, "with", name), name, value, scope)
        elif name == "relation" and value and not (expressions.is_template(value) or RELATION.fullmatch(value)):
            hint = "a relation holds small letters, digits and _ only, such as escalated_to"
            draft.problems.at_value((*path, "with", name), "CX025", f"{value!r} is no relation", hint)
    return Step(table.id, table.do, condition, inputs)


def _check_ref(draft: Draft, path: Path, name: str, text: str, scope: Vocabulary) -> None:
    """A side of a link is an id: of a record, of a step's result, or a field that holds one."""
    parts = expressions.paths_of(draft, text) if expressions.is_template(text) else None
    if parts is None:
        if not expressions.is_template(text) and text.count("/") < 2:
            hint = f"write {{{{ {scope.subject}.id }}}}" if scope.subject else ""
            draft.problems.at_value(path, "CX025", f"`{name}` must be the id of a record", hint)
        return
    meaning = scope.names.get(str(parts[0]))
    if meaning is None:
        return
    refs = KINDS[meaning.kind].refs if meaning.kind is not None else ()
    if len(parts) == 1 and scope.is_entity(parts):
        draft.problems.at_value(path, "CX025", f"`{name}` must be the id of a record", f"did you mean `{parts[0]}.id`?")
    elif len(parts) == 2 and parts[1] in meaning.hints() and parts[1] not in ("id", *refs) and "id" in meaning.hints():
        told = f"`{name}` must be the id of a record, and `{parts[0]}.{parts[1]}` is none"
        draft.problems.at_value(path, "CX025", told, f"did you mean `{parts[0]}.id`?")


# -- verbs ---------------------------------------------------------------------------------------------------------


def verb(draft: Draft, path: Path, table: StepTable | FollowTable, scope: Vocabulary) -> Step | None:
    """Check and compile `role.entity.verb` with its inputs; `None` when there is no such verb."""
    inputs = _compiled_inputs(draft, path, table.with_, scope)
    parts = table.do.split(".")
    if len(parts) != 3:
        _no_verb(draft, (*path, "do"), table)
        return None
    role, name = parts[0], f"{parts[1]}.{parts[2]}"
    offer = draft.role(role, (*path, "do"))
    if offer is None:
        return None
    action = offer.actions.get(name)
    if action is None:
        _no_action(draft, (*path, "do"), role, name, offer)
        return None
    _check_inputs(draft, path, table.with_, action, scope)
    people.outreach(draft, path, table, action)
    return Step(
        table.id,
        table.do,
        None,
        inputs,
        role,
        draft.connection(role),
        name,
        purpose=table.purpose,
        quarantine=table.quarantine,
    )


def _no_verb(draft: Draft, path: Path, table: StepTable | FollowTable) -> None:
    following = isinstance(table, FollowTable)
    if table.do in PLANNED_STEPS and not following:
        draft.problems.at_value(path, "CX015", f"this version does not know the step `{table.do}` yet")
        return
    if table.do in CORE_STEPS:
        draft.problems.at_value(path, "CX034", f"a follow does role.entity.verb; `{table.do}` is for steps only")
        return
    actions = [f"{role}.{name}" for role, offer in draft.roles.items() for name in offer.actions]
    known = actions if following else [*CORE_STEPS, *actions]
    # `ticket.set` for `desk.ticket.set`
    bare = [one for one in actions if one.split(".", 1)[1] == table.do]
    hint = f"did you mean `{bare[0]}`?" if bare else nearest(table.do, known)
    what = "role.entity.verb" if following else f"role.entity.verb nor a step of the core ({', '.join(CORE_STEPS)})"
    told = f"`{table.do}` does not read {what}" if following else f"`{table.do}` reads neither {what}"
    draft.problems.at_value(path, "CX034", told, hint)


def _no_action(draft: Draft, path: Path, role: str, name: str, offer: Offer) -> None:
    what = name.partition(".")[2]
    known = sorted(offer.actions)
    # The right verb of another entity is nearer to what was meant than a word that merely looks alike.
    same = [one for one in known if one.split(".", 1)[1] == what]
    found = mistakes.nearest(name, same) or mistakes.nearest(name, known) or (same[0] if same else None)
    hint = f"did you mean `{role}.{found}`?" if found else ""
    told = f"connector {offer.connector.name} offers no `{name}`; it offers {', '.join(known) or 'nothing'}"
    draft.problems.at_value(path, "CX034", told, hint)


# -- inputs --------------------------------------------------------------------------------------------------------


def _compiled_inputs(draft: Draft, path: Path, values: Mapping[str, Any], scope: Vocabulary) -> Rendered:
    return Rendered({name: _compiled(draft, (*path, "with", name), value, scope) for name, value in values.items()})


def _compiled(draft: Draft, path: Path, value: Any, scope: Vocabulary) -> Any:
    if isinstance(value, str):
        expressions.check_braces(draft, path, value, scope)
    if isinstance(value, str) and expressions.is_template(value):
        return expressions.template(draft, path, value, scope)
    if isinstance(value, dict):
        return {name: _compiled(draft, (*path, name), item, scope) for name, item in value.items()}
    if isinstance(value, list):
        return [_compiled(draft, (*path, index), item, scope) for index, item in enumerate(value)]
    return value


def _check_names(
    draft: Draft, path: Path, values: Mapping[str, Any], known: Iterable[str], required: Iterable[str], what: str
) -> None:
    known = list(known)
    for name in values:
        if name not in known:
            hint = nearest(name, known) or f"it has {', '.join(known)}"
            draft.problems.at_key((*path, "with", name), "CX023", f"{what} has no input `{name}`", hint)
    for name in required:
        if name not in values:
            draft.problems.at_key(path, "CX010", f"{what} needs the input `{name}`", f'add {name} = "…" under with')
        elif values[name] == "":
            draft.problems.at_value((*path, "with", name), "CX025", f"`{name}` must not be empty")


def _check_inputs(draft: Draft, path: Path, values: Mapping[str, Any], action: Action, scope: Vocabulary) -> None:
    struct = action.inputs_type
    fields = {one.name: one for one in msgspec.structs.fields(struct)}
    required = [name for name, one in fields.items() if one.required]
    _check_names(draft, path, values, fields, required, f"`{action.name}`")
    if struct is SetTicket:
        for name, other, hint in (
            ("note", "note_visibility", 'add note_visibility = "internal" or "public"'),
            ("note_visibility", "note", 'add note = "…", or leave it out'),
        ):
            if name in values and other not in values:
                draft.problems.at_key((*path, "with", name), "CX024", f"`{name}` needs `{other}`", hint)
    for name, value in values.items():
        if name in fields:
            _check_value(draft, (*path, "with", name), name, value, fields[name].type, scope)


def _check_value(draft: Draft, path: Path, name: str, value: Any, expected: Any, scope: Vocabulary) -> None:
    choices = choices_of(expected)
    if isinstance(value, str) and expressions.is_template(value):
        if choices:
            expressions.outcomes(draft, path, value, scope, choices)
        return
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError:
        listed = choices or _listed(expected)
        hint = nearest(value, listed) if isinstance(value, str) else ""
        told = f"it is one of {', '.join(listed)}" if listed else f"it must be {_said(expected)}"
        draft.problems.at_value(path, "CX025", f"`{name}` cannot be {_literal(value)}: {told}", hint)


def _listed(expected: Any) -> tuple[str, ...]:
    return tuple(word for part in get_args(expected) for word in choices_of(part))


def _said(expected: Any) -> str:
    """What a type takes, in words; of several, the first that there is a word for."""
    kinds = (expected, *get_args(expected))
    return next((_SAID[kind] for one in kinds if (kind := get_origin(one) or one) in _SAID), "something else")


def _literal(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
