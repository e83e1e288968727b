"""The JSON Schema of what a command prints with `--json`, made from the keys that `json_keys.toml` beside it declares.

`[commands]` names the documents of each command. Any other table is a document, or a part of some; its rows are
paths as in `runs[].state`: after a name `?` says that the key is not always there, `[]` that it is an array, `{}` that
its keys are names. A row is the types and a description: those of JSON, `any`, `nan` for numbers that JSON lacks,
another table, or `=WORD`. The row `.` is the document itself, `...` adds the rows of other tables, and `*` the fields
of each event, under the key that has its name.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tomllib
from robotrain_runtime.contract.event import EVENT_NAMES

from robotrain.command_table import COMMANDS
from robotrain.config.job_schema import DIALECT
from robotrain.plugins.manager import Plugins

FILE = "json_keys.toml"
OWN_FILE = Path(__file__).with_name("commands") / FILE
DOCUMENTS, SELF, INCLUDED, EVENTS = "commands", ".", "...", "*"
PROBLEMS = "problems"
"""The document of every command that ends with errors."""
NOT_FINITE = {"enum": ["nan", "inf", "-inf"]}
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}
Tables = Mapping[str, Mapping[str, Any]]


def find_tables(command: str, plugins: Plugins) -> Tables | None:
    """Return the tables of the file that declares what a command prints; None for what is no command."""
    first, tables = command.partition(" ")[0], _read_file(OWN_FILE)
    if first in COMMANDS:
        return tables
    claims = plugins.list_claims("command", first)
    for claim in claims:
        spec = find_spec(claim.module)
        if spec and spec.origin and (file := Path(spec.origin).with_name(FILE)).is_file():
            tables = {**tables, **_read_file(file)}
    return tables if claims else None


def _read_file(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def make_schema(command: str, tables: Tables) -> dict[str, Any]:
    """Return the schema of what a command prints."""
    documents = [*tables[DOCUMENTS][command], PROBLEMS]
    needed, parts = [*documents], dict[str, Any]()
    while needed:
        if (name := needed.pop()) not in parts:
            parts[name] = _make_part(name, tables)
            needed += _find_references(parts[name])
    return {
        "$schema": DIALECT,
        "title": f"robotrain {command} --json",
        "description": "Keys are only ever added: ignore those that you do not know.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in documents],
        "$defs": dict(sorted(parts.items())),
    }


@dataclasses.dataclass
class _Node:
    """A value at a path."""

    row: str = ""
    keys: dict[str, _Node] = dataclasses.field(default_factory=dict)
    """By name, perhaps with a question mark; `[]` and `{}` for what it contains."""


def _make_part(name: str, tables: Tables) -> dict[str, Any]:
    root = _Node()
    for path, row in _list_rows(name, tables):
        node = root
        for key in re.findall(r"\[\]|\{\}|[^.\[\]{}]+", path):
            node = node.keys.setdefault(key, _Node())
        node.row = row
    made = _make_value(root)
    if column := tables[name].get(EVENTS):
        made["anyOf"] = [_make_event(kind, column, event) for kind, event in EVENT_NAMES.items()]
    return made


def _list_rows(name: str, tables: Tables) -> Iterator[tuple[str, str]]:
    for path, row in tables[name].items():
        if path == INCLUDED:
            for other in row:
                yield from ((key, text) for key, text in _list_rows(other, tables) if key != SELF)
        elif path != EVENTS:
            yield path, row


def _make_value(node: _Node) -> dict[str, Any]:
    """Return the schema of a value."""
    words, _, description = node.row.partition(": ")
    named = list(filter(None, words.split("|")))
    kinds = [kind for kind in named if kind in ("object", "array", *JSON_TYPES.values())]
    found: dict[str, Any] = {"description": description} if description else {}
    inner = {key: _make_value(child) for key, child in node.keys.items()}
    for key, kind, keyword in (("[]", "array", "items"), ("{}", "object", "additionalProperties")):
        if key in inner:
            kinds, found = [*kinds, kind], found | {keyword: inner.pop(key)}
    if inner:
        kinds = [*kinds, "object"]
        found["properties"] = {key.rstrip("?"): schema for key, schema in inner.items()}
        found["required"] = [key for key in inner if not key.endswith("?")]
    kinds = [*dict.fromkeys(kinds)]
    others = [
        NOT_FINITE if word == "nan" else {"const": word[1:]} if word[0] == "=" else {"$ref": f"#/$defs/{word}"}
        for word in named
        if word not in kinds and word != "any"
    ]
    typed = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    if not others:
        return typed | found
    return {"anyOf": [*([typed] if typed else []), *others], **found} if typed or len(others) > 1 else others[0] | found


def _make_event(kind: type, column: str, name: str) -> dict[str, Any]:
    """Return the schema of an event with its name under a key."""
    hints = get_type_hints(kind)
    fields = {field.name: make_type_schema(hints[field.name]) for field in dataclasses.fields(kind)}
    return {"properties": {column: {"const": name}, **fields}, "required": [column, *fields]}


def make_type_schema(hint: Any) -> dict[str, Any]:
    """Return the schema of a type: a field of a record."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [make_type_schema(part) for part in parts]}
    if origin is Literal:
        return {"enum": [*parts]}
    if origin is tuple:
        return {"type": "array", "items": make_type_schema(parts[0])}
    if origin:  # a mapping
        return {"type": "object", "additionalProperties": make_type_schema(parts[1])}
    return {"anyOf": [{"type": "number"}, NOT_FINITE]} if hint is float else {"type": JSON_TYPES[hint]}


def _find_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for part in value.values():
            yield from _find_references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _find_references(part)
