"""A program that saves checkpoints, as its follower sees it: files with their times, and a clock that tests turn."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.event import Checkpoint, Discarded, Note
from robotrain_workloads.command import attempts
from robotrain_workloads.command.checkpoint_follower import CheckpointFollower
from robotrain_workloads.command.program_spec import ProgramSpec

DEFAULTS = {"checkpoints": None, "checkpoint_complete": "quiet:5", "results": None, "shell": False}
RESUME = {"resume_args": None, "resume_in_place": False}


class FollowedProgram:
    """The outputs of a program, and the follower of its checkpoints."""

    def __init__(self, work: Path, **values: Any) -> None:
        self.outputs, self.kept = work / "outputs/files", work / "outputs/checkpoints"
        self.spec = ProgramSpec(
            arguments=("true",),
            folder=str(work),
            work=str(work),
            outputs=str(self.outputs),
            checkpoints=str(self.kept),
            values={**DEFAULTS, **RESUME, **values},
        )
        self.now, self.events = 0.0, list[Any]()
        self._times = itertools.count(10**18, 10**9)
        self.outputs.mkdir(parents=True)
        self.start()

    def start(self, step: int | None = None, send: Callable[[Any], None] | None = None) -> None:
        """Begin to follow it."""
        self.follower = CheckpointFollower(self.spec, lambda: step, lambda: self.now, send or self.events.append)

    def write(self, path: str, text: str = "x") -> Path:
        """Write a file in place, later than all before."""
        file = self.outputs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        time = next(self._times)
        os.utime(file, ns=(time, time))
        return file

    def wait(self, seconds: float) -> None:
        """Let time pass, while the follower looks once a second."""
        until = self.now + seconds
        while self.now < until:
            self.now += 1.0
            self.follower.read_new()

    def end(self, exit_code: int = 0, is_stopped: bool = False) -> list[str]:
        """End the program; return why its run failed."""
        return list(self.follower.finish(exit_code, is_stopped))

    def prepare_again(self, monkeypatch: Any) -> None:
        """Begin the next attempt of the run, in the same folder."""
        monkeypatch.setattr(event, "emit_event", self.events.append)
        attempts.prepare_outputs(self.spec)

    def seal(self) -> None:
        """Seal the run's checkpoints, as the runtime does."""
        for step, folder in checkpoint.list_checkpoints(self.kept):
            checkpoint.seal_checkpoint(folder, step=step, run="r", job="j")

    @property
    def steps(self) -> list[int]:
        """The steps of the checkpoints that were complete, in order."""
        return [event.step for event in self.events if isinstance(event, Checkpoint)]

    @property
    def notes(self) -> list[Note]:
        """What it said about them."""
        return [event for event in self.events if isinstance(event, Note)]

    @property
    def discarded(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, Discarded)]

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]
