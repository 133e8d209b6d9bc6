"""The spec language as JSON Schema: completion in editors, and a second opinion in the tests.

It says what pydantic says, no more and no less. Names, shapes and divisibility are not the schema's
business, as they are not pydantic's.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from perceiver_graph.diagnostics import escape
from perceiver_graph.spec.descriptions import descriptions
from perceiver_graph.spec.models import Spec
from perceiver_graph.spec.models.base import Model, all_models

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "perceiver-graph spec"


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with what it leaves out."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """A mapping whose keys have a pattern takes no other keys."""
        found = super().dict_schema(schema)
        if "patternProperties" in found:
            found["additionalProperties"] = False
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No titles made of the keys: editors would show them in place of the description."""
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec."""
    schema = Spec.model_json_schema(schema_generator=_Generator)
    models = all_models(Model)
    for name, definition in {**schema["$defs"], Spec.__name__: schema}.items():
        for key, text in descriptions(models[name]).items():
            definition["properties"][key]["description"] = text
    return {"$schema": DRAFT, **schema, "title": TITLE}


def schema_text() -> str:
    """The schema as the text of `specs/schema.json`."""
    return escape.json(json_schema())
