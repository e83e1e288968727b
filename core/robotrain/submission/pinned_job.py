"""Prepared jobs with their sources pinned: those that somebody gives, then those that these imply by their content."""

import dataclasses
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.document import JobSource

from robotrain.check.capability_checks import check_implied_sources
from robotrain.check.needs import DATASET
from robotrain.config.values import IMPLIED_ORIGIN
from robotrain.errors import Problem, Rejected, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.submission import pin
from robotrain.submission.container_plugins import load_workload_container
from robotrain.submission.implied_sources import (
    list_implied_inputs,
    list_implied_rows,
    make_description_document,
)
from robotrain.submission.input_descriptions import InputDescriptions
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.program_lock import lock_program
from robotrain.submission.source_files import SourceFiles

make_problem = Messages(__file__)


def pin_strictly(prepared: PreparedJob) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with all sources pinned, and notes. Raise Rejected with every source that cannot be pinned.

    One whose pin is known is, though it cannot be seen from here.
    """
    jobs, problems = pin_steps([InputStep(prepared)])
    pinned, lock_problems = lock_program(jobs[""])
    problems += lock_problems
    notes = [problem for problem in problems if problem.severity == "note" or problem.message == pin.UNSEEN]
    pin_problems = (problem for problem in problems if problem not in notes)
    raise_if_any(dataclasses.replace(problem, severity="error") for problem in pin.deduplicate_problems(pin_problems))
    return pinned, notes


def pin_steps(
    steps: Sequence[InputStep], pinning: bool = True, is_rejected: bool = False
) -> tuple[dict[str, PreparedJob], list[Problem]]:
    """Return jobs, by the names of their steps, with the sources that each implies, all pinned once; and the problems.

    A step is judged also by what an earlier step will make. Raise Rejected if the platform does not accept what one
    implies.

    :param pinning: False to pin nothing.
    :param is_rejected: whether something else is wrong already: then what is implied is not pinned.
    """
    jobs = {step.name: step.job for step in steps}
    problems: list[Problem] = []
    if pinning:
        jobs, problems = _pin_sources(jobs, implied=False)
    is_rejected = is_rejected or bool(select_errors(problems))
    jobs, implied_problems = _imply_sources(steps, jobs)
    if is_rejected:  # the job is not sent: what else could not be read is of no interest
        implied_problems = select_errors(implied_problems)
    problems += implied_problems
    if select_errors(implied_problems):
        raise Rejected(pin.deduplicate_problems(problems))
    if pinning and not is_rejected:
        jobs, pin_problems = _pin_sources(jobs, implied=True)
        problems += pin_problems
    return jobs, problems


def _pin_sources(jobs: Mapping[str, PreparedJob], *, implied: bool) -> tuple[dict[str, PreparedJob], list[Problem]]:
    """Return the jobs with the sources pinned that can be, and the problems; existing pins stay."""
    owners = {source: job for job in jobs.values() for source in job.job.sources if source.implied == implied}
    answers = pin.query_in_parallel(lambda source: _pin_source(source, owners[source]), list(owners))
    answer_by_source = dict(zip(owners, answers, strict=True))
    pinned_jobs: dict[str, PreparedJob] = {}
    for name, prepared in jobs.items():
        sources = []
        for source in prepared.job.sources:
            pinned, problem = answer_by_source.get(source, (source, None))
            is_tagged = source not in answer_by_source or problem or pinned.tags or prepared.is_remote_folder(pinned)
            sources.append(pinned if is_tagged else dataclasses.replace(pinned, tags=prepared.read_tags(pinned)))
        pinned_jobs[name] = prepared.with_job(dataclasses.replace(prepared.job, sources=tuple(sources)))
    return pinned_jobs, [problem for _, problem in answers if problem]


def _pin_source(source: JobSource, prepared: PreparedJob) -> tuple[JobSource, Problem | None]:
    if prepared.is_remote_folder(source):
        return source, None
    runs_here = prepared.platform.capabilities.feature("runs_here")  # the run sees the data at once
    plugin = None if runs_here else load_workload_container(prepared.container_plugins)
    describing_files: Sequence[str] = ()
    if plugin:
        document = make_description_document(prepared.job, prepared.platform.name, prepared.container_plugins)
        describing_files = plugin.identifying_files(document).get(source.role, ())
    return pin.pin_source(source, prepared.kinds, describing_files, prepared.pin_source)


def _imply_sources(
    steps: Sequence[InputStep], jobs: Mapping[str, PreparedJob]
) -> tuple[dict[str, PreparedJob], list[Problem]]:
    """Return the jobs with the sources that each implies by the files that describe the others, and the problems."""
    settled_jobs, problems = dict(jobs), list[Problem]()
    if not any(map(_may_imply, jobs.values())):
        return settled_jobs, problems
    named_uris = {source.uri for job in jobs.values() for source in job.job.sources if not source.implied}
    files = SourceFiles()
    with tempfile.TemporaryDirectory(prefix="robotrain-") as scratch:
        descriptions = InputDescriptions(Path(scratch), files)
        for step in steps:
            job = jobs[step.name]
            if _may_imply(job):
                job, job_problems = _settle_job(job, descriptions, named_uris)
                settled_jobs[step.name] = dataclasses.replace(job, source_files=files)
                problems += (
                    dataclasses.replace(problem, where=step.where or problem.where) for problem in job_problems
                )
            if step.is_read:
                descriptions.describe_output(step.name, job)
    return settled_jobs, problems


def _may_imply(prepared: PreparedJob) -> bool:
    if prepared.workload is None:
        return False
    return any(source.implied for source in prepared.job.sources) or prepared.workload.implies_sources(prepared.job)


def _settle_job(
    prepared: PreparedJob, descriptions: InputDescriptions, named_uris: Collection[str]
) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with the sources that it implies now; those that it had keep their pins.

    While a source that decides cannot be read, all that it had stay.

    :param named_uris: the URIs of the sources that the user names.
    """
    job, workload = prepared.job, prepared.workload
    plugin = load_workload_container(prepared.container_plugins)
    if plugin is None or workload is None:
        return prepared, []
    earlier_sources = {source.key: source for source in job.sources if source.implied}
    implied_sources: dict[tuple[str, str, str], JobSource] = {}
    problems: list[Problem] = []
    if workload.implies_sources(job):
        description_folders = descriptions.find_folders(prepared, plugin)
        inputs, problems = list_implied_inputs(
            job,
            workload,
            description_folders,
            prepared.platform,
            prepared.kinds,
            prepared.container_plugins,
            named_uris,
        )
        unread_sources = list(_list_unread(prepared, description_folders, plugin.DESCRIBED))
        # those that could be read: not pinned, or not reached
        readable_uris = [
            unread_source.uri
            for unread_source in unread_sources
            if unread_source.kind in prepared.kinds and prepared.kinds[unread_source.kind].pinning
        ]
        if readable_uris:
            problems.append(make_problem("implied-sources-unknown.not-read", names=", ".join(readable_uris)))
        implied_sources = {**(earlier_sources if unread_sources or problems else {})}
        for implied_input in inputs:
            source = implied_input.job_source
            implied_sources[source.key] = earlier_sources.get(source.key, source)
    explicit_sources = tuple(source for source in job.sources if not source.implied)
    settled = prepared.with_sources((*explicit_sources, *implied_sources.values()), workload)
    settled = dataclasses.replace(settled, values=tuple(_replace_rows(settled)))
    problems += _check_sources(prepared, settled) if implied_sources.keys() - earlier_sources.keys() else []
    return settled, problems


def _list_unread(
    prepared: PreparedJob, description_folders: Mapping[JobSource, Path], describing_files: Mapping[str, Sequence[str]]
) -> Iterator[JobSource]:
    """Yield the sources that may imply others and were not read."""
    for source in prepared.job.sources:
        is_deciding = not source.implied and source.role != DATASET and bool(describing_files.get(source.role))
        if is_deciding and source not in description_folders:
            yield source


def _replace_rows(prepared: PreparedJob) -> Iterator[Mapping[str, object]]:
    """Yield the values of a job with its implied sources behind the others."""
    roles = prepared.workload.roles if prepared.workload else {}
    implied_origin = str(IMPLIED_ORIGIN)
    rows = [row for row in prepared.values if row["origin"] != implied_origin]
    yield from (row for row in rows if row["name"] in roles)
    yield from list_implied_rows(prepared.job)
    yield from (row for row in rows if row["name"] not in roles)


def _check_sources(earlier_job: PreparedJob, settled_job: PreparedJob) -> Iterator[Problem]:
    """Yield why the platform does not accept the implied sources, and which rules only they break."""
    platform, settings = settled_job.platform, settled_job.settings
    yield from check_implied_sources(settled_job.job, platform, settings, settled_job.kinds, settled_job.platforms)

    def check(job: Job) -> list[Problem]:
        workload_problems = settled_job.workload.check(job) if settled_job.workload else ()
        return [*workload_problems, *platform.plans.check(job, settings), *settled_job.check_site(job)]

    earlier_problems = check(earlier_job.job)
    yield from (problem for problem in check(settled_job.job) if problem not in earlier_problems)
