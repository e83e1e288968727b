"""What `--json` prints, compared with the schema of its command: every key is declared there."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from robotrain.cli import json_schema
from robotrain.command_table import ALIASES, COMMANDS
from robotrain.plugins.manager import Plugins

PLUGINS = Plugins()
NAMES = frozenset((*COMMANDS, *ALIASES, *PLUGINS.list_names("command")))
LINES = ("logs", "watch")
"""What prints an object a line."""


def check_printed_json(args: Sequence[str], text: str) -> None:
    """Raise AssertionError if a command line printed JSON that its schema does not describe."""
    if "--json" not in args or "--help" in args or not text or not (command := find_command(tuple(args))):
        return
    is_whole = command not in LINES or text.startswith("{\n")  # problems, indented
    for document in [text] if is_whole else text.splitlines():
        error = best_match(make_validator(command).iter_errors(json.loads(document)))
        assert error is None, f"robotrain {command} --json: {error.json_path}: {error.message}"


def find_command(args: Sequence[str]) -> str:
    """Return the command of a line; an empty text for one of a plugin that a test installed."""
    for at, word in enumerate(args):
        if word in NAMES:
            first = ALIASES.get(word, word)
            tables = json_schema.find_tables(first, PLUGINS) or {json_schema.DOCUMENTS: ()}
            names = (f"{first} {' '.join(args[at + 1 : at + 2])}", first)
            return next((name for name in names if name in tables[json_schema.DOCUMENTS]), "")
    return ""


@functools.cache
def make_validator(command: str) -> Any:
    """Return what judges the documents of a command; a key that is not declared is an error."""
    tables = json_schema.find_tables(command, PLUGINS)
    assert tables
    schema = json_schema.make_schema(command, tables)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_forbid_other_keys(schema))


def _forbid_other_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_forbid_other_keys, value)]
    if not isinstance(value, dict):
        return value
    is_closed = "properties" in value and "type" in value and "additionalProperties" not in value
    closed = {"unevaluatedProperties": False} if is_closed and "$schema" not in value["properties"] else {}
    return {key: _forbid_other_keys(part) for key, part in value.items()} | closed
