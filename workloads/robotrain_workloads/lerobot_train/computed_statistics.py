"""Statistics that are computed from the frames which are trained on, in the place of those in meta/stats.json.

Cameras keep those of the file: no picture is decoded.
"""

import math
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from robotrain_runtime.contract.event import emit_note

from robotrain_workloads.dataset_check import statistics as number_statistics
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset, device
from robotrain_workloads.lerobot.policy_features import ACTION, STATE
from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute

DATASET_FACTORY = "make_train_eval_datasets"


class ComputedStatistics:
    """The statistics of a dataset's numbers in some of its episodes.

    :param chosen: the numbers of the episodes; None for all. Those that are held out count, as in the file.
    :param are_relative: whether the policy normalizes actions after it made them relative to the state.
    """

    def __init__(self, root: Path, chosen: Collection[int] | None, *, are_relative: bool = False) -> None:
        self._root, self._chosen = root, chosen
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
            emit_note(f"{note_text} {episodes} ({count} actions)", ways=(("--statistics stored",),))
        return datasets

    def compute(self, policy: Any = None) -> dict[str, dict[str, Array]]:
        """Return the statistics of each feature of numbers. Raise Unreadable, ValueError.

        :param policy: its configuration, which says how actions are relative.
        """
        statistics = {}
        for name, feature in self._features.items():
            if dataset.NUMERIC_TYPES.fullmatch(str(feature.get("dtype"))):
                rows, _ = self._read_column(name)
                computed = number_statistics.compute_statistics(rows[np.isfinite(rows).all(axis=1)].T)
                shape = feature.get("shape") or [1]
                statistics[name] = {
                    key: array if key == "count" else array.reshape(shape) for key, array in computed.items()
                }
        if self._are_relative and getattr(policy, "use_relative_actions", False):
            statistics[ACTION] = self._compute_relative_actions(policy)
        return {name: computed for name, computed in statistics.items() if computed}

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
        from lerobot.processor import RelativeActionsProcessorStep as step

        action_names = [*(self._features[ACTION].get("names") or ())] or None
        excluded_joints = getattr(policy, "relative_exclude_joints", None) or []
        mask = np.array(
            step(enabled=True, exclude_joints=excluded_joints, action_names=action_names)._build_mask(actions.shape[1])
        )
        start_states = states[starts, : len(mask)].astype(float) * mask
        is_finite, is_start = np.isfinite(actions).all(axis=1), np.isfinite(start_states).all(axis=1)
        used = [is_start & is_finite[starts + offset] for offset in range(policy.chunk_size)]
        return number_statistics.compute_statistics(
            np.concatenate(
                [
                    actions[starts[is_used] + offset, dimension] - start_states[is_used, dimension]
                    for offset, is_used in enumerate(used)
                ]
            )
            for dimension in range(len(mask))
        )

    def _read_column(self, name: str) -> tuple[Array, Array]:
        """Return all rows of a column, and the episode of each."""
        size = math.prod(self._features[name].get("shape") or [1])
        return number_statistics.read_rows(self._root, name, self._chosen, size)
