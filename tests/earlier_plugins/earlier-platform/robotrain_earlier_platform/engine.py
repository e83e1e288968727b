"""The engine: starts a job, says how it is, and stops it. Write yours in place of the bodies of these functions.

Here a job is a process of this machine. It becomes robotrain's runtime, which does all the work, so that a signal
reaches it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from robotrain.plugin import RunState

STATES: dict[str, RunState] = {"running": "running", "ended": "lost"}
"""What the engine's words mean: pending, running, succeeded, failed, cancelled or lost.

The runtime writes how a run ended, and that counts first. So a job that has ended without a word of it is lost.
"""
COMMAND = """
sh -c 'exec "$PYTHON" -P -m robotrain_runtime run job.json --once $$ --log log.txt' </dev/null >>engine.log 2>&1 &
echo $!
"""
"""`--once JOB`: of several jobs of one run, the first does the work. JOB is what `start` returns."""


def start(folder: Path) -> str:
    """Start the job of a run folder, and return its id."""
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(folder / "payload")}
    line = ["sh", "-c", COMMAND]
    done = subprocess.run(
        line, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True, start_new_session=True
    )
    return done.stdout.strip()


def find_state(job: str) -> str:
    """Return the engine's word for a job, which a reason may follow; empty for a job that it has forgotten."""
    try:
        is_running = b"robotrain_runtime" in Path(f"/proc/{job}/cmdline").read_bytes()
    except OSError:
        is_running = False
    return "running" if is_running else "ended"


def stop(job: str) -> None:
    """Stop a job. The runtime needs SIGTERM and a minute: it saves a checkpoint."""
    if find_state(job) == "running":
        os.kill(int(job), signal.SIGTERM)
