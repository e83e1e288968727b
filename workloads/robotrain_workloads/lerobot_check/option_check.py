"""Ask LeRobot whether it accepts the options of a training: `-m …option_check TYPE … -- OPTIONS`.

It reads its options with its own parser, builds the configuration of the training, and compares it with the description
of the dataset, as the trainer does before it loads anything. No weights are read.
"""

import copy
import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from robotrain_runtime.contract.verdict import Verdict

from robotrain_workloads.lerobot import dataset, versions
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_check import verdicts
from robotrain_workloads.lerobot_train import launcher

PRETRAINED_BACKBONE = "pretrained_backbone_weights"
"""The option with weights that would be downloaded."""
NO_WEIGHTS = ("meta tensor", "meta device")
"""Words of errors of a network that is made without memory for its weights."""
PLAIN_OPTIMIZERS = ("adam", "adamw", "sgd")
"""Optimizers that take any list of weights."""
LAYER, LAYER_SIZE = "layer", 256


def main(arguments: Sequence[str]) -> None:
    """Print the verdict: TYPE, or empty for a reward model, OPTIONS that robotrain adds, `--`, those of the user."""
    separator = list(arguments).index("--")
    kind, owned_options, options = arguments[0], arguments[1:separator], arguments[separator + 1 :]
    verdicts.print_verdict(lambda: judge_training(kind, owned_options, options))


def judge_training(kind: str, owned_options: Sequence[str], options: Sequence[str]) -> Verdict:
    """Return the verdict on the options of a training. Raise LerobotFailed."""
    doubts: list[str] = []
    verdict = verdicts.judge_options(lambda words: doubts.append(read_options(words)), kind, owned_options, options)
    if verdict.result != "accepted" or not doubts[-1]:
        return verdict
    words = verdicts.join_values(options)
    culprits = verdicts.find_culprits(lambda words: read_options([*owned_options, *words]), words, doubts[-1])
    return Verdict(result="refused" if culprits else "doubtful", text=doubts[-1], options=culprits)


def read_options(options: Sequence[str]) -> str:
    """Let LeRobot read the options of a training; return why it would fail with them nevertheless, else empty.

    Raise what it raises, SystemExit from its parser.
    """
    sys.argv = ["lerobot-train", *options]  # it reads them several times
    config = launcher.check_training_configuration(options)
    root = get_option_value(options, "--dataset.root")
    check_dependent_values(config, Path(root) if root else None)
    return find_failure(config)


def check_dependent_values(config: Any, root: Path | None) -> None:
    """Raise what LeRobot raises for values that it refuses once it knows the dataset, and before it loads weights."""
    if root and (root / dataset.INFO_FILE).is_file():
        _check_data(config, dataset.load_dataset_info(root))
    _check_optimizer(config)
    if config.peft is not None:
        _check_peft(config)


def _check_data(config: Any, info: Mapping[str, Any]) -> None:
    """Do what LeRobot does with the features and the frame rate of the dataset before it makes a policy."""
    model = config.trainable_config
    features = {name: {**feature, "shape": tuple(feature["shape"])} for name, feature in info["features"].items()}
    frames = SimpleNamespace(features=features, fps=info["fps"])
    from lerobot.datasets.factory import resolve_delta_timestamps
    from lerobot.datasets.feature_utils import check_delta_timestamps

    if deltas := resolve_delta_timestamps(model, frames):
        check_delta_timestamps(deltas, info["fps"], config.tolerance_s)
    if config.is_reward_model_training:
        return
    policy_features = importlib.import_module("lerobot.utils.feature_utils").dataset_to_policy_features(features)
    model.output_features = {
        name: feature for name, feature in policy_features.items() if feature.type.name == "ACTION"
    }
    if not model.input_features:
        model.input_features = {
            name: feature for name, feature in policy_features.items() if name not in model.output_features
        }
    if callable(set_metadata := getattr(model, "set_dataset_feature_metadata", None)):
        set_metadata(features)
    model.validate_features()
    if not config.rename_map:
        importlib.import_module("lerobot.policies.utils").validate_visual_features_consistency(model, policy_features)


def _check_optimizer(config: Any) -> None:
    """Build the optimizer and the schedule for one weight, unless the optimizer wants to know the names of weights."""
    if config.resume or config.optimizer is None or config.optimizer.type not in PLAIN_OPTIMIZERS:
        return
    import torch

    optimizer = config.optimizer.build([torch.nn.Parameter(torch.zeros(1))])
    if config.scheduler is not None:
        config.scheduler.build(optimizer, config.steps)


def _check_peft(config: Any) -> None:
    """Build the configuration of the adapters without a policy, and an adapter of one layer."""
    if config.is_reward_model_training:
        raise ValueError("`peft` is only supported for policy training")
    policy_class = importlib.import_module(f"{verdicts.POLICIES}.factory").get_policy_class(config.policy.type)
    policy = policy_class.__new__(policy_class)
    vars(policy)["config"] = config.policy
    try:
        adapters = policy._build_peft_config(asdict(config.peft))
    except KeyError as error:  # an unknown name of a method
        raise ValueError(f"`peft.method_type` has no value {error}") from error
    policy._validate_peft_config(adapters)
    from peft import get_peft_model
    from torch import nn

    network = nn.ModuleDict({LAYER: nn.Linear(LAYER_SIZE, LAYER_SIZE)})
    layer_settings = {"target_modules": [LAYER], "modules_to_save": None}
    adapters = replace(adapters, **{name: value for name, value in layer_settings.items() if hasattr(adapters, name)})
    get_peft_model(network, adapters)


def find_failure(config: Any) -> str:
    """Return why the network of a policy cannot be made; empty also for types that read weights of the Hub for it.

    Raise ValueError if the network refuses a value.

    :param config: an accepted configuration of a training, with the features of its dataset.
    """
    policy = config.policy
    types = versions.get_version(versions.get_installed_name()).policies
    if policy is None or not policy.output_features or policy.type not in types:
        return ""
    if any(repository.weights != "never" for repository in types[policy.type].repositories.values()):
        return ""
    import torch

    policy_class = type(policy)
    policy = copy.copy(policy)
    if hasattr(policy, PRETRAINED_BACKBONE):
        setattr(policy, PRETRAINED_BACKBONE, None)
    try:
        module = importlib.import_module(policy_class.__module__.replace("configuration_", "modeling_"))
        network = getattr(module, f"{policy_class.__name__.removesuffix('Config')}Policy", None)
        with torch.device("meta"):
            network(policy) if network else None
    except ValueError:
        raise
    except Exception as error:
        return _describe(error) if _is_of_options(error) else ""
    return ""


def _is_of_options(error: BaseException) -> bool:
    """Return whether an error may come of options: not of files, packages, or of a network without weights."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if any(isinstance(cause, OSError | ImportError | MemoryError) for cause in causes):
        return False
    return not any(word in str(cause) for cause in causes for word in NO_WEIGHTS)


def _describe(error: Exception) -> str:
    """Return the message of an error, with its type if it is no sentence; without one, the line that asserts."""
    message = " ".join(str(error).split())
    if not message:
        return str(traceback.extract_tb(error.__traceback__)[-1].line)
    return message if " " in message else f"{type(error).__name__} {message}"


if __name__ == "__main__":
    main(sys.argv[1:])
