"""Ask LeRobot whether it accepts the options of a training: `python -m …option_check --OPTION=VALUE …`.

It reads its options with its own parser, builds the configuration of the training, and compares it with the description
of the dataset, as the trainer does before it loads anything. No weights are read.
"""

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from robotrain_runtime.contract.verdict import Verdict, emit_verdict

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.options import (
    ConfigurationRefused,
    find_rejected_options,
    get_option_value,
    split_options,
)
from robotrain_workloads.lerobot.warm_up import quick_imports
from robotrain_workloads.lerobot_train import launcher

POLICIES, REWARD_MODELS = "lerobot.policies", "lerobot.rewards"
"""Packages that declare all types of policies, and of reward models."""
HUB_ERRORS = ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "HfHubHTTPError", "EntryNotFoundError")
"""Errors of the library of the Hub."""
REFUSALS = (ValueError, TypeError, NotImplementedError, ArithmeticError)
PLAIN_OPTIMIZERS = ("adam", "adamw", "sgd")
"""Optimizers that take any list of weights."""
MOST_TRIED = 4
"""Options that are left out in turn, to find the one that LeRobot refuses: it reads its options in half a second."""
JOB_OPTIONS = re.compile(
    r"--(?:dataset\.(?:repo_|root|revision|episodes)|steps\b|batch_size\b|.*(?:dtype|precision|amp)\b|.*\.path\b)"
)
"""Options without which a job would be another one."""


class _PackageOnDemand(ModuleType):
    """A package whose own module is executed once something is asked of it: its submodules can be imported before."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        self.__spec__, self.__path__ = spec, list(spec.submodule_search_locations or ())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def main(arguments: Sequence[str]) -> None:
    """Print the verdict: TYPE, or empty for a reward model, OPTIONS that robotrain adds, `--`, those of the user.

    End this process at once: to clean up after PyTorch takes a second.
    """
    separator = list(arguments).index("--")
    emit_verdict(check_options(arguments[0], arguments[1:separator], arguments[separator + 1 :]))
    sys.stdout.flush()
    os._exit(0)


def check_options(kind: str, owned: Sequence[str], given: Sequence[str]) -> Verdict:
    """Return the verdict of the LeRobot in this environment on the options of a training.

    :param kind: the type of the policy; empty for a reward model.
    :param owned: the options that robotrain adds.
    :param given: the user's.
    """
    try:
        with quick_imports():
            declare_types(kind)
            reason = find_refusal([*owned, *given])
        if not reason:
            return Verdict(result="accepted")
        words = ["--" + "=".join(filter(None, pair)) for pair in split_options(given) if pair[0]]
        named = tuple(find_rejected_options(words, reason))
        culprits = _find_culprits(owned, words, named)
    except Exception as error:
        if find_hub_error(error):
            return Verdict(result="unchecked", text="for its answer LeRobot reads files of the Hub")
        return Verdict(result="unchecked", text=f"LeRobot failed with {type(error).__name__}: {_format_line(error)}")
    names = [word.partition("=")[0] for word in culprits]
    ways = (f"leave out {' '.join(names)}",) if names and not any(map(JOB_OPTIONS.match, names)) else ()
    return Verdict(result="refused", text=reason, options=culprits or named, ways=ways)


def declare_types(kind: str) -> None:
    """Import what declares the type of a policy: all types take two seconds."""
    if kind and POLICIES not in sys.modules:
        sys.modules[POLICIES] = _PackageOnDemand(POLICIES)
        with suppress(ModuleNotFoundError):
            importlib.import_module(f"{POLICIES}.{kind}.configuration_{kind}")
            return
    importlib.import_module(POLICIES).__getattribute__("PreTrainedPolicy")
    importlib.import_module(REWARD_MODELS)


def _find_culprits(owned: Sequence[str], words: Sequence[str], named: Sequence[str]) -> tuple[str, ...]:
    """Return the option, or those of one group, without which LeRobot refuses nothing; empty if there are none.

    :param words: the options of the user.
    :param named: those that its reason names; none for all.
    """
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word.partition("=")[0].partition(".")[0], []).append(word)
    singles = [(word,) for word in words if word in named or not named]
    several = [tuple(group) for group in groups.values() if len(group) > 1]
    for left_out in (*singles[: MOST_TRIED - 1], *several[:1]):
        with suppress(Exception):
            if not find_refusal([*owned, *(word for word in words if word not in left_out)]):
                return left_out
    return ()


def find_refusal(options: Sequence[str]) -> str:
    """Return why LeRobot refuses options; empty if it accepts them. Raise what is no refusal."""
    sys.argv = ["lerobot-train", *options]
    root = get_option_value(options, "--dataset.root")
    try:
        config = launcher.check_training_configuration(options)
        check_dependent_values(config, Path(root) if root else None)
    except SystemExit as refused:  # of the parser and of `validate`
        cause = refused.__cause__
        if not isinstance(cause, ConfigurationRefused) or find_hub_error(refused):
            raise RuntimeError(str(refused)) from refused
        return cause.reason
    except REFUSALS as error:
        if find_hub_error(error):
            raise
        return _format_line(error)
    return ""


def check_dependent_values(config: Any, root: Path | None) -> None:
    """Raise one of REFUSALS for what LeRobot refuses once it knows the dataset, and before it loads weights."""
    if root and (root / dataset.INFO_FILE).is_file():
        _check_data(config, dataset.load_dataset_info(root))
    _check_optimizer(config)
    if config.peft is not None:
        _check_peft(config)


def _check_data(config: Any, info: Mapping[str, Any]) -> None:
    """Do what LeRobot does with the features and the frame rate of the dataset before it makes a policy."""
    model = config.trainable_config
    features = {name: {**one, "shape": tuple(one["shape"])} for name, one in info["features"].items()}
    frames = SimpleNamespace(features=features, fps=info["fps"])
    if deltas := importlib.import_module("lerobot.datasets.factory").resolve_delta_timestamps(model, frames):
        check = importlib.import_module("lerobot.datasets.feature_utils").check_delta_timestamps
        check(deltas, info["fps"], config.tolerance_s)
    if config.is_reward_model_training:
        return
    read = importlib.import_module("lerobot.utils.feature_utils").dataset_to_policy_features(features)
    model.output_features = {name: one for name, one in read.items() if one.type.name == "ACTION"}
    if not model.input_features:
        model.input_features = {name: one for name, one in read.items() if name not in model.output_features}
    if callable(complete := getattr(model, "set_dataset_feature_metadata", None)):
        complete(features)
    model.validate_features()
    if not config.rename_map:
        importlib.import_module("lerobot.policies.utils").validate_visual_features_consistency(model, read)


def _check_optimizer(config: Any) -> None:
    """Build the optimizer and the schedule for one weight, unless the optimizer wants to know the names of weights."""
    if config.resume or config.optimizer is None or config.optimizer.type not in PLAIN_OPTIMIZERS:
        return
    torch = importlib.import_module("torch")
    optimizer = config.optimizer.build([torch.nn.Parameter(torch.zeros(1))])
    if config.scheduler is not None:
        config.scheduler.build(optimizer, config.steps)


def _check_peft(config: Any) -> None:
    """Build the configuration of the adapters without a policy."""
    if config.is_reward_model_training:
        raise ValueError("`peft` is only supported for policy training")
    policy_class = importlib.import_module(f"{POLICIES}.factory").get_policy_class(config.policy.type)
    policy = policy_class.__new__(policy_class)
    vars(policy)["config"] = config.policy
    policy._validate_peft_config(policy._build_peft_config(asdict(config.peft)))


def _format_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def find_hub_error(error: BaseException) -> bool:
    """Return whether an error goes back to one of the library of the Hub."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (one := waiting.pop()) is not None and one not in seen:
            seen.append(one)
            waiting += (one.__cause__, one.__context__)
    return any(type(one).__name__ in HUB_ERRORS for one in seen)


if __name__ == "__main__":
    main(sys.argv[1:])
