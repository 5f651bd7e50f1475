"""The typed answers that are asked for beside a decision: which can be given, whether they fit, what holds without; pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cxbridge.core.engine.pausing import Unreached
from cxbridge.core.recipes.model import FormInput

LONGEST_ANSWER = 3000
Form = Sequence[Mapping[str, Any]]


def form_of(step: str, wanted: Mapping[str, FormInput], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put a form together as it will be asked, with the choices there are by now.

    Raises:
        Unreached: when there is nothing to choose from for a field that must be filled in.
    """
    form = []
    for name, one in wanted.items():
        choices: list[str] = []
        if one.type == "choice":
            choices = _choices(one.of if one.of is not None else results.get(one.from_ or ""))
            if not choices and not one.optional:
                raise Unreached(f"step {step}: there is nothing to choose from for `{name}`")
        form.append(
            {
                "name": name,
                "type": one.type,
                "label": one.label,
                "of": choices,
                "optional": one.optional,
                "default": one.default,
            }
        )
    return form


def vendor_form(form: Form) -> list[dict[str, Any]]:
    """Give the fields that a person is asked for; a choice without anything to choose from is left out."""
    return [
        {name: value for name, value in one.items() if name != "default"}
        for one in form
        if one["type"] != "choice" or one["of"]
    ]


def defaults(form: Form) -> dict[str, Any]:
    """Give what holds where nobody filled in anything."""
    return {one["name"]: one["default"] for one in form}


def pretended_values(form: Form) -> dict[str, Any]:
    """Give what a plan takes for answers: defaults, nothing for what may stay empty, else the first choice or a stand-in."""
    values = defaults(form)
    for one in form:
        if values[one["name"]] is None and not one["optional"]:
            values[one["name"]] = {"choice": next(iter(one["of"]), None), "number": 0}.get(
                one["type"], f"«{one['label'] or one['name']}»"
            )
    return values


def typed(form: Form, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Read what was filled in as the types of the form; with what is wrong, in words, or nothing."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for one in form:
        name, raw = one["name"], given.get(one["name"])
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            values[name] = None
            if not one["optional"] and one["default"] is None:
                wrong.append(f"{name} is missing")
            continue
        values[name], told = _typed(one, raw)
        wrong += [f"{name} {told}"] if told else []
    return values, "; ".join(wrong)


def _typed(field: Mapping[str, Any], raw: Any) -> tuple[Any, str]:
    if field["type"] == "number":
        return _number(raw)
    if not isinstance(raw, str | int | float) or isinstance(raw, bool):
        return None, "is no text"
    text = str(raw).strip()
    if field["type"] == "choice":
        return (text, "") if text in field["of"] else (None, f"is one of {', '.join(field['of'])}")
    return (text, "") if len(text) <= LONGEST_ANSWER else (None, f"is longer than {LONGEST_ANSWER:,} characters")


def _number(raw: Any) -> tuple[float | int | None, str]:
    try:
        found = float(raw) if not isinstance(raw, bool) else math.nan
    except (TypeError, ValueError):
        return None, "is no number"
    if not math.isfinite(found):
        return None, "is no number"
    return (int(found) if found.is_integer() else found), ""


def _choices(value: Any) -> list[str]:
    """List what can be chosen: texts, or records by the name people say."""
    several = value if isinstance(value, list | tuple) else [value]
    found: list[str] = []
    for one in several:
        name = one.get("source_key") or one.get("id") or one.get("name") if isinstance(one, Mapping) else one
        if isinstance(name, str | int | float) and not isinstance(name, bool) and str(name):
            found.append(str(name))
    return list(dict.fromkeys(found))
