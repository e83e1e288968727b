"""Runs of the workload `count` on the lab, through the command line as a user types it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab import SlurmLab, wait_until

COUNTING = Path(__file__).with_name("counting")
RESOURCES = {"--gpus": "0", "--cpus": "1", "--memory": "1G", "--time": "1h"}
SECONDS = 120.0


class CountingRuns:
    """A user's folder with runs of the workload."""

    def __init__(self, folder: Path, lab: SlurmLab) -> None:
        self.folder, self.lab = folder, lab
        self._started: list[subprocess.Popen[str]] = []
        site = folder / "site"
        shutil.copytree(COUNTING, site / "counting")
        metadata = site / "robotrain_counting-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-counting\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[robotrain]\nworkload.count = counting.plugin\n")
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(site),
            "ROBOTRAIN_STATE": str(folder / "state"),
            "SLURM_CONF": str(lab.configuration),
        }

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start a command of robotrain."""
        command = [sys.executable, "-m", "robotrain", *map(str, words)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._started.append(subprocess.Popen(command, cwd=self.folder, env=self._environ, text=True, **pipes))
        return self._started[-1]

    def run(self, *words: object) -> tuple[int, str]:
        """Run a command of robotrain; return its exit code and what it prints."""
        process = self.start(*words)
        output = process.communicate(timeout=SECONDS)[0]
        return process.returncode, output

    def submit(self, count: int, *words: object) -> Path:
        """Submit a run that counts ten numbers a second; return its run folder."""
        before = {*self.folder.glob("runs/*")}
        folders = ("--runs-dir", self.folder / "runs", "--cache-dir", self.folder / "cache")
        numbers = ("--count", count, "--pause", "0.1")
        resources = [word for name, value in RESOURCES.items() if name not in words for word in (name, value)]
        code, output = self.run("submit", "count", "--platform", "slurm", *folders, *resources, *numbers, *words)
        assert code == 0, output
        (made,) = {*self.folder.glob("runs/*")} - before
        return made

    def find_job(self, folder: Path) -> str:
        """Return the number of a run's job; one of another test, which Slurm still lists, may have its name."""
        listed = self.lab.run("squeue", "--noheader", "--states=all", "--format=%i|%Z", f"--name={folder.name}")
        (job,) = (
            number for number, _, work in (line.partition("|") for line in listed.splitlines()) if work == str(folder)
        )
        return job

    def read_status(self, folder: Path) -> dict[str, Any]:
        """Return what `robotrain status --json` says of a run."""
        code, output = self.run("status", folder.name, "--json")
        assert code == 0, output
        status: dict[str, Any] = json.loads(output)
        return status

    def wait_for_number(self, folder: Path, number: int = 1) -> None:
        """Wait until a run has counted to a number."""
        wait_until(lambda: max(read_numbers(folder), default=0) >= number, f"number {number} of {folder.name}", SECONDS)

    def close(self) -> None:
        """End the commands that still run."""
        for process in self._started:
            process.kill()
            process.communicate()


def read_numbers(folder: Path) -> list[int]:
    """Return the numbers that a run has counted, again those that it counted twice."""
    events = folder / "events.jsonl"
    text = events.read_text() if events.exists() else ""
    return [int(match[1]) for line in text.splitlines() if (match := re.search(r'"metrics".*"step": (\d+)', line))]


def find_processes(folder: Path) -> list[int]:
    """Return the processes that work in a run folder, of the batch job and of the runtime."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").samefile(folder):
                pids.append(int(process.name))
        except OSError:  # it has ended
            continue
    return pids
