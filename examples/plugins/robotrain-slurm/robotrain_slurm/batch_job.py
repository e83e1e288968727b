"""The batch job on the node: it becomes the runtime, so that Slurm's signals reach that."""

import os
import shlex
import sys

PYTHON = f"exec {shlex.quote(sys.executable)}"  # no shell remains between Slurm and the runtime


def run(folder: str) -> None:
    """Do the work of `folder`, unless another job does it or somebody cancelled it."""
    from submitit import JobEnvironment

    os.chdir(folder)
    os.environ |= {"PYTHONPATH": f"{folder}/payload", "PYTHONUNBUFFERED": "1"}
    runtime = [sys.executable, "-P", "-m", "robotrain_runtime"]
    os.execv(sys.executable, [*runtime, "run", "job.json", "--once", JobEnvironment().job_id, "--log", "log.txt"])
