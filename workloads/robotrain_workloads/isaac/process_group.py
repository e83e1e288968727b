"""The processes of `isaaclab.sh`, and the file that its program reports to."""

from collections.abc import Sequence
from pathlib import Path

from robotrain_runtime.process.stop import ChildGroup

from robotrain_workloads.isaac import installation

SCRATCH_FOLDER = "isaac"
"""Where Isaac Lab's scripts run, below the run's folder: their logs, Hydra's, their videos."""
REPORT_FILE = "isaac-report.jsonl"
"""What the program reports, below the run's folder."""


def start_script(command: Sequence[str], folder: Path, ranks: int = 1, *, has_pipe: bool = False) -> ChildGroup:
    """Start a command of Isaac Lab in a folder. `ranks`: how many of its processes share this machine.

    The shell of `isaaclab.sh` ends at once when it is signalled, and Python as its orphan later.
    """
    return ChildGroup(command, environ=installation.make_environ(ranks), folder=folder, has_pipe=has_pipe)
