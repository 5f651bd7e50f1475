"""Writes values as one screen wants them, by the metadata that Jira gives of it; pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import adf, mapping, wire
from cxbridge.plugins.jira.rules import Rules, fold

# What a screen offers, by field id; `None` where Jira would not tell.
Screen = Mapping[str, wire.FieldMeta] | None

# The vendor's cap on a summary (unverified, from the web form).
_SUMMARY: Final = 255


def has(screen: Screen, field: str) -> bool:
    """Tell whether a field can be set on a screen; an unknown screen is tried."""
    return screen is None or field in screen


def option(screen: Screen, field: str, names: Iterable[str]) -> wire.Named | None:
    """Choose what a field offers under the first of these names or ids that it knows; unknown screens offer any."""
    meta = screen.get(field) if screen is not None else None
    offers = _offers(meta)
    if offers is None:
        return next((wire.Named(id=name) if name.isdigit() else wire.Named(name=name) for name in names), None)
    for name in names:
        for offer in offers:
            if name == str(offer.id) or fold(name) == fold(offer.name or ""):
                return offer
    return None


def named(choice: wire.Named) -> dict[str, cx.Json]:
    """Write a choice: by its id, which no translation changes, or else by its name."""
    return {"id": str(choice.id)} if choice.id is not None else {"name": choice.name}


def offered(screen: Screen, field: str) -> str:
    """List for people what a field offers."""
    names = [offer.name for offer in _offers(screen.get(field) if screen else None) or () if offer.name]
    return ", ".join(names) or "nothing"


def severity(screen: Screen, field: str, wanted: str, rules: Rules) -> cx.Json:
    """Write a severity as the option that reads as it; `None` when the field offers no such option."""
    meta = screen.get(field) if screen is not None else None
    for offer in meta.allowed_values or () if meta else ():
        if rules.severity(mapping.plain(offer)) == wanted:
            return {"id": str(offer["id"])} if isinstance(offer, dict) and "id" in offer else offer
    if meta is None or meta.allowed_values is None:
        name = next((name for own, name in rules.severities.items() if own == wanted), wanted)
        return {"value": name} if meta is None or meta.schema.type == "option" else name
    return None


def custom(value: cx.Json, meta: wire.FieldMeta | None) -> cx.Json:
    """Write any value as a field's type wants it; objects are the author's own business and pass as they are."""
    if value is None or isinstance(value, dict):
        return value
    schema = meta.schema if meta else wire.FieldSchema()
    if schema.type == "array":
        items = value if isinstance(value, list) else [value]
        return [_one(item, schema.items, None) for item in items]
    if isinstance(value, list):
        return value
    return _one(value, schema.type, schema.custom)


def _one(value: cx.Json, kind: str | None, custom_type: str | None) -> cx.Json:
    if isinstance(value, dict):
        return value
    text = str(value)
    match kind:
        case "option":
            return {"value": text}
        case "option-with-child":
            above, _, below = text.partition(" > ")
            return {"value": above, "child": {"value": below}} if below else {"value": above}
        case "user":
            return {"accountId": text.removeprefix("users/")}
        case "priority" | "version" | "component" | "group" | "resolution":
            return {"name": text}
        case "number":
            return _number(value)
        case "string" if (custom_type or "").endswith(":textarea"):
            return adf.from_text(text)
        case "string" | "date" | "datetime":
            return text
        case _:
            return value


def _number(value: cx.Json) -> cx.Json:
    if isinstance(value, str):
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            return value  # the vendor's refusal names the field better than we could
    return value


def summary(text: str) -> str:
    """Write a subject: one line, no longer than Jira takes."""
    line = " ".join(adf.clean(text).split())
    return line if len(line) <= _SUMMARY else line[: _SUMMARY - 1].rstrip() + "…"


def label(text: str) -> str:
    """Write a tag as a label, which may hold no blank."""
    return re.sub(r"\s+", "_", text.strip())[:_SUMMARY]


def labels(texts: Sequence[str]) -> list[str]:
    """Write tags as labels, each once."""
    return list(dict.fromkeys(filter(None, map(label, texts))))


def _offers(meta: wire.FieldMeta | None) -> list[wire.Named] | None:
    if meta is None or meta.allowed_values is None:
        return None
    return [
        wire.Named(id=offer.get("id"), name=offer.get("name") or offer.get("value"))
        if isinstance(offer, dict)
        else wire.Named(name=str(offer))
        for offer in meta.allowed_values
    ]
