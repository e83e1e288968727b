"""Try rules against LeRobot: for values that a rule refuses, the real class must raise for the same reason."""

import ast
import contextlib
import dataclasses
import io
import itertools
import random
import re
import string
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import draccus
import torch
from lerobot.configs.default import DatasetConfig, JobConfig, PeftConfig
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.rewards import RewardModelConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.optim import LRSchedulerConfig, OptimizerConfig
from lerobot.policies.factory import get_policy_class, make_policy
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.sample_weighting import SampleWeightingConfig, make_sample_weighter
from lerobot_data_needs import make_default
from lerobot_rules import NETWORK, Rule
from robotrain_workloads.lerobot_options.rule_expressions import is_true, list_names, parse

MOST_TRIALS, CONFIRMED_BY = 4000, 5
SET = "set"
"""Stands for an object that is there."""
PARTS: Mapping[str, Callable[[], Any]] = {
    "policy": lambda: PreTrainedConfig.get_choice_class("act")(device="cpu", push_to_hub=False),
    "reward_model": lambda: RewardModelConfig.get_choice_class("sarm")(device="cpu", push_to_hub=False),
    "optimizer": lambda: OptimizerConfig.get_choice_class("adam")(),
    "scheduler": lambda: LRSchedulerConfig.get_choice_class("diffuser")(),
    "peft": PeftConfig,
    "sample_weighting": SampleWeightingConfig,
    "job": JobConfig,
}
"""What the options of the trainer have below them."""


def find_defaults(owner: type) -> dict[str, Any]:
    """Return the defaults of a class as JSON has them; of a training also those below it."""
    if owner is TrainPipelineConfig:
        return dict(_list_training_defaults())
    found = {}
    for field in dataclasses.fields(owner):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if default is not dataclasses.MISSING:
            with contextlib.suppress(Exception):
                found[field.name] = draccus.encode(default)
    return found


def _list_training_defaults() -> Iterator[tuple[str, Any]]:
    default = make_default(TrainPipelineConfig)
    for field in dataclasses.fields(TrainPipelineConfig):
        value = getattr(default, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from ((f"{field.name}.{name}", one) for name, one in find_defaults(type(value)).items())
        elif field.init and value is not dataclasses.MISSING:
            yield field.name, value
    yield from ((f"dataset.{name}", value) for name, value in find_defaults(DatasetConfig).items())
    yield from ((f"policy.{name}", value) for name, value in find_defaults(PreTrainedConfig).items())
    yield from ((f"reward_model.{name}", value) for name, value in find_defaults(RewardModelConfig).items())
    yield from ((f"sample_weighting.{name}", value) for name, value in find_defaults(SampleWeightingConfig).items())


def _list_constants(rule: Rule) -> list[Any]:
    return [one.value for one in ast.walk(parse(rule.when)) if isinstance(one, ast.Constant)]


def list_candidates(name: str, constants: list[Any], default: Any) -> list[Any]:
    """Return values of an option that may make a rule fire."""
    numbers = [one for one in (default, *constants) if type(one) in (int, float)]
    if name in PARTS:
        return [SET, None]
    if isinstance(default, bool):
        return [not default, default]
    if isinstance(default, int | float):
        found = [
            default,
            *(number + step for number in numbers for step in (0, 1, -1)),
            -1,
            0,
            1,
            2,
            7,
            2 * default,
            1000003,
        ]
        return [int(one) for one in found] if isinstance(default, int) else [float(one) for one in found]
    if isinstance(default, list | tuple) and default:
        return [[*default], [0] * len(default), [-1] * len(default), [*default, *default], [*default][:-1], [1, 2]]
    if isinstance(default, dict):
        return [{**default, key: value} for key in default for value in ("MEAN_STD", "IDENTITY")] + [{"a": "b"}]
    if isinstance(default, str):
        return ["unheard of", *(one for one in constants if isinstance(one, str)), default]
    texts = [one for one in constants if isinstance(one, str)]
    lists: list[Any] = [[0], [1, 1], [-1, 0], [0, 0], [1, 2, 3], [3, 0]]
    return [None, *texts, *{0, 1, -1, *numbers}, True, *lists, "unheard of"]


def find_firing(rule: Rule, rules: list[Rule], defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield changes to the defaults that the rule refuses, the smallest first, also of options of its neighbours."""
    names = list_names(rule.when)
    near = [one for one in rules if {*list_names(one.when)} & {*names}]
    wider = list(dict.fromkeys(name for one in (rule, *near) for name in list_names(one.when)))
    constants = [value for one in (rule, *near) for value in _list_constants(one)]
    candidates = {name: list_candidates(name, constants, defaults.get(name)) for name in wider}
    chance = random.Random(0)
    single = ({name: value} for name in names for value in candidates[name])
    pairs = (
        {one: first, other: second}
        for one, other in itertools.combinations(names, 2)
        for first in candidates[one]
        for second in candidates[other]
    )
    mixed = ({name: chance.choice(candidates[name]) for name in wider} for _ in range(MOST_TRIALS))
    for changes in itertools.chain(itertools.islice(itertools.chain(single, pairs), MOST_TRIALS), mixed):
        below = {name.partition(".")[0] for name in changes if "." in name} & PARTS.keys()
        if all({**defaults, **changes}.get(name) is not None for name in below) and is_true(
            parse(rule.when), {**defaults, **changes}
        ):
            yield changes


def make_pattern(rule: Rule) -> re.Pattern[str]:
    """Return what LeRobot's message for a rule looks like."""
    parts = []
    for text, expression, *_ in string.Formatter().parse(rule.why):
        pieces = [re.escape(piece.translate(BRACKETS)) for piece in text.split("…")]
        parts += [".*".join(pieces), ".*" if expression is not None else ""]
    return re.compile("".join(parts), re.DOTALL)


BRACKETS = str.maketrans("", "", "[](){}'\"")
"""They differ where a message lists values."""


class NoValue(Exception):
    """An option cannot have a value that a trial gives it."""


def list_messages(owner: type, changes: Mapping[str, Any]) -> list[str]:
    """Return the messages with which LeRobot refuses options of a class; empty if it takes them."""
    found: list[str] = []
    attempts = TRAINING if owner is TrainPipelineConfig else [_construct]
    for attempt in attempts:
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                attempt(owner, changes)
        except NoValue:
            raise
        except (Exception, SystemExit) as error:
            one: BaseException | None = error
            while one is not None:
                found.append(str(one))
                one = one.__cause__ or one.__context__
    return found


def _construct(owner: Any, changes: Mapping[str, Any]) -> None:
    """Make the configuration as LeRobot reads one."""
    required = {field.name for field in dataclasses.fields(owner) if _is_required(field)}
    given = {name: value for name, value in changes.items() if not (value is None and name in required)}
    stand_ins = {name: "a/b" for name in required - given.keys()}
    hints = typing.get_type_hints(owner)
    values = {}
    for name, value in {**stand_ins, **given}.items():
        try:
            values[name] = draccus.decode(hints[name], value)
        except Exception as error:
            raise NoValue(str(error)) from error
    made = owner(
        **({"device": "cpu"} if "device" in hints and issubclass(owner, draccus.ChoiceRegistry) else {}), **values
    )
    if hasattr(made, "validate_features"):
        made.validate_features()


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING and field.init


def _make_training(changes: Mapping[str, Any]) -> TrainPipelineConfig:
    """Return a training with some options."""
    made = TrainPipelineConfig(dataset=DatasetConfig(repo_id="a/b"), policy=PARTS["policy"]())
    for name in sorted(changes, key=lambda one: one.count(".")):
        value, (*parents, last) = changes[name], name.split(".")
        for parent in parents[:1]:
            if getattr(made, parent) is None:
                setattr(made, parent, PARTS[parent]())
        owner: Any = getattr(made, parents[0]) if parents else made
        try:
            setattr(owner, last, PARTS[last]() if value == SET and last in PARTS else value)
        except AttributeError as error:
            raise NoValue(name) from error
    return made


def _validate(owner: type, changes: Mapping[str, Any]) -> None:
    _make_training(changes).validate()


def _make_policy(owner: type, changes: Mapping[str, Any]) -> None:
    make_policy(_make_training(changes).policy, ds_meta=types.SimpleNamespace(features={}, stats={}))


def _wrap(owner: type, changes: Mapping[str, Any]) -> None:
    made = _make_training(changes)
    if made.peft is not None and made.reward_model is None:
        PreTrainedPolicy._validate_peft_config(types.SimpleNamespace(config=made.policy), None)


def _weight(owner: type, changes: Mapping[str, Any]) -> None:
    made = _make_training(changes)
    make_sample_weighter(made.sample_weighting, types.SimpleNamespace(config=made.policy), None)


TRAINING = [_validate, _make_policy, _wrap, _weight]
"""Each is tried: what the trainer does before its first step, as far as it needs no data."""


def fails_as_network(owner: Any, changes: Mapping[str, Any]) -> bool:
    """Return whether LeRobot cannot make the network of a policy, on the device without memory."""
    config = owner(device="cpu", pretrained_backbone_weights=None, **changes)
    config.input_features = {
        "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(2,)),
        "observation.image": PolicyFeature(type=FeatureType.VISUAL, shape=(3, 96, 96)),
    }
    config.output_features = {"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))}
    try:
        with torch.device("meta"):
            get_policy_class(config.type)(config)
    except Exception:  # also of sizes below zero
        return True
    return False


def try_rule(rule: Rule, owner: type, rules: list[Rule]) -> str:
    """Return why a rule is not confirmed; empty if it is.

    :param rules: all of its class: another one may refuse the same values first.
    """
    sys.argv[1:] = []
    defaults = find_defaults(owner)
    if owner is TrainPipelineConfig:
        defaults |= {
            "policy": SET,
            "job": SET,
            "policy.push_to_hub": False,
            "policy.type": "act",
            "policy.device": "cpu",
        }
    if is_true(parse(rule.when), defaults):
        return "it refuses the defaults"
    confirmed = 0
    for changes in itertools.islice(find_firing(rule, rules, defaults), MOST_TRIALS):
        firing = [one for one in rules if is_true(parse(one.when), {**defaults, **changes})]
        if confirmed == CONFIRMED_BY or (confirmed and len(firing) > 1):
            continue
        if rule.error == NETWORK:
            if len(firing) == 1 and not fails_as_network(owner, changes):
                return f"LeRobot makes a network with {changes}"
            confirmed += len(firing) == 1
            continue
        try:
            messages = [text.translate(BRACKETS) for text in list_messages(owner, changes)]
        except NoValue:
            continue
        if not messages:
            return f"LeRobot takes {changes}"
        if not any(make_pattern(one).search(text) for one in firing for text in messages):
            return f"LeRobot refuses {changes} for another reason: {messages[0][:90]}"
        confirmed += any(make_pattern(rule).search(text) for text in messages)
    return "" if confirmed else "no values were found that it refuses alone"
