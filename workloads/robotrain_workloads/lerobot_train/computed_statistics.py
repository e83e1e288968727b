"""Statistics that are computed from the frames which are trained on, in the place of those in meta/stats.json.

Cameras keep those of the file: no picture is decoded.
"""

import functools
import importlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot import dataset, device
from robotrain_workloads.lerobot.policy_features import ACTION, STATE
from robotrain_workloads.lerobot_data_check import number_statistics
from robotrain_workloads.lerobot_data_check.dataset_files import LocalFiles
from robotrain_workloads.lerobot_data_check.number_statistics import Array
from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute

DATASET_FACTORY = "make_train_eval_datasets"


class ComputedStatistics:
    """The statistics of a dataset's numbers in some of its episodes.

    :param chosen: the numbers of the episodes; None for all. Those that are held out count, as in the file.
    :param are_relative: whether the policy normalizes actions after it made them relative to the state.
    """

    def __init__(self, root: Path, chosen: Collection[int] | None, *, are_relative: bool = False) -> None:
        self._root, self._files, self._chosen = root, LocalFiles(root), chosen
        self._are_relative = are_relative
        self._features = dataset.get_features(dataset.load_dataset_info(root))

    def install(self, trainer: ModuleType) -> None:
        """Let the trainer's datasets have them."""
        wrap_attribute(trainer, DATASET_FACTORY, self._make_datasets)

    def _make_datasets(self, original: Callable[..., Any], config: Any) -> Any:
        datasets = original(config)
        statistics = self.compute(config.trainable_config)
        for made_dataset in datasets:
            if made_dataset is not None:
                made_dataset.meta.stats = {**(made_dataset.meta.stats or {}), **statistics}
        if device.is_first_rank():
            count = int(statistics[ACTION]["count"][0]) if ACTION in statistics else 0
            note_text = "numbers are normalized with statistics that are computed from the frames of"
            episodes = "all episodes" if self._chosen is None else f"these {len(self._chosen)} episodes"
            emit_event(
                Note(level="info", text=f"{note_text} {episodes} ({count} actions)", ways=(("--statistics stored",),))
            )
        return datasets

    def compute(self, policy: Any = None) -> dict[str, dict[str, Array]]:
        """Return the statistics of each feature of numbers. Raise UnreadableTable, ValueError.

        :param policy: its configuration, which says how actions are relative.
        """
        statistics = {}
        for name, feature in self._features.items():
            if dataset.NUMERIC_TYPES.fullmatch(str(feature.get("dtype"))):
                shape = feature.get("shape") or [1]
                feature_statistics = number_statistics.compute_statistics(functools.partial(self._read_rows, name))
                statistics[name] = {
                    key: array if key == "count" else array.reshape(shape) for key, array in feature_statistics.items()
                }
        if self._are_relative and getattr(policy, "use_relative_actions", False):
            statistics[ACTION] = self._compute_relative_actions(policy)
        return {name: feature_statistics for name, feature_statistics in statistics.items() if feature_statistics}

    def _read_rows(self, column: str) -> Iterator[Array]:
        return (frame_values for _, frame_values in number_statistics.read_rows(self._files, column, self._chosen))

    def _compute_relative_actions(self, policy: Any) -> dict[str, Array]:
        """Return the statistics of actions less the state at the beginning of their chunk, of all whole chunks.

        As LeRobot's tool computes them. Empty if no episode is as long as a chunk.
        """
        actions, owners = self._read_column(ACTION)
        states, _ = self._read_column(STATE)
        last_start = len(actions) - policy.chunk_size
        starts = (
            np.flatnonzero(owners[: last_start + 1] == owners[policy.chunk_size - 1 :])
            if last_start >= 0
            else np.array([], int)
        )
        step: Any = importlib.import_module("lerobot.processor").RelativeActionsProcessorStep
        action_names = [*(self._features[ACTION].get("names") or ())] or None
        excluded_joints = getattr(policy, "relative_exclude_joints", None) or []
        mask = np.array(
            step(enabled=True, exclude_joints=excluded_joints, action_names=action_names)._build_mask(actions.shape[1])
        )
        start_states = states[starts, : len(mask)] * mask
        return number_statistics.compute_statistics(
            lambda: (actions[starts + offset] - start_states for offset in range(policy.chunk_size))
        )

    def _read_column(self, name: str) -> tuple[Array, Array]:
        """Return all rows of a column, and the episode of each."""
        column_parts = [*number_statistics.read_rows(self._files, name, self._chosen)]
        return np.concatenate([column_values for _, column_values in column_parts]), np.concatenate(
            [owners for owners, _ in column_parts]
        )
