"""What a run's folder says of it: its outcome, its attempts, whether it was cancelled, how Slurm ended it.

It stays when Slurm has forgotten the job: after five minutes (MinJobAge), where a cluster has no accounting.
"""

import dataclasses
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robotrain.run_folder import log
from robotrain.run_folder.status import ENGINE_END_FILE, MAX_END_BYTES
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.claim import RunOwner
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.files import read_limited_file, write_atomically

from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.node import attempts as node_attempts
from robotrain_slurm.node.attempts import Attempt
from robotrain_slurm.spec.render import OUTPUT_FILE

BATCH_TEXT_BYTES = 1 << 14
NOISE = ("slurmstepd", "srun:")
"""Starts of lines of Slurm itself, which say no more than the state of the job."""
MEMORY_KILL = r"(?i)^slurmstepd.*(?:oom[-_ ]kill|exceeded (?:job |step )?memory limit)"


@dataclass(frozen=True, kw_only=True)
class OwnRecord:
    """What the folder of a run says of it."""

    folder: Path
    outcome: Outcome | None
    """Of the last attempt that ended by itself."""
    is_cancelled: bool
    """Whether the user cancelled it."""
    attempts: list[Attempt]
    owner: RunOwner | None
    """The job that works on it."""

    @property
    def continued_by(self) -> str:
        """What continues the run after its last attempt, as that attempt recorded it; empty for nothing."""
        end = self.attempts[-1].end if self.attempts else None
        return end.continued_by if end and not self.is_cancelled else ""

    @property
    def final_outcome(self) -> Outcome | None:
        """The outcome, unless the run was to go on after it."""
        return None if self.continued_by else self.outcome

    @property
    def is_settled(self) -> bool:
        """Whether the run has ended whatever Slurm does with its job."""
        return self.outcome is not None and (self.is_cancelled or self.outcome.state == "succeeded")

    @property
    def has_recorded_end(self) -> bool:
        """Whether the run recorded that it has ended, and that nothing continues it."""
        return self.final_outcome is not None and bool(self.attempts and self.attempts[-1].end)

    @property
    def why_not_continued(self) -> str:
        """Why nothing continues the run after its last attempt, as that attempt recorded it; empty if unknown."""
        end = self.attempts[-1].end if self.attempts else None
        return end.why if end and not end.continued_by else ""

    @property
    def why_continued(self) -> str:
        """Why the last attempt is to be continued, as it recorded it; empty if unknown."""
        end = self.attempts[-1].end if self.attempts else None
        return end.why if end else ""

    @property
    def explains_end(self) -> bool:
        """Whether the run recorded why it ended, so that Slurm need not be asked."""
        outcome = self.final_outcome
        return outcome is not None and (outcome.state != "cancelled" or self.is_settled or bool(self.why_not_continued))

    def list_jobs(self, first: str) -> list[str]:
        """Return the jobs that worked on the run, the last one first. `first`: the one that was submitted."""
        return [*dict.fromkeys([*(attempt.job for attempt in reversed(self.attempts)), first])]

    @property
    def started_at(self) -> float | None:
        """When the first attempt began."""
        return self.attempts[0].began if self.attempts else None

    @property
    def ended_at(self) -> float | None:
        """When the last attempt ended."""
        if self.attempts and (end := self.attempts[-1].end):
            return end.time
        with suppress(OSError):
            return (self.folder / log.OUTCOME_FILE).stat().st_mtime
        return None

    def read_batch_message(self) -> str:
        """Return what the batch script printed last, if that was before the runtime began; else empty."""
        if self.attempts and self.attempts[-1].end is None:
            return ""
        printed = [line for line in self._read_batch_lines(self.ended_at or 0.0) if not line.startswith(NOISE)]
        return printed[-1].removeprefix("error: ") if printed else ""

    def has_memory_kill(self) -> bool:
        """Return whether Slurm printed that the job used more memory than it had, which its state may not say."""
        since = self.attempts[-1].began if self.attempts else 0.0
        return any(re.search(MEMORY_KILL, line) for line in self._read_batch_lines(since))

    def _read_batch_lines(self, since: float) -> list[str]:
        """Return the last lines of the batch script and of Slurm; none if they are older than a time."""
        path = self.folder / OUTPUT_FILE
        with suppress(OSError), path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mtime >= since:
                file.seek(max(0, status.st_size - BATCH_TEXT_BYTES))
                lines = file.read(BATCH_TEXT_BYTES).decode(errors="replace").splitlines()
                return [line.strip() for line in lines if line.strip()]
        return []


def read_own_record(folder: Path) -> OwnRecord:
    """Return what a run folder says; what cannot be read counts as missing."""
    attempts, owner = [], None
    with suppress(OSError):
        attempts = node_attempts.read_attempts(folder)
    with suppress(OSError, ValueError):
        owner = claim.find_owner(folder)
    return OwnRecord(
        folder=folder,
        outcome=log.read_outcome(folder),
        is_cancelled=(folder / claim.CANCELLED_FILE).exists(),
        attempts=attempts,
        owner=owner,
    )


def save_engine_end(folder: Path, job: QueuedJob) -> None:
    """Keep how Slurm ended a job: it soon forgets. Nothing happens in a folder of another user."""
    content = json.dumps(dataclasses.asdict(job), indent=1).encode()
    with suppress(OSError):
        if _read_end_file(folder) != content:
            write_atomically(folder / ENGINE_END_FILE, content)


def load_engine_end(own: OwnRecord) -> QueuedJob | None:
    """Return the job as Slurm ended it, if that was seen and no later attempt has begun."""
    with suppress(OSError, ValueError, TypeError):
        job = QueuedJob(**json.loads(_read_end_file(own.folder)))
        if not own.attempts or own.attempts[-1].began <= (job.end or 0.0):
            return job
    return None


def _read_end_file(folder: Path) -> bytes:
    path = folder / ENGINE_END_FILE
    return read_limited_file(path, MAX_END_BYTES) if os.path.lexists(path) else b""
