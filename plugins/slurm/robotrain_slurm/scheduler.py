"""Slurm: a run is a folder that every node sees, and a batch job, which becomes the program of the node.

`platform` declares it. This class is imported when something is asked of it.
"""

# ruff: noqa: D102 (the base classes say what each method does)

import functools
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar, cast

from robotrain.errors import Problem, Rejected
from robotrain.model.health import Check
from robotrain.model.plan import Plan
from robotrain.model.platform_features import RunAccess, Uploads
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone, Status
from robotrain.model.terminal import TerminalCommand
from robotrain.run_folder.cancel import NeededStop, Stop
from robotrain.run_folder.facts import FACT_FILES, FolderFacts
from robotrain.run_folder.parts import JudgedRun
from robotrain.run_folder.scheduler import SchedulerEngine, move_to
from robotrain.run_folder.scheduler_plan import SchedulerJob
from robotrain.run_folder.submit import FoundJob
from robotrain.run_folder.transport import Transport, Unreached
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture, limit_seconds
from robotrain_runtime.contract.document import JobSource

from robotrain_slurm.client.commands import COMMANDS, SlurmRefused, explain_refusal, run_slurm
from robotrain_slurm.client.queue import QueuedJob, query_accounting, query_queue
from robotrain_slurm.login.address import find_login
from robotrain_slurm.login.reach import ANSWER_SECONDS, LoginNode, explain_items, explained, reach
from robotrain_slurm.node.attempts import ATTEMPTS_FILE, parse_attempts
from robotrain_slurm.observe import status
from robotrain_slurm.observe.own_record import OwnRecord
from robotrain_slurm.platform import SLURM
from robotrain_slurm.preflight import checks, setup
from robotrain_slurm.spec.plans import SlurmPlans
from robotrain_slurm.spec.submission_spec import (
    CLUSTER_VARIABLE,
    read_own,
)
from robotrain_slurm.submit import prefetch, upload

Subject = TypeVar("Subject")
Values = ParamSpec("Values")
Answer = TypeVar("Answer")

MAX_NAMES = 20
"""Of more jobs than these, all of a user's are asked for."""
STOPS: Mapping[str, NeededStop] = {
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


class SlurmScheduler(SlurmPlans, SchedulerEngine, Uploads, RunAccess):
    """The Slurm of a machine."""

    commands = COMMANDS
    submit_command, job_pattern = "sbatch", r"^([0-9]+)(;\S+)?\s*$"
    hold_words = ("--hold",)
    dependency_words = ("--dependency=afterok:{jobs}", "--kill-on-invalid-dep=yes")
    release_command = ("scontrol", "release")
    cluster_variable = CLUSTER_VARIABLE
    # its message left and no answer came: Slurm may have taken the job, or take it later
    unsure_pattern = r"timed out|(?:send|receive|shutdown) failure|Zero Bytes|not connected|reset by peer|auth_verify"
    end_sign = "slurmstepd"
    fact_files: Mapping[str, int] = {ATTEMPTS_FILE: 1 << 20, **FACT_FILES}  # before the outcome, which is of the last

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        return checks.list_checks(self, plan) if plan else setup.list_checks()

    def prepare(self, plan: Plan) -> Iterator[str]:
        yield from upload.upload_folders(self.at, plan)
        yield from prefetch.prepare_plan(self.at, plan)

    def find_uploaded(self, plan: Plan) -> list[JobSource]:
        return upload.find_uploaded(self.at, plan)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        folder = str(self.require_folder(reference))
        cache = upload.find_cache(self.at, folder)
        size = super().remove_outputs(reference, dry_run)
        if not cache or size is None:
            return size
        with suppress(Unreached, Rejected, ValueError):  # the run is removed; what it read stays
            size += upload.release_folders(self.at, folder, cache, dry_run=dry_run)
        return size

    def fetch_other_files(self, plan: Plan) -> Mapping[str, bytes]:
        upload.upload_folders(self.at, plan)
        if not read_own(self.load_spec(plan).jobs[0]).is_staged:
            return {}
        return prefetch.place_staged_files(prefetch.fetch_inputs(self.at, plan))

    def search_jobs(self, jobs: Sequence[SchedulerJob]) -> Iterator[FoundJob]:
        for queued_job in query_queue(self.at, (job.name for job in jobs)):
            _, name, token = queued_job.comment.split(":", 2) if queued_job.comment.count(":") == 2 else ("", "", "")
            if not queued_job.is_refused:
                yield FoundJob(
                    job=queued_job.id,
                    name=name,
                    token=token,
                    is_waiting=queued_job.state == "PENDING",
                    is_held=queued_job.reason == "JobHeldUser",
                    needs=re.findall(r"\d+", queued_job.dependency),
                )

    def make_refusal(self, plan: Plan, job: SchedulerJob, answer: str) -> Problem:
        return explain_refusal(answer)

    def find_begun_job(self, facts: FolderFacts) -> str:
        """Return the first job that began: others continue it."""
        attempts = parse_attempts(facts.read(ATTEMPTS_FILE).decode(errors="replace").splitlines())
        return attempts[0].job if attempts else ""

    def query_jobs(self, references: Sequence[Reference], facts: Sequence[FolderFacts]) -> QueueAnswer:
        """Return what Slurm knows of the jobs of these runs, unless their own records say all.

        Raise RunGone, or Rejected when only Slurm can tell and does not answer.
        """
        records = zip(references, map(OwnRecord.parse, facts), strict=True)
        unsettled = [(reference, own_record) for reference, own_record in records if not own_record.is_settled]
        try:
            jobs = self._ask_slurm(unsettled) if unsettled else []
        except Rejected:
            if not all(own_record.has_recorded_end for _, own_record in unsettled):
                raise
            jobs = []
        return QueueAnswer(jobs, functools.cache(self._find_cluster))

    def _find_cluster(self) -> str:
        return self.at.query(f'printf %s "${CLUSTER_VARIABLE}"').text

    def _ask_slurm(self, records: Collection[tuple[Reference, OwnRecord]]) -> Sequence[QueuedJob]:
        """Return what Slurm knows of the jobs of runs, by one request, and one more for those that it has forgotten."""
        run_names = sorted({reference["run"] for reference, _ in records})
        users = {own_record.user for _, own_record in records}
        queue = [
            job
            for user in users
            for job in query_queue(self.at, run_names if len(run_names) <= MAX_NAMES else (), user)
        ]
        recalled_jobs, unseen_ids = status.recall_jobs(records, queue)
        return [*queue, *recalled_jobs, *((query_accounting(self.at, unseen_ids) or ()) if unseen_ids else ())]

    def judge_run(self, reference: Reference, facts: FolderFacts, jobs: QueueAnswer) -> JudgedRun:
        return status.judge_run(reference, OwnRecord.parse(facts), jobs.jobs, jobs.find_cluster)

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        """Return the command that runs words, or a shell, in the folder of a run on the first node of its job."""
        job = self._find_running_job(reference)
        inner_command = shlex.join(words) if words else '"${SHELL:-/bin/sh}"'
        step = ["srun", "--overlap", f"--jobid={job.id}", "--nodes=1", "--ntasks=1", "--quiet"]
        step += ["--pty"] if has_terminal else []
        program = ["/bin/sh", "-c", f"cd {shlex.quote(reference['folder'])} && exec {inner_command}"]
        return TerminalCommand(self.at.make_terminal_words([*step, *program], has_terminal))

    def _find_running_job(self, reference: Reference) -> QueuedJob:
        """Return the job that works on a run now. Raise RunGone if there is none."""
        reference = self.select_step(reference)
        own_record = OwnRecord.parse(self.read_all_facts([reference])[0])
        job = status.find_job(reference, own_record, self._ask_slurm([(reference, own_record)]))
        if job is None or job.state != "RUNNING":
            raise RunGone(f"no job of Slurm works on {reference['run']} now")
        return job

    def list_jobs_to_stop(self, references: Sequence[Reference]) -> dict[str, NeededStop]:
        records = [OwnRecord.parse(facts) for facts in self.read_all_facts(references)]
        queue = self._ask_slurm([*zip(references, records, strict=True)])
        stops = dict[str, NeededStop]()
        later_facts = self.read_all_facts(references)  # again: one may have ended meanwhile
        for reference, own_record in zip(references, map(OwnRecord.parse, later_facts), strict=True):
            job = status.find_job(reference, own_record, queue)
            if job and status.is_active(job):
                stop = STOPS.get(job.state, "for good")
                # it ends by itself; one that was requeued has the outcome of its earlier start
                if not (own_record.is_settled and stop in ("running", "ending")):
                    stops[job.id] = stop
        return stops

    def stop_jobs(self, jobs: Sequence[str], how: Stop) -> str:
        """Stop jobs. SIGINT tells one that it is not to be requeued, where its node does not see the mark."""
        try:
            run_slurm(self.at, "scancel", *SCANCEL_OPTIONS.get(how, ()), *jobs)
        except SlurmRefused as refusal:
            if not any(sign in refusal.text for sign in OVER):
                return refusal.text
        return ""


HERE = SlurmScheduler(SLURM)


def find_scheduler(transport: Transport) -> SlurmScheduler:
    """Return the Slurm of a machine."""
    return move_to(HERE, transport) if transport.host else HERE


def call_scheduler(
    method: Callable[Concatenate[SlurmScheduler, Subject, Values], Answer],
    subject: Subject,
    *args: Values.args,
    **kwargs: Values.kwargs,
) -> Answer:
    """Call a method of the Slurm here, or of a login node. Raise what is understood on this machine."""
    transport = reach(find_login(subject))
    with explained(transport):
        method_result = method(find_scheduler(transport), subject, *args, **kwargs)
    return (
        cast(Answer, explain_items(method_result, transport)) if isinstance(method_result, Iterator) else method_result
    )


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the status of each run, those of a login node by one request; None for the runs of one that fails.

    `status` then says why, without asking it again. Raise Rejected if all runs are of the one that fails.
    """
    positions_by_login: dict[str, list[int]] = {}
    for position, reference in enumerate(references):
        positions_by_login.setdefault(find_login(reference), []).append(position)
    seconds = limit_seconds(ANSWER_SECONDS)  # less in a list: the answers of the others still count
    listings = {
        login: DeadlineFuture(partial(_list_there, login, [references[position] for position in positions]))
        for login, positions in positions_by_login.items()
    }
    statuses: list[Status | None] = [None] * len(references)
    for login, positions in positions_by_login.items():
        try:
            listed_statuses = listings[login].result(seconds if login else None)
        except (DeadlineExceeded, Rejected) as error:
            failure = error if isinstance(error, Rejected) else cast(LoginNode, reach(login)).note_silence(seconds)
            if len(positions_by_login) == 1:
                raise failure from None
            continue
        for position, run_status in zip(positions, listed_statuses, strict=True):
            statuses[position] = run_status
    return statuses


def _list_there(login: str, references: Sequence[Reference]) -> list[Status | None]:
    transport = reach(login)
    with explained(transport):
        return find_scheduler(transport).list_statuses(references)
