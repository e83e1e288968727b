"""The runs of Slurm, whose folders and commands are on this machine."""
# ruff: noqa: D102 (the base classes say what each method does)

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Rejected
from robotrain.model.run import Reference, RunGone, Status
from robotrain.run_folder import ended_run
from robotrain.run_folder.cancel import Stop
from robotrain.run_folder.facts import FolderFacts
from robotrain.run_folder.parts import JudgedRun
from robotrain.run_folder.scheduled_parts import is_whole

from robotrain_slurm.client.accounting import query_accounting
from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.observe import status
from robotrain_slurm.observe.own_record import OwnRecord
from robotrain_slurm.spec.render import OUTPUT_FILE
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE, SUBMISSION
from robotrain_slurm.submit.submit import SlurmSubmits

MAX_NAMES = 20
"""Of more jobs than these, all of a user's are asked for."""
STOPS: Mapping[str, Stop] = {
    "PENDING": "waiting",
    **dict.fromkeys(("RUNNING", "SIGNALING", "RESIZING"), "running"),
    "COMPLETING": "ending",
}
"""By the state of a job, how it is to be stopped: any other one for good."""
SCANCEL_OPTIONS: Mapping[str, Sequence[str]] = {
    "waiting": ("--state=PENDING",),  # not one that has begun meanwhile
    "running": ("--batch", "--signal=INT"),
}
OVER = ("Invalid job id", "already completing or completed")
"""What Slurm answers about a job that has just ended."""


class QueueAnswer(NamedTuple):
    """What Slurm knows."""

    jobs: Sequence[QueuedJob]
    """Those of other runs too."""
    find_cluster: Callable[[], str]
    """Returns the variable that chooses the cluster, where Slurm was asked."""


class SlurmRuns(SlurmSubmits):
    """The runs of this machine's Slurm."""

    output_file = OUTPUT_FILE
    end_sign = "slurmstepd"

    def format_trial(self, array: str, number: int) -> str:
        return f"{array}_{number}"

    def find_cluster(self) -> str:
        """Return the variable that chooses the cluster."""
        return os.environ.get(CLUSTER_VARIABLE, "")

    def ask_slurm(self, records: Collection[tuple[Reference, OwnRecord]]) -> QueueAnswer:
        """Return what Slurm knows of the jobs of runs, by one request, and one more for those that it has forgotten.

        Raise SlurmAway, Rejected.
        """
        names = sorted({reference["run"] for reference, _ in records})
        users = {own.user for _, own in records}
        queue = [job for user in users for job in query_queue(self.at, names if len(names) <= MAX_NAMES else (), user)]
        seen, unseen = status.recall_jobs(records, queue)
        return self._make_answer([*queue, *seen, *((query_accounting(self.at, unseen) or ()) if unseen else ())])

    def _make_answer(self, jobs: Sequence[QueuedJob]) -> QueueAnswer:
        return QueueAnswer(jobs, self.find_cluster)

    def query_jobs(self, references: Collection[Reference]) -> QueueAnswer:
        """Return what Slurm knows of the jobs of these runs, unless their own records say all.

        Raise RunGone, or Rejected when only Slurm can tell and does not answer.
        """
        return self._query_unsettled([*references], self.read_all_facts([*references]))

    def _query_unsettled(self, references: Sequence[Reference], facts: Sequence[FolderFacts]) -> QueueAnswer:
        records = zip(references, map(OwnRecord.parse, facts), strict=True)
        unsettled = [(one, own) for one, own in records if not own.is_settled]
        try:
            return self.ask_slurm(unsettled) if unsettled else self._make_answer([])
        except Rejected:
            if all(own.has_recorded_end for _, own in unsettled):
                return self._make_answer([])
            raise

    def judge_run(self, reference: Reference, facts: FolderFacts, jobs: QueueAnswer) -> JudgedRun:
        return status.judge_run(reference, OwnRecord.parse(facts), jobs.jobs, jobs.find_cluster)

    def list_jobs_to_stop(self, references: Sequence[Reference]) -> dict[str, Stop]:
        records = [OwnRecord.parse(one) for one in self.read_all_facts(references)]
        queue, found = self.ask_slurm([*zip(references, records, strict=True)]).jobs, dict[str, Stop]()
        later = self.read_all_facts(references)  # again: one may have ended meanwhile
        for one, own in zip(references, map(OwnRecord.parse, later), strict=True):
            job = status.find_job(one, own, queue)
            if job and status.is_active(job):
                stop = STOPS.get(job.state, "for good")
                # it ends by itself; one that was requeued has the outcome of its earlier start
                if not (own.is_settled and stop in ("running", "ending")):
                    found[job.id] = stop
        return found

    def stop_jobs(self, jobs: Sequence[str], how: Stop) -> str:
        """Stop jobs. SIGINT tells one that it is not to be requeued, where its node does not see the mark."""
        try:
            run_slurm(self.at, "scancel", *SCANCEL_OPTIONS.get(how, ()), *jobs)
        except SlurmRefused as refusal:
            if not any(sign in refusal.text for sign in OVER):
                return refusal.text
        return ""

    def list_statuses(self, references: Sequence[Reference]) -> list[Status | None]:
        """Return the status of each run, all by one request. None for one whose folder is gone. Raise Rejected."""
        asked = [one for one in references if not is_whole(one)]
        facts = self.find_facts([one["folder"] for one in asked])
        known = [(one, found) for one, found in zip(asked, facts, strict=True) if found]
        here = [one for one, _ in known]
        answer = self._query_unsettled(here, [found for _, found in known])
        later = self.find_facts([one["folder"] for one in here])
        statuses = {id(one): self._find_listed_status(one, now, answer) for one, now in zip(here, later, strict=True)}
        return [statuses.get(id(one)) for one in references]

    def _find_listed_status(
        self, reference: Reference, facts: FolderFacts | None, answer: QueueAnswer
    ) -> Status | None:
        try:
            return self.conclude_run(reference, facts, answer).status if facts else None
        except Rejected:  # asked alone, it says why
            return None

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int:
        try:
            run = self.read_spec(reference).run
        except RunGone:
            raise
        except Rejected:  # it has none
            run = ""
        folder, found = self.require_folder(reference), self.status(reference)
        return ended_run.remove_run_folder(folder, run, SUBMISSION.name, found, dry_run, self.remove_folder)

    def remove_folder(self, folder: Path, dry_run: bool) -> int:
        """Remove a run folder unless `dry_run` is set. Return the bytes freed. Raise OSError."""
        return ended_run.remove_folder(folder, dry_run)
