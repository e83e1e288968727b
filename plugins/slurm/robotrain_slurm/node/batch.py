"""The program that a batch script becomes: it runs the runtime, and continues the run when its time is up."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.process.stop import GRACE_VARIABLE

from robotrain_slurm.node import attempts, continuation
from robotrain_slurm.node.container import make_container_command, stop_contained
from robotrain_slurm.node.continuation import NodeJob

SPEC, SEARCH_FILE = "slurm.json", "find-python.sh"
PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONUNBUFFERED")
SAVE_SHARE = 0.75
"""The share of the time between Slurm's signal and the time limit in which the work saves a checkpoint."""


class RuntimeProcess:
    """The runtime, as a child process. The first SIGTERM is passed on to it alone; SIGINT says that the user cancels
    the run: the disk may show this node the mark in the run folder late.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._contained = ""
        self._is_stopped = False
        signal.signal(signal.SIGTERM, self._handle_stop)
        signal.signal(signal.SIGINT, self._handle_stop)

    def run(self, number: str, job: NodeJob) -> int:
        """Run the job of the current folder; return the exit code of the runtime, negative for a signal."""
        arguments = [
            "-m",
            "robotrain_runtime",
            "run",
            DOCUMENT_FILE,
            "--once",
            number,
            "--log",
            attempts.LOG_FILE,
        ]
        runtime_variables = {GRACE_VARIABLE: f"{job.stop_seconds * SAVE_SHARE:g}"}
        command = [sys.executable, *arguments]
        if job.container.get("tool"):
            runtime_variables |= {name: os.environ[name] for name in PYTHON_VARIABLES}
            program = ["/bin/sh", str(job.root / SEARCH_FILE), *arguments]
            command = make_container_command(job.container, os.getcwd(), program, runtime_variables)
            self._contained = number
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**runtime_variables, **os.environ})
        if self._is_stopped:  # requested before the child existed
            self._stop()
        return self._child.wait()

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
    """Run the job of the current folder. Return its exit code."""
    runtime = RuntimeProcess()
    number = os.environ["SLURM_JOB_ID"]
    spec = Path(os.environ["PYTHONPATH"].partition(os.pathsep)[0]).parent / SPEC
    job = continuation.read_node_job(spec, os.environ["SLURM_JOB_NAME"])
    folder = Path.cwd()
    if reason := find_idle_reason(folder, number):
        print(f"nothing to do: {reason}", flush=True)
        return 0
    attempt = attempts.begin_attempt(folder, number)
    code = runtime.run(number, job)
    if (owner := claim.find_owner(folder)) and owner.name == number:
        continuation.finish_attempt(job, folder, attempt, code)
    return code if code >= 0 else 128 - code


def find_idle_reason(folder: Path, number: str) -> str:
    """Return why there is nothing to do for a job; empty if it may work."""
    owner = claim.find_owner(folder)
    next_job = continuation.read_continuation(folder, number)
    if next_job or (owner and owner.name != number):
        return f"the job {next_job or (owner and owner.name)} does the work of this run"
    is_done = attempts.read_outcome_state(folder) == "succeeded"  # and Slurm lost its node before it heard of that
    return "the run is done" if is_done else ""


if __name__ == "__main__":
    sys.exit(main())
