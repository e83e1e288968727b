"""Sealed checkpoints: a manifest with the digest of each file, so that a torn checkpoint is never used.

A checkpoint is a folder named after its step; `last` and other symbolic links do not count.
"""

from __future__ import annotations  # importing the manifest's name must not import the events

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from robotrain_runtime.contract.document_limits import MAX_MANIFEST_BYTES
from robotrain_runtime.contract.files import open_regular_file, read_limited_file, write_atomically
from robotrain_runtime.contract.json_values import convert_json, parse_json

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Note

MANIFEST = "robotrain-checkpoint.json"
"""The name of the manifest in a checkpoint's folder."""
SCHEMA = 1
PUBLISHED_JOB_FILE = "robotrain-job.yaml"
"""The job file of the job, in a checkpoint's folder."""
OUTPUT_TAG = "checkpoint_{}_output"
"""The tag of a tracking run that names the place of a checkpoint, by its folder's name, that is no artifact."""


def is_machine_path(value: object) -> bool:
    """Return whether a value is an absolute path, which is published nowhere: it tells of the machine that it is on."""
    return isinstance(value, str) and value.startswith(("/", "file:/"))


@dataclass(frozen=True, kw_only=True)
class CheckpointManifest:
    """The content of a complete checkpoint, and its origin."""

    FILE_NAME: ClassVar = MANIFEST
    """The manifest's file, written last."""

    step: int
    run: str
    job: str
    files: Mapping[str, str]
    """SHA-256 by path."""
    model: str = ""
    """The path of the model in the checkpoint."""
    submission: str = ""
    """The platform's id of the submission; not written if empty."""
    tracking: str = ""
    """The tracking run; not written if empty."""

    @property
    def model_files(self) -> dict[str, str]:
        """The SHA-256 of the model's files, by path in the model."""
        prefix = f"{self.model}/" if self.model else ""
        return {path.removeprefix(prefix): digest for path, digest in self.files.items() if path.startswith(prefix)}

    @property
    def digest(self) -> str:
        """64 hex digits over all files and their paths."""
        return combine_digests(self.files)

    @staticmethod
    def read(folder: Path) -> CheckpointManifest | None:
        """Return the manifest of a checkpoint folder; None when it is not sealed."""
        return read_manifest(folder)


def seal_checkpoint(
    folder: Path,
    *,
    step: int,
    run: str,
    job: str,
    model: str = "",
    submission: str = "",
    tracking: str = "",
    manifest_path: Path | None = None,
) -> CheckpointManifest:
    """Write the manifest of a complete checkpoint, in its folder by default. Raise OSError."""
    files = hash_files(folder)
    if not files:
        raise FileNotFoundError(f"{folder} holds no files")
    fields = (("submission", submission), ("tracking", tracking))
    origin = {name: value for name, value in fields if value}
    manifest = CheckpointManifest(step=step, run=run, job=job, files=files, model=model, **origin)
    manifest_bytes = format_manifest(manifest)
    if len(manifest_bytes) > MAX_MANIFEST_BYTES:
        max_mebibytes = MAX_MANIFEST_BYTES >> 20
        raise OSError(f"it has {len(files)} files: their names do not fit into a manifest of {max_mebibytes} MiB")
    write_atomically(manifest_path or folder / MANIFEST, manifest_bytes)
    return manifest


def format_manifest(manifest: CheckpointManifest) -> bytes:
    """Return the content of a manifest's file."""
    field_names = ("step", "run", "job", "files", "model", "submission", "tracking")
    fields = {name: getattr(manifest, name) for name in field_names}
    body = {name: field_value for name, field_value in fields.items() if field_value or name in field_names[:5]}
    return (json.dumps({"schema": SCHEMA, **body}, indent=1, sort_keys=True, default=dict) + "\n").encode()


def read_manifest(folder: Path, manifest_path: Path | None = None) -> CheckpointManifest | None:
    """Return the manifest of a checkpoint; None if there is none, or one of another schema."""
    try:
        return parse_manifest(read_limited_file(manifest_path or folder / MANIFEST, MAX_MANIFEST_BYTES))
    except (OSError, ValueError):
        return None


def parse_manifest(manifest_bytes: bytes) -> CheckpointManifest | None:
    """Parse the manifest of a checkpoint; None if it is damaged or of another schema."""
    try:
        manifest_object = parse_json(manifest_bytes)
        if not isinstance(manifest_object, dict) or manifest_object.pop("schema", None) != SCHEMA:
            return None
        manifest: CheckpointManifest | None = convert_json(
            CheckpointManifest, manifest_object, "", errors := list[str]()
        )
    except ValueError:
        return None
    if manifest is None or errors or not all(is_inside(path) for path in (manifest.model or ".", *manifest.files)):
        return None
    return manifest


def validate_checkpoint(folder: Path, manifest_path: Path | None = None) -> str:
    """Return why a checkpoint is not usable, without a full stop; empty if every byte is as it was sealed."""
    manifest = read_manifest(folder, manifest_path)
    if manifest is None:
        return f"{folder} was never completed"
    return find_changed_file(folder, manifest.files, "is not what was saved")


def find_changed_file(folder: Path, files: Mapping[str, str], verdict: str) -> str:
    """Return the first file that cannot be read or has another SHA-256 than `files` say, with why; empty for none."""
    for path, digest in files.items():
        if not is_inside(path):
            return f"{path!r} leads out of {folder}"
        try:
            if hash_file(folder / path) != digest:
                return f"{folder / path} {verdict}"
        except OSError as error:
            return f"{folder / path} cannot be read: {error.strerror}"
    return ""


def find_last_complete(
    parent: Path, *, run: str = "", job: str = "", on_skip: Callable[[Path, str], object] = lambda folder, reason: None
) -> tuple[int, Path] | None:
    """Return the step and folder of the newest checkpoint in `parent` that is complete to the byte.

    It must be of `run` and `job`, if given. `on_skip` is called with each newer one and why it is not usable.
    """
    for step, folder in list_checkpoints(parent):
        manifest = read_manifest(folder)
        if manifest and run and manifest.run != run:
            reason = f"{folder} is of the run {manifest.run}"
        elif manifest and job and manifest.job != job:
            reason = f"{folder} is of another job"
        else:
            reason = validate_checkpoint(folder)
        if not reason:
            return step, folder
        on_skip(folder, reason)
    return None


def find_resume_point(
    parent: Path, *, run: str, job: str, steps: int | None = None
) -> tuple[tuple[int, Path] | None, tuple[Note, ...]]:
    """Return the last complete checkpoint of an interrupted run, and notes about it and newer, unusable ones.

    Those are renamed, so that the trainer can write there again. Raise OSError if that fails. `steps`: those of the
    whole training, if they are known.
    """
    from robotrain_runtime.contract.event import Note

    skipped: list[tuple[Path, str]] = []
    last_checkpoint = find_last_complete(
        parent, run=run, job=job, on_skip=lambda folder, reason: skipped.append((folder, reason))
    )
    warnings = (f"{reason}: kept as {set_torn_aside(folder).name}, not used" for folder, reason in skipped)
    notes = tuple(Note(level="warning", text=text) for text in warnings)
    if last_checkpoint is None:
        return None, notes
    is_finished = steps is not None and last_checkpoint[0] >= steps
    state = "finished: no steps are left after" if is_finished else "was interrupted: resuming from"
    return last_checkpoint, (*notes, Note(level="info", text=f"an earlier attempt {state} step {last_checkpoint[0]}"))


def set_torn_aside(folder: Path) -> Path:
    """Rename an unusable checkpoint to `<step>.torn-<n>`, which is not a checkpoint's name; return the new path."""
    paths = (folder.with_name(f"{folder.name}.torn-{number}") for number in itertools.count(1))
    target = next(path for path in paths if not os.path.lexists(path))
    folder.rename(target)
    return target


def list_checkpoints(parent: Path) -> Iterator[tuple[int, Path]]:
    """Yield the step and folder of each checkpoint in `parent`, newest first, complete or not."""
    try:
        folder_entries = list(os.scandir(parent))
    except (FileNotFoundError, NotADirectoryError):
        return
    step_folders = [entry for entry in folder_entries if entry.name.isdecimal() and entry.is_dir(follow_symlinks=False)]
    for entry in sorted(step_folders, key=lambda entry: int(entry.name), reverse=True):
        yield int(entry.name), Path(entry.path)


ALL = "all"
"""What selects every checkpoint, in place of a number of steps."""


def select_steps(steps: Iterable[int], selection: str) -> list[int]:
    """Return the steps of checkpoints that are selected, ascending: all, or multiples of a number, and the last."""
    sorted_steps = sorted(steps)
    return [step for step in sorted_steps if selection == ALL or step % int(selection) == 0 or step == sorted_steps[-1]]


def is_inside(path: str) -> bool:
    """Return whether a path is relative and stays below the folder that it is joined to."""
    return not path.startswith("/") and ".." not in path.split("/") and "\0" not in path


def combine_digests(files: Mapping[str, str]) -> str:
    """Return the SHA-256 over the SHA-256 of files by path."""
    return hashlib.sha256("".join(f"{digest} {path}\n" for path, digest in sorted(files.items())).encode()).hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below `folder`, by path, without the manifest. Raise OSError."""
    scratch = f".{Path(MANIFEST).stem}"  # what a killed process left of a manifest
    return {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != MANIFEST and not path.name.startswith(scratch)
    }


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a regular file; links are followed. Raise OSError."""
    digest = hashlib.sha256()
    with open_regular_file(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
