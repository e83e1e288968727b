"""`robotrain from-lerobot`: translate a command line of LeRobot's programs to one of robotrain."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from robotrain.cli.arguments import JsonOption
from robotrain.cli.command_factory import get_plugins
from robotrain.config.resolve import fill_in_value
from robotrain.errors import Rejected, Suggestion, make_usage_problem, suggest_name
from robotrain.redaction import holds_secret, redact
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot_options import option_tree
from robotrain_workloads.translated_line import SECRET_REASON, TranslatedLine, make_line_app, print_line, split_line

if TYPE_CHECKING:
    from robotrain.model.workload import Workload

    from robotrain_workloads.option_kinds import OptionProblem

ROBOTRAIN_API = 1
EXAMPLE = "robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=OWNER/NAME --steps=1000"
LAUNCHER_OPTIONS = {
    "num_processes": "--num-gpus",
    "nproc_per_node": "--num-gpus",
    "mixed_precision": "--mixed-precision",
}
"""Options of `accelerate launch` and `torchrun`, which stand before the program."""
MACHINE_OPTIONS = ("num_machines", "nnodes")
IMPLIED_OPTIONS = ("multi_gpu", "standalone", "module", "dynamo_backend", "num_cpu_threads_per_process")
"""Options of the launchers that robotrain sets itself, or does without."""
LAUNCHERS = ("accelerate", "torchrun", "torch.distributed.run")
OFF_VALUES = ("false", "0", "no", "none", "null", "")
DATASET, DATASET_FOLDER, CONFIG, RESUME = "dataset.repo_id", "dataset.root", "config_path", "resume"
POLICY, POLICY_TYPE, PUSH, ENVIRONMENT = "policy.path", "policy.type", "policy.push_to_hub", "env.type"
REVISIONS = {DATASET: "dataset.revision", POLICY: "policy.pretrained_revision"}
"""The option with the revision of a repository, by the option that names the repository."""
CHECKPOINT_CONFIG = re.compile(
    r"(?P<folder>.+?)/(?:pretrained_model/train_config\.json|train_config\.json|pretrained_model/?)"
)
REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
TRAINING = "lerobot-train"
SIMULATOR_OPTIONS = ("env.", "eval.")
CONFIG_REASON = "robotrain reads no configuration file of LeRobot: give the values that you need as options"
RESUME_REASON = "robotrain resume RUN continues a run; --resume-from FOLDER continues from a checkpoint"
SIMULATOR_REASON = "training runs no simulator; afterwards: robotrain submit lerobot-eval --policy-run RUN --env NAME"
EVALUATION_REASON = "an evaluation takes only --policy. and --env. options of LeRobot"
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
ACCOUNT_VARIABLES = ("HF_USER", "HOME", "USER")
"""Variables in a line in quotes that are replaced by their values; the shell replaces those in other lines."""
VARIABLE_REASON = "variables of the environment are not part of a job"
MACHINES_REASON = "a job runs on one machine; --num-gpus is the number of its GPUs"
LAUNCHER_REASON = "robotrain starts the processes itself"
RESUME_NOTE = "the dataset and the options of that training are not read from its checkpoint: give them as well"
POLICY_NOTE = (
    "it must be an ACT or a Diffusion policy: robotrain trains no other, such as SmolVLA or pi0;"
    " for a Diffusion policy, add --policy-type diffusion"
)


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
    """Return the robotrain line for a line of LeRobot's.

    Raise Rejected if it names no program that is known, or a policy that robotrain does not train.
    """
    line = [VARIABLE.sub(_get_account_name, word) for word in split_line(line)]
    at, workload = _find_program(line, workloads)
    translator = _LineTranslator(workload, line[at + 1 :])
    translator.add_launcher(line[:at])
    translator.add_options()
    translator.check_policy_type()
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


class _LineTranslator:
    """Translator of one line, which collects the words and what has no equal."""

    def __init__(self, workload: Workload, options: Sequence[str]) -> None:
        self.workload = workload
        self.given = {name: value for name, value in split_options(options) if name}
        self.flags: list[str] = []
        self.rest: list[str] = []
        self.left_out: dict[str, str] = {}
        self.notes: dict[str, str] = {}

    def make_line(self) -> TranslatedLine:
        """Return the line."""
        named = () if self.workload.default else (self.workload.name,)
        rest = ["--", *self.rest] if self.rest else []
        words = ("robotrain", "submit", *named, "--platform", "PLATFORM", *self.flags, *rest)
        return TranslatedLine(words, self.left_out, self.notes)

    def add_launcher(self, words: Sequence[str]) -> None:
        """Translate what stands before the program: variables, and the options of a launcher."""
        for word in words:
            if match := re.match(r"([A-Z_][A-Z0-9_]*)=", word):
                self.left_out[match[1]] = VARIABLE_REASON
        launcher = next((index for index, word in enumerate(words) if word.split("/")[-1] in LAUNCHERS), len(words))
        for given, value in split_options(words[launcher:]):
            name = given.replace("-", "_")
            if name in LAUNCHER_OPTIONS and value:
                self.add_flag(f"--{given}", (LAUNCHER_OPTIONS[name], value))
            elif name in MACHINE_OPTIONS and value != "1":
                self.left_out[f"--{given}"] = MACHINES_REASON
            elif name and name not in (*MACHINE_OPTIONS, *IMPLIED_OPTIONS):
                self.left_out[f"--{given}"] = LAUNCHER_REASON

    def add_options(self) -> None:
        """Translate the options of the program."""
        for name, value in self.given.items():
            option, text = f"--{name}", value or ""
            if holds_secret(text):
                self.left_out[option] = SECRET_REASON
            elif not self.add_special(name, text):
                self.add_option(name, value)
            if (variable := VARIABLE.search(text)) and option not in self.left_out:
                self.notes[option] = f"{variable[0]} is not replaced by its value: write the value instead"
        is_checkpoint = "--resume-from" in self.flags
        if self.workload.name == TRAINING and POLICY in self.given and POLICY_TYPE not in self.given:
            self.notes[f"--{POLICY}"] = POLICY_NOTE
        elif is_checkpoint and DATASET not in self.given:
            self.notes[f"--{CONFIG}"] = RESUME_NOTE

    def check_policy_type(self) -> None:
        """Raise Rejected for a policy that robotrain does not train: no other is what the line asks for."""
        option, kind = f"--{POLICY_TYPE}", self.given.get(POLICY_TYPE)
        if self.workload.name == TRAINING and kind and option in self.left_out:
            title = f"robotrain does not train policies of the type {redact(kind)}"
            types = next(one.choices for one in get_parameters(self.workload.parameters) if one.name == "policy_type")
            why, way = f"It trains {' and '.join(types)}.", suggest_name(kind, types, prefix=f"{option}=")
            raise Rejected([make_usage_problem("value-invalid", title, option, why, redact(kind), way)])

    def add_special(self, name: str, value: str) -> bool:
        """Translate an option whose meaning depends on others; return whether it is one."""
        is_training = self.workload.name == TRAINING
        repository = next((one for one, revision in REVISIONS.items() if revision == name), "")
        if name == DATASET and self.given.get(DATASET_FOLDER):
            self.flags += ("--dataset-id", value)
        elif name in REVISIONS and REPOSITORY.fullmatch(value) and (revision := self.given.get(REVISIONS[name])):
            self.flags += _fill_in(self.workload.managed_options[f"--{name}"], value)
            self.flags[-1] += f"@{revision}"
        elif repository and REPOSITORY.fullmatch(self.given.get(repository) or ""):
            pass  # part of the repository's name
        elif name == CONFIG:
            self.add_configuration(value)
        elif name == RESUME:
            if value.lower() not in OFF_VALUES and CONFIG not in self.given:
                self.left_out[f"--{name}"] = RESUME_REASON
        elif is_training and (name.startswith(SIMULATOR_OPTIONS) or name == "eval_freq"):
            self.left_out[f"--{name}"] = SIMULATOR_REASON
        elif name == "policy.repo_id" and (self.given.get(PUSH) or "").lower() == "false":
            pass  # it names where the policy would be pushed to
        else:
            return False
        return True

    def add_configuration(self, value: str) -> None:
        """Translate `--config_path`: the checkpoint that a training continues from."""
        match = CHECKPOINT_CONFIG.fullmatch(value)
        if match and (self.given.get(RESUME) or "").lower() not in OFF_VALUES:
            self.flags += ("--resume-from", match["folder"])
        else:
            self.left_out[f"--{CONFIG}"] = CONFIG_REASON

    def add_option(self, name: str, value: str | None) -> None:
        """Translate an option whose meaning depends on no other."""
        option, hint = f"--{name}", self.workload.managed_options.get(f"--{name}")
        if hint is None:
            self.add_rest(name, option if value is None else f"{option}={value}")
        elif words := _fill_in(hint, value):
            self.add_flag(option, words)
        elif (value or "").lower() not in OFF_VALUES:
            self.left_out[option] = hint

    def add_flag(self, option: str, words: Sequence[str]) -> None:
        """Add the words for an option, unless a parameter does not take the value."""
        if refusal := _find_refusal(words, self.workload):
            self.left_out[option] = refusal
        else:
            self.flags += words

    def add_rest(self, name: str, argument: str) -> None:
        """Add an option that LeRobot is given as it is, unless it would be refused."""
        is_training = self.workload.name == TRAINING
        is_of_environment = name.startswith("env.")
        if not is_training and not name.startswith(("policy.", "env.")):
            self.left_out[f"--{name}"] = EVALUATION_REASON
        elif is_of_environment and (refused := self._find_environment_refusal()):
            self.left_out[f"--{name}"] = refused
        elif not is_of_environment and (problem := self._find_problem(argument)):
            way = f": use {problem.suggestion}" if problem.suggestion else ""
            self.left_out[f"--{name}"] = f"{problem.title}{way}"
        else:
            self.rest.append(argument)

    def _find_environment_refusal(self) -> str:
        env = self.given.get(ENVIRONMENT) or ""
        words = _fill_in(self.workload.managed_options[f"--{ENVIRONMENT}"], env)
        return _find_refusal(words, self.workload) if words else ""

    def _find_problem(self, argument: str) -> OptionProblem | None:
        kind = self.given.get(POLICY_TYPE)
        chosen = {"policy": kind or "act"} if self.workload.name == TRAINING and POLICY not in self.given else {}
        return next(option_tree.find_option_problems([argument], chosen, self.workload.managed_options), None)


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
            default = f"; without it, it is {parameter.default}" if parameter.default else ""
            return f"{flag} takes {' or '.join(parameter.choices)}{default}"
    return ""


app = make_line_app(from_lerobot)
