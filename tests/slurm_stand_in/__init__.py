"""Slurm's commands on the PATH, for tests without daemons: jobs are recorded and refused as by Slurm, and none runs."""

import copy
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from quick_command import make_executable

from slurm_stand_in.cluster import CLUSTER

TESTS = Path(__file__).parents[1]
COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo")
MOODS = ("refuses", "records and refuses", "times out", "times out early", "hangs")


class SlurmStandIn:
    """A cluster of two nodes in a folder, and the commands that ask it.

    Change `cluster` (see `slurm_stand_in.cluster.CLUSTER`) with `configure`.
    """

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "jobs").mkdir(parents=True)
        (folder / "bin").mkdir()
        self.cluster: dict[str, Any] = copy.deepcopy(CLUSTER)
        self.configure()
        for command in COMMANDS:
            file = folder / "bin" / command
            file.write_text(make_executable("slurm_stand_in.program", TESTS, folder, command))
            file.chmod(0o755)
        patched.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")

    def configure(self, **values: Any) -> None:
        """Change the cluster: `configure(away=True)`, `configure(version="20.11.9")`."""
        self.cluster |= values
        (self.folder / "cluster.json").write_text(json.dumps(self.cluster))

    def add_partition(self, name: str, *nodes: str, minutes: int | None = None, state: str = "up") -> None:
        """Add a partition with nodes that exist."""
        self.cluster["partitions"][name] = {"nodes": [*nodes], "minutes": minutes, "default": False, "state": state}
        self.configure()

    def add_node(self, name: str, *partitions: str, **values: Any) -> None:
        """Add a node, with `cpus`, `memory` (MB), `features`, `gres` and `state`, to partitions."""
        self.cluster["nodes"][name] = self.cluster["nodes"]["n1"] | values
        for partition in partitions:
            self.cluster["partitions"][partition]["nodes"].append(name)
        self.configure()

    def set_mood(self, mood: str) -> None:
        """Set how the next sbatch goes.

        It `refuses`, `records and refuses`, `times out` though it accepted the job, `times out early`, or accepts it
        and `hangs`.
        """
        assert mood in MOODS, mood
        (self.folder / "mood").write_text(mood)

    def read_jobs(self) -> list[dict[str, Any]]:
        """Return the jobs that Slurm has, an element of an array each."""
        files = sorted(self.folder.glob("jobs/*.json"), key=lambda file: int(file.stem))
        return [json.loads(file.read_text()) for file in files]

    def read_job(self, number: str) -> dict[str, Any]:
        """Return a job, or the first element of an array."""
        return next(job for job in self.read_jobs() if number in (job["id"], job["number"], job["array"]))

    def set_state(self, number: str, state: str, reason: str = "None", **values: Any) -> None:
        """Set the state of a job, of an element of an array, or of all its elements."""
        for job in self.read_jobs():
            if number in (job["id"], job["number"], job["array"]):
                now = time.time()
                times = {"start": now} if state == "RUNNING" else {"end": now} if state != "PENDING" else {}
                changed = job | {"state": state, "reason": reason} | times | values
                (self.folder / "jobs" / f"{job['number']}.json").write_text(json.dumps(changed))

    def forget(self, number: str) -> None:
        """Forget a job, as the controller does MinJobAge seconds after its end; the accounting does not."""
        for job in self.read_jobs():
            if number in (job["id"], job["number"], job["array"]):
                file = self.folder / "jobs" / f"{job['number']}.json"
                if self.cluster["accounting"]:
                    file.write_text(json.dumps({**job, "forgotten": True}))
                else:
                    file.unlink()

    def read_calls(self, *commands: str) -> list[list[str]]:
        """Return the words of the calls so far, of these commands or all."""
        file = self.folder / "calls"
        calls = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [call for call in calls if not commands or call[0] in commands]

    def clear_calls(self) -> None:
        """Count calls from now on."""
        (self.folder / "calls").unlink(missing_ok=True)
