"""Program for an environment with LeRobot: what it says to command lines of its trainer, without a Hub.

    HF_HUB_OFFLINE=1 ENVIRONMENT/bin/python ask_lerobot.py <lists.json >answers.jsonl

Reads a list of lists of arguments. Answers each with a line `{"stage": …, "why": …}`: the stage that refused them, and
the last error. The stages, in the order of a training: `parser`, `validate`, `data` (the dataset is opened and split),
`sample` (read), `features` (the policy's own checks of them), `network` (built without memory for its weights),
`weights` (their shapes, compared with those of the policy to start from), `adapter`, `optimizer`. An empty stage:
nothing was refused.
"""

import contextlib
import dataclasses
import functools
import io
import json
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import draccus
import lerobot.policies
import lerobot.rewards  # noqa: F401 - importing them registers the choices
import torch
from draccus.wrappers import field_wrapper
from lerobot.configs import parser
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.configs.types import FeatureType
from lerobot.datasets.factory import make_dataset, make_train_eval_datasets
from lerobot.optim.factory import make_optimizer_and_scheduler
from lerobot.policies.factory import get_policy_class, validate_visual_features_consistency
from lerobot.utils.feature_utils import dataset_to_policy_features

PLAIN_OPTIMIZERS = ("adam", "adamw", "sgd")
"""Those that want weights without names."""
SECONDS, MEMORY = 40, 12 << 30
SMALL = ("diffusion", "vqbet", "multi_task_dit", "tdmpc")
"""Types that compute while their network is built, and are small enough to do so."""
NO_MEMORY = ("meta", "Meta")
"""Words of errors that come of building without memory, not of the options."""
stage = "parser"


def ask(arguments: list[str]) -> dict[str, str]:
    """Return the stage that refuses, and why."""
    global stage
    sys.argv = ["lerobot-train", *arguments]
    printed = io.StringIO()
    stage = "parser"
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            parser.wrap()(check)()
    except TimeoutError:
        return {"stage": "crash", "why": f"no answer in {SECONDS} s"}
    except (Exception, SystemExit) as error:
        lines = [line for line in printed.getvalue().splitlines() if ": error: " in line]
        ended = isinstance(error, SystemExit)
        why = lines[-1].split(": error: ", 1)[1] if ended and lines else describe(error.__context__ if ended else error)
        return {"stage": stage, "why": " ".join(why.split())[:400]}
    return {"stage": "", "why": ""}


def describe(error: BaseException | None) -> str:
    """Return the innermost reason behind an error of the parser."""
    while (
        type(error).__name__ in ("DecodingError", "ParsingError") and error and (error.__cause__ or error.__context__)
    ):
        error = error.__cause__ or error.__context__
    return f"{type(error).__name__}: {error}"


def check(config: TrainPipelineConfig) -> None:
    """Go through the stages of a training up to its network."""
    global stage
    stage = "validate"
    config.validate()
    draccus.encode(config)
    stage = "data"
    dataset = make_train_eval_datasets(config)[0] if config.dataset.eval_split else make_dataset(config)
    stage = "sample"
    dataset[0]
    if not config.is_reward_model_training:
        check_policy(config, dataset.meta)


def check_policy(config: TrainPipelineConfig, meta: Any) -> None:
    """Go through the stages that a policy has."""
    global stage
    stage = "features"
    features, policy = dataset_to_policy_features(meta.features), config.policy
    policy.output_features = {key: one for key, one in features.items() if one.type is FeatureType.ACTION}
    if not policy.input_features:
        policy.input_features = {key: one for key, one in features.items() if key not in policy.output_features}
    if callable(tell := getattr(policy, "set_dataset_feature_metadata", None)):
        tell(meta.features)
    policy.validate_features()
    if not config.rename_map:
        validate_visual_features_consistency(policy, features)
    if policy.use_peft and not policy.pretrained_path:
        raise ValueError("Instantiating a policy with `use_peft=True` without a checkpoint is not supported")
    stage = "network"
    network = build(policy, meta)
    if policy.pretrained_path and network is not None:
        stage = "weights"
        compare_shapes(network, policy, meta)
    if config.peft:
        stage = "adapter"
        settings = dataclasses.asdict(config.peft)
        if network is not None:
            network = network.wrap_with_peft(peft_cli_overrides=settings)
        else:
            unmade = object.__new__(get_policy_class(policy.type))
            vars(unmade)["config"] = policy
            unmade._validate_peft_config(unmade._build_peft_config(settings))
    stage = "optimizer"
    if network is not None:
        make_optimizer_and_scheduler(config, network)
    elif config.optimizer.type in PLAIN_OPTIMIZERS:
        optimizer = config.optimizer.build([torch.nn.Parameter(torch.zeros(1))])
        if config.scheduler:
            config.scheduler.build(optimizer, config.steps)


def build(policy: Any, meta: Any) -> Any:
    """Build the network of a policy without memory; None if that fails for want of memory, not because of options."""
    policy._runtime_dataset_meta = meta
    try:
        with torch.device("meta"):
            return get_policy_class(policy.type)(config=policy, dataset_stats=meta.stats, dataset_meta=meta)
    except Exception as error:
        if not isinstance(error, NotImplementedError | OSError) and not any(word in str(error) for word in NO_MEMORY):
            raise
        return build_small(policy, meta) if policy.type in SMALL else None


def build_small(policy: Any, meta: Any) -> Any:
    """Build a network with its weights; None if files are missing."""
    try:
        return get_policy_class(policy.type)(config=policy, dataset_stats=meta.stats, dataset_meta=meta)
    except (OSError, MemoryError):
        return None
    except RuntimeError as error:
        if "can't allocate memory" in str(error):
            return None
        raise


def compare_shapes(network: Any, policy: Any, meta: Any) -> None:
    """Raise ValueError if weights of the policy to start from have other shapes than the network's."""
    started = PreTrainedConfig.from_pretrained(policy.pretrained_path)
    started.pretrained_path = policy.pretrained_path
    if hasattr(started, "pretrained_backbone_weights"):
        started.pretrained_backbone_weights = None  # which are downloaded, and replaced
    if (before := build(started, meta)) is None:
        return
    shapes = {name: tuple(tensor.shape) for name, tensor in before.state_dict().items()}
    for name, tensor in network.state_dict().items():
        if name in shapes and shapes[name] != tuple(tensor.shape):
            raise ValueError(f"size mismatch for {name}: {shapes[name]} in the weights, {tuple(tensor.shape)} here")


def ask_in_turn(lists: list[list[str]]) -> Iterator[dict[str, str]]:
    """Ask one after the other. Raise what ends the program."""
    for arguments in lists:
        parser._config_path_args.clear()
        parser._config_yaml_overrides.clear()
        signal.alarm(SECONDS)
        yield ask(arguments)
        signal.alarm(0)


def stop(*_: object) -> None:
    """End the question that takes too long. Raise TimeoutError."""
    raise TimeoutError


def remember_slow_parts() -> None:
    """Do once what takes most of the time and is the same for each line: descriptions of options, tables of data."""
    import datasets
    from lerobot.datasets import dataset_metadata

    dataset_metadata.load_episodes = functools.cache(dataset_metadata.load_episodes)
    field_wrapper.docstring.get_attribute_docstring = functools.cache(field_wrapper.docstring.get_attribute_docstring)
    read, known = datasets.Dataset.from_parquet, {}

    def read_once(*arguments: Any, **named: Any) -> Any:
        key = f"{arguments} {named}"
        if key not in known:
            known[key] = read(*arguments, **named)
        return known[key]

    datasets.Dataset.from_parquet = staticmethod(read_once)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    remember_slow_parts()
    answers = os.fdopen(os.dup(1), "w")
    for answer in ask_in_turn(json.load(sys.stdin)):
        print(json.dumps(answer), file=answers, flush=True)
