"""The worlds of the conformance kit on the stand-in: its commands on this machine, or on a login node."""

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from login_node import HOST, LoginNode, close_connections
from robotrain.plugin import RunState
from robotrain.testing import World, interrupt_submits
from slurm_stand_in import SlurmStandIn


class SlurmWorld(World):
    """The native states are those of squeue and one that only sacct prints, with the user who cancelled."""

    native_states: Mapping[str, RunState] = {
        **dict.fromkeys(("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"), "running"),
        **dict.fromkeys(
            ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"), "pending"
        ),
        "COMPLETED": "succeeded",
        **dict.fromkeys(("FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"), "failed"),
        **dict.fromkeys(("CANCELLED", "CANCELLED by 1000"), "cancelled"),
        **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"), "lost"),
    }
    requests: Mapping[str, object] = {
        "--gpus=2": "gpu:2",
        "--cpus=3": "3",
        "--memory=7G": "7G",
        "--time=93m": "0-01:33:00",
        "--stop-seconds=61": "B:TERM@61",
    }
    needs: Mapping[str, tuple[str, ...]] = {
        "tracking": ("--tracking-uri", "http://mlflow.lab:5000"),
        "remote_path": ("--login", "me@login.lab.example"),
        "isaac-export": ("--checkpoint-uri", "/data/model.pt"),  # a folder of this machine would be read
    }

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.runs = folder / "runs"
        size = ("--gpus", "0", "--cpus", "1", "--memory", "1G")  # of the lab's nodes
        self.options = ("--runs-dir", str(self.runs), "--cache-dir", str(folder / "cache"), *size)
        self.slurm = SlurmStandIn(folder / "slurm", patched)
        self.slurm.add_node("gpu-1", "batch", gres="gpu:a100:8", cpus=64, memory=500_000)
        self._patched = patched
        self.episodes = folder / "episodes"
        self.episodes.mkdir(parents=True)
        (self.episodes / "episode.txt").write_text("1")
        self.texts: Mapping[str, str] = {"local_path": str(self.episodes)}

    def count_runs(self, run: str) -> int:
        """Count the jobs of a run; of a pipeline, those of the step that has most."""
        jobs = {job["array"]: job for job in self.slurm.read_jobs() if job["reason"] != "BadConstraints"}
        folder = self.runs / run
        names = [
            job["name"] for job in jobs.values() if job["name"] == run or Path(job["folder"]).is_relative_to(folder)
        ]
        return max(Counter(names).values(), default=0)

    def read_requests(self, reference: Mapping[str, str]) -> Mapping[str, object]:
        """What sbatch read from its script and its words."""
        options = self.slurm.read_job(reference["job"])["options"]
        names = {"gpus": "gres", "cpus": "cpus-per-task", "memory": "mem", "time": "time", "stop-seconds": "signal"}
        return {f"--{flag}": options.get(name) for flag, name in names.items()}

    def set_native_state(self, reference: Mapping[str, str], native_state: str) -> None:
        self.slurm.set_state(reference["job"], native_state)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The controller does not answer."""
        self.slurm.configure(away=True)
        yield
        self.slurm.configure(away=False)

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        return interrupt_submits(self._patched)


class SlurmLoginWorld(SlurmWorld):
    """The same cluster, which this machine reaches by ssh."""

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patched)
        path = f"{self.slurm.folder}/bin:/usr/bin:/bin"  # with a Python that has no robotrain
        self.node = LoginNode(folder / "node", PATH=path)
        patched.setenv("PATH", f"{self.node.bin}:{os.environ['PATH'].partition(':')[2]}")
        self.node.start()
        self.options = (*self.options, "--login", HOST)
        self.texts = {**self.texts, "remote_path": f"{HOST}:{self.episodes}"}
        there = ("--checkpoint-uri", f"{HOST}:/model.pt")  # one of this machine would be read
        self.needs = {**self.needs, "remote_path": (), "isaac-export": there}

    def close(self) -> None:
        close_connections()
        self.node.close()

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """Those of the script there; and a line that is lost when the run folder has just been created."""
        yield from super().interruptions()
        yield self._lost_line()

    @contextlib.contextmanager
    def _lost_line(self) -> Iterator[None]:
        before, done = {*self.runs.glob("[a-z]*")}, threading.Event()

        def cut_off() -> None:
            while not done.wait(0.001):
                if {*self.runs.glob("[a-z]*")} - before:
                    for process in self.node.list_running():
                        os.kill(process, signal.SIGKILL)
                    return

        thread = threading.Thread(target=cut_off)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
