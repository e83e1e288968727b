"""What the options of a line become, one by one: flags of robotrain, options after `--`, or a reason."""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from robotrain.model.workload import Workload
from robotrain.nearest_name import find_nearest_name
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain_workloads.lerobot import option_tree, versions
from robotrain_workloads.lerobot.option_values import RefusedValue, UnreadValue, is_true, read_value
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot_options import (
    effective_options,
    option_reasons,
    option_spelling,
    rejected_options,
)
from robotrain_workloads.lerobot_options.effective_options import format_value
from robotrain_workloads.lerobot_options.option_spelling import fill_in_hint, find_refusal
from robotrain_workloads.lerobot_options.program_line import ProgramLine
from robotrain_workloads.lerobot_options.saved_config import REPOSITORY
from robotrain_workloads.lerobot_options.trained_type import TrainedType
from robotrain_workloads.option_kinds import get_suggested_text

TRAINING = "lerobot-train"
DATASET, DATASET_FOLDER, ENVIRONMENT, RESUME = "dataset.repo_id", "dataset.root", "env.type", "resume"
GROUPS = ("dataset", "env", *effective_options.MODELS)
"""What begins the names of options; as an option itself, LeRobot reads a file of options."""


class TranslatedOptions:
    """The options of a line, and what each of them has become so far."""

    def __init__(self, workload: "Workload", options: Sequence[str], program: ProgramLine) -> None:
        self.workload = workload
        self.trained = TrainedType(versions.get_version(program.version or None))
        given_options = [(name, option_text) for name, option_text in split_options(options) if name]
        self.texts = {name: self.read_switch(name, option_text) for name, option_text in given_options}
        """What the line gives its options, by their names."""
        self.flags: dict[str, tuple[str, ...]] = {}
        """The words by their flag."""
        self.rest: list[str] = []
        self.left_out: dict[str, str] = program.left_out
        self.notes: dict[str, str] = program.notes
        self.refused: dict[str, str] = program.refused
        self.meant: set[str] = set()
        """LeRobot's options that refused words stand for."""
        for option_text in [option_text for name, option_text in split_options(options) if not name]:
            is_dash = option_text and re.match("-*[–—]", option_text)
            meant_option = re.sub(r"^\W+", "--", option_text or "") if is_dash else ""
            reason = option_reasons.DASH.format(meant_option) if meant_option else "it is not an option"
            self.refuse(option_text or ("--" if option_text is None else "''"), reason, meant_option)

    @property
    def is_training(self) -> bool:
        """Whether the line trains."""
        return self.workload.name == TRAINING

    @property
    def is_resumed(self) -> bool:
        """Whether the line continues from a checkpoint."""
        return self.is_training and is_true(self.texts.get(RESUME))

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
        return effective_options.read_value(self.tree, name, self.texts.get(name), {})

    @cached_property
    def parameters(self) -> Sequence[Parameter]:
        """The parameters of the workload."""
        return get_parameters(self.workload.parameters)

    @cached_property
    def spellings(self) -> dict[str, str]:
        """LeRobot's options by what stands for them, once it is known what the line trains."""
        return option_spelling.list_spellings(self.workload, self.trained.model)

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
            words = fill_in_hint(self.workload.managed_options[f"--{ENVIRONMENT}"], self.texts.get(ENVIRONMENT) or "")
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
                way = "" if is_refused or is_unknown else f": use {meant_option}"
                problem_reason = f"; {problem.why.rstrip('.')}" if problem.why.startswith("LeRobot ") else ""
                self.refuse(option, f"{problem.title}{problem_reason or way}", meant_option if way else "")
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
        return self.respell_option(find_nearest_name(f"--{name}", self.spellings) or "", value)

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
            self.texts[name] = repository
            return f"--{name}={repository}", ""
        is_named = REPOSITORY.fullmatch(value) or not self.read_value(name)
        return f"--{name}={value}", "" if is_named else option_reasons.BACKBONE
