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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain_runtime.event import Note

MANIFEST = "robotrain-checkpoint.json"
"""The file beside a checkpoint's own that says what they hold."""
SCHEMA = 1
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a complete checkpoint holds: SHA-256 by path. run, job: what made it. model: the part that is the model.

    submission: the platform's id of the submission that made it. tracking: the id of its tracking run. Both may be
    empty, and then are not written: who knows nothing of them reads it too.
    """

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


def seal(
    folder: Path,
    *,
    step: int,
    run: str,
    job: str,
    model: str = "",
    submission: str = "",
    tracking: str = "",
    at: Path | None = None,
) -> Manifest:
    """Write the manifest of a checkpoint that is complete. at: where to; in the folder itself when it is not given.

    Raises OSError.
    """
    files = digests(folder)
    if not files:
        raise FileNotFoundError(f"{folder} holds no files")
    of = {name: value for name, value in (("submission", submission), ("tracking", tracking)) if value}
    manifest = Manifest(step=step, run=run, job=job, files=files, model=model, **of)
    at = at or folder / MANIFEST
    scratch = at.with_name(f".{at.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as file:
        body = {"schema": SCHEMA, "step": step, "run": run, "job": job, "files": files, "model": model, **of}
        file.write(json.dumps(body, indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, at)
    return manifest


def read(folder: Path, at: Path | None = None) -> Manifest | None:
    """The manifest of a checkpoint; None when it was never sealed, or by a robotrain that wrote otherwise. at: where it
    lies; in the folder itself when it is not given.
    """
    try:
        data = json.loads((at or folder / MANIFEST).read_text(encoding="utf-8"))
        if data.pop("schema") != SCHEMA:
            return None
        return Manifest(**{**data, "step": int(data["step"]), "files": dict(data["files"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def wrong_with(folder: Path, at: Path | None = None) -> str:
    """Why a checkpoint cannot be taken, without a full stop; empty when every byte is as it was sealed. at: as in
    `read`.
    """
    manifest = read(folder, at)
    if manifest is None:
        return f"{folder} was never completed"
    for path, digest in manifest.files.items():
        try:
            if digest_of(folder / path) != digest:
                return f"{folder / path} is not what was saved"
        except OSError as error:
            return f"{folder / path} cannot be read: {error.strerror}"
    return ""


def last_good(
    parent: Path, *, run: str = "", job: str = "", skipped: Callable[[Path, str], object] = lambda folder, why: None
) -> tuple[int, Path] | None:
    """Step and folder of the newest checkpoint below `parent` that is complete to the byte.

    run, job: whose it must be; empty for anybody's. skipped: called with each newer one and why it cannot be taken.
    """
    for step, folder in steps(parent):
        manifest = read(folder)
        if manifest and run and manifest.run != run:
            why = f"{folder} is of the run {manifest.run}"
        elif manifest and job and manifest.job != job:
            why = f"{folder} is of another job"
        else:
            why = wrong_with(folder)
        if not why:
            return step, folder
        skipped(folder, why)
    return None


def go_on(parent: Path, *, run: str, job: str) -> tuple[tuple[int, Path] | None, tuple[Note, ...]]:
    """Where a run that was cut short goes on: its last good checkpoint, and notes on what lies beyond it.

    What lies beyond is put aside, so that the trainer can write there again. Raises OSError when that cannot be done.
    """
    from robotrain_runtime.event import Note

    beyond: list[tuple[Path, str]] = []
    good = last_good(parent, run=run, job=job, skipped=lambda folder, why: beyond.append((folder, why)))
    said = (f"{why}: kept as {put_aside(folder).name}, not used" for folder, why in beyond)
    return good, tuple(Note(level="warning", text=text) for text in said)


def put_aside(folder: Path) -> Path:
    """Rename a checkpoint that cannot be taken to `<step>.torn-<n>`, a name that nobody takes for one."""
    free = (folder.with_name(f"{folder.name}.torn-{number}") for number in itertools.count(1))
    aside = next(name for name in free if not os.path.lexists(name))
    folder.rename(aside)
    return aside


def steps(parent: Path) -> Iterator[tuple[int, Path]]:
    """Step and folder of each checkpoint below `parent`, newest first; complete or not."""
    try:
        entries = [
            entry for entry in os.scandir(parent) if entry.name.isdecimal() and entry.is_dir(follow_symlinks=False)
        ]
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in sorted(entries, key=lambda entry: int(entry.name), reverse=True):
        yield int(entry.name), Path(entry.path)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below `folder`, by its path. Raises OSError."""
    return {path: digest_of(folder / path) for path in _files(folder)}


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.name != MANIFEST
            and not path.name.startswith(f".{MANIFEST}")
        ):
            yield path.relative_to(folder).as_posix()


def digest_of(path: Path) -> str:
    """SHA-256 of a file; a link's is that of what it leads to. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
