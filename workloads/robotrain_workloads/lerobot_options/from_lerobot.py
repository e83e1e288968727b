"""`robotrain from-lerobot`: one plain line of lerobot-train or lerobot-eval as a line of robotrain.

Options that robotrain sets itself become its flags (`managed_options` of the workload), and each of LeRobot's defaults
that is not robotrain's is written out; the other options stand after `--`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import get_plugins
from robotrain.config.managed_options import REMOVAL
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_values import is_true, read_known
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.options_list import find_default, load_options
from robotrain_workloads.lerobot.trained_model import LEARNING_RATES
from robotrain_workloads.lerobot_options.option_names import check_names
from robotrain_workloads.translated_line import (
    LINE_HELP,
    SECRET_REASON,
    WORD_REASON,
    TranslatedLine,
    make_line_app,
    print_line,
    read_launcher,
    split_line,
)

if TYPE_CHECKING:
    from robotrain.model.workload import Workload

make_problem = Messages(__file__)

TRAINING, EVALUATION = "lerobot-train", "lerobot-eval"
DATASET, FOLDER, ENVIRONMENT, TASK, TASK_NUMBERS = (
    *("dataset.repo_id", "dataset.root", "env.type", "env.task", "env.task_ids"),
)
REVISIONS = {"dataset.revision": DATASET, "policy.pretrained_revision": "policy.path"}
"""Options with the revision of a repository, each with the one that names the repository."""
REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
PAIRS = " KEY=KEY"
USUAL_VALUES: Mapping[str, tuple[object, str]] = {
    "save_checkpoint": (True, "robotrain always saves checkpoints: --save_freq=N says how often"),
    "dataset.repo_type": ("dataset", "robotrain reads datasets of the Hub, not its storage buckets"),
    "env.render_mode": ("rgb_array", "robotrain shows no window: it renders pictures, and --record-video keeps them"),
    "use_policy_training_preset": (True, "give the optimizer and the schedule to robotrain, after --"),
    "resume": (False, "robotrain resume RUN continues a run; --resume-from FOLDER continues from a checkpoint"),
    "policy.use_amp": (False, "accelerate launch --mixed_precision=FORMAT, or robotrain's --mixed-precision, says it"),
    "policy.use_peft": (False, "give --peft.r=RANK and --policy.path"),
    "policy.push_to_hub": (False, ""),
    "wandb.mode": ("online", "give WANDB_MODE to the environment of the run"),
}
"""Options that change nothing with a value; with any other one, the reason says what to do."""
NOT_TRANSLATED = {
    "config_path": "robotrain reads no configuration file of LeRobot: give the values that you need as options",
    "policy.pretrained_path": "LeRobot takes the weights alone: give --policy.path, and no type",
    "sample_weighting.progress_path": "put the file into the dataset's folder as sarm_progress.parquet",
    **dict.fromkeys(("policy.discover_packages_path", "env.discover_packages_path"), "--with PACKAGE brings a package"),
}
LEFT_OUT = {
    "env.": "training runs no simulator; afterwards: robotrain submit lerobot-eval --policy-run RUN --env NAME",
    "eval.": "training runs no simulator; afterwards: robotrain submit lerobot-eval --policy-run RUN --env NAME",
    "job.": "--platform names where the job runs",
    "optimizer.": "LeRobot replaces it by the preset of what it trains",
    "scheduler.": "LeRobot replaces it by the preset of what it trains",
}
"""Options of a training that change nothing in what is learned, by the beginning of their names."""
SPEED, AMP, PRECISION_FLAG = "eval.use_async_envs", "policy.use_amp", "--mixed-precision"
EVAL_STEPS, SPLIT = "eval_steps", "dataset.eval_split"
DECAY = "policy.scheduler_decay_steps"
TYPE_OPTIONS = ("policy.type", "policy.path", "reward_model.type", "reward_model.path")
FOLDER_VALUE = re.compile(r"[/~]|\.\.?/")
"""How the path of a folder begins, and no name of a repository."""
DRAWS = ("dataset.streaming", "dataset.image_transforms.enable")
"""What draws random numbers in the processes that load data: then their number decides what is learned."""
FORMAT_REASON = "LeRobot trains the type {} in a number format of its own options, whatever the launcher says"
TYPE_REASON = "it depends on the type of the policy: add --policy.type=TYPE"
TOLERANCE_NOTE = (
    "robotrain reads the picture of a video that is at most a quarter of a frame off, where LeRobot fails beyond {} s"
)


def from_lerobot(
    ctx: typer.Context,
    line: Annotated[list[str] | None, argument("-- LINE...", LINE_HELP)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of `lerobot-train` or `lerobot-eval` does.

    The line may begin with python, uv run, accelerate launch or torchrun. Values that LeRobot uses where none is given
    are added if robotrain's differ. An option that changes nothing is left out, and named; a line that cannot mean the
    same is an error. Nothing is submitted.

    robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=lerobot/pusht --steps=1000
    """
    plugins = get_plugins(ctx)
    words = [word for word in split_line(line or []) if word.strip()]
    index, program = _find_program(words)
    workload = plugins.workload(program)
    translated = TranslatedLine("" if program == plugins.default_workload() else program)
    if {"--help", "-h"}.isdisjoint(words):
        read_launcher(words[:index], translated)
        options: dict[str, str] = {}
        for name, text in split_options(words[index + 1 :]):
            if name and text is not None:
                options[name] = text
            else:
                translated.refused[f"--{name}" if name else text or "--"] = "it needs a value" if name else WORD_REASON
        translate_options(options, workload, translated)
    else:
        translated.flags = {"--help": ("--help",)}
    print_line(ctx, translated, json)


def _find_program(words: Sequence[str]) -> tuple[int, str]:
    """Return where LeRobot's program stands in a line, and its name. Raise Rejected if there is none."""
    for index, word in enumerate(words):
        name = re.split(r"[/.]", word.removesuffix(".py"))[-1].replace("_", "-")
        if name in (TRAINING, EVALUATION):
            return index, name
    raise Rejected([make_problem("command-unknown")])


def translate_options(options: Mapping[str, str], workload: Workload, line: TranslatedLine) -> None:
    """Add LeRobot's options to a line, and its defaults that are not robotrain's."""
    hints = {option.removeprefix("--"): hint for option, hint in workload.managed_options.items()}
    is_training = workload.name == TRAINING
    types = versions.get_version().types.values()
    backbones = {part for facts in types for named in facts.repositories.values() for part in named.options}
    for name, text in options.items():
        option, value = f"--{name}", read_known(text)
        group = f"{name.partition('.')[0]}."
        if find_secret_arguments([f"{option}={text}"]):
            line.refused[option] = SECRET_REASON
        elif "$" in text:
            line.refused[option] = "a variable is not replaced by its value: write the value instead"
        elif reason := NOT_TRANSLATED.get(name):
            line.refused[option] = reason
        elif name == AMP and value is False:
            line.add_flag(option, PRECISION_FLAG, "no")
        elif name in USUAL_VALUES and value == USUAL_VALUES[name][0]:
            continue
        elif name in USUAL_VALUES and USUAL_VALUES[name][1]:
            line.refused[option] = USUAL_VALUES[name][1]
        elif is_training and group in LEFT_OUT:
            line.left_out[option] = LEFT_OUT[group]
        elif name == SPEED:
            line.left_out[option] = "it changes the speed alone: --env-workers N simulates in N processes"
        elif name in REVISIONS:
            if not REPOSITORY.fullmatch(options.get(REVISIONS[name], "")) or FOLDER in options:
                line.refused[option] = "it belongs to a repository of the Hub, and to no folder"
        elif name in (TASK, TASK_NUMBERS) and options.get(ENVIRONMENT) in versions.get_version().read_tasks():
            line.add_flag(option, "--env-tasks", _join_tasks(options))
        elif name == EVAL_STEPS and value and SPLIT not in options:
            line.refused[option] = f"LeRobot takes it with --{SPLIT} alone"
        elif name == DATASET and FOLDER in options:
            line.add_flag(option, "--dataset-id", text)
        elif name.partition(".")[2] in backbones and FOLDER_VALUE.match(text):
            line.refused[option] = "it names a folder: give the repository's name, and --backbone-path to robotrain"
        elif (hint := hints.get(name, hints.get(name.replace("reward_model.", "policy.")))) is None:
            line.rest.append(f"{option}={text}")
        elif words := _fill_in(hint, text, next((options[key] for key in options if REVISIONS.get(key) == name), "")):
            line.add_flag(option, *words)
        elif hint.startswith("--"):
            line.refused[option] = f"robotrain has {hint} for it"
        else:
            line.left_out[option] = hint.removeprefix(REMOVAL)
    _add_defaults(options, workload, line)
    if is_training:
        chosen_types = {
            group: options[f"{group}.type"] for group in versions.PREFIXES.values() if f"{group}.type" in options
        }
        line.problems += check_names(line.rest, chosen_types, {})
        if options.keys().isdisjoint(TYPE_OPTIONS):
            line.refused["--policy.type"] = "the line names no policy to train: give it, or --policy.path"
        _check_precision(options, line)
        if "tolerance_s" not in options:
            line.notes["--tolerance_s"] = TOLERANCE_NOTE.format(find_default("tolerance_s", {}))


def _join_tasks(options: Mapping[str, str]) -> str:
    """Return the tasks of an evaluation: suites, or the numbers of tasks in them."""
    suites, numbers = options.get(TASK, ""), read_known(options.get(TASK_NUMBERS, "null"))
    return ",".join(f"{suite}/{number}" for suite in suites.split(",") for number in numbers) if numbers else suites


def _fill_in(hint: str, text: str, revision: str) -> Sequence[str]:
    """Return the words that a hint of `managed_options` stands for with a value; none if it is no flag.

    `--flag` takes any value; of two hints one is for a truth and one for its opposite, or one for a repository of the
    Hub and one for a folder; `--flag KEY=KEY` takes the pairs of a JSON object.
    """
    ways = hint.split(", or ")
    value = read_known(text, "bool")
    if isinstance(value, bool):
        return shlex.split(ways[0 if value else 1]) if len(ways) == 2 else ()
    if hint.endswith(PAIRS):
        pairs = read_known(text, as_json=True)
        if not isinstance(pairs, dict):
            return ()
        return [hint.removesuffix(PAIRS), ",".join(f"{key}={name}" for key, name in pairs.items())]
    placeholder = " OWNER/NAME" if REPOSITORY.fullmatch(text) else " FOLDER"
    for way in ways:
        if way.endswith(placeholder) or (len(ways) == 1 and " " not in way):
            return [way.removesuffix(placeholder), f"{text}@{revision}" if revision else text]
    return ()


def _add_defaults(options: Mapping[str, str], workload: Workload, line: TranslatedLine) -> None:
    """Add the values that LeRobot uses where the line has none, if robotrain's differ."""
    parameters = {parameter.flag: parameter for parameter in get_parameters(workload.parameters)}
    types = {"policy": options.get("policy.type", "")}
    for option, flag in workload.managed_options.items():
        default, parameter = find_default(option.removeprefix("--"), types), parameters.get(flag)
        if parameter is None or isinstance(default, bool) or not isinstance(default, int | float):
            continue
        is_taken = parameter.param.gt is None or default > parameter.param.gt
        if flag not in line.flags and is_taken and parameter.default not in (None, default):
            line.flags[flag] = (flag, f"{default:g}" if isinstance(default, float) else str(default))
    if workload.name != TRAINING:
        return
    is_new = "policy.path" not in options and "reward_model.path" not in options
    if is_new and types["policy"] in LEARNING_RATES and "--learning-rate" not in line.flags:
        line.flags["--learning-rate"] = ("--learning-rate", str(find_default("policy.optimizer_lr", types)))
    if SPLIT in options and EVAL_STEPS not in options:
        line.flags["--eval-freq"] = ("--eval-freq", "0")
    decay = find_default(DECAY, types)
    if "--lr-warmup-steps" in line.flags and DECAY not in options:  # beside it, robotrain fits the decay to the steps
        if not is_new:
            line.refused["--policy.scheduler_warmup_steps"] = f"give --{DECAY} as well"
        elif isinstance(decay, int):
            line.rest.append(f"--{DECAY}={decay}")
    if any(is_true(options.get(name)) for name in DRAWS) and "num_workers" not in options:
        line.flags["--num-workers"] = ("--num-workers", str(find_default("num_workers", {})))
    if "--wandb" in line.flags and "wandb.project" not in options:
        line.flags["--experiment-name"] = ("--experiment-name", str(find_default("wandb.project", {})))


def _check_precision(options: Mapping[str, str], line: TranslatedLine) -> None:
    """Leave the number format of a launcher out where LeRobot does not read it."""
    option = PRECISION_FLAG
    kind = options.get("policy.type") or options.get("reward_model.type")
    if option in line.flags and kind is None:
        line.refused["--mixed_precision"] = TYPE_REASON
    elif option in line.flags and "dtype" in load_options().choices["policy"].get(str(kind), {}):
        del line.flags[option]
        line.left_out["--mixed_precision"] = FORMAT_REASON.format(kind)


app = make_line_app(from_lerobot)
