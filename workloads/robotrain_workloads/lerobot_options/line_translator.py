"""Translator of the options of lerobot-train and lerobot-eval to those of robotrain."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.cli.option_spelling import find_misspelt_option
from robotrain_runtime.contract.parameter import Parameter, get_parameters
from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain_workloads.lerobot import option_tree, versions
from robotrain_workloads.lerobot.dataset import has_video, load_dataset_info
from robotrain_workloads.lerobot.feature_renames import RENAME_FLAG
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, is_true, read_known, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE
from robotrain_workloads.lerobot_options import (
    effective_options,
    option_reasons,
    option_spelling,
    other_versions,
    rejected_options,
)
from robotrain_workloads.lerobot_options.effective_options import PRECISION, format_value
from robotrain_workloads.lerobot_options.option_reasons import RATE_OPTIONS
from robotrain_workloads.lerobot_options.option_spelling import fill_in_hint, find_refusal
from robotrain_workloads.lerobot_options.program_line import (
    SECRET_VARIABLE,
    VARIABLE,
    WANDB_MODE_VARIABLE,
    ProgramLine,
    explain_data_home,
    fill_unknown_variables,
    find_job_variable,
    list_variables,
    replace_variable,
)
from robotrain_workloads.lerobot_options.saved_config import REPOSITORY, read_saved_options
from robotrain_workloads.lerobot_options.trained_type import NOTHING_REASON, TrainedType, find_trained_type
from robotrain_workloads.line_translation.batch_options import BatchOptions
from robotrain_workloads.line_translation.translated_line import SECRET_REASON, TranslatedLine
from robotrain_workloads.option_kinds import get_suggested_text

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload

DATASET, DATASET_FOLDER, CONFIG, RESUME = "dataset.repo_id", "dataset.root", "config_path", "resume"
PUSH, ENVIRONMENT, RENAME, VERSION_FLAG = "push_to_hub", "env.type", "rename_map", "--lerobot-version"
TASK, TASK_NUMBERS, TASKS_FLAG = "env.task", "env.task_ids", "--env-tasks"
STEPS, SAVE_FREQ, OUTPUT = "steps", "save_freq", "output_dir"
EXCLUDED, EXCLUDED_FLAG = "dataset.exclude_episodes", "--exclude-episodes"
WANDB, PROJECT, WANDB_MODE = "wandb.enable", "wandb.project", "wandb.mode"
REVISIONS = {
    DATASET: "dataset.revision",
    "policy.path": "policy.pretrained_revision",
    "reward_model.path": "reward_model.pretrained_revision",
}
"""The option with the revision of a repository, by the option that names the repository."""
CHECKPOINT_CONFIG = re.compile(
    r"(?P<folder>.+?)/(?:pretrained_model/train_config\.json|train_config\.json|pretrained_model/?)"
)
TRAINING = "lerobot-train"
GROUPS = ("dataset", "env", *effective_options.MODELS)
"""What begins the names of options; as an option itself, LeRobot reads a file of options."""
TYPE_OPTIONS = [f"{model}.{name}" for model in effective_options.MODELS for name in ("type", "path")]
SIMULATOR_OPTIONS = ("env.", "eval.")
PRESET_OPTION = "use_policy_training_preset"
NOT_SAVED = (
    "output_dir",
    "resume",
    CONFIG,
    *RATE_OPTIONS,
    *(f"policy.{name}" for name in RATE_OPTIONS.values()),
)
"""Options that a checkpoint's configuration does not give: robotrain chooses the folder, LeRobot resumes the rates."""
NODES_FLAG = "--num-nodes"
TEXT_OPTIONS = frozenset({"output_dir", "root", "repo_id", "path", "config_path", "job_name", "project", "entity"})
"""Options of which a variable may be the whole value: any text will do until it is replaced."""
OWN_PLACES = ("output_dir", "job_name")
"""Options that each run of robotrain has a value of its own for."""
COMMAND_TEXT = re.compile(r"\$[({].*|`.*")
"""What a shell computes."""
TOLERANCE = "tolerance_s"
PROGRESS = "sample_weighting.progress_path"
PROGRESS_FILE = "sarm_progress.parquet"
"""The file that LeRobot weights samples with, if no option names another: it is beside the dataset's folders."""


class LineTranslator:
    """Translator of one line, which collects the words and what has no equal."""

    def __init__(
        self, workload: "Workload", options: Sequence[str], program: ProgramLine, kinds: Mapping[str, "SourceKind"]
    ) -> None:
        self.workload, self.kinds, self.program = workload, kinds, program
        self.trained = TrainedType(versions.get_version(program.version or None))
        given_options = [(name, option_value) for name, option_value in split_options(options) if name]
        self.given = {name: self.read_switch(name, option_value) for name, option_value in given_options}
        self.flags: dict[str, tuple[str, ...]] = {}
        """The words by their flag."""
        self.rest: list[str] = []
        self.left_out: dict[str, str] = program.left_out
        self.notes: dict[str, str] = program.notes
        self.refused: dict[str, str] = program.refused
        self.stand_ins: dict[str, str] = {}
        """Words that people replace, each with one that stands for it when the line is checked."""
        self.platform = "PLATFORM"
        self.platform_words: list[str] = []
        """Settings of the platform that a batch script asks for."""
        self.varied: dict[str, tuple[str, ...]] = {}
        """Values of parameters that a loop of a script gives, by the parameter's flag."""
        self.meant: set[str] = set()
        """LeRobot's options that refused words stand for."""
        for option_value in [option_value for name, option_value in split_options(options) if not name]:
            is_dash = option_value and re.match("-*[–—]", option_value)
            meant_option = re.sub(r"^\W+", "--", option_value or "") if is_dash else ""
            reason = option_reasons.DASH.format(meant_option) if meant_option else "it is not an option"
            self.refuse(option_value or ("--" if option_value is None else "''"), reason, meant_option)

    @property
    def is_training(self) -> bool:
        """Whether the line trains."""
        return self.workload.name == TRAINING

    @property
    def is_resumed(self) -> bool:
        """Whether the line continues from a checkpoint."""
        return self.is_training and is_true(self.given.get(RESUME))

    @property
    def tree(self) -> option_tree.OptionTree:
        """The options of the line's LeRobot."""
        return option_tree.load_option_tree(self.trained.lerobot.name)

    def refuse(self, word: str, reason: str, meant: str = "") -> None:
        """Refuse a word. `meant`: the option of LeRobot that it probably stands for."""
        self.refused[word] = reason
        self.meant.add(meant.partition("=")[0].removeprefix("--"))

    def read_switch(self, name: str, value: str | None) -> str | None:
        """Return `true` or `false` for a value that LeRobot reads so, as YAML: `yes`; any other value as it is."""
        with suppress(RefusedValue, UnreadValue):
            if value and option_tree.is_switch(name, self.trained.lerobot.name):
                return format_value(read_value(value, "bool"))
        return value

    def read_value(self, name: str) -> object:
        """Return what LeRobot makes of the line's value for an option; None if it has none."""
        return effective_options.read_value(self.tree, name, self.given.get(name), {})

    @cached_property
    def spellings(self) -> dict[str, str]:
        """LeRobot's options by what stands for them, once it is known what the line trains."""
        return option_spelling.list_spellings(self.workload, self.trained.model)

    def make_line(self) -> TranslatedLine:
        """Return the line."""
        workload_words = () if self.workload.default else (self.workload.name,)
        rest_words = ["--", *self.rest] if self.rest else []
        flags = [word for words in self.flags.values() for word in words]
        words = (
            "robotrain",
            "submit",
            *workload_words,
            "--platform",
            self.platform,
            *self.platform_words,
            *flags,
            *rest_words,
        )
        respell = partial(option_spelling.respell_problem, spellings=self.spellings)
        mode = self.program.wandb_mode
        is_logged = is_true(self.given.get(WANDB)) and mode not in ("", "null", "online")
        variables = {WANDB_MODE_VARIABLE: mode} if is_logged else {}
        if not self.varied:
            return TranslatedLine(words, self.left_out, self.notes, self.refused, respell, self.stand_ins, variables)
        fixed_words = [
            word for flag, flag_words in self.flags.items() if flag not in self.varied for word in flag_words
        ]
        varied_words = [
            word
            for flag, varied_values in self.varied.items()
            for word in ("--over", self.format_values(flag, varied_values))
        ]
        sweep = (
            "robotrain",
            "sweep",
            *workload_words,
            "--platform",
            self.platform,
            *self.platform_words,
            *fixed_words,
            *varied_words,
            *rest_words,
        )
        return TranslatedLine(
            sweep, self.left_out, self.notes, self.refused, respell, self.stand_ins, variables, checked=words
        )

    def format_values(self, flag: str, values: Sequence[str]) -> str:
        """Return the values of a parameter as a sweep takes them: `seed=1,2,3`."""
        name = next(parameter.name for parameter in self.parameters if parameter.flag == flag)
        return f"{name}={','.join(values)}"

    def add_batch_options(self, batch: BatchOptions) -> None:
        """Add what a batch script asks for besides its program."""
        self.platform = batch.platform or self.platform
        self.left_out |= batch.left_out
        self.refused |= batch.refused
        for option, words in batch.flags:
            if words[0] == NODES_FLAG:
                self.program.flags.append((option, (words[0], words[1])))
            else:
                self.platform_words += words

    def add_loops(self, loops: Mapping[str, Sequence[str]]) -> None:
        """Take what loops of a script vary as parameters of a sweep, and the first of their values for all else.

        :param loops: values by the variable of a loop that the line is in.
        """
        for variable, loop_values in loops.items():
            looped_options = [name for name, value in self.given.items() if variable in list_variables(value or "")]
            place_options = [name for name in looped_options if name in OWN_PLACES]
            self.left_out |= {f"--{name}": option_reasons.LOOP_PLACE for name in place_options}
            self.given = {name: value for name, value in self.given.items() if name not in place_options}
            for name in (name for name in looped_options if name not in place_options):
                option_text = self.given[name] or ""
                replaced_texts = tuple(replace_variable(option_text, variable, value) for value in loop_values)
                words = fill_in_hint(self.find_hint(name) or "", replaced_texts[0]) if replaced_texts else None
                flags = [parameter.flag for parameter in self.parameters]
                is_alone = len(looped_options) - len(place_options) == 1
                if (
                    is_alone
                    and words
                    and words[0] in flags
                    and not any("," in option_text for option_text in replaced_texts)
                ):
                    self.given[name] = replaced_texts[0]
                    self.varied[words[0]] = replaced_texts
                    self.notes[f"for {variable}"] = option_reasons.LOOP_NOTE
                else:
                    self.refused[f"--{name}"] = option_reasons.LOOP.format(variable)

    @cached_property
    def parameters(self) -> Sequence[Parameter]:
        """The parameters of the workload."""
        return get_parameters(self.workload.parameters)

    def fill_variables(self) -> None:
        """Put a word in capitals in the place of a variable that nobody knows, in texts such as paths: `/data/USER`."""
        for name, option_text in self.given.items():
            if (
                not option_text
                or not VARIABLE.search(option_text)
                or find_secret_arguments([f"--{name}={option_text}"])
            ):
                continue
            if find_job_variable(option_text):
                continue
            is_whole = VARIABLE.fullmatch(option_text)
            if is_whole and (name.rpartition(".")[2] not in TEXT_OPTIONS or SECRET_VARIABLE.search(option_text)):
                continue
            self.given[name], self.notes[f"--{name}"] = fill_unknown_variables(option_text)

    def translate(self) -> None:
        """Translate the line, except for what robotrain does otherwise by default."""
        self.fill_variables()
        self.add_saved_options()
        if self.is_training:
            self.add_type()
        for option, words in self.program.flags:
            self.add_flag(option, words)
        self.add_options()
        if DATASET_FOLDER not in self.given and REPOSITORY.fullmatch(self.given.get(DATASET) or ""):
            self.left_out |= explain_data_home(self.program, self.given[DATASET] or "")
        if self.is_training:
            self.add_precision()
            self.add_tolerance_note()
        else:
            self.add_evaluation_defaults()

    def add_saved_options(self) -> None:
        """Add what the checkpoint that a training continues from says, as LeRobot does: its own configuration."""
        match = CHECKPOINT_CONFIG.fullmatch(self.given.get(CONFIG) or "")
        if not self.is_resumed or not match:
            return
        folder = Path(match["folder"])
        try:
            saved_options = read_saved_options(folder, self.workload.managed_options)
        except (OSError, ValueError):
            self.refused[f"--{CONFIG}"] = option_reasons.RESUME_FILE.format(folder / TRAIN_CONFIG_FILE)
            return
        for name, option_text in saved_options.items():
            if name not in NOT_SAVED:
                self.given.setdefault(name, option_text)

    def add_type(self) -> None:
        """Add the version of LeRobot, and the type of what it trains."""
        lerobot = self.trained.lerobot
        if lerobot.name != versions.get_version().name:
            self.flags[VERSION_FLAG] = (VERSION_FLAG, lerobot.name)
        if not self.is_resumed:
            self.trained = find_trained_type(self.given, lerobot, self.kinds)
            self.refused |= self.trained.refused
        elif kind := self.given.get("policy.type"):
            self.trained.kind = kind
        if self.trained.kind:
            self.flags[self.trained.flag] = (self.trained.flag, self.trained.kind)

    def add_options(self) -> None:
        """Translate the options of the program."""
        for name, option_value in self.given.items():
            option, option_text = f"--{name}", option_value or ""
            if find_secret_arguments([f"{option}={option_text}"]):
                self.refused[option] = SECRET_REASON
            elif option in self.refused:
                pass
            elif (job_variable := find_job_variable(option_text)) and name in OWN_PLACES:
                self.left_out[option] = option_reasons.JOB_VARIABLE_PLACE.format(job_variable)
            elif job_variable:
                self.refused[option] = option_reasons.JOB_VARIABLE.format(job_variable)
            elif variable := VARIABLE.search(option_text) or COMMAND_TEXT.search(option_text):
                self.refused[option] = f"{variable[0]} is not replaced by its value: write the value instead"
            elif option_value is None:
                self.refused[option] = option_reasons.VALUE
            elif name in GROUPS:
                meant_option = self.find_meant_option(name, option_text)
                self.refuse(option, option_reasons.GROUP.format(option, meant_option), meant_option)
            elif reason := self.find_fixed_reason(name, option_text):
                self.refused[option] = reason
            elif reason := self.find_idle_reason(name):
                self.left_out[option] = reason
            elif not self.add_special(name, option_text):
                self.add_option(name, option_text)
        if not self.meant.isdisjoint(TYPE_OPTIONS):
            self.refused = {option: reason for option, reason in self.refused.items() if reason != NOTHING_REASON}

    def find_fixed_reason(self, name: str, value: str) -> str:
        """Return why robotrain cannot do what an option says; empty if it may."""
        if name in option_reasons.USUAL_VALUES:
            usual_value, reason = option_reasons.USUAL_VALUES[name]
            return reason if value.lower() != usual_value else ""
        if name == "policy.use_peft" and is_true(value) and not self.given.get("policy.path"):
            return option_reasons.ADAPTER
        if name.endswith(f".{option_tree.PLUGINS_OPTION}"):
            return option_reasons.PACKAGES
        if name == REVISIONS[DATASET] and self.given.get(DATASET_FOLDER):
            return option_reasons.REVISION
        if name == PRESET_OPTION and read_known(value, "bool") is False:
            return option_reasons.PRESET_OFF
        if name == CONFIG and not (self.is_resumed and CHECKPOINT_CONFIG.fullmatch(value)):
            return option_reasons.CONFIG
        if name == RESUME and self.is_resumed and CONFIG not in self.given:
            return option_reasons.RESUME
        if name == PROGRESS and self.read_value(name) is not None and not self.is_dataset_file(value):
            return option_reasons.PROGRESS
        if value not in ("true", "false", "null") and option_tree.is_switch(name, self.trained.lerobot.name):
            return option_reasons.SWITCH
        return ""

    def is_dataset_file(self, path: str) -> bool:
        """Return whether a path is that of the file with which LeRobot weights the samples of the line's dataset."""
        dataset_places = (self.given.get(DATASET_FOLDER), f"hf://datasets/{self.given.get(DATASET)}")
        return any(folder and path == f"{folder.rstrip('/')}/{PROGRESS_FILE}" for folder in dataset_places)

    def find_idle_reason(self, name: str) -> str:
        """Return why an option changes nothing that is learned, or where it is to be given; empty if it may."""
        if name in option_reasons.SPEED_OPTIONS:
            return option_reasons.SPEED_OPTIONS[name]
        if self.is_training and name in other_versions.DISK_OPTIONS:
            return other_versions.DISK_OPTIONS[name]
        if name.endswith(".device") and self.given[name] == "mps":
            return option_reasons.MAC
        if name.startswith("job."):
            return option_reasons.PLACE
        if self.is_resumed and name in RATE_OPTIONS:
            return option_reasons.SAVED_RATE
        if self.is_training and not self.is_resumed and name.startswith(effective_options.PRESET_OPTIONS):
            is_on = self.given.get(PRESET_OPTION) != "false"
            return option_reasons.explain_preset(name, self.given[name], self.trained) if is_on else ""
        if self.is_training and (name.startswith(SIMULATOR_OPTIONS) or name == "eval_freq"):
            return option_reasons.SIMULATOR
        return ""

    def add_tolerance_note(self) -> None:
        """Say how far a frame may be off, if the line does not."""
        if TOLERANCE not in self.given and not self.has_no_video:
            default_tolerance = format_value(option_tree.find_default(TOLERANCE, "", self.trained.lerobot.name))
            self.notes[f"--{TOLERANCE}"] = option_reasons.TOLERANCE_NOTE.format(default_tolerance)

    @property
    def has_no_video(self) -> bool:
        """Whether the line's dataset is a folder of this machine whose pictures are no videos."""
        folder = self.given.get(DATASET_FOLDER) or self.given.get(DATASET) or ""
        with suppress(OSError, ValueError):
            return not has_video(load_dataset_info(Path(folder).expanduser()))
        return False

    @property
    def saves_between(self) -> bool:
        """Whether checkpoints are saved before the end: 0 and less save none."""
        interval = self.read_value(SAVE_FREQ)
        return not isinstance(interval, int) or interval > 0

    def add_special(self, name: str, value: str) -> bool:
        """Translate an option whose meaning depends on others; return whether it is one."""
        model, _, part = name.rpartition(".")
        repository = next((option for option, revision in REVISIONS.items() if revision == name), "")
        if name == DATASET and self.given.get(DATASET_FOLDER):
            self.flags["--dataset-id"] = ("--dataset-id", value)
        elif name == DATASET and value.startswith("/"):  # LeRobot joins it to its own folder, which makes no difference
            self.flags["--dataset-path"] = ("--dataset-path", value)
        elif name in REVISIONS and REPOSITORY.fullmatch(value) and (revision := self.given.get(REVISIONS[name])):
            flag, words = fill_in_hint(self.find_hint(name) or "", value)
            self.flags[flag] = (flag, f"{words}@{revision}")
        elif repository and REPOSITORY.fullmatch(self.given.get(repository) or ""):
            pass  # part of the repository's name
        elif name == OUTPUT and value and not Path(value).expanduser().is_absolute():
            self.add_option(name, value)
            self.notes.setdefault(f"--{name}", option_reasons.OUTPUT_NOTE)
        elif name == CONFIG and (match := CHECKPOINT_CONFIG.fullmatch(value)):
            self.flags["--resume-from"] = ("--resume-from", match["folder"])
        elif name == WANDB_MODE:
            self.program.wandb_mode = value
        elif name == SAVE_FREQ and not self.saves_between:  # LeRobot saves at the end alone
            self.given[name] = self.given.get(STEPS) or str(option_tree.find_default(STEPS, "", self.tree.version))
            self.add_option(name, self.given[name] or "")
        elif name == EXCLUDED and self.is_training:
            self.add_excluded(value)
        elif name == RENAME:
            self.add_names()
        elif name in (TASK, TASK_NUMBERS) and self.given.get(ENVIRONMENT) in self.trained.lerobot.read_tasks():
            self.add_tasks()
        elif name == WANDB and is_true(value) and PROJECT not in self.given:
            self.add_option(name, value)
            self.add_option(PROJECT, format_value(option_tree.find_default(PROJECT, "", self.trained.lerobot.name)))
        elif model in effective_options.MODELS and part in ("repo_id", "private", "tags", "license"):
            is_pushed = (self.given.get(f"{model}.{PUSH}") or "true").lower() != "false"
            self.left_out |= {f"--{name}": self.find_hint(f"{model}.{PUSH}") or ""} if is_pushed else {}
        else:
            is_fixed = name in (RESUME, CONFIG, PROGRESS, PRESET_OPTION, *option_reasons.USUAL_VALUES)
            is_type = self.is_training and (part == "type" or part == "use_amp") and model in effective_options.MODELS
            return is_fixed or is_type
        return True

    def add_names(self) -> None:
        """Translate `--rename_map`, a mapping."""
        renames = self.read_value(RENAME)
        if not renames:
            return
        if not isinstance(renames, dict) or not all(isinstance(renames_text, str) for renames_text in renames.values()):
            self.refused[f"--{RENAME}"] = option_reasons.RENAME_FORM
        elif not self.given.get("policy.path"):
            self.refused[f"--{RENAME}"] = option_reasons.RENAME
        else:
            renames_text = ",".join(f"{name}={renamed}" for name, renamed in renames.items())
            self.flags[RENAME_FLAG] = (RENAME_FLAG, renames_text)
            if self.is_training:
                self.notes[f"--{RENAME}"] = option_reasons.RENAME_NOTE.format(self.trained.lerobot.name)

    def add_excluded(self, value: str) -> None:
        """Translate the episodes that a newer LeRobot leaves out, a list."""
        episode_numbers = None
        with suppress(RefusedValue, UnreadValue):
            episode_numbers = read_value(value, {"any of": [{"each": "int"}, "null"]})
            if not episode_numbers:
                return
        if episode_numbers:
            self.add_flag(f"--{EXCLUDED}", (EXCLUDED_FLAG, ",".join(map(str, episode_numbers))))
        else:
            self.refused[f"--{EXCLUDED}"] = option_reasons.EXCLUDED_LIST

    def add_tasks(self) -> None:
        """Translate the tasks of an environment: groups and tasks by name, with the numbers of tasks in them."""
        task_names = self.given.get(TASK) or ""
        task_numbers = self.read_value(TASK_NUMBERS)
        if not task_numbers:
            tasks = task_names
        elif isinstance(task_numbers, list) and task_names:
            tasks = ",".join(
                f"{name}/{format_value(number)}" for name in task_names.split(",") for number in task_numbers
            )
        else:
            self.refused[f"--{TASK_NUMBERS}"] = option_reasons.TASK_NUMBERS
            return
        self.add_flag(f"--{TASK}", (TASKS_FLAG, tasks))

    def find_hint(self, name: str) -> str | None:
        """Return what robotrain has for an option that it sets itself; None for another option."""
        managed_options = self.workload.managed_options
        model, _, part = name.rpartition(".")
        policy_flag = f"--policy.{part}" if model == "reward_model" else ""
        return managed_options.get(f"--{name}", managed_options.get(policy_flag))

    def add_option(self, name: str, value: str) -> None:
        """Translate an option whose meaning depends on no other."""
        option, hint = f"--{name}", self.find_hint(name)
        if hint is None:
            self.add_rest(name, value)
        elif words := fill_in_hint(hint, value):
            self.add_flag(option, words)
        elif self.read_value(name):
            self.left_out[option] = hint

    def add_flag(self, option: str, words: Sequence[str]) -> None:
        """Add the words for an option, unless a parameter does not take the value, or has another one."""
        flag = words[0]
        if refusal := find_refusal(words, self.workload):
            self.refused[option] = refusal
        elif self.flags.get(flag, tuple(words)) != tuple(words):
            self.refused[option] = f"another option of the line gives {flag} another value"
        else:
            self.flags[flag] = tuple(words)

    def add_rest(self, name: str, value: str) -> None:
        """Add an option that LeRobot is given as it is, unless it would be refused."""
        option, argument, refusal = f"--{name}", f"--{name}={value}", ""
        if not self.is_training and not name.startswith(("policy.", "env.")):
            refusal = option_reasons.EVALUATION
        elif name.startswith("env."):
            words = fill_in_hint(self.workload.managed_options[f"--{ENVIRONMENT}"], self.given.get(ENVIRONMENT) or "")
            refusal = find_refusal(words, self.workload) if words else ""
        else:
            trained_type = self.trained
            chosen_type = {trained_type.model: trained_type.kind} if self.is_training and trained_type.kind else {}
            managed_options = dict.fromkeys(self.workload.managed_options, "")
            version = trained_type.lerobot.name
            if problem := next(
                rejected_options.find_option_problems([argument], chosen_type, managed_options, version), None
            ):
                is_unknown = (
                    bool(trained_type.kind) and trained_type.kind not in trained_type.types
                )  # it has no option to offer
                meant_option = (
                    self.find_meant_option(name, value)
                    or get_suggested_text(problem)
                    or self.find_near_option(name, value)
                )
                is_refused = (
                    any(rejected_options.find_option_problems([meant_option], chosen_type, {}, version))
                    if meant_option
                    else True
                )
                hint = self.find_program_hint(name)
                way = "" if hint or is_refused or is_unknown else f": use {meant_option}"
                problem_reason = f"; {problem.why.rstrip('.')}" if problem.why.startswith("LeRobot ") else ""
                self.refuse(option, f"{problem.title}{problem_reason or way or hint}", meant_option if way else "")
                return
            if name in self.list_backbone_options():
                argument, refusal = self.add_backbone(name, value)
        if refusal:
            self.refused[option] = refusal
        else:
            self.rest.append(argument)

    def find_meant_option(self, name: str, value: str) -> str:
        """Return LeRobot's option for one of robotrain's or another trainer's, or for a group; empty if it is none."""
        if name == "dataset":
            return f"--{DATASET if REPOSITORY.fullmatch(value) else DATASET_FOLDER}={value}"
        if name in GROUPS:
            is_path = name != "env" and value not in self.trained.types
            return f"--{name}.{'path' if is_path else 'type'}={value}"
        if option_tree.has_option(corrected_name := name.replace("-", "_"), {}, self.trained.lerobot.name):
            return f"--{corrected_name}={value}" if corrected_name != name else ""
        return self.respell_option(f"--{name.replace('_', '-')}", value)

    def respell_option(self, flag: str, value: str) -> str:
        """Return LeRobot's option for one of robotrain's with this value; empty if none means it."""
        option = self.spellings.get(flag, "")
        words = fill_in_hint(self.workload.managed_options.get(option, ""), value)
        return f"{option}={value}" if words and not find_refusal(words, self.workload) else ""

    def find_near_option(self, name: str, value: str) -> str:
        """Return LeRobot's option for a misspelt one of robotrain's; empty if there is none."""
        return self.respell_option(find_misspelt_option(f"--{name}", self.spellings), value)

    def find_program_hint(self, name: str) -> str:
        """Return what is said of an option of another trainer that no option stands for; empty for others."""
        flag = f"--{name.replace('_', '-')}"
        hint = "" if flag in self.spellings else self.workload.option_hints.get(flag, "")
        is_respelled = all(flag in self.spellings for flag in option_spelling.FLAG.findall(hint))
        return f": {option_spelling.respell(hint, self.spellings)}" if hint and is_respelled else ""

    def list_backbone_options(self) -> set[str]:
        """Return the options that name a repository of the type's backbone or tokenizer."""
        repositories = self.trained.facts.repositories.values() if self.is_training else ()
        return {f"{self.trained.model}.{option}" for repository in repositories for option in repository.options}

    def add_backbone(self, name: str, value: str) -> tuple[str, str]:
        """Add the folder that an option names; return the argument for LeRobot, or else why there is none."""
        folder = Path(value).expanduser()
        repository = "/".join(folder.absolute().parts[-2:])
        if folder.is_dir() and REPOSITORY.fullmatch(repository):
            words = self.flags.get("--backbone-path", ())
            folders = {Path(word).expanduser().absolute() for word in words}  # two options may read one backbone
            self.flags["--backbone-path"] = (
                words if folder.absolute() in folders else (*words, "--backbone-path", value)
            )
            self.given[name] = repository
            return f"--{name}={repository}", ""
        is_named = REPOSITORY.fullmatch(value) or not self.read_value(name)
        return f"--{name}={value}", "" if is_named else option_reasons.BACKBONE

    def add_precision(self) -> None:
        """Add the number format, which the launcher and options of LeRobot decide together."""
        model, lerobot, requested = self.trained.model, self.trained.lerobot.name, self.program.precision
        amp, option_values = f"{model}.use_amp", {**self.given, f"{model}.type": self.trained.kind}
        other_options = {name: value for name, value in option_values.items() if name != amp}
        chosen_precision, usual_precision = (
            str(
                effective_options.compute_effective_options(options, self.tree, self.trained.settings, launcher)[
                    PRECISION
                ]
            )
            for options, launcher in ((option_values, requested), (other_options, ""))
        )
        if chosen_precision != usual_precision:
            self.add_flag("--mixed_precision", ("--mixed-precision", chosen_precision))
        elif requested not in ("", chosen_precision):
            self.left_out["--mixed_precision"] = option_reasons.PRECISION.format(lerobot, self.trained.kind)
        if is_true(self.given.get(amp)):
            if chosen_precision in ("no", requested):
                self.left_out[f"--{amp}"] = option_reasons.AMP.format(lerobot, self.trained.kind)
            elif f"{model}.device" not in self.given:
                self.notes[f"--{amp}"] = option_reasons.AMP_NOTE

    def add_evaluation_defaults(self) -> None:
        """Add the values that LeRobot uses in an evaluation where none is given, if those of robotrain differ."""
        parameters = {parameter.flag: parameter for parameter in self.parameters}
        for option, flag in self.workload.managed_options.items():
            default = option_tree.find_default(option.removeprefix("--"), "act", self.trained.lerobot.name)
            parameter = parameters.get(flag)
            if isinstance(default, bool) or not isinstance(default, int | float) or not parameter:
                continue
            lower_limit = parameter.param.gt
            is_taken = lower_limit is None or default > lower_limit
            if flag not in self.flags and parameter.default not in (None, default) and is_taken:
                self.flags[flag] = (flag, format_value(default))
