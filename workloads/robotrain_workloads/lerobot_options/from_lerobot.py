"""`robotrain from-lerobot`: the robotrain line that does what a line of LeRobot's own programs does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from robotrain.cli.app import get_plugins
from robotrain.cli.arguments import JsonOption
from robotrain.config.resolve import fill_in_value
from robotrain.errors import Rejected, Suggestion, usage_problem
from robotrain.redaction import holds_secret
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.translated_line import SECRET_REASON, TranslatedLine, make_line_app, print_line

if TYPE_CHECKING:
    from robotrain.model.workload import Workload

ROBOTRAIN_API = 1
EXAMPLE = "robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=OWNER/NAME --steps=1000"
LAUNCHER_OPTIONS = {
    "num_processes": "--num-gpus",
    "nproc_per_node": "--num-gpus",
    "nproc-per-node": "--num-gpus",
    "mixed_precision": "--mixed-precision",
}
"""Options of `accelerate launch` and `torchrun`, which stand before the program."""
OFF_VALUES = ("false", "0", "no", "none", "null", "")
DATASET, DATASET_FOLDER, CONFIG, RESUME = "dataset.repo_id", "dataset.root", "config_path", "resume"
CHECKPOINT_CONFIG = re.compile(r"(?P<folder>.+?)/(?:pretrained_model/)?train_config\.json")


def from_lerobot(
    ctx: typer.Context,
    line: Annotated[list[str] | None, typer.Argument(metavar="-- LINE...", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of lerobot-train or lerobot-eval does.

    The line may begin with accelerate launch, torchrun or python. An option without an equal is
    left out, and named with what to do instead. Nothing is submitted.

    robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=lerobot/pusht --steps=1000
    """
    print_line(translate_lerobot_line(line or [], get_plugins(ctx).workloads()), json)


def translate_lerobot_line(line: Sequence[str], workloads: Mapping[str, Workload]) -> TranslatedLine:
    """Return the robotrain line for a line of LeRobot's. Raise Rejected if it names no program that is known."""
    at, workload = _find_program(line, workloads)
    given = {name: value for name, value in split_options(line[at + 1 :]) if name}
    flags: list[str] = []
    rest: list[str] = []
    left_out: dict[str, str] = {}
    for name, value in split_options(line[:at]):
        if name in LAUNCHER_OPTIONS and value:
            flags += (LAUNCHER_OPTIONS[name], value)
    for name, value in given.items():
        option, hint = f"--{name}", workload.managed_options.get(f"--{name}")
        if holds_secret(value or ""):
            left_out[option] = SECRET_REASON
        elif special := _translate_special(name, value or "", given):
            flags += special
        elif hint is None:
            rest.append(option if value is None else f"{option}={value}")
        elif words := _fill_in(hint, value):
            if refusal := _find_refusal(words, workload):
                left_out[option] = refusal
            else:
                flags += words
        elif (value or "").lower() not in OFF_VALUES and name not in (CONFIG, RESUME):
            left_out[option] = hint
    named = () if workload.default else (workload.name,)
    words = ("robotrain", "submit", *named, "--platform", "PLATFORM", *flags, *(["--", *rest] if rest else []))
    return TranslatedLine(words, left_out)


def _find_program(line: Sequence[str], workloads: Mapping[str, Workload]) -> tuple[int, Workload]:
    """Return where LeRobot's program stands in a line, and the workload that runs it."""
    for index, word in enumerate(line):
        name = re.split(r"[/.]", word.removesuffix(".py"))[-1].replace("_", "-")
        if workload := workloads.get(name):
            return index, workload
    title = "the line names no program of LeRobot that robotrain runs"
    known = "lerobot-train and lerobot-eval"
    raise Rejected(
        [usage_problem("command-unknown", title, why=f"It runs {known}.", suggestions=[Suggestion(EXAMPLE)])]
    )


def _translate_special(name: str, value: str, given: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the words for options whose meaning depends on others; none for the rest."""
    if name == DATASET and given.get(DATASET_FOLDER):
        return ("--dataset-id", value)
    if name == CONFIG and (match := CHECKPOINT_CONFIG.fullmatch(value)):
        return ("--resume-from", match["folder"])
    return ()


def _fill_in(hint: str, value: str | None) -> tuple[str, ...]:
    """Return the words that a hint of `managed_options` stands for with a value; none if it is no flag."""
    ways = hint.split(", or ")
    if len(ways) == 2 and (value or "").lower() in ("true", "false"):
        return tuple(shlex.split(ways[0] if value and value.lower() == "true" else ways[1]))
    filled = fill_in_value(hint, value or "").split(", or ")
    changed = [way for way, before in zip(filled, ways, strict=True) if way != before]
    return tuple(shlex.split(changed[0])) if changed else ()


def _find_refusal(words: Sequence[str], workload: Workload) -> str:
    """Return why a parameter does not take a value; empty if nothing here rules it out."""
    flag, value = words[0], " ".join(words[1:])
    for parameter in get_parameters(workload.parameters):
        if flag in parameter.flags and value and parameter.choices and value not in parameter.choices:
            return f"{flag} takes {' or '.join(parameter.choices)}"
    return ""


app = make_line_app(from_lerobot)
