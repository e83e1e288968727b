"""The preflight checks of a plan: of the cluster, in one question, and of the folders and files that nodes need."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain.cluster.platform import PreflightCheck
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument

from robotrain_slurm.client.cluster import query_partitions
from robotrain_slurm.client.commands import SlurmRefused
from robotrain_slurm.client.failures import explain_refusal
from robotrain_slurm.preflight import folders
from robotrain_slurm.preflight.array_size import check_array_size
from robotrain_slurm.preflight.container import check_containers
from robotrain_slurm.preflight.job_request import JobRequest
from robotrain_slurm.preflight.locks import check_locks
from robotrain_slurm.preflight.pythons import check_pythons, list_needed_pythons
from robotrain_slurm.preflight.resources import find_request_problems
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import SUBMISSION, SlurmSpec

make_problem = Messages(__file__)

COMMAND = "sbatch"


def list_checks(plan: Plan, pythons: Mapping[str, str] | None = None) -> list[PreflightCheck]:
    """Return the checks of a plan, which run side by side. Raise Rejected for a plan that cannot be read.

    :param pythons: as `list_needed_pythons` returned them on the machine of the user; None if this is that machine.
    """
    spec = SUBMISSION.load(plan, Stage.PREFLIGHT)
    first = (job.documents[0] for job in spec.jobs)  # trials have the same inputs and folders
    try:
        jobs = [document.parse_document(plan.files[path].decode()) for path in first]
        for job in spec.jobs:
            read_options(plan.files[job.script].decode())
    except (LookupError, ValueError) as error:
        why = f"A batch script or a job document of it cannot be read: {error}."
        raise Rejected([SUBMISSION.make_damaged_plan_problem(Stage.PREFLIGHT, why)]) from None
    return [
        partial(check_cluster, plan, spec, jobs),
        partial(folders.check_run_folder, spec, plan),
        partial(folders.check_files, jobs),
        partial(check_containers, spec, plan.files),
        partial(check_pythons, list_needed_pythons(plan) if pythons is None else pythons),
        partial(check_locks, Path(jobs[0].placement.cache)),
        *([partial(check_array_size, spec)] if any(job.trials for job in spec.jobs) else []),
    ]


def check_cluster(plan: Plan, spec: SlurmSpec, jobs: Sequence[JobDocument]) -> Iterator[Problem]:
    """Check what the jobs ask for against the partitions and nodes of the cluster, and that it answers."""
    if not shutil.which(COMMAND):
        yield make_problem("submit-command-missing")
        return
    try:
        partitions = query_partitions()
    except SlurmRefused as refusal:
        yield replace(explain_refusal(refusal.text, {}, "sinfo"), stage=Stage.PREFLIGHT)
        return
    except Rejected as rejected:  # it is away
        later = Suggestion("the same command", "later; nothing was sent")
        for problem in rejected.problems:
            yield replace(problem, stage=Stage.PREFLIGHT, suggestions=(later, *problem.suggestions))
        return
    for job in spec.jobs:
        options = read_options(plan.files[job.script].decode())
        yield from find_request_problems(JobRequest.parse(options, plan.job), partitions)
    needed, host = folders.list_needed_files(spec, jobs), os.uname().nodename
    yield from folders.find_unshared_files(needed, partitions, host)
