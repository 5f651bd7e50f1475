"""The JSON Schema that editors check recipe files with; says nothing about what a recipe means."""

from typing import Any


def recipe_schema() -> dict[str, Any]:
    """Make the schema of a recipe file from its models."""
    from pydantic import BaseModel
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

    from cxbridge.core.recipes.schema import RecipeFile

    class AsWritten(GenerateJsonSchema):
        """Times and shares are written as words (`15m`, `10%`), which the models read before they check."""

        def timedelta_schema(self, schema: Any) -> JsonSchemaValue:
            del schema
            return {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"}

        def float_schema(self, schema: Any) -> JsonSchemaValue:
            return {"anyOf": [super().float_schema(schema), {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}]}

    model: type[BaseModel] = RecipeFile
    made = model.model_json_schema(by_alias=True, schema_generator=AsWritten)
    return {"$schema": AsWritten.schema_dialect, **made, "title": "A cxbridge recipe"}
