"""What a run's folder says of it: its outcome, its attempts, whether it was cancelled, how Slurm ended it. Pure.

It stays when Slurm has forgotten the job: after five minutes (MinJobAge), where a cluster has no accounting.
"""

import dataclasses
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robotrain.run_folder import file_names
from robotrain.run_folder.facts import ENGINE_END_FILE, FolderFacts
from robotrain.run_folder.run_end import is_settled
from robotrain_runtime.contract.claim import RunOwner
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.json_values import parse_fields

from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.node.attempts import ATTEMPTS_FILE, Attempt, parse_attempts
from robotrain_slurm.spec.submission_spec import OUTPUT_FILE

NOISE = ("slurmstepd", "srun:")
"""Starts of lines of Slurm itself, which say no more than the state of the job."""
MEMORY_KILL = r"(?i)^slurmstepd.*(?:oom[-_ ]kill|exceeded (?:job |step )?memory limit)"


@dataclass(frozen=True, kw_only=True)
class OwnRecord:
    """What the folder of a run says of it."""

    folder: Path
    user: int
    """The number of the user whose run it is."""
    outcome: Outcome | None
    """Of the last attempt that ended by itself."""
    outcome_time: float | None
    is_cancelled: bool
    """Whether the user cancelled it."""
    attempts: list[Attempt]
    owner: RunOwner | None
    """The job that works on it."""
    engine_end: bytes
    """How Slurm ended its job, as `find_new_end` had it."""
    printed: list[str]
    """The last lines of the batch script and of Slurm."""
    printed_time: float

    @classmethod
    def parse(cls, facts: FolderFacts) -> "OwnRecord":
        """Return what the facts of a run folder, with its attempts, say."""
        outcome = facts.files.get(file_names.OUTCOME_FILE)
        output_file = facts.files.get(OUTPUT_FILE)
        printed_lines = output_file.content.decode(errors="replace").splitlines() if output_file else []
        return cls(
            folder=facts.folder,
            user=facts.user,
            outcome=facts.outcome,
            outcome_time=outcome.modified if outcome and facts.outcome else None,
            is_cancelled=facts.is_cancelled,
            attempts=parse_attempts(facts.read(ATTEMPTS_FILE).decode(errors="replace").splitlines()),
            owner=facts.owner,
            engine_end=facts.read(ENGINE_END_FILE),
            printed=[line.strip() for line in printed_lines if line.strip()],
            printed_time=output_file.modified if output_file else 0.0,
        )

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
        return is_settled(self.outcome, self.is_cancelled)

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
        return self.outcome_time

    @property
    def batch_message(self) -> str:
        """What the batch script printed last, if that was before the runtime began; else empty."""
        if self.attempts and self.attempts[-1].end is None:
            return ""
        printed_lines = [line for line in self._list_printed(self.ended_at or 0.0) if not line.startswith(NOISE)]
        return printed_lines[-1].removeprefix("error: ") if printed_lines else ""

    @property
    def has_memory_kill(self) -> bool:
        """Whether Slurm printed that the job used more memory than it had, which its state may not say."""
        attempt_start = self.attempts[-1].began if self.attempts else 0.0
        return any(re.search(MEMORY_KILL, line) for line in self._list_printed(attempt_start))

    def _list_printed(self, start_time: float) -> list[str]:
        """Return the last lines of the batch script and of Slurm; none if they are older than a time."""
        return self.printed if self.printed_time >= start_time else []

    def find_new_end(self, job: QueuedJob) -> bytes:
        """Return the content of `engine-end` that keeps how Slurm ended a job; empty if it has that already."""
        end_bytes = json.dumps(dataclasses.asdict(job), indent=1).encode()
        return end_bytes if end_bytes != self.engine_end else b""

    def load_engine_end(self) -> QueuedJob | None:
        """Return the job as Slurm ended it, if that was seen and no later attempt has begun."""
        with suppress(ValueError):
            job = parse_fields(QueuedJob, self.engine_end)
            if not self.attempts or self.attempts[-1].began <= (job.end or 0.0):
                return job
        return None
