"""Pipelines and sweeps whose submit or driver is killed (SIGKILL) at random moments: each step runs once.

    ./uvw run python bench/pipeline_kills.py [submit driver sweep-submit sweep-driver] [--kills 100] [--seed 1]

Three steps, or trials, of the local platform that each add a line to a file of their own. A killed submit is repeated;
a pipeline whose driver was killed is resumed, and killed again. A moment is random within the time that a whole submit,
or all of the steps, take. Exits 1 when a step is lost or doubled.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kills import Commands, Target, list_sent, local
from robotrain.model.run import RunRecord
from robotrain.pipelines import progress

STEPS = {"first": "", "second": "first", "third": "first"}
"""The step after which each one runs."""
SECONDS = 120.0


WHATS = ("submit", "driver", "sweep-submit", "sweep-driver")


class Pipeline:
    """A pipeline of its own state folder."""

    steps = tuple(STEPS)

    def __init__(self, folder: Path, commands: Commands, site: Path) -> None:
        self.folder, self._commands = folder, commands
        self._environ = {"PYTHONPATH": str(site), "ROBOTRAIN_ENVIRONMENT": sys.prefix, "ROBOTRAIN_TRACKING_URI": "none"}
        folder.mkdir()
        lines = ["name: kills", "steps:"]
        for step, after in STEPS.items():
            parameters = f"parameters: {{lines: {folder / step}}}"
            lines.append(f"  {step}: {{workload: count, after: [{after}], {parameters}}}")
        (folder / "pipeline.yaml").write_text("\n".join(lines))

    def run(self, *words: str, seconds: float | None = None) -> int:
        """The exit status of `robotrain`. seconds: after which it is killed."""
        target = Target(words, self._environ, list, lambda reference: "")
        return self._commands.run(target, self.folder, seconds)

    def submit(self, seconds: float | None = None) -> int:
        """The exit status of a submit."""
        return self.run(
            "pipeline", "submit", str(self.folder / "pipeline.yaml"), "--platform", "local", seconds=seconds
        )

    def require_status(self, status: int) -> None:
        """Raise AssertionError if a command failed."""
        assert status == 0, (self.folder / "said").read_text()

    def find_sent(self) -> RunRecord | None:
        """The record of the pipeline, if it was sent."""
        return next((record for record in list_sent(self.folder) if record.steps), None)

    def has_ended(self) -> bool:
        """Whether every step has ended."""
        sent = self.find_sent()
        found = sent and progress.read_progress(sent.run)
        return bool(found and found.finished)

    def wait(self) -> float:
        """Wait until every step has ended; return the seconds."""
        start = time.monotonic()
        while not self.has_ended():
            assert time.monotonic() - start < SECONDS, f"the pipeline in {self.folder} does not end"
            time.sleep(0.02)
        return time.monotonic() - start

    def count(self) -> tuple[int, int]:
        """How many steps were lost, and how many doubled; a second pipeline of the same file doubles its steps."""
        sent = list_sent(self.folder)
        pipelines = [record for record in sent if record.steps]
        files = [self.folder / step for step in STEPS]  # of a sweep: of its trials, in their order
        lines = [len(file.read_text().splitlines()) if file.exists() else 0 for file in files]
        found = progress.read_progress(pipelines[0].run)
        succeeded = [bool(found and found.steps[step].state == "succeeded") for step in self.steps]
        recorded = [sum(record.step == step for record in sent) for step in self.steps]
        lost = sum(not (line and ended) for line, ended in zip(lines, succeeded, strict=True))
        doubled = sum(max(counted) > 1 for counted in zip(lines, recorded, strict=True))
        return lost, doubled + len(STEPS) * (len(pipelines) - 1)


class Sweep(Pipeline):
    """A sweep of its own state folder, whose trials run one after the other."""

    steps = tuple(f"trial-{number}" for number in range(1, len(STEPS) + 1))

    def submit(self, seconds: float | None = None) -> int:
        """The exit status of a submit."""
        over = f"lines={','.join(str(self.folder / step) for step in STEPS)}"
        return self.run("sweep", "count", "--platform", "local", "--over", over, seconds=seconds)


def kill_submit(pipeline: Pipeline, seconds: float) -> int:
    """Kill a submit and repeat it, as a user does who was not told the run's name; return 1 if it was killed."""
    if pipeline.submit(seconds) != -signal.SIGKILL:
        pipeline.wait()
        return 0
    if sent := pipeline.find_sent():
        assert sent.run in (pipeline.folder / "said").read_text()
    else:
        pipeline.require_status(pipeline.submit())
    pipeline.wait()
    return 1


def kill_drivers(pipeline: Pipeline, moments: Iterator[float], most: int) -> int:
    """Kill each driver of a pipeline until one comes to the end; return how many were killed."""
    pipeline.require_status(pipeline.submit())
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
        pipeline.require_status(pipeline.run("pipeline", "resume", sent.run))
    pipeline.wait()
    return killed


def find_drivers(run: str) -> Iterator[int]:
    """The processes that drive a pipeline."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if b"robotrain.pipelines.driver" in words and run.encode() in words:
                yield int(file.parent.name)


def kill(what: str, kills: int, seed: int, top: Path) -> tuple[int, int]:
    """How many steps were lost, and how many doubled."""
    random_ = random.Random(f"{what} {seed}")
    kind, is_driver = Sweep if what.startswith("sweep") else Pipeline, what.endswith("driver")
    killed = lost = doubled = steps = 0
    with local(top), contextlib.closing(Commands("local", top / "site")) as commands:
        whole: list[float] = []
        for number in range(2):  # the first one fills caches
            pipeline = kind(top / f"whole-{number}", commands, top / "site")
            start = time.monotonic()
            pipeline.require_status(pipeline.submit())
            submitted = time.monotonic() - start
            whole = [submitted, pipeline.wait()]
            assert pipeline.count() == (0, 0)
        moments = iter(lambda: random_.uniform(0.0, whole[is_driver]), None)
        for number in range(20 * kills):
            pipeline = kind(top / f"killed-{number}", commands, top / "site")
            if is_driver:
                killed += kill_drivers(pipeline, moments, kills - killed)
            else:
                killed += kill_submit(pipeline, next(moments))
            found = pipeline.count()
            lost, doubled, steps = lost + found[0], doubled + found[1], steps + len(STEPS)
            if killed == kills:
                break
    print(f"{what:<12} {killed} kills of {steps} steps, {lost} lost, {doubled} doubled", flush=True)
    return lost, doubled


def main() -> int:
    """Kill submits and drivers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=", ".join(WHATS))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if unknown := set(given.what) - {*WHATS}:
        parser.error(f"there is no kill of {', '.join(unknown)}")
    found = []
    for what in given.what or WHATS:
        with tempfile.TemporaryDirectory() as top:
            found.append(kill(what, given.kills, given.seed, Path(top)))
    return int(any(map(any, found)))


if __name__ == "__main__":
    sys.exit(main())
