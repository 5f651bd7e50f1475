"""What templates gave, in the form in which a verb takes it: texts for texts, nothing that is empty; judges no value."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cxbridge.core.connector import Inputs
from cxbridge.core.recipes.values import number_text


def fitted(given: Mapping[str, Any], struct: type[Inputs]) -> dict[str, Any]:
    """Leave out what is empty, so that an input left blank by a template counts as not given; write numbers and times as texts
    where texts are taken."""
    hints = _hints(struct)
    kept = {name: value for name, value in given.items() if value is not None and value != ""}
    return {name: _fit(value, hints.get(name, Any)) for name, value in kept.items()}


@cache
def _hints(struct: type[Inputs]) -> Mapping[str, Any]:
    return get_type_hints(struct)


def _fit(value: Any, hint: Any) -> Any:
    if isinstance(value, datetime):
        # Inputs take times as ISO 8601 text, and the outbox keeps them so.
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    parts = [one for one in _parts(hint) if one is not NoneType]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value) if parts and all(one is str or get_origin(one) is Literal for one in parts) else value
    inner = next((get_args(one) for one in parts if get_origin(one) in (list, dict)), ())
    if isinstance(value, Mapping):
        # A table of texts cannot hold nothing; in a table of anything, nothing may be meant.
        texts = bool(inner) and inner[-1] is str
        return {
            name: _fit(item, inner[-1] if inner else Any)
            for name, item in value.items()
            if not texts or item is not None
        }
    if isinstance(value, list | tuple):
        return [_fit(item, inner[-1] if inner else Any) for item in value]
    return value


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
