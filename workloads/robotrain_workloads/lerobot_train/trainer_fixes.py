"""What robotrain changes in the trainer: its processors, the statistics that they get, weights that do not load."""

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from robotrain_workloads.exit_status import WorkFailed

PROCESSOR_FACTORY = "make_pre_post_processors"
REWARD_PROCESSOR_FACTORY = "make_reward_pre_post_processors"
POLICY_FACTORY, DATASET_FACTORY = "make_policy", "make_train_eval_datasets"
UNLOADED_WEIGHTS = re.compile(r"ould not load state dict|without loading pretrained weights")
"""What LeRobot's pi policies print where the others raise an error."""
STATISTICS_OPTIONS = ("dataset_stats", "stats")


def _replace(module: ModuleType, name: str) -> Callable[[Callable[..., Any]], None]:
    """Return a decorator that puts a function in the place of one of a module, which it is called with first."""
    original_value = getattr(module, name)

    def replace(function: Callable[..., Any]) -> None:
        setattr(module, name, functools.update_wrapper(functools.partial(function, original_value), original_value))

    return replace


def rebuild_processors(trainer: ModuleType) -> None:
    """Let the trainer make new processors.

    LeRobot otherwise loads them from the folder of the weights, and fails when they are missing.
    """

    @_replace(trainer, PROCESSOR_FACTORY)
    def make_new_processors(original: Callable[..., Any], **options: Any) -> Any:
        rename_settings = options.get("preprocessor_overrides", {}).get("rename_observations_processor", {})
        processors = original(**{**options, "pretrained_path": None, "pretrained_revision": None})
        for step in processors[0].steps:
            if hasattr(step, "rename_map"):
                step.rename_map = dict(rename_settings.get("rename_map") or {})
        return processors


def read_episodes_in_order(trainer: ModuleType, episodes: list[int]) -> None:
    """Let the trainer split these episodes in their order; the configuration in its checkpoints has them."""

    @_replace(trainer, DATASET_FACTORY)
    def make_datasets(original: Callable[..., Any], config: Any, *arguments: Any, **options: Any) -> Any:
        config.dataset.episodes = episodes
        return original(config, *arguments, **options)


def rename_statistics(trainer: ModuleType, renames: Mapping[str, str]) -> None:
    """Give the processors the statistics of renamed features by their new names.

    LeRobot gives them by the dataset's names, and leaves a feature without statistics as it is.
    """

    def rename(settings: Mapping[str, Any]) -> dict[str, Any]:
        statistics_options = {name: settings[name] for name in STATISTICS_OPTIONS if settings.get(name)}
        renamed_statistics = {
            option: {renames.get(name, name): feature_statistics for name, feature_statistics in statistics.items()}
            for option, statistics in statistics_options.items()
        }
        return {**settings, **renamed_statistics}

    @_replace(trainer, PROCESSOR_FACTORY)
    def make_processors(original: Callable[..., Any], **options: Any) -> Any:
        steps = {name: rename(settings) for name, settings in options.get("preprocessor_overrides", {}).items()}
        return original(**{**rename(options), **({"preprocessor_overrides": steps} if steps else {})})


class _PrintedLines(io.TextIOBase):
    """Standard output that is kept as well."""

    def __init__(self) -> None:
        self.text = ""
        self._output = sys.stdout

    def write(self, text: str) -> int:
        """Write a text, and keep it."""
        self.text += text
        return self._output.write(text)

    def flush(self) -> None:
        """Flush the output."""
        self._output.flush()


def require_loaded_weights(trainer: ModuleType) -> None:
    """Let the trainer fail if it cannot load weights: LeRobot's pi policies print that, and train random ones."""

    @_replace(trainer, POLICY_FACTORY)
    def make_policy(original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        printed_lines = _PrintedLines()
        with contextlib.redirect_stdout(printed_lines):
            policy = original(*arguments, **options)
        if warning := next((line for line in printed_lines.text.splitlines() if UNLOADED_WEIGHTS.search(line)), ""):
            raise WorkFailed(f"the weights of the policy to start from were not loaded: {warning.strip()}")
        return policy


def keep_statistics(trainer: ModuleType) -> None:
    """Let a reward model that resumes normalize: LeRobot makes its processors anew, and then without statistics."""

    @_replace(trainer, REWARD_PROCESSOR_FACTORY)
    def make_processors(original: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if (meta := options.get("dataset_meta")) is not None:
            options.setdefault("dataset_stats", meta.stats)
        return original(*arguments, **options)
