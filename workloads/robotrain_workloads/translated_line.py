"""A command line of another tool as one of robotrain's: what it became, what it lacks, and how both are printed."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import typer
from robotrain.cli.command_factory import format_help, make_plain_app
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.errors import Rejected, make_usage_problem

SECRET_REASON = "its value looks like a secret, which does not belong in a command line"


class TranslatedLine(NamedTuple):
    """A robotrain line, and what it lacks."""

    words: tuple[str, ...]
    left_out: Mapping[str, str]
    """Options without an equal, each with what to do instead."""
    notes: Mapping[str, str] = {}
    """Options that mean something else here, each with the difference."""


def make_line_app(command: Callable[..., None]) -> typer.Typer:
    """Return the app of a command that takes a line; all that follows the line's first word belongs to it."""
    app = make_plain_app()
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(help=format_help(inspect.getdoc(command) or ""), context_settings=settings)(command)
    return app


def split_line(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a line, also of one that is given in quotes, as one word. Raise Rejected if it has none."""
    if len(words) != 1:
        return words
    try:
        return shlex.split(re.sub(r"\\\r?\n", " ", words[0]))
    except ValueError as error:
        title = f"the line cannot be read as shell words: {error}"
        raise Rejected(
            [make_usage_problem("usage", title, why="Correct it, or give it without quotes after `--`.")]
        ) from None


def print_line(line: TranslatedLine, as_json: bool) -> None:
    """Print the line on stdout; what it lacks on stderr."""
    if as_json:
        print_json({"command": list(line.words), "left_out": dict(line.left_out), "notes": dict(line.notes)})
        return
    for option, text in line.left_out.items():
        print_message(f"left out: {option}\n  {text}")
    for option, text in line.notes.items():
        print_message(f"note: {option}\n  {text}")
    print_result(shlex.join(line.words))
