"""A command line of another tool as one of robotrain's: what it became, what it lacks, and how both are printed."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import typer
from robotrain.cli.command_factory import make_plain_app
from robotrain.cli.help_page import HelpPage, format_help
from robotrain.cli.line_check import check_line
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.redaction import redact
from typer.core import TyperCommand

make_problem = Messages(__file__)

LINE_HELP = "The line, as you type it for the other program."
SECRET_REASON = "its value looks like a secret, which does not belong in a command line"
WORD_REASON = "robotrain translates one line, alone or behind python, uv run, accelerate launch or torchrun"
LAUNCHER_REASON = "robotrain starts the processes itself, and does not know what this option of {} changes"
ONE_NODE_REASON = "the line is one of several machines: give --num-nodes and --num-gpus to robotrain"
PROCESSES_REASON = "the number of processes is missing: add {}=N"
NOTHING, ONE, HELP = "nothing", "one", "--help"
LAUNCHERS: Mapping[str, Mapping[str, str]] = {
    "accelerate": {
        "--num_processes": "--num-gpus",
        "--mixed_precision": "--mixed-precision",
        "--multi_gpu": NOTHING,
        "--num_machines": ONE,
    },
    "torchrun": {"--nproc_per_node": "--num-gpus", "--standalone": NOTHING, "--nnodes": ONE},
}
"""By option of a launcher: robotrain's flag, `NOTHING` for what it does anyway, `ONE` for what must be 1."""
STARTERS = ("python", "python3", "-m", "uv", "run", "launch")
"""Words that may stand before a program and say nothing of the job."""


@dataclass
class TranslatedLine:
    """A robotrain line, and what it lacks."""

    workload: str = ""
    """Empty for the default one."""
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The words of each flag, with the flag."""
    rest: list[str] = field(default_factory=list)
    """What stands after `--`."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Options that change nothing, each with the reason."""
    notes: dict[str, str] = field(default_factory=dict)
    """Options that mean something else here, each with the difference."""
    refused: dict[str, str] = field(default_factory=dict)
    """Options without which the line would not mean the same, each with the reason why they are not translated."""
    problems: list[Problem] = field(default_factory=list)
    """Other mistakes in it."""

    @property
    def words(self) -> list[str]:
        """The words of the line."""
        flags = [word for words in self.flags.values() for word in words]
        rest = ["--", *self.rest] if self.rest else []
        start = ["robotrain", "submit", *filter(None, [self.workload])]
        return [*start, HELP] if HELP in self.flags else [*start, "--platform", "PLATFORM", *flags, *rest]

    def add_flag(self, option: str, *words: str) -> None:
        """Add the words for an option, unless another option has given the flag another value."""
        if self.flags.setdefault(words[0], words) != words:
            self.refused[option] = f"another option of the line gives {words[0]} another value"


def read_launcher(words: Sequence[str], line: TranslatedLine) -> None:
    """Add what the words before a program ask for: python, uv run, accelerate launch, torchrun."""
    launcher, remaining = "", list(words)
    while remaining:
        word = remaining.pop(0)
        option, equals, value = word.partition("=")
        meanings = LAUNCHERS.get(launcher, {})
        meaning = meanings.get(option.replace("-", "_").replace("__", "--", 1), "")
        if PurePath(word).name in LAUNCHERS:
            launcher = PurePath(word).name
        elif launcher and meaning:
            value = remaining.pop(0) if not equals and meaning != NOTHING and remaining else value
            if meaning == ONE and value != "1":
                line.refused[option] = ONE_NODE_REASON
            elif meaning not in (NOTHING, ONE):
                line.add_flag(option, meaning, value)
        elif PurePath(word).name not in STARTERS:
            line.refused[redact(word)] = LAUNCHER_REASON.format(launcher) if launcher else WORD_REASON
    if launcher and "--num-gpus" not in line.flags:
        line.refused[launcher] = PROCESSES_REASON.format(next(iter(LAUNCHERS[launcher])))


def split_line(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a line, also of one that is given in quotes, as one word. Raise Rejected if it has none."""
    if len(words) != 1:
        return words
    line = re.sub(r"\\\r?\n", " ", words[0])
    try:
        return shlex.split(re.sub(r"\$\(which ([\w-]+)\)", r"\1", line))  # as in LeRobot's page on several GPUs
    except ValueError as error:
        raise Rejected([make_problem("line-unreadable", error=error)]) from None


class LineCommand(HelpPage, TyperCommand):
    """A command that takes a line of another program."""


def make_line_app(command: Callable[..., None]) -> typer.Typer:
    """Return the app of a command that takes a line; all that follows the line's first word belongs to it."""
    app = make_plain_app()
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(cls=LineCommand, help=format_help(inspect.getdoc(command) or ""), context_settings=settings)(command)
    return app


def print_line(ctx: Any, line: TranslatedLine, as_json: bool) -> None:
    """Print the line on stdout; what it lacks on stderr.

    Raise Rejected with the reasons for a line that would mean something else, or that no platform accepts.
    """
    mistakes = [
        make_problem("option-not-translated", where=option, why=reason) for option, reason in line.refused.items()
    ]
    mistakes += line.problems
    problems = check_line(ctx, line.words[1:]) if HELP not in line.flags else []
    if mistakes:  # what they are about is missing in the line
        problems = [problem for problem in problems if problem.where in line.flags]
    raise_if_any([*mistakes, *problems])
    if as_json:
        print_json({"command": line.words, "left_out": line.left_out, "notes": line.notes})
        return
    for option, reason in line.left_out.items():
        print_message(f"left out: {option}\n  {reason}")
    for option, reason in line.notes.items():
        print_message(f"note: {option}\n  {reason}")
    print_result(shlex.join(line.words))
