"""A quick look at the world before a run: what would make it fail, all of it at once. Changes nothing."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from robotrain_runtime import disk_use, finding, gpu, halves, mounts
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.failure import Failed
from robotrain_runtime.finding import Finding
from robotrain_runtime.half import Environment, WorkloadHalf
from robotrain_runtime.later import Later
from robotrain_runtime.publish import kept, targets
from robotrain_runtime.publish.targets import Seen
from robotrain_runtime.stop import Stop
from robotrain_runtime.supply import mounted, room
from robotrain_runtime.supply.deliveries import Deliveries, place_of
from robotrain_runtime.track.tracking_question import Question

MOMENT = 1.0
AFAR_SECONDS = 30.0

Say = Callable[[str], None]


def preflight(document: JobDocument, say: Say = lambda line: None) -> list[Finding]:
    """Every reason found, before the job is sent to this machine; an empty list when the run may start.

    The environment that data is fetched in is built when it is not there and the job needs it: seconds, and it is said.
    """
    stop = Stop()  # never entered: signals are the caller's
    python = functools.partial(_built, Path(document.placement.cache), say, stop)
    with contextlib.closing(Deliveries(document, stop, lambda line: None, python)) as deliveries:
        return look(document, deliveries, stop)


def afar(
    document: JobDocument,
    cache: Path,
    say: Say = lambda line: None,
    seconds: float = AFAR_SECONDS,
    ways: Mapping[str, str] = MappingProxyType({}),
    only: Collection[Source] | None = None,
) -> list[Finding]:
    """What another machine than the one that runs the job can tell of its data, as whoever is signed in here.

    `source-unreachable` and `publish-unwritable` may be true of this machine alone, `data-unusable` is true of every
    one; `look-impossible` says that nothing could be told. Kinds that the job has a secret for are passed over: who is
    signed in here says nothing of it. So are places to publish to, as long as the environment they are tried with is
    not there. cache: this machine's; no folder of the placement is touched, but for the folders that the platform takes
    from here. ways: by source kind, how a person lets this machine in. only: sources to look at; None for all. It gives
    up after some `seconds`.
    """
    here, stop, over = _here(document, cache, ways), Stop(), threading.Event()
    seen = tuple(one for one in here.sources if one.kind not in document.placement.credentials)
    looked_at = dataclasses.replace(here, sources=tuple(one for one in seen if only is None or one in only))

    def python(wanted: Environment) -> Path:
        built = _built(cache, say, stop, wanted)
        if over.is_set():
            raise Failed("nobody waits for it any more")
        return built

    def told() -> list[Finding]:
        present: dict[Source, Path] = {}
        return [*_from_afar(looked_at, deliveries, present), *_places_from_afar(here, present)]

    with contextlib.closing(Deliveries(looked_at, stop, lambda line: None, python)) as deliveries:
        try:
            return Later(told).answer(seconds)
        except TimeoutError:
            over.set()
            return [_impossible(f"there was no answer within {seconds:g} s")]
        except Failed as failed:
            return [_impossible(failed.reason)]
        except OSError as error:
            return [_impossible(str(error))]


def look(
    document: JobDocument,
    deliveries: Deliveries,
    stop: Stop,
    begin: Callable[[], None] = lambda: None,
    writer: Callable[[Environment], Path] | None = None,
    places: list[Seen] | None = None,
) -> list[Finding]:
    """Every reason found: what this machine tells by itself, then what others tell. Raises Stopped.

    begin: called between the two, when there is nothing yet that rules the run out, to start what takes long.
    writer: brings the interpreter that the places to publish to are tried with; without, their addresses are read only.
    places: what is seen there is added.
    """
    try:
        work, free = halves.workload(document), disk_use.free(Path(document.placement.cache))
        present, found = _sources(document, deliveries.mounted)
        found += kept.findings(document)
        found += [finding.of_sentence("data-unusable", sentence) for sentence in work.inspect(document, present)]
        found += environment_check.findings(halves.environment_of(document), document.placement)
        blocked = list(_other_environments(document))
        machine = Later(lambda: list(_machine(work, document)))
        if not found and not blocked:
            begin()
        tracking = None if blocked and halves.tracking(document) else Question(document, deliveries.python)
        found += [] if blocked else list(_surveyed(deliveries))
        found += _compared(work, document, present, deliveries)
        if not blocked:
            found += _writable(document, present, stop, writer, [] if places is None else places)
        if not any(one.code == "disk-full" or one.fault == "disk_full" for one in found):
            found += room.findings(document, free, deliveries.missing, deliveries.digests)
        with stop.armed():
            found += [*blocked, *_answer(machine, gpu.SECONDS, gpu.silent())]
            found += tracking.findings() if tracking else []
    except Failed as failed:
        return [finding.of_sentence("half-missing", failed.reason, fault=failed.fault or "configuration")]
    told: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        told.setdefault((one.code, one.title, one.given), one)
    return list(told.values())


def _built(cache: Path, say: Say, stop: Stop, wanted: Environment) -> Path:
    """The interpreter of an environment that data is fetched in, built when it is not there. Raises Failed."""
    if environment.found(wanted.lock, wanted.python, cache) is None:
        say("building the environment that data is fetched in, once on this machine: some seconds")
    return environment.python_of(environment.build(wanted.lock, wanted.python, cache, lambda line: None, stop))


def _here(document: JobDocument, cache: Path, ways: Mapping[str, str]) -> JobDocument:
    """A document as this machine may look at it: with no secret, nor what is written with one."""
    placement = dataclasses.replace(document.placement, cache=str(cache), credentials={}, ways=ways)
    hidden = {f"{targets.PREFIX}{kind}" for kind in document.placement.credentials}
    modules = {name: module for name, module in document.halves.items() if name not in hidden}
    return dataclasses.replace(document, placement=placement, halves=modules)


def _from_afar(document: JobDocument, deliveries: Deliveries, present: dict[Source, Path]) -> Iterator[Finding]:
    """present: what lies on this machine is added."""
    for source in dict.fromkeys(document.sources):
        if mounts.of(document, source) and Path(source.uri).is_absolute() and halves.has(document, source):
            wrong = list(halves.source(document, source).preflight(source, place_of(document, None)))
            yield from (finding.of_sentence("data-unusable", sentence, source.uri) for sentence in wrong)
            if not wrong:
                present[source] = Path(source.uri)
    try:
        yield from _reached(deliveries)
    except Failed as failed:
        yield _impossible(failed.reason)
    yield from _compared(halves.workload(document), document, present, deliveries)


def _places_from_afar(document: JobDocument, present: dict[Source, Path]) -> Iterator[Finding]:
    wanted, cache = targets.environment(document), Path(document.placement.cache)
    if wanted and (built := environment.found(wanted.lock, wanted.python, cache)):
        seen = targets.looked(document, present, place_of(document, environment.python_of(built)))
        yield from (finding.of_sentence("publish-unwritable", sentence) for sentence in targets.wrong(document, seen))


def _impossible(why: str) -> Finding:
    title = "whether the job can read its data was not looked at from here"
    return Finding(code="look-impossible", title=title, why=f"{why[:1].upper()}{why[1:].rstrip('.')}.")


def _sources(document: JobDocument, brought: dict[Source, Path]) -> tuple[dict[Source, Path], list[Finding]]:
    """Those that there is nothing to fetch of: they lie where their printed form says, or the platform brought them,
    which is noted in `brought`; and what is wrong with any.
    """
    present, found = {}, []
    for source in document.sources:
        if mount := mounts.of(document, source):
            folder, unlike = mounted.look(document, source, mount, place_of(document, None))
            found += unlike
            if folder is not None:
                present[source] = brought[source] = folder
            continue
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


def _reached(deliveries: Deliveries) -> Iterator[Finding]:
    """Raises Failed when nobody can tell, Stopped."""
    for source, found in deliveries.survey().items():
        for sentence in found.wrong:
            yield finding.of_sentence("source-unreachable", sentence, source.uri, found.fault)


def _surveyed(deliveries: Deliveries) -> Iterator[Finding]:
    try:
        yield from _reached(deliveries)
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
    document: JobDocument,
    present: dict[Source, Path],
    stop: Stop,
    writer: Callable[[Environment], Path] | None,
    places: list[Seen],
) -> Iterator[Finding]:
    wanted = targets.environment(document)
    python = writer(wanted) if wanted and writer else None
    with stop.armed():
        places += targets.looked(document, present, place_of(document, python))
    wrong = list(targets.wrong(document, places))
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
