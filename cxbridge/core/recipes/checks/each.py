"""What a step or a follow is done for, one by one: the list, what an `item` of it is, and what a verb then acts on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_type_hints

import msgspec

from cxbridge.core.canonical import KINDS
from cxbridge.core.connector import Action
from cxbridge.core.recipes.checks import expressions
from cxbridge.core.recipes.checks.draft import Draft, Path
from cxbridge.core.recipes.expressions import Expression
from cxbridge.core.recipes.model import RESULT_FIELDS, Step, Trigger
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS, VERB_KINDS
from cxbridge.core.recipes.paths import Path as Field
from cxbridge.core.recipes.schema import Step as StepTable
from cxbridge.core.recipes.vocabulary import Meaning, Vocabulary, items_of, plain_type

# Which kinds of entities the links of a relation join, left and right.
Kinds = Mapping[str, tuple[str, str]]
ANYTHING = Meaning(open=True)
_ID = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\.id\s*\}\}")


def kinds(draft: Draft, noun: str | None) -> Kinds:
    """Say what the links of each relation join: as the link steps of this file tell, else as those of other files do."""
    return {**draft.kinds, **_joined(noun, ((one.id, one.do, one.with_) for one in draft.file.step))}


def kinds_of(documents: Iterable[Mapping[str, Any]]) -> Kinds:
    """Read off the link steps of several files what they join; a relation of which two say different things is left out."""
    found: dict[str, set[tuple[str, str]]] = {}
    for document in documents:
        steps = [one for one in _tables(document, "step") if isinstance(one.get("with", {}), dict)]
        said = ((str(one.get("id")), str(one.get("do")), one.get("with", {})) for one in steps)
        for relation, sides in _joined(_noun_of(document), said).items():
            found.setdefault(relation, set()).add(sides)
    return {relation: sides.pop() for relation, sides in found.items() if len(sides) == 1}


def _joined(noun: str | None, steps: Iterable[tuple[str, str, Mapping[str, Any]]]) -> dict[str, tuple[str, str]]:
    known: dict[str, str] = {}
    if noun is not None:
        known |= {name: one.kind for name, one in BELONGINGS.get(NOUNS[noun], {}).items()}
        known[noun] = NOUNS[noun]
    found = {}
    for name, do, values in steps:
        parts = do.split(".")
        if len(parts) == 3 and parts[1] in VERB_KINDS:
            known[name] = VERB_KINDS[parts[1]]
        relation = values.get("relation")
        sides = [known.get(_root(values.get(side))) for side in ("left", "right")]
        if do == "link" and isinstance(relation, str) and sides[0] and sides[1]:
            found[relation] = (sides[0], sides[1])
    return found


def _root(text: Any) -> str:
    found = _ID.fullmatch(text.strip()) if isinstance(text, str) else None
    return found[1] if found else ""


def _noun_of(document: Mapping[str, Any]) -> str | None:
    """What a file is about, as its first trigger that waits for an event says."""
    said = (one.get("on") for one in _tables(document, "trigger"))
    noun = next((one.split(".", 1)[0] for one in said if isinstance(one, str)), None)
    return noun if noun in NOUNS else None


def _tables(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    several = document.get(name)
    return [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []


def of_step(
    draft: Draft, path: Path, table: StepTable, scope: Vocabulary, known: Kinds
) -> tuple[Expression | None, Vocabulary]:
    """Check and compile `for_each` of a step; gives the names in scope of its `with` as well."""
    if table.for_each is None:
        if draft.stands((*path, "batch")) and not draft.stands((*path, "for_each")):
            told = "`batch` says how many items are written to at once, and there is no `for_each`"
            draft.problems.at_key((*path, "batch"), "CX049", told)
        return None, scope
    if table.do.count(".") != 2:
        told = f"`{table.do}` is done once: `for_each` is for verbs that write to a vendor"
        draft.problems.at_key((*path, "for_each"), "CX049", told)
    here: Path = (*path, "for_each")
    compiled = expressions.expression(draft, here, table.for_each, scope)
    parts = expressions.path_of(draft, table.for_each) if compiled is not None else None
    hint = scope.type_of(parts) if parts is not None else None
    if parts is not None and hint is not None and items_of(hint) is None and not _may_be_list(hint):
        told = f"`for_each` goes over a list, and `{table.for_each.strip()}` is none"
        draft.problems.at_value(here, "CX049", told, "such as linked(…), or a field that holds several")
    return compiled, with_item(scope, ANYTHING if compiled is None else item(compiled, scope, known))


def _may_be_list(hint: Any) -> bool:
    return hint is Any or plain_type(hint) is list


def with_item(scope: Vocabulary, meaning: Meaning) -> Vocabulary:
    """The same names, and `item`."""
    return replace(scope, names={**scope.names, "item": meaning})


def item(for_each: Expression, scope: Vocabulary, known: Kinds) -> Meaning:
    """Say what an `item` of a list is, as far as that can be read off the expression."""
    call = next((one for one in for_each.calls if one.name == "linked"), None)
    if call is not None:
        source = call.arguments[0]
        kind = scope.names[source.text].kind if isinstance(source, Field) and source.text in scope.names else None
        sides = known.get(str(call.arguments[1]), ("", ""))
        other = {sides[0]: sides[1], sides[1]: sides[0]}.get(kind or "")
        return Meaning(other) if other else ANYTHING
    if len(for_each.paths) == 1 and for_each.paths[0].text == for_each.source.strip():
        inner = plain_type(items_of(scope.type_of(for_each.paths[0].parts)))
        if inner is not None and issubclass(inner, msgspec.Struct):
            return Meaning(fields=get_type_hints(inner))
        if inner is not None:
            return Meaning()
    return ANYTHING


def results(table: StepTable) -> dict[str, Any] | None:
    """Name what a step with `for_each` leaves behind: the first result's fields, all results, and how many there are."""
    if table.for_each is None:
        return None
    return {**dict.fromkeys(RESULT_FIELDS, Any), "items": list[Any], "count": int}


# -- what a verb acts on -------------------------------------------------------------------------------------------


def check_target(
    draft: Draft, path: Path, step: Step, noun: str, triggers: Sequence[Trigger], done: Sequence[Step]
) -> None:
    """A verb acts on the subject where it lives there, else on what an earlier step made there."""
    here = draft.roles[step.role]
    action = here.actions[step.action]
    if not needs_target(action, step.inputs.values) or step.for_each is not None:
        return
    stream = here.streams.get(action.stream)
    fits = stream is None or KINDS[NOUNS[noun]] in stream.kinds
    lives = any(one.connection == step.connection for one in triggers)
    made = [one for one in done if one.connection == step.connection and not draft.targeted(one)]
    if (lives and fits) or any(_stream(draft, one) == action.stream for one in made) or (made and not lives):
        return
    if lives and stream is not None:
        told = f"`{step.action}` acts on {stream.name}, and this recipe is about a {noun}"
        draft.problems.at_value(
            (*path, "do"), "CX046", told, "let an earlier step make one, or name one that is linked"
        )
        return
    homes = ", ".join(dict.fromkeys(one.role for one in triggers))
    hint = f"let an earlier step make something there, or act in {homes}"
    told = f"nothing to act on in {step.role}: the {noun} is in {homes}, and no earlier step makes something in {step.role}"
    draft.problems.at_value((*path, "do"), "CX046", told, hint)


def needs_target(action: Action, inputs: Mapping[str, Any]) -> bool:
    """Whether a verb acts on something that is there; `account.set` need not find one where `account` names it."""
    return action.inputs_type.targeted and not (action.name == "account.set" and "account" in inputs)


def _stream(draft: Draft, step: Step) -> str:
    return draft.roles[step.role].actions[step.action].stream
