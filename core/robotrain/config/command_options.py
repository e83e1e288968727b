"""Options of a user's own program after `--`: they change the command of a job file or of an earlier run."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from robotrain.config.request import Request
from robotrain.config.values import Value
from robotrain.model.workload import Workload

OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
OVERRIDE = re.compile(r"([+~]{0,2}[A-Za-z_][\w.@/-]*)=")
"""How a word of Hydra begins: `optimizer.lr=1e-4`."""
PARAMETER = re.compile(r"\{([A-Za-z_]\w*)\}")


class ProgramOption(NamedTuple):
    """An option of a program, with the values behind it."""

    name: str
    words: tuple[Value, ...]

    @property
    def is_joined(self) -> bool:
        """Whether the value is in the same word: `--lr=1e-4`."""
        return "=" in str(self.words[0].value)

    @property
    def values(self) -> tuple[Value, ...]:
        """The values, without the name."""
        first_word = self.words[0]
        if self.is_joined:
            return (first_word._replace(value=str(first_word.value).partition("=")[2]),)
        return self.words[1:]


def complete_command(request: Request, workload: Workload) -> Request:
    """Return the request with the whole command after `--`, where only options of it were typed there.

    Each replaces the same option of the command that a weaker layer has, or is added at its end. An option whose value
    is a parameter, as in `--lr {lr}`, sets that.
    """
    command = next((layer.arguments for layer in request.layers if layer.arguments), ())
    if not workload.own_command or not begins_with_option(request.after_dashes) or len(command) < 2:  # of a shell
        return request
    parameter_names = {key for layer in request.layers for key in layer.values}
    values = dict(request.line.values)
    options_by_name: dict[str, list[ProgramOption]] = {}
    for option in split_options(request.after_dashes):
        key = _find_parameter(option, command, parameter_names)
        if key and key not in values:
            values[key] = option.values[0]
        else:
            options_by_name.setdefault(option.name, []).append(option)
    open_options = _list_open_options(request, workload, command)
    for options in options_by_name.values():
        command = _replace_option(command, options, is_open=options[0].name in open_options)
    line = request.line._replace(values=values)
    return replace(request, line=line, after_dashes=tuple(command))


def begins_with_option(words: Sequence[Value]) -> bool:
    """Return whether words change options of a command, and are none themselves."""
    first_word = str(words[0].value) if words else ""
    return bool(OPTION.match(first_word) or OVERRIDE.match(first_word))


def split_options(words: Sequence[Value]) -> Iterator[ProgramOption]:
    """Yield the options among words, each with all words behind it up to the next; words before the first are left
    out.
    """
    option: ProgramOption | None = None
    for word in words:
        name = _read_name(str(word.value), option)
        if name:
            if option:
                yield option
            option = ProgramOption(name, (word,))
        elif option:
            option = option._replace(words=(*option.words, word))
    if option:
        yield option


def _read_name(word: str, option: ProgramOption | None) -> str:
    """Return the name of the option that a word begins; empty for a value of the option before it."""
    if match := OPTION.match(word):
        return match[0]
    awaits_value = option is not None and len(option.words) == 1 and not option.is_joined
    match = OVERRIDE.match(word)
    return "" if match is None or awaits_value else match[1]


def _find_parameter(option: ProgramOption, command: Sequence[Value], names: set[str]) -> str:
    """Return the key of the parameter that is the value of an option in a command; empty if it is none."""
    replaced_options = [other for other in split_options(command[1:]) if other.name == option.name]
    if len(replaced_options) != 1 or len(option.values) != 1 or not replaced_options[0].values:
        return ""
    match = PARAMETER.fullmatch(str(replaced_options[0].values[0].value))
    keys = (f"params.{match[1]}", f"parameters.{match[1]}") if match else ()
    return next((key for key in keys if key in names), "")


def _list_open_options(request: Request, workload: Workload, command: Sequence[Value]) -> Sequence[str]:
    """Return the options of the program that take all words up to the next option, as far as its code is here."""
    sources = (source for layer in request.layers for source in layer.sources)
    code = next((source for source in sources if workload.roles[source.role].is_program), None)
    folder = Path(code.base, os.path.expanduser(code.text)) if code else None
    if folder is None or not folder.is_dir() or workload.own_command is None:
        return ()
    return workload.own_command.list_open_options(folder, [str(word.value) for word in command])


def _replace_option(command: Sequence[Value], options: Sequence[ProgramOption], *, is_open: bool) -> tuple[Value, ...]:
    """Return a command with options of one name in the place of those that it has, or at its end.

    At the end they also stand where the command has more words behind its option: some may be no values of it, and of
    an option that is repeated the last one counts.

    :param is_open: whether all words behind the option are its values.
    """
    most_values = max(len(option.values) for option in options)
    command_options = list(split_options(command[1:]))
    words = list(command[: len(command) - sum(len(option.words) for option in command_options)])
    position: int | None = None
    for option in command_options:
        is_replaceable = is_open or option.is_joined or len(option.values) <= most_values
        if option.name != options[0].name or not is_replaceable:
            words += option.words
            continue
        position = len(words) if position is None else position
        words += option.words[1:] if option.is_joined else ()
    position = len(words) if position is None else position
    new_words = (word for option in options for word in option.words)
    return (*words[:position], *new_words, *words[position:])
