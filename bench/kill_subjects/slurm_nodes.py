"""Trainings on two real Slurm nodes, one of which dies in the middle: each ends with the steps that it was asked for.

ACT on examples/pusht-mini, through `robotrain submit --platform slurm --num-nodes 2`, on two nodes of this machine. A
node dies at a random moment: its slurmd and all its processes are killed, or its slurmd alone, and its processes live
on where Slurm does not see them (`cut off`). Some seconds later Slurm sets it down, and still later it is back. In turn
it is the first node, which has the batch script, and the second. Lost: a run that does not have the steps and
checkpoints asked for, each once and whole, or a start that did not go on from a complete one. Doubled: more starts than
losses, or a process that outlives its run.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lab import NODES, SlurmLab, SlurmUnavailable, wait_until
from robotrain_runtime.contract import checkpoint
from robotrain_slurm.node import attempts

from kill_subjects import ROOT
from kill_subjects.rounds import Findings, RunRound

STEPS_OF_A_LOSS, STEPS_AFTER, SAVE_FREQ = 12, 8, 4
"""Within how many new steps of each start a node dies; and how many the run still has then."""
BEFORE_STEPS = 3
"""Of so many more moments each is before the first step: while the processes start and meet."""
START_SECONDS = 20.0
STEP_SECONDS = 0.5
"""Within how many seconds after the job's begin, or after a step, a node dies."""
NOTICE_SECONDS = 6.0
"""How long at most it takes Slurm to set a dead node down: by default it takes minutes."""
DOWN_SECONDS = 2.0
WAIT_SECONDS = 600.0
KINDS = ("killed", "cut off")
SIZES = ("--policy.dim_model=32", "--policy.n_heads=2", "--policy.dim_feedforward=64", "--policy.n_encoder_layers=1")
JOB = ("--device", "cpu", "--gpus", "0", "--cpus", "1", "--memory", "5G", "--time", "30m", "--num-nodes", "2")
TRAINING = ("--batch-size", "2", "--log-freq", "1", "--no-val-split")


class Training:
    """A run that trains on both nodes of the lab."""

    def __init__(self, lab: SlurmLab, top: Path, name: str, steps: int) -> None:
        self._steps = steps
        self._lab, self._environ = lab, lab.environment | {"ROBOTRAIN_STATE": str(top / "state")}
        words = ("submit", str(ROOT / "examples/pusht-mini/job.yaml"), "--platform", "slurm", "--name", name, "--json")
        sizes = (*JOB, *TRAINING, "--training-steps", str(steps), "--save-freq", str(SAVE_FREQ))
        answer = self.robotrain(*words, "--runs-dir", str(top / "runs"), *sizes, "--", *SIZES)
        self.folder = top / "runs" / json.loads(answer)["run"]
        self.job = lab.run("squeue", "--noheader", "--states=all", "--format=%i", f"--name={self.folder.name}")

    def robotrain(self, *words: str) -> str:
        """Return what a command prints. Raise SystemExit if it fails."""
        command = [sys.executable, "-m", "robotrain", *words]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 5):  # 5: `wait`, of a run that failed
            raise SystemExit(done.stdout + done.stderr)
        return done.stdout

    @property
    def is_active(self) -> bool:
        """Whether Slurm has the job, or will start it again."""
        state = self._lab.get_state(self.job).partition(" ")[0]
        return state in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED")

    def list_steps(self) -> list[int]:
        """Return the steps that the ranks made, in the order of the log: again those that were made twice."""
        events = self.folder / attempts.EVENTS_FILE
        lines = events.read_text(errors="replace").splitlines() if events.exists() else []
        loss_events = [json.loads(line.partition(" ")[2]) for line in lines if '"train/loss"' in line]
        return [event["step"] for event in loss_events]

    def find_problems(self) -> Iterator[str]:
        """Yield what is wrong with the run, which has ended."""
        status = json.loads(self.robotrain("status", self.folder.name, "--json"))
        outcome = (status["state"], status["step"], status["checkpoint_step"])
        if outcome != ("succeeded", self._steps, self._steps):
            yield f"it ended as {outcome}"
        saved = dict(checkpoint.list_checkpoints(self.folder / "outputs/checkpoints"))  # none that was set aside
        if missing := {*range(SAVE_FREQ, self._steps + 1, SAVE_FREQ)} - saved.keys():
            yield f"it lacks the checkpoints {sorted(missing)}"
        for step, folder in saved.items():
            manifest = checkpoint.read_manifest(folder)
            if manifest is None or manifest.step != step or checkpoint.validate_checkpoint(folder):
                yield f"the checkpoint {folder.name} is torn"
        expected, steps = 1, self.list_steps()
        for step in steps:
            if step > expected or (step < expected and step - 1 not in {0, *saved}):
                yield f"the step {step} came after {expected - 1}: {steps}"
            expected = step + 1


def kill_node(lab: SlurmLab, node: str, *, is_cut_off: bool) -> None:
    """Let a node die: its slurmd and, unless it is only cut off, all its processes."""
    lab.kill(node)
    if not is_cut_off:
        for process in lab.find_node_processes(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def lose_node(lab: SlurmLab, run: Training, node: str, kind: str, draw: random.Random) -> int:
    """Let a node die at a random moment, and bring it back. Return the last step before."""
    lab.wait_for_state(run.job, "RUNNING", seconds=WAIT_SECONDS)
    reached = max(run.list_steps(), default=0)
    more = draw.randrange(-BEFORE_STEPS, STEPS_OF_A_LOSS) + 1
    if more > 0:
        wait_until(lambda: max(run.list_steps(), default=0) >= reached + more, f"{more} steps", WAIT_SECONDS)
    time.sleep(draw.uniform(0, STEP_SECONDS if more > 0 else START_SECONDS))
    reached = max(run.list_steps(), default=0)
    kill_node(lab, node, is_cut_off=kind == "cut off")
    time.sleep(draw.uniform(0, NOTICE_SECONDS))
    lab.set_down(node)
    lab.wait_for_state(run.job, "PENDING", seconds=WAIT_SECONDS)
    time.sleep(draw.uniform(0, DOWN_SECONDS))
    lab.start_node(node)
    lab.resume(node)
    return reached


@contextlib.contextmanager
def open_slurm(losses: int, top: Path) -> Iterator[RunRound]:
    """Start a Slurm. losses: the nodes that die in one run, one after another."""
    lab = SlurmLab(top / "lab")

    def train(number: int, moments: random.Random, left: int) -> Findings:
        indexes = [number * losses + index for index in range(min(losses, left))]
        findings, began = Findings(kills=len(indexes)), time.monotonic()
        run = Training(lab, top, f"loss-{number}", STEPS_OF_A_LOSS * len(indexes) + STEPS_AFTER)
        for index in indexes:
            node, kind = NODES[index % 2], KINDS[index // 2 % 2]
            step = lose_node(lab, run, node, kind, moments)
            print(f"loss {index}: {node} {kind} after step {step}", file=sys.stderr, flush=True)
        wait_until(lambda: not run.is_active, "the end", WAIT_SECONDS)
        findings.lost += run.find_problems()
        starts = len(attempts.read_attempts(run.folder))
        if starts > len(indexes) + 1:
            findings.doubled.append(f"{starts} starts")
        with contextlib.suppress(SlurmUnavailable):
            wait_until(lambda: not lab.find_processes(), "all processes to end")
        if survivors := lab.find_processes():
            findings.doubled.append(f"{len(survivors)} processes outlive the run")
        print(f"{run.folder.name}: {starts} starts, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        lab.reset()
        return findings

    try:
        lab.start()
        yield train
    finally:
        lab.close()


SUBJECTS = {"one-loss": partial(open_slurm, 1), "three-losses": partial(open_slurm, 3)}
