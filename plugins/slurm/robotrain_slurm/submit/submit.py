"""Submit a plan: create the run folder, and send its batch jobs, each exactly once."""

import contextlib
import dataclasses
import os
import time
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Unanswered
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.run_folder.code_copy import StageCode
from robotrain.run_folder.status import has_plan_files

from robotrain_slurm.client.commands import SlurmAway
from robotrain_slurm.client.failures import explain_refusal
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.node import attempts
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import (
    CLUSTER_KEY,
    CLUSTER_VARIABLE,
    SUBMISSION,
    TRIALS_FOLDER,
    TRIALS_KEY,
    BatchJob,
    SlurmSpec,
)
from robotrain_slurm.submit import sbatch, staging, step_jobs
from robotrain_slurm.submit.run_folder import create_run_folder, discard_run_folder


def submit_plan(plan: Plan, stage_code: StageCode | None = None) -> Reference:
    """Send the plan, once. Raise Rejected when Slurm refused it, Unanswered when that is not known.

    :param stage_code: returns a copy of a folder of code as it was pinned.
    """
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    if spec.staged:
        staged = staging.fetch_inputs(plan)
        is_new = create_run_folder(plan, spec, stage_code)
        staging.write_staged_files(Path(spec.folder), staged)
    else:
        is_new = create_run_folder(plan, spec, stage_code)
    try:
        if spec.is_pipeline:
            return step_jobs.send_steps(spec, is_new)
        number = sbatch.send_job(spec.jobs[0], Path(spec.folder))
    except sbatch.JobRefused as refusal:
        discard_run_folder(spec)
        raise Rejected([_make_refused_problem(plan, refusal)]) from None
    except SlurmAway as away:
        with contextlib.suppress(Rejected):
            if found := find_run(plan):
                return found
        raise Unanswered(away.problems) from None
    return make_reference(spec, number)


def _make_refused_problem(plan: Plan, refusal: sbatch.JobRefused) -> Problem:
    job = refusal.job
    problem = explain_refusal(refusal.text, read_options(plan.files[job.script].decode()))
    if not job.step:
        return problem
    title = f"step {job.step}: {problem.title}; no step has begun, and none is left in the queue"
    return dataclasses.replace(problem, title=title)


def find_run(plan: Plan) -> Reference | None:
    """Return the run of a plan that an interrupted submit sent; None if Slurm has no job of it.

    Raise Rejected when Slurm does not answer, Unanswered while an sbatch of it is at work.
    """
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    root = Path(spec.folder)
    sbatch.wait_for_sbatch(root, spec.jobs)
    if not has_plan_files(plan, root):
        return None
    if spec.is_pipeline:
        return step_jobs.find_steps(spec)
    (job,) = spec.jobs
    answer = sbatch.read_answer(root, job)
    number = _ask_for_job(job) if sbatch.is_unsure(answer) else sbatch.find_number(answer)
    return make_reference(spec, number) if number else None


def _ask_for_job(job: BatchJob) -> str:
    """Return the number of a job that Slurm has now or in a moment; empty if it has none. Raise Rejected."""
    if number := find_job(job, query_queue([job.name])):
        return number
    time.sleep(sbatch.SETTLE_SECONDS)
    return find_job(job, query_queue([job.name]))


def find_job(job: BatchJob, queue: list[QueuedJob]) -> str:
    """Return the number of a job that Slurm has, or that has begun in its folder; empty for none."""
    for one in queue:
        if one.comment == job.comment and not one.is_refused:
            return one.array
    folders = [Path(job.folder, TRIALS_FOLDER, str(number + 1)) for number in range(len(job.trials))]
    for folder in folders or [Path(job.folder)]:
        with contextlib.suppress(OSError):
            if known := attempts.read_attempts(folder):
                return known[0].job.partition("_")[0]
    return ""


def make_reference(spec: SlurmSpec, number: str) -> Reference:
    """Return what finds a run again."""
    trials = {TRIALS_KEY: str(len(spec.jobs[0].trials))} if spec.jobs[0].trials else {}
    cluster = {CLUSTER_KEY: os.environ.get(CLUSTER_VARIABLE, "")}
    return {"run": spec.run, "folder": os.fspath(spec.folder), "job": number, **trials, **cluster}
