"""The tests in a recipe file: whether what they give and expect can be; runs none of them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from cxbridge.core.actions import Ask, EnsureLink
from cxbridge.core.canonical import Sentiment
from cxbridge.core.clock import from_iso
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.checks.steps import CORE_STEPS
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS
from cxbridge.core.recipes.surroundings import window_of
from cxbridge.core.recipes.vocabulary import choices_of, hints_of


def cases(draft: Draft, noun: str | None) -> None:
    """Check [[test]]."""
    taken: set[str] = set()
    for index, case in enumerate(draft.file.test):
        path: Path = ("test", index)
        if case.name in taken:
            draft.problems.at_value(
                (*path, "name"), "CX042", f"the test {case.name!r} stands here twice", "name it otherwise"
            )
        taken.add(case.name)
        if isinstance(case.given, str):
            hint = 'give it here: given = { ticket = { subject = "…" } }'
            draft.problems.at_value((*path, "given"), "CX015", "this version does not know fixture files yet", hint)
        elif noun is not None:
            _given(draft, (*path, "given"), case.given, noun)
        if case.at is not None and not _is_time(case.at):
            told = f"{case.at!r} is no time: write it like 2026-05-06T09:00:00Z"
            draft.problems.at_value((*path, "at"), "CX045", told)
        _expected(draft, (*path, "expect"), index)


def _given(draft: Draft, path: Path, given: Mapping[str, Any], noun: str) -> None:
    records = [noun, *BELONGINGS.get(NOUNS[noun], {}), "before"]
    known = [*records, *_WORLD]
    for name, values in given.items():
        here: Path = (*path, name)
        if name in _WORLD:
            _WORLD[name](draft, here, values, noun)
        elif name not in known:
            hint = nearest(name, known) or f"there are {', '.join(known)}"
            draft.problems.at_key(here, "CX045", f"a test of this recipe cannot give `{name}`", hint)
        elif not isinstance(values, dict):
            draft.problems.at_value(here, "CX045", f"`{name}` is a table of fields", f'write {name} = {{ … = "…" }}')
        else:
            kind = NOUNS[noun] if name in (noun, "before") else BELONGINGS[NOUNS[noun]][name].kind
            _given_fields(draft, here, kind, values)


def _linked(draft: Draft, path: Path, value: Any, noun: str) -> None:
    """By relation, the records that are linked with the subject."""
    del noun
    for relation, several in _table(draft, path, value).items():
        here: Path = (*path, relation)
        if draft.relations is not None and relation not in draft.relations:
            told = f"no link step makes the relation {relation!r}"
            draft.problems.at_key(here, "CX037", told, nearest(relation, draft.relations))
        if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
            hint = f'write {relation} = [{{ source_key = "ENG-12" }}]'
            draft.problems.at_value(here, "CX045", "this is a list of records", hint)


def _history(draft: Draft, path: Path, value: Any, noun: str) -> None:
    """By field, the values that it had before, oldest first."""
    hints = hints_of(NOUNS[noun])
    for name, values in _table(draft, path, value).items():
        here: Path = (*path, name)
        if name not in hints:
            draft.problems.at_key(here, "CX021", f"a {noun} has no field `{name}`", nearest(name, hints))
        elif not isinstance(values, list):
            draft.problems.at_value(here, "CX045", "these are earlier values, oldest first", f"write {name} = [80, 62]")


def _sentiment(draft: Draft, path: Path, value: Any, noun: str) -> None:
    """How every text is judged."""
    del noun
    try:
        msgspec.convert({"label": "unknown", "model": "given", **_table(draft, path, value)}, _Sentiment)
    except msgspec.ValidationError as error:
        hint = 'write sentiment = { label = "negative", score = -0.8 }'
        draft.problems.at_value(path, "CX045", f"no text is judged like this: {error}", hint)


def _windows(draft: Draft, path: Path, value: Any, noun: str) -> None:
    """The windows that there are."""
    del noun
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        hint = 'write windows = [{ kind = "outage", from = 2026-05-06T08:00:00Z }]'
        draft.problems.at_value(path, "CX045", "this is a list of windows", hint)
        return
    for number, one in enumerate(value):
        try:
            window_of(one)
        except ValueError as error:
            draft.problems.at_value((*path, number), "CX045", str(error))


class _Sentiment(Sentiment, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """As what is judged, with every misspelt field refused."""


_WORLD: Mapping[str, Callable[[Draft, Path, Any, str], None]] = {
    "linked": _linked,
    "history": _history,
    "sentiment": _sentiment,
    "windows": _windows,
}


def _table(draft: Draft, path: Path, value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    draft.problems.at_value(path, "CX045", f"`{path[-1]}` is a table", f"write {path[-1]} = {{ … }}")
    return {}


def _given_fields(draft: Draft, path: Path, kind: str, values: Mapping[str, Any]) -> None:
    hints = hints_of(kind)
    for name, value in values.items():
        here: Path = (*path, name)
        if name not in hints:
            draft.problems.at_key(here, "CX021", f"no {kind} has a field `{name}`", nearest(name, hints))
            continue
        if name == "source":
            draft.problems.at_key(here, "CX045", "`source` follows from the trigger and cannot be given")
            continue
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            if choices := choices_of(hints[name]):
                told = f"`{name}` is never {value!r}; it is one of {', '.join(choices)}"
                draft.problems.at_value(here, "CX022", told, nearest(str(value), choices))
            else:
                draft.problems.at_value(here, "CX045", f"`{name}` cannot be this: {str(error).lower()}")


def _expected(draft: Draft, path: Path, index: int) -> None:
    problems, expect = draft.problems, draft.file.test[index].expect
    if not expect.model_fields_set and not problems.touches(path):
        problems.at_key(path, "CX045", "this test expects nothing", "say at least expect = { writes = 0 }")
    if expect.echoes is not None:
        problems.at_key((*path, "echoes"), "CX015", "this version does not know `echoes` in a test yet")
    stopped = expect.stopped_at
    if stopped is not None and stopped not in draft.file.when and not problems.touches(("when",)):
        told = f"there is no condition `{stopped}` under [when]"
        problems.at_value((*path, "stopped_at"), "CX045", told, nearest(stopped, draft.file.when))
    unnamed = any(problems.is_muted(("step", number, "id")) for number in range(len(draft.file.step)))
    for name, values in expect.step.items() if not unnamed else ():
        table = next((one for one in draft.file.step if one.id == name), None)
        if table is None:
            known = [one.id for one in draft.file.step]
            problems.at_key((*path, "step", name), "CX045", f"there is no step `{name}`", nearest(name, known))
        elif (fields := _inputs_of(draft, table.do)) is not None:
            for one in values:
                if one not in fields:
                    here: Path = (*path, "step", name, one)
                    problems.at_key(here, "CX023", f"the step `{name}` has no input `{one}`", nearest(one, fields))


def _inputs_of(draft: Draft, do: str) -> tuple[str, ...] | None:
    """The inputs of what a step sends; `None` when it sends nothing or its verb is wrong."""
    if do in CORE_STEPS:
        sent = {"link": EnsureLink, "approve": Ask}.get(do)
        return sent.__struct_fields__ if sent is not None else None
    role, _, name = do.partition(".")
    offer = draft.roles.get(role)
    action = offer.actions.get(name) if offer is not None else None
    return action.inputs_type.__struct_fields__ if action is not None else None


def _is_time(text: str) -> bool:
    try:
        return isinstance(from_iso(text), datetime)
    except ValueError:
        return False
