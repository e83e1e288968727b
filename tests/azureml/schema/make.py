"""The JSON schema of a command job, made of the SDK's own classes.

    python tests/azureml/schema/make.py > tests/azureml/schema/commandJob.schema.json

What Microsoft publishes as `commandJob.schema.json` is made of these classes too: their fields say what they are in
JSON (`_jsonschema_type_mapping`), and whether one or any of several forms has to fit (`is_strict`).
"""

import json
import logging
from collections.abc import Iterable
from typing import Any

SIMPLE = {"String": "string", "DateTime": "string", "Integer": "integer", "Float": "number", "Boolean": "boolean"}


def schema() -> dict[str, Any]:
    """The whole schema, as draft 7."""
    from azure.ai.ml._schema.job.command_job import CommandJobSchema

    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    made = Maker()
    top = made.nested(CommandJobSchema(context={"base_path": "."}))
    return {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": made.definitions, **top}


class Maker:
    """Takes classes apart. definitions: those seen so far, by name."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def nested(self, of: Any) -> dict[str, Any]:
        """A reference to the definition of a class; no name that it does not know fits it."""
        name = type(of).__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # it may hold itself
            fields = {one.data_key or key: one for key, one in of.fields.items()}
            self.definitions[name] = {
                "type": "object",
                "additionalProperties": False,
                "properties": {key: self.field(one) for key, one in sorted(fields.items())},
                "required": sorted(key for key, one in fields.items() if one.required),
            }
        return {"$ref": f"#/definitions/{name}"}

    def field(self, of: Any) -> dict[str, Any]:
        """What fits a field; null where it says so."""
        found = self._form(of) | {key: text for key, text in of.metadata.items() if key == "pattern"}
        return {"anyOf": [found, {"type": "null"}]} if of.allow_none else found

    def _form(self, of: Any) -> dict[str, Any]:
        from azure.ai.ml._schema.core import fields as own
        from marshmallow import fields

        if isinstance(of, own.UnionField):
            return self._one_of(of.union_fields, "oneOf" if of.is_strict else "anyOf")
        if isinstance(of, own.ExperimentalField):
            return self.field(of.experimental_field)
        if isinstance(of, fields.Nested):
            return self._many(self.nested(of.schema), of.many)
        if isinstance(of, fields.List):
            return self._many(self.field(of.inner), True)
        if isinstance(of, fields.Dict):
            return {"type": "object", "additionalProperties": self.field(of.value_field) if of.value_field else {}}
        if hasattr(of, "_jsonschema_type_mapping"):
            said = of._jsonschema_type_mapping()
            return {key: said[key] for key in ("type", "enum", "pattern", "anyOf") if key in said}
        return self._simple(of)

    def _one_of(self, fields: Iterable[Any], how: str) -> dict[str, Any]:
        return {how: [self.field(one) for one in fields]}

    def _many(self, item: dict[str, Any], many: bool) -> dict[str, Any]:
        return {"type": "array", "items": item} if many else item

    def _simple(self, of: Any) -> dict[str, Any]:
        known = (SIMPLE[one.__name__] for one in type(of).__mro__ if one.__name__ in SIMPLE)
        return {"type": kind} if (kind := next(known, None)) else {}  # such as Raw: anything


def text() -> str:
    """As it is kept."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(text(), end="")
