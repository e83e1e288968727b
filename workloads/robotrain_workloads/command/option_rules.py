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
    values = _make_values(job)
    words = list(_fill(program.words, values))
    try:
        mistakes = program.parser.find_mistakes(words)
    except UnclearError:
        return
    options = program.parser.list_options()
    meant = {find_nearest_name(mistake.option, options) for mistake in mistakes if mistake.kind == "unknown"}
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
        resume_args = parameters.parse_resume_args(job["resume_args"])
        words = list(_fill([*program.words, *resume_args], _make_values(job)))
        before = program.parser.find_mistakes(list(_fill(program.words, _make_values(job))))
        mistakes = program.parser.find_mistakes(words)
    except ValueError:  # the first is reported where it is read
        return
    for mistake in mistakes:
        if mistake not in before and mistake.kind == "unknown":
            options = program.parser.list_options()
            shown = ", ".join(options[:MAX_OPTIONS])
            near = find_nearest_name(mistake.option, options) or find_resume_option(job) or ""
            way = _suggest_resume_option(program.parser, near) if near else suggest_leaving_out("--resume-args")
            yield make_problem(
                "option-unknown.resume",
                way,
                given=mistake.text,
                file=redact(program.path),
                name=redact(mistake.option),
                options=shown,
            )


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
    shown = ", ".join(options[:MAX_OPTIONS])
    if mistake.kind == "missing":
        name = mistake.option.rpartition("/")[2]
        action = parser.find_action(name)
        has_dataset = any(source.role == "dataset" for source in job.sources)
        is_dataset = has_dataset and READS.fullmatch(name) and "{dataset}" not in program.words
        value = "{dataset}" if is_dataset else _describe_value(action)
        way = Suggestion(f"-- … {name} {value}" if action else f"-- … {name.upper()}")
        return make_problem("option-missing", way, file=file, name=mistake.option)
    if mistake.kind == "invalid":
        action = parser.find_action(mistake.option)
        near = find_nearest_name(mistake.text, [str(choice) for choice in (action and action.choices) or ()])
        value = shlex.quote(near) if near else _describe_value(action)
        way = Suggestion(f"{mistake.option}={value}" if near else f"-- … {mistake.option} {value}")
        shown = f"{mistake.option} {mistake.text}".rstrip()
        return make_problem(
            "value-invalid.option",
            way,
            given=mistake.text,
            file=file,
            shown=redact(shown),
            reason=redact(mistake.reason),
        )
    if not mistake.option:
        return make_problem(
            "option-unknown.word", given=mistake.text, file=file, word=redact(mistake.text), options=shown
        )
    near = find_nearest_name(mistake.option, [option for option in options if option != "--help"])
    ways = [Suggestion(_move_value(mistake, near, parser, program.words), replaces=mistake.option)] if near else []
    return make_problem(
        "option-unknown", *ways, given=mistake.option, file=file, name=redact(mistake.option), options=shown
    )


def _move_value(mistake: Mistake, near: str, parser: ProgramParser, words: Sequence[str]) -> str:
    """Return the option that is meant, with the value of the misspelt one."""
    action = parser.find_action(near)
    if action and action.nargs == 0:
        return f"-- {near}"
    index = next((index for index, word in enumerate(words) if word.partition("=")[0] == mistake.option), len(words))
    word, following = [*words, "", ""][index : index + 2]
    _, equals, value = word.partition("=")
    text = value if equals else "" if following.startswith("-") else following
    return f"{near}={shlex.quote(text)}" if text else f"-- … {near} {_describe_value(action)}"


def _describe_value(action: argparse.Action | None) -> str:
    """Return what stands for the value of an option."""
    if action is None or action.nargs == 0:
        return ""
    return "NUMBER" if action.type in (int, float) else "VALUE"


def _check_paths(program: _ParsedProgram) -> Iterator[Problem]:
    """Refuse a path that the code does not have, after an option for what is read, where it has a similar one."""
    for word, following in zip_longest(program.words, program.words[1:], fillvalue=""):
        option, equals, value = word.partition("=")
        text = value if equals else following
        action = program.parser.find_action(option)
        if action is None or not READS.fullmatch(option) or action.choices or action.type in (int, float):
            continue
        if not text or text.startswith(("-", "/", "~", "..")) or placeholders.list_names([text]) or "://" in text:
            continue
        path = program.folder / text
        if path.exists() or not path.parent.is_dir():
            continue
        names = [entry.name for entry in path.parent.iterdir() if is_misspelling(path.name, entry.name)]
        if near := find_nearest_name(path.name, names):
            meant = str(Path(text).with_name(near))
            way = Suggestion(f"{option}={shlex.quote(meant)}")
            yield make_problem("path-misspelt", way, given=text, option=option, path=redact(text), meant=redact(meant))
