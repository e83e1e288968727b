"""The program that the batch script becomes: it runs the runtime, and passes signals on to it alone."""

import signal
import subprocess
import sys
from pathlib import Path

from robotrain_slurm.node import trial

DOCUMENT, LOG = "job.json", "log.txt"


def main() -> int:
    """Run the job of the current folder, or that of a trial below it. Return its exit code."""
    trial.enter_trial()
    arguments = ["run", DOCUMENT, "--once", trial.get_job_name(), "--log", LOG]
    arguments += trial.list_trial_options(Path(DOCUMENT))
    child = subprocess.Popen([sys.executable, "-m", "robotrain_runtime", *arguments], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
