"""What a recipe builds on: its name, its roles, its inputs, its maps and its stage; compiles no expression."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

from cxbridge.core.errors import Problem
from cxbridge.core.recipes.bands import Band
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.functions import Default, ValueMap
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS
from cxbridge.core.recipes.schema import Input, RecipeFile, parse_duration
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.vocabulary import Offer
from cxbridge.core.toml import Placed, Problems
from cxbridge.functions.calendars import parse_business

_TYPES: Mapping[str, type | tuple[type, ...]] = {"text": str, "number": (int, float), "list": list}
_SAID = {
    "text": "a text",
    "number": "a number",
    "list": "a list",
    "duration": "a duration like 4h or 2 business_days",
    "choice": "one of its choices",
    "calendar": "a calendar of cxbridge.toml",
}
_INPUT = re.compile(r"\{\{\s*inputs\.([a-z][a-z0-9_]*)\s*\}\}")


def check_name(name: str, problems: Problems) -> None:
    """The file's name is the recipe's id."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        hint = f"call the file {better}.toml" if re.fullmatch(r"[a-z][a-z0-9-]*", better) else ""
        message = f"the file's name is the recipe's id: {name!r} may hold a–z, 0–9 and - only, a letter first"
        problems.elsewhere(Problem(problems.source.path, 0, 0, "CX040", message, hint=hint))


def roles(file: RecipeFile, problems: Problems, offers: Mapping[str, Offer]) -> dict[str, Offer]:
    """Find the connection of each role."""
    found = {}
    for role, connection in file.use.items():
        offer = offers.get(connection)
        if offer is None:
            known = ", ".join(sorted(offers)) or "none"
            problems.at_value(
                ("use", role),
                "CX030",
                f"there is no connection {connection!r} in cxbridge.toml (it has: {known})",
                nearest(connection, offers),
            )
        else:
            found[role] = offer
    return found


def value_maps(file: RecipeFile, problems: Problems) -> dict[str, ValueMap]:
    """Make the value maps; one that was refused as a whole lets everything pass, so that its uses are still judged."""
    written = problems.source.value.get("map", {})
    maps = {str(title): ValueMap(str(title), {}, "pass") for title in (written if isinstance(written, dict) else {})}
    for title, entries in file.map.items():
        for key, value in entries.items():
            if not isinstance(value, str | int | float):
                problems.at_value(
                    ("map", title, key), "CX035", f"a map gives single values, and `{key}` gives {type(value).__name__}"
                )
        rest = {key: value for key, value in entries.items() if key != "unmapped"}
        if not rest:
            problems.at_key(("map", title), "CX035", f"the map `{title}` has no entries")
        maps[title] = ValueMap(title, rest, _unmapped(title, entries.get("unmapped", "hold"), rest, problems))
    return maps


def _unmapped(title: str, rule: Any, rest: Mapping[str, Any], problems: Problems) -> Literal["hold", "pass"] | Default:
    if rule == "hold":
        return "hold"
    if rule == "pass":
        return "pass"
    meant = get_close_matches(rule, ("hold", "pass"), cutoff=0.75) if isinstance(rule, str) else []
    if meant and rule not in rest.values():
        # It would be written to the other side as a value.
        problems.at_value(
            ("map", title, "unmapped"),
            "CX035",
            f"`unmapped` is hold, pass, or a value that the map gives; {rule!r} is none of them",
            f"did you mean `{meant[0]}`?",
        )
    return Default(rule)


def inputs(
    name: str, file: RecipeFile, problems: Problems, given: Mapping[str, Any], around: Surroundings
) -> dict[str, Any]:
    """Find the value of each input: what cxbridge.toml gives, else its default."""
    calendars = around.known_calendars
    for one in given:
        if one not in file.inputs and not problems.is_muted(("inputs", one)):
            _at_given(
                problems, given, one, f"the recipe {name} has no input `{one}`", nearest(one, file.inputs), key=True
            )
    values: dict[str, Any] = {}
    for one, table in file.inputs.items():
        _check_choices(one, table, problems)
        about = f" ({table.about})" if table.about else ""
        value = given.get(one, table.default)
        values[one] = value
        if problems.is_muted(("inputs", one, "type")):
            continue
        if value is None:
            if problems.touches(("inputs", one)):
                continue
            hint = f"set it in cxbridge.toml: [recipes.inputs.{name}] {one} = …"
            problems.at_key(("inputs", one), "CX041", f"the input `{one}`{about} has no value", hint)
            continue
        # A default that an installation has replaced need not be one of its calendars.
        judged = table.type != "calendar" or one not in given
        if table.default is not None and judged and not _fits(table.default, table, calendars):
            told = f"the default of the input `{one}`{about} is not {_said(table)}"
            hint = _near(table.default, table, calendars)
            problems.at_value(("inputs", one, "default"), "CX041", told, hint)
        if one in given and not _fits(value, table, calendars):
            told = f"the input `{one}`{about} of the recipe {name} must be {_said(table)}"
            _at_given(problems, given, one, told, _near(value, table, calendars))
    return values


def bands(file: RecipeFile, problems: Problems, values: Mapping[str, Any]) -> dict[str, Band]:
    """Make the bands; one that was refused stands for any, so that its uses are still judged."""
    written = problems.source.value.get("band", {})
    made = {str(title): Band(str(title), 0.0, 0.0) for title in (written if isinstance(written, dict) else {})}
    for title, table in file.band.items():
        ends = [_end(file, problems, title, end, getattr(table, end), values) for end in ("enter", "leave")]
        if ends[0] is None or ends[1] is None or problems.touches(("band", title)):
            continue
        enter, leave = ends[0], ends[1]
        falling = table.direction == "falling" or (table.direction is None and enter < leave)
        if enter == leave and table.direction is None:
            told = "with `enter` and `leave` the same, it is not clear which way this band is crossed"
            problems.at_key(("band", title), "CX048", told, 'add direction = "falling" or "rising"')
        elif enter != leave and falling != (enter < leave):
            side, other = ("above", "falling") if falling else ("below", "rising")
            told = f"a {other} band is left {side} where it is entered, and {leave:g} is not {side} {enter:g}"
            problems.at_value(("band", title, "leave"), "CX048", told, "swap `enter` and `leave`, or turn `direction`")
        made[title] = Band(title, enter, leave, falling)
    return made


def _end(
    file: RecipeFile, problems: Problems, title: str, end: str, value: Any, values: Mapping[str, Any]
) -> float | None:
    """One end of a band: a number, or the value of an input."""
    path: Path = ("band", title, end)
    if isinstance(value, str):
        named = _INPUT.fullmatch(value.strip())
        if named is None:
            problems.at_value(path, "CX048", f"`{end}` is a number or {{{{ inputs.NAME }}}}", "for example 40")
            return None
        if named[1] not in file.inputs:
            if not problems.is_muted(("inputs", named[1])):
                problems.at_value(path, "CX048", f"there is no input `{named[1]}`", nearest(named[1], file.inputs))
            return None
        if file.inputs[named[1]].type != "number":
            told = f"`{end}` is a number, and the input `{named[1]}` is a {file.inputs[named[1]].type}"
            problems.at_value(path, "CX048", told)
            return None
        value = values.get(named[1])
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def input_types(file: RecipeFile, problems: Problems) -> dict[str, Any]:
    """The types of the inputs, for judging what is done with them; those that were refused may be anything."""
    written = problems.source.value.get("inputs", {})
    types: dict[str, Any] = dict.fromkeys(map(str, written if isinstance(written, dict) else {}), Any)
    known: Mapping[str, Any] = {"text": str, "number": float, "list": list[Any], "duration": str, "calendar": str}
    for one, table in file.inputs.items():
        if table.type == "choice" and table.of:
            types[one] = Literal[tuple(table.of)]
        elif not problems.is_muted(("inputs", one, "type")):
            types[one] = known.get(table.type, Any)
    return types


def check_stage(draft: Draft, noun: str | None) -> None:
    """A canary must be able to act for somebody."""
    if draft.file.stage != "canary":
        return
    canary = draft.file.canary
    if not canary.accounts and not canary.share and not draft.problems.is_muted(("canary",)):
        hint = 'say for whom: canary = { accounts = ["northwind"], share = "10%" }'
        draft.problems.at_value(("stage",), "CX047", "a canary without accounts and share acts for nobody", hint)
    if noun is not None and noun != "account" and "account" not in BELONGINGS.get(NOUNS[noun], {}):
        draft.problems.at_value(
            ("stage",),
            "CX047",
            f"no account belongs to a {noun}, so a canary would act for nobody",
            "use shadow or live",
        )


def check_retry(draft: Draft) -> None:
    """Pauses grow from the first to the longest."""
    retry = draft.file.on_error.retry
    if retry.first > retry.max:
        path: Path = ("on_error", "retry", "first" if draft.stands(("on_error", "retry", "first")) else "max")
        draft.problems.at_value(path, "CX014", "the first pause is longer than the longest: `first` is above `max`")


def check_entries(draft: Draft) -> None:
    """Each entry of a map must be one that a use of the map can ask for, where that is known of all its uses."""
    for title, uses in draft.uses.items():
        known = {value for use in uses for value in use}
        if not all(uses):
            continue
        for key in draft.file.map.get(title, {}):
            if key not in known and key != "unmapped":
                told = f"the map `{title}` is never asked for {key!r}; it is asked for {', '.join(sorted(known))}"
                draft.problems.at_key(("map", title, key), "CX022", told, nearest(key, known))


def _check_choices(one: str, table: Input, problems: Problems) -> None:
    if table.type == "choice" and not table.of:
        problems.at_key(("inputs", one), "CX041", f"the choice `{one}` has nothing to choose from", 'add of = ["…"]')
    elif table.type != "choice" and table.of:
        problems.at_key(("inputs", one, "of"), "CX041", f"`of` belongs to a choice, and `{one}` is a {table.type}")


def _fits(value: Any, table: Input, calendars: Sequence[str]) -> bool:
    if table.type == "duration":
        return isinstance(value, str) and (_reads(parse_duration, value) or _reads(parse_business, value))
    if table.type == "calendar":
        return value in calendars
    if table.type == "choice":
        return not table.of or value in table.of
    return isinstance(value, _TYPES[table.type]) and not isinstance(value, bool)


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _said(table: Input) -> str:
    return f"one of {', '.join(table.of)}" if table.type == "choice" else _SAID[table.type]


def _near(value: Any, table: Input, calendars: Sequence[str]) -> str:
    if table.type == "calendar":
        near = nearest(value, calendars) if isinstance(value, str) else ""
        return near or f"there are {', '.join(calendars)}; add others as [calendars.NAME]"
    return nearest(value, table.of) if isinstance(value, str) else ""


def _at_given(
    problems: Problems, given: Mapping[str, Any], one: str, message: str, hint: str, *, key: bool = False
) -> None:
    """Note a problem with a value that cxbridge.toml gives, at its place there."""
    if isinstance(given, Placed) and given.source.stands((*given.path, one)):
        path = (*given.path, one)
        span = given.source.key_span(path) if key else given.source.value_span(path)
        problems.elsewhere(given.source.problem(span, "CX041", message, hint))
    else:
        problems.elsewhere(Problem("the settings", 0, 0, "CX041", message, hint=hint))
