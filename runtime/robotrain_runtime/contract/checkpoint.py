"""Checkpoints, sealed: a manifest beside the files says what each of them holds, so that a torn one is never taken.

A checkpoint is a folder named by its step; `last` and every other link is none.
"""

from __future__ import annotations  # whoever wants the name of a seal alone need not load the events

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Note

MANIFEST = "robotrain-checkpoint.json"
"""The file beside a checkpoint's own that says what they hold."""
SCHEMA = 1
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest:
    """What a complete checkpoint holds: SHA-256 by path. run, job: what made it. model: the part that is the model.

    submission: the platform's id of the submission that made it. tracking: the id of its tracking run. Both may be
    empty, and then are not written: who knows nothing of them reads it too.
    """

    FILE_NAME: ClassVar = MANIFEST
    """The manifest's file, written last."""

    step: int
    run: str
    job: str
    files: Mapping[str, str]
    model: str = ""
    submission: str = ""
    tracking: str = ""

    @property
    def digest(self) -> str:
        """64 hex digits over every file and its path."""
        total = hashlib.sha256()
        for path, digest in sorted(self.files.items()):
            total.update(f"{digest} {path}\n".encode())
        return total.hexdigest()

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
    """Write the manifest of a checkpoint that is complete. at: where to; in the folder itself when it is not given.

    Raises OSError.
    """
    files = hash_files(folder)
    if not files:
        raise FileNotFoundError(f"{folder} holds no files")
    of = {name: value for name, value in (("submission", submission), ("tracking", tracking)) if value}
    manifest = CheckpointManifest(step=step, run=run, job=job, files=files, model=model, **of)
    manifest_path = manifest_path or folder / MANIFEST
    scratch = manifest_path.with_name(f".{manifest_path.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as file:
        body = {"schema": SCHEMA, "step": step, "run": run, "job": job, "files": files, "model": model, **of}
        file.write(json.dumps(body, indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, manifest_path)
    return manifest


def read_manifest(folder: Path, manifest_path: Path | None = None) -> CheckpointManifest | None:
    """The manifest of a checkpoint; None when it was never sealed, or by a robotrain that wrote otherwise. at: where it
    lies; in the folder itself when it is not given.
    """
    try:
        data = json.loads((manifest_path or folder / MANIFEST).read_text(encoding="utf-8"))
        if data.pop("schema") != SCHEMA:
            return None
        return CheckpointManifest(**{**data, "step": int(data["step"]), "files": dict(data["files"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def validate_checkpoint(folder: Path, manifest_path: Path | None = None) -> str:
    """Why a checkpoint cannot be taken, without a full stop; empty when every byte is as it was sealed. at: as in
    `read`.
    """
    manifest = read_manifest(folder, manifest_path)
    if manifest is None:
        return f"{folder} was never completed"
    for path, digest in manifest.files.items():
        try:
            if hash_file(folder / path) != digest:
                return f"{folder / path} is not what was saved"
        except OSError as error:
            return f"{folder / path} cannot be read: {error.strerror}"
    return ""


def find_last_complete(
    parent: Path, *, run: str = "", job: str = "", on_skip: Callable[[Path, str], object] = lambda folder, why: None
) -> tuple[int, Path] | None:
    """Step and folder of the newest checkpoint below `parent` that is complete to the byte.

    run, job: whose it must be; empty for anybody's. skipped: called with each newer one and why it cannot be taken.
    """
    for step, folder in list_checkpoints(parent):
        manifest = read_manifest(folder)
        if manifest and run and manifest.run != run:
            why = f"{folder} is of the run {manifest.run}"
        elif manifest and job and manifest.job != job:
            why = f"{folder} is of another job"
        else:
            why = validate_checkpoint(folder)
        if not why:
            return step, folder
        on_skip(folder, why)
    return None


def find_resume_point(parent: Path, *, run: str, job: str) -> tuple[tuple[int, Path] | None, tuple[Note, ...]]:
    """Where a run that was cut short goes on: its last good checkpoint, and notes on what lies beyond it.

    What lies beyond is put aside, so that the trainer can write there again. Raises OSError when that cannot be done.
    """
    from robotrain_runtime.contract.event import Note

    beyond: list[tuple[Path, str]] = []
    good = find_last_complete(parent, run=run, job=job, on_skip=lambda folder, why: beyond.append((folder, why)))
    said = (f"{why}: kept as {set_torn_aside(folder).name}, not used" for folder, why in beyond)
    return good, tuple(Note(level="warning", text=text) for text in said)


def set_torn_aside(folder: Path) -> Path:
    """Rename a checkpoint that cannot be taken to `<step>.torn-<n>`, a name that nobody takes for one."""
    free = (folder.with_name(f"{folder.name}.torn-{number}") for number in itertools.count(1))
    aside = next(name for name in free if not os.path.lexists(name))
    folder.rename(aside)
    return aside


def list_checkpoints(parent: Path) -> Iterator[tuple[int, Path]]:
    """Step and folder of each checkpoint below `parent`, newest first; complete or not."""
    try:
        entries = [
            entry for entry in os.scandir(parent) if entry.name.isdecimal() and entry.is_dir(follow_symlinks=False)
        ]
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in sorted(entries, key=lambda entry: int(entry.name), reverse=True):
        yield int(entry.name), Path(entry.path)


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below `folder`, by its path. Raises OSError."""
    return {path: hash_file(folder / path) for path in _list_files(folder)}


def _list_files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.name != MANIFEST
            and not path.name.startswith(f".{MANIFEST}")
        ):
            yield path.relative_to(folder).as_posix()


def hash_file(path: Path) -> str:
    """SHA-256 of a file; a link's is that of what it leads to. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
