"""Takes exact numbers from LeRobot's trainer as it computes them, and events of its checkpoints."""

import functools
import importlib
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Checkpoint, Metrics

from robotrain_workloads.lerobot_train import text
from robotrain_workloads.lerobot_train.device import first_rank
from robotrain_workloads.lerobot_train.ending import STOPPED, Ending
from robotrain_workloads.lerobot_train.policy import MODEL

NAMES = {
    "loss": "train/loss",
    "grad_norm": "train/grad_norm",
    "lr": "train/learning_rate",
    "update_s": "train/update_time_s",
    "dataloading_s": "train/data_time_s",
    "samples": "train/samples",
    "episodes": "train/episodes",
    "epochs": "train/epoch",
}
SILENCE_SECONDS = 10.0


class Watch:
    """total: the steps of the training. first: the step it goes on from. Where LeRobot's names moved, what it logs is
    read instead.
    """

    def __init__(self, total: int, log_freq: int, ending: Ending, first: int = 0) -> None:
        self._total = total
        self._log_freq = log_freq
        self._ending = ending
        self._stopping = False
        self._windows = first // log_freq
        self._exact = False
        self._reduced = math.nan
        self._sent = time.monotonic()

    def install(self, trainer: ModuleType) -> None:
        """Put this between the trainer and what it calls."""
        logging.getLogger().addFilter(self._logged)
        tracker = getattr(trainer, "MetricsTracker", None)
        if hasattr(tracker, "reset_averages") and hasattr(tracker, "to_dict"):
            _around(tracker, "reset_averages", self._window)
            self._exact = True
        if hasattr(accelerator := _accelerator(), "reduce"):
            _around(accelerator, "reduce", self._reduce)
        if hasattr(accelerator, "wait_for_everyone"):
            _around(accelerator, "wait_for_everyone", self._met)
        if hasattr(trainer, "update_last_checkpoint"):
            _around(trainer, "update_last_checkpoint", self._checkpoint)
            if hasattr(trainer, "should_save_checkpoint"):
                _around(trainer, "should_save_checkpoint", self._save)

    def _window(self, original: Callable[..., Any], tracker: Any) -> None:
        """The averages of a window are complete, and about to be forgotten."""
        if tracker.accelerator is None or tracker.accelerator.is_main_process:
            found = tracker.to_dict()
            self._send(int(found["steps"]), {NAMES[name]: found[name] for name in NAMES if name in found})
        original(tracker)

    def _reduce(self, original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The held-out loss passes here as the one number without a dimension."""
        result = original(*arguments, **named)
        if getattr(result, "ndim", None) == 0:
            self._reduced = float(result.item())
        return result

    def _logged(self, record: logging.LogRecord) -> bool:
        """A filter that lets everything pass: what it cannot read must not stop the training."""
        with suppress(Exception):
            self._read(record)
        return True

    def _read(self, record: logging.LogRecord) -> None:
        line = record.getMessage() if isinstance(record.msg, str) or not self._exact else ""
        if held_out := text.held_out(line):
            step, rounded = held_out
            same = abs(self._reduced - rounded) < 1e-3 or not math.isfinite(rounded)
            self._send(step, {"val/loss": self._reduced if same else rounded})
        elif not self._exact and (values := text.window(line)):
            self._windows += 1  # the text rounds its step; a window is log_freq steps, always
            self._send(self._windows * self._log_freq, values)

    def _send(self, step: int, values: dict[str, float]) -> None:
        self._sent = time.monotonic()
        emit(Metrics(values={name: float(value) for name, value in values.items()}, step=step, total=self._total))

    def _save(self, original: Callable[..., bool], step: int, *arguments: Any, **named: Any) -> bool:
        """Asked after each step, whether it is one to save at."""
        self._stopping = self._ending.due(step)
        if time.monotonic() - self._sent > SILENCE_SECONDS and first_rank():
            self._send(step, {})  # far from the next window: at least how far it is
        return self._stopping or original(step, *arguments, **named)

    def _checkpoint(self, original: Callable[..., Any], folder: Path, *arguments: Any, **named: Any) -> Any:
        result = original(folder, *arguments, **named)
        emit(Checkpoint(step=int(folder.name), path=str(folder.absolute()), model=MODEL))
        if self._stopping and not self._ending.together:
            raise SystemExit(STOPPED)
        return result

    def _met(self, original: Callable[..., Any], accelerator: Any) -> Any:
        """Several processes wait here for the first one, which saves."""
        result = original(accelerator)
        if self._stopping and self._ending.together:
            accelerator.end_training()
            raise SystemExit(0)  # no failure: who started them knows that they were told to stop
        return result


def _accelerator() -> Any:
    try:
        return getattr(importlib.import_module("accelerate"), "Accelerator", None)
    except ImportError:
        return None


def _around(place: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace `place.name` by a function that calls `wrapper` with the original first."""
    original = getattr(place, name)

    @functools.wraps(original)
    def replacement(*arguments: Any, **named: Any) -> Any:
        return wrapper(original, *arguments, **named)

    setattr(place, name, replacement)
