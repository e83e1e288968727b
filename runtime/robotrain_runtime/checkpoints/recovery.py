"""Recovery of a restarted run: the events and checkpoints of its earlier attempts.

A checkpoint counts if the same run saved it in the same submission. The newest complete one is restored to the folder
where the run saves its own, so that the work resumes from it.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from robotrain_runtime.checkpoints import atomic_copy, targets
from robotrain_runtime.checkpoints.targets import InspectedTarget
from robotrain_runtime.contract import checkpoint, event, plugin_loader
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Checkpoint, Delivered, Evaluated, Published, Tracking
from robotrain_runtime.contract.failure import CancelCheck, JobFailed, PermanentError
from robotrain_runtime.contract.files import open_regular_file

EVENTS_FILE = "events.jsonl"
LogFunction = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierAttempts:
    """What the earlier attempts of a run reported."""

    tracking: Tracking | None = None
    """The last tracking run."""
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    """By path."""
    published: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The addresses of each published checkpoint, by step."""
    evaluated: Evaluated | None = None
    """The last evaluation."""
    delivered: frozenset[str] = frozenset()
    """The addresses that results were copied to."""

    def get_tracking_run(self, uri: str) -> str:
        """Return the tracking run at `uri`; empty if there is none."""
        return self.tracking.run_id if self.tracking and self.tracking.uri == uri else ""


def read_earlier_attempts(work: Path) -> EarlierAttempts:
    """Read the events in the work folder; there are none before the first attempt."""
    tracking: Tracking | None = None
    checkpoints: dict[str, Checkpoint] = {}
    published: dict[int, frozenset[str]] = {}
    evaluated: Evaluated | None = None
    delivered: frozenset[str] = frozenset()
    events_text = ""
    with suppress(OSError), open_regular_file(work / EVENTS_FILE) as file:
        events_text = file.read().decode(errors="replace")
    for event_line in events_text.splitlines():
        if '"event": "metrics"' in event_line:  # most lines: not parsed
            continue
        match record.event if (record := event.parse_event(event_line)) else None:
            case Tracking() as latest:
                tracking = latest
            case Checkpoint(step=step, path=path) as latest:
                checkpoints[path] = latest
                published.pop(step, None)  # saved again
            case Published(step=step, to=to):
                published[step] = published.get(step, frozenset()) | {to}
            case Evaluated() as latest:
                evaluated = latest
            case Delivered(to=to):
                delivered |= {to}
    return EarlierAttempts(
        tracking=tracking, checkpoints=checkpoints, published=published, evaluated=evaluated, delivered=delivered
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverableCheckpoint:
    """A checkpoint of an earlier attempt."""

    step: int
    location: str
    """Its folder on this machine, or its address."""
    tracking: str = ""
    """Its tracking run."""
    kind: str = ""
    """The source kind of the address."""
    plugin: str = ""
    """The module that fetches it from the address; empty for a folder."""
    published: bool = False
    """Whether it is at a publish target of the job."""
    display_name: str = ""
    """Its address for people, if that is not `location`."""
    folder_name: str = ""
    """The name of its folder, if that is not the last part of `location`."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder_name or Path(self.location).name

    @property
    def address(self) -> str:
        """The address in events and messages."""
        return self.display_name or self.location


def find_recoverable(document: JobDocument, inspected: Iterable[InspectedTarget]) -> list[RecoverableCheckpoint]:
    """Return the checkpoints that are newer than those in the run's own folder, newest first. Raise JobFailed."""
    checkpoint_folder = _get_checkpoint_folder(document)
    if checkpoint_folder is None:
        return []
    candidates = _find_candidates(document, inspected)
    last_checkpoint = (
        checkpoint.find_last_complete(checkpoint_folder, run=document.run, job=document.job) if candidates else None
    )
    return [
        candidate
        for candidate in reversed(candidates)
        if last_checkpoint is None or candidate.step > last_checkpoint[0]
    ]


def set_unshared_aside(
    document: JobDocument,
    inspected: Iterable[InspectedTarget],
    earlier_attempts: EarlierAttempts,
    log_line: LogFunction,
) -> EarlierAttempts:
    """Rename checkpoints that only this of several nodes has, since all must resume from the same one.

    Return the earlier attempts without them. `log_line` is called with each. Raise OSError.
    """
    checkpoint_folder = _get_checkpoint_folder(document)
    candidates = _find_candidates(document, inspected)
    shared_step = candidates[-1].step if candidates else 0
    unshared = (
        [
            saved_checkpoint
            for saved_checkpoint in checkpoint.list_checkpoints(checkpoint_folder)
            if saved_checkpoint[0] > shared_step
        ]
        if checkpoint_folder
        else []
    )
    for step, folder in unshared:
        aside_folder = checkpoint.set_torn_aside(folder)
        log_line(f"step {step} was saved on this node only: kept as {aside_folder.name}, not used")
    paths = {str(folder) for _, folder in unshared}
    remaining = {
        path: saved_checkpoint for path, saved_checkpoint in earlier_attempts.checkpoints.items() if path not in paths
    }
    return dataclasses.replace(earlier_attempts, checkpoints=remaining)


def _find_candidates(document: JobDocument, inspected: Iterable[InspectedTarget]) -> list[RecoverableCheckpoint]:
    """Return the checkpoints of earlier attempts that are not in the run's own folder, newest last."""
    candidates = list(_find_in_folders(document))
    submission = contract_document.read_submission_id(document)
    for target in inspected if submission else ():
        plugin = target.plugin.SOURCE
        for step, mark in target.inspection.marks.items():
            if plugin and mark.submission == submission and target.inspection.runs.get(step) == document.run:
                candidate = RecoverableCheckpoint(
                    step=step,
                    location=target.plugin.locate(target.to, mark.name),
                    tracking=mark.tracking,
                    kind=target.kind,
                    plugin=plugin,
                    published=True,
                    folder_name=mark.name,
                )
                candidates.append(candidate)
    return sorted(candidates, key=lambda candidate: (candidate.step, not candidate.plugin))


def add_tracking_run(
    earlier_attempts: EarlierAttempts, recoverable: Iterable[RecoverableCheckpoint], uri: str
) -> EarlierAttempts:
    """Return the earlier attempts with the tracking run that a checkpoint names, if they have none."""
    run_id = next((candidate.tracking for candidate in recoverable if candidate.tracking), "")
    if not run_id or earlier_attempts.get_tracking_run(uri):
        return earlier_attempts
    return dataclasses.replace(earlier_attempts, tracking=Tracking(uri=uri, experiment_id="", run_id=run_id))


def restore_checkpoint(
    document: JobDocument,
    recoverable: Iterable[RecoverableCheckpoint],
    fetch: Callable[[RecoverableCheckpoint], Path],
    log_line: LogFunction,
    is_cancelled: CancelCheck,
) -> tuple[RecoverableCheckpoint, Checkpoint] | None:
    """Restore the first complete checkpoint; return it, before and after. Return None if none is complete.

    `fetch` returns the folder of a checkpoint at an address, or raises JobFailed. `log_line` is called with why one is
    not used. Raise OSError, Cancelled, or JobFailed if a checkpoint cannot be fetched.
    """
    checkpoint_folder = _get_checkpoint_folder(document)
    assert checkpoint_folder is not None
    for candidate in recoverable:
        try:
            folder = _fetch_recoverable(candidate, fetch) if candidate.plugin else Path(candidate.location)
            manifest = _read_expected_manifest(document, candidate, folder)
            target, is_linked = checkpoint_folder / candidate.name, bool(candidate.plugin) or not candidate.published
            _restore_files(folder, manifest, target, is_cancelled, is_linked=is_linked)
        except PermanentError as error:
            log_line(f"the run does not resume from {candidate.location}: {error}")
        else:
            return candidate, Checkpoint(step=candidate.step, path=str(target), model=manifest.model)
    return None


def add_restored(
    earlier_attempts: EarlierAttempts, origin: RecoverableCheckpoint, restored: Checkpoint
) -> EarlierAttempts:
    """Return the earlier attempts with the restored checkpoint."""
    published = {restored.step: frozenset({origin.address})} if origin.published else {}
    return dataclasses.replace(
        earlier_attempts,
        checkpoints={**earlier_attempts.checkpoints, restored.path: restored},
        published={**earlier_attempts.published, **published},
    )


def _get_checkpoint_folder(document: JobDocument) -> Path | None:
    """Return the folder where the run saves its checkpoints; None for a workload without checkpoints."""
    return plugin_loader.load_workload_plugin(document).checkpoints(document, Path(document.placement.work))


def _find_in_folders(document: JobDocument) -> Iterator[RecoverableCheckpoint]:
    submission_id = contract_document.read_submission_id(document)
    platform_folder = targets.get_platform_folder(document)
    leftover_folder: Path | None = None
    with suppress(contract_document.UnsetVariable):
        leftover_folder = contract_document.resolve_folder(document.placement.left) if document.placement.left else None
    for parent, folders, files in (
        os.walk(leftover_folder) if leftover_folder else ()
    ):  # the folder is missing on a first attempt
        folder = Path(parent)
        if MANIFEST not in files or not folder.name.isdecimal():
            continue
        folders.clear()
        manifest = checkpoint.read_manifest(folder)
        if manifest and manifest.run == document.run and (not submission_id or manifest.submission == submission_id):
            published = folder.parent == platform_folder
            name = targets.get_platform_folder_name(document)
            display_name = f"{name}/{folder.name}" if published and name else ""
            yield _make_recoverable(folder, manifest, published, display_name)
    for target in plugin_loader.load_workload_plugin(document).targets(document, {}) if submission_id else ():
        if Path(target.to).is_absolute():
            for _, folder in checkpoint.list_checkpoints(Path(target.to)):
                folder_manifest = checkpoint.read_manifest(folder)
                if folder_manifest and (folder_manifest.run, folder_manifest.submission) == (
                    document.run,
                    submission_id,
                ):
                    yield _make_recoverable(folder, folder_manifest, published=True)


def _make_recoverable(
    folder: Path, manifest: CheckpointManifest, published: bool, display_name: str = ""
) -> RecoverableCheckpoint:
    location, tracking = str(folder), manifest.tracking
    return RecoverableCheckpoint(
        step=manifest.step, location=location, tracking=tracking, published=published, display_name=display_name
    )


def _fetch_recoverable(recoverable: RecoverableCheckpoint, fetch: Callable[[RecoverableCheckpoint], Path]) -> Path:
    """Return the folder of a fetched checkpoint. Raise PermanentError if it is damaged.

    Raise JobFailed if it cannot be fetched: the run must not start from step 0 and overwrite it.
    """
    try:
        return fetch(recoverable)
    except JobFailed as failed:
        if failed.fault == "data":
            raise PermanentError(failed.reason) from failed
        step, location = recoverable.step, recoverable.location
        reason = f"step {step} of an earlier attempt cannot be restored from {location}: {failed.reason}"
        raise JobFailed(reason, failed.exit_code, failed.fault) from failed


def _read_expected_manifest(
    document: JobDocument, expected_checkpoint: RecoverableCheckpoint, folder: Path
) -> CheckpointManifest:
    """Return the manifest of a checkpoint. Raise PermanentError if it is not the expected one."""
    manifest = checkpoint.read_manifest(folder)
    submission_id = contract_document.read_submission_id(document)
    if manifest is None:
        raise PermanentError(f"{folder} was never completed")
    if (manifest.run, manifest.job, manifest.step) != (document.run, document.job, expected_checkpoint.step):
        raise PermanentError(f"it is step {manifest.step} of the run {manifest.run}")
    if submission_id and manifest.submission != submission_id:
        raise PermanentError(f"it is of another submission ({manifest.submission})")
    return manifest


def _restore_files(
    folder: Path, manifest: CheckpointManifest, target: Path, is_cancelled: CancelCheck, is_linked: bool
) -> None:
    """Link or copy a checkpoint: a published one must not share its files. Raise PermanentError, OSError, Cancelled."""

    def check(copy: Path) -> None:
        if problem := checkpoint.validate_checkpoint(copy):
            raise PermanentError(problem.replace(str(copy), str(folder)))

    if os.path.lexists(target):
        checkpoint.set_torn_aside(target)
    files = {path: folder / path for path in (*manifest.files, MANIFEST)}
    atomic_copy.replace_folder(files, target, is_cancelled, key=manifest.run, check=check, linked=is_linked)
