"""The program of the user that a line starts, and the options that its own command line has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain.cli.misspelt_option import find_misspelt_option
from robotrain.config.option_synonyms import find_synonym
from robotrain.config.program_file import find_code_folder
from robotrain.config.selection import Choice, find_starter
from robotrain.model.workload import Workload


class LineProgram(NamedTuple):
    """The program that a line starts."""

    name: str
    """Its file, or the first word of the command."""
    command: tuple[str, ...] = ()
    """The whole command, where the line has one after `--`; empty where a program file stands for it."""
    options: tuple[str, ...] = ()
    """Those that it certainly has; empty where that is unknown."""

    def uses_parameter(self, name: str) -> bool:
        """Return whether the command has a placeholder for a parameter of the user's own."""
        return any(f"{{{name}}}" in word for word in self.command)

    def find_option(self, flag: str) -> str:
        """Return the option that a flag is for the program: as it is, or short for one alone, as argparse reads it."""
        if flag in self.options:
            return flag
        longer_options = [option for option in self.options if flag.startswith("--") and option.startswith(flag)]
        return longer_options[0] if len(longer_options) == 1 else ""

    def find_meant_option(self, flag: str) -> str:
        """Return the option of the program that a flag is, is a misspelling of, or has another word for; empty for
        none.
        """
        return self.find_option(flag) or find_misspelt_option(flag, self.options) or find_synonym(flag, self.options)


def read_program(choice: Choice, workload: Workload | None, after_dashes: Sequence[str]) -> LineProgram | None:
    """Return the program of a line; None if it starts none that the user wrote.

    :param after_dashes: what stands after `--`.
    """
    own_command = workload.own_command if workload else None
    if workload is None or own_command is None:
        return None
    if choice.program:
        return LineProgram(choice.program, (), _list_options(workload, choice.program))
    file_arguments = choice.file.arguments if choice.file else None
    command = tuple(after_dashes) or tuple(str(argument.value) for argument in file_arguments or ())
    if not command:
        return None
    file = next((word for word in command if find_starter(workload, word)), "")
    return LineProgram(file or command[0], command, _list_options(workload, file) if file else ())


def _list_options(workload: Workload, file: str) -> tuple[str, ...]:
    path = Path(os.path.abspath(os.path.expanduser(file)))
    if workload.own_command is None or not path.is_file():
        return ()
    folder = find_code_folder(path)
    words = [*find_starter(workload, file), os.path.relpath(path, folder)]
    return tuple(workload.own_command.list_options(folder, words) or ())


def find_own_options_after(
    program: LineProgram, after_dashes: Sequence[str], flags: Mapping[str, bool]
) -> tuple[list[list[str]], list[str]]:
    """Return the options of robotrain after `--` that the program does not have, each with its value, and the other
    words.

    :param flags: robotrain's options, each with whether it takes a value.
    """
    own_options, other_words = list[list[str]](), list[str]()
    words = [*after_dashes]
    while words:
        word = words.pop(0)
        flag, equals, _ = word.partition("=")
        is_own = bool(program.options) and flag in flags and flag.startswith("--") and not program.find_option(flag)
        if not is_own:
            other_words.append(word)
            continue
        takes_next = flags[flag] and not equals and bool(words) and not words[0].startswith("-")
        own_options.append([word, words.pop(0)] if takes_next else [word])
    return own_options, other_words
