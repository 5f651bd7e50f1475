"""The form of a recipe file: fits a document to its models and tells what does not fit, in words; judges no meaning.

What does not fit is left out and muted, and what is missing gets a stand-in, so that the rest of the file is judged as well.
"""

import copy
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cxbridge.core.recipes.checks.draft import nearest
from cxbridge.core.recipes.schema import RecipeFile, Table
from cxbridge.core.toml import Path, Problems

# Each round leaves out what was refused; a round can bring up only what was hidden behind that.
_MOST_ROUNDS = 20
_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda _: "this must be a text, in quotes",
    "int_type": lambda _: "this must be a whole number",
    "float_type": lambda _: "this must be a number",
    "bool_type": lambda _: "this must be true or false",
    "list_type": lambda _: "this must be a list: [ … ]",
    "dict_type": lambda _: "this must be a table",
    "model_type": lambda _: "this must be a table",
    "model_attributes_type": lambda _: "this must be a table",
    "string_too_short": lambda _: "this must not be empty",
    "greater_than_equal": lambda context: f"this must be at least {context['ge']}",
    "less_than_equal": lambda context: f"this must be at most {context['le']}",
    "literal_error": lambda context: f"this must be {context['expected']}",
    "value_error": lambda context: str(context["error"]),
}


def shaped(problems: Problems) -> RecipeFile:
    """Fit the document of a file to its model, noting what does not fit."""
    value = copy.deepcopy(problems.source.value)
    for _ in range(_MOST_ROUNDS):
        try:
            return RecipeFile.model_validate(value, by_alias=True)
        except ValidationError as error:
            refused: set[Path] = set()
            for one in error.errors(include_url=False, include_input=False):
                path = _real(value, tuple(one["loc"]))
                about = (*path, one["loc"][-1]) if one["type"] == "missing" else path
                # A value that fits none of several forms is refused once for each of them.
                if about not in refused:
                    _note(problems, one, path)
                refused.add(about)
            for one in error.errors(include_url=False, include_input=False):
                _mend(value, one, problems)
    raise AssertionError("leaving out what does not fit never came to an end")


def _note(problems: Problems, one: ErrorDetails, path: Path) -> None:
    if one["type"] == "missing":
        _note_missing(problems, (*path, one["loc"][-1]))
        return
    last, table = str(path[-1]), _table_at(path[:-1])
    if one["type"] == "extra_forbidden":
        if table is not None and last in table.planned:
            told = f"`{last}` is part of the language, but this version does not know it yet"
            problems.at_key(path, "CX015", told, "leave it out, or look for a newer cxbridge")
        else:
            hint = nearest(last, _keys_of(table)) or _belongs(last, table)
            problems.at_key(path, "CX012", f"unknown key `{last}`", hint)
        return
    if one["type"] == "string_pattern_mismatch":
        told = "a name begins with a small letter and holds small letters, digits and _ only"
        note = problems.at_key if "[key]" in one["loc"] else problems.at_value
        note(path, "CX014", f"`{last}`: {told}")
        return
    given = _value_at(problems.source.value, path)
    if one["type"] == "literal_error" and isinstance(given, str):
        if table is not None and given in table.planned_values.get(last, ()):
            problems.at_value(path, "CX015", f"this version does not know {given!r} for `{last}` yet")
            return
        expected = one["ctx"]["expected"]
        choices = [word.strip(" '") for part in expected.split(" or ") for word in part.split(",")]
        problems.at_value(path, "CX014", f"`{last}` is {expected}, never {given!r}", nearest(given, choices))
        return
    words = _WORDS.get(one["type"])
    name = last if isinstance(path[-1], str) else f"{path[-2]}[{last}]"
    problems.at_value(path, "CX014", f"`{name}`: {words(one.get('ctx', {})) if words else one['msg']}")


def _note_missing(problems: Problems, path: Path) -> None:
    if problems.is_muted(path):
        return
    last, parent = str(path[-1]), path[:-1]
    where = "at the top of the file" if not parent else "here"
    problems.at_key(parent, "CX010", f"the key `{last}` is missing {where}", _example(last, _table_at(parent)))


def _example(last: str, table: type[Table] | None) -> str:
    field = _field_of(table, last)
    if field is None:
        return ""
    stand_in = _stand_in(field.annotation)
    if isinstance(stand_in, dict):
        return f"add {last} = {{ … }}"
    return f'add {last} = "…"'


def _mend(value: dict[str, Any], one: ErrorDetails, problems: Problems) -> None:
    """Leave out what was refused, or put something in for what is missing."""
    path = _real(value, tuple(one["loc"]))
    if one["type"] == "missing":
        last = str(one["loc"][-1])
        field = _field_of(_table_at(path), last)
        holder = _value_at(value, path)
        if field is not None and isinstance(holder, dict) and last not in holder:
            holder[last] = _stand_in(field.annotation)
            problems.mute((*path, last))
        return
    if problems.is_muted(tuple(one["loc"])):
        return
    # Items of lists stay, so that places keep their numbers: the whole list goes.
    while path and isinstance(path[-1], int):
        path = path[:-1]
    holder = _value_at(value, path[:-1])
    if path and isinstance(holder, dict) and path[-1] in holder:
        del holder[str(path[-1])]
        problems.mute(path)


def _stand_in(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _stand_in(next(one for one in get_args(annotation) if one is not NoneType))
    if origin is Literal:
        return get_args(annotation)[0]
    if origin is list:
        return []
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, Table)):
        return {}
    return "unnamed"


def _belongs(word: str, table: type[Table] | None) -> str:
    """Say where an unknown key would be known, when that is one place."""
    homes = [name for name, field in RecipeFile.model_fields.items() if word in _keys_of(_table_in(field.annotation))]
    if table is not RecipeFile and word in _keys_of(RecipeFile):
        return f"`{word}` belongs to the top of the file, before the first [table]"
    return f"`{word}` belongs to [{homes[0]}]" if len(homes) == 1 else ""


# -- places --------------------------------------------------------------------------------------------------------


def _real(value: Any, path: Path) -> Path:
    """Cut a location back to what stands in the file: pydantic adds names of union members and of dict keys."""
    done: list[str | int] = []
    found: Any = value
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            break
        done.append(part)
    return tuple(done)


def _value_at(value: Any, path: Path) -> Any:
    found: Any = value
    for part in _real(value, path):
        found = found[part]
    return found


def _table_at(path: Path) -> type[Table] | None:
    """The model of the table that stands at a path."""
    annotation: Any = RecipeFile
    for part in path:
        table = annotation if isinstance(annotation, type) and issubclass(annotation, Table) else None
        if table is not None:
            field = _field_of(table, str(part))
            annotation = field.annotation if field is not None else None
        else:
            arguments = get_args(annotation)
            annotation = arguments[-1] if arguments else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Table) else None


def _table_in(annotation: Any) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next((found for part in get_args(annotation) if (found := _table_in(part)) is not None), None)


def _field_of(table: type[Table] | None, key: str) -> FieldInfo | None:
    if table is None:
        return None
    return next((field for name, field in table.model_fields.items() if key == (field.alias or name)), None)


def _keys_of(table: type[Table] | None) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()] if table is not None else []
