"""The program that the batch script becomes: it runs the runtime, and passes signals on to it alone."""

import os
import signal
import subprocess
import sys

DOCUMENT, LOG = "job.json", "log.txt"
JOB_VARIABLE = "SLURM_JOB_ID"


def main() -> int:
    """Run the job of the current folder. Return its exit code."""
    arguments = ["run", DOCUMENT, "--once", os.environ[JOB_VARIABLE], "--log", LOG]
    child = subprocess.Popen([sys.executable, "-m", "robotrain_runtime", *arguments], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
