"""The JSON Schema that editors check and complete recipe files with; says nothing about what only `check` can know."""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from cxbridge.core.actions import VERBS, Inputs
from cxbridge.core.recipes.checks import people
from cxbridge.core.recipes.checks.steps import CORE_STEPS
from cxbridge.core.recipes.schema import RecipeFile

_NAME = "[a-z][a-z0-9_]*"
_TEMPLATE = {"type": "string", "pattern": r"\{[{%]", "description": "A template."}


class _AsWritten(GenerateJsonSchema):
    """Times and shares are written as words (`15m`, `10%`), which the models read before they check."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """A time."""
        del schema
        return {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        """A share."""
        del schema
        share = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}
        return {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, share]}

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Titles made from names tell nobody anything; descriptions do."""
        del schema
        return False


def schema(actions: Mapping[str, type[Inputs]] = VERBS) -> dict[str, Any]:
    """Make the schema (draft 2020-12) of a recipe file.

    `actions` are the verbs whose inputs are known, as `entity.verb`; steps with other verbs take any input.
    """
    made = RecipeFile.model_json_schema(by_alias=True, schema_generator=_AsWritten)
    tables: dict[str, Any] = made["$defs"]
    # What the models let through so that `check` can say what to do instead.
    made["required"].append("trigger")
    made["properties"]["trigger"]["minItems"] = 1
    del tables["Expect"]["properties"]["echoes"]
    tables["TestCase"]["properties"]["given"] = {
        "type": "object",
        "properties": {
            "windows": {"type": "array", "items": {"type": "object"}, "description": "The windows that there are."}
        },
        "additionalProperties": {"type": "object"},
        "description": tables["TestCase"]["properties"]["given"]["description"],
    }
    _, known = msgspec.json.schema_components(
        [*actions.values(), *people.STEPS.values()], ref_template="#/$defs/{name}"
    )
    tables |= {name: _or_template(inputs) for name, inputs in known.items()}
    core: dict[str, dict[str, Any]] = {
        name: {"$ref": f"#/$defs/{people.STEPS[name].__name__}"}
        if name in people.STEPS
        else {"type": "object", "required": list(inputs)}
        for name, inputs in CORE_STEPS.items()
    }
    for table, steps in (("Step", core), ("Follow", {})):
        verb = tables[table]["properties"]["do"]
        verb["pattern"] = "|".join((rf"^{_NAME}\.{_NAME}\.{_NAME}$", *(f"^{name}$" for name in steps)))
        tables[table]["allOf"] = [_takes(f"^{name}$", inputs) for name, inputs in steps.items()] + [
            _takes(rf"^{_NAME}\.{name.replace('.', '[.]')}$", {"$ref": f"#/$defs/{inputs.__name__}"})
            for name, inputs in actions.items()
        ]
    return {"$schema": _AsWritten.schema_dialect, **made, "title": "A cxbridge recipe"}


def _takes(do: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Say what `with` holds for the verbs of a pattern."""
    then: dict[str, Any] = {"properties": {"with": inputs}}
    if inputs.get("required"):
        then["required"] = ["with"]
    return {"if": {"properties": {"do": {"pattern": do}}, "required": ["do"]}, "then": then}


def _or_template(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Let each input be a template, whatever it is otherwise."""
    properties = {
        name: one if one.get("type") == "string" and "enum" not in one else {"anyOf": [_bare(one), _TEMPLATE]}
        for name, one in inputs.get("properties", {}).items()
    }
    return {**inputs, "properties": properties}


def _bare(one: Mapping[str, Any]) -> dict[str, Any]:
    # A default would be offered in the place of what is missing.
    return {key: value for key, value in one.items() if key != "default"}
