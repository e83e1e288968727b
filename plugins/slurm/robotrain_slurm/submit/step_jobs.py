"""The batch jobs of a pipeline, sent as one: either all of them begin, each after those that it needs, or none does."""

import contextlib
import json
import re
import time
from collections.abc import Collection, Iterable

from robotrain.run_folder.scheduler_plan import SchedulerJob, SchedulerSpec
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.queue import query_queue
from robotrain_slurm.spec.submission_spec import format_comment
from robotrain_slurm.submit.script import SENT_FILE, SubmitReport, is_unsure

SETTLE_SECONDS = 2.0
"""Slurm lists a job so long after it took it over from an sbatch that heard no answer."""
HELD = "JobHeldUser"


def find_steps(at: Transport, spec: SchedulerSpec, report: SubmitReport) -> dict[str, str]:
    """Return the jobs of a pipeline, by step, that an interrupted submit sent as a whole; none if some are missing.

    It begins now, if the submit was interrupted just before. Raise as query_queue.
    """
    try:
        numbers: dict[str, str] = json.loads(report.read(SENT_FILE) or "")
    except ValueError:
        return {}
    known = {job.id: job for job in query_queue(at, (job.name for job in spec.jobs))}
    held = [number for number in numbers.values() if number in known and known[number].reason == HELD]
    _release(at, held)
    return numbers


def find_waiting_jobs(at: Transport, spec: SchedulerSpec, report: SubmitReport) -> dict[str, str]:
    """Return the numbers of those jobs, by step, that an interrupted submit sent. None of them has begun."""
    found = _select_waiting_jobs(at, spec.jobs)
    answers = (report.read_answer(job) for job in spec.jobs if job.step not in found)
    if any(map(is_unsure, answers)):
        time.sleep(SETTLE_SECONDS)
        found = _select_waiting_jobs(at, spec.jobs)
    return found


def _select_waiting_jobs(at: Transport, jobs: Collection[SchedulerJob]) -> dict[str, str]:
    """Return the numbers of the jobs, by step, that wait in the queue for the right ones."""
    queue = query_queue(at, (job.name for job in jobs))
    found: dict[str, str] = {}
    for job in jobs:
        needed = {found.get(name, "") for name in job.needs}
        for known in queue:
            is_waiting = (known.comment, known.state) == (format_comment(job), "PENDING")
            if is_waiting and needed <= {*re.findall(r"\d+", known.dependency)}:
                found[job.step] = known.id
    return found


def _release(at: Transport, numbers: Iterable[str]) -> None:
    """Let jobs begin; one that was cancelled meanwhile is left as it is."""
    if chosen := ",".join(numbers):
        with contextlib.suppress(SlurmRefused):
            run_slurm(at, "scontrol", "release", chosen)
