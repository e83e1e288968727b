"""Recovery of a restarted run: what earlier attempts told and left, restored.

A checkpoint counts when this very run saved it, in this very submission. The newest whole one is laid where the run
saves its own, so that the work finds what it would have found in its own folder.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robotrain_runtime.checkpoints import atomic_copy, targets
from robotrain_runtime.checkpoints.targets import InspectedTarget
from robotrain_runtime.contract import checkpoint, document, event, plugin_loader
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import Checkpoint, Delivered, Evaluated, Published, Tracking
from robotrain_runtime.contract.failure import CancelCheck, JobFailed, PermanentError

EVENTS_FILE = "events.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierAttempts:
    """tracking: the last tracking run. checkpoints: by their path. published: where each went, by its step. evaluated:
    the last evaluation. delivered: where its results went.
    """

    tracking: Tracking | None = None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    published: Mapping[int, frozenset[str]] = field(default_factory=dict)
    evaluated: Evaluated | None = None
    delivered: frozenset[str] = frozenset()

    def get_tracking_run(self, uri: str) -> str:
        """The tracking run at `uri`; empty when there is none."""
        return self.tracking.run_id if self.tracking and self.tracking.uri == uri else ""


def read_earlier_attempts(work: Path) -> EarlierAttempts:
    """What is in the work folder; nothing for a first attempt."""
    tracking: Tracking | None = None
    checkpoints: dict[str, Checkpoint] = {}
    published: dict[int, frozenset[str]] = {}
    evaluated: Evaluated | None = None
    delivered: frozenset[str] = frozenset()
    for line in _read_lines(work / EVENTS_FILE):
        match record.event if (record := event.parse_event(line)) else None:
            case Tracking() as found:
                tracking = found
            case Checkpoint(step=step, path=path) as found:
                checkpoints[path] = found
                published.pop(step, None)  # it was made anew
            case Published(step=step, to=to):
                published[step] = published.get(step, frozenset()) | {to}
            case Evaluated() as found:
                evaluated = found
            case Delivered(to=to):
                delivered |= {to}
    return EarlierAttempts(
        tracking=tracking, checkpoints=checkpoints, published=published, evaluated=evaluated, delivered=delivered
    )


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if '"event": "metrics"' not in line]


LogFunction = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverableCheckpoint:
    """A checkpoint that was left. name: that of its folder. lies: the folder or address. tracking: its tracking run.

    half: the module that brings it from an address; empty where `lies` is a folder of this machine. published: whether
    it lies at a place that the job publishes to. kind: that of the address. called: its address for people, where that
    is not `lies`.
    """

    step: int
    name: str
    location: str
    tracking: str = ""
    kind: str = ""
    plugin: str = ""
    published: bool = False
    display_name: str = ""

    @property
    def address(self) -> str:
        """As it is told."""
        return self.display_name or self.location

    @property
    def source(self) -> JobSource:
        """What brings it."""
        return JobSource(role="resume", kind=self.kind, uri=self.location)


def find_recoverable(document: JobDocument, places: Iterable[InspectedTarget]) -> list[RecoverableCheckpoint]:
    """Those that are newer than what lies in the run's own folder, the newest first. Raises JobFailed.

    places: the addresses that the job publishes to, looked at.
    """
    own = _get_checkpoint_folder(document)
    if own is None:
        return []
    found = sorted(
        (*_find_in_folders(document), *_find_at_addresses(document, places)), key=lambda one: (one.step, not one.plugin)
    )
    good = checkpoint.find_last_complete(own, run=document.run, job=document.job) if found else None
    return [one for one in reversed(found) if good is None or one.step > good[0]]


def add_tracking_run(
    earlier: EarlierAttempts, recoverable: Iterable[RecoverableCheckpoint], uri: str
) -> EarlierAttempts:
    """Earlier attempts with the tracking run that a checkpoint names, when they know of none."""
    run_id = next((one.tracking for one in recoverable if one.tracking), "")
    if not run_id or earlier.get_tracking_run(uri):
        return earlier
    return dataclasses.replace(earlier, tracking=Tracking(uri=uri, experiment_id="", run_id=run_id))


def restore_checkpoint(
    document: JobDocument,
    recoverable: Iterable[RecoverableCheckpoint],
    fetch: Callable[[RecoverableCheckpoint], Path],
    log_line: LogFunction,
    is_cancelled: CancelCheck,
) -> tuple[RecoverableCheckpoint, Checkpoint] | None:
    """The first of `left` that is whole, and as what it was laid into the run's own folder; None when none is.

    bring: the folder of one that lies at an address; raises JobFailed. say: told of each that is not whole. Raises
    OSError, Halted, Failed when a checkpoint that is there cannot be had.
    """
    own = _get_checkpoint_folder(document)
    assert own is not None
    for one in recoverable:
        folder = Path(one.location) if not one.plugin else _fetch_recoverable(one, fetch, log_line)
        if folder is None:
            continue
        if why := _explain_mismatch(document, one, folder):
            log_line(f"{one.location} is not gone on from: {why}")
            continue
        manifest = checkpoint.read_manifest(folder)
        assert manifest is not None
        try:
            _restore_files(folder, manifest, own / one.name, is_cancelled, linked=bool(one.plugin) or not one.published)
        except PermanentError as torn:
            log_line(f"{one.location} is not gone on from: {torn}")
            continue
        return one, Checkpoint(step=one.step, path=str(own / one.name), model=manifest.model)
    return None


def add_restored(earlier: EarlierAttempts, restored: RecoverableCheckpoint, laid: Checkpoint) -> EarlierAttempts:
    """Earlier attempts with the checkpoint that was laid."""
    published = {laid.step: frozenset({restored.address})} if restored.published else {}
    return dataclasses.replace(
        earlier,
        checkpoints={**earlier.checkpoints, laid.path: laid},
        published={**earlier.published, **published},
    )


def _get_checkpoint_folder(document: JobDocument) -> Path | None:
    """Where the run saves its checkpoints; None for a workload that does not say."""
    return plugin_loader.load_workload_plugin(document).checkpoints(document, Path(document.placement.work))


def _find_in_folders(document: JobDocument) -> Iterator[RecoverableCheckpoint]:
    """Those in the folder that the platform brings back, and in the folders that the job publishes to."""
    own, kept_in = contract_document.read_submission_id(document), targets.get_platform_folder(document)
    for folder, made in _find_below(document.placement.left):
        if made.run == document.run and (not own or made.submission == own):
            found, called = _make_recoverable(folder, made), targets.get_platform_folder_name(document)
            if folder.parent == kept_in:
                found = dataclasses.replace(
                    found, published=True, display_name=f"{called}/{folder.name}" if called else ""
                )
            yield found
    for target in targets.list_targets(plugin_loader.load_workload_plugin(document), document, {}) if own else ():
        if Path(target.to).is_absolute():
            for _, folder in checkpoint.list_checkpoints(Path(target.to)):
                if (said := checkpoint.read_manifest(folder)) and (said.run, said.submission) == (document.run, own):
                    yield dataclasses.replace(_make_recoverable(folder, said), published=True)


def _find_at_addresses(document: JobDocument, places: Iterable[InspectedTarget]) -> Iterator[RecoverableCheckpoint]:
    own = contract_document.read_submission_id(document)
    for seen in places if own else ():
        half = seen.plugin.SOURCE
        for step, mark in seen.inspection.marks.items():
            if half and mark.submission == own and seen.inspection.runs.get(step) == document.run:
                yield RecoverableCheckpoint(
                    step=step,
                    name=mark.name,
                    location=f"{seen.to}/{mark.name}",
                    tracking=mark.tracking,
                    kind=seen.kind,
                    plugin=half,
                    published=True,
                )


def _find_below(text: str) -> Iterator[tuple[Path, CheckpointManifest]]:
    """Each checkpoint below a folder that the document names; none when there is no such folder, as at first."""
    try:
        outer = document.resolve_folder(text) if text else None
    except document.UnsetVariable:
        return
    for parent, folders, files in os.walk(outer) if outer else ():
        if MANIFEST in files and os.path.basename(parent).isdecimal():
            folders.clear()
            if made := checkpoint.read_manifest(Path(parent)):
                yield Path(parent), made


def _make_recoverable(folder: Path, manifest: CheckpointManifest) -> RecoverableCheckpoint:
    return RecoverableCheckpoint(step=manifest.step, name=folder.name, location=str(folder), tracking=manifest.tracking)


def _fetch_recoverable(
    recoverable: RecoverableCheckpoint, fetch: Callable[[RecoverableCheckpoint], Path], log_line: LogFunction
) -> Path | None:
    """None for one that is damaged; what cannot be had is no reason to begin anew and write over it."""
    try:
        return fetch(recoverable)
    except JobFailed as failed:
        if failed.fault != "data":
            why = f"step {recoverable.step} of an earlier attempt cannot be brought back from {recoverable.location}: {failed.reason}"
            raise JobFailed(why, failed.exit_code, failed.fault) from failed
        log_line(f"{recoverable.location} is not gone on from: {failed.reason}")
        return None


def _explain_mismatch(document: JobDocument, expected: RecoverableCheckpoint, folder: Path) -> str:
    """Why what came is not what was looked for; empty when it is."""
    made, own = checkpoint.read_manifest(folder), contract_document.read_submission_id(document)
    if made is None:
        return f"{folder} was never completed"
    if (made.run, made.job, made.step) != (document.run, document.job, expected.step):
        return f"it is step {made.step} of the run {made.run}"
    return f"it is of another submission ({made.submission})" if own and made.submission != own else ""


def _restore_files(
    folder: Path, manifest: CheckpointManifest, target: Path, is_cancelled: CancelCheck, linked: bool
) -> None:
    """Linked where that is possible, but for a published one: that is to outlive this disk's other copy.

    Raises PermanentError when a file is not what was saved, OSError when the disk does not take it, Cancelled.
    """

    def check(copy: Path) -> None:
        if why := checkpoint.validate_checkpoint(copy):
            raise PermanentError(why.replace(str(copy), str(folder)))

    if os.path.lexists(target):
        checkpoint.set_torn_aside(target)
    files = {path: folder / path for path in (*manifest.files, MANIFEST)}
    atomic_copy.replace_folder(files, target, is_cancelled, key=manifest.run, check=check, linked=linked)
