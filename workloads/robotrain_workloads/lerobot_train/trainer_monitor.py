"""Monitor of LeRobot's trainer: metrics and checkpoints as events, and an end where nothing improves any more."""

import json
import logging
import math
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.event import Checkpoint, Metrics, Processes, emit_event, emit_note
from robotrain_runtime.process.stop import STOPPED_STATUS

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import training_history
from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.lerobot.policy import MODEL_FOLDER, find_weights_file
from robotrain_workloads.lerobot.training_history import PolicyTraining
from robotrain_workloads.lerobot_train import data_wait
from robotrain_workloads.lerobot_train.data_wait import DataWait
from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute
from robotrain_workloads.lerobot_training.process_group import StopHandler

METRIC_NAMES = {
    "train/loss": "loss",
    "train/grad_norm": "grad_norm",
    "train/learning_rate": "lr",
    "train/update_time_s": "update_s",
    "train/data_time_s": "dataloading_s",
    "train/samples": "samples",
    "train/episodes": "episodes",
    "train/epoch": "epochs",
}
"""Our names, with those of LeRobot's tracker."""
SILENCE_SECONDS = 10.0
NUMBER_PATTERN = r"[+-]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
HELD_OUT_PATTERN = re.compile(rf"step (?P<step>\d+): eval_loss=(?P<loss>{NUMBER_PATTERN})\b", re.IGNORECASE)
LOSS = "train/loss"
NON_FINITE_HINT = "use a lower --learning-rate, or --allow-non-finite to keep such a policy"


STATE_FILE = Path("training_state", "robotrain_validation.json")
"""In a checkpoint."""


class TrainingEnded(Exception):
    """The training ends before its last step, as it was asked to."""


class EarlyStop:
    """The validation losses of a training.

    :param patience: after so many validations without a lower loss the training ends.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.best_step: int | None = None
        self.best_loss = math.inf
        self.without_improvement = 0
        """Validations since the best one."""

    @property
    def is_over(self) -> bool:
        """Whether the training ends now."""
        return self.without_improvement >= self._patience

    def add(self, step: int, loss: float) -> bool:
        """Take the loss of a validation; return whether it is the lowest so far. NaN is none."""
        if loss < self.best_loss:
            self.best_step, self.best_loss, self.without_improvement = step, loss, 0
            return True
        self.without_improvement += 1
        return False

    def save(self, checkpoint: Path) -> None:
        """Write what was seen into a checkpoint. Raise OSError."""
        state = {"step": self.best_step, "loss": self.best_loss, "without_improvement": self.without_improvement}
        (checkpoint / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    def load(self, checkpoint: Path) -> None:
        """Go on from what was seen up to a checkpoint; from nothing if it has none."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads((checkpoint / STATE_FILE).read_text("utf-8"))
            step = None if state["step"] is None else int(state["step"])
            loss, count = float(state["loss"]), int(state["without_improvement"])
            self.best_step, self.best_loss, self.without_improvement = step, loss, count

    def describe_end(self, step: int) -> str:
        """Return why the training ends at a step."""
        times = "once" if self._patience == 1 else f"{self._patience} times"
        lowest_text = (
            "" if self.best_step is None else f"; it was lowest at step {self.best_step}: {self.best_loss:.4g}"
        )
        return f"the training ends at step {step}: the validation loss has not improved {times}{lowest_text}"


class LateDecision:
    """A truth that is found when it is asked for: whether LeRobot saves a step, which it decides before the validation.

    The door that LeRobot lacks is a hook between its validation and its save.
    """

    def __init__(self, decide: Callable[[], bool]) -> None:
        self._decide = decide

    def __bool__(self) -> bool:
        return self._decide()


class SaveInterval(int):
    """The steps between checkpoints, of which `STEP % INTERVAL` is 0 where `should_save(STEP, INTERVAL)` is true.

    The door that LeRobot lacks is a hook that asks whether a step is saved: its loop computes this remainder.
    """

    should_save: Callable[[int, int], bool]

    def __rmod__(self, step: int) -> int:
        return 0 if self.should_save(step, int(self)) else 1

    def __reduce__(self) -> tuple[Any, ...]:  # copies are plain numbers
        return int, (int(self),)


class TrainerMonitor:
    """Sends events about a training. LeRobot tells the validation loss only in its log."""

    def __init__(
        self,
        total: int,
        stop_handler: StopHandler,
        first: int = 0,
        *,
        allow_non_finite: bool = False,
        ranks: tuple[int, int, int] = (1, 1, 0),
        earlier: Sequence[PolicyTraining] = (),
        texts: Sequence[str] = (),
        root: Path | None = None,
        waits: DataWait | None = None,
        early_stop: EarlyStop | None = None,
    ) -> None:
        """`total`: steps of the training. `first`: the step that it continues from.

        `allow_non_finite` keeps checkpoints whose weights or loss are NaN or infinite. `ranks`: the nodes, processes on
        all of them, and samples of a step on each, that there must be. `earlier`: the trainings of the policy that this
        one starts from. `texts`: those of its tasks, in words. `root`: the dataset. `waits`: what measures the wait for
        data. `early_stop`: what ends it once the validation loss does not improve.
        """
        self._ranks = ranks
        self._total = total
        self._stop_handler = stop_handler
        self._allow_non_finite = allow_non_finite
        self._earlier, self._texts, self._root = earlier, texts, root
        self._waits = waits
        self._early_stop, self._has_validated, self._is_ending = early_stop, False, False
        self._last_loss = (first, 0.0)
        """Step and value of the last training loss."""
        self._stopping = False
        self._has_counted = False
        self._reduced = math.nan
        self._sent = time.monotonic()

    def install(self, trainer: ModuleType) -> None:
        """Wrap the functions that the trainer calls."""
        from accelerate import Accelerator

        logging.getLogger().addFilter(self._filter_record)
        wrap_attribute(trainer.MetricsTracker, "reset_averages", self._send_window)
        if self._waits:
            self._waits.install(trainer)
        wrap_attribute(Accelerator, "reduce", self._remember_reduced)
        wrap_attribute(Accelerator, "wait_for_everyone", self._leave_group)
        wrap_attribute(trainer, "update_last_checkpoint", self._send_checkpoint)
        if self._early_stop:
            wrap_attribute(trainer, "should_save_checkpoint", self._decide_save_later)
        wrap_attribute(trainer.TrainPipelineConfig, "validate", self._watch_interval)

    def _send_window(self, original: Callable[..., Any], tracker: Any) -> None:
        """Send the averages of a window before they are reset."""
        if tracker.accelerator is None or tracker.accelerator.is_main_process:
            averages = tracker.to_dict()
            window_metrics = {name: averages[key] for name, key in METRIC_NAMES.items() if key in averages}
            if self._waits and self._waits.share is not None:
                window_metrics[data_wait.METRIC] = self._waits.share
            self._send_metrics(int(averages["steps"]), window_metrics)
        original(tracker)

    def _remember_reduced(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Remember the validation loss, the only reduced number without a dimension."""
        reduced_value = original(*args, **kwargs)
        if getattr(reduced_value, "ndim", None) == 0:
            self._reduced, self._has_validated = float(reduced_value.item()), True
        return reduced_value

    def _filter_record(self, record: logging.LogRecord) -> bool:
        """Read a record and let it pass: an unreadable one must not stop the training."""
        with suppress(Exception):
            if isinstance(record.msg, str) and (held_out_loss := parse_held_out_loss(record.getMessage())):
                step, rounded_loss = held_out_loss
                is_exact = abs(self._reduced - rounded_loss) < 1e-3 or not math.isfinite(rounded_loss)
                self._send_metrics(step, {"val/loss": self._reduced if is_exact else rounded_loss})
        return True

    def _send_metrics(self, step: int, metric_values: dict[str, float]) -> None:
        self._sent = time.monotonic()
        if LOSS in metric_values:
            self._last_loss = step, float(metric_values[LOSS])
        emit_event(
            Metrics(values={name: float(value) for name, value in metric_values.items()}, step=step, total=self._total)
        )

    def _watch_interval(self, original: Callable[..., Any], config: Any) -> None:
        """Let LeRobot ask here at each step whether it saves: it divides the step by its interval."""
        original(config)
        config.save_freq = SaveInterval(config.save_freq)
        config.save_freq.should_save = self._should_save

    def _should_save(self, step: int, interval: int) -> bool:
        self._stopping = self._stop_handler.should_stop(step)
        if time.monotonic() - self._sent > SILENCE_SECONDS and is_first_rank():
            self._send_metrics(step, {})  # the next window is far: send the progress at least
        saves = self._stopping or step % interval == 0
        if saves or step == self._total:
            claim.end_if_superseded()
        return saves

    def _decide_save_later(self, original: Callable[..., Any], step: int, *arguments: Any) -> LateDecision:
        """Let LeRobot decide after the validation of a step whether it saves it."""
        is_planned = bool(original(step, *arguments))
        self._has_validated = False
        return LateDecision(lambda: self._should_save_late(step, is_planned))

    def _should_save_late(self, step: int, is_planned: bool) -> bool:
        """Return whether a step is saved: as planned, or its validation loss is the lowest, or it is the last one."""
        early_stop = self._early_stop
        if early_stop is None or not self._has_validated:
            return is_planned
        has_improved = early_stop.add(step, self._reduced)
        self._is_ending = early_stop.is_over and not self._stopping and step < self._total
        saves = is_planned or has_improved or self._is_ending
        if saves and not is_planned:
            claim.end_if_superseded()
        return saves

    def _send_checkpoint(self, original: Callable[..., Any], folder: Path, *args: Any, **kwargs: Any) -> Any:
        step = int(folder.name)
        weights = folder / MODEL_FOLDER / find_weights_file(folder / MODEL_FOLDER)
        if not self._allow_non_finite and (tensor := find_non_finite_tensor(weights)):
            raise WorkFailed(f"the weights are NaN or infinite at step {step} ({tensor}): {NON_FINITE_HINT}")
        if step >= self._total:
            self.require_finite_loss()
        with suppress(OSError, ValueError, *training_history.FORMAT_ERRORS):  # its trainings are unknown then
            training_history.write_record(folder / MODEL_FOLDER, self._earlier, self._texts, self._root)
        if self._early_stop:
            self._early_stop.save(folder)
        save_result = original(folder, *args, **kwargs)
        if problem := self._find_loss_problem():
            emit_note(f"checkpoint {folder.name} is not used: {problem}", "warning")
        else:
            emit_event(Checkpoint(step=step, path=str(folder.absolute()), model=MODEL_FOLDER))
        if self._stopping and not self._stop_handler.is_group:
            raise SystemExit(STOPPED_STATUS)
        if self._is_ending and self._early_stop:
            self._total = step
            self._send_metrics(step, {})
            emit_note(self._early_stop.describe_end(step))
        return save_result

    def require_finite_loss(self) -> None:
        """Raise SystemExit with a sentence if the last training loss is NaN or infinite."""
        if problem := self._find_loss_problem():
            raise WorkFailed(f"{problem}: {NON_FINITE_HINT}")

    def _find_loss_problem(self) -> str:
        step, loss = self._last_loss
        return "" if self._allow_non_finite or math.isfinite(loss) else f"{LOSS} is {loss} at step {step}"

    def _leave_group(self, original: Callable[..., Any], accelerator: Any) -> Any:
        """Leave after all processes have waited here for the first one, which saves."""
        self._require_ranks(accelerator.num_processes)
        return_value = original(accelerator)
        if self._stopping and self._stop_handler.is_group:
            accelerator.end_training()
            raise SystemExit(0)  # no failure: the launching process knows of the stop
        if self._is_ending:
            accelerator.end_training()
            raise TrainingEnded
        return return_value

    def _require_ranks(self, count: int) -> None:
        """Raise SystemExit if another number of processes trains together than was asked for; else tell it once."""
        nodes, ranks, batch = self._ranks
        if count != ranks:
            raise WorkFailed(f"{count} processes train together, not {ranks} on {nodes} nodes")
        if ranks > 1 and not self._has_counted and is_first_rank():
            emit_event(Processes(count=count, nodes=nodes, samples=count * batch))
        self._has_counted = True


def find_non_finite_tensor(file: Path) -> str:
    """Return the name of a floating-point tensor of a safetensors file with NaN or infinity; empty for none."""
    if not file.is_file():
        return ""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return next((name for name in tensors.keys() if not tensors.get_tensor(name).isfinite().all()), "")  # noqa: SIM118


def parse_held_out_loss(line: str) -> tuple[int, float] | None:
    """Return step and validation loss of a line; None for other lines."""
    match = HELD_OUT_PATTERN.search(line)
    return (int(match["step"]), float(match["loss"])) if match else None
