"""Submit a plan: create the run folder, and send its batch jobs, each exactly once."""

import contextlib
import os
import shutil
from pathlib import Path

from robotrain.errors import Rejected, Stage, Unanswered, make_problem
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.run_folder import status as run_folder
from robotrain.store import code_folder
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.files import make_atomically

from robotrain_slurm.client.commands import SlurmAway, SlurmRefused
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.spec.render import list_code_copies
from robotrain_slurm.spec.submission_spec import (
    PAYLOAD_FILE,
    SUBMISSION,
    TRIALS_FOLDER,
    TRIALS_KEY,
    BatchJob,
    SlurmSpec,
)
from robotrain_slurm.submit import staging, step_jobs
from robotrain_slurm.submit.sbatch import send_job

REFUSED_REASONS = ("BadConstraints",)
"""Reasons of a job that sbatch refused, and that Slurm has a record of all the same."""


def submit_plan(plan: Plan) -> Reference:
    """Send the plan, once. Raise Rejected when Slurm refused it, Unanswered when that is not known."""
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    staged = staging.fetch_inputs(plan) if spec.staged else {}
    is_new = create_run_folder(plan, spec)
    staging.write_staged_files(Path(spec.folder), staged)
    try:
        if spec.is_pipeline:
            return step_jobs.send_steps(spec, is_new)
        return make_reference(spec, send_job(spec.jobs[0], Path(spec.folder)))
    except SlurmRefused as refusal:
        if not spec.is_pipeline and (found := find_run(plan)):
            return found
        shutil.rmtree(spec.folder, ignore_errors=True)
        title, why = "Slurm refused the job", refusal.text
        if spec.is_pipeline:
            title = "Slurm refused a step of the pipeline; no step has begun, and none is left in the queue"
        raise Rejected([make_problem("slurm-refused", title, "", "", why)]) from None
    except SlurmAway as away:
        raise Unanswered(away.problems) from None


def create_run_folder(plan: Plan, spec: SlurmSpec) -> bool:
    """Create the run folder with the plan's files, its unpacked payload and its code; return whether it is new.

    Raise Rejected.
    """
    folder = Path(spec.folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        is_new = run_folder.create_run_folder(plan, folder, PAYLOAD_FILE)
        for source, place in list_code_copies(plan.files, spec.jobs):
            if not Path(place).exists():
                staged = code_folder.stage_folder(Path(source.uri), source.pin)
                with make_atomically(Path(place)) as copy:
                    shutil.copytree(staged, copy)
        return is_new
    except OSError as error:
        why = f"{error.strerror or error}."
        title = "the run folder cannot be created"
        fix = "--runs-dir FOLDER"
        raise Rejected([make_problem("slurm-folder-refused", title, "--runs-dir", spec.folder, why, fix)]) from None


def find_run(plan: Plan) -> Reference | None:
    """Return the run of a plan that an interrupted submit sent. Raise Rejected when Slurm does not answer."""
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    folder = Path(spec.folder)
    if folder.is_dir() and not run_folder.has_plan_files(plan, folder):
        return None
    if spec.is_pipeline:
        return step_jobs.find_steps(spec)
    (job,) = spec.jobs
    number = find_job(job, query_queue([job.name]))
    return make_reference(spec, number) if number else None


def find_job(job: BatchJob, queue: list[QueuedJob]) -> str:
    """Return the number of a job that Slurm has, or that has begun in its folder; empty for none."""
    for known in queue:
        if known.comment == job.comment and known.reason not in REFUSED_REASONS:
            return known.array
    folders = [Path(job.folder, TRIALS_FOLDER, str(number + 1)) for number in range(len(job.trials))]
    for folder in folders or [Path(job.folder)]:
        with contextlib.suppress(OSError):
            if owner := claim.find_owner(folder):
                return owner.name.partition("_")[0]
    return ""


def make_reference(spec: SlurmSpec, number: str) -> Reference:
    """Return what finds a run again."""
    trials = {TRIALS_KEY: str(len(spec.jobs[0].trials))} if spec.jobs[0].trials else {}
    return {"run": spec.run, "folder": os.fspath(spec.folder), "job": number, **trials}
