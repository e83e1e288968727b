"""Preflight on the machine that runs the job: every reason why the run would fail. Changes nothing."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from robotrain_runtime.checkpoints import targets
from robotrain_runtime.checkpoints.targets import InspectedTarget
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract import failure, plugin_loader
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.failure import Finding, JobFailed
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.data import sources
from robotrain_runtime.data.sources import SourceBatches
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.machine import disk_cache, hardware
from robotrain_runtime.machine.disk_cache import GIB
from robotrain_runtime.process.stop import DeadlineFuture, StopSignal
from robotrain_runtime.tracking.preflight import TrackingCheck

SPARE_BYTES = 64 * 1024**2


def find_disk_problems(
    document: JobDocument, free: int, missing: int, used_digests: Collection[str] = ()
) -> Iterator[Finding]:
    """Data and environment together. free: before anything was begun; missing: what is to be fetched, in bytes.

    wanted: the digests of the data that the run uses, so that the cache's limit does not make room of that.
    """
    environment_takes = _count_environment_bytes(document)
    needed = missing + environment_takes + SPARE_BYTES
    if not missing or free >= needed:
        return
    if (limit := document.placement.cache_gib) is not None:
        free += disk_cache.count_evictable_bytes(Path(document.placement.cache), limit, missing, used_digests)
    if free >= needed:
        return
    also = f" and {environment_takes / GIB:.1f} GiB for the environment" if environment_takes else ""
    yield Finding(
        code="disk-full",
        title=f"there is too little disk space for the data: {free / GIB:.1f} GiB free, {needed / GIB:.1f} GiB needed",
        where="ROBOTRAIN_CACHE",
        given=document.placement.cache,
        why=f"{missing / GIB:.1f} GiB are to be fetched{also}, all below the cache folder.",
        ways=("free some space there", "robotrain cache   what may go", "ROBOTRAIN_CACHE=FOLDER   on a larger disk"),
        fault="disk_full",
    )


def _count_environment_bytes(document: JobDocument) -> int:
    """The bytes of the run's environment while it is not there."""
    wanted, placement = plugin_loader.get_job_environment(document), document.placement
    if placement.environment is not None:
        return 0
    there = environment.find_environment(wanted.lock, wanted.python, Path(placement.cache), placement.torch_backend)
    return 0 if there else round(wanted.gib * GIB)


ANSWER_SLACK_SECONDS = 1.0
REMOTE_CHECK_SECONDS = 30.0

LogFunction = Callable[[str], None]


def run_preflight(document: JobDocument, log_line: LogFunction = lambda line: None) -> list[Finding]:
    """Every reason found, before the job is sent to this machine; an empty list when the run may start.

    The environment that data is fetched in is built when it is not there and the job needs it: seconds, and it is said.
    """
    stop = StopSignal()  # never entered: signals are the caller's
    python = functools.partial(_build_python, Path(document.placement.cache), log_line, stop)
    with contextlib.closing(SourceBatches(document, stop, lambda line: None, python)) as deliveries:
        return collect_findings(document, deliveries, stop)


def preflight_remotely(
    document: JobDocument,
    cache: Path,
    log_line: LogFunction = lambda line: None,
    seconds: float = REMOTE_CHECK_SECONDS,
    credential_hints: Mapping[str, str] = MappingProxyType({}),
    only: Collection[JobSource] | None = None,
) -> list[Finding]:
    """What another machine than the one that runs the job can tell of its data, as whoever is signed in here.

    `source-unreachable` and `publish-unwritable` may be true of this machine alone, `data-unusable` is true of every
    one; `look-impossible` says that nothing could be told. Kinds that the job has a secret for are passed over: who is
    signed in here says nothing of it. So are places to publish to, as long as the environment they are tried with is
    not there. cache: this machine's; no folder of the placement is touched, but for the folders that the platform takes
    from here. ways: by source kind, how a person lets this machine in. only: sources to look at; None for all. It gives
    up after some `seconds`.
    """
    here, stop, over = _localize_document(document, cache, credential_hints), StopSignal(), threading.Event()
    seen = tuple(one for one in here.sources if one.kind not in document.placement.credentials)
    looked_at = dataclasses.replace(here, sources=tuple(one for one in seen if only is None or one in only))

    def python(wanted: PythonEnvironment) -> Path:
        built = _build_python(cache, log_line, stop, wanted)
        if over.is_set():
            raise JobFailed("nobody waits for it any more")
        return built

    def told() -> list[Finding]:
        present: dict[JobSource, Path] = {}
        return [*_check_sources_remotely(looked_at, deliveries, present), *_check_targets_remotely(here, present)]

    with contextlib.closing(SourceBatches(looked_at, stop, lambda line: None, python)) as deliveries:
        try:
            return DeadlineFuture(told).result(seconds)
        except TimeoutError:
            over.set()
            return [_make_unchecked_finding(f"there was no answer within {seconds:g} s")]
        except JobFailed as failed:
            return [_make_unchecked_finding(failed.reason)]
        except OSError as error:
            return [_make_unchecked_finding(str(error))]


def collect_findings(
    document: JobDocument,
    deliveries: SourceBatches,
    stop: StopSignal,
    begin: Callable[[], None] = lambda: None,
    get_writer_python: Callable[[PythonEnvironment], Path] | None = None,
    places: list[InspectedTarget] | None = None,
) -> list[Finding]:
    """Every reason found: what this machine tells by itself, then what others tell. Raises StopRequested.

    begin: called between the two, when there is nothing yet that rules the run out, to start what takes long.
    writer: brings the interpreter that the places to publish to are tried with; without, their addresses are read only.
    places: what is seen there is added.
    """
    try:
        work, free = (
            plugin_loader.load_workload_plugin(document),
            disk_cache.get_free_bytes(Path(document.placement.cache)),
        )
        present, found = _check_local_sources(document, deliveries.mounted)
        found += targets.find_platform_folder_problems(document)
        found += [failure.make_finding("data-unusable", sentence) for sentence in work.inspect(document, present)]
        found += environment_check.find_environment_problems(
            plugin_loader.get_job_environment(document), document.placement
        )
        blocked = list(_check_other_environments(document))
        machine = DeadlineFuture(lambda: list(_check_machine(work, document)))
        if not found and not blocked:
            begin()
        tracking = (
            None
            if blocked and plugin_loader.load_tracking_plugin(document)
            else TrackingCheck(document, deliveries.python)
        )
        found += [] if blocked else list(_check_surveyed_sources(deliveries))
        found += _compare_sources(work, document, present, deliveries)
        if not blocked:
            found += _check_targets(document, present, stop, get_writer_python, [] if places is None else places)
        if not any(one.code == "disk-full" or one.fault == "disk_full" for one in found):
            found += find_disk_problems(document, free, deliveries.missing_bytes, deliveries.digests)
        with stop.interruptible():
            found += [*blocked, *_wait_for_findings(machine, hardware.DRIVER_SECONDS, hardware.make_timeout_finding())]
            found += tracking.wait_for_findings() if tracking else []
    except JobFailed as failed:
        return [failure.make_finding("half-missing", failed.reason, fault=failed.fault or "configuration")]
    told: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        told.setdefault((one.code, one.title, one.given), one)
    return list(told.values())


def _build_python(cache: Path, log_line: LogFunction, stop: StopSignal, required: PythonEnvironment) -> Path:
    """The interpreter of an environment that data is fetched in, built when it is not there. Raises JobFailed."""
    if environment.find_environment(required.lock, required.python, cache) is None:
        log_line("building the environment that data is fetched in, once on this machine: some seconds")
    return environment.get_python(
        environment.build_environment(required.lock, required.python, cache, lambda line: None, stop)
    )


def _localize_document(document: JobDocument, cache: Path, credential_hints: Mapping[str, str]) -> JobDocument:
    """A document as this machine may look at it: with no secret, nor what is written with one."""
    placement = dataclasses.replace(document.placement, cache=str(cache), credentials={}, ways=credential_hints)
    hidden = {f"{targets.TARGET_PREFIX}{kind}" for kind in document.placement.credentials}
    modules = {name: module for name, module in document.halves.items() if name not in hidden}
    return dataclasses.replace(document, placement=placement, halves=modules)


def _check_sources_remotely(
    document: JobDocument, deliveries: SourceBatches, present: dict[JobSource, Path]
) -> Iterator[Finding]:
    """present: what lies on this machine is added."""
    for source in dict.fromkeys(document.sources):
        if (
            contract_document.find_mount(document, source)
            and Path(source.uri).is_absolute()
            and plugin_loader.has_source_plugin(document, source)
        ):
            wrong = list(
                plugin_loader.load_source_plugin(document, source).preflight(
                    source, make_container_context(document, None)
                )
            )
            yield from (failure.make_finding("data-unusable", sentence, source.uri) for sentence in wrong)
            if not wrong:
                present[source] = Path(source.uri)
    try:
        yield from _survey_sources(deliveries)
    except JobFailed as failed:
        yield _make_unchecked_finding(failed.reason)
    yield from _compare_sources(plugin_loader.load_workload_plugin(document), document, present, deliveries)


def _check_targets_remotely(document: JobDocument, present: dict[JobSource, Path]) -> Iterator[Finding]:
    wanted, cache = targets.get_target_environment(document), Path(document.placement.cache)
    if wanted and (built := environment.find_environment(wanted.lock, wanted.python, cache)):
        seen = targets.inspect_targets(
            document, present, make_container_context(document, environment.get_python(built))
        )
        yield from (
            failure.make_finding("publish-unwritable", sentence)
            for sentence in targets.find_target_problems(document, seen)
        )


def _make_unchecked_finding(why: str) -> Finding:
    title = "whether the job can read its data was not looked at from here"
    return Finding(code="look-impossible", title=title, why=f"{why[:1].upper()}{why[1:].rstrip('.')}.")


def _check_local_sources(
    document: JobDocument, mounted_folders: dict[JobSource, Path]
) -> tuple[dict[JobSource, Path], list[Finding]]:
    """Those that there is nothing to fetch of: they lie where their printed form says, or the platform brought them,
    which is noted in `brought`; and what is wrong with any.
    """
    present, found = {}, []
    for source in document.sources:
        if mount := contract_document.find_mount(document, source):
            folder, unlike = sources.inspect_mount(document, source, mount, make_container_context(document, None))
            found += unlike
            if folder is not None:
                present[source] = mounted_folders[source] = folder
            continue
        half = plugin_loader.load_source_plugin(document, source)
        wrong = (
            ()
            if plugin_loader.get_batch_fetcher_name(half)
            else tuple(half.preflight(source, make_container_context(document, None)))
        )
        found += [failure.make_finding("source-unreachable", sentence, source.uri) for sentence in wrong]
        if not wrong and Path(source.uri).is_absolute() and Path(source.uri).is_dir():
            present[source] = Path(source.uri)
    return present, found


def _check_other_environments(document: JobDocument) -> Iterator[Finding]:
    """What stands in the way of the environments that data is moved in, which no `--environment` replaces."""
    writes = targets.get_target_environment(document)
    wanted = {
        one.lock: one for one in (*plugin_loader.list_other_environments(document), *((writes,) if writes else ()))
    }
    placement = dataclasses.replace(document.placement, environment=None, torch_backend=None)
    for one in wanted.values():
        for found in environment_check.find_environment_problems(one, placement):
            ways = tuple(way for way in found.ways if not way.startswith(environment_check.ENVIRONMENT_OPTION))
            yield dataclasses.replace(found, ways=ways)


def _survey_sources(deliveries: SourceBatches) -> Iterator[Finding]:
    """Raises JobFailed when nobody can tell, StopRequested."""
    for source, found in deliveries.survey().items():
        for sentence in found.problems:
            yield failure.make_finding("source-unreachable", sentence, source.uri, found.fault)


def _check_surveyed_sources(deliveries: SourceBatches) -> Iterator[Finding]:
    try:
        yield from _survey_sources(deliveries)
    except JobFailed as failed:
        yield failure.make_finding("sources-unread", failed.reason, fault=failed.fault or "configuration")


def _compare_sources(
    work: WorkloadContainerPlugin, document: JobDocument, present: dict[JobSource, Path], deliveries: SourceBatches
) -> Iterator[Finding]:
    """What the workload says of all the sources that describe themselves by now."""
    seen = {source: found.description_folder for source, found in deliveries.surveys.items() if not found.problems}
    described = {
        source: folder for source in document.sources if (folder := present.get(source) or seen.get(source)) is not None
    }
    compare: Callable[..., Iterable[str]] = getattr(work, "compare", lambda document, described: ())
    yield from (failure.make_finding("data-unusable", sentence) for sentence in compare(document, described))


def _check_targets(
    document: JobDocument,
    present: dict[JobSource, Path],
    stop: StopSignal,
    get_writer_python: Callable[[PythonEnvironment], Path] | None,
    places: list[InspectedTarget],
) -> Iterator[Finding]:
    wanted = targets.get_target_environment(document)
    python = get_writer_python(wanted) if wanted and get_writer_python else None
    with stop.interruptible():
        places += targets.inspect_targets(document, present, make_container_context(document, python))
    wrong = list(targets.find_target_problems(document, places))
    yield from (failure.make_finding("publish-unwritable", sentence, fault="configuration") for sentence in wrong)


def _check_machine(work: WorkloadContainerPlugin, document: JobDocument) -> Iterator[Finding]:
    if ask := getattr(work, "gpus", None):
        yield from hardware.find_gpu_problems(ask(document), document.placement)


def _wait_for_findings(future: "DeadlineFuture[list[Finding]]", seconds: float, silent: Finding) -> list[Finding]:
    """silent: what is found when there is no answer: looking up a name, or a driver that hangs, knows no limit."""
    try:
        return future.result(seconds + ANSWER_SLACK_SECONDS)
    except TimeoutError:
        return [silent]
