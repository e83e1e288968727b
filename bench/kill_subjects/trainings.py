"""Trainings of a user's own program that are killed and resumed: none is lost, and no process outlives its run.

The program computes a chain of digests, a link a step, and saves it in several files, slowly. What is killed is in
turn the program, its supervisor, the runtime (all by SIGKILL), the program by SIGTERM, and the run by `robotrain
cancel`. Lost: a sealed checkpoint that is damaged, a run that does not resume from the last one, or another result
than without kills. Doubled: a process that outlives its run. A moment is random within the time that a whole training
takes.
"""

import contextlib
import hashlib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain.store import files
from robotrain_local import process, process_list
from robotrain_runtime.contract import checkpoint

from kill_subjects.commands import Commands
from kill_subjects.rounds import Findings, RunRound

STEPS = 200
SAVED = 10
"""Steps between checkpoints."""
KILLS_OF_ONE = 8
"""How often a training is killed, before it may end."""
MOST_RUNS = 29
"""How many runs of one training end in vain before it counts as lost."""
WAIT_SECONDS = 90.0
PROGRAM = """
import hashlib, json, os, signal, sys, time

outputs, how, steps, saved = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
stopped = []
signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
chain, first = "", 1

def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        for letter in text:
            file.write(letter)
            file.flush()
            time.sleep(0.0005)

def read(path):
    if os.path.isdir(path):
        parts = [json.load(open(f"{path}/{name}")) for name in ("chain.json", "step.json")]
    else:
        parts = json.load(open(path))
    assert hashlib.sha256(json.dumps(parts[0]).encode()).hexdigest() == parts[1]["digest"], "torn"
    return parts[0], parts[1]["step"]

def save(step):
    about = {"step": step, "digest": hashlib.sha256(json.dumps(chain).encode()).hexdigest()}
    if how == "rename":
        write(f"{outputs}/new", json.dumps([chain, about]))
        os.makedirs(f"{outputs}/models", exist_ok=True)
        os.replace(f"{outputs}/new", f"{outputs}/models/model_{step}.json")
        if os.path.exists(old := f"{outputs}/models/model_{step - 2 * saved}.json"):
            os.unlink(old)
        return
    write(f"{outputs}/checkpoints/{step}/step.json", json.dumps(about))
    write(f"{outputs}/checkpoints/{step}/chain.json", json.dumps(chain))
    if how == "marker:done":
        write(f"{outputs}/checkpoints/{step}/done", "x")

if len(sys.argv) > 5:
    chain, first = read(sys.argv[5])
    first += 1
for step in range(first, steps + 1):
    chain = hashlib.sha256(f"{chain}{step}".encode()).hexdigest()
    time.sleep(0.01)
    if step % saved == 0 or step == steps or stopped:
        save(step)
    if stopped:
        sys.exit(143)
"""
FORMS = (
    ("rename", "models/model_{step}.json"),
    ("marker:done", "checkpoints/{step}"),
    ("quiet:1", "checkpoints/{step}"),
)
PARTS = {
    "program": "train.py",
    "supervisor": "robotrain_workloads.command.supervisor",
    "runtime": "robotrain_runtime",
    "program by SIGTERM": "train.py",
    "cancel": "",
}


def compute_result() -> str:
    """Return the last link of the chain."""
    chain = ""
    for step in range(1, STEPS + 1):
        chain = hashlib.sha256(f"{chain}{step}".encode()).hexdigest()
    return chain


class Training:
    """A training that is killed and resumed until it has ended."""

    def __init__(self, commands: Commands, folder: Path, rule: str, pattern: str) -> None:
        self._commands, self._folder, self.rule = commands, folder, rule
        (folder / "cache").symlink_to(files.get_cache_folder())
        (folder / "code").mkdir()
        (folder / "code/train.py").write_text(PROGRAM)
        options = ("--code", str(folder / "code"), "--tracking-uri", "none", "--checkpoints", pattern)
        rules = ("--checkpoint-complete", rule, "--resume-args", '["{resume}"]')
        program = (sys.executable, "train.py", "{outputs}", rule, str(STEPS), str(SAVED))
        self._start = ("submit", "command", "--platform", "local", *options, *rules, "--", *program)

    def type_words(self, *words: str) -> None:
        """Run a command. Raise AssertionError with its output if it fails."""
        self._commands.require(words, self._folder, {})

    def begin(self) -> str:
        """Submit it, or resume its last run where that was killed; return the command."""
        runs = self._list_runs()
        words = self._start
        if runs:
            words = ("resume" if self.find_sealed(runs[-1]) else "resubmit", runs[-1].name)
        self.type_words(*words)
        return words[0]

    def find_sealed(self, run: Path) -> list[int]:
        """Return the steps of the sealed checkpoints of a run, newest first."""
        checkpoints = checkpoint.list_checkpoints(run / "outputs/checkpoints")
        return [step for step, folder in checkpoints if checkpoint.read_manifest(folder)]

    def kill(self, what: str) -> bool:
        """Kill a part of the last run, all of the runtime if the part has not begun; return whether it still ran."""
        run = self._list_runs()[-1]
        if (run / "exit.json").exists():
            return False
        if what == "cancel":
            self.type_words("cancel", run.name)
            return True
        number = signal.SIGTERM if what.endswith("SIGTERM") else signal.SIGKILL
        for sign in (PARTS[what], PARTS["runtime"]):
            if pids := [pid for pid, line in self._list_processes(run) if sign in line]:
                process_list.send_signal(pids[:1], number)
                return True
        return False

    def wait(self) -> str:
        """Wait until the last run has ended; return its state."""
        run, until = self._list_runs()[-1], time.monotonic() + WAIT_SECONDS
        while not (run / "exit.json").exists():
            assert time.monotonic() < until, f"{run} does not end"
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            return str(json.loads((run / "outcome.json").read_text())["state"])
        return "killed"

    def find_damage(self) -> Iterator[str]:
        """Yield what is wrong with the sealed checkpoints of the last run."""
        run = self._list_runs()[-1]
        for step in self.find_sealed(run):
            if problem := checkpoint.validate_checkpoint(run / f"outputs/checkpoints/{step:06}"):
                yield problem

    def find_wrong_starts(self) -> Iterator[str]:
        """Yield what is wrong with the checkpoint that the last run resumed from."""
        runs = self._list_runs()
        if len(runs) > 1 and (sealed := self.find_sealed(runs[-2])):
            sources = json.loads((runs[-1] / "job.json").read_text())["sources"]
            resumed = [int(Path(source["uri"]).name) for source in sources if source["role"] == "resume"]
            if not resumed or resumed[0] < sealed[0]:  # a newer one may be complete, and not sealed yet
                yield f"{runs[-1]} resumed from {resumed}, not from {sealed[0]}"

    def find_survivors(self) -> Iterator[str]:
        """Yield the processes that outlive the last run."""
        run = self._list_runs()[-1]
        yield from (f"{run}: {pid} {line}" for pid, line in self._list_processes(run))

    def read_result(self) -> str:
        """Return the last link that was saved: by the last run, or by one that was killed at its very end."""
        for run in reversed(self._list_runs()):
            for file in (run / f"outputs/checkpoints/{STEPS:06}").glob("[cm]*.json"):
                content = json.loads(file.read_text())
                return str(content if isinstance(content, str) else content[0])
        return ""

    def describe_runs(self) -> str:
        """Return how each run ended, and which checkpoints it sealed."""
        described = []
        for run in self._list_runs():
            with contextlib.suppress(OSError):
                outcome = json.loads((run / "outcome.json").read_text())
                described.append(f"{outcome['state']} ({outcome['reason']}) {self.find_sealed(run)}")
        return "\n  ".join(described)

    def _list_runs(self) -> list[Path]:
        return sorted((self._folder / "state/local").glob("command-*"), key=lambda path: path.stat().st_ctime_ns)

    def _list_processes(self, run: Path) -> list[tuple[int, str]]:
        """Return the processes of a run, without the local supervisor, which outlives them all."""
        with contextlib.suppress(OSError):
            supervisor = process.parse_process(json.loads((run / "supervisor.json").read_text()))
            if supervisor is not None:
                processes = ((pid, _read_command(pid)) for pid in process_list.list_run_processes(supervisor, run))
                return [(pid, line) for pid, line in processes if line and "robotrain_local.supervisor" not in line]
        return []


def _read_command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


@contextlib.contextmanager
def open_trainings(top: Path) -> Iterator[RunRound]:
    """Kill each part in turn, with checkpoints of each form in turn."""
    parts, forms = itertools.cycle(PARTS), itertools.cycle(FORMS)
    kills = resumes = 0
    os.environ["ROBOTRAIN_STATE"] = str(top)
    with contextlib.closing(Commands(top / "site")) as commands:
        (folder := top / "whole").mkdir()
        training = Training(commands, folder, *FORMS[0])
        training.begin()
        began = time.monotonic()
        assert training.wait() == "succeeded"
        whole = time.monotonic() - began

        def kill_training(number: int, moments: random.Random, left: int) -> Findings:
            nonlocal kills, resumes
            (folder := top / f"training-{number}").mkdir()
            training, findings, state = Training(commands, folder, *next(forms)), Findings(), ""
            for _ in range(MOST_RUNS):
                resumes += training.begin() == "resume"
                findings.lost += training.find_wrong_starts()
                if findings.kills < min(KILLS_OF_ONE, left):
                    time.sleep(moments.uniform(0.0, whole))
                    findings.kills += training.kill(next(parts))
                state = training.wait()
                findings.lost += training.find_damage()
                findings.doubled += training.find_survivors()
                if state == "succeeded":
                    break
            if training.read_result() != compute_result():
                findings.lost.append(f"{training.rule}: another result\n  {training.describe_runs()}")
            kills += findings.kills
            return findings

        yield kill_training
    assert resumes or not kills, "no kill left a checkpoint to resume from"


SUBJECTS = {"trainings": open_trainings}
