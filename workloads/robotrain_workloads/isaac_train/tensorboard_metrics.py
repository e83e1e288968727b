"""Metrics of a training: scalars of TensorBoard event files, while they are written, by their names in tracking.

Tags are those of rsl_rl 3 and 5, skrl 1 and 2. Names: contract, section F.3.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REWARD = "mean_reward"
EPISODE_LENGTH = "mean_episode_length"
RSL_RL_NAMES = {
    "Train/mean_reward": REWARD,
    "Train/mean_episode_length": EPISODE_LENGTH,
    "Rnd/mean_extrinsic_reward": "mean_extrinsic_reward",
    "Rnd/mean_intrinsic_reward": "mean_intrinsic_reward",
    "Loss/learning_rate": "learning_rate",
    "Loss/value": "loss_value_function",
    "Policy/mean_noise_std": "mean_noise_std",
    "Policy/mean_std": "mean_noise_std",
    "Perf/collection time": "Perf/collection_time",
}
RSL_RL_PREFIXES = {
    "Loss/": "loss_",
    "Episode_Reward/": "reward_terms/",
    "Curriculum/": "curriculum/",
    "Episode/": "episode_",
}
SKRL_STANDARD_NAMES = {
    "Reward / Total reward (mean)": REWARD,
    "Episode / Total timesteps (mean)": EPISODE_LENGTH,
}
"""Sent under both names."""
NOT_ALLOWED = re.compile(r"[^\w\-. :/]", re.ASCII)
"""What MLflow does not allow in the name of a metric."""
EVENT_FILES = "events.out.tfevents.*"


class EventFileReader:
    """Reads what is new in the event files of a folder; a record that is still being written is read later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaders: dict[Path, Any] = {}

    def read_new(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield steps with their values by tag, in the order that they were written."""
        for path in sorted(self._folder.glob(EVENT_FILES)):
            if path not in self._loaders:
                module = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
                self._loaders[path] = module.LegacyEventFileLoader(str(path))
            step, values = 0, dict[str, float]()
            for event in self._loaders[path].Load():
                for value in event.summary.value:
                    if values and event.step != step:
                        yield step, values
                        values = {}
                    if value.WhichOneof("value") == "simple_value":
                        step = event.step
                        values[value.tag] = value.simple_value
            if values:
                yield step, values


def translate_metrics(backend: str, values: Mapping[str, float]) -> dict[str, float]:
    """Return the values by their tracking names. Tags that are not known stay as they are."""
    found: dict[str, float] = {}
    for tag, value in values.items():
        if backend == "rsl_rl":
            if re.fullmatch(r"Train/\w+/time", tag):  # its step is seconds
                continue
            found[_translate_rsl_rl_tag(tag)] = value
        else:
            found[_translate_skrl_tag(tag)] = value
            if tag in SKRL_STANDARD_NAMES:
                found[SKRL_STANDARD_NAMES[tag]] = value
    return found


def _translate_rsl_rl_tag(tag: str) -> str:
    if tag in RSL_RL_NAMES:
        return RSL_RL_NAMES[tag]
    prefix = next((prefix for prefix in RSL_RL_PREFIXES if tag.startswith(prefix)), "")
    return NOT_ALLOWED.sub("_", RSL_RL_PREFIXES.get(prefix, "") + tag.removeprefix(prefix))


def _translate_skrl_tag(tag: str) -> str:
    """Both generations' environment terms lose skrl's own `Info / `; `X (max)` becomes `X/max`."""
    tag = re.sub(r" \((max|min|mean|std)\)$", r"/\1", tag)
    if tag.startswith("Info / ") and "/" in tag.removeprefix("Info / "):
        tag = tag.removeprefix("Info / ")
    return NOT_ALLOWED.sub("", tag).strip()
