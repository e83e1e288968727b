"""Problems of unknown words and options of a job command, with suggestions."""

import dataclasses
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from robotrain.cli.command_factory import split_at_dashes
from robotrain.cli.foreign_words import is_variable
from robotrain.cli.options import ComposedOptions
from robotrain.cli.typed_program import read_program
from robotrain.cli.unknown_option import find_option_owners, make_unknown_option_problem
from robotrain.config.names import Names
from robotrain.config.selection import Choice, is_job_file, load_or_none
from robotrain.config.trainer_args import find_option_of_program
from robotrain.config.values import DEFAULT_ORIGIN
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.line_edits import DASHES, LineOptions, edit_line, suggest_line
from robotrain.messages import Messages
from robotrain.model.workload import Workload
from robotrain.nearest_name import find_nearest_name, list_meant_files, suggest_name
from robotrain.plugins.manager import Plugins
from robotrain.redaction import can_repeat, redact, remember_secrets
from robotrain.store.written_files import JOB_FILE

make_problem = Messages(__file__)

AFTER_DASHES = "option-unknown.after-dashes"
NEGATIVE_NUMBER = re.compile(r"-[\d.]+(?:e-?\d+)?")


def find_unknown_words(
    words: Sequence[str], choice: Choice, options: ComposedOptions, plugins: Plugins, typed_words: Sequence[str] = ()
) -> Iterator[Problem]:
    """Find unknown options, each with its owner or the nearest name, and words that are no workload or job file.

    :param typed_words: the command's arguments as they were typed.
    """
    remember_secrets(words)
    unknown_options, plain_words = split_words(words)
    if unknown_options:
        after_dashes = split_at_dashes([*typed_words])[1] or ()
        problems = [*_find_unknown_options(unknown_options, plain_words, choice, options, plugins, after_dashes)]
        joined = _join_moves(problems, after_dashes, is_command=not choice.program)
        yield from (_complete_line(problem, options, typed_words) for problem in joined) if choice.program else joined
    workloads = [word for word in plain_words if word in plugins.list_names("workload")]
    files = [word for word in plain_words if is_job_file(word)]
    for same_sort_words in (workloads, files):
        if len(same_sort_words) > 1:
            yield make_problem("word-repeated", first=redact(same_sort_words[0]), second=redact(same_sort_words[1]))
    for word in plain_words:
        if word not in workloads and word not in files and word != choice.program:
            yield _explain_truth(word, typed_words, options) or explain_unknown_word(word, choice, plugins, typed_words)


def _join_moves(problems: Sequence[Problem], after_dashes: Sequence[str], *, is_command: bool) -> Iterator[Problem]:
    """Yield the problems, those of options that belong after `--` as one: it has one line for all of them.

    :param after_dashes: what stands after `--` already, which that line repeats.
    :param is_command: whether that may be a whole command, after which its options stand.
    """
    moves = [problem for problem in problems if problem.message == AFTER_DASHES and len(problem.suggestions) == 1]
    stays = shlex.join(after_dashes)
    if (len(moves) == 1 and not after_dashes) or not can_repeat(stays):
        moves = []
    for problem in problems:
        if problem not in moves:
            yield problem
        elif problem is moves[0]:
            ways = [move.suggestions[0] for move in moves]
            moved = [way.text.removeprefix(f"{DASHES} ") for way in ways]
            is_before = not (is_command and after_dashes and not after_dashes[0].startswith("-"))
            text = " ".join(filter(None, (DASHES, *moved, stays) if is_before else (DASHES, stays, *moved)))
            way = Suggestion(text, replaces=" ".join(way.replaces for way in ways))
            where = ", ".join(move.where for move in moves)
            noun = "options" if len(moves) > 1 else "option"
            title = problem.title.replace(problem.where, where).replace("no option", f"no {noun}")
            yield dataclasses.replace(problem, title=title, where=where, suggestions=(way,))


def _complete_line(problem: Problem, options: ComposedOptions, typed_words: Sequence[str]) -> Problem:
    """Return a problem of options that belong after `--` with the whole line; any other as it is."""
    if problem.message != AFTER_DASHES or len(problem.suggestions) != 1:
        return problem
    line = edit_line(typed_words, problem, problem.suggestions[0], LineOptions({}, options.list_switches()))
    before, after = split_at_dashes(line or [])
    ways = suggest_line(before, after or ())
    return dataclasses.replace(problem, suggestions=tuple(ways)) if line and ways else problem


def _find_unknown_options(
    unknown_options: Mapping[str, str],
    plain_words: Sequence[str],
    choice: Choice,
    options: ComposedOptions,
    plugins: Plugins,
    after_dashes: Sequence[str],
) -> Iterator[Problem]:
    without_file = [
        flag for flag, value in unknown_options.items() if not is_job_file(value) and not is_variable(flag, value)
    ]
    program = read_program(choice, load_or_none(plugins.workload, choice.workload), after_dashes)
    by_workload = {
        name: flags
        for name, flags in group_by_other_workload(without_file, choice, plugins).items()
        if not program and not all(_is_of_program(flag, choice, plugins) for flag in flags)
    }
    workloads = plugins.list_names("workload")
    near_workloads = {near_workload for word in plain_words if (near_workload := find_nearest_name(word, workloads))}
    near_workloads |= {name for word in plain_words for name in workloads if name.endswith(f"-{word}")}
    yield from (
        make_other_workload_problem(name, flags, choice)
        for name, flags in by_workload.items()
        if name not in near_workloads
    )
    reported = {flag for flags in by_workload.values() for flag in flags}
    for flag, value in unknown_options.items():
        if flag not in reported:
            yield make_unknown_option_problem(flag, value, choice, options, plugins, after_dashes)


def _is_of_program(flag: str, choice: Choice, plugins: Plugins) -> bool:
    """Return whether the program of the chosen workload has an option of that name."""
    workload = load_or_none(plugins.workload, choice.workload)
    return bool(find_option_of_program(workload, flag, ""))


def split_words(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return unknown options with their values, and words; a word right after an unknown option is its value."""
    unknown_options: dict[str, str] = {}
    plain_words: list[str] = []
    waiting = ""
    for word in words:
        is_number = bool(waiting) and NEGATIVE_NUMBER.fullmatch(word)
        if word.startswith("-") and word != "-" and not is_number:
            name, equals, unknown_options[name] = word.partition("=")
            waiting = "" if equals else name
        elif waiting:
            unknown_options[waiting], waiting = word, ""
        else:
            plain_words.append(word)
    return unknown_options, plain_words


def group_by_other_workload(unknown_options: Sequence[str], choice: Choice, plugins: Plugins) -> dict[str, list[str]]:
    """Return the unknown options that belong to exactly one other workload, by its name.

    One that several have belongs to the one that another option already names.
    """
    flags_by_workload: dict[str, list[str]] = {}
    chosen_plugins = (load_or_none(plugins.platform, choice.platform), load_or_none(plugins.workload, choice.workload))
    hints = {flag for plugin in chosen_plugins if plugin for flag in plugin.option_hints}
    owners = {flag: list(find_option_owners(flag, choice, plugins)) for flag in unknown_options if flag not in hints}
    workloads_by_flag = {
        flag: [name for _, name in flag_owners]
        for flag, flag_owners in owners.items()
        if all(family == "workload" for family, _ in flag_owners)
    }
    for flag, workload_names in workloads_by_flag.items():
        if len(workload_names) == 1:
            flags_by_workload.setdefault(workload_names[0], []).append(flag)
    for flag, workload_names in workloads_by_flag.items():
        named_workloads = [name for name in workload_names if name in flags_by_workload]
        if len(workload_names) > 1 and len(named_workloads) == 1:
            flags_by_workload[named_workloads[0]].append(flag)
    return flags_by_workload


def make_other_workload_problem(name: str, flags: Sequence[str], choice: Choice) -> Problem:
    """Return the problem of options that belong to a workload that was not chosen."""
    flag_names = list(dict.fromkeys(map(redact, flags)))
    verb = "is an option" if len(flag_names) == 1 else "are options"
    is_default = choice.origins[0] == DEFAULT_ORIGIN
    choice_note = f"; the default workload is {choice.workload}" if is_default else f", not of {choice.workload}"
    submit_way = Suggestion(f"robotrain submit {name} …")
    ways = [submit_way] if is_default else [suggest_leaving_out(*flag_names)]
    return make_problem(
        "option-elsewhere.workload",
        *ways,
        where=flag_names[0],
        names=", ".join(flag_names),
        verb=verb,
        name=name,
        rest=choice_note,
    )


TRUTHS = {**dict.fromkeys(("true", "yes", "on", "1"), True), **dict.fromkeys(("false", "no", "off", "0"), False)}


def _explain_truth(word: str, typed_words: Sequence[str], options: ComposedOptions) -> Problem | None:
    """Return the problem of a word after a switch that says yes or no; None for any other."""
    truth_value = TRUTHS.get(word.lower())
    position = typed_words.index(word) if word in typed_words else 0
    flag = typed_words[position - 1] if position else ""
    option = next((option for option in options.options if option.name == options.flags.get(flag)), None)
    if truth_value is None or option is None or option.metavar:
        return None
    off_flag = option.flags[0].partition("/")[2]
    way = (
        suggest_leaving_out(word)
        if truth_value
        else Suggestion(off_flag, replaces=f"{flag} {word}")
        if off_flag
        else None
    )
    return make_problem("word-unknown.switch", *([way] if way else []), where=flag, given=word)


def explain_unknown_word(word: str, choice: Choice, plugins: Plugins, typed_words: Sequence[str]) -> Problem:
    """Return the problem of a word that is neither a workload nor a job file."""
    if word == "-" or word.startswith(("/dev/stdin", "/dev/fd/")):
        return make_problem("standard-input")
    workloads = plugins.list_names("workload")
    of_kind = [name for name in workloads if name.startswith(f"{word}-") or name.endswith(f"-{word}")]
    programs = [] if (Path(word) / JOB_FILE).is_file() else list(find_programs(Path(word), plugins))
    meanings = tuple(_suggest_meanings(word, choice, plugins, typed_words))
    name_suggestions = tuple(map(Suggestion, of_kind)) or suggest_name(word, workloads)
    if of_kind[1:]:
        name_suggestions = (Suggestion("WORKLOAD", "one of these"), *name_suggestions)
    elif meanings and "/" in word:
        name_suggestions = ()
    message = "word-unknown.misspelt" if name_suggestions else "word-unknown"
    if not name_suggestions and programs:
        message = "word-unknown.program"
        meanings = tuple(_repeat_line(typed_words, word, program) for program in programs)
    elif not name_suggestions and Path(word).is_file():
        message = "word-unknown.file"
    return make_problem(
        message,
        *(name_suggestions or meanings),
        given=word,
        word=redact(word),
        workloads=", ".join(workloads),
    )


def _suggest_meanings(word: str, choice: Choice, plugins: Plugins, typed_words: Sequence[str]) -> Iterator[Suggestion]:
    """Yield what a word may stand for: a platform, a folder, an address, or a value; secrets are not repeated."""
    folder = Path(word)
    if word in plugins.list_names("platform"):
        yield Suggestion(f"--platform {word}", replaces=word)
    elif not can_repeat(word):
        return
    elif "=" in word and (value_ways := list(_suggest_value(word, choice, plugins))):
        yield from value_ways
    elif (folder / JOB_FILE).is_file():
        yield Suggestion(shlex.quote(str(folder / JOB_FILE)), "the job file in this folder")
    elif (file := Path(f"{word}.yaml")).is_file():
        yield Suggestion(shlex.quote(str(file)), "the job file of this name")
    elif folder.is_dir() or ("/" in word and not word.startswith((".", "/", "~")) and not folder.exists()):
        workload = load_or_none(plugins.workload, choice.workload)
        address = os.path.abspath(word) if folder.is_dir() else word
        for role in _list_open_roles(workload, plugins, typed_words) if workload else ():
            for kind in plugins.source_kinds().values():
                if role in kind.roles and kind.recognizes(address):
                    yield Suggestion(f"{kind.roles[role].flag} {shlex.quote(word)}", replaces=word)


def find_programs(folder: Path, plugins: Plugins) -> Iterator[str]:
    """Yield the path of the program that a folder is about, for workloads that run a program of the user."""
    workloads = [workload for workload in plugins.workloads().values() if workload.own_command and workload.template]
    for workload in workloads if folder.is_dir() else ():
        for code in workload.template.find_inputs(folder) if workload.template else ():
            program = next((word for word in code.arguments if (folder / word).is_file()), "")
            if program:
                yield str(folder / program)


def make_program_missing_problem(word: str, typed_words: Sequence[str]) -> Problem:
    """Return the problem of a program file that is not there, with the line for one that may be meant."""
    path = Path(word).expanduser()
    meant_files = list_meant_files(str(path), Path())
    ways = (_repeat_line(typed_words, word, candidate) for candidate in meant_files[:MAX_FILES])
    reason = "" if path.is_absolute() else f"The path counts from {redact(str(Path.cwd()))}."
    return make_problem("program-missing", *ways, given=word, name=redact(word), why=reason)


MAX_FILES = 3
"""Of one name, that are offered for one that is not there."""


def _repeat_line(line: Sequence[str], word: str, meant: str) -> Suggestion:
    """Return the typed line with another word; the word alone if the line may hold a secret."""
    words = ["robotrain", *(meant if text == word else text for text in line)]
    return Suggestion(shlex.join(words) if can_repeat(" ".join(words)) else shlex.quote(meant), replaces=word)


def _list_open_roles(workload: Workload, plugins: Plugins, typed_words: Sequence[str]) -> list[str]:
    """Return the roles that a job needs and a line does not give; all roles if it gives them, perhaps by a job file."""
    kinds = plugins.source_kinds().values()
    typed_flags = {word.partition("=")[0] for word in typed_words}
    missing_roles = [
        role
        for role, rule in workload.roles.items()
        if rule.required and not any(role in kind.roles and kind.roles[role].flag in typed_flags for kind in kinds)
    ]
    return [*workload.roles] if not missing_roles or any(map(is_job_file, typed_words)) else missing_roles


def _suggest_value(word: str, choice: Choice, plugins: Plugins) -> Iterator[Suggestion]:
    """Yield how a `NAME=VALUE` is given: by its name in a job file, or as an option of the program."""
    workload = load_or_none(plugins.workload, choice.workload)
    platform = load_or_none(plugins.platform, choice.platform)
    program = read_program(choice, workload, ())
    name, _, value = word.partition("=")
    if name in Names(workload, platform, plugins.source_kinds()).list_keys():
        yield Suggestion(f"--set {shlex.quote(word)}", replaces=word)
    elif workload and workload.get_option_name(word):
        yield Suggestion(f"-- {shlex.quote(word)}", replaces=word)
    elif program and (program_option := program.find_meant_option(f"--{name}")):
        yield Suggestion(f"-- {program_option} {shlex.quote(value)}", replaces=word)
    elif option := find_option_of_program(workload, f"--{name}", value):
        yield Suggestion(f"-- {shlex.quote(option)}", replaces=word)
