"""A prepared job with its sources pinned, also those that it implies by the content of the others."""

import dataclasses
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.document import JobSource

from robotrain.check.capability_checks import check_implied_sources
from robotrain.check.needs import DATASET
from robotrain.config.values import IMPLIED_ORIGIN
from robotrain.errors import Problem, Rejected, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.submission.container_plugins import load_workload_container
from robotrain.submission.implied_sources import list_implied_inputs, list_implied_rows
from robotrain.submission.input_descriptions import InputDescriptions
from robotrain.submission.pin import (
    NO_DESCRIBING_FILES,
    UNSEEN,
    DescribingFiles,
    drop_no_pin,
    merge_failures,
    pin_job,
)
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.program_lock import lock_program
from robotrain.submission.source_files import SourceFiles

make_problem = Messages(__file__)


def pin_prepared(
    prepared: PreparedJob, describing_files: DescribingFiles = NO_DESCRIBING_FILES
) -> tuple[Job, list[Problem]]:
    """Return the job with all sources pinned that can be, and the problems, as `pin_job` does for its platform.

    Those of which others decide whether they are needed wait for `settle_sources`.
    """
    job = prepared.job
    certain_sources = tuple(source for source in job.sources if not source.uncertain)
    pinned, problems = _pin_all(prepared.with_job(dataclasses.replace(job, sources=certain_sources)), describing_files)
    uncertain_sources = tuple(source for source in job.sources if source.uncertain)
    return dataclasses.replace(pinned, sources=(*pinned.sources, *uncertain_sources)), problems


def _pin_all(prepared: PreparedJob, describing_files: DescribingFiles) -> tuple[Job, list[Problem]]:
    platform = (prepared.pin_source, prepared.read_tags, prepared.is_remote_folder)
    return pin_job(prepared.job, prepared.kinds, describing_files, *platform)


def pin_strictly(prepared: PreparedJob) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with all sources pinned, and notes. Raise Rejected with every source that cannot be pinned.

    One whose pin is known is, though it cannot be seen from here.
    """
    job, problems = pin_prepared(prepared)
    pinned, all_problems = settle_sources(prepared.with_job(job), problems)
    pinned, lock_problems = lock_program(pinned)
    all_problems += lock_problems
    uncertain_uris = {source.uri for source in pinned.job.sources if source.uncertain}
    notes = [
        problem
        for problem in all_problems
        if problem.severity == "note" or problem.message == UNSEEN or problem.source in uncertain_uris
    ]
    pin_problems = (problem for problem in all_problems if problem not in notes)
    raise_if_any(dataclasses.replace(problem, severity="error") for problem in merge_failures(pin_problems))
    return pinned, notes


def settle_sources(
    prepared: PreparedJob,
    problems: Sequence[Problem],
    describing_files: DescribingFiles = NO_DESCRIBING_FILES,
    pinning: bool = True,
) -> tuple[PreparedJob, list[Problem]]:
    """Return a job with the sources that it implies by what its pinned ones are, pinned too, and all problems.

    :param problems: of the pins of the job's sources; those of a source that is no longer implied are left out.
    :param pinning: whether to pin what is new.
    """
    jobs, all_problems = settle_steps([InputStep(prepared)], problems)
    settled = jobs[""]
    if not pinning or select_errors(all_problems):
        return settled, all_problems
    old_sources = set(prepared.job.sources)
    new_sources = [
        source for source in settled.job.sources if source.implied and (source.uncertain or source not in old_sources)
    ]
    job, pin_problems = _pin_all(
        settled.with_job(dataclasses.replace(settled.job, sources=tuple(new_sources))), describing_files
    )
    pins = dict(zip(new_sources, job.sources, strict=True))
    sources = tuple(pins.get(source, source) for source in settled.job.sources)
    all_problems += map(drop_no_pin, pin_problems)  # without pins, nobody would know of these sources
    return settled.with_job(dataclasses.replace(settled.job, sources=sources)), all_problems


def settle_steps(
    steps: Sequence[InputStep], problems: Iterable[Problem]
) -> tuple[dict[str, PreparedJob], list[Problem]]:
    """Return jobs, by the names of their steps, with the sources that each implies, and all problems.

    A step is judged also by what an earlier step will make. New sources are not pinned. Raise Rejected if the platform
    does not accept one.

    :param problems: of the pins of their sources; those of sources that are no longer implied are left out.
    """
    problems = list(problems)
    jobs = {step.name: step.job for step in steps}
    earlier_sources = {source for job in jobs.values() for source in job.job.sources if source.implied}
    uris = {source.uri for source in earlier_sources}
    named_uris = {source.uri for job in jobs.values() for source in job.job.sources if not source.implied}
    is_refused = any(problem.source not in uris for problem in select_errors(problems))
    if not any(map(_may_imply, jobs.values())):
        return jobs, problems
    files = SourceFiles()
    step_problems = list[Problem]()
    with tempfile.TemporaryDirectory(prefix="robotrain-") as scratch:
        descriptions = InputDescriptions(Path(scratch), files)
        for step in steps:
            if _may_imply(step.job):
                job, job_problems = _settle_job(step.job, descriptions, named_uris)
                jobs[step.name] = dataclasses.replace(job, source_files=files)
                step_problems += (
                    dataclasses.replace(problem, where=step.where or problem.where) for problem in job_problems
                )
            if step.is_read:
                descriptions.describe_output(step.name, jobs[step.name])
    dropped_uris = uris - {source.uri for job in jobs.values() for source in job.job.sources}
    problems = [problem for problem in problems if problem.source not in dropped_uris]
    if is_refused:  # the job is not sent: what else could not be read is of no interest
        step_problems = select_errors(step_problems)
    if select_errors(step_problems):
        raise Rejected(merge_failures([*problems, *step_problems]))
    return jobs, [*problems, *step_problems]


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
            implied_sources[source.key] = dataclasses.replace(
                earlier_sources.get(source.key, source), uncertain=source.uncertain
            )
    explicit_sources = tuple(source for source in job.sources if not source.implied)
    settled = prepared.with_sources((*explicit_sources, *implied_sources.values()), workload)
    settled = dataclasses.replace(settled, values=tuple(_replace_rows(settled)))
    problems += _check_sources(prepared, settled) if implied_sources.keys() - earlier_sources.keys() else []
    return settled, problems


def _list_unread(
    prepared: PreparedJob, description_folders: Mapping[JobSource, Path], describing_files: DescribingFiles
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
