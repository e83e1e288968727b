"""Rules about the options that a program's own command line has, where its text leaves no doubt which there are."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.nearest_name import find_nearest_name, is_misspelling
from robotrain.redaction import redact

from robotrain_workloads import code_rules
from robotrain_workloads.command import parameters, placeholders, program_files
from robotrain_workloads.command.argparse_reader import Mistake, ProgramParser, UnclearError, read_parser
from robotrain_workloads.command.rules import find_program_file

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

NUMBERS = (placeholders.NUM_GPUS, placeholders.NUM_NODES, placeholders.SEED, placeholders.NODE_RANK)
"""Placeholders that stand for a number."""
READS = re.compile(
    r"--(?:.*[-_])?(?:data|dataset|datasets|input|inputs|config|cfg|resume|load|weights|pretrained)"
    r"(?:[-_]?(?:dir|path|folder|file|root))?"
)
"""Options that name what a program reads."""
CONTINUES = re.compile(
    r"--(?:(?:resume|continue|load|init)(?:[-_](?:from|path|checkpoint|ckpt|file|dir|weights))*"
    r"|(?:checkpoint|ckpt)(?:[-_](?:path|file))?)"
)
"""Options for the checkpoint to continue from."""
MAX_OPTIONS = 12
HELP_OPTIONS = ("-h", "--help")


class _ParsedProgram(NamedTuple):
    """A job's script with the arguments that it gets."""

    folder: Path
    path: str
    words: list[str]
    """Its arguments, with their placeholders."""
    parser: ProgramParser


def check_options(job: "Job") -> Iterator[Problem]:
    """Refuse arguments that the program's own parser refuses, and paths that it reads and that are misspelt."""
    program = _read_program(job)
    if program is None:
        return
    try:  # a word that names no placeholder is reported where it is read
        mistakes = program.parser.find_mistakes(list(_fill(program.words, _make_values(job))))
    except UnclearError:
        return
    options = program.parser.list_options()
    meant = {_find_meant_option(mistake.option, options) for mistake in mistakes if mistake.kind == "unknown"}
    for mistake in mistakes:
        if mistake.kind != "missing" or mistake.option not in meant:  # else it is there, misspelt
            yield _make_problem(mistake, program, job)
    if not mistakes:
        yield from _check_paths(program)


def check_resume_options(job: "Job") -> Iterator[Problem]:
    """Refuse `--resume-args` with an option that the program's own parser does not have."""
    program = _read_program(job)
    if program is None or job["resume_args"] is None:
        return
    try:
        values = _make_values(job)
        words = list(_fill(program.words, values))
        resume_words = list(_fill(parameters.parse_resume_args(job["resume_args"]), values))
        earlier_mistakes = program.parser.find_mistakes(words)
        mistakes = program.parser.find_mistakes([*words, *resume_words])
    except ValueError:  # the first is reported where it is read
        return
    for mistake in mistakes:
        if mistake not in earlier_mistakes and mistake.kind == "unknown":
            options = program.parser.list_options()
            options_text = ", ".join(options[:MAX_OPTIONS])
            nearest_option = _find_meant_option(mistake.option, options) or find_resume_option(job) or ""
            way = (
                _suggest_resume_option(program.parser, nearest_option)
                if nearest_option
                else suggest_leaving_out("--resume-args")
            )
            yield make_problem(
                "option-unknown.resume",
                way,
                given=mistake.text,
                file=redact(program.path),
                name=redact(mistake.option),
                options=options_text,
            )


def find_option(job: "Job", name: str) -> str:
    """Return the option that the command or its program has for a parameter of that name; empty if none is known."""
    program = _read_program(job)
    words = (word.partition("=")[0] for word in job.trainer_args if word.startswith("-"))
    options = [*words, *(program.parser.list_options() if program else ())]
    return next((option for option in options if option.lstrip("-").replace("-", "_") == name), "")


def list_options(folder: Path, words: Sequence[str]) -> list[str] | None:
    """Return the options of the program that a command starts in a folder; None where they are not certain."""
    parser = _read_parser_of(folder, words)
    return parser.list_options() if parser else None


def _read_parser_of(folder: Path, words: Sequence[str]) -> ProgramParser | None:
    script = next((word for word in words[1:] if word.endswith(".py")), "")
    return read_parser(program_files.read_program(folder, script)) if script else None


def find_resume_option(job: "Job") -> str | None:
    """Return the program's option for a checkpoint to continue from; empty if it certainly has none, else None."""
    program = _read_program(job)
    if program is None:
        return None
    return next(filter(CONTINUES.fullmatch, program.parser.list_options()), "")


def suggest_resume_option(job: "Job", option: str) -> Suggestion | None:
    """Return what continues the program with an option of it; None if it cannot be read."""
    program = _read_program(job)
    return _suggest_resume_option(program.parser, option) if program else None


def _suggest_resume_option(parser: ProgramParser, option: str) -> Suggestion:
    action = parser.find_action(option)
    is_switch = action is not None and action.nargs == 0
    line = json.dumps([option] if is_switch else [option, f"{{{placeholders.RESUME}}}"])
    in_place = "--resume-in-place " if is_switch else ""
    return Suggestion(f"{in_place}--resume-args {shlex.quote(line)}", "these arguments are added then")


def _read_program(job: "Job") -> _ParsedProgram | None:
    """Return a job's script with its parser; None where it cannot be read from here, or leaves doubt."""
    name = find_program_file(job)
    code = code_rules.find_code(job)
    if not name.endswith(".py") or code is None or code.kind != LOCAL_KIND:
        return None
    folder = Path(code.uri)
    parser = read_parser(program_files.read_program(folder, name))
    words = [*job.trainer_args]
    return _ParsedProgram(folder, name, words[words.index(name) + 1 :], parser) if parser else None


def _make_values(job: "Job") -> dict[str, placeholders.Value]:
    """Return texts in place of all placeholders: those that are known, else such as a run will have."""
    values: dict[str, placeholders.Value] = dict.fromkeys(placeholders.NAMES, "x")
    values |= dict.fromkeys((*NUMBERS, placeholders.MASTER_PORT), "1")
    values[placeholders.DATASETS] = ["x" for source in job.sources if source.role == "dataset"]
    own = dict(job.parameters)
    return {**values, **{name: parameters.format_value(own[name]) for name in parameters.list_own(own)}}


def _fill(words: Sequence[str], values: dict[str, placeholders.Value]) -> Iterator[str]:
    """Yield words with the texts in place of the placeholders. Raise UnclearError if one has none."""
    try:
        yield from placeholders.fill_arguments(words, values)
    except (KeyError, ValueError):
        raise UnclearError from None


def _make_problem(mistake: Mistake, program: _ParsedProgram, job: "Job") -> Problem:
    """Return the problem of what the parser refuses."""
    file, parser = redact(program.path), program.parser
    options = parser.list_options()
    shown_text = ", ".join(options[:MAX_OPTIONS])
    if mistake.kind == "missing":
        name = mistake.option.rpartition("/")[2]
        action = parser.find_action(name)
        has_dataset = any(source.role == "dataset" for source in job.sources)
        is_dataset = has_dataset and READS.fullmatch(name) and "{dataset}" not in program.words
        value_text = "{dataset}" if is_dataset else _describe_value(action)
        way = Suggestion(f"-- … {name} {value_text}" if action else f"-- … {name.upper()}")
        return make_problem("option-missing", way, file=file, name=mistake.option)
    if mistake.kind == "invalid":
        action = parser.find_action(mistake.option)
        nearest_name = find_nearest_name(mistake.text, [str(choice) for choice in (action and action.choices) or ()])
        value_text = shlex.quote(nearest_name) if nearest_name else _describe_value(action)
        dots = "" if nearest_name else "… "
        way = Suggestion(f"-- {dots}{mistake.option} {value_text}")
        shown_text = f"{mistake.option} {mistake.text}".rstrip()
        return make_problem(
            "value-invalid.option",
            way,
            given=mistake.text,
            file=file,
            shown=redact(shown_text),
            reason=redact(mistake.reason),
        )
    if not mistake.option:
        return make_problem(
            "option-unknown.word", given=mistake.text, file=file, word=redact(mistake.text), options=shown_text
        )
    meant_option = _find_meant_option(mistake.option, options)
    ways = [Suggestion(_move_value(mistake, meant_option, parser, program.words))] if meant_option else []
    return make_problem(
        "option-unknown", *ways, given=mistake.option, file=file, name=redact(mistake.option), options=shown_text
    )


def _find_meant_option(name: str, options: Sequence[str]) -> str:
    """Return the option of a program that a name means: the nearest."""
    long_options = [option for option in options if option not in HELP_OPTIONS]
    return find_nearest_name(name, long_options) or ""


def _move_value(mistake: Mistake, nearest_option: str, parser: ProgramParser, words: Sequence[str]) -> str:
    """Return the option that is meant, with the value of the misspelt one."""
    action = parser.find_action(nearest_option)
    if action and action.nargs == 0:
        return f"-- {nearest_option}"
    index = next((index for index, word in enumerate(words) if word.partition("=")[0] == mistake.option), len(words))
    word, next_word = [*words, "", ""][index : index + 2]
    _, equals, value = word.partition("=")
    option_value = value if equals else "" if next_word.startswith("-") else next_word
    return (
        f"-- {nearest_option} {shlex.quote(option_value)}"
        if option_value
        else f"-- … {nearest_option} {_describe_value(action)}"
    )


def _describe_value(action: argparse.Action | None) -> str:
    """Return what stands for the value of an option."""
    if action is None or action.nargs == 0:
        return ""
    return "NUMBER" if action.type in (int, float) else "VALUE"


def _check_paths(program: _ParsedProgram) -> Iterator[Problem]:
    """Refuse a path that the code does not have, after an option for what is read, where it has a similar one."""
    for word, following in zip_longest(program.words, program.words[1:], fillvalue=""):
        option, equals, value = word.partition("=")
        path_text = value if equals else following
        action = program.parser.find_action(option)
        if action is None or not READS.fullmatch(option) or action.choices or action.type in (int, float):
            continue
        if (
            not path_text
            or path_text.startswith(("-", "/", "~", ".."))
            or placeholders.list_names([path_text])
            or "://" in path_text
        ):
            continue
        path = program.folder / path_text
        if path.exists() or not path.parent.is_dir():
            continue
        similar_names = [
            path_entry.name for path_entry in path.parent.iterdir() if is_misspelling(path.name, path_entry.name)
        ]
        if nearest_name := find_nearest_name(path.name, similar_names):
            meant = str(Path(path_text).with_name(nearest_name))
            way = Suggestion(f"-- {option} {shlex.quote(meant)}")
            yield make_problem(
                "path-misspelt", way, given=path_text, option=option, path=redact(path_text), meant=redact(meant)
            )
