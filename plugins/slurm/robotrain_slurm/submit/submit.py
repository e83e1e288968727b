"""Submit a plan: create the run folder, and send its batch jobs, each exactly once."""

import contextlib
import os
import re
import shutil
from pathlib import Path

from robotrain.errors import Rejected, Stage, Unanswered, make_problem
from robotrain.model.plan import Plan
from robotrain.model.run import Reference
from robotrain.run_folder import status as run_folder
from robotrain.store import code_folder
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.files import make_atomically

from robotrain_slurm.client.commands import SlurmAway, SlurmRefused, run_slurm
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.spec.render import CODE_FOLDER, list_code_folders
from robotrain_slurm.spec.submission_spec import PAYLOAD_FILE, SUBMISSION, BatchJob, SlurmSpec

REFUSED_REASONS = ("BadConstraints",)
"""Reasons of a job that sbatch refused, and that Slurm has a record of all the same."""


def submit_plan(plan: Plan) -> Reference:
    """Send the plan, once. Raise Rejected when Slurm refused it, Unanswered when that is not known."""
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    create_run_folder(plan, spec)
    (job,) = spec.jobs
    try:
        number = send_job(job, Path(spec.folder))
    except SlurmRefused as refusal:
        if found := find_run(plan):
            return found
        shutil.rmtree(spec.folder, ignore_errors=True)
        title = "Slurm refused the job"
        raise Rejected([make_problem("slurm-refused", title, "", "", refusal.text)]) from None
    except SlurmAway as away:
        raise Unanswered(away.problems) from None
    return make_reference(spec, number)


def create_run_folder(plan: Plan, spec: SlurmSpec) -> None:
    """Create the run folder with the plan's files, its unpacked payload and its code. Raise Rejected."""
    folder = Path(spec.folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        run_folder.create_run_folder(plan, folder, PAYLOAD_FILE)
        for source in list_code_folders(plan.job):
            if not (folder / CODE_FOLDER).exists():
                staged = code_folder.stage_folder(Path(source.uri), source.pin)
                with make_atomically(folder / CODE_FOLDER) as copy:
                    shutil.copytree(staged, copy)
    except OSError as error:
        why = f"{error.strerror or error}."
        title = "the run folder cannot be created"
        fix = "--runs-dir FOLDER"
        raise Rejected([make_problem("slurm-folder-refused", title, "--runs-dir", spec.folder, why, fix)]) from None


def send_job(job: BatchJob, root: Path, dependency: str = "") -> str:
    """Send a batch job and return its number. Raise SlurmRefused, SlurmAway.

    :param root: the run folder, with the script.
    """
    words = [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"] if dependency else []
    answer = run_slurm("sbatch", "--parsable", *words, str(root / job.script), folder=str(root))
    found = re.search(r"^(\d+)(?:;\S+)?\s*$", answer, re.MULTILINE)
    if not found:
        raise SlurmAway("sbatch did not print the number of the job.")
    return found[1]


def find_run(plan: Plan) -> Reference | None:
    """Return the run of a plan that an interrupted submit sent. Raise Rejected when Slurm does not answer."""
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    (job,) = spec.jobs
    number = find_job(job, query_queue([job.name]))
    return make_reference(spec, number) if number else None


def find_job(job: BatchJob, queue: list[QueuedJob]) -> str:
    """Return the number of a job that Slurm has, or that has begun in its folder; empty for none."""
    for known in queue:
        if known.comment == job.comment and known.reason not in REFUSED_REASONS:
            return known.id.partition("_")[0]
    with contextlib.suppress(OSError):
        owner = claim.find_owner(Path(job.folder))
        return owner.name if owner else ""
    return ""


def make_reference(spec: SlurmSpec, number: str) -> Reference:
    """Return what finds a run again."""
    return {"run": spec.run, "folder": os.fspath(spec.folder), "job": number}
