"""A stand-in for Slurm on the PATH, which accepts jobs and runs none."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from robotrain.plugin import RunState
from robotrain.testing import World

COMMANDS = ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol")


class Cut(BaseException):
    """Ends a submit."""


class SlurmWorld(World):
    """The native states are those of squeue and one that only sacct prints, with the user who cancelled."""

    native_states: Mapping[str, RunState] = {
        **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"), "pending"),
        **dict.fromkeys(("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"), "running"),
        "COMPLETED": "succeeded",
        **dict.fromkeys(("FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"), "failed"),
        **dict.fromkeys(("CANCELLED", "CANCELLED by 1000"), "cancelled"),
        **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"), "lost"),
    }

    needs: Mapping[str, tuple[str, ...]] = {"tracking": ("--tracking-uri", "http://mlflow.lab:5000")}

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.runs = folder / "runs"
        self.options = ("--folder", str(self.runs), "--cache-folder", str(folder / "cache"))
        self.jobs = folder / "jobs"
        self.jobs.mkdir(parents=True)
        self._patched = patched
        (folder / "bin").mkdir()
        for command in COMMANDS:
            (folder / "bin" / command).symlink_to(Path(__file__).with_name("slurm.sh"))
        patched.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        patched.setenv("STAND_IN", str(self.jobs))

    def count_runs(self, run: str) -> int:
        return sum(job.read_text().partition("\n")[0] == run for job in self.jobs.glob("[0-9]*"))

    def set_native_state(self, reference: Mapping[str, str], native: str) -> None:
        job = self.jobs / reference["job"]
        name, _, script = job.read_text().splitlines()[:3]
        job.write_text(f"{name}\n{native}\n{script}\n")

    def write_log(self, reference: Mapping[str, str], *lines: str) -> None:
        with Path(reference["folder"], "log.txt").open("a") as log:
            log.writelines(f"{line}\n" for line in lines)

    @contextlib.contextmanager
    def mood(self, mood: str) -> Iterator[None]:
        """Set what the next sbatch does.

        It `refuses`, `records and refuses`, `times out` (but accepts the job) or `times out early`.
        """
        (self.jobs / "mood").write_text(mood)
        yield

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """After the folder was created, after Slurm has the job, after the job's file was written."""
        yield from (self._after_move(count) for count in (1, 2, 3))

    @contextlib.contextmanager
    def _after_move(self, count: int) -> Iterator[None]:
        """Interrupt a submit after `count` renames."""
        rename, moved = os.rename, [0]

        def cut_off(path: Path, to: Path, **more: int) -> None:
            rename(path, to, **more)
            moved[0] += Path(path).is_relative_to(self.runs)
            if moved[0] == count:
                raise Cut

        with self._patched.context() as patched:
            patched.setattr(os, "rename", cut_off)
            yield
