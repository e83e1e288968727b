"""Find the options that change the weights of each type: `network.json` of a version.

    ENVIRONMENT/bin/python .ci/lerobot_network_options.py FOLDER [TYPE...]

The environment has every extra. Each type's tiny network (tests/workloads/policy_trials.py) is built, and again with
another value of each option: it is named under `shapes` if a tensor has another shape, which no weights fit, and under
`parts` if tensors are only missing or added. A type that cannot be built has no options, and is printed. HF_HOME: where
the tiny repositories are kept; else they are made each time.
"""

import contextlib
import dataclasses
import importlib
import io
import json
import logging
import os
import re
import sys
import tempfile
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "workloads"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = os.environ.get("HF_HOME") or tempfile.mkdtemp()
os.environ["HF_HUB_CACHE"] = os.environ["HF_HOME"] + "/hub"

import draccus
import lerobot.policies
import lerobot.rewards  # noqa: F401 - importing them registers the choices
import tiny_backbones
import tiny_large_backbones  # noqa: F401 - registers its repositories
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.rewards import RewardModelConfig
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class
from lerobot.rewards.factory import get_reward_model_class
from policy_trials import TRIALS, PolicyTrial

IRRELEVANT = re.compile(
    r"(optimizer|scheduler)_.*|.*learning_rate|.*_lr\w*|.*tokenizer.*|.*(model|base)_(id|name|path)|.*loss\w*"
    r"|freeze_.*|enable_.*|.*lora_.*"
)
"""Options of the optimizer, of what the type reads, whose weights decide, and of parts that it may leave out."""
TRAINED_ONLY = re.compile(r"(?:lora|adapter)", re.IGNORECASE)
"""Tensors that are new in each training."""
COMPILED = "_orig_mod."
"""In the names of tensors of a compiled network."""
ALWAYS = re.compile(r".*_variant")
"""Options with sizes of which there is no tiny one."""
CHOICES = {"vision_backbone": ("resnet34",)}
REDUCED = {"pi0": "reduced_pi", "pi05": "reduced_pi", "pi0_fast": "reduced_pi"}
"""The package beside the trials that makes a network small which no option does."""
PICTURES = {"fastwam": (32, 32), "lingbot_va": (32, 32)}
"""The sizes of two cameras; else there is one."""
SHAPES, PARTS = "shapes", "parts"
MOST_BUILT = 2
"""Values after which an option is taken for one that changes nothing."""
Shapes = Mapping[str, tuple[int, ...]]


def make_features(kind: str, camera_names: list[str]) -> dict[str, PolicyFeature]:
    """Return the inputs of a small dataset."""
    size = PICTURES.get(kind, (96, 96))
    found = {name: PolicyFeature(type=FeatureType.VISUAL, shape=(3, *size)) for name in camera_names}
    return {"observation.state": PolicyFeature(type=FeatureType.STATE, shape=(2,)), **found}


class Network:
    """A type of policy or reward model with its tiny network."""

    def __init__(self, trial: PolicyTrial) -> None:
        self.kind, self.prefix = trial.type, "reward_model" if trial.reward_model else "policy"
        registry = RewardModelConfig if trial.reward_model else PreTrainedConfig
        self.config_class: Any = registry.get_choice_class(trial.type)
        load = get_reward_model_class if trial.reward_model else get_policy_class
        self.network_class = load(trial.type)
        if trial.type in REDUCED:
            importlib.import_module(REDUCED[trial.type])
        self.arguments = [one.replace(f"--{self.prefix}.", "--") for one in trial.options]
        if hasattr(self.config_class, "pretrained_backbone_weights"):
            self.arguments.append("--pretrained_backbone_weights=null")
        cameras = (
            ["observation.images.front", "observation.images.wrist"] if self.kind in PICTURES else ["observation.image"]
        )
        self.inputs = make_features(trial.type, cameras)

    def build(self, changes: Mapping[str, Any]) -> Shapes:
        """Return the shapes of the tensors that a checkpoint would have, by name."""
        given = [
            f"--{name}={json.dumps(value)}" if not isinstance(value, str) else f"--{name}={value}"
            for name, value in changes.items()
        ]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            config = draccus.parse(self.config_class, args=["--device=cpu", *self.arguments, *given])
            if self.prefix == "policy":
                config.input_features = dict(self.inputs)
                config.output_features = {"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))}
            config.validate_features()
            network = self.network_class(config)
        tensors = {name.replace(COMPILED, ""): tensor for name, tensor in network.state_dict().items()}
        return {name: tuple(tensor.shape) for name, tensor in tensors.items() if not TRAINED_ONLY.search(name)}

    def find_options(self) -> dict[str, list[str]]:
        """Return the options that change the network, by how they do."""
        usual = self.build({})
        found: dict[str, list[str]] = {SHAPES: [], PARTS: []}
        for name in self._list_options():
            if change := SHAPES if ALWAYS.fullmatch(name) else self._find_change(name, usual):
                found[change].append(name)
        return found

    def _list_options(self) -> Iterator[str]:
        base = RewardModelConfig if self.prefix == "reward_model" else PreTrainedConfig
        common = {field.name for field in dataclasses.fields(base)} - {"n_obs_steps"}
        for field in dataclasses.fields(self.config_class):
            if field.init and field.name not in common and not IRRELEVANT.fullmatch(field.name):
                yield field.name

    def _find_change(self, name: str, usual: Shapes) -> str:
        with contextlib.redirect_stderr(io.StringIO()):
            default = getattr(draccus.parse(self.config_class, args=["--device=cpu", *self.arguments]), name)
        built = 0
        for value in list_values(name, default, typing.get_type_hints(self.config_class)[name]):
            try:
                other = self.build({name: value})
                if any(other[tensor] != shape for tensor, shape in usual.items() if tensor in other):
                    return SHAPES
                if other != usual:
                    return PARTS
                built += 1
            except (Exception, SystemExit):
                continue
            if built == MOST_BUILT:
                break
        return ""


def list_values(name: str, default: Any, hint: Any) -> Iterator[Any]:
    """Yield other values of an option; none for one that is no plain value."""
    kinds = {*typing.get_args(hint), hint}
    if name in CHOICES:
        yield from (one for one in CHOICES[name] if one != default)
    elif isinstance(default, bool):
        yield not default
    elif isinstance(default, int):
        yield from dict.fromkeys(
            one for one in (2 * default, default + 1, default - 1, default + 2, 4 * default) if one != default
        )
    elif isinstance(default, float):
        yield from (default * 2, default / 2)
    elif isinstance(default, list | tuple) and default and all(type(one) is int for one in default):
        yield from ([2 * one for one in default], [*default, default[-1]], [one // 2 for one in default])
    elif default is None and int in kinds:
        yield from (1, 2)
    elif default is None and bool in kinds:
        yield from (True, False)


def main(folder: Path, kinds: list[str]) -> None:
    """Write the file; of some types only print."""
    logging.disable(logging.CRITICAL)
    repositories = Path(os.environ["HF_HOME"], "repositories")
    tiny_backbones.make_repositories(repositories)
    tiny_backbones.serve(repositories, Path(os.environ["HF_HUB_CACHE"]))
    found: dict[str, dict[str, list[str]]] = {}
    for trial in TRIALS:
        if kinds and trial.type not in kinds:
            continue
        try:
            found[trial.type] = Network(trial).find_options()
            print(trial.type, found[trial.type], flush=True)
        except (Exception, SystemExit) as error:
            print(f"not built: {trial.type}: {type(error).__name__}: {error}"[:300], file=sys.stderr, flush=True)
    if not kinds:
        lines = [
            f"{json.dumps(kind)}: {json.dumps(options)}"
            for kind, options in sorted(found.items())
            if any(options.values())
        ]
        (folder / "network.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
