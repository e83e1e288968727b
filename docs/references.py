"""What the documents show of the program: the help of every command, LeRobot's spellings, the public names."""

import ast
import importlib
import inspect
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping

from robotrain.cli.app import app
from robotrain.command_table import COMMANDS
from robotrain_workloads.lerobot_eval.workload import OWNED_OPTIONS as EVALUATION_OPTIONS
from robotrain_workloads.lerobot_train.workload import OWNED_OPTIONS as TRAINING_OPTIONS
from typer.testing import CliRunner

PUBLIC_MODULES = ("robotrain", "robotrain.plugin", "robotrain.testing", "robotrain_runtime.plugin")
PUBLIC_PACKAGES = ("robotrain", "robotrain_runtime")
OPTIONS = "--no-plugins"
WORKLOAD_COMMANDS = ("from-lerobot", "bags")
"""The commands of built-in plugins; `robotrain plugins` lists them."""
ENVIRON = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}


def list_commands(*words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command: robotrain's own, those of built-in plugins, and their subcommands."""
    names = (*COMMANDS, *WORKLOAD_COMMANDS) if not words else _list_subcommands(show_help(*words))
    for name in names:
        yield (*words, name)
        yield from list_commands(*words, name)


def _list_subcommands(text: str) -> list[str]:
    """Return the commands that a help text lists."""
    return re.findall(r"^  ([a-z][a-z-]*)  ", text.partition("\nCommands:\n")[2], re.MULTILINE)


def show_help(*words: str) -> str:
    """Return the help of a command, with the built-in plugins only and nothing of this machine's environment."""
    with tempfile.TemporaryDirectory() as empty:
        environ = dict.fromkeys(os.environ) | ENVIRON | {"HOME": empty, "ROBOTRAIN_STATE": empty}
        answer = CliRunner().invoke(app, [OPTIONS, *words, "--help"], env=environ, prog_name="robotrain")
    assert answer.exit_code == 0, answer.output
    return answer.stdout.rstrip()


def format_commands() -> str:
    """Return a section for each command."""
    commands = [(), *list_commands()]
    parts = [f"## {' '.join(('robotrain', *words))}\n\n```text\n{show_help(*words)}\n```\n" for words in commands]
    return "\n".join(parts)


def format_spellings() -> str:
    """Return a table of LeRobot's options that robotrain sets itself, with what to write in their place."""
    titles = {"lerobot-train": TRAINING_OPTIONS, "lerobot-eval": EVALUATION_OPTIONS}
    return "\n".join(f"### Of {program}\n\n{_format_options(options)}" for program, options in titles.items())


def _format_options(options: Mapping[str, str]) -> str:
    rows = "".join(f"| `{option}` | {_format_hint(hint)} |\n" for option, hint in options.items())
    return f"| LeRobot | robotrain |\n| --- | --- |\n{rows}"


def _format_hint(hint: str) -> str:
    """Mark what is to be typed; a hint in words stays as it is."""
    if not hint.startswith(("--", "robotrain")):
        return hint
    return ", or ".join(f"`{way}`" for way in hint.split(", or "))


def format_public_names() -> str:
    """Return a table for each public module: its names, and the first line about each."""
    return "\n".join(_format_public_module(name) for name in PUBLIC_MODULES)


def _format_public_module(name: str) -> str:
    module = importlib.import_module(name)
    names = [member for member in module.__all__ if not member.startswith("_")]
    rows = "".join(f"| `{member}` | {_read_first_line(getattr(module, member), member)} |\n" for member in names)
    return f"### `{name}`\n\n| name | what it is |\n| --- | --- |\n{rows}"


def _read_first_line(thing: object, name: str) -> str:
    """Return the first line of a docstring; of data, which has none of its own, the text below its definition."""
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return (inspect.getdoc(thing) or "").partition("\n")[0]
    modules = [module for found, module in sys.modules.items() if found.partition(".")[0] in PUBLIC_PACKAGES]
    for module in [module for module in modules if name in vars(module) and module.__file__]:
        body = ast.parse(inspect.getsource(module)).body
        for statement, text in itertools.pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            if is_text and any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return str(text.value.value).partition("\n")[0]
    return ""
