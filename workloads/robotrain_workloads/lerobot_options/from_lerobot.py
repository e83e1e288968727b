"""`robotrain from-lerobot`: translate a line of lerobot-train or lerobot-eval, and of its launcher, to robotrain."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from robotrain.cli.arguments import JsonOption
from robotrain.cli.command_factory import get_plugins
from robotrain.config.resolve import fill_in_value
from robotrain.errors import Rejected, Suggestion, make_usage_problem
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.secret_rules import find_secret_arguments
from robotrain_runtime.contract.parameter import get_parameters

from robotrain_workloads.lerobot import file_formats
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.policy import CONFIG_FILE, find_model_folder, load_policy_settings
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE
from robotrain_workloads.lerobot.trained_model import LEARNING_RATES
from robotrain_workloads.lerobot_options import option_tree
from robotrain_workloads.translated_line import (
    SECRET_REASON,
    TranslatedLine,
    make_line_app,
    print_line,
    split_line,
)

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.manager import Plugins

ROBOTRAIN_API = 1
EXAMPLE = "robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=OWNER/NAME --steps=1000"
HELP_OPTIONS = ("--help", "-h")
ACCOUNT_VARIABLES = ("HF_USER", "HOME", "USER")
"""Variables in a line in quotes that are replaced by their values; the shell replaces those in other lines."""
REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
REPOSITORY_FLAG = "--policy-repo-id"
PLAIN_HINT = re.compile(r"--[a-z0-9, -]+")
"""What robotrain has for an option of LeRobot, if that is an option."""
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
LAUNCHER_OPTIONS = {
    "num_processes": "--num-gpus",
    "nproc_per_node": "--num-gpus",
    "mixed_precision": "--mixed-precision",
}
"""Options of `accelerate launch` and `torchrun`, which stand before the program."""
MACHINE_OPTIONS = ("num_machines", "nnodes")
IMPLIED_OPTIONS = ("multi_gpu", "standalone", "module", "dynamo_backend", "num_cpu_threads_per_process", "m")
"""Options of the launchers that robotrain sets itself, or does without."""
PLACE_OPTIONS = re.compile(r"(main|machine|node|master|rdzv|local)_.*|gpu_ids|max_restarts|log_dir|tee|redirects")
"""Options of the launchers that say where and how processes meet, not what they compute."""
LAUNCHERS = ("accelerate", "torchrun", "torch.distributed.run")
OFF_VALUES = ("false", "0", "no", "none", "null", "")
DATASET, DATASET_FOLDER, CONFIG, RESUME = "dataset.repo_id", "dataset.root", "config_path", "resume"
POLICY, POLICY_TYPE, PUSH, ENVIRONMENT = "policy.path", "policy.type", "policy.push_to_hub", "env.type"
REVISIONS = {DATASET: "dataset.revision", POLICY: "policy.pretrained_revision"}
"""The option with the revision of a repository, by the option that names the repository."""
CHECKPOINT_CONFIG = re.compile(
    r"(?P<folder>.+?)/(?:pretrained_model/train_config\.json|train_config\.json|pretrained_model/?)"
)
TRAINING = "lerobot-train"
SIMULATOR_OPTIONS = ("env.", "eval.")
PRESET_OPTION, BACKBONE = "use_policy_training_preset", "policy.pretrained_backbone_weights"
RATE, RATE_FLAG = "policy.optimizer_lr", "--learning-rate"
PRESET_OPTIONS = {"optimizer.lr": RATE, "scheduler.num_warmup_steps": "policy.scheduler_warmup_steps"}
"""Options that LeRobot replaces by those of the policy, if it trains by the policy's preset."""
USUAL_VALUES = {
    "save_checkpoint": ("true", "robotrain always saves checkpoints: --save_freq=N says how often"),
    "env.render_mode": ("rgb_array", "robotrain shows no window: it renders pictures, and --record-video keeps them"),
}
"""Options of which robotrain has one value alone: that, and the reason."""
SPEED_OPTIONS = ("eval.use_async_envs",)
NOT_SAVED = ("output_dir", "resume", CONFIG, *PRESET_OPTIONS, *PRESET_OPTIONS.values())
"""Options that a checkpoint's configuration does not give: robotrain chooses the folder, LeRobot resumes the rates."""
CONFIG_REASON = "robotrain reads no configuration file of LeRobot: give the values that you need as options"
RESUME_REASON = "robotrain resume RUN continues a run; --resume-from FOLDER continues from a checkpoint"
SIMULATOR_REASON = "training runs no simulator; afterwards: robotrain submit lerobot-eval --policy-run RUN --env NAME"
EVALUATION_REASON = "an evaluation takes only --policy. and --env. options of LeRobot"
VARIABLE_REASON = "variables of the environment are not part of a job"
MACHINES_REASON = "a job runs on one machine; --num-gpus is the number of its GPUs"
LAUNCHER_REASON = "robotrain starts the processes itself"
LAUNCHER_OPTION_REASON = (
    "robotrain starts the processes itself, and does not know what this option changes: it takes --num_processes and"
    " --mixed_precision"
)
SPEED_REASON = "it changes the speed alone: --env-workers N is the number of processes that simulate"
PRESET_REASON = "robotrain trains with the optimizer of the policy's preset"
RESUME_FILE_REASON = "the dataset and the options of that training are in {}, which cannot be read on this machine"
TYPE_REASON = (
    "{trained}, and the type of this policy is in its configuration, which cannot be read: {why};"
    " add --policy.type={example} to the line if it is one"
)
POLICY_REASON = "the line names no policy to train: add --policy.type=act, or --policy.path=OWNER/NAME"
REVISION_REASON = (
    "robotrain reads the folder of --dataset.root as it is: leave one of both options out; without the folder, it"
    " downloads the revision"
)
VALUE_REASON = "LeRobot refuses an option without a value"


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


class LineTranslator:
    """Translator of one line, which collects the words and what has no equal."""

    def __init__(self, workload: Workload, options: Sequence[str], kinds: Mapping[str, SourceKind]) -> None:
        self.workload, self.kinds = workload, kinds
        self.given = {name: value for name, value in split_options(options) if name}
        self.flags: dict[str, tuple[str, ...]] = {}
        """The words by their flag."""
        self.rest: list[str] = []
        self.left_out: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.refused = {value or "": "it is not an option" for name, value in split_options(options) if not name}

    @property
    def is_training(self) -> bool:
        """Whether the line trains."""
        return self.workload.name == TRAINING

    @property
    def is_resumed(self) -> bool:
        """Whether the line continues from a checkpoint."""
        return self.is_training and (self.given.get(RESUME) or "false").lower() not in OFF_VALUES

    def make_line(self) -> TranslatedLine:
        """Return the line."""
        named = () if self.workload.default else (self.workload.name,)
        rest = ["--", *self.rest] if self.rest else []
        flags = [word for words in self.flags.values() for word in words]
        words = ("robotrain", "submit", *named, "--platform", "PLATFORM", *flags, *rest)
        return TranslatedLine(words, self.left_out, self.notes, self.refused)

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
                self.refused[f"--{given}"] = MACHINES_REASON
            elif PLACE_OPTIONS.fullmatch(name):
                self.left_out[f"--{given}"] = LAUNCHER_REASON
            elif name and name not in (*MACHINE_OPTIONS, *IMPLIED_OPTIONS):
                self.refused[f"--{given}"] = LAUNCHER_OPTION_REASON

    def add_saved_options(self) -> None:
        """Add what the checkpoint that a training continues from says, as LeRobot does: its own configuration."""
        match = CHECKPOINT_CONFIG.fullmatch(self.given.get(CONFIG) or "")
        if not self.is_resumed or not match:
            return
        folder = Path(match["folder"])
        try:
            saved = read_saved_options(folder, self.workload.managed_options)
        except (OSError, ValueError):
            self.refused[f"--{CONFIG}"] = RESUME_FILE_REASON.format(folder / TRAIN_CONFIG_FILE)
            return
        for name, text in saved.items():
            if name not in NOT_SAVED:
                self.given.setdefault(name, text)

    def add_options(self) -> None:
        """Translate the options of the program."""
        for name, value in self.given.items():
            option, text = f"--{name}", value or ""
            if find_secret_arguments([f"{option}={text}"]):
                self.refused[option] = SECRET_REASON
            elif variable := VARIABLE.search(text):
                self.refused[option] = f"{variable[0]} is not replaced by its value: write the value instead"
            elif value is None:
                self.refused[option] = VALUE_REASON
            elif not self.add_special(name, text):
                self.add_option(name, text)

    def add_policy(self) -> None:
        """Add the type of the policy that a training starts from, and its learning rate."""
        if not self.is_training or self.is_resumed:
            return
        (kinds,) = (one.choices for one in get_parameters(self.workload.parameters) if one.name == "policy_type")
        trained, kind = f"robotrain trains {' and '.join(kinds)}", self.given.get(POLICY_TYPE)
        path = self.given.get(POLICY)
        if not path:
            if kind not in kinds:
                near = "".join(f": use {way.text}" for way in suggest_name(kind or "", kinds, f"--{POLICY_TYPE}="))
                self.refused[f"--{POLICY_TYPE}"] = f"{trained}, not {redact(kind)}{near}" if kind else POLICY_REASON
            return
        option, config = f"--{POLICY}", dict[str, Any]()
        try:
            config = {**read_policy_config(path, self.given.get(REVISIONS[POLICY]) or "", self.kinds)}
        except (OSError, ValueError) as error:
            if not kind:
                why = str(error).rstrip(".")
                self.refused[option] = TYPE_REASON.format(trained=trained, why=why, example=kinds[0])
                return
        found = str(config.get("type") or kind)
        if found not in kinds:
            self.refused[option] = f"{trained}, and this policy is of the type {redact(found)}"
        elif self.given.get(POLICY_TYPE, found) != found:
            self.refused[f"--{POLICY_TYPE}"] = f"the policy of {option} is of the type {found}"
        else:
            self.given[POLICY_TYPE] = found
            self.flags["--policy-type"] = ("--policy-type", found)
            if (rate := config.get("optimizer_lr")) is not None and RATE not in self.given:
                self.add_option(RATE, _format_number(rate))

    def add_defaults(self) -> None:
        """Add the values that LeRobot uses where none is given, if those of robotrain differ."""
        kind = self.given.get(POLICY_TYPE) or "act"
        if self.refused or (self.is_training and self.is_resumed):
            return
        parameters = {one.flag: one for one in get_parameters(self.workload.parameters)}
        for option, flag in self.workload.managed_options.items():
            default, parameter = option_tree.find_default(option.removeprefix("--"), kind), parameters.get(flag)
            if isinstance(default, bool) or not isinstance(default, int | float) or not parameter:
                continue
            least, own = parameter.param.gt, LEARNING_RATES.get(kind) if flag == RATE_FLAG else parameter.default
            if flag not in self.flags and own not in (None, default) and (least is None or default > least):
                self.flags[flag] = (flag, _format_number(default))
        weights = option_tree.find_default(BACKBONE, kind) if self.is_training and POLICY not in self.given else None
        if weights is not None and BACKBONE not in self.given:
            self.rest.append(f"--{BACKBONE}={weights}")

    def add_special(self, name: str, value: str) -> bool:
        """Translate an option whose meaning depends on others; return whether it is one."""
        repository = next((one for one, revision in REVISIONS.items() if revision == name), "")
        if name == DATASET and self.given.get(DATASET_FOLDER):
            self.flags["--dataset-id"] = ("--dataset-id", value)
        elif name == REVISIONS[DATASET] and self.given.get(DATASET_FOLDER):
            self.refused[f"--{name}"] = REVISION_REASON
        elif name in REVISIONS and REPOSITORY.fullmatch(value) and (revision := self.given.get(REVISIONS[name])):
            flag, words = _fill_in(self.workload.managed_options[f"--{name}"], value)
            self.flags[flag] = (flag, f"{words}@{revision}")
        elif repository and REPOSITORY.fullmatch(self.given.get(repository) or ""):
            pass  # part of the repository's name
        elif name == CONFIG:
            self.add_configuration(value)
        elif name == RESUME:
            if self.is_resumed and CONFIG not in self.given:
                self.refused[f"--{name}"] = RESUME_REASON
        elif name in USUAL_VALUES:
            usual, reason = USUAL_VALUES[name]
            self.refused |= {f"--{name}": reason} if value.lower() != usual else {}
        elif name in SPEED_OPTIONS:
            self.left_out[f"--{name}"] = SPEED_REASON
        elif name == PRESET_OPTION and value.lower() in OFF_VALUES:
            self.refused[f"--{name}"] = PRESET_REASON
        elif name in PRESET_OPTIONS:
            other = f"--{PRESET_OPTIONS[name]}, which the policy has"
            self.left_out[f"--{name}"] = (
                f"LeRobot replaces it by {'what the checkpoint has' if self.is_resumed else other}"
            )
        elif self.is_training and (name.startswith(SIMULATOR_OPTIONS) or name == "eval_freq"):
            self.left_out[f"--{name}"] = SIMULATOR_REASON
        elif name == "policy.repo_id" and (self.given.get(PUSH) or "").lower() == "false":
            pass  # it names where the policy would be pushed to
        else:
            return False
        return True

    def add_configuration(self, value: str) -> None:
        """Translate `--config_path`: the checkpoint that a training continues from."""
        match = CHECKPOINT_CONFIG.fullmatch(value)
        if match and self.is_resumed:
            self.flags["--resume-from"] = ("--resume-from", match["folder"])
        else:
            self.refused[f"--{CONFIG}"] = CONFIG_REASON

    def add_option(self, name: str, value: str) -> None:
        """Translate an option whose meaning depends on no other."""
        option, hint = f"--{name}", self.workload.managed_options.get(f"--{name}")
        if hint is None:
            self.add_rest(name, f"{option}={value}")
        elif words := _fill_in(hint, value):
            self.add_flag(option, words)
        elif value.lower() not in OFF_VALUES:
            self.left_out[option] = hint

    def add_flag(self, option: str, words: Sequence[str]) -> None:
        """Add the words for an option, unless a parameter does not take the value, or has another one."""
        flag = words[0]
        if refusal := _find_refusal(words, self.workload):
            self.refused[option] = refusal
        elif self.flags.get(flag, tuple(words)) != tuple(words):
            self.refused[option] = f"another option of the line gives {flag} another value"
        else:
            self.flags[flag] = tuple(words)

    def add_rest(self, name: str, argument: str) -> None:
        """Add an option that LeRobot is given as it is, unless it would be refused."""
        if not self.is_training and not name.startswith(("policy.", "env.")):
            refusal = EVALUATION_REASON
        elif name.startswith("env."):
            words = _fill_in(self.workload.managed_options[f"--{ENVIRONMENT}"], self.given.get(ENVIRONMENT) or "")
            refusal = _find_refusal(words, self.workload) if words else ""
        else:
            kind = self.given.get(POLICY_TYPE)
            chosen = {"policy": kind or "act"} if self.is_training and POLICY not in self.given else {}
            problem = next(option_tree.find_option_problems([argument], chosen, self.workload.managed_options), None)
            way = f": use {problem.suggestion}" if problem and problem.suggestion else ""
            refusal = f"{problem.title}{way}" if problem else ""
        if refusal:
            self.refused[f"--{name}"] = refusal
        else:
            self.rest.append(argument)


def _format_number(value: Any) -> str:
    return re.sub(r"e-0(\d)", r"e-\1", f"{value:g}") if isinstance(value, float) else str(value)


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


def read_policy_config(text: str, revision: str, kinds: Mapping[str, SourceKind]) -> Mapping[str, Any]:
    """Return the configuration of a policy: of a folder, or of a revision at the Hub, which is asked.

    Raise OSError or ValueError with a sentence.
    """
    folder = Path(text).expanduser()
    if folder.is_dir():
        return load_policy_settings(find_model_folder(folder))
    role = "policy"
    kind = next((one for one in kinds.values() if role in one.roles and one.roles[role].flag == REPOSITORY_FLAG), None)
    if kind is None or kind.pinning is None or not REPOSITORY.fullmatch(text):
        raise FileNotFoundError(f"{text} is not a folder of this machine")
    source = kind.parse(f"{text}@{revision}" if revision else text, Path.cwd())
    files = kind.pinning.read_files(source, role, kind.pinning.resolve(source, role), (CONFIG_FILE,))
    config: Any = json.loads(files.get(CONFIG_FILE, b"{}"))
    return config if isinstance(config, dict) else {}


def read_saved_options(checkpoint: Path, managed: Mapping[str, str]) -> dict[str, str]:
    """Return the values of those `managed` options that a checkpoint's configuration gives, by their names.

    Raise OSError or ValueError with a sentence.
    """
    saved = file_formats.read_json_object(checkpoint / TRAIN_CONFIG_FILE)
    values: dict[str, Any] = {}
    for name in (option.removeprefix("--") for option, hint in managed.items() if PLAIN_HINT.fullmatch(hint)):
        value: Any = saved
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        values[name] = value
    if not values.get("wandb.enable"):
        values.pop("wandb.project", None)
    texts = {name: str(value) for name, value in values.items() if value is not None}
    return {name: text.lower() if text in ("True", "False") else text for name, text in texts.items()}


app = make_line_app(from_lerobot)
