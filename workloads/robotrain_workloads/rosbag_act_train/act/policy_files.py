"""Policies on disk in LeRobot 0.6.1's layout: what it evaluates and fine-tunes, and what it trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file

from robotrain_workloads.rosbag_act_train.act.config import NORMALIZATION, ActConfig, PolicyError
from robotrain_workloads.rosbag_act_train.act.model import Act

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
INPUT_STATISTICS = "policy_preprocessor_step_3_normalizer_processor.safetensors"
OUTPUT_STATISTICS = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
EPSILON = 1e-8
_PREFIX = "model."


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of features, as float32."""

    mean: Mapping[str, Tensor]
    """Shape (values,), or (3, 1, 1) for pictures in 0 to 1."""
    std: Mapping[str, Tensor]
    others: Mapping[str, Tensor] = field(default_factory=dict)
    """Statistics that normalize nothing, by `FEATURE.KEY`; `min` and `max` tell evaluations the unit of a feature."""

    def normalize(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a batch with the features that have statistics normalized, and the others as they are."""
        return {
            name: (value - self.mean[name].to(value.device)) / (self.std[name].to(value.device) + EPSILON)
            if name in self.mean
            else value
            for name, value in batch.items()
        }


def save_policy(folder: Path, model: Act, statistics: Statistics, *, device: str = "cpu") -> None:
    """Write a policy that `lerobot-eval` and LeRobot's `from_pretrained(folder, strict=True)` load.

    Args:
        folder: Must exist.
        model: The network.
        statistics: Of the state, the cameras and the action.
        device: What config.json says; LeRobot overrides it where it is not there.
    """
    config = model.config.dump(device)
    _write_json(folder / CONFIG, config)
    weights = {_PREFIX + name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    inputs, outputs = config["input_features"], config["output_features"]
    features = {**inputs, **outputs}
    _write_json(
        folder / PREPROCESSOR,
        {
            "name": "policy_preprocessor",
            "steps": [
                {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
                {"registry_name": "to_batch_processor", "config": {}},
                {"registry_name": "device_processor", "config": {"device": device, "float_dtype": None}},
                _describe_normalizer("normalizer_processor", features, INPUT_STATISTICS),
            ],
        },
    )
    _write_json(
        folder / POSTPROCESSOR,
        {
            "name": "policy_postprocessor",
            "steps": [
                _describe_normalizer("unnormalizer_processor", outputs, OUTPUT_STATISTICS),
                {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}},
            ],
        },
    )
    used = {"mean": statistics.mean, "std": statistics.std}
    used_statistics = {f"{name}.{key}": value for key, values in used.items() for name, value in values.items()}
    stored = {
        name: value.float().cpu().contiguous() for name, value in {**statistics.others, **used_statistics}.items()
    }
    save_file(stored, folder / INPUT_STATISTICS)
    save_file(stored, folder / OUTPUT_STATISTICS)


def load_policy(folder: Path) -> tuple[Act, Statistics]:
    """Return a policy that this trainer or LeRobot wrote; every weight must be there.

    Raises:
        PolicyError: it is not ACT, or weights or statistics are missing or of another shape.
    """
    try:
        config = ActConfig.load(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        weights = load_file(folder / WEIGHTS)
        stored = load_file(folder / INPUT_STATISTICS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{folder} is not an ACT policy: {error}") from error
    model = Act(config)
    try:
        model.load_state_dict({name.removeprefix(_PREFIX): value for name, value in weights.items()}, strict=True)
    except RuntimeError as error:
        raise PolicyError(f"{folder / WEIGHTS}: {error}") from error
    content = config.dump("cpu")
    features = {**content["input_features"], **content["output_features"]}
    used = [name for name, feature in features.items() if feature["type"] in NORMALIZATION]
    if missing := [name for name in used if f"{name}.mean" not in stored or f"{name}.std" not in stored]:
        raise PolicyError(f"{folder / INPUT_STATISTICS} has no statistics of {', '.join(missing)}")
    mean, std = ({name: stored.pop(f"{name}.{key}").float() for name in used} for key in ("mean", "std"))
    return model, Statistics(mean, std, stored)


def _describe_normalizer(name: str, features: Mapping[str, Any], state_file: str) -> dict[str, Any]:
    config = {"eps": EPSILON, "features": dict(features), "norm_map": dict(NORMALIZATION)}
    return {"registry_name": name, "config": config, "state_file": state_file}


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
