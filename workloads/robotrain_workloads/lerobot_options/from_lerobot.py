"""`robotrain from-lerobot`: translate a command line of LeRobot's programs to one of robotrain."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from robotrain.cli.arguments import JsonOption
from robotrain.cli.command_factory import get_plugins
from robotrain.errors import Rejected, Suggestion, make_usage_problem

from robotrain_workloads.lerobot_options.line_translator import VARIABLE, LineTranslator
from robotrain_workloads.translated_line import TranslatedLine, make_line_app, print_line, split_line

if TYPE_CHECKING:
    from robotrain.model.workload import Workload
    from robotrain.plugins.manager import Plugins

ROBOTRAIN_API = 1
EXAMPLE = "robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=OWNER/NAME --steps=1000"
HELP_OPTIONS = ("--help", "-h")
ACCOUNT_VARIABLES = ("HF_USER", "HOME", "USER")
"""Variables in a line in quotes that are replaced by their values; the shell replaces those in other lines."""


def from_lerobot(
    ctx: typer.Context,
    line: Annotated[list[str] | None, typer.Argument(metavar="-- LINE...", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of lerobot-train or lerobot-eval does.

    The line may begin with accelerate launch, torchrun or python. Values that LeRobot uses where none is given are
    added if robotrain's differ. An option that changes nothing is left out, and named; a line that cannot mean the same
    is an error. Nothing is submitted.

    robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=lerobot/pusht --steps=1000
    """
    print_line(ctx, translate_lerobot_line(line or [], get_plugins(ctx)), json)


def translate_lerobot_line(line: Sequence[str], plugins: Plugins) -> TranslatedLine:
    """Return the robotrain line for a line of LeRobot's. Raise Rejected if it names no program that is known."""
    line = [VARIABLE.sub(_get_account_name, word) for word in split_line(line)]
    at, workload = _find_program(line, plugins.workloads())
    if not {*HELP_OPTIONS}.isdisjoint(line[at + 1 :]):
        return TranslatedLine(("robotrain", "submit", workload.name, "--help"), {})
    translator = LineTranslator(workload, line[at + 1 :], plugins.source_kinds())
    translator.add_launcher(line[:at])
    translator.add_saved_options()
    translator.add_options()
    translator.add_policy()
    translator.add_defaults()
    return translator.make_line()


def _get_account_name(match: re.Match[str]) -> str:
    """Return what a variable of `ACCOUNT_VARIABLES` stands for; any other one as it is, as it may be a secret."""
    name = match[1] or match[2]
    return os.environ.get(name, match[0]) if name in ACCOUNT_VARIABLES else match[0]


def _find_program(line: Sequence[str], workloads: Mapping[str, Workload]) -> tuple[int, Workload]:
    """Return where LeRobot's program stands in a line, and the workload that runs it."""
    for index, word in enumerate(line):
        path = re.sub(r"(?:\.py)?\)?$", "", word)
        name = re.split(r"[/.\s]", path)[-1].replace("_", "-")
        if re.fullmatch(r"(?:.*[/.])?lerobot[/.]scripts[/.](?:train|eval)", path):  # before LeRobot 0.4
            name = f"lerobot-{name}"
        if workload := workloads.get(name):
            return index, workload
    title = "the line names no program of LeRobot that robotrain runs"
    known = "lerobot-train and lerobot-eval"
    raise Rejected(
        [make_usage_problem("command-unknown", title, why=f"It runs {known}.", suggestions=[Suggestion(EXAMPLE)])]
    )


app = make_line_app(from_lerobot)
