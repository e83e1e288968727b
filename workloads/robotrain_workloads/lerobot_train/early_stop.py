"""The end of a training whose validation loss does not improve any more (`--stop-after-no-improvement`).

What was seen so far lies in each checkpoint, so that a training that is interrupted ends where an uncut one does.
"""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

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
            state = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
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
    """A truth that is found when it is asked for: whether LeRobot saves a step, which it asks before the validation."""

    def __init__(self, decide: Callable[[], bool]) -> None:
        self._decide = decide

    def __bool__(self) -> bool:
        return self._decide()
