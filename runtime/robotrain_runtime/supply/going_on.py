"""What an earlier attempt at this run left elsewhere: a platform may start it again on a machine that has none of it.

A checkpoint counts when this very run saved it, in this very submission. The newest whole one is laid where the run
saves its own, so that the work finds what it would have found in its own folder.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime import checkpoint, halves, mounts, surroundings
from robotrain_runtime.attempts import Earlier
from robotrain_runtime.checkpoint import MANIFEST, Manifest
from robotrain_runtime.courier import Never
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.event import Checkpoint, Tracking
from robotrain_runtime.failure import Failed
from robotrain_runtime.publish import kept, mirror, targets
from robotrain_runtime.publish.targets import Seen
from robotrain_runtime.target import Halt

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A checkpoint that was left. name: that of its folder. lies: the folder or address. tracking: its tracking run.

    half: the module that brings it from an address; empty where `lies` is a folder of this machine. published: whether
    it lies at a place that the job publishes to. kind: that of the address. called: its address for people, where that
    is not `lies`.
    """

    step: int
    name: str
    lies: str
    tracking: str = ""
    kind: str = ""
    half: str = ""
    published: bool = False
    called: str = ""

    @property
    def address(self) -> str:
        """As it is told."""
        return self.called or self.lies

    @property
    def source(self) -> Source:
        """What brings it."""
        return Source(role="resume", kind=self.kind, uri=self.lies)


def find(document: JobDocument, places: Iterable[Seen]) -> list[Left]:
    """Those that are newer than what lies in the run's own folder, the newest first. Raises Failed.

    places: the addresses that the job publishes to, looked at.
    """
    own = _folder(document)
    if own is None:
        return []
    found = sorted((*_here(document), *_there(document, places)), key=lambda one: (one.step, not one.half))
    good = checkpoint.last_good(own, run=document.run, job=document.job) if found else None
    return [one for one in reversed(found) if good is None or one.step > good[0]]


def tracked(earlier: Earlier, left: Iterable[Left], uri: str) -> Earlier:
    """Earlier attempts with the tracking run that a checkpoint names, when they know of none."""
    run_id = next((one.tracking for one in left if one.tracking), "")
    if not run_id or earlier.run_id(uri):
        return earlier
    return dataclasses.replace(earlier, tracking=Tracking(uri=uri, experiment_id="", run_id=run_id))


def lay(
    document: JobDocument, left: Iterable[Left], bring: Callable[[Left], Path], say: Say, halted: Halt
) -> tuple[Left, Checkpoint] | None:
    """The first of `left` that is whole, and as what it was laid into the run's own folder; None when none is.

    bring: the folder of one that lies at an address; raises Failed. say: told of each that is not whole. Raises
    OSError, Halted, Failed when a checkpoint that is there cannot be had.
    """
    own = _folder(document)
    assert own is not None
    for one in left:
        folder = Path(one.lies) if not one.half else _brought(one, bring, say)
        if folder is None:
            continue
        if why := _unlike(document, one, folder):
            say(f"{one.lies} is not gone on from: {why}")
            continue
        manifest = checkpoint.read(folder)
        assert manifest is not None
        try:
            _place(folder, manifest, own / one.name, halted, linked=bool(one.half) or not one.published)
        except Never as torn:
            say(f"{one.lies} is not gone on from: {torn}")
            continue
        return one, Checkpoint(step=one.step, path=str(own / one.name), model=manifest.model)
    return None


def known(earlier: Earlier, left: Left, laid: Checkpoint) -> Earlier:
    """Earlier attempts with the checkpoint that was laid."""
    published = {laid.step: frozenset({left.address})} if left.published else {}
    return dataclasses.replace(
        earlier,
        checkpoints={**earlier.checkpoints, laid.path: laid},
        published={**earlier.published, **published},
    )


def _folder(document: JobDocument) -> Path | None:
    """Where the run saves its checkpoints; None for a workload that does not say."""
    say = getattr(halves.workload(document), "checkpoints", None)
    return Path(say(document, Path(document.placement.work))) if say else None


def _here(document: JobDocument) -> Iterator[Left]:
    """Those in the folder that the platform brings back, and in the folders that the job publishes to."""
    own, kept_in = surroundings.submission(document), kept.folder(document)
    for folder, made in _below(document.placement.left):
        if made.run == document.run and (not own or made.submission == own):
            found, called = _left(folder, made), kept.called(document)
            if folder.parent == kept_in:
                found = dataclasses.replace(found, published=True, called=f"{called}/{folder.name}" if called else "")
            yield found
    for target in targets.of(halves.workload(document), document, {}) if own else ():
        if Path(target.to).is_absolute():
            for _, folder in checkpoint.steps(Path(target.to)):
                if (said := checkpoint.read(folder)) and (said.run, said.submission) == (document.run, own):
                    yield dataclasses.replace(_left(folder, said), published=True)


def _there(document: JobDocument, places: Iterable[Seen]) -> Iterator[Left]:
    own = surroundings.submission(document)
    for seen in places if own else ():
        half = str(getattr(seen.half, "SOURCE", ""))
        for step, mark in seen.look.marks.items():
            if half and mark.submission == own and seen.look.runs.get(step) == document.run:
                yield Left(
                    step=step,
                    name=mark.name,
                    lies=f"{seen.to}/{mark.name}",
                    tracking=mark.tracking,
                    kind=seen.kind,
                    half=half,
                    published=True,
                )


def _below(said: str) -> Iterator[tuple[Path, Manifest]]:
    """Each checkpoint below a folder that the document names; none when there is no such folder, as at first."""
    try:
        outer = mounts.place(said) if said else None
    except mounts.Unnamed:
        return
    for parent, folders, files in os.walk(outer) if outer else ():
        if MANIFEST in files and os.path.basename(parent).isdecimal():
            folders.clear()
            if made := checkpoint.read(Path(parent)):
                yield Path(parent), made


def _left(folder: Path, made: Manifest) -> Left:
    return Left(step=made.step, name=folder.name, lies=str(folder), tracking=made.tracking)


def _brought(one: Left, bring: Callable[[Left], Path], say: Say) -> Path | None:
    """None for one that is damaged; what cannot be had is no reason to begin anew and write over it."""
    try:
        return bring(one)
    except Failed as failed:
        if failed.fault != "data":
            why = f"step {one.step} of an earlier attempt cannot be brought back from {one.lies}: {failed.reason}"
            raise Failed(why, failed.exit_code, failed.fault) from failed
        say(f"{one.lies} is not gone on from: {failed.reason}")
        return None


def _unlike(document: JobDocument, one: Left, folder: Path) -> str:
    """Why what came is not what was looked for; empty when it is."""
    made, own = checkpoint.read(folder), surroundings.submission(document)
    if made is None:
        return f"{folder} was never completed"
    if (made.run, made.job, made.step) != (document.run, document.job, one.step):
        return f"it is step {made.step} of the run {made.run}"
    return f"it is of another submission ({made.submission})" if own and made.submission != own else ""


def _place(folder: Path, manifest: Manifest, target: Path, halted: Halt, linked: bool) -> None:
    """Linked where that is possible, but for a published one: that is to outlive this disk's other copy.

    Raises Never when a file is not what was saved, OSError when the disk does not take it, Halted.
    """

    def check(copy: Path) -> None:
        if why := checkpoint.wrong_with(copy):
            raise Never(why.replace(str(copy), str(folder)))

    if os.path.lexists(target):
        checkpoint.put_aside(target)
    files = {path: folder / path for path in (*manifest.files, MANIFEST)}
    mirror.place(files, target, halted, key=manifest.run, check=check, linked=linked)
