"""`robotrain from-isaaclab`: translate a line that starts Isaac Lab, and its launcher, to robotrain.

The options that robotrain sets itself are those of the declarations of its workloads; the rest goes behind `--`. A task
of 2.3 becomes its successor in 3.0, unless something in the line is of 2.3 alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import get_plugins
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain_workloads.isaac import script_options, tasks
from robotrain_workloads.isaac.parameters import CHECKPOINT_HINT, Backend
from robotrain_workloads.isaac.profile import PROGRAMS
from robotrain_workloads.isaac.script_options import Action, Script
from robotrain_workloads.line_translation.launchers import (
    EACH,
    LAUNCHERS,
    NODES,
    NONE,
    PLACE_REASON,
    VARIABLE_REASON,
    LaunchedLine,
    Launcher,
    read_launchers,
)
from robotrain_workloads.line_translation.translated_line import (
    LINE_HELP,
    SECRET_REASON,
    SHELL_REASON,
    TranslatedLine,
    cut_shell_words,
    make_line_app,
    print_line,
    split_line,
)

if TYPE_CHECKING:
    from robotrain.model.workload import Workload

make_problem = Messages(__file__)

TASK, BACKEND, CHECKPOINT, DISTRIBUTED = "--task", "--rl_library", "--checkpoint", "--distributed"
ITERATIONS, ENVIRONMENTS, RESUME, RUN = "--max_iterations", "--num_envs", "--resume", "--load_run"
LAB, SEVERAL_GPUS = "isaaclab", "train_multigpu"
ISAACLAB_LAUNCHERS: Mapping[str, Launcher] = {
    **{name: LAUNCHERS[name] for name in ("python", "uv", "torchrun", "srun")},
    LAB: Launcher(dict.fromkeys(("p", "python", "m"), NONE)),
}
COUNTS = {"--nproc_per_node": EACH, "--nnodes": NODES}
"""Options of `isaaclab train_multigpu`, which it hands to torchrun like all others of `MEETING`."""
MEETING = re.compile(r"--(?:node_rank|master_\w+|rdzv_\w+|max_restarts|monitor_interval|log_dir|tee|redirects|role)")
SWITCHES = ("--headless", DISTRIBUTED, RESUME, "--use_pretrained_checkpoint", "--cpu")
"""Those of scripts that robotrain's data do not list."""
VIDEO = "--video"
ASSET_ROOT = "ISAACSIM_ASSET_ROOT"
NUMBERED = re.compile(r"(?:.*/)?model_(\d+)\.pt")
"""A checkpoint of rsl_rl, with its iteration."""
SELECTORS = ("latest", "best", "last", "pretrained")
ASSETS_REASON = "a server's root is no source of a job: set it where the job runs, or give a copy with --assets FOLDER"
WINDOW_REASON = "a job shows no window"
ONE_PROCESS_REASON = "a line without torchrun is one process: --num-gpus N trains on N GPUs"
SPLIT_REASON = "without --distributed, each process would train on its own: add it, or leave the launcher out"
LIBRARY_REASON = "robotrain trains with {}"
VALUE_REASON = "it needs a value"
TASK_REASON = "it is missing, and Isaac Lab has no default"
LOGS_REASON = "it looks for the checkpoint in the folder logs of where the line runs: give the file, {}"
NOTHING_LOADED_REASON = "Isaac Lab 2.3 does not load it without --resume"
OPTIMIZER_REASON = "robotrain loads the checkpoint itself: --checkpoint-mode warm-start begins with a new optimizer"
SKRL_REASON = (
    "robotrain counts the iterations before the checkpoint too, and the file does not tell them: leave it out for"
    " the task's own, or give --max-iterations N to robotrain"
)
PLAYED_CHECKPOINT_REASON = (
    "it is missing, and play would take the newest of its folder logs: name the file, or type robotrain submit"
    " isaac-validate --checkpoint-uri RUN"
)
REAL_TIME_REASON = "nobody watches: episodes are played as fast as they can be"
ITERATIONS_NOTE = "Isaac Lab means {} more, robotrain {} in all, with those before the checkpoint"
ENVIRONMENTS_NOTE = "Isaac Lab simulates as many as the task says, robotrain 2048 together: --num-envs N says otherwise"
PLAY_NOTE = (
    "play shows the policy until it is stopped; isaac-validate plays 100 episodes and fails below a success rate of"
    " 0.7 (--eval-episodes, --success-threshold), and isaac-export writes the ONNX file that play writes"
)
VIDEO_NOTE = "Isaac Lab 3.0 records with Isaac Sim, or with --viz newton_gl and --with FILE.whl of moviepy 1.0.3"
SUCCESSOR_NOTE = "{} of Isaac Lab 2.3 is {} in 3.0; --isaac-version 2.3 --task {} is the one of 2.3"
VERSION_NOTE = "the line is one of Isaac Lab 2.3: {}"


def from_isaaclab(
    ctx: typer.Context,
    line: Annotated[list[str] | None, argument("-- LINE...", LINE_HELP)] = None,
    json: JsonOption = False,
) -> None:
    """Print the robotrain line that does what a line of Isaac Lab's train or play does.

    The line may begin with variables, python, isaaclab.sh -p, uv run, torchrun or srun. A task of Isaac Lab 2.3 becomes
    that of 3.0 in its place, unless the line has something that only 2.3 has. An option that changes nothing is left
    out, and named; a line that cannot mean the same is an error. Nothing is submitted.

    robotrain from-isaaclab -- isaaclab train --rl_library rsl_rl --task=Isaac-Cartpole-Direct --max_iterations=200
    """
    print_line(ctx, translate_isaaclab_line(line or [], ctx), json)


def translate_isaaclab_line(line: Sequence[str], ctx: typer.Context) -> TranslatedLine:
    """Return the robotrain line for a line of Isaac Lab's. Raise Rejected if it names no program that is known."""
    words = [word for word in split_line(line) if word.strip()]
    program = _find_program(words)
    name = "isaac-train" if program.action == "train" else "isaac-validate"
    options, following_words = cut_shell_words(words[program.at + 1 :])
    if not {"--help", "-h"}.isdisjoint(options):
        return TranslatedLine(("robotrain", "submit", name, "--help"), {})
    translation = ("robotrain", "from-isaaclab", "--", *program.words, *options)
    launched = read_launchers(words[: program.at], LaunchedLine(), translation, ISAACLAB_LAUNCHERS)
    translator = _Translator(get_plugins(ctx).workload(name), program, launched)
    if following_words:
        launched.left_out[" ".join(following_words)] = SHELL_REASON
    translator.read(options)
    translator.translate()
    return translator.make_line()


@dataclass(frozen=True)
class _Program:
    """The program of a line."""

    at: int
    """Where its word is."""
    words: tuple[str, ...]
    """What starts it alone."""
    action: Action
    library: str = ""
    """The one whose script it is; empty if an option says."""
    is_command: bool = False
    """Whether it is a subcommand of `isaaclab`, which 2.3 has not."""


def _find_program(words: Sequence[str]) -> _Program:
    """Return the program of a line. Raise Rejected if it has none that is translated."""
    for index, word in enumerate(words):
        previous_word = words[index - 1] if index else ""
        name = word.removeprefix("!")
        match = re.fullmatch(PROGRAMS, name)
        if match and match["action"]:
            return _Program(index, (name,), match["action"], match["library"] or "")  # type: ignore[arg-type]
        if word in ("train", "play", SEVERAL_GPUS) and re.fullmatch(rf"!?(?:.*/)?{LAB}(?:\.sh|\.bat)?", previous_word):
            action: Action = "play" if word == "play" else "train"
            return _Program(index, (LAB, word), action, is_command=True)
    raise Rejected([make_problem("command-unknown")])


@dataclass
class _Translator:
    """Translator of the options of one line."""

    workload: Workload
    program: _Program
    launched: LaunchedLine
    options: dict[str, str] = field(default_factory=dict)
    """Those that robotrain sets itself, with their values: `--num_envs`, `env.scene.num_envs`."""
    rest: list[str] = field(default_factory=list)
    """What goes behind `--`, as it was typed."""
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The words of robotrain's line, by flag."""
    version: str = "3.0"

    def read(self, words: Sequence[str]) -> None:
        """Read the options of the program."""
        remaining = list(words)
        switches = {*script_options.list_switches(), *SWITCHES}
        while remaining:
            word = remaining.pop(0)
            if find_secret_arguments([word]):
                self.launched.refused[word.partition("=")[0]] = SECRET_REASON
                continue
            option_name, equals, option_value = word.partition("=")
            typed_words = [word]
            if option_name.startswith("-") and not equals and option_name not in switches:
                if not remaining:
                    self.launched.refused[option_name] = VALUE_REASON
                    continue
                option_value = remaining.pop(0)
                typed_words.append(option_value)
            name = option_name.lstrip("+") if not option_name.startswith("-") else option_name
            if name in self.workload.managed_options or name in COUNTS:
                self.options[name] = option_value
            elif MEETING.fullmatch(name):
                self.launched.left_out[name] = PLACE_REASON
            else:
                self.rest += typed_words

    def translate(self) -> None:
        """Fill in the flags of robotrain's line."""
        self.add_variables()
        backend = self.options.pop(BACKEND, "") or self.program.library
        if backend and backend not in get_args(Backend):
            self.launched.refused[BACKEND] = LIBRARY_REASON.format(", ".join(get_args(Backend)))
        elif backend:
            self.flags["--backend"] = ("--backend", backend)
        self.add_task(self.options.pop(TASK, ""), backend)
        self.add_processes()
        self.add_checkpoint(backend)
        self.drop_options()
        if self.program.action == "play":
            self.launched.notes["play"] = PLAY_NOTE
            if VIDEO in self.options and self.version == "3.0":
                self.launched.notes[VIDEO] = VIDEO_NOTE
        elif not self.options.keys() & {ENVIRONMENTS, "env.scene.num_envs"}:
            self.launched.notes[ENVIRONMENTS] = ENVIRONMENTS_NOTE
        for name, option_value in self.options.items():
            hint = self.workload.managed_options[name]
            flag = hint.split(" ")[0]
            if flag != hint:  # its value is another one
                self.launched.refused[name] = f"robotrain has {hint} for it"
            else:
                self.flags[flag] = (flag,) if name in script_options.list_switches() else (flag, option_value)

    def add_variables(self) -> None:
        """Name the variables before the program; that of the assets becomes a source."""
        for name, variable_value in self.launched.variables.items():
            if name == ASSET_ROOT and "://" not in variable_value:
                self.flags["--assets"] = ("--assets", variable_value)
            else:
                self.launched.left_out[name] = ASSETS_REASON if name == ASSET_ROOT else VARIABLE_REASON

    def add_task(self, task: str, backend: str) -> None:
        """Choose the version of Isaac Lab, and the task's name in it."""
        if not task:
            self.launched.refused[TASK] = TASK_REASON
            return
        name = task.rpartition(":")[2]
        reason = "" if name in tasks.list_tasks("3.0") else self.find_earlier_sign(name, backend)
        self.flags[TASK] = (TASK, task)
        if reason:
            self.version = "2.3"
            self.flags["--isaac-version"] = ("--isaac-version", self.version)
            self.launched.notes["--isaac-version"] = VERSION_NOTE.format(reason)
        elif successor := tasks.find_counterpart(name, self.version):
            successor, _, preset = successor.partition(" ")
            self.flags[TASK] = (TASK, successor)
            selector = preset.partition("=")[0]
            if preset and not any(word.startswith(f"{selector}=") for word in self.rest):
                self.rest.append(preset)
            self.launched.notes[TASK] = SUCCESSOR_NOTE.format(name, successor, name)

    def find_earlier_sign(self, task: str, backend: str) -> str:
        """Return what says that a line is one of 2.3, where 3.0 does not bring the task; empty if nothing does."""
        is_known = task in tasks.list_tasks("2.3")
        if is_known and not tasks.find_counterpart(task, "3.0"):
            return f"3.0 has no task in place of {task}"
        if is_known and self.options.keys() & {CHECKPOINT, RESUME, RUN}:
            return f"its checkpoint is of {task}, and 3.0 may not read it"
        script = Script(self.program.action, {}, backend if backend in get_args(Backend) else "")
        earlier_options, later_options = (script.list_options(version) for version in ("2.3", "3.0"))
        fields = {*script.list_agent_fields("2.3")} - {*script.list_agent_fields("3.0")}
        for word in self.rest:
            name = word.partition("=")[0]
            is_option = (
                name in earlier_options and name not in later_options and name not in script_options.REPLACED_OPTIONS
            )
            if is_option or (name.startswith("agent.") and fields.intersection(name.split("."))):
                return f"3.0 has no {name}"
        if not is_known and not self.program.is_command:
            signs = [name for name in ("--headless", RESUME, RUN) if name in self.options]
            signs += [f"{self.program.library}/{self.program.action}.py"] if self.program.library else []
            return f"3.0 has no {signs[0]}" if signs else ""
        return ""

    def add_processes(self) -> None:
        """Add nodes and GPUs, as the launcher or `train_multigpu` says."""
        is_distributed = self.options.pop(DISTRIBUTED, None) is not None
        is_distributed |= SEVERAL_GPUS in self.program.words
        for option, words in self.launched.flags:
            self.flags[words[0]] = words
            if not is_distributed and words[1] != "1":
                self.launched.refused[option] = SPLIT_REASON
        for option, flag in (("--nnodes", "--num-nodes"), ("--nproc_per_node", "--num-gpus")):
            if number := self.options.pop(option, ""):
                self.flags[flag] = (flag, number)
        if is_distributed and "--num-gpus" not in self.flags:
            self.launched.left_out[DISTRIBUTED] = ONE_PROCESS_REASON

    def add_checkpoint(self, backend: str) -> None:
        """Add the checkpoint that a training starts from, or that is played."""
        is_training = self.program.action == "train"
        checkpoint = self.options.pop(CHECKPOINT, "")
        is_resumed = self.options.pop(RESUME, None) is not None
        run = self.options.pop(RUN, "")
        way = f"{CHECKPOINT_HINT} --checkpoint-mode resume" if is_training else CHECKPOINT_HINT
        if "--use_pretrained_checkpoint" in self.options:
            self.launched.refused["--use_pretrained_checkpoint"] = LOGS_REASON.format(way)
            del self.options["--use_pretrained_checkpoint"]
        elif self.version == "2.3" and is_training and backend == "rsl_rl" and not (is_resumed or run):
            if checkpoint:
                self.launched.left_out[CHECKPOINT] = NOTHING_LOADED_REASON
        elif is_resumed or run or checkpoint in SELECTORS:
            option = next(
                name for name, is_set in ((RESUME, is_resumed), (RUN, run), (CHECKPOINT, checkpoint)) if is_set
            )
            self.launched.refused[option] = LOGS_REASON.format(way)
        elif checkpoint:
            self.flags["--checkpoint-uri"] = ("--checkpoint-uri", checkpoint)
            if is_training:
                self.flags["--checkpoint-mode"] = ("--checkpoint-mode", "resume")
                self.count_iterations(checkpoint, backend)
        elif not is_training:
            self.launched.refused[CHECKPOINT] = PLAYED_CHECKPOINT_REASON

    def count_iterations(self, checkpoint: str, backend: str) -> None:
        """Add the iterations before the checkpoint to those of the line, which come after it."""
        more_iterations = self.options.get(ITERATIONS, "")
        match = NUMBERED.fullmatch(checkpoint)
        if not more_iterations.isdecimal():
            return
        if match and backend in ("", "rsl_rl"):
            self.options[ITERATIONS] = str(int(match[1]) + int(more_iterations))
            self.launched.notes[ITERATIONS] = ITERATIONS_NOTE.format(more_iterations, self.options[ITERATIONS])
        else:
            self.launched.refused[ITERATIONS] = SKRL_REASON

    def drop_options(self) -> None:
        """Leave out what a job does not need, and refuse what it cannot do."""
        if self.options.pop("--headless", None) is not None:
            self.launched.left_out["--headless"] = WINDOW_REASON
        for name in script_options.REPLACED_OPTIONS if self.version == "3.0" else ():
            if name in self.rest:
                self.rest.remove(name)
                self.launched.left_out[name] = script_options.REPLACED_OPTIONS[name].rstrip(".")
        if "--real-time" in self.rest:
            self.rest.remove("--real-time")
            self.launched.left_out["--real-time"] = REAL_TIME_REASON
        for name in ("--resume_optimizer_state", "--no-resume_optimizer_state"):
            if name in self.rest:
                self.launched.refused[name] = OPTIMIZER_REASON

    def make_line(self) -> TranslatedLine:
        """Return the line."""
        flags = [word for words in self.flags.values() for word in words]
        rest_words = ["--", *self.rest] if self.rest else []
        line_words = ("robotrain", "submit", self.workload.name, "--platform", "PLATFORM", *flags, *rest_words)
        launched = self.launched
        return TranslatedLine(line_words, launched.left_out, launched.notes, launched.refused)


app = make_line_app(from_isaaclab)
