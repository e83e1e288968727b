"""The runs of Slurm, whose folders and commands are on this machine."""
# ruff: noqa: D102 (the base classes say what each method does)

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Rejected
from robotrain.model.run import Reference, RunGone, Status
from robotrain.run_folder import ended_run
from robotrain.run_folder.facts import FACT_FILES, FolderFacts
from robotrain.run_folder.parts import JudgedRun, RunPart
from robotrain.run_folder.status import RunFolderPlatform, require_run_folder

from robotrain_slurm.capabilities import CAPABILITIES
from robotrain_slurm.client.accounting import query_accounting
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.login.reach import reach
from robotrain_slurm.node.attempts import ATTEMPTS_FILE
from robotrain_slurm.observe import status, step_references
from robotrain_slurm.observe.own_record import OwnRecord
from robotrain_slurm.spec.render import OUTPUT_FILE
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE, SUBMISSION_FILE

MAX_NAMES = 20
"""Of more jobs than these, all of a user's are asked for."""


class QueueAnswer(NamedTuple):
    """What Slurm knows."""

    jobs: Sequence[QueuedJob]
    """Those of other runs too."""
    cluster: str
    """The variable that chooses the cluster, where Slurm was asked."""


def ask_slurm(records: Collection[tuple[Reference, OwnRecord]]) -> QueueAnswer:
    """Return what Slurm knows of the jobs of runs, by one request, and one more for those that it has forgotten.

    Raise SlurmAway, Rejected.
    """
    here = reach("")
    names = sorted({reference["run"] for reference, _ in records})
    users = {own.user for _, own in records}
    queue = [job for user in users for job in query_queue(here, names if len(names) <= MAX_NAMES else (), user)]
    seen, unseen = status.recall_jobs(records, queue)
    return _make_answer([*queue, *seen, *((query_accounting(here, unseen) or ()) if unseen else ())])


def _make_answer(jobs: Sequence[QueuedJob]) -> QueueAnswer:
    return QueueAnswer(jobs, os.environ.get(CLUSTER_VARIABLE, ""))


class SlurmRuns(RunFolderPlatform):
    """The runs of this machine's Slurm."""

    name = "slurm"
    capabilities = CAPABILITIES
    output_file = OUTPUT_FILE
    end_sign = "slurmstepd"
    fact_files: Mapping[str, int] = {ATTEMPTS_FILE: 1 << 20, **FACT_FILES}  # before the outcome, which is of the last

    def select_step(self, reference: Reference) -> Reference:
        return step_references.select_step(reference)

    def list_parts(self, reference: Reference) -> Mapping[str, RunPart]:
        return step_references.list_parts(reference)

    def query_jobs(self, references: Collection[Reference]) -> QueueAnswer:
        """Return what Slurm knows of the jobs of these runs, unless their own records say all.

        Raise RunGone, or Rejected when only Slurm can tell and does not answer.
        """
        records = [(one, OwnRecord.parse(self.read_facts(one))) for one in references]
        unsettled = [(one, own) for one, own in records if not own.is_settled]
        try:
            return ask_slurm(unsettled) if unsettled else _make_answer([])
        except Rejected:
            if all(own.has_recorded_end for _, own in unsettled):
                return _make_answer([])
            raise

    def judge_run(self, reference: Reference, facts: FolderFacts, jobs: QueueAnswer) -> JudgedRun:
        return status.judge_run(reference, OwnRecord.parse(facts), jobs.jobs, jobs.cluster)

    def list_statuses(self, references: Sequence[Reference]) -> list[Status | None]:
        """Return the status of each run, all by one request. None for one whose folder is gone. Raise Rejected."""
        here = [one for one in references if not step_references.is_whole(one) and Path(one["folder"]).is_dir()]
        answer = self.query_jobs(here)
        return [self._find_listed_status(one, answer) if one in here else None for one in references]

    def _find_listed_status(self, reference: Reference, answer: QueueAnswer) -> Status | None:
        try:
            return self.conclude_run(reference, self.read_facts(reference), answer).status
        except Rejected:  # asked alone, it says why
            return None

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int:
        try:
            run = step_references.read_spec(reference).run
        except RunGone:
            raise
        except Rejected:  # it has none
            run = ""
        folder = require_run_folder(reference)
        return ended_run.remove_run_folder(folder, run, SUBMISSION_FILE, self.status(reference), dry_run)


RUNS = SlurmRuns()
