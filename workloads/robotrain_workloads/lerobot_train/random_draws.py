"""The random numbers of a training: those that LeRobot's would draw, however its data is loaded and wherever it is cut.

PyTorch's loader draws a number each time that it begins to read, unless its processes stay, which begin once. A policy
that draws numbers itself, for dropout or noise, would have others after one too many.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute

SAMPLER = "EpisodeAwareSampler"


class RandomDraws:
    """Undoes what loaders draw, where an uncut training of LeRobot's would not draw."""

    def __init__(self, first: int, *, loads_alone: bool) -> None:
        """`first`: the step that the training continues from. `loads_alone`: no process beside it is wanted.

        Where robotrain chose none for the machine, LeRobot would have some.
        """
        self._first, self._loads_alone = first, loads_alone
        self._is_in_epoch = False
        """Whether the training continues within an epoch."""
        self._stays, self._eval_steps = False, 0
        self._begun: list[Any] = []
        """The loaders that have begun to read; the first is that of the training."""

    def install(self, trainer: ModuleType) -> None:
        """Wrap what the trainer calls."""
        if (sampler := getattr(trainer, SAMPLER, None)) is not None:
            sampler.set_epoch = _keep_epoch
            wrap_attribute(sampler, "load_state_dict", self._remember_place)
        wrap_attribute(trainer.TrainPipelineConfig, "validate", self._read_configuration)
        wrap_attribute(importlib.import_module("torch.utils.data").DataLoader, "_get_iterator", self._begin_to_read)

    def _remember_place(self, original: Callable[..., Any], sampler: Any, state: dict[str, Any]) -> None:
        original(sampler, state)
        self._is_in_epoch = state["start_index"] > 0

    def _read_configuration(self, original: Callable[..., Any], config: Any) -> None:
        original(config)
        self._stays, self._eval_steps = bool(config.persistent_workers), config.eval_steps

    def _begin_to_read(self, original: Callable[..., Any], loader: Any) -> Any:
        torch = importlib.import_module("torch")
        random_state = torch.get_rng_state()
        iterator = original(loader)
        if not self._would_draw(loader):
            torch.set_rng_state(random_state)
        return iterator

    def _would_draw(self, loader: Any) -> bool:
        has_same_loaders = self._stays and (loader.num_workers > 0 or not self._loads_alone)
        if any(loader is begun_loader for begun_loader in self._begun):
            return not has_same_loaders
        self._begun.append(loader)
        if not self._first:
            return True
        if len(self._begun) == 1:  # the training's: it began before the cut
            return not (has_same_loaders or self._is_in_epoch)
        return not (has_same_loaders and 0 < self._eval_steps <= self._first)


def _keep_epoch(sampler: object, epoch: int) -> None:
    """Let a training that resumes read its data in the order that it would have had without the interruption.

    LeRobot's sampler goes on at the right epoch and counts epochs by itself; accelerate counts those of this process,
    and would set the sampler back to the first one.
    """
