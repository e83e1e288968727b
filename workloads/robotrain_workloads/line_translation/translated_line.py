"""A command line of another tool as one of robotrain's: what it became, what it lacks, and how both are printed."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import typer
from robotrain.cli.command_factory import make_plain_app
from robotrain.cli.help_page import HelpPage, format_help
from robotrain.cli.line_check import check_line
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from typer.core import TyperCommand

make_problem = Messages(__file__)

LINE_HELP = "The line, as you type it for the other program."
SHELL_WORD = re.compile(r"\|\|?|&&?|;|\d*(?:>>?|<)(?:&\d)?|&>>?|\d>&\d|[12]>.*|>.+")
"""A word that ends a command of a shell."""
SHELL_REASON = "it is for the shell; robotrain keeps the output of a run: robotrain logs RUN"
SECRET_REASON = "its value looks like a secret, which does not belong in a command line"


class TranslatedLine(NamedTuple):
    """A robotrain line, and what it lacks."""

    words: tuple[str, ...]
    left_out: Mapping[str, str]
    """Options without an equal, each with what to do instead."""
    notes: Mapping[str, str] = {}
    """Options that mean something else here, each with the difference."""
    refused: Mapping[str, str] = {}
    """Options without which the line would not mean the same, each with the reason why they are not translated."""
    respell: Callable[[Problem], Problem] = lambda problem: problem
    """Returns a problem of the robotrain line in the spelling of the line that it was translated from."""
    stand_ins: Mapping[str, str] = {}
    """Words that people replace by their own, each with one that stands for it when the line is checked."""

    variables: Mapping[str, str] = {}
    """Variables of the environment that stand before the line."""
    checked: tuple[str, ...] = ()
    """The line of one trial of a sweep, which is checked in its place; empty if the line is no sweep."""

    @property
    def check_words(self) -> tuple[str, ...]:
        """The line to check."""
        return tuple(self.stand_ins.get(word, word) for word in self.checked or self.words)


class LineCommand(HelpPage, TyperCommand):
    """A command that takes a line of another program."""


def make_line_app(command: Callable[..., None]) -> typer.Typer:
    """Return the app of a command that takes a line; all that follows the line's first word belongs to it."""
    app = make_plain_app()
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(cls=LineCommand, help=format_help(inspect.getdoc(command) or ""), context_settings=settings)(command)
    return app


def split_line(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a line, also of one that is given in quotes, as one word. Raise Rejected if it has none."""
    if len(words) != 1:
        return words
    try:
        return shlex.split(re.sub(r"\\\r?\n", " ", words[0]))
    except ValueError as error:
        raise Rejected([make_problem("usage", error=error)]) from None


def cut_shell_words(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the options of a program, and what follows them for the shell: a pipe, a file, another command."""
    for index, word in enumerate(words):
        if SHELL_WORD.fullmatch(word):
            return words[:index], words[index:]
        if word.endswith(";"):
            return [*words[:index], word.removesuffix(";")], words[index + 1 :]
    return words, ()


def print_line(ctx: Any, line: TranslatedLine, as_json: bool) -> None:
    """Print the line on stdout; what it lacks on stderr.

    Raise Rejected with the reasons for a line that would mean something else, or that no platform accepts.
    """
    problems: list[Problem] = []
    for option, reason in line.refused.items():
        explanation = f"{reason}." if reason.startswith("robotrain") else f"{reason[:1].upper()}{reason[1:]}."
        problems.append(make_problem("option-not-translated", where=option, why=explanation))
    if not problems and "--help" not in line.words:
        problems = [line.respell(problem) for problem in check_line(ctx, line.check_words[1:]).problems]
    raise_if_any(problems)
    if as_json:
        facts = {"left_out": dict(line.left_out), "notes": dict(line.notes), "variables": dict(line.variables)}
        print_json({"command": list(line.words), **facts})
        return
    for option, reason_text in line.left_out.items():
        print_message(f"left out: {option}\n  {reason_text}")
    for option, reason_text in line.notes.items():
        print_message(f"note: {option}\n  {reason_text}")
    print_result(shlex.join((*(f"{name}={value}" for name, value in line.variables.items()), *line.words)))
