"""Problems of lines that start a program of the user as a shell would: quoted, after its interpreter, or with options
of robotrain among its own.
"""

import re
import shlex
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

from robotrain.cli.command_factory import split_at_dashes
from robotrain.cli.options import ComposedOptions
from robotrain.cli.typed_program import find_own_options_after, read_program
from robotrain.config.selection import Choice, find_starter, load_or_none
from robotrain.config.values import Layer
from robotrain.errors import Problem, Suggestion
from robotrain.line_edits import DASHES, LineOptions, split_line, suggest_line
from robotrain.messages import Messages
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)

PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")
MIN_QUOTED = 2
"""Words of a command that is quoted as one."""


def make_quoted_command_problem(words: Sequence[str], line: Sequence[str], plugins: Plugins) -> Problem | None:
    """Return the problem of a command of the user's program that is quoted as one word; None for any other line.

    :param words: the words of the line that are no options.
    :param line: the command's arguments as they were typed.
    """
    for word in words:
        try:
            parts = shlex.split(word)
        except ValueError:
            continue
        index = _find_program(parts, plugins) if len(parts) >= MIN_QUOTED else None
        if index is None:
            continue
        before, after = split_at_dashes([*line])
        new = [parts[index] if text == word else text for text in before]
        ways = suggest_line(new, [*parts[index + 1 :], *(after or ())])
        return make_problem("line-quoted", *ways, given=word, program=redact(parts[index]))
    return None


def _find_program(command: Sequence[str], plugins: Plugins) -> int | None:
    """Return the position of the program file that a whole command starts; None if it starts none that is known."""
    for workload in plugins.workloads().values():
        index = next((index for index, word in enumerate(command) if find_starter(workload, word)), None)
        if index is not None and _starts(command[:index], find_starter(workload, command[index])):
            return index
    return None


def _starts(parts: Sequence[str], starter: Sequence[str]) -> bool:
    """Return whether what stands before a program file starts it: nothing, or its interpreter with switches."""
    is_interpreter = not parts or Path(parts[0]).name.startswith(starter[0])
    return is_interpreter and all(part.startswith("-") for part in parts[1:])


def make_interpreter_problem(
    words: Sequence[str], choice: Choice, line: Sequence[str], plugins: Plugins
) -> Problem | None:
    """Return the problem of a line that names the interpreter of its program: `python train.py`; None for any other.

    :param words: the words of the line that are no options of robotrain.
    :param line: the command's arguments as they were typed.
    """
    workload = load_or_none(plugins.workload, choice.workload)
    words = [word for word in words if word != choice.workload]
    if not choice.program or workload is None or choice.program not in words:
        return None
    index = [*words].index(choice.program)
    if index == 0 or not _starts(words[:index], find_starter(workload, choice.program)):
        return None
    before, after = split_at_dashes([*line])
    for word in words[:index]:
        before.remove(word)
    arguments = [*words[index + 1 :]]
    for word in reversed(arguments):  # the last ones: an option of robotrain may have the same value before
        before.reverse()
        before.remove(word)
        before.reverse()
    way = suggest_line(before, [*arguments, *(after or ())])
    return make_problem("line-interpreter", *way, given=words[0], program=redact(choice.program))


def make_launcher_problem(words: Sequence[str], line: Sequence[str], plugins: Plugins) -> Problem | None:
    """Return the problem of a line that starts its program by a launcher: `torchrun train.py`; None for any other.

    :param words: the words of the line that are no options of robotrain.
    :param line: the command's arguments as they were typed.
    """
    workload = _find_launching_workload(words, plugins)
    if workload is None:
        return None
    before, after = split_at_dashes([*line])
    for word in words:
        before.remove(word)
    return _make_launcher_problem(before, [*words, *(after or ())], workload, plugins)


def _find_launching_workload(command: Sequence[str], plugins: Plugins) -> Workload | None:
    """Return the workload that runs a command which starts a program file by a launcher; None for any other command."""
    for workload in plugins.workloads().values():
        starter = next(filter(None, (find_starter(workload, word) for word in command[1:])), ())
        is_module_line = [*command[1:2]] == ["-m"] and command[0].startswith(starter[:1])
        if starter and workload.own_command and (command[0] in workload.own_command.launchers or is_module_line):
            return workload
    return None


def _make_launcher_problem(
    before: Sequence[str], command: Sequence[str], workload: Workload, plugins: Plugins
) -> Problem:
    """Return the problem with the line that has the whole command after `--`.

    :param before: what stands before it.
    """
    flags = [
        kind.roles[role].flag
        for role, rule in workload.roles.items()
        for kind in plugins.source_kinds().values()
        if rule.is_program and role in kind.roles and kind.recognizes(str(Path.cwd()))
    ]
    has_code = not flags or {*flags} & {word.partition("=")[0] for word in before}
    code = [] if has_code else [flags[0], "."]
    way = suggest_line([*before[:1], workload.name, *code, *before[1:]], command)
    return make_problem("line-launcher", *way, given=command[0])


def make_command_problem(line: Sequence[str], plugins: Plugins) -> Problem | None:
    """Return the problem of a line without a workload that has a whole command after `--`; None for any other line.

    :param line: the command's arguments as they were typed.
    """
    before, after = split_at_dashes([*line])
    command = after or []
    if launching_workload := _find_launching_workload(command, plugins):
        return _make_launcher_problem(before, command, launching_workload, plugins)
    index = _find_program(command, plugins)
    if index is None:
        return None
    way = suggest_line([*before[:1], command[index], *before[1:]], command[index + 1 :])
    return make_problem("line-command", *way, where=DASHES, given=command[0], program=redact(command[index]))


def make_file_command_problem(file: Layer, workload: Workload, plugins: Plugins) -> Problem | None:
    """Return the problem of a job file with a whole command for a workload that runs none; None for any other file."""
    arguments = file.arguments or ()
    index = None if workload.own_command else _find_program([str(argument.value) for argument in arguments], plugins)
    if index is None:
        return None
    ways = [Suggestion(f"workload: {name}") for name, other in plugins.workloads().items() if other.own_command]
    program = redact(str(arguments[index].value))
    return make_problem("file-command", *ways, where=arguments[0].origin.where, program=program, name=workload.name)


def make_repeated_dashes_problem(line: Sequence[str]) -> Problem | None:
    """Return the problem of a line with `--` twice in a row; None for any other line.

    :param line: the command's arguments as they were typed.
    """
    before, after = split_at_dashes([*line])
    if not after or after[0] != DASHES:
        return None
    others = [*dropwhile(DASHES.__eq__, after)]
    return make_problem("dashes-repeated", *suggest_line(before, others), given=DASHES)


def make_placeholder_problem(
    choice: Choice, line: Sequence[str], options: ComposedOptions, plugins: Plugins
) -> Problem | None:
    """Return the problem of an option before `--` whose value is a placeholder of the command, which the program has as
    well: `--seed '{seed}'`; None without any.

    :param line: the command's arguments as they were typed.
    """
    before, after = split_at_dashes([*line])
    program = read_program(choice, load_or_none(plugins.workload, choice.workload), after or ())
    typed_options = [*split_line(before, LineOptions({}, options.list_switches()))]
    misplaced_options = [
        option
        for option in typed_options
        if program and option.name in options.flags and option.name in program.options
        if PLACEHOLDER.fullmatch(option.value)
    ]
    if not misplaced_options:
        return None
    kept_words = [word for option in typed_options if option not in misplaced_options for word in option.words]
    moved_words = [word for option in misplaced_options for word in option.words]
    names = ", ".join(option.name for option in misplaced_options)
    ways = suggest_line(kept_words, [*(after or ()), *moved_words])
    return make_problem("line-placeholder", *ways, where=misplaced_options[0].name, names=names)


def make_own_options_problem(
    choice: Choice, line: Sequence[str], after: Sequence[str], options: ComposedOptions, plugins: Plugins
) -> Problem | None:
    """Return the problem of options of robotrain after `--` that the program certainly does not have; None without any.

    :param line: the command's arguments as they were typed.
    :param after: what stands after `--`, perhaps in a line that is tried in its place.
    """
    before, _ = split_at_dashes([*line])
    program = read_program(choice, load_or_none(plugins.workload, choice.workload), after)
    flags = {
        spelling: bool(option.metavar)
        for option in options.options
        for spelling, name in options.flags.items()
        if name == option.name
    }
    own_options, other_words = find_own_options_after(program, after, flags) if program else ([], [])
    if not own_options:
        return None
    own_flags = [words[0].partition("=")[0] for words in own_options]
    typed_flags = {word.partition("=")[0] for word in before}
    moved_words = [
        word
        for flag, words in zip(own_flags, own_options, strict=True)
        if flag not in typed_flags  # else it is said before `--` already
        for word in words
    ]
    way = suggest_line([*before, *moved_words], other_words)
    return make_problem(
        "options-after-dashes", *way, given=own_flags[0], flags=", ".join(own_flags), program=redact(choice.program)
    )
