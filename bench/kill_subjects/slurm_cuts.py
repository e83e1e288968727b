"""A training on a real Slurm that is cut again and again, and the same one left alone: they end with equal weights.

ACT on examples/pusht-mini, on two nodes of this machine. A cut is in turn: the time limit, SIGKILL of the runtime,
`scontrol requeue`, and a node that is declared down while its processes live on. It comes a random moment after the
first step that no earlier attempt had done, and must lead to another attempt. Lost: a file of the last checkpoint that
differs by a bit. Doubled: another job of the run.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from lab import SlurmLab, wait_until
from robotrain_runtime.contract import checkpoint, claim
from robotrain_slurm.node import attempts

from kill_subjects import ROOT
from kill_subjects.rounds import Findings, RunRound

STEPS_OF_A_CUT, STEPS_OF_A_LIMIT = 60, 450
"""Steps of the training for each cut: an attempt does fewer of them before it is cut. Every 30 seconds Slurm looks for
jobs whose time is up.
"""
KINDS = ("limit", "kill", "requeue", "node")
SAVE_FREQ = 20
MOMENT_SECONDS = 2.0
"""Within how many seconds after a new step a cut comes."""
WAIT_SECONDS = 180.0
STATE = ("optimizer", "scheduler", "rng")
COMPARED = ("pretrained_model/model.safetensors", *(f"training_state/{part}*" for part in STATE))
"""Files of a checkpoint that a cut must not change."""
RANDOM = ("--policy.use_vae=true", "--policy.dropout=0.1")
"""What draws random numbers in each step."""
JOB = ("--device", "cpu", "--cpus", "1", "--memory", "3000M", "--time", "15m", "--continuation", "requeue")


class CutTraining:
    """A training that is cut while it runs."""

    def __init__(self, lab: SlurmLab, folder: Path, job: str, moments: random.Random) -> None:
        self._lab, self._folder, self.job = lab, folder, job
        self._moments = moments
        self._lost_node = ""
        self.kinds: dict[str, Callable[[], None]] = {
            "limit": self._reach_limit,
            "kill": self._kill_runtime,
            "requeue": self._requeue,
            "node": self._lose_node,
        }

    def cut(self, kind: str) -> None:
        """Cut the training once it has advanced, and wait until it goes on. Raise SlurmUnavailable if it does not."""
        before = attempts.read_attempts(self._folder)
        wait_until(lambda: self._has_advanced(before[-1]), f"a step after {before[-1].step}", WAIT_SECONDS)
        time.sleep(self._moments.uniform(0.0, MOMENT_SECONDS))
        self.kinds[kind]()
        wait_until(lambda: len(self._read_attempts()) > len(before), f"an attempt after the {kind}", WAIT_SECONDS)
        self._repair()

    def _read_attempts(self) -> list[attempts.Attempt]:
        return attempts.read_attempts(self._folder)

    def _has_advanced(self, attempt: attempts.Attempt) -> bool:
        return attempts.read_progress(self._folder).step > attempt.step

    def _reach_limit(self) -> None:
        """Let its time be up: Slurm signals the batch script, a minute or less before the limit."""
        number = len(self._read_attempts())
        self._limit_time(1)
        wait_until(lambda: self._read_attempts()[number - 1].end is not None, "the end of the attempt", WAIT_SECONDS)
        self._limit_time(15)  # before the next one begins, or Slurm signals that before it can hear

    def _limit_time(self, minutes: int) -> None:
        self._lab.run("scontrol", "update", f"jobid={self.job}", f"TimeLimit={minutes}")

    def _kill_runtime(self) -> None:
        owner = claim.find_owner(self._folder)
        assert owner
        os.killpg(owner.process, signal.SIGKILL)

    def _requeue(self) -> None:
        self._lab.run("scontrol", "requeue", self.job)

    def _lose_node(self) -> None:
        self._lost_node = self._read_attempts()[-1].node
        self._lab.stop(self._lost_node)
        self._lab.set_down(self._lost_node)

    def _repair(self) -> None:
        """Give Slurm its node again."""
        if self._lost_node:
            self._lab.start_node(self._lost_node)
            self._lab.resume(self._lost_node)
            self._lost_node = ""


def submit(lab: SlurmLab, top: Path, steps: int) -> Path:
    """Submit the training; return its run folder."""
    words = [sys.executable, "-m", "robotrain", "submit", str(ROOT / "examples/pusht-mini/job.yaml"), *JOB]
    words += ["--platform", "slurm", "--runs-dir", str(top / "runs"), "--new", "--json"]
    words += ["--training-steps", str(steps), "--save-freq", str(SAVE_FREQ), "--log-freq", "1"]
    words += ["--batch-size", "32", "--", *RANDOM]
    environ = lab.environment | {"ROBOTRAIN_STATE": str(top / "state")}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return top / "runs" / json.loads(done.stdout)["run"]


def wait_for_end(folder: Path, steps: int) -> Path:
    """Wait until a run has ended; return its last checkpoint. Raise SlurmUnavailable."""
    outcome = folder / attempts.OUTCOME_FILE

    def has_ended() -> bool:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(outcome.read_text())["state"] != "cancelled"
        return False

    wait_until(has_ended, f"the end of {folder.name}", WAIT_SECONDS + steps)
    last_checkpoint = checkpoint.find_last_complete(next(folder.glob("**/checkpoints")))
    assert last_checkpoint, f"{folder.name} left no complete checkpoint"
    assert last_checkpoint[0] == steps, f"{folder.name} ended at step {last_checkpoint[0]}: {outcome.read_text()}"
    return last_checkpoint[1]


def list_differences(first: Path, second: Path) -> Iterator[str]:
    """Yield the compared files of two checkpoints that are not equal."""
    names = {str(file.relative_to(top)) for top in (first, second) for part in COMPARED for file in top.glob(part)}
    assert names
    for name in sorted(names):
        if not (first / name).exists() or (first / name).read_bytes() != (second / name).read_bytes():
            yield name


@contextlib.contextmanager
def open_slurm(top: Path) -> Iterator[RunRound]:
    """Start a Slurm."""
    lab = SlurmLab(top / "lab")

    def cut_training(number: int, moments: random.Random, left: int) -> Findings:
        kinds = [KINDS[cut % len(KINDS)] for cut in range(left)]
        steps = sum(STEPS_OF_A_LIMIT if kind == "limit" else STEPS_OF_A_CUT for kind in kinds)
        findings = Findings(kills=len(kinds))
        alone = submit(lab, top, steps)
        wait_for_end(alone, steps)
        cut = submit(lab, top, steps)
        wait_until(lambda: bool(attempts.read_attempts(cut)), "the first attempt", WAIT_SECONDS)
        training = CutTraining(lab, cut, attempts.read_attempts(cut)[0].job, moments)
        for index, kind in enumerate(kinds, start=1):
            training.cut(kind)
            step = attempts.read_attempts(cut)[-1].step
            print(f"cut {index:2}: {kind:8} after step {step}", file=sys.stderr, flush=True)
        checkpoints = [wait_for_end(run, steps) for run in (alone, cut)]
        findings.lost += [f"{name} differs" for name in list_differences(*checkpoints)]
        jobs = Counter(lab.run("squeue", "--noheader", "--states=all", "--format=%j").split())
        findings.doubled += [f"{run.name} has {jobs[run.name]} jobs" for run in (alone, cut) if jobs[run.name] > 1]
        return findings

    try:
        lab.start()
        yield cut_training
    finally:
        lab.close()


SUBJECTS = {"slurm_cuts": open_slurm}
