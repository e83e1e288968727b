"""A program that was to continue from a checkpoint, and begins with its first step again."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.command.parameters import is_continued
from robotrain_workloads.command.program_spec import ProgramSpec


class RestartFollower:
    """Warns once of a program whose steps go back, by its metrics or by the first checkpoint that it saves.

    :param list_steps: returns the first two steps of the program that have metrics, as far as it told them.
    :param get_saved_step: returns the step of the first checkpoint that it saved; None before.
    """

    def __init__(
        self,
        spec: ProgramSpec,
        list_steps: Callable[[], Sequence[int]],
        get_saved_step: Callable[[], int | None],
        send: Callable[[Any], None] = emit_event,
    ) -> None:
        self._list_steps, self._get_saved_step, self._send = list_steps, get_saved_step, send
        is_told = bool(spec.resume) and is_continued(spec.values, spec.arguments)
        manifest = checkpoint.read_manifest(Path(spec.resume)) if is_told else None
        self._resumed_step = manifest.step if manifest else 0
        """The step of its checkpoint; 0 where there is nothing to compare with."""

    def read_new(self) -> None:
        """Warn as soon as it is known."""
        self._compare(is_last=False)

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Warn of a program that told only one step."""
        self._compare(is_last=True)
        yield from ()

    def _compare(self, *, is_last: bool) -> None:
        saved_step = self._get_saved_step()
        if saved_step is not None and saved_step < self._resumed_step:
            self._warn(f"saved its first checkpoint at step {saved_step}")
        steps = self._list_steps()
        if self._resumed_step and steps and _is_beginning(steps, is_last) and steps[0] < self._resumed_step:
            self._warn(f"began with step {steps[0]}")

    def _warn(self, act: str) -> None:
        text = f"the program {act}, and was to continue from step {self._resumed_step}: it seems to ignore {{resume}}"
        self._resumed_step = 0  # once is enough
        self._send(Note(level="warning", text=text))


def _is_beginning(steps: Sequence[int], is_last: bool) -> bool:
    """Return whether steps are the first ones of a training: metrics of every 100 steps begin with 0, 1 or 100."""
    if len(steps) < 2:
        return is_last and steps[0] <= 1
    return steps[0] <= max(1, steps[1] - steps[0])
