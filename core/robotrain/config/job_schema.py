"""JSON Schema (2020-12) of job.yaml, for editors: it takes what the reader takes, as far as a schema can say.

A value of the file is read as its text, so numbers may stand in quotes, and a text may look like a number.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.config.job_file import SCHEMA_KEY
from robotrain.config.sources import MAX_SOURCES
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALAR = ["string", "number", "boolean"]
UNSET = {"type": ["null", "string"], "maxLength": 0}
"""As if the line were not there."""

INTEGER_PATTERN = r"^\s*[+-]?[0-9][0-9_]*(\.0+)?\s*$"
NUMBER_PATTERN = r"^\s*[+-]?[0-9_]*\.?[0-9_]+\.?([eE][+-]?[0-9_]+)?\s*$"
TABLE_PATTERN = r"^[^,=]+=[^,]*(,[^,=]+=[^,]*)*$"
_TABLE_SCHEMA = {
    "type": "object",
    "propertyNames": {"pattern": "^[^,=]*[^,=\\s][^,=]*$"},
    "additionalProperties": {"type": [*SCALAR, "null"], "pattern": "^[^,]*$"},
}
SWITCH_WORDS = ("true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "0", "1")
BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def make_job_schema(
    workloads: Iterable[Workload], platforms: Iterable[Platform], kinds: Mapping[str, SourceKind], default: str
) -> dict[str, Any]:
    """The schema of a job file for these workloads and the settings of these platforms.

    default: the workload of a file that names none. A table for another platform is taken as it is, as the reader does.
    """
    every = list(workloads)
    inputs: dict[str, Any] = {"sources": {}, "parameters": {}}
    by_name = {"allOf": [_make_workload_condition(workload, kinds, workload.name == default) for workload in every]}
    if len(every) == 1:
        inputs, by_name = _make_inputs_schema(every[0], kinds), {}
    return {
        "$schema": DIALECT,
        "title": "robotrain job",
        "description": "What runs: a workload, its sources and its parameters. Where it runs is said when it is sent.",
        "type": ["object", "null"],
        "properties": {
            SCHEMA_KEY: {"description": "where editors find this schema"},
            "workload": _make_workload_schema(every, default),
            **inputs,
            "trainer_args": _make_arguments_schema(),
            "platforms": _make_platforms_schema(platforms),
        },
        "additionalProperties": False,
        "$defs": {name: entry for workload in every for name, entry in _list_source_definitions(workload, kinds)},
        **(by_name if every else {}),
    }


def _make_workload_schema(workloads: list[Workload], default: str) -> dict[str, Any]:
    said = "; ".join(f"{workload.name}: {workload.summary}" for workload in workloads)
    names = [workload.name for workload in workloads]
    return {"description": f"what to run. {said}", "default": default, "anyOf": [{"enum": names}, UNSET]}


def _make_workload_condition(workload: Workload, kinds: Mapping[str, SourceKind], default: bool) -> dict[str, Any]:
    """What holds where the file names the workload, and for the default one where it names none."""
    named = {"properties": {"workload": {"enum": [workload.name, *([None, ""] if default else [])]}}}
    return {
        "if": named | ({} if default else {"required": ["workload"]}),
        "then": {"properties": _make_inputs_schema(workload, kinds)},
    }


def _make_inputs_schema(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    return {
        "sources": _make_table_schema("inputs, by what they are for", _make_roles_schema(workload, kinds)),
        "parameters": _make_table_schema(f"parameters of {workload.name}", _make_fields_schema(workload.parameters)),
    }


def _list_source_definitions(
    workload: Workload, kinds: Mapping[str, SourceKind]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each role that a kind can fill, its name among the definitions and what one source of it looks like."""
    for role in workload.roles:
        if fitting := [kind for kind in kinds.values() if role in kind.roles]:
            yield (
                f"{workload.name}.{role}",
                _make_table_schema("", {kind.name: _make_source_schema(kind) for kind in fitting}),
            )


def _make_roles_schema(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    """One source, or a list of them, for each role."""
    found = {}
    for name, _ in _list_source_definitions(workload, kinds):
        role = name.rpartition(".")[2]
        rule, entry = workload.roles[role], {"$ref": f"#/$defs/{name}"}
        said = f"{'sources' if rule.many else 'a source'}{', needed' if rule.required else ''}: - KIND: TEXT"
        several = {"type": "array", "items": entry, "maxItems": MAX_SOURCES if rule.many else 1}
        found[role] = {"description": said, "anyOf": [several, entry]}
    return found


def _make_source_schema(kind: SourceKind) -> dict[str, Any]:
    return {"description": f"{kind.help} {kind.form}", "examples": [kind.form], "type": SCALAR}


def _make_arguments_schema() -> dict[str, Any]:
    said = "options of the trainer itself, as they are: - --NAME=VALUE"
    return {"description": said, "type": ["array", "null"], "items": {"type": SCALAR}}


def _make_platforms_schema(platforms: Iterable[Platform]) -> dict[str, Any]:
    known = {
        platform.name: _make_table_schema(
            f"settings of {platform.name}: {platform.summary}", _make_fields_schema(platform.settings)
        )
        for platform in platforms
    }
    values = {"type": [*SCALAR, "null"]}
    either = {"type": [*values["type"], "object"], "additionalProperties": values}
    other = {"type": ["object", "null"], "additionalProperties": either}
    return _make_table_schema("settings of platforms, each read when the job goes there", known) | {
        "additionalProperties": other
    }


def _make_table_schema(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    said = {"description": description} if description else {}
    return said | {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _make_fields_schema(declared: type) -> dict[str, Any]:
    return {parameter.name: _make_value_schema(parameter) for parameter in get_parameters(declared)}


def _make_value_schema(parameter: Parameter) -> dict[str, Any]:
    """What one parameter takes, with its help and its default."""
    said: dict[str, Any] = {"description": parameter.param.help}
    if parameter.default is not None:
        said["default"] = parameter.default
    return said | _make_type_schema(parameter)


def _make_type_schema(parameter: Parameter) -> dict[str, Any]:
    """Bounds are asked of numbers alone, patterns of texts alone; an empty text counts as unset."""
    if parameter.choices:
        return {"enum": [*parameter.choices, None, ""]}
    if parameter.is_switch:
        words = "|".join(map(_match_any_case, SWITCH_WORDS))
        return _make_pattern_schema(["boolean", "integer", "string"], f"^({words})$") | {"minimum": 0, "maximum": 1}
    bounds = {name: bound for mine, name in BOUNDS.items() if (bound := getattr(parameter.param, mine)) is not None}
    if parameter.bare_type is int:
        return _make_pattern_schema(["integer", "string"], INTEGER_PATTERN) | bounds
    if parameter.bare_type is float:
        return _make_pattern_schema(["number", "string"], NUMBER_PATTERN) | bounds
    if parameter.param.json:
        return {"type": [*SCALAR, "array", "object", "null"]}
    if parameter.param.table:
        return {"anyOf": [_make_pattern_schema(["string"], TABLE_PATTERN), _TABLE_SCHEMA]}
    return _make_pattern_schema(SCALAR, parameter.param.pattern)


def _make_pattern_schema(types: list[str], pattern: str | None) -> dict[str, Any]:
    return {"type": [*types, "null"]} | ({"pattern": f"{pattern}|^$"} if pattern else {})


def _match_any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)
