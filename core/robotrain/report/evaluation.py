"""What is known of the evaluation of a run: its events, and the files of its results where they can be had."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from robotrain_runtime.event import Evaluated

from robotrain.amounts import size
from robotrain.progress import Progress
from robotrain.redaction import redact
from robotrain.report.media import LeftOut, Medium, inside, load
from robotrain.report.results_file import LARGEST, Reader, Results
from robotrain.run import Output, RunRecord

MOST_BROUGHT = 1_000_000_000
"""Bytes of results that are brought here for a page."""
HERE = "local_path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation. said: what its own file says. left_out: what the page has no room for. folder: where its results
    stay; empty when they were only brought for the page. remarks: why something is missing.
    """

    told: Evaluated
    said: Results | None = None
    media: tuple[Medium, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    folder: str = ""
    remarks: tuple[str, ...] = ()


def gather(
    record: RunRecord,
    platform: Any,
    known: Progress,
    outputs: Sequence[Output],
    reader: Reader | None,
    say: Callable[[str], None],
) -> Evaluation | None:
    """The evaluation of a run; None for a run that told of none. reader: of the file of its results. say: is told what
    takes a while.
    """
    if known.evaluated is None:
        return None
    kept = _kept(platform, known.evaluated, outputs)
    if kept is not None:
        return _read(record, known.evaluated, kept, str(kept), reader)
    found = _output(known, outputs)
    if found is None:
        return _without(known.evaluated, "its results are not among what it left")
    if (found.size or 0) > MOST_BROUGHT:
        return _without(known.evaluated, f"its results are {size(found.size or 0)}, too much to bring for a page")
    say(f"bringing the results of {record.run} …")
    return _brought(record, platform, known.evaluated, found, reader)


def glanced(
    record: RunRecord, platform: Any, known: Progress, outputs: Sequence[Output], reader: Reader | None
) -> Evaluation | None:
    """The same without plots and videos, and nothing is brought for it: the results' file, where it is here."""
    kept = _kept(platform, known.evaluated, outputs) if known.evaluated else None
    if known.evaluated is None or kept is None:
        return Evaluation(told=known.evaluated) if known.evaluated else None
    said, remarks = _said(record, kept, reader)
    return Evaluation(told=known.evaluated, said=said, folder=str(kept), remarks=remarks)


def _kept(platform: Any, told: Evaluated, outputs: Sequence[Output]) -> Path | None:
    """The folder of the results, where it is one of this machine."""
    here = [one.uri for one in outputs if one.source == HERE and _is_of(one, told)]
    if told.results and platform.capabilities.feature("runs_here"):
        here.append(told.results)
    return next((path for path in map(Path, here) if path.is_absolute() and path.is_dir()), None)


def _output(known: Progress, outputs: Sequence[Output]) -> Output | None:
    assert known.evaluated is not None
    told, files = known.evaluated, [one for one in outputs if one.kind == "file"]
    named = [one for one in files if _is_of(one, told)]
    copies = [one for one in files if one.uri in known.results]
    return next(iter([*named, *copies]), None)


def _is_of(output: Output, told: Evaluated) -> bool:
    """Whether an output has the name of the results' folder."""
    name = PurePosixPath(told.results).name
    return bool(name) and output.kind == "file" and PurePosixPath(output.name).name == name


def _brought(record: RunRecord, platform: Any, told: Evaluated, output: Output, reader: Reader | None) -> Evaluation:
    with tempfile.TemporaryDirectory(prefix="robotrain-report-") as scratch:
        place = Path(scratch) / "results"
        try:
            platform.bring(record.reference, output, place)
        except Exception as error:  # whatever a plugin raises: events tell the scores all the same
            return _without(told, f"its results could not be brought: {redact(str(error), longest=300)}")
        return _read(record, told, next(_holding(record, place, output), place), "", reader)


def _holding(record: RunRecord, place: Path, output: Output) -> Iterator[Path]:
    """The folder that has the results' own file, of the one that was brought and a folder of the same name in it."""
    for folder in (place, place / PurePosixPath(output.name).name):
        if record.outputs.complete_file and (folder / record.outputs.complete_file).is_file():
            yield folder


def _read(record: RunRecord, told: Evaluated, folder: Path, stays: str, reader: Reader | None) -> Evaluation:
    said, remarks = _said(record, folder, reader)
    taken, left = list[Medium](), list[LeftOut]()
    with contextlib.suppress(OSError):
        taken, left = load(folder)
    return Evaluation(told=told, said=said, media=tuple(taken), left_out=tuple(left), folder=stays, remarks=remarks)


def _said(record: RunRecord, folder: Path, reader: Reader | None) -> tuple[Results | None, tuple[str, ...]]:
    """What the results' file says; else why nothing. Nothing of one that no workload here reads."""
    name = record.outputs.complete_file
    if reader is None or not name:
        return None, ()
    try:
        said = reader(_content(folder, name))
    except (OSError, ValueError) as error:
        why = redact(str(error), longest=300)
        return None, (f"{name} is damaged and cannot be read: {why}; this is what the log tells",)
    damaged = f"{name} is damaged, and these parts of it are left out: {', '.join(said.damaged)}"
    return said, (damaged,) if said.damaged else ()


def _content(folder: Path, name: str) -> bytes:
    """The file's bytes. Raises OSError, ValueError."""
    path = inside(folder, name)
    if path is None:
        raise ValueError("it is not there")
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {size(LARGEST)}")
    return content


def _without(told: Evaluated, why: str) -> Evaluation:
    return Evaluation(told=told, remarks=(f"{why}; this is what its log tells",))
