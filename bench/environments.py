"""The environments that jobs run in, for benchmarks: built where they are not there yet."""

import subprocess
import sys
from pathlib import Path

WORKLOADS = Path(__file__).parents[1] / "workloads/robotrain_workloads"


def find_python(lock: str) -> Path:
    """Return the Python of a lock's environment, by the lock's path below the workloads."""
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(WORKLOADS / lock)]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip(), "bin/python")
