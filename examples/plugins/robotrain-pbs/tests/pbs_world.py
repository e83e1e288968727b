"""A stand-in for PBS on the PATH, for the kit and the tests."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from robotrain.plugin import RunState
from robotrain.testing import World, interrupt_submits

COMMANDS = ("qsub", "qstat", "qsig", "qdel", "qrls")
STAND_IN = Path(__file__).with_name("pbs_stand_in.py")


class PBSWorld(World):
    """The native states are the letters of qstat; an end is `F` with the exit status."""

    native_states: Mapping[str, RunState] = {
        **dict.fromkeys("QHWTM", "pending"),
        **dict.fromkeys("EBSUR", "running"),
        "F 0": "succeeded",
        **dict.fromkeys(("F 1", "F 75", "F 143", "F 265", "F 271", "F -1", "F -27", "F -29"), "failed"),
        "F deleted": "cancelled",
    }
    requests: Mapping[str, object] = {"--gpus=2": "2", "--cpus=3": "3", "--memory=7G": "7gb", "--time=93m": "1:33:00"}
    needs: Mapping[str, tuple[str, ...]] = {"tracking": ("--tracking-uri", "http://mlflow.lab:5000")}

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch, **config: Any) -> None:
        self.runs, self.server, self._patched = folder / "runs", folder / "server", patched
        self.options = ("--runs-dir", str(self.runs), "--cache-dir", str(folder / "cache"))
        self.server.mkdir(parents=True)
        self.config: dict[str, Any] = {}
        self.configure(**config)
        install_commands(folder / "bin", self.server)
        patched.setenv("ROBOTRAIN_CHECKER", "none")  # to ask a trainer takes seconds
        patched.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")

    def configure(self, **config: Any) -> None:
        self.config |= config
        (self.server / "config.json").write_text(json.dumps(self.config))

    def list_jobs(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.server.glob("*.job"))]

    def list_calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.server / "calls").read_text().splitlines()]

    def change_job(self, name: str, **values: str) -> None:
        path = self.server / f"{name.partition('.')[0]}.job"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def count_runs(self, run: str) -> int:
        """Count the jobs of a run; of a pipeline, those of the step that has most."""
        jobs = [job["Job_Name"] for job in self.list_jobs() if not re.search(r"\[\d+\]", job["id"])]
        return max((jobs.count(name) for name in jobs if name == run or name.startswith(f"{run}-")), default=0)

    def read_requests(self, reference: Mapping[str, str]) -> Mapping[str, object]:
        (resources,) = (job["Resource_List"] for job in self.list_jobs() if job["id"] == reference["job"])
        names = {"--gpus": "ngpus", "--cpus": "ncpus", "--memory": "mem", "--time": "walltime"}
        return {flag: resources.get(name) for flag, name in names.items()}

    def set_native_state(self, reference: Mapping[str, str], native_state: str) -> None:
        letter, _, code = native_state.partition(" ")
        end = {"Exit_status": code, "substate": "92"} if code != "deleted" else {"Exit_status": "", "substate": "91"}
        self.change_job(reference["job"], job_state=letter, **(end if letter == "F" else {}))

    def forget(self, reference: Mapping[str, str]) -> bool:
        (self.server / f"{reference['job'].partition('.')[0]}.job").unlink()
        return True

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.configure(away=True)
        yield
        self.configure(away=False)

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        return interrupt_submits(self._patched)


def install_commands(folder: Path, server: Path) -> None:
    """Write the four commands, for a PATH."""
    folder.mkdir()
    for command in COMMANDS:
        program = folder / command
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{STAND_IN}" "{server}" {command} "$@"\n')
        program.chmod(0o755)


if __name__ == "__main__":  # FOLDER: a PBS that runs jobs, for a trial by hand
    where = Path(sys.argv[1]).absolute()
    (where / "server").mkdir(parents=True)
    (where / "server/config.json").write_text(json.dumps({"runs": True}))
    install_commands(where / "bin", where / "server")
    print(f"export PATH={where / 'bin'}:$PATH")
