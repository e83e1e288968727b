"""`robotrain schema COMMAND`: the schema of what a command prints. The fixture `robotrain` compares every answer."""

import json
import re
from pathlib import Path

import jsonschema
import printed_json
import pytest
import typer
from robotrain.cli import json_schema
from robotrain.cli.app import app

PAGE = Path(__file__).parents[2] / "docs/json.md"


def list_commands(group, words=()):
    """Yield the words of each command of robotrain and its plugins."""
    context = group.make_context("robotrain", ["--version"], resilient_parsing=True)
    for name in (*group.list_commands(context), *printed_json.PLUGINS.list_names("command")):
        command = group.get_command(context, name)
        yield from ((name, *more) for more in _list_parts(command))


def _list_parts(command):
    parts = getattr(command, "commands", {})
    yield from ((name, *more) for name, part in parts.items() for more in _list_parts(part))
    if not parts or command.invoke_without_command:
        yield ()


COMMANDS = [*list_commands(typer.main.get_command(app))]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_with_json_has_a_schema(robotrain, words):
    schema = robotrain("schema", *words)
    help = max((robotrain(*words, option).stdout for option in ("--help", "--help-all")), key=len)
    assert ("--json" in help) == (schema.exit_code == 0), schema.stderr
    if schema.exit_code == 0:
        jsonschema.Draft202012Validator.check_schema(schema.json)
        assert schema.json["title"] == f"robotrain {' '.join(words)} --json"


def test_every_table_is_used():
    tables = [json_schema.find_tables(first, printed_json.PLUGINS) for first in {words[0] for words in COMMANDS}]
    used = {part for one in tables for name in one["commands"] for part in json_schema.make_schema(name, one)["$defs"]}
    included = {name for one in tables for table in one.values() for name in table.get("...", ())}
    assert set().union(*tables) - used - included == {"commands"}


def test_a_key_that_is_not_declared_is_found():
    with pytest.raises(AssertionError, match="rename"):
        printed_json.check_printed_json(
            ["rename", "--json"], '{"run": "", "name": "", "note": "", "before": "", "x": 1}'
        )


def test_unknown_keys_are_no_error_for_a_script(robotrain):
    schema = robotrain("schema", "rename").json
    document = {"run": "a", "name": "b", "note": "", "before": ""}
    judge = jsonschema.Draft202012Validator(schema)
    assert judge.is_valid(document | {"later": 1})
    assert not judge.is_valid({"run": "a"})


SHOWN = re.findall(r"^(robotrain [^\n]*)\n```\n\n```json\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("line", "text"), SHOWN, ids=[line for line, _ in SHOWN])
def test_what_the_page_shows_has_the_keys_of_the_schema(line, text):
    """Of each document it leaves out keys."""
    schema = json.loads(re.sub(r'"required": \[[^]]*\]', '"required": []', json.dumps(find_validator(line).schema)))
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))


def find_validator(line):
    return printed_json.make_validator(printed_json.find_command(line.split()))


def test_an_alias_has_the_schema_of_its_command(robotrain):
    assert robotrain("schema", "ls").json == robotrain("schema", "runs").json


@pytest.mark.parametrize("line", ["statsu", "data", "data chek", "status --platform local"])
def test_what_has_no_schema_is_explained(robotrain, line):
    robotrain("schema", *line.split()).check_problems(2, "usage")


def test_a_plugin_declares_its_keys_beside_its_module(robotrain, install):
    folder = install("acme-board", {"command.board": "acme_board:app"}, acme_board="import typer\napp = typer.Typer()")
    robotrain("schema", "board").check_problems(2, "usage")
    (folder / "json_keys.toml").write_text('[commands]\nboard = ["list"]\n[list]\n"runs[]" = "string: a run"\n')
    schema = robotrain("schema", "board").json
    judge = jsonschema.Draft202012Validator(schema)
    assert judge.is_valid({"runs": ["a"]})
    assert judge.is_valid({"problems": []})
    assert not judge.is_valid({"runs": [1]})
