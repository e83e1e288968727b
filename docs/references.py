"""What the documents show of the program: the help of every command, LeRobot's spellings, the public names."""

import ast
import functools
import importlib
import inspect
import itertools
import json
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pkgutil import iter_modules

from robotrain import plugin
from robotrain.cli.app import app
from robotrain.cli.help_page import HELP_ALL
from robotrain.command_table import COMMANDS
from robotrain_azureml.settings import AzureMLSettings
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_slurm.settings import SlurmSettings
from robotrain_workloads.lerobot_eval.workload import OWNED_OPTIONS as EVALUATION_OPTIONS
from robotrain_workloads.lerobot_train.workload import OWNED_OPTIONS as TRAINING_OPTIONS
from typer.testing import CliRunner

PUBLIC_MODULES = ("robotrain", "robotrain.plugin", "robotrain.testing", "robotrain_runtime.plugin")
PUBLIC_PACKAGES = ("robotrain", "robotrain_runtime")
OPTIONS = "--no-plugins"
WORKLOAD_COMMANDS = ("from-isaaclab", "from-lerobot", "policies", "bags", "data")
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
    """Return all help of a command, with the built-in plugins only and nothing of this machine's environment."""
    with tempfile.TemporaryDirectory() as empty:
        environ = dict.fromkeys(os.environ) | ENVIRON | {"HOME": empty, "ROBOTRAIN_STATE": empty}
        ask = functools.partial(CliRunner().invoke, app, env=environ, prog_name="robotrain")
        answer = ask([OPTIONS, *words, "--help"])
        if HELP_ALL in answer.output:
            answer = ask([OPTIONS, *words, HELP_ALL])
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


def format_parity() -> str:
    """Return a table of each section of `robotrain platforms`, with numbers that refer to reasons and alternatives."""
    document = json.loads(CliRunner(env=ENVIRON).invoke(app, [OPTIONS, "platforms", "--json"]).stdout)
    head = f"|  | {' | '.join(document['platforms'])} |\n|{' --- |' * (len(document['platforms']) + 1)}"
    notes: dict[str, int] = {}
    parts = list[str]()
    for section, rows in itertools.groupby(document["rows"], key=lambda row: row["section"]):
        lines = [
            f"| {row['what'].replace('*', 'any other')} | {_join_support(row['support'], notes)} |" for row in rows
        ]
        parts += [f"## {section.capitalize()}", "\n".join([head, *lines])]
    limits = [
        [limit["means"], *("no limit" if n is None else n for n in limit["numbers"])] for limit in document["limits"]
    ]
    parts += ["## Limits", "\n".join([head, *(f"| {' | '.join(map(str, cells))} |" for cells in limits)])]
    parts += ["## Reasons and alternatives", "\n".join(f"{number}. {note}" for note, number in notes.items())]
    return "\n\n".join([*document["apart"], *parts]) + "\n"


def _join_support(support: Iterable[Mapping[str, str]], notes: dict[str, int]) -> str:
    cells = list[str]()
    for cell in support:
        level, reason = cell["level"].replace("_", " "), cell["reason"]
        note = f"{reason} Instead: `{cell['instead']}`." if cell["instead"] else reason
        cells.append(level if level in ("yes", "unknown") else f"{level} ({notes.setdefault(note, len(notes) + 1)})")
    return " | ".join(cells)


PLATFORM_SETTINGS: Mapping[str, type] = {"osmo": OsmoSettings, "azureml": AzureMLSettings, "slurm": SlurmSettings}
"""The settings of platforms whose pages list them."""


def format_settings(platform: str) -> str:
    """Return a table of the settings of a platform: option, variable, default, and help."""
    rows = "".join(
        f"| {_format_names(parameter.flag, parameter.param.short, *parameter.param.env)} "
        f"| {_format_default(parameter.default)} | {_join_lines(parameter.param.help)} |\n"
        for parameter in get_parameters(PLATFORM_SETTINGS[platform])
    )
    return f"| option, variable | default | meaning |\n| --- | --- | --- |\n{rows}"


def _format_names(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names if name)


def _format_default(value: object) -> str:
    return "" if value in (None, False) else f"`{value}`"


SCHEDULER_METHODS = (
    *("make_submit_words", "search_jobs", "make_refusal", "get_engine_state", "get_engine_states", "explain_state"),
    *("stop_jobs", "ask_scheduler", "check", "make_node_launcher"),
    *("find_begun_job", "make_start_script", "make_own_values"),
)
"""What a plugin for a scheduler writes, beside attributes."""
EMPTY = "field(default_factory=dict)"
OWN_ATTRIBUTES = ("at", "fact_files", "folders", "start_file")
"""What robotrain's own classes set."""


def format_public_names() -> str:
    """Return a table for each public module: its names, and the first line about each; and the parts of a scheduler."""
    return "\n".join([*map(_format_public_module, PUBLIC_MODULES), format_scheduler(), _format_private_modules()])


def _format_private_modules() -> str:
    """Return the part of a plugin's pyproject.toml with which ruff finds imports of other names."""
    packages = (importlib.import_module(name) for name in PUBLIC_PACKAGES)
    modules = sorted(one.name for package in packages for one in iter_modules(package.__path__, f"{package.__name__}."))
    private = [name for name in modules if name not in PUBLIC_MODULES and not name.endswith("__main__")]
    rows = "".join(f'"{name}".msg = "not public"\n' for name in private)
    return (
        "## Imports that ruff refuses\n\nIn the `pyproject.toml` of a plugin:\n\n```toml\n[tool.ruff.lint]\n"
        'extend-select = ["TID251"]\n\n[tool.ruff.lint.flake8-tidy-imports.banned-api]\n' + rows + "```\n"
    )


def format_scheduler() -> str:
    """Return tables of what a plugin for a scheduler sets, writes and gets, from the docstrings."""
    own = [one for one in plugin.SchedulerEngine.__mro__ if one.__module__.startswith("robotrain.run_folder.")]
    attributes = {row[0]: row for one in reversed(own) for row in _list_attributes(one) if row[0] not in OWN_ATTRIBUTES}
    methods = [_describe_method(name, getattr(plugin.SchedulerEngine, name)) for name in SCHEDULER_METHODS]
    tables = {
        "Attributes of `SchedulerEngine`": attributes.values(),
        "Methods of `SchedulerEngine`": methods,
        "Fields of `SchedulerJob`": [(name, "", text) for name, _, text in _list_attributes(plugin.SchedulerJob)],
        "Fields of `FoundJob`": _list_attributes(plugin.FoundJob),
        "Fields of `SchedulerCommands`": [
            row for row in _list_attributes(plugin.SchedulerCommands) if row[0] not in OWN_ATTRIBUTES
        ],
        "Fields of `Refusal`": _list_attributes(plugin.Refusal),
        "Fields of `SchedulerSettings`": [*_list_settings(plugin.SchedulerSettings)],
        "Fields of `Placement`": _list_attributes(plugin.Placement),
        "Arguments of `Param`": _list_attributes(plugin.Param),
    }
    return "\n".join(f"## {title}\n\n{_format_rows(rows)}" for title, rows in tables.items())


def _format_rows(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a table of names, what counts without the plugin, and what they are."""
    lines = "".join(f"| `{name}` | {default} | {text} |\n" for name, default, text in rows)
    return f"| name | default | what it is |\n| --- | --- | --- |\n{lines}"


def _list_attributes(thing: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and text of each attribute of a class that has a text below it."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    assert isinstance(definition, ast.ClassDef)
    for statement, text in itertools.pairwise(definition.body):
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
            value = getattr(statement, "value", None)
            if isinstance(target, ast.Name):
                default = f"`{ast.unparse(value)}`".replace(EMPTY, "{}") if value else "required"
                yield target.id, default, _join_lines(str(text.value.value))


def _list_settings(declared: type) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the default and the help of each field of a settings class."""
    for one in get_parameters(declared):
        default = "" if one.default is None else f"`{one.default!r}`"
        yield one.name, default, f"`{one.flag}`: {_join_lines(one.param.help)}"


def _describe_method(name: str, method: Callable[..., object]) -> tuple[str, str, str]:
    """Return the call, whether there is a default, and the text of a method."""
    words = [word for word in inspect.signature(method).parameters if word != "self"]
    is_required = "raise NotImplementedError" in inspect.getsource(method)
    return f"{name}({', '.join(words)})", "required" if is_required else "", _join_lines(inspect.getdoc(method) or "")


def _join_lines(text: str) -> str:
    """Return a docstring as the cell of a table; what it says of a parameter in brackets."""
    text, *parameters = re.split(r"\s*:param (?=\w+: )", text)
    notes = "".join(f" (`{one.replace(': ', '`: ', 1).rstrip('.')})" for one in parameters)
    return f"{' '.join(text.split())}{' '.join(notes.split()) and ' ' + ' '.join(notes.split())}".replace("|", "\\|")


def _format_public_module(name: str) -> str:
    module = importlib.import_module(name)
    names = [member for member in module.__all__ if not member.startswith("_")]
    rows = "".join(f"| `{member}` | {_read_first_line(getattr(module, member), member)} |\n" for member in names)
    return f"## `{name}`\n\n| name | what it is |\n| --- | --- |\n{rows}"


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
