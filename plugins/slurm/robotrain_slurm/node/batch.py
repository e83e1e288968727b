"""The program that a batch script becomes: it runs the runtime, and continues the run when its time is up."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract import claim
from robotrain_runtime.process import stop
from robotrain_runtime.process.stop import GRACE_VARIABLE

from robotrain_slurm.node import attempts, commands, continuation, trial
from robotrain_slurm.node.commands import CommandRefused, ControllerAway
from robotrain_slurm.node.container import make_container_command, stop_contained
from robotrain_slurm.node.continuation import NodeJob

DOCUMENT, SPEC, SEARCH_FILE = "job.json", "slurm.json", "find-python.sh"
PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONUNBUFFERED")
LOST_CHECK_SECONDS = 30.0
"""Seconds between two questions whether Slurm has started the job again; it waits two minutes before it does."""
SAVE_SHARE = 0.75
"""The share of the time between Slurm's signal and the time limit in which the work saves a checkpoint."""


class RuntimeProcess:
    """The runtime, as a child process. The first SIGTERM is passed on to it alone; SIGINT says that the user cancels
    the run: a node may not see the run folder of the login node.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._contained = ""
        self._is_stopped = False
        signal.signal(signal.SIGTERM, self._handle_stop)
        signal.signal(signal.SIGINT, self._handle_stop)

    def run(self, number: str, options: Iterable[str], job: NodeJob) -> int:
        """Run the job of the current folder; return the exit code of the runtime, negative for a signal."""
        arguments = ["-m", "robotrain_runtime", "run", DOCUMENT, "--once", number, "--log", attempts.LOG_FILE, *options]
        own = {GRACE_VARIABLE: f"{job.stop_seconds * SAVE_SHARE:g}"}
        command = [sys.executable, *arguments]
        if job.container.get("tool"):
            own |= {name: os.environ[name] for name in PYTHON_VARIABLES}
            program = ["/bin/sh", str(job.root / SEARCH_FILE), *arguments]
            command = make_container_command(job.container, os.getcwd(), program, own)
            self._contained = number
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**own, **os.environ})
        if self._is_stopped:  # requested before the child existed
            self._stop()
        return self._child.wait() if job.is_shared else self._wait_while_current(self._child, number)

    def _wait_while_current(self, child: "subprocess.Popen[bytes]", number: str) -> int:
        """Wait for the end of the runtime; end it once Slurm, which has lost this node, starts the job elsewhere.

        The claim of a folder that only this node sees does not tell. Return its exit code.
        """
        restart = attempts.get_restart_count()
        while True:
            try:
                return child.wait(LOST_CHECK_SECONDS)
            except subprocess.TimeoutExpired:
                with suppress(CommandRefused, ControllerAway):
                    if commands.find_fate(number, restart) == "requeued" and not self._is_stopped:
                        print("Slurm started this job again elsewhere: it ends here without saving", flush=True)
                        stop.signal_group(child.pid, signal.SIGKILL)

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            with suppress(OSError):
                Path(claim.CANCELLED_FILE).touch()
        if not self._is_stopped:
            self._stop()
        self._is_stopped = True

    def _stop(self) -> None:
        if self._contained and stop_contained(Path.cwd(), self._contained):
            return
        if self._child:
            self._child.terminate()


def main() -> int:
    """Run the job of the current folder, or that of a trial below it. Return its exit code."""
    runtime, number = RuntimeProcess(), trial.get_job_name()
    spec = Path(os.environ["PYTHONPATH"].partition(os.pathsep)[0]).parent / SPEC
    job = continuation.read_node_job(spec, os.environ["SLURM_JOB_NAME"])
    trial.enter_trial()
    folder = Path.cwd()
    if reason := find_idle_reason(folder, number):
        print(f"nothing to do: {reason}", flush=True)
        return 0
    attempt = attempts.begin_attempt(folder, number)
    code = runtime.run(number, trial.list_trial_options(Path(DOCUMENT)), job)
    if (owner := claim.find_owner(folder)) and owner.name == number:
        continuation.finish_attempt(job, folder, attempt, code)
    return code if code >= 0 else 128 - code


def find_idle_reason(folder: Path, number: str) -> str:
    """Return why there is nothing to do for a job; empty if it may work."""
    owner, following = claim.find_owner(folder), continuation.read_continuation(folder, number)
    if following or (owner and owner.name != number):
        return f"the job {following or (owner and owner.name)} does the work of this run"
    is_done = attempts.read_outcome_state(folder) == "succeeded"  # and Slurm lost its node before it heard of that
    return "the run is done" if is_done else ""


if __name__ == "__main__":
    sys.exit(main())
