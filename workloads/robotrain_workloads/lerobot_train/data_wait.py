"""How much of its time a training waits for data, as it is measured at every step: what a GPU stands idle for."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot_train.wrapped_attribute import wrap_attribute

METRIC = "train/data_wait"
"""The share of the time of steps, between 0 and 1."""
LOADING, UPDATE = "dataloading_s", "update_s"
"""What LeRobot's tracker calls the seconds of a step: until its batch is there, and with it."""
FIRST_STEPS = 10
"""Steps that do not count: workers start, and a GPU chooses its algorithms."""
LEAST_STEPS = 50
"""So many steps decide whether a note is due."""
NOTABLE_SHARE = 0.2


class DataWait:
    """Measures it, and says once that a GPU waits much. On a CPU more processes take from the training what they load.

    :param workers: processes that load data.
    :param cores: those that the job has.
    :param is_on_gpu: whether what waits is a GPU.
    :param other_ways: options that help besides the number of processes.
    """

    def __init__(self, workers: int, cores: int, *, is_on_gpu: bool, other_ways: Sequence[str] = ()) -> None:
        self._workers, self._cores, self._is_on_gpu = workers, cores, is_on_gpu
        self._other_ways = other_ways
        self._loading = 0.0
        """The seconds that the current step waited."""
        self._steps = 0
        self._waited = self._spent = 0.0
        """Seconds of all steps that count."""

    @property
    def share(self) -> float | None:
        """The share of the time that the steps so far have waited; None before the first one that counts."""
        return self._waited / self._spent if self._spent else None

    def install(self, trainer: ModuleType) -> None:
        """Have the trainer's tracker tell each step's times."""
        wrap_attribute(trainer.MetricsTracker, "__setattr__", self._read_time)

    def _read_time(self, original: Callable[..., Any], tracker: Any, name: str, value: Any) -> None:
        original(tracker, name, value)
        if name == LOADING:
            self._loading = float(value)
        elif name == UPDATE:
            self.add_step(self._loading, float(value))

    def add_step(self, loading: float, update: float) -> None:
        """Count a step: the seconds until its batch was there, and those after."""
        self._steps += 1
        if self._steps <= FIRST_STEPS:
            return
        self._waited += loading
        self._spent += loading + update
        share = self.share or 0.0
        if self._is_on_gpu and self._steps == FIRST_STEPS + LEAST_STEPS and share > NOTABLE_SHARE:
            emit_event(self._make_note(share))

    def _make_note(self, share: float) -> Note:
        text = (
            f"the GPU waits for data {share:.0%} of the time, and {self._workers} processes load it on "
            f"{self._cores} cores"
        )
        ways = (*([f"--num-workers {self._cores}"] if self._workers < self._cores else []), *self._other_ways)
        text += f" ({'; '.join(ways)})" if ways else ": more cores would help"
        return Note(level="warning", text=text, ways=tuple((way,) for way in ways))
