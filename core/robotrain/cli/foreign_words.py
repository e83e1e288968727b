"""Words of other tools, options and commands: what foreign_words.toml answers them with."""

import functools
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomllib
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.cli.command_factory import load_command
from robotrain.command_table import COMMANDS
from robotrain.config.selection import Choice
from robotrain.errors import Suggestion, suggest_leaving_out
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.redaction import can_repeat

SEVERAL_GPUS, SEVERAL_NODES = "multi_gpu", "multi_node"
"""The features that options for the number of GPUs and of nodes require."""
VARIABLE_OPTION = "--env"
"""What other tools call a variable of the environment, where the value is NAME=VALUE."""


def is_variable(flag: str, value: str) -> bool:
    """Return whether an option gives a variable of the environment, and not what it means here."""
    return flag == VARIABLE_OPTION and "=" in value


@functools.cache
def _read_words() -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of foreign_words.toml."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def list_foreign_command(name: str) -> Sequence[str]:
    """Return the lines for a command of another tool, without `robotrain`; none for an unknown one."""
    commands = _read_words()["commands"].items()
    return next((lines for foreign_names, lines in commands if name in foreign_names.split()), ())


def strip_foreign_words(words: Sequence[str], commands: Sequence[str]) -> list[str]:
    """Return a pasted line from its command on, without its program and noun: of `gh run view NAME`, `view NAME`.

    :param commands: robotrain's own.
    """
    line = _read_words()["lines"]
    programs, nouns = line["programs"].split(), line["nouns"].split()
    words = [*words]
    while len(words) > 1 and words[0] in programs:
        words.pop(0)
    if len(words) > 1 and words[0] in nouns and (words[1] in commands or list_foreign_command(words[1])):
        words.pop(0)
    return words


def drop_noun(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return what stands after a command without a noun before the name of a run, and whether it means all runs:
    `get pods`, but not `get pod NAME`.
    """
    nouns = _read_words()["lines"]["nouns"].split()
    if not arguments or arguments[0] not in nouns:
        return [*arguments], False
    noun, *words = arguments
    return words, noun.endswith("s") and not (words and not words[0].startswith("-"))


def list_foreign_flags(way: str) -> list[str]:
    """Return what other tools call an option: `--target` for `--platform NAME`."""
    options = _read_words()["options"].items()
    return [flag for foreign_flags, table in options if way in table.get("ways", ()) for flag in foreign_flags.split()]


def find_foreign_option(
    flag: str, value: str, workload: Workload | None, flags: Iterable[str]
) -> tuple[str, list[Suggestion]] | None:
    """Return the sentence about an option of another tool, and what to type instead; None for an unknown one.

    :param flags: the options of the command.
    """
    name = flag.replace("_", "-")
    tables = (table for foreign_names, table in _read_words()["options"].items() if name in foreign_names.split())
    table = next(tables, None)
    if table is None or (flag == VARIABLE_OPTION and not is_variable(flag, value)):
        return None
    valid_flags = set(flags)
    sentence = table["why"]
    if workload and workload.own_command:
        sentence = table.get("why_own", sentence)
    feature = table.get("same", "")
    parameters = get_parameters(workload.parameters) if workload else ()
    feature_parameters = (
        parameter for parameter in reversed(parameters) if parameter.param.requires and parameter.flag in valid_flags
    )
    features = {parameter.param.requires: parameter.flag for parameter in feature_parameters}
    option_texts = [
        option_text for option_text in table.get("ways", ()) if option_text.partition(" ")[0] in valid_flags
    ]
    if match := re.fullmatch(r"(?:[\w./-]+:)*(\d+)", value):  # `gpu:a100:2`
        option_texts = [re.sub(r" N$", f" {match[1]}", option_text) for option_text in option_texts]
    option_texts = [_fill_in_value(option_text, value) for option_text in option_texts]
    if feature in features:
        option_texts.append(f"{features[feature]} {match[1] if match else 'N'}")
    ways = [Suggestion(option_text, replaces=flag) for option_text in option_texts]
    if ways and feature != SEVERAL_GPUS:
        sentence = ""
    elif feature == SEVERAL_NODES and SEVERAL_GPUS in features:
        sentence += f" {features[SEVERAL_GPUS]} N uses several GPUs of it."
    return sentence, ways or [suggest_leaving_out(flag)] * table.get("needless", False)


def _fill_in_value(option_text: str, value: str) -> str:
    """Return an option with the typed value, if that has the form of what stands for it, and may be shown."""
    flag, _, placeholder = option_text.partition(" ")
    is_there = Path(value).is_dir() if placeholder == "FOLDER" else Path(value).is_file()
    has_form = is_there if placeholder in ("FOLDER", "FILE") else ("=" in value) == ("=" in placeholder)
    is_filled = value and placeholder.isupper() and placeholder != "N" and has_form and can_repeat(value)
    return f"{flag} {shlex.quote(value)}" if is_filled else option_text


def list_commands_with(flag: str, plugins: Plugins) -> list[str]:
    """Return robotrain's commands that have an option, in the order of help."""
    paths = []
    for name in COMMANDS:
        command = load_command(name)
        members = {f"{name} {key}": subcommand for key, subcommand in getattr(command, "commands", {}).items()}
        for path, subcommand in (members or {name: command}).items():
            if hasattr(subcommand, "compose_own"):  # a job command, whose options depend on the choice
                has_flag = flag in subcommand.compose_own(Choice("", ""), plugins).flags
            else:
                has_flag = has_option(subcommand, flag)
            if has_flag:
                paths.append(path)
    return paths


def has_option(command: Any, flag: str) -> bool:
    """Return whether a command that takes no job has an option."""
    return any(flag in (*param.opts, *param.secondary_opts) for param in command.params)
