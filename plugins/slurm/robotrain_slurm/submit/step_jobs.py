"""The batch jobs of a pipeline, sent as one: either all of them begin, each after those that it needs, or none does.

Slurm takes a dependency on a job that it has forgotten for satisfied. So the first steps are sent on hold, and released
once every step is sent: until then no job can end, and an interrupted submit goes on with those that wait in the queue.
Before they are released, their numbers are recorded in the run folder: Slurm forgets jobs that ended.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from robotrain.model.run import Reference
from robotrain_runtime.contract.files import read_limited_file, write_atomically

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.queue import query_queue
from robotrain_slurm.spec.submission_spec import CLUSTER_KEY, CLUSTER_VARIABLE, JOBS_KEY, BatchJob, SlurmSpec
from robotrain_slurm.submit import sbatch

SENT_FILE = "sent.json"
"""In the run folder, once all steps are sent: the number of each step's job."""
MAX_SENT_BYTES = 1 << 20
HELD = "JobHeldUser"


def send_steps(spec: SlurmSpec, is_new: bool) -> Reference:
    """Send the steps that Slurm does not have yet, then let the first ones begin.

    Raise SlurmRefused, after which none of them is left in the queue, or SlurmAway.

    :param is_new: whether the run folder was just created, so that nothing was sent before.
    """
    root = Path(spec.folder)
    gone = {} if is_new else {job.step: sbatch.find_number(sbatch.read_answer(root, job)) for job in spec.jobs}
    numbers = {} if is_new else _find_waiting_jobs(spec)
    try:
        for job in spec.jobs:
            if job.step not in numbers:
                options = _make_dependency(job, numbers)
                numbers[job.step] = sbatch.send_job(job, root, *options, gone=gone.get(job.step, ""))
    except SlurmRefused:
        with contextlib.suppress(SlurmRefused):
            if numbers:
                run_slurm("scancel", *numbers.values())
        raise
    write_atomically(root / SENT_FILE, json.dumps(numbers).encode())
    _release(numbers[job.step] for job in spec.jobs if not job.needs)
    return make_pipeline_reference(spec, numbers)


def find_steps(spec: SlurmSpec) -> Reference | None:
    """Return the pipeline that an interrupted submit sent as a whole; None if jobs are missing. Raise as query_queue.

    It begins now, if the submit was interrupted just before.
    """
    try:
        numbers = json.loads(read_limited_file(Path(spec.folder, SENT_FILE), MAX_SENT_BYTES))
    except (OSError, ValueError):
        return None
    known = {job.id: job for job in query_queue(job.name for job in spec.jobs)}
    held = [number for number in numbers.values() if number in known and known[number].reason == HELD]
    _release(held)
    return make_pipeline_reference(spec, numbers)


def _find_waiting_jobs(spec: SlurmSpec) -> dict[str, str]:
    """Return the numbers of those jobs, by step, that an interrupted submit sent. None of them has begun."""
    found = _select_waiting_jobs(spec.jobs)
    answers = (sbatch.read_answer(Path(spec.folder), job) for job in spec.jobs if job.step not in found)
    if any(map(sbatch.is_unsure, answers)):
        time.sleep(sbatch.SETTLE_SECONDS)
        found = _select_waiting_jobs(spec.jobs)
    return found


def _select_waiting_jobs(jobs: Collection[BatchJob]) -> dict[str, str]:
    """Return the numbers of the jobs, by step, that wait in the queue for the right ones."""
    queue = query_queue(job.name for job in jobs)
    found: dict[str, str] = {}
    for job in jobs:
        needed = {found.get(name, "") for name in job.needs}
        for known in queue:
            is_waiting = (known.comment, known.state) == (job.comment, "PENDING")
            if is_waiting and needed <= {*re.findall(r"\d+", known.dependency)}:
                found[job.step] = known.id
    return found


def _make_dependency(job: BatchJob, numbers: Mapping[str, str]) -> list[str]:
    if not job.needs:
        return ["--hold"]
    return [f"--dependency=afterok:{':'.join(numbers[name] for name in job.needs)}", "--kill-on-invalid-dep=yes"]


def _release(numbers: Iterable[str]) -> None:
    """Let jobs begin; one that was cancelled meanwhile is left as it is."""
    if chosen := ",".join(numbers):
        with contextlib.suppress(SlurmRefused):
            run_slurm("scontrol", "release", chosen)


def make_pipeline_reference(spec: SlurmSpec, numbers: Mapping[str, str]) -> Reference:
    """Return what finds a pipeline again."""
    jobs = " ".join(f"{step}={number}" for step, number in numbers.items())
    cluster = os.environ.get(CLUSTER_VARIABLE, "")
    return {"run": spec.run, "folder": spec.folder, JOBS_KEY: jobs, CLUSTER_KEY: cluster}
