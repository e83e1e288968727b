"""A quick look at the world before a run: what would make it fail, all of it at once. Changes nothing."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from robotrain_runtime import disk_use, finding, gpu, halves
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.failure import Failed
from robotrain_runtime.finding import Finding
from robotrain_runtime.half import Environment, WorkloadHalf
from robotrain_runtime.later import Later
from robotrain_runtime.publish import targets
from robotrain_runtime.stop import Stop
from robotrain_runtime.supply import room
from robotrain_runtime.supply.deliveries import Deliveries, place_of
from robotrain_runtime.track import tracking_check

MOMENT = 1.0

Say = Callable[[str], None]


def preflight(document: JobDocument, say: Say = lambda line: None) -> list[Finding]:
    """Every reason found, before the job is sent to this machine; an empty list when the run may start.

    The environment that data is fetched in is built when it is not there and the job needs it: seconds, and it is said.
    """
    stop = Stop()  # never entered: signals are the caller's

    def python(wanted: Environment) -> Path:
        cache = Path(document.placement.cache)
        if environment.found(wanted.lock, wanted.python, cache) is None:
            say("building the environment that data is fetched in, once on this machine: some seconds")
        return environment.python_of(environment.build(wanted.lock, wanted.python, cache, lambda line: None, stop))

    with contextlib.closing(Deliveries(document, stop, lambda line: None, python)) as deliveries:
        return look(document, deliveries, stop)


def look(
    document: JobDocument,
    deliveries: Deliveries,
    stop: Stop,
    begin: Callable[[], None] = lambda: None,
    writer: Callable[[Environment], Path] | None = None,
) -> list[Finding]:
    """Every reason found: what this machine tells by itself, then what others tell. Raises Stopped.

    begin: called between the two, when there is nothing yet that rules the run out, to start what takes long.
    writer: brings the interpreter that the places to publish to are tried with; without, their addresses are read only.
    """
    try:
        work, free = halves.workload(document), disk_use.free(Path(document.placement.cache))
        present, found = _sources(document)
        found += [finding.of_sentence("data-unusable", sentence) for sentence in work.inspect(document, present)]
        found += environment_check.findings(work.ENVIRONMENT, document.placement)
        blocked = list(_other_environments(document))
        machine = Later(lambda: list(_machine(work, document)))
        tracking = Later(lambda: list(tracking_check.findings(document.placement.tracking_uri)))
        if not found and not blocked:
            begin()
        found += [] if blocked else list(_surveyed(deliveries))
        found += _compared(work, document, present, deliveries)
        if not blocked:
            found += _writable(document, present, stop, writer)
        if not any(one.code == "disk-full" or one.fault == "disk_full" for one in found):
            found += room.findings(document, free, deliveries.missing, deliveries.digests)
        with stop.armed():
            found += [*blocked, *_answer(machine, gpu.SECONDS, gpu.silent())]
            found += _answer(tracking, tracking_check.SECONDS, tracking_check.silent(document.placement.tracking_uri))
    except Failed as failed:
        return [finding.of_sentence("half-missing", failed.reason, fault=failed.fault or "configuration")]
    told: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        told.setdefault((one.code, one.title, one.given), one)
    return list(told.values())


def _sources(document: JobDocument) -> tuple[dict[Source, Path], list[Finding]]:
    """Those that lie where their printed form says, so there is nothing to fetch; and what is wrong with any."""
    present, found = {}, []
    for source in document.sources:
        half = halves.source(document, source)
        wrong = () if halves.carrier(half) else tuple(half.preflight(source, place_of(document, None)))
        found += [finding.of_sentence("source-unreachable", sentence, source.uri) for sentence in wrong]
        if not wrong and Path(source.uri).is_absolute() and Path(source.uri).is_dir():
            present[source] = Path(source.uri)
    return present, found


def _other_environments(document: JobDocument) -> Iterator[Finding]:
    """What stands in the way of the environments that data is moved in, which no `--environment` replaces."""
    writes = targets.environment(document)
    wanted = {one.lock: one for one in (*halves.environments(document), *((writes,) if writes else ()))}
    placement = dataclasses.replace(document.placement, environment=None, torch_backend=None)
    for one in wanted.values():
        for found in environment_check.findings(one, placement):
            ways = tuple(way for way in found.ways if not way.startswith(environment_check.GIVE_ONE))
            yield dataclasses.replace(found, ways=ways)


def _surveyed(deliveries: Deliveries) -> Iterator[Finding]:
    try:
        for source, found in deliveries.survey().items():
            for sentence in found.wrong:
                yield finding.of_sentence("source-unreachable", sentence, source.uri, found.fault)
    except Failed as failed:
        yield finding.of_sentence("sources-unread", failed.reason, fault=failed.fault or "configuration")


def _compared(
    work: WorkloadHalf, document: JobDocument, present: dict[Source, Path], deliveries: Deliveries
) -> Iterator[Finding]:
    """What the workload says of all the sources that describe themselves by now."""
    seen = {source: found.described for source, found in deliveries.found.items() if not found.wrong}
    described = {
        source: folder for source in document.sources if (folder := present.get(source) or seen.get(source)) is not None
    }
    compare: Callable[..., Iterable[str]] = getattr(work, "compare", lambda document, described: ())
    yield from (finding.of_sentence("data-unusable", sentence) for sentence in compare(document, described))


def _writable(
    document: JobDocument, present: dict[Source, Path], stop: Stop, writer: Callable[[Environment], Path] | None
) -> Iterator[Finding]:
    wanted = targets.environment(document)
    python = writer(wanted) if wanted and writer else None
    with stop.armed():
        wrong = list(targets.wrong(document, present, place_of(document, python)))
    yield from (finding.of_sentence("publish-unwritable", sentence, fault="configuration") for sentence in wrong)


def _machine(work: WorkloadHalf, document: JobDocument) -> Iterator[Finding]:
    if ask := getattr(work, "gpus", None):
        yield from gpu.findings(ask(document), document.placement)


def _answer(asked: "Later[list[Finding]]", seconds: float, silent: Finding) -> list[Finding]:
    """silent: what is found when there is no answer: looking up a name, or a driver that hangs, knows no limit."""
    try:
        return asked.answer(seconds + MOMENT)
    except TimeoutError:
        return [silent]
