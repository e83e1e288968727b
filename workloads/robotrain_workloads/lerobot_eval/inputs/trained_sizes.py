"""Sizes of readings that a policy was trained with, where its settings do not have them. Standard library only.

LeRobot pads the readings of some types, and leaves those of the policy that a training began with in the settings: a
SmolVLA from `lerobot/smolvla_base` has a state of 6 there whatever it was tuned on. Its statistics have the true size.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import file_formats, policy
from robotrain_workloads.lerobot.policy_features import STATE, WORLD, get_padded_size, get_policy_inputs
from robotrain_workloads.lerobot.versions import ModelType

INPUTS = "input_features"
NORMALIZER = "normalizer_processor"
STATISTIC = "mean"
"""One that each policy has of each reading."""


def correct_sizes(settings: Mapping[str, Any], folder: Path, model: ModelType) -> dict[str, Any]:
    """Return the settings with the sizes that the policy was trained with.

    :param folder: that of the policy's files; where its statistics are not here yet, any size that it pads fits.
    :param model: the policy's type.
    """
    inputs = get_policy_inputs(settings)
    sizes_by_name = dict(_read_sizes(folder))
    sizes = {
        name: sizes_by_name.get(name, padded_size)
        for name in (STATE, WORLD)
        if name in inputs and (padded_size := get_padded_size(name, model, settings)) is not None
    }
    if not sizes:
        return dict(settings)
    features = settings[INPUTS]
    return {**settings, INPUTS: {**features, **{name: {**features[name], "shape": [sizes[name]]} for name in sizes}}}


def _read_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield each reading that the policy has statistics of, and its size; nothing for damaged or missing files."""
    with suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
        for step in file_formats.read_json_object(folder / policy.PROCESSOR_FILES[0]).get("steps") or ():
            if step.get("registry_name") != NORMALIZER or not step.get("state_file"):
                continue
            for key, tensor in file_formats.read_safetensors_header(folder / step["state_file"]).items():
                name, _, statistic = key.rpartition(".")
                if statistic == STATISTIC and len(tensor["shape"]) == 1:
                    yield name, int(tensor["shape"][0])
