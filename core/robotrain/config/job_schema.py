"""The JSON Schema (2020-12) of job.yaml, for editors.

Values are read as text, so numbers can be in quotes, and a text can look like a number.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.config.job_file import SCHEMA_KEY
from robotrain.config.own_parameters import NAME_PATTERN
from robotrain.config.sources import MAX_SOURCES
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALAR = ["string", "number", "boolean"]
UNSET = {"type": ["null", "string"], "maxLength": 0}
"""An unset value."""
INPUT_KEYS = ("sources", "parameters", "params")
"""What of a job depends on its workload."""
TRAINER_ARGS, RUN = ARGUMENT_KEYS
BOTH_GIVEN = {
    "type": "object",
    "required": [*ARGUMENT_KEYS],
    "properties": {key: {"type": "array"} for key in ARGUMENT_KEYS},
}
"""A job with both names of its arguments."""

TABLE = {"type": "object", "additionalProperties": {"type": [*SCALAR, "null"]}}
FORMS: dict[str, dict[str, Any]] = {
    "json": {"type": ["array", "object"]},
    "list": {"type": "array", "items": {"type": SCALAR}},
    "texts": {"type": "array", "items": {"type": "string"}},
    "pairs": TABLE,
    "table": TABLE,
}
"""What a file may have in place of the text of several values."""
TEXTS = {
    "integer": {"type": "string", "pattern": r"^\s*[+-]?[0-9_]+(\.0*)?\s*$"},
    "number": {"type": "string", "pattern": r"^\s*[+-]?[0-9_]*\.?[0-9_]*([eE][+-]?[0-9_]+)?\s*$"},
    "boolean": {"type": ["integer", "string"], "minimum": 0, "maximum": 1, "pattern": "^([01]|[A-Za-z]{1,5})$"},
}
"""Values as texts: YAML 1.1 reads `3e-4` as one, and 1.2 reads `yes` so."""


def make_job_schema(
    workloads: Iterable[Workload], platforms: Iterable[Platform], kinds: Mapping[str, SourceKind], default: str
) -> dict[str, Any]:
    """Return the schema of a job file for these workloads and platforms; tables of other platforms are valid too."""
    all_workloads = list(workloads)
    inputs: dict[str, Any] = {key: {} for key in INPUT_KEYS}
    conditions = []  # for a file that names the workload, or none if it is the default
    for workload in all_workloads:
        is_default = workload.name == default
        workload_condition = {
            "properties": {"workload": {"enum": [workload.name, *([None, ""] if is_default else [])]}}
        }
        inputs_schema = {"properties": _make_inputs_schema(workload, kinds)}
        conditions.append(
            {"if": workload_condition | ({} if is_default else {"required": ["workload"]}), "then": inputs_schema}
        )
    by_name: dict[str, Any] = {"allOf": conditions}
    summaries = "; ".join(f"{workload.name}: {workload.summary}" for workload in all_workloads)
    workload_enum = {"enum": [workload.name for workload in all_workloads]}
    if len(all_workloads) == 1:
        inputs, by_name = _make_inputs_schema(all_workloads[0], kinds), {}
    return {
        "$schema": DIALECT,
        "title": "robotrain job",
        "description": "What runs: a workload, its sources and its parameters. The platform is chosen at submission.",
        "type": ["object", "null"],
        "properties": {
            SCHEMA_KEY: {"description": "the schema, for editors"},
            "workload": {
                "description": f"what to run. {summaries}",
                "default": default,
                "anyOf": [workload_enum, UNSET],
            },
            "config": {"description": "a configuration file in the workload's own form", "type": ["string", "null"]},
            **inputs,
            TRAINER_ARGS: _make_arguments_schema("options passed to the trainer unchanged: - --NAME=VALUE"),
            RUN: _make_arguments_schema("what the job runs, an argument an item; another name of trainer_args"),
            "platforms": _make_platforms_schema(platforms),
        },
        "additionalProperties": False,
        "not": BOTH_GIVEN,
        "$defs": {
            name: entry for workload in all_workloads for name, entry in _list_source_definitions(workload, kinds)
        },
        **(by_name if all_workloads else {}),
    }


def _make_arguments_schema(description: str) -> dict[str, Any]:
    return {"description": description, "type": ["array", "null"], "items": {"type": SCALAR}}


def _make_inputs_schema(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    return {
        "sources": _make_table_schema("inputs, by role", _make_roles_schema(workload, kinds)),
        "parameters": _make_table_schema(f"parameters of {workload.name}", _make_fields_schema(workload.parameters)),
        "params": _make_params_schema(workload),
    }


def _make_params_schema(workload: Workload) -> dict[str, Any]:
    """Return the schema of the parameters of a user's own: of a workload that takes none, an empty table."""
    if not workload.own_command:
        return {"type": ["object", "null"], "maxProperties": 0}
    declared_names = (parameter.name for parameter in get_parameters(workload.parameters))
    taken_names = [*workload.roles, *workload.own_command.reserved_names, *declared_names]
    return {
        "description": f"parameters of your own, by name; {workload.name} gives them to your program as texts",
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{NAME_PATTERN}$", "not": {"enum": taken_names}},
        "additionalProperties": {"type": SCALAR},
    }


def _list_source_definitions(
    workload: Workload, kinds: Mapping[str, SourceKind]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and schema of a source, for each role that a kind can fill."""
    for role in workload.roles:
        sources = {
            kind.name: {"description": f"{kind.help} {kind.form}", "examples": [kind.form], "type": SCALAR}
            for kind in kinds.values()
            if role in kind.roles
        }
        if sources:
            yield f"{workload.name}.{role}", _make_table_schema("", sources)


def _make_roles_schema(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    """Return the schema of each role: one source, or a list of them."""
    schemas = {}
    for name, _ in _list_source_definitions(workload, kinds):
        role = name.rpartition(".")[2]
        rule, source_schema = workload.roles[role], {"$ref": f"#/$defs/{name}"}
        description = f"{'sources' if rule.many else 'a source'}{', required' if rule.required else ''}: - KIND: TEXT"
        list_schema = {"type": "array", "items": source_schema, "maxItems": MAX_SOURCES if rule.many else 1}
        schemas[role] = {"description": description, "anyOf": [list_schema, source_schema]}
    return schemas


def _make_platforms_schema(platforms: Iterable[Platform]) -> dict[str, Any]:
    tables = {
        platform.name: _make_table_schema(
            f"settings of {platform.name}: {platform.summary}", _make_fields_schema(platform.settings)
        )
        for platform in platforms
    }
    value_schema = {"type": [*SCALAR, "null"]}
    setting_schema = {"type": [*value_schema["type"], "object"], "additionalProperties": value_schema}
    other_table = {"type": ["object", "null"], "additionalProperties": setting_schema}
    return _make_table_schema("settings by platform, used when the job is submitted to it", tables) | {
        "additionalProperties": other_table
    }


def _make_table_schema(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    description_schema = {"description": description} if description else {}
    return description_schema | {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


@functools.lru_cache(maxsize=64)
def _make_fields_schema(declared: type) -> dict[str, Any]:
    """Return the schema of each field; cached, because the schemas of jobs and pipelines have them in common."""
    parameters = [parameter for parameter in get_parameters(declared) if parameter.param.form != "patch"]
    return {parameter.name: _make_value_schema(parameter) for parameter in parameters}


def _make_value_schema(parameter: Parameter) -> dict[str, Any]:
    """Return pydantic's schema of a parameter, with its help; a file may have no value, and a text without quotes."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(parameter.annotation).json_schema()
    kinds = [kind for kind in schema.pop("anyOf", [schema]) if kind.get("type") != "null"]
    if parameter.bare_type is str and not parameter.choices:
        kinds.append({"type": ["number", "boolean"]})
    kinds += [TEXTS[kind["type"]] for kind in kinds if kind.get("type") in tuple(TEXTS)]
    if parameter.param.form in FORMS:
        kinds.append(FORMS[parameter.param.form])
    default = {} if parameter.default is None else {"default": parameter.default}
    return {"description": parameter.param.help, **default, "anyOf": [*kinds, UNSET]}
