"""Translator of the options of lerobot-train and lerobot-eval to those of robotrain."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain_workloads.lerobot import option_tree, versions
from robotrain_workloads.lerobot.dataset import has_video, load_dataset_info
from robotrain_workloads.lerobot.feature_renames import RENAME_FLAG
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, is_true, read_known, read_value
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE
from robotrain_workloads.lerobot_options import (
    effective_options,
    option_reasons,
    other_versions,
)
from robotrain_workloads.lerobot_options.effective_options import PRECISION, format_value
from robotrain_workloads.lerobot_options.option_reasons import RATE_OPTIONS
from robotrain_workloads.lerobot_options.option_spelling import fill_in_hint
from robotrain_workloads.lerobot_options.program_line import (
    SECRET_VARIABLE,
    VARIABLE,
    ProgramLine,
    explain_data_home,
    fill_unknown_variables,
    find_job_variable,
)
from robotrain_workloads.lerobot_options.robotrain_line import OWN_PLACES, WANDB
from robotrain_workloads.lerobot_options.saved_config import REPOSITORY, read_saved_options
from robotrain_workloads.lerobot_options.trained_type import NOTHING_REASON, find_trained_type
from robotrain_workloads.lerobot_options.translated_options import (
    DATASET,
    DATASET_FOLDER,
    ENVIRONMENT,
    GROUPS,
    RESUME,
    TranslatedOptions,
)
from robotrain_workloads.line_translation.translated_line import SECRET_REASON

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind

CONFIG, PUSH, RENAME, VERSION_FLAG = "config_path", "push_to_hub", "rename_map", "--lerobot-version"
TASK, TASK_NUMBERS, TASKS_FLAG = "env.task", "env.task_ids", "--env-tasks"
STEPS, SAVE_FREQ, OUTPUT = "steps", "save_freq", "output_dir"
EXCLUDED, EXCLUDED_FLAG = "dataset.exclude_episodes", "--exclude-episodes"
PROJECT, WANDB_MODE = "wandb.project", "wandb.mode"
REVISIONS = {
    DATASET: "dataset.revision",
    "policy.path": "policy.pretrained_revision",
    "reward_model.path": "reward_model.pretrained_revision",
}
"""The option with the revision of a repository, by the option that names the repository."""
CHECKPOINT_CONFIG = re.compile(
    r"(?P<folder>.+?)/(?:pretrained_model/train_config\.json|train_config\.json|pretrained_model/?)"
)
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
TEXT_OPTIONS = frozenset({"output_dir", "root", "repo_id", "path", "config_path", "job_name", "project", "entity"})
"""Options of which a variable may be the whole value: any text will do until it is replaced."""
COMMAND_TEXT = re.compile(r"\$[({].*|`.*")
"""What a shell computes."""
TOLERANCE = "tolerance_s"
PROGRESS = "sample_weighting.progress_path"
PROGRESS_FILE = "sarm_progress.parquet"
"""The file that LeRobot weights samples with, if no option names another: it is beside the dataset's folders."""


class LineTranslator:
    """Translator of one line: the rules among its options."""

    def __init__(self, options: TranslatedOptions, program: ProgramLine, kinds: Mapping[str, "SourceKind"]) -> None:
        self.options, self.program, self.kinds = options, program, kinds

    def fill_variables(self) -> None:
        """Put a word in capitals in the place of a variable that nobody knows, in texts such as paths: `/data/USER`."""
        for name, option_text in self.options.texts.items():
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
            self.options.texts[name], self.options.notes[f"--{name}"] = fill_unknown_variables(option_text)

    def translate(self) -> None:
        """Translate the line, except for what robotrain does otherwise by default."""
        options = self.options
        self.fill_variables()
        self.add_saved_options()
        if options.is_training:
            self.add_type()
        for option, words in self.program.flags:
            options.add_flag(option, words)
        self.add_options()
        if DATASET_FOLDER not in options.texts and REPOSITORY.fullmatch(options.texts.get(DATASET) or ""):
            options.left_out |= explain_data_home(self.program, options.texts[DATASET] or "")
        if options.is_training:
            self.add_precision()
            self.add_tolerance_note()
        else:
            self.add_evaluation_defaults()

    def add_saved_options(self) -> None:
        """Add what the checkpoint that a training continues from says, as LeRobot does: its own configuration."""
        options = self.options
        match = CHECKPOINT_CONFIG.fullmatch(options.texts.get(CONFIG) or "")
        if not options.is_resumed or not match:
            return
        folder = Path(match["folder"])
        try:
            saved_options = read_saved_options(folder, options.workload.managed_options)
        except (OSError, ValueError):
            options.refused[f"--{CONFIG}"] = option_reasons.RESUME_FILE.format(folder / TRAIN_CONFIG_FILE)
            return
        for name, option_text in saved_options.items():
            if name not in NOT_SAVED:
                options.texts.setdefault(name, option_text)

    def add_type(self) -> None:
        """Add the version of LeRobot, and the type of what it trains."""
        options = self.options
        lerobot = options.trained.lerobot
        if lerobot.name != versions.get_version().name:
            options.flags[VERSION_FLAG] = (VERSION_FLAG, lerobot.name)
        if not options.is_resumed:
            options.trained = find_trained_type(options.texts, lerobot, self.kinds)
            options.refused |= options.trained.refused
        elif kind := options.texts.get("policy.type"):
            options.trained.kind = kind
        if options.trained.kind:
            options.flags[options.trained.flag] = (options.trained.flag, options.trained.kind)

    def add_options(self) -> None:
        """Translate the options of the program."""
        options = self.options
        for name, option_value in options.texts.items():
            option, option_text = f"--{name}", option_value or ""
            if find_secret_arguments([f"{option}={option_text}"]):
                options.refused[option] = SECRET_REASON
            elif option in options.refused:
                pass
            elif (job_variable := find_job_variable(option_text)) and name in OWN_PLACES:
                options.left_out[option] = option_reasons.JOB_VARIABLE_PLACE.format(job_variable)
            elif job_variable:
                options.refused[option] = option_reasons.JOB_VARIABLE.format(job_variable)
            elif variable := VARIABLE.search(option_text) or COMMAND_TEXT.search(option_text):
                options.refused[option] = f"{variable[0]} is not replaced by its value: write the value instead"
            elif option_value is None:
                options.refused[option] = option_reasons.VALUE
            elif name in GROUPS:
                meant_option = options.find_meant_option(name, option_text)
                options.refuse(option, option_reasons.GROUP.format(option, meant_option), meant_option)
            elif reason := self.find_fixed_reason(name, option_text):
                options.refused[option] = reason
            elif reason := self.find_idle_reason(name):
                options.left_out[option] = reason
            elif not self.add_special(name, option_text):
                options.add_option(name, option_text)
        if not options.meant.isdisjoint(TYPE_OPTIONS):
            options.refused = {option: reason for option, reason in options.refused.items() if reason != NOTHING_REASON}

    def find_fixed_reason(self, name: str, value: str) -> str:
        """Return why robotrain cannot do what an option says; empty if it may."""
        options = self.options
        if name in option_reasons.USUAL_VALUES:
            usual_value, reason = option_reasons.USUAL_VALUES[name]
            return reason if value.lower() != usual_value else ""
        if name == "policy.use_peft" and is_true(value) and not options.texts.get("policy.path"):
            return option_reasons.ADAPTER
        if name.endswith(f".{option_tree.PLUGINS_OPTION}"):
            return option_reasons.PACKAGES
        if name == REVISIONS[DATASET] and options.texts.get(DATASET_FOLDER):
            return option_reasons.REVISION
        if name == PRESET_OPTION and read_known(value, "bool") is False:
            return option_reasons.PRESET_OFF
        if name == CONFIG and not (options.is_resumed and CHECKPOINT_CONFIG.fullmatch(value)):
            return option_reasons.CONFIG
        if name == RESUME and options.is_resumed and CONFIG not in options.texts:
            return option_reasons.RESUME
        if name == PROGRESS and options.read_value(name) is not None and not self.is_dataset_file(value):
            return option_reasons.PROGRESS
        if value not in ("true", "false", "null") and option_tree.is_switch(name, options.trained.lerobot.name):
            return option_reasons.SWITCH
        return ""

    def is_dataset_file(self, path: str) -> bool:
        """Return whether a path is that of the file with which LeRobot weights the samples of the line's dataset."""
        dataset_places = (self.options.texts.get(DATASET_FOLDER), f"hf://datasets/{self.options.texts.get(DATASET)}")
        return any(folder and path == f"{folder.rstrip('/')}/{PROGRESS_FILE}" for folder in dataset_places)

    def find_idle_reason(self, name: str) -> str:
        """Return why an option changes nothing that is learned, or where it is to be given; empty if it may."""
        options = self.options
        if name in option_reasons.SPEED_OPTIONS:
            return option_reasons.SPEED_OPTIONS[name]
        if options.is_training and name in other_versions.DISK_OPTIONS:
            return other_versions.DISK_OPTIONS[name]
        if name.endswith(".device") and options.texts[name] == "mps":
            return option_reasons.MAC
        if name.startswith("job."):
            return option_reasons.PLACE
        if options.is_resumed and name in RATE_OPTIONS:
            return option_reasons.SAVED_RATE
        if options.is_training and not options.is_resumed and name.startswith(effective_options.PRESET_OPTIONS):
            is_on = options.texts.get(PRESET_OPTION) != "false"
            return option_reasons.explain_preset(name, options.texts[name], options.trained) if is_on else ""
        if options.is_training and (name.startswith(SIMULATOR_OPTIONS) or name == "eval_freq"):
            return option_reasons.SIMULATOR
        return ""

    def add_tolerance_note(self) -> None:
        """Say how far a frame may be off, if the line does not."""
        if TOLERANCE not in self.options.texts and not self.has_no_video:
            default_tolerance = format_value(option_tree.find_default(TOLERANCE, "", self.options.trained.lerobot.name))
            self.options.notes[f"--{TOLERANCE}"] = option_reasons.TOLERANCE_NOTE.format(default_tolerance)

    @property
    def has_no_video(self) -> bool:
        """Whether the line's dataset is a folder of this machine whose pictures are no videos."""
        folder = self.options.texts.get(DATASET_FOLDER) or self.options.texts.get(DATASET) or ""
        with suppress(OSError, ValueError):
            return not has_video(load_dataset_info(Path(folder).expanduser()))
        return False

    @property
    def saves_between(self) -> bool:
        """Whether checkpoints are saved before the end: 0 and less save none."""
        interval = self.options.read_value(SAVE_FREQ)
        return not isinstance(interval, int) or interval > 0

    def add_special(self, name: str, value: str) -> bool:
        """Translate an option whose meaning depends on others; return whether it is one."""
        options = self.options
        model, _, part = name.rpartition(".")
        repository = next((option for option, revision in REVISIONS.items() if revision == name), "")
        if name == DATASET and options.texts.get(DATASET_FOLDER):
            options.flags["--dataset-id"] = ("--dataset-id", value)
        elif name == DATASET and value.startswith("/"):  # LeRobot joins it to its own folder, which makes no difference
            options.flags["--dataset-path"] = ("--dataset-path", value)
        elif name in REVISIONS and REPOSITORY.fullmatch(value) and (revision := options.texts.get(REVISIONS[name])):
            flag, words = fill_in_hint(options.find_hint(name) or "", value)
            options.flags[flag] = (flag, f"{words}@{revision}")
        elif repository and REPOSITORY.fullmatch(options.texts.get(repository) or ""):
            pass  # part of the repository's name
        elif name == OUTPUT and value and not Path(value).expanduser().is_absolute():
            options.add_option(name, value)
            options.notes.setdefault(f"--{name}", option_reasons.OUTPUT_NOTE)
        elif name == CONFIG and (match := CHECKPOINT_CONFIG.fullmatch(value)):
            options.flags["--resume-from"] = ("--resume-from", match["folder"])
        elif name == WANDB_MODE:
            self.program.wandb_mode = value
        elif name == SAVE_FREQ and not self.saves_between:  # LeRobot saves at the end alone
            options.texts[name] = options.texts.get(STEPS) or str(
                option_tree.find_default(STEPS, "", options.tree.version)
            )
            options.add_option(name, options.texts[name] or "")
        elif name == EXCLUDED and options.is_training:
            self.add_excluded(value)
        elif name == RENAME:
            self.add_names()
        elif name in (TASK, TASK_NUMBERS) and options.texts.get(ENVIRONMENT) in options.trained.lerobot.read_tasks():
            self.add_tasks()
        elif name == WANDB and is_true(value) and PROJECT not in options.texts:
            options.add_option(name, value)
            options.add_option(
                PROJECT, format_value(option_tree.find_default(PROJECT, "", options.trained.lerobot.name))
            )
        elif model in effective_options.MODELS and part in ("repo_id", "private", "tags", "license"):
            is_pushed = (options.texts.get(f"{model}.{PUSH}") or "true").lower() != "false"
            options.left_out |= {f"--{name}": options.find_hint(f"{model}.{PUSH}") or ""} if is_pushed else {}
        else:
            is_fixed = name in (RESUME, CONFIG, PROGRESS, PRESET_OPTION, *option_reasons.USUAL_VALUES)
            is_type = (
                options.is_training and (part == "type" or part == "use_amp") and model in effective_options.MODELS
            )
            return is_fixed or is_type
        return True

    def add_names(self) -> None:
        """Translate `--rename_map`, a mapping."""
        options = self.options
        renames = options.read_value(RENAME)
        if not renames:
            return
        if not isinstance(renames, dict) or not all(isinstance(renames_text, str) for renames_text in renames.values()):
            options.refused[f"--{RENAME}"] = option_reasons.RENAME_FORM
        elif not options.texts.get("policy.path"):
            options.refused[f"--{RENAME}"] = option_reasons.RENAME
        else:
            renames_text = ",".join(f"{name}={renamed}" for name, renamed in renames.items())
            options.flags[RENAME_FLAG] = (RENAME_FLAG, renames_text)
            if options.is_training:
                options.notes[f"--{RENAME}"] = option_reasons.RENAME_NOTE.format(options.trained.lerobot.name)

    def add_excluded(self, value: str) -> None:
        """Translate the episodes that a newer LeRobot leaves out, a list."""
        episode_numbers = None
        with suppress(RefusedValue, UnreadValue):
            episode_numbers = read_value(value, {"any of": [{"each": "int"}, "null"]})
            if not episode_numbers:
                return
        if episode_numbers:
            self.options.add_flag(f"--{EXCLUDED}", (EXCLUDED_FLAG, ",".join(map(str, episode_numbers))))
        else:
            self.options.refused[f"--{EXCLUDED}"] = option_reasons.EXCLUDED_LIST

    def add_tasks(self) -> None:
        """Translate the tasks of an environment: groups and tasks by name, with the numbers of tasks in them."""
        options = self.options
        task_names = options.texts.get(TASK) or ""
        task_numbers = options.read_value(TASK_NUMBERS)
        if not task_numbers:
            tasks = task_names
        elif isinstance(task_numbers, list) and task_names:
            tasks = ",".join(
                f"{name}/{format_value(number)}" for name in task_names.split(",") for number in task_numbers
            )
        else:
            options.refused[f"--{TASK_NUMBERS}"] = option_reasons.TASK_NUMBERS
            return
        options.add_flag(f"--{TASK}", (TASKS_FLAG, tasks))

    def add_precision(self) -> None:
        """Add the number format, which the launcher and options of LeRobot decide together."""
        options = self.options
        model, lerobot, requested = options.trained.model, options.trained.lerobot.name, self.program.precision
        amp, option_values = f"{model}.use_amp", {**options.texts, f"{model}.type": options.trained.kind}
        other_options = {name: value for name, value in option_values.items() if name != amp}
        chosen_precision, usual_precision = (
            str(
                effective_options.compute_effective_options(
                    chosen_options, options.tree, options.trained.settings, launcher
                )[PRECISION]
            )
            for chosen_options, launcher in ((option_values, requested), (other_options, ""))
        )
        if chosen_precision != usual_precision:
            options.add_flag("--mixed_precision", ("--mixed-precision", chosen_precision))
        elif requested not in ("", chosen_precision):
            options.left_out["--mixed_precision"] = option_reasons.PRECISION.format(lerobot, options.trained.kind)
        if is_true(options.texts.get(amp)):
            if chosen_precision in ("no", requested):
                options.left_out[f"--{amp}"] = option_reasons.AMP.format(lerobot, options.trained.kind)
            elif f"{model}.device" not in options.texts:
                options.notes[f"--{amp}"] = option_reasons.AMP_NOTE

    def add_evaluation_defaults(self) -> None:
        """Add the values that LeRobot uses in an evaluation where none is given, if those of robotrain differ."""
        options = self.options
        parameters = {parameter.flag: parameter for parameter in options.parameters}
        for option, flag in options.workload.managed_options.items():
            default = option_tree.find_default(option.removeprefix("--"), "act", options.trained.lerobot.name)
            parameter = parameters.get(flag)
            if isinstance(default, bool) or not isinstance(default, int | float) or not parameter:
                continue
            lower_limit = parameter.param.gt
            is_taken = lower_limit is None or default > lower_limit
            if flag not in options.flags and parameter.default not in (None, default) and is_taken:
                options.flags[flag] = (flag, format_value(default))
