"""What a run leaves, made ready to be copied: sealed, so that whoever finds a copy can tell that it is whole.

Results are sealed in a folder of the run's name that holds the same files, and the evaluated policy beside its folder:
neither is ever taken for a checkpoint.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robotrain_runtime import checkpoint, surroundings
from robotrain_runtime.checkpoint import MANIFEST, Manifest
from robotrain_runtime.courier import Never
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Checkpoint, Evaluated
from robotrain_runtime.publish import mirror
from robotrain_runtime.target import Halt

What = Literal["checkpoint", "results", "policy"]

RESULTS = ".results"
"""The folder, in that of the run, of results on their way."""
POLICY = "policy.json"
"""The seal of the evaluated policy, in the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something complete that someone told of. again: it was an earlier attempt, and it may have been torn since."""

    folder: Path
    event: Checkpoint | Evaluated
    what: What = "checkpoint"
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Something complete: its folder, and what is sealed of it. plain: where the same files lie without the seal."""

    folder: Path
    manifest: Manifest
    plain: Path
    what: What = "checkpoint"


def told_of(event: Checkpoint | Evaluated) -> Iterator[Told]:
    """What an event tells of."""
    if isinstance(event, Checkpoint):
        yield Told(folder=Path(event.path), event=event)
        return
    yield Told(folder=Path(event.results), event=event, what="results")
    if event.policy:
        yield Told(folder=Path(event.policy), event=event, what="policy")


def seal(told: Told, document: JobDocument, tracking: str, halted: Halt) -> Sealed | None:
    """Sealed; None for what an earlier attempt left torn. tracking: the tracking run. Raises what `Courier` knows."""
    if told.folder.is_symlink():
        raise Never("it is a link")
    if told.again:
        made = checkpoint.read(told.folder)
        whole = made is not None and not checkpoint.wrong_with(told.folder)
        return Sealed(folder=told.folder, manifest=made, plain=told.folder) if made and whole else None
    if not told.folder.is_dir():
        raise Never("it is not there")
    if told.what == "results":
        return _results(told, document, halted)
    at = policy_seal(document) if told.what == "policy" else None
    manifest = _sealed(told, document, told.folder, tracking, at)
    return Sealed(folder=told.folder, manifest=manifest, plain=told.folder, what=told.what)


def policy_seal(document: JobDocument) -> Path:
    """Where the seal of the evaluated policy lies."""
    return Path(document.placement.work, POLICY)


def forget(document: JobDocument) -> None:
    """Results are not on their way any more."""
    shutil.rmtree(Path(document.placement.work, RESULTS), ignore_errors=True)


def _results(told: Told, document: JobDocument, halted: Halt) -> Sealed:
    found = {path.relative_to(told.folder): path for path in sorted(told.folder.rglob("*"))}
    files = {path.as_posix(): file for path, file in found.items() if file.is_file() and _is_own(path, file)}
    if not files:
        raise Never(f"{told.folder} holds no files")
    folder = Path(document.placement.work, RESULTS, document.run)
    mirror.place(files, folder, halted, key=document.run, linked=True)
    manifest = _sealed(told, document, folder, "", None)
    return Sealed(folder=folder, manifest=manifest, plain=told.folder, what="results")


def _is_own(path: Path, file: Path) -> bool:
    """Whether it is a result: what begins with a dot is not ready, or nobody's business."""
    return not file.is_symlink() and path.name != MANIFEST and not any(part.startswith(".") for part in path.parts)


def _sealed(told: Told, by: JobDocument, folder: Path, tracking: str, at: Path | None) -> Manifest:
    """Newly sealed. Only where a platform has submissions is it told who goes on from there."""
    event, submission = told.event, surroundings.submission(by)
    return checkpoint.seal(
        folder,
        step=event.step,
        run=by.run,
        job=by.job,
        model=event.model if isinstance(event, Checkpoint) else "",
        submission=submission,
        tracking=tracking if submission else "",
        at=at,
    )
