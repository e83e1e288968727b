"""The places that a job writes to: which they are, who writes there, and what stands in the way."""

import importlib
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime import halves, surroundings
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import REFUSED, Failed
from robotrain_runtime.half import Environment, Place, WorkloadHalf
from robotrain_runtime.target import Look, Target, TargetHalf

PREFIX = "target."


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A place with an address, looked at. kind: of the half that writes there. to: the address in its normal form."""

    target: Target
    kind: str
    half: TargetHalf
    to: str
    look: Look


def of(half: WorkloadHalf, document: JobDocument, data: Mapping[Source, Path]) -> tuple[Target, ...]:
    """Where the workload wants its checkpoints or results, beside the run's own folder. data: what is there by now."""
    say = getattr(half, "targets", None)
    return tuple(say(document, data)) if say else ()


def half_of(document: JobDocument, address: str) -> TargetHalf | None:
    """The half that writes to an address; None for a folder, and for what no half takes. Raises Failed."""
    return next((half for _, half in _halves(document) if half.normal(address)), None)


def environment(document: JobDocument) -> Environment | None:
    """The environment that writing needs; None when the job writes to no address. Raises Failed."""
    return next((half.ENVIRONMENT for _, half in _halves(document)), None)


def looked(document: JobDocument, data: Mapping[Source, Path], place: Place) -> Iterator[Seen]:
    """A look at each of the job's addresses. data: what is there by now. Without a `place.python` nobody is asked.

    Raises Failed.
    """
    for target in of(halves.workload(document), document, data):
        for kind, half in _halves(document):
            if to := half.normal(target.to):
                yield Seen(target=target, kind=kind, half=half, to=to, look=half.look(target.to, place))
                break


def wrong(document: JobDocument, places: Iterable[Seen]) -> Iterator[str]:
    """Why nothing could be written to the job's addresses, a sentence each, the way out on a second line."""
    for seen in places:
        cannot = f"{halves.left(document)} cannot be published to {seen.to}"
        yield from (f"{cannot}: {sentence}" for sentence in seen.look.wrong)
        if taken := next(_taken(document, seen), ""):
            yield f"{cannot}: it holds {taken}" + (f"\n{seen.target.way}" if seen.target.way else "")


def _taken(document: JobDocument, seen: Seen) -> Iterator[str]:
    """Checkpoints of others, under the names of those that this run will save."""
    saves, own = seen.target.saves, surroundings.submission(document)
    for step, run in sorted(seen.look.runs.items()):
        mark = seen.look.marks.get(step)
        if saves is None or not saves(step):
            continue
        if run != document.run:
            yield f"{step:06} of the run {run}"
        elif own and mark and mark.submission != own:
            yield f"{mark.name} of another submission of this run ({mark.submission})"


def _halves(document: JobDocument) -> Iterator[tuple[str, TargetHalf]]:
    """By their kind."""
    for name, module in document.halves.items():
        if name.startswith(PREFIX):
            try:
                yield name.removeprefix(PREFIX), typing.cast(TargetHalf, importlib.import_module(module))
            except ImportError as error:
                raise Failed(f"{name} cannot be imported as {module}: {error}", REFUSED) from error
