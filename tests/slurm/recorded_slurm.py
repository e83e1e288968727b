"""Slurm's commands on the PATH, which print recorded answers; and a run folder, as node and runtime leave it."""

import json
import os
import shlex
from pathlib import Path

import pytest

RUN, JOB = "count-1", "12"
COMMANDS = ("sbatch", "squeue", "sacct", "sacctmgr", "scancel", "scontrol", "sinfo")
AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


class RecordedSlurm:
    """A cluster that knows what a test sets, and what it is asked."""

    def __init__(self, folder: Path, patched: pytest.MonkeyPatch) -> None:
        self.folder, self._jobs, self._accounts = folder, dict[str, str](), list[str]()
        (folder / "bin").mkdir(parents=True)
        patched.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
        for command in COMMANDS:
            self.answer(command)
        self.answer("sacct", error="Slurm accounting storage is disabled", code=1)

    def answer(self, command: str, text: str = "", error: str = "", code: int = 0, act: str = "") -> None:
        """Set what a command prints and how it ends; then it does `act`, lines of a shell in this folder."""
        (self.folder / command).write_text(text)
        (self.folder / f"{command}.error").write_text(error)
        lines = (f"cd {self.folder}", f'echo {command} "$*" >>calls', f"cat {command}; cat {command}.error >&2", act)
        (self.folder / "bin" / command).write_text("\n".join(("#!/bin/sh", *lines, f"exit {code}\n")))
        (self.folder / "bin" / command).chmod(0o755)

    def set_away(self, is_away: bool = True) -> None:
        self.answer("squeue", **({"error": AWAY, "code": 1} if is_away else {"text": "".join(self._jobs.values())}))

    def set_job(
        self, state, reason="", number=JOB, name=RUN, continues="", start="N/A", end="N/A", nodes="", **values
    ) -> None:
        """Put a job into the queue: `squeue` prints it from now on."""
        comment = values.get("comment", f"robotrain:{name}:aa{':' * bool(continues)}{continues}")
        dependency = values.get("dependency", "(null)")
        fields = (number, state, reason, start, end, nodes, dependency, name, comment)
        self._jobs[number] = "|".join(f"{field:.0f}" if isinstance(field, float) else field for field in fields) + "\n"
        self.set_away(False)

    def forget(self, *numbers: str) -> None:
        """Take jobs from the queue, or all."""
        self._jobs = {number: line for number, line in self._jobs.items() if numbers and number not in numbers}
        self.set_away(False)

    def set_account(self, state, code="0:0", number=JOB, name=RUN, start="900", end="1100") -> None:
        """Put a job into the accounting, which `sacct` prints."""
        self._accounts.append(f"{number}|{state}|{code}|{start}|{end}|n1|{name}|robotrain:{name}:aa\n")
        self.answer("sacct", "".join(self._accounts))

    def read_calls(self) -> list[str]:
        """Return the command lines so far."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def asked(self) -> list[str]:
        """The commands that were called, without the words."""
        return [shlex.split(call)[0] for call in self.read_calls()]


class RunFolder:
    """A run folder, as node and runtime leave it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reference = {"run": path.name, "folder": str(path), "job": JOB}
        path.mkdir()

    def begin(self, restart=0, job=JOB, began=1000.0):
        (self.path / "taken").unlink(missing_ok=True)
        (self.path / "taken").symlink_to(f"{job}:token:1")
        (self.path / "outcome.json").unlink(missing_ok=True)
        self._write({"event": "began", "job": job, "restart": restart, "node": "n1", "began": began})

    def end(self, state, continued_by="", explanation="", restart=0, job=JOB, at=2000.0, outcome="", code=143, **facts):
        reason = outcome or "the run was stopped"
        (self.path / "outcome.json").write_text(
            json.dumps({"state": state, "exit_code": code, "reason": reason} | facts)
        )
        ended = {"event": "ended", "job": job, "restart": restart, "state": state, "exit_code": code, "time": at}
        self._write(ended | {"continued_by": continued_by, "why": explanation})

    def _write(self, line):
        with (self.path / "attempts.jsonl").open("a") as file:
            file.write(f"\n{json.dumps(line)}\n")
