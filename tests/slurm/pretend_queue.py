"""What Slurm knows of one run, and its run folder, for tests of status, log and cancellation."""

import json
from pathlib import Path

from robotrain_slurm.client.commands import SlurmAway
from robotrain_slurm.client.queue import QueuedJob

RUN, JOB = "count-1", "12"


class PretendQueue:
    """What Slurm knows, and what it is asked."""

    def __init__(self) -> None:
        self.jobs: list[QueuedJob] = []
        self.accounts: list[QueuedJob] | None = None
        self.is_away = False
        self.asked: list[str] = []

    def set_job(self, state, reason="", number=JOB, name=RUN, continues="", **values):
        comment = f"robotrain:{name}:aa{':' * bool(continues)}{continues}"
        job = QueuedJob(id=number, number=number, name=name, comment=comment, state=state, reason=reason, **values)
        self.jobs = [other for other in self.jobs if other.id != number] + [job]
        return job

    def query_queue(self, names=(), user=""):
        self.asked.append("squeue")
        if self.is_away:
            raise SlurmAway("Unable to contact slurm controller.")
        return self.jobs

    def query_accounting(self, numbers):
        self.asked.append("sacct")
        found = [job for job in self.accounts or () if job.id in numbers]
        return None if self.accounts is None else found


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

    def end(self, state, continued_by="", why="", restart=0, job=JOB, at=2000.0, outcome="", code=143):
        reason = outcome or "the run was stopped"
        (self.path / "outcome.json").write_text(json.dumps({"state": state, "exit_code": code, "reason": reason}))
        ended = {"event": "ended", "job": job, "restart": restart, "state": state, "exit_code": code, "time": at}
        self._write(ended | {"continued_by": continued_by, "why": why})

    def _write(self, line):
        with (self.path / "attempts.jsonl").open("a") as file:
            file.write(f"\n{json.dumps(line)}\n")
