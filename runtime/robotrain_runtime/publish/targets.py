"""The places that a job writes to: which they are, who writes there, and what stands in the way."""

import importlib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime import halves
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import REFUSED, Failed
from robotrain_runtime.half import Environment, Place, WorkloadHalf
from robotrain_runtime.target import Target, TargetHalf

PREFIX = "target."


def of(half: WorkloadHalf, document: JobDocument, data: Mapping[Source, Path]) -> tuple[Target, ...]:
    """Where the workload wants its checkpoints, beside the run's own folder. data: what is there by now."""
    say = getattr(half, "targets", None)
    return tuple(say(document, data)) if say else ()


def half_of(document: JobDocument, address: str) -> TargetHalf | None:
    """The half that writes to an address; None for a folder, and for what no half takes. Raises Failed."""
    return next((half for half in _halves(document) if half.normal(address)), None)


def environment(document: JobDocument) -> Environment | None:
    """The environment that writing needs; None when the job writes to no address. Raises Failed."""
    return next((half.ENVIRONMENT for half in _halves(document)), None)


def wrong(document: JobDocument, data: Mapping[Source, Path], place: Place) -> Iterator[str]:
    """Why nothing could be written to the job's addresses, a sentence each, the way out on a second line.

    data: what is there by now. Without a `place.python` nobody is asked. Raises Failed.
    """
    for target in of(halves.workload(document), document, data):
        if half := half_of(document, target.to):
            cannot = f"checkpoints cannot be published to {half.normal(target.to)}"
            found = half.look(target.to, place)
            yield from (f"{cannot}: {sentence}" for sentence in found.wrong)
            if taken := next(_taken(document, target, found.runs), ""):
                yield f"{cannot}: it holds {taken}" + (f"\n{target.way}" if target.way else "")


def _taken(document: JobDocument, target: Target, runs: Mapping[int, str]) -> Iterator[str]:
    """Checkpoints of other runs, under the names of those that this one will save."""
    for step, run in sorted(runs.items()):
        if run != document.run and target.saves is not None and target.saves(step):
            yield f"{step:06} of the run {run}"


def _halves(document: JobDocument) -> Iterator[TargetHalf]:
    for name, module in document.halves.items():
        if name.startswith(PREFIX):
            try:
                yield typing.cast(TargetHalf, importlib.import_module(module))
            except ImportError as error:
                raise Failed(f"{name} cannot be imported as {module}: {error}", REFUSED) from error
