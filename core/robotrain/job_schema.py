"""JSON Schema (2020-12) of job.yaml, for editors: it takes what the reader takes, as far as a schema can say.

A value of the file is read as its text, so numbers may stand in quotes, and a text may look like a number.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.inputs import MOST
from robotrain.job_file import SCHEMA_KEY
from robotrain.platforms import Platform
from robotrain.source import SourceKind
from robotrain.workload import Workload

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALAR = ["string", "number", "boolean"]
UNSET = {"type": ["null", "string"], "maxLength": 0}
"""As if the line were not there."""

WHOLE = r"^\s*[+-]?[0-9][0-9_]*(\.0+)?\s*$"
NUMBER = r"^\s*[+-]?[0-9_]*\.?[0-9_]+\.?([eE][+-]?[0-9_]+)?\s*$"
PAIRS = r"^[^,=]+=[^,]*(,[^,=]+=[^,]*)*$"
_NAMED = {
    "type": "object",
    "propertyNames": {"pattern": "^[^,=]*[^,=\\s][^,=]*$"},
    "additionalProperties": {"type": [*SCALAR, "null"], "pattern": "^[^,]*$"},
}
SWITCHES = ("true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "0", "1")
BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def schema(
    workloads: Iterable[Workload], platforms: Iterable[Platform], kinds: Mapping[str, SourceKind], default: str
) -> dict[str, Any]:
    """The schema of a job file for these workloads and the settings of these platforms.

    default: the workload of a file that names none. A table for another platform is taken as it is, as the reader does.
    """
    every = list(workloads)
    inputs: dict[str, Any] = {"sources": {}, "parameters": {}}
    by_name = {"allOf": [_where_named(workload, kinds, workload.name == default) for workload in every]}
    if len(every) == 1:
        inputs, by_name = _inputs(every[0], kinds), {}
    return {
        "$schema": DIALECT,
        "title": "robotrain job",
        "description": "What runs: a workload, its sources and its parameters. Where it runs is said when it is sent.",
        "type": ["object", "null"],
        "properties": {
            SCHEMA_KEY: {"description": "where editors find this schema"},
            "workload": _workload(every, default),
            **inputs,
            "trainer_args": _arguments(),
            "platforms": _platforms(platforms),
        },
        "additionalProperties": False,
        "$defs": {name: entry for workload in every for name, entry in _entries(workload, kinds)},
        **(by_name if every else {}),
    }


def _workload(workloads: list[Workload], default: str) -> dict[str, Any]:
    said = "; ".join(f"{workload.name}: {workload.summary}" for workload in workloads)
    names = [workload.name for workload in workloads]
    return {"description": f"what to run. {said}", "default": default, "anyOf": [{"enum": names}, UNSET]}


def _where_named(workload: Workload, kinds: Mapping[str, SourceKind], default: bool) -> dict[str, Any]:
    """What holds where the file names the workload, and for the default one where it names none."""
    named = {"properties": {"workload": {"enum": [workload.name, *([None, ""] if default else [])]}}}
    return {
        "if": named | ({} if default else {"required": ["workload"]}),
        "then": {"properties": _inputs(workload, kinds)},
    }


def _inputs(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    return {
        "sources": _table("inputs, by what they are for", _roles(workload, kinds)),
        "parameters": _table(f"parameters of {workload.name}", _declared(workload.parameters)),
    }


def _entries(workload: Workload, kinds: Mapping[str, SourceKind]) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each role that a kind can fill, its name among the definitions and what one source of it looks like."""
    for role in workload.roles:
        if fitting := [kind for kind in kinds.values() if role in kind.roles]:
            yield f"{workload.name}.{role}", _table("", {kind.name: _source(kind) for kind in fitting})


def _roles(workload: Workload, kinds: Mapping[str, SourceKind]) -> dict[str, Any]:
    """One source, or a list of them, for each role."""
    found = {}
    for name, _ in _entries(workload, kinds):
        role = name.rpartition(".")[2]
        rule, entry = workload.roles[role], {"$ref": f"#/$defs/{name}"}
        said = f"{'sources' if rule.many else 'a source'}{', needed' if rule.required else ''}: - KIND: TEXT"
        several = {"type": "array", "items": entry, "maxItems": MOST if rule.many else 1}
        found[role] = {"description": said, "anyOf": [several, entry]}
    return found


def _source(kind: SourceKind) -> dict[str, Any]:
    return {"description": f"{kind.help} {kind.form}", "examples": [kind.form], "type": SCALAR}


def _arguments() -> dict[str, Any]:
    said = "options of the trainer itself, as they are: - --NAME=VALUE"
    return {"description": said, "type": ["array", "null"], "items": {"type": SCALAR}}


def _platforms(platforms: Iterable[Platform]) -> dict[str, Any]:
    known = {
        platform.name: _table(f"settings of {platform.name}: {platform.summary}", _declared(platform.settings))
        for platform in platforms
    }
    values = {"type": [*SCALAR, "null"]}
    either = {"type": [*values["type"], "object"], "additionalProperties": values}
    other = {"type": ["object", "null"], "additionalProperties": either}
    return _table("settings of platforms, each read when the job goes there", known) | {"additionalProperties": other}


def _table(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    said = {"description": description} if description else {}
    return said | {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _declared(declared: type) -> dict[str, Any]:
    return {parameter.name: _value(parameter) for parameter in parameters_of(declared)}


def _value(parameter: Parameter) -> dict[str, Any]:
    """What one parameter takes, with its help and its default."""
    said: dict[str, Any] = {"description": parameter.param.help}
    if parameter.default is not None:
        said["default"] = parameter.default
    return said | _form(parameter)


def _form(parameter: Parameter) -> dict[str, Any]:
    """Bounds are asked of numbers alone, patterns of texts alone; an empty text counts as unset."""
    if parameter.choices:
        return {"enum": [*parameter.choices, None, ""]}
    if parameter.switch:
        words = "|".join(map(_any_case, SWITCHES))
        return _of(["boolean", "integer", "string"], f"^({words})$") | {"minimum": 0, "maximum": 1}
    bounds = {name: bound for mine, name in BOUNDS.items() if (bound := getattr(parameter.param, mine)) is not None}
    if parameter.bare is int:
        return _of(["integer", "string"], WHOLE) | bounds
    if parameter.bare is float:
        return _of(["number", "string"], NUMBER) | bounds
    if parameter.param.json:
        return {"type": [*SCALAR, "array", "object", "null"]}
    if parameter.param.table:
        return {"anyOf": [_of(["string"], PAIRS), _NAMED]}
    return _of(SCALAR, parameter.param.pattern)


def _of(types: list[str], pattern: str | None) -> dict[str, Any]:
    return {"type": [*types, "null"]} | ({"pattern": f"{pattern}|^$"} if pattern else {})


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)
