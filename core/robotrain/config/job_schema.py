"""The JSON Schema (2020-12) of job.yaml, for editors: pydantic's own of each parameter, and what stands around them."""

from collections.abc import Iterable, Mapping
from typing import Any

from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.config.job_file import SCHEMA_KEY
from robotrain.config.own_parameters import NAME_PATTERN
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALAR = ["string", "number", "boolean"]
TRAINER_ARGS, RUN = ARGUMENT_KEYS
INPUT_KEYS = ("sources", "parameters", "params")
"""What of a job depends on its workload."""


def make_job_schema(
    workloads: Iterable[Workload], platforms: Iterable[Platform], kinds: Mapping[str, SourceKind], default: str
) -> dict[str, Any]:
    """Return the schema of a job file for these workloads and platforms; tables of other platforms are valid too."""
    workloads_by_name = {workload.name: workload for workload in workloads}
    tables = {platform.name: _make_table(_make_fields(platform.settings), platform.summary) for platform in platforms}
    conditions = [
        {
            "if": {"properties": {"workload": {"enum": [name, *([None] if name == default else [])]}}}
            | ({} if name == default else {"required": ["workload"]}),
            "then": {"properties": _make_inputs(workload, kinds)},
        }
        for name, workload in workloads_by_name.items()
    ]
    return {
        "$schema": DIALECT,
        "title": "robotrain job",
        "description": "What runs: a workload, its sources and its parameters. The platform is chosen at submission.",
        "type": ["object", "null"],
        "properties": {
            SCHEMA_KEY: {"description": "the schema, for editors"},
            "workload": {"description": "what to run", "default": default, "enum": [*workloads_by_name, None]},
            "config": {"description": "a configuration file in the workload's own form", "type": ["string", "null"]},
            **{key: {} for key in INPUT_KEYS},
            TRAINER_ARGS: _make_arguments("options passed to the trainer unchanged: - --NAME=VALUE"),
            RUN: _make_arguments("what the job runs, an argument an item; another name of trainer_args"),
            "platforms": _make_table(tables, "settings by platform") | {"additionalProperties": True},
        },
        "additionalProperties": False,
        "not": {
            "type": "object",
            "required": [*ARGUMENT_KEYS],
            "properties": {key: {"type": "array"} for key in ARGUMENT_KEYS},
        },
        "allOf": conditions,
    }


def _make_inputs(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    """Return the schemas of what a workload reads, of its parameters, and of those of a user's own."""
    roles = {}
    for name, role in workload.roles.items():
        taking = (kind for kind in kinds.values() if name in kind.roles)
        forms = {kind.name: {"description": f"{kind.help} {kind.form}", "type": SCALAR} for kind in taking}
        source = _make_table(forms, "KIND: TEXT")
        roles[name] = {"anyOf": [source, {"type": "array", "items": source, **({} if role.many else {"maxItems": 1})}]}
    own = {"type": ["object", "null"], "maxProperties": 0}
    if workload.own_command:
        declared = [parameter.name for parameter in get_parameters(workload.parameters)]
        taken = [*workload.roles, *workload.own_command.reserved_names, *declared]
        names = {"pattern": f"^{NAME_PATTERN}$", "not": {"enum": taken}}
        own = {"type": ["object", "null"], "propertyNames": names, "additionalProperties": {"type": SCALAR}}
    return {
        "sources": _make_table(roles, "inputs, by role"),
        "parameters": _make_table(_make_fields(workload.parameters), f"parameters of {workload.name}"),
        "params": own | {"description": "parameters of your own, by name"},
    }


def _make_table(properties: Mapping[str, Any], description: str) -> dict[str, Any]:
    table = {"type": ["object", "null"], "properties": dict(properties), "additionalProperties": False}
    return table | {"description": description}


def _make_arguments(description: str) -> dict[str, Any]:
    return {"description": description, "type": ["array", "null"], "items": {"type": SCALAR}}


def _make_fields(declared: type) -> dict[str, Any]:
    parameters = (parameter for parameter in get_parameters(declared) if parameter.param.form != "patch")
    return {parameter.name: _make_value(parameter) for parameter in parameters}


def _make_value(parameter: Parameter) -> dict[str, Any]:
    """Return pydantic's schema of a parameter, with its help; a file may have no value, and a text without quotes."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(parameter.annotation).json_schema()
    kinds = [kind for kind in schema.pop("anyOf", [schema]) if kind.get("type") != "null"]
    if parameter.bare_type is str and not parameter.choices:
        kinds.append({"type": ["number", "boolean"]})
    if parameter.param.form in ("pairs", "table"):
        kinds.append({"type": "object", "additionalProperties": {"type": [*SCALAR, "null"]}})
    elif parameter.param.form:  # several values
        kinds.append({"type": ["array", "object"]})
    default = {} if parameter.default is None else {"default": parameter.default}
    return {"description": parameter.param.help, **default, "anyOf": [*kinds, {"type": "null"}]}
