"""`robotrain from-isaaclab`: one line of `isaaclab train` as a line of robotrain.

The options that robotrain sets itself are those of the declaration of `isaac-train`; the rest goes behind `--`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import get_plugins
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain_workloads.isaac import script_options
from robotrain_workloads.translated_line import (
    LINE_HELP,
    PROCESSES_REASON,
    SECRET_REASON,
    WORD_REASON,
    TranslatedLine,
    make_line_app,
    print_line,
    split_line,
)

if TYPE_CHECKING:
    from robotrain.model.workload import Workload

make_problem = Messages(__file__)

COMMAND = re.compile(r"(?:.*/)?isaaclab(?:\.sh)?")
TRAIN, SEVERAL_GPUS = "train", "train_multigpu"
TASK, ENVIRONMENTS, ITERATIONS, PROCESSES = "--task", "--num_envs", "--max_iterations", "--nproc_per_node"
CHECKPOINT = "--checkpoint"
NOT_TRANSLATED = {
    **dict.fromkeys(
        ("--resume", "--load_run", "--use_pretrained_checkpoint"),
        "it looks for the checkpoint in the folder logs of where the line runs: give --checkpoint FILE",
    ),
    "--distributed": "isaaclab train_multigpu --nproc_per_node=N says on how many GPUs it trains",
}
TASK_REASON = "it is missing, and Isaac Lab has no default"
ITERATIONS_REASON = (
    "Isaac Lab counts them from the checkpoint on, robotrain all together: leave it out, and give --max-iterations N"
)
ENVIRONMENTS_NOTE = "Isaac Lab simulates as many as the task says, robotrain 2048 together: --num-envs N says otherwise"


def from_isaaclab(
    ctx: typer.Context,
    line: Annotated[list[str] | None, argument("-- LINE...", LINE_HELP)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of `isaaclab train` or `isaaclab train_multigpu` does.

    A line that cannot mean the same is an error. Nothing is submitted.

    robotrain from-isaaclab -- isaaclab train --rl_library rsl_rl --task=Isaac-Cartpole-Direct --max_iterations=200
    """
    words = [word for word in split_line(line or []) if word.strip()]
    if len(words) < 2 or not COMMAND.fullmatch(words[0]) or words[1] not in (TRAIN, SEVERAL_GPUS):
        raise Rejected([make_problem("command-unknown")])
    translated = TranslatedLine("isaac-train")
    if {"--help", "-h"}.isdisjoint(words):
        translate_options(words[2:], get_plugins(ctx).workload("isaac-train"), translated)
        if words[1] == SEVERAL_GPUS and "--num-gpus" not in translated.flags:
            translated.refused[SEVERAL_GPUS] = PROCESSES_REASON.format(PROCESSES)
    else:
        translated.flags = {"--help": ("--help",)}
    print_line(ctx, translated, json)


def translate_options(words: Sequence[str], workload: Workload, line: TranslatedLine) -> None:
    """Add the options of Isaac Lab's script to a line."""
    switches, remaining = {*script_options.list_switches(), *NOT_TRANSLATED, "--headless"}, list(words)
    typed_names = {word.partition("=")[0] for word in words}
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.partition("=")
        typed_words = [word]
        if name.startswith("-") and not equals and name not in switches and remaining:
            value = remaining.pop(0)
            typed_words.append(value)
        hint = workload.managed_options.get(name.lstrip("+") if equals else name, "")
        if find_secret_arguments([word]):
            line.refused[name] = SECRET_REASON
        elif reason := NOT_TRANSLATED.get(name):
            line.refused[name] = reason
        elif name == ITERATIONS and CHECKPOINT in typed_names:
            line.refused[name] = ITERATIONS_REASON
        elif name == CHECKPOINT:
            line.add_flag(name, "--checkpoint-uri", value)
            line.flags["--checkpoint-mode"] = ("--checkpoint-mode", "resume")
        elif name == PROCESSES:
            line.add_flag(name, "--num-gpus", value)
        elif name == "--headless":
            line.left_out[name] = "a job shows no window"
        elif re.fullmatch("--[a-z-]+", hint):
            line.add_flag(name, hint, *([value] if value else []))
        elif hint:
            line.refused[name] = f"robotrain has {hint} for it"
        elif name.startswith("-") or "=" in word:
            line.rest += typed_words
        else:
            line.refused[word] = WORD_REASON
    if TASK not in line.flags:
        line.refused[TASK] = TASK_REASON
    if ENVIRONMENTS not in typed_names and "env.scene.num_envs" not in typed_names:
        line.notes[ENVIRONMENTS] = ENVIRONMENTS_NOTE


app = make_line_app(from_isaaclab)
