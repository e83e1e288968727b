"""Preflight: every reason why a run would fail on this machine, or on another one. Changes nothing."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from robotrain_runtime.checkpoints import targets
from robotrain_runtime.checkpoints.targets import InspectedTarget
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.contract.problem import Problem, Suggestion, make_data_problem, make_suggestions
from robotrain_runtime.data import sources
from robotrain_runtime.data.sources import SourceBatches
from robotrain_runtime.environments import environment, environment_check, other_environments, program_environment
from robotrain_runtime.environments.work_secrets import WorkSecrets
from robotrain_runtime.machine import disk_cache, hardware
from robotrain_runtime.machine.disk_cache import GIB
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.tracking.preflight import TrackingCheck

SPARE_BYTES = 64 * 1024**2


def find_disk_problems(
    document: JobDocument, free_bytes: int, missing_bytes: int, used_digests: Collection[str] = ()
) -> Iterator[Problem]:
    """Check the disk space for data and environment together.

    :param free_bytes: before the run.
    :param missing_bytes: those that are still to be fetched.
    :param used_digests: those of data that is not counted as evictable.
    """
    placement = document.placement
    environment_bytes = round(GIB * program_environment.count_missing_gib(document))
    needed_bytes = missing_bytes + environment_bytes + SPARE_BYTES
    if not missing_bytes or free_bytes >= needed_bytes:
        return
    if placement.cache_gib is not None:
        free_bytes += disk_cache.count_evictable_bytes(
            Path(placement.cache), placement.cache_gib, missing_bytes, used_digests
        )
    if free_bytes >= needed_bytes:
        return
    environment_note = f" and {environment_bytes / GIB:.1f} GiB for the environment" if environment_bytes else ""
    yield Problem(
        code="disk-full",
        title=f"there is too little disk space for the data: {free_bytes / GIB:.1f} GiB free, "
        f"{needed_bytes / GIB:.1f} GiB needed",
        where="ROBOTRAIN_CACHE",
        given=placement.cache,
        why=f"The run downloads {missing_bytes / GIB:.1f} GiB{environment_note} to the cache folder.",
        suggestions=make_suggestions(
            "free some space there",
            Suggestion("robotrain prune --cache --unused 30d", "shows what can be removed, and asks"),
            Suggestion(environment_check.CACHE_FOLDER, "on a larger disk"),
        ),
        fault="disk_full",
    )


ANSWER_SLACK_SECONDS = 1.0
REMOTE_CHECK_SECONDS = 30.0
RENDER_AGAIN = (
    Suggestion(
        "robotrain render … --to FOLDER", "writes the plan again: another version of robotrain may have written it"
    ),
    Suggestion("robotrain plugins", "lists the installed plugins, if it is of one that is missing"),
)
"""What helps if a plan names modules that this version does not have."""

LogFunction = Callable[[str], None]


def run_preflight(
    document: JobDocument, log_line: LogFunction = lambda line: None, *, runs_here: bool = True
) -> list[Problem]:
    """Return every reason why the job would fail on this machine, before it is submitted.

    If the job needs an environment to read its data and it does not exist, it is built, which takes some seconds.

    runs_here: False if this machine only fetches for the one that does the work.
    """
    stop = StopSignal()  # never entered: signals belong to the caller
    python = functools.partial(_build_python, Path(document.placement.cache), log_line, stop)
    with contextlib.closing(SourceBatches(document, stop, lambda line: None, python)) as batches:
        return [
            *WorkSecrets(document).read_here(),
            *collect_findings(document, batches, stop, runs_here=runs_here).findings,
        ]


def preflight_remotely(
    document: JobDocument,
    cache: Path,
    log_line: LogFunction = lambda line: None,
    seconds: float = REMOTE_CHECK_SECONDS,
    credential_hints: Mapping[str, str] = MappingProxyType({}),
    checked_sources: Collection[JobSource] | None = None,
) -> list[Problem]:
    """Check a job's data on another machine than the one that will run it, as the user who is signed in here.

    `source-unreachable` and `publish-unwritable` may be true of this machine only, `data-unusable` is true everywhere,
    and `sources-unread` means that nothing could be checked. Source kinds that the job has a secret for are skipped,
    and publish targets whose environment is not built are inspected offline. `cache` is this machine's; no folder
    of the placement is touched, except those that the platform uploads from here.

    credential_hints: by source kind, how a user gives this machine access.
    only: the sources to check; None for all.
    seconds: the time limit.
    """
    local, stop, expiry_event = _localize_document(document, cache, credential_hints), StopSignal(), threading.Event()
    readable = tuple(source for source in local.sources if source.kind not in document.placement.credentials)
    checked_document = dataclasses.replace(
        local, sources=tuple(source for source in readable if checked_sources is None or source in checked_sources)
    )

    def build_python(required: PythonEnvironment) -> Path:
        built_python = _build_python(cache, log_line, stop, required)
        if expiry_event.is_set():
            raise JobFailed("the time limit of the check has expired")
        return built_python

    def collect() -> list[Problem]:
        present_folders: dict[JobSource, Path] = {}
        findings = [*_check_sources_remotely(checked_document, batches, present_folders)]
        descriptions = _describe_sources(checked_document, present_folders, batches)
        comparison_problems = plugin_loader.load_workload_plugin(local).compare(
            local, descriptions
        )  # with the sources not checked
        findings += map(make_data_problem, comparison_problems)
        return [*findings, *_check_targets_remotely(local, present_folders)]

    with contextlib.closing(SourceBatches(checked_document, stop, lambda line: None, build_python)) as batches:
        try:
            return DeadlineFuture(collect).result(seconds)
        except DeadlineExceeded:
            expiry_event.set()
            return [_make_unchecked_finding(f"there was no answer within {seconds:g} s")]
        except (JobFailed, OSError) as error:
            return [_make_unchecked_finding(str(error))]


class PreflightResult(NamedTuple):
    """What preflight learned of a run."""

    findings: list[Problem]
    """Every reason why it would fail."""
    targets: list[InspectedTarget]
    """The inspected publish targets."""
    descriptions: Folders
    """The folders that describe its sources."""


def collect_findings(
    document: JobDocument,
    batches: SourceBatches,
    stop: StopSignal,
    start_build: Callable[[], None] = lambda: None,
    get_writer_python: Callable[[PythonEnvironment], Path | None] = lambda required: None,
    runs_here: bool = True,
    is_restarted: bool = False,
) -> PreflightResult:
    """Find every reason why the run would fail: first from this machine, then from services. Raise StopRequested.

    start_build: called between the two, if nothing rules the run out yet, to start the slow environment build.
    get_writer_python: returns the interpreter that publish targets are inspected with; None to only parse addresses.
    runs_here: whether the work runs on this machine, which then needs the job's GPUs.
    is_restarted: whether an earlier attempt has saved something, so that not every problem should end the run.
    """
    inspected: list[InspectedTarget] = []
    try:
        workload = plugin_loader.load_workload_plugin(document)
        free_bytes = disk_cache.get_free_bytes(Path(document.placement.cache))
        present_folders, findings = _check_local_sources(document, batches.mounted)
        findings += targets.find_platform_folder_problems(document)
        findings += map(make_data_problem, workload.inspect(document, present_folders))
        job_environment, placement = plugin_loader.get_job_environment(document), document.placement
        run_placement = plugin_loader.get_run_placement(document)
        findings += environment_check.find_environment_problems(job_environment, run_placement)
        with program_environment.temporary_lock(document) as python_environment:
            findings += (
                environment_check.find_environment_problems(python_environment, placement) if python_environment else ()
            )
        environment_problems = list(other_environments.find_other_problems(document))
        gpus = workload.gpus(document) if runs_here else None
        machine = DeadlineFuture(lambda: list(hardware.find_gpu_problems(gpus, document.placement)))
        if not findings and not environment_problems:
            start_build()
        tracking = None if environment_problems else TrackingCheck(document)
        findings += [] if environment_problems else _survey_sources(batches)
        descriptions = _describe_sources(document, present_folders, batches)
        findings += map(make_data_problem, workload.compare(document, descriptions))
        if not environment_problems:
            make_context = _prepare_writers(document, get_writer_python)
            with stop.interruptible():
                inspected = list(targets.inspect_targets(document, present_folders, make_context))
            findings += targets.find_target_problems(document, inspected, is_restarted=is_restarted)
        if not any(finding.code == "disk-full" or finding.fault == "disk_full" for finding in findings):
            findings += find_disk_problems(document, free_bytes, batches.missing_bytes, batches.digests)
        with stop.interruptible():
            findings += environment_problems
            try:
                findings += machine.result(hardware.DRIVER_SECONDS + ANSWER_SLACK_SECONDS)
            except DeadlineExceeded:
                findings.append(hardware.make_timeout_finding())
            findings += tracking.wait_for_findings() if tracking else []
    except JobFailed as failed:
        problem = make_data_problem(failed.reason, *RENDER_AGAIN, code="half-missing")
        return PreflightResult([dataclasses.replace(problem, fault=failed.fault or "configuration")], [], {})
    unique: dict[tuple[str, str, str], Problem] = {}
    for finding in findings:
        unique.setdefault((finding.code, finding.title, finding.given), finding)
    return PreflightResult(list(unique.values()), inspected, descriptions)


def _prepare_writers(
    document: JobDocument, get_python: Callable[[PythonEnvironment], Path | None]
) -> Callable[[PythonEnvironment], ContainerContext]:
    """Return what makes the context of the targets of an environment, now that it is there. Raise JobFailed."""
    environments = {
        python_environment.lock: python_environment for python_environment in targets.list_target_environments(document)
    }
    pythons = {lock: get_python(python_environment) for lock, python_environment in environments.items()}
    return lambda required: make_container_context(document, pythons[required.lock])


def _build_python(cache: Path, log_line: LogFunction, stop: StopSignal, python_environment: PythonEnvironment) -> Path:
    """Return the interpreter of an environment that fetches data; build it if necessary. Raise JobFailed."""
    if environment.find_python(python_environment, cache) is None:
        log_line("building the environment that data is fetched in: this takes some seconds, once on this machine")
    return environment.build_python(python_environment, cache, lambda line: None, stop)


def _localize_document(document: JobDocument, cache: Path, credential_hints: Mapping[str, str]) -> JobDocument:
    """Return the document for a check on this machine: without secrets, and without the targets that need one."""
    placement = dataclasses.replace(document.placement, cache=str(cache), credentials={}, ways=credential_hints)
    hidden_plugins = {f"{targets.TARGET_PREFIX}{kind}" for kind in document.placement.credentials}
    modules = {name: module for name, module in document.container_plugins.items() if name not in hidden_plugins}
    return dataclasses.replace(document, placement=placement, container_plugins=modules)


def _check_sources_remotely(
    document: JobDocument, batches: SourceBatches, present_folders: dict[JobSource, Path]
) -> Iterator[Problem]:
    """Check the sources; those that lie on this machine are added to `present_folders`."""
    context = make_container_context(document, None)
    for source in dict.fromkeys(document.sources):
        if (
            contract_document.find_mount(document, source)
            and Path(source.uri).is_absolute()
            and plugin_loader.has_source_plugin(document, source)
        ):
            problems = list(plugin_loader.load_source_plugin(document, source).preflight(source, context))
            yield from (make_data_problem(problem, given=source.uri) for problem in problems)
            if not problems:
                present_folders[source] = Path(source.uri)
    try:
        yield from _list_survey_problems(batches)
    except JobFailed as failed:
        yield _make_unchecked_finding(failed.reason)


def _check_targets_remotely(document: JobDocument, present_folders: dict[JobSource, Path]) -> Iterator[Problem]:
    cache = Path(document.placement.cache)
    make_context = _prepare_writers(document, lambda required: environment.find_python(required, cache))
    yield from targets.find_target_problems(document, targets.inspect_targets(document, present_folders, make_context))


def _make_unchecked_finding(reason: str) -> Problem:
    title = "access to the job's data could not be checked from this machine"
    return Problem(code="sources-unread", title=title, why=f"{reason[:1].upper()}{reason[1:].rstrip('.')}.")


def _check_local_sources(
    document: JobDocument, mounted_folders: dict[JobSource, Path]
) -> tuple[dict[JobSource, Path], list[Problem]]:
    """Return the sources that need no download, with their folders, and the findings about them.

    The folders of those that the platform mounted are added to `mounted_folders`.
    """
    present_folders, findings = {}, []
    context = make_container_context(document, None)
    for source in document.sources:
        if mount := contract_document.find_mount(document, source):
            folder, mount_findings = sources.inspect_mount(document, source, mount, context)
            findings += mount_findings
            if folder is not None:
                present_folders[source] = mounted_folders[source] = folder
            continue
        plugin = plugin_loader.load_source_plugin(document, source)
        problems = () if plugin.CARRIER else tuple(plugin.preflight(source, context))
        findings += [make_data_problem(problem, code="source-unreachable", given=source.uri) for problem in problems]
        if not problems and Path(source.uri).is_absolute() and Path(source.uri).is_dir():
            present_folders[source] = Path(source.uri)
    return present_folders, findings


def _survey_sources(batches: SourceBatches) -> list[Problem]:
    """Return why sources cannot be fetched, or be surveyed. Raise StopRequested."""
    try:
        return list(_list_survey_problems(batches))
    except JobFailed as failed:
        finding = make_data_problem(failed.reason, code="sources-unread")
        return [dataclasses.replace(finding, fault=failed.fault or "configuration")]


def _list_survey_problems(batches: SourceBatches) -> Iterator[Problem]:
    """Raise JobFailed if the sources cannot be surveyed, StopRequested."""
    for source, survey in batches.survey().items():
        for problem in survey.problems:
            finding = make_data_problem(problem, code="source-unreachable", given=source.uri)
            yield dataclasses.replace(finding, fault=survey.fault)


def _describe_sources(
    document: JobDocument, present_folders: dict[JobSource, Path], batches: SourceBatches
) -> dict[JobSource, Path]:
    """Return the folder of each source whose description is known."""
    surveyed = {source: survey.description_folder for source, survey in batches.surveys.items() if not survey.problems}
    folders = {source: present_folders.get(source) or surveyed.get(source) for source in document.sources}
    return {source: folder for source, folder in folders.items() if folder is not None}
