"""Pipelines and sweeps whose submit or driver is killed (SIGKILL): each step runs once.

Three steps, or trials, of the local platform that each add a line to a file of their own. A killed submit is repeated;
a pipeline whose driver was killed is resumed, and killed again. A moment is random within the time that a whole submit,
or all of the steps, take.
"""

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from robotrain.model.run import RunRecord
from robotrain.pipelines import progress

from kill_subjects.commands import OUTPUT, Commands, install_count_workload, list_sent
from kill_subjects.rounds import Findings, RunRound

STEPS = {"first": "", "second": "first", "third": "first"}
"""The step after which each one runs."""
END_SECONDS = 120.0


class Pipeline:
    """A pipeline of its own state folder."""

    steps = tuple(STEPS)

    def __init__(self, folder: Path, commands: Commands, site: Path) -> None:
        self.folder, self._commands = folder, commands
        self._environ = {"PYTHONPATH": str(site), "ROBOTRAIN_ENVIRONMENT": sys.prefix, "ROBOTRAIN_TRACKING_URI": "none"}
        folder.mkdir()

    def make_submit_words(self) -> Sequence[str]:
        """Write the pipeline; return the words that submit it."""
        lines = ["name: kills", "steps:"]
        for step, after in STEPS.items():
            parameters = f"parameters: {{lines: {self.folder / step}}}"
            lines.append(f"  {step}: {{workload: count, after: [{after}], {parameters}}}")
        file = self.folder / "pipeline.yaml"
        file.write_text("\n".join(lines))
        return ("pipeline", "submit", str(file), "--platform", "local")

    def submit(self, seconds: float) -> int:
        """Submit; return the exit status. seconds: after which the command is killed."""
        return self._commands.run(self.make_submit_words(), self.folder, self._environ, seconds)

    def require(self, words: Sequence[str]) -> None:
        """Run a command. Raise AssertionError with its output if it fails."""
        self._commands.require(words, self.folder, self._environ)

    def find_sent(self) -> RunRecord | None:
        """Return the record of the pipeline, if it was sent."""
        return next((record for record in list_sent(self.folder) if record.steps), None)

    def has_ended(self) -> bool:
        """Return whether every step has ended."""
        sent = self.find_sent()
        reached = sent and progress.read_progress(sent.run)
        return bool(reached and reached.finished)

    def wait(self) -> float:
        """Wait until every step has ended; return the seconds."""
        start = time.monotonic()
        while not self.has_ended():
            assert time.monotonic() - start < END_SECONDS, f"the pipeline in {self.folder} does not end"
            time.sleep(0.02)
        return time.monotonic() - start

    def find_losses(self, kills: int) -> Findings:
        """Look at what each step left, in its file and on record, and for a second pipeline of the same file."""
        findings = Findings(kills)
        sent = list_sent(self.folder)
        pipelines = [record for record in sent if record.steps]
        reached = progress.read_progress(pipelines[0].run)
        for step, name in zip(self.steps, STEPS, strict=True):  # of a sweep: of its trials, in their order
            file = self.folder / name
            lines = len(file.read_text().splitlines()) if file.exists() else 0
            recorded = sum(record.step == step for record in sent)
            state = reached.steps[step].state if reached else ""
            if not lines or state != "succeeded":
                findings.lost.append(f"{step} ran {lines} times, and its state is {state}")
            if max(lines, recorded) > 1:
                findings.doubled.append(f"{step} ran {lines} times, and has {recorded} records")
        findings.doubled += [f"{record.run} is another pipeline" for record in pipelines[1:]]
        return findings


class Sweep(Pipeline):
    """A sweep of its own state folder, whose trials run one after the other."""

    steps = tuple(f"trial-{number}" for number in range(1, len(STEPS) + 1))

    def make_submit_words(self) -> Sequence[str]:
        """Return the words that submit it."""
        over = f"lines={','.join(str(self.folder / step) for step in STEPS)}"
        return ("sweep", "count", "--platform", "local", "--over", over)


def kill_submit(pipeline: Pipeline, seconds: float) -> int:
    """Kill a submit and repeat it, as a user does who was not told the run's name; return 1 if it was killed."""
    if pipeline.submit(seconds) != -signal.SIGKILL:
        pipeline.wait()
        return 0
    if sent := pipeline.find_sent():
        assert sent.run in (pipeline.folder / OUTPUT).read_text()
    else:
        pipeline.require(pipeline.make_submit_words())
    pipeline.wait()
    return 1


def kill_drivers(pipeline: Pipeline, moments: Iterator[float], most: int) -> int:
    """Kill each driver of a pipeline until one comes to the end; return how many were killed."""
    pipeline.require(pipeline.make_submit_words())
    sent, killed = pipeline.find_sent(), 0
    assert sent
    while killed < most:
        time.sleep(next(moments))
        for process in find_drivers(sent.run):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while progress.is_driven(sent.run):
            time.sleep(0.01)
        if pipeline.has_ended():
            break
        killed += 1
        pipeline.require(("pipeline", "resume", sent.run))
    pipeline.wait()
    return killed


def find_drivers(run: str) -> Iterator[int]:
    """Yield the processes that drive a pipeline."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if b"robotrain.pipelines.driver" in words and run.encode() in words:
                yield int(file.parent.name)


@contextlib.contextmanager
def open_pipelines(kind: type[Pipeline], kills_driver: bool, top: Path) -> Iterator[RunRound]:
    """Run two pipelines that are left alone: the first one fills caches."""
    site = top / "site"
    install_count_workload(site)
    with contextlib.closing(Commands(site)) as commands:
        for number in range(2):
            pipeline = kind(top / f"whole-{number}", commands, site)
            began = time.monotonic()
            pipeline.require(pipeline.make_submit_words())
            submit_seconds = time.monotonic() - began
            run_seconds = pipeline.wait()
            assert pipeline.find_losses(0) == Findings()
        whole = run_seconds if kills_driver else submit_seconds

        def kill_pipeline(number: int, moments: random.Random, left: int) -> Findings:
            pipeline = kind(top / f"killed-{number}", commands, site)
            draw = iter(lambda: moments.uniform(0.0, whole), None)
            kills = kill_drivers(pipeline, draw, left) if kills_driver else kill_submit(pipeline, next(draw))
            return pipeline.find_losses(kills)

        yield kill_pipeline


SUBJECTS = {
    "submit": partial(open_pipelines, Pipeline, False),
    "driver": partial(open_pipelines, Pipeline, True),
    "sweep-submit": partial(open_pipelines, Sweep, False),
    "sweep-driver": partial(open_pipelines, Sweep, True),
}
