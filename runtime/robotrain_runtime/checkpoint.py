"""Checkpoints, sealed: a manifest beside the files says what each of them holds, so that a torn one is never taken.

A checkpoint is a folder named by its step; `last` and every other link is none.
"""

import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.event import Note

MANIFEST = "robotrain-checkpoint.json"
SCHEMA = 1
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a complete checkpoint holds: SHA-256 by path. run, job: what made it. model: the part that is the model."""

    step: int
    run: str
    job: str
    files: Mapping[str, str]
    model: str = ""

    @property
    def digest(self) -> str:
        """64 hex digits over every file and its path."""
        total = hashlib.sha256()
        for path, digest in sorted(self.files.items()):
            total.update(f"{digest} {path}\n".encode())
        return total.hexdigest()


def seal(folder: Path, *, step: int, run: str, job: str, model: str = "") -> Manifest:
    """Write the manifest of a checkpoint that is complete. Raises OSError."""
    files = {path: _digest(folder / path) for path in _files(folder)}
    if not files:
        raise FileNotFoundError(f"{folder} holds no files")
    manifest = Manifest(step=step, run=run, job=job, files=files, model=model)
    scratch = folder / f".{MANIFEST}.{os.getpid()}"
    with scratch.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"schema": SCHEMA} | dataclasses.asdict(manifest), indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, folder / MANIFEST)
    return manifest


def read(folder: Path) -> Manifest | None:
    """The manifest of a checkpoint; None when it was never sealed, or by a robotrain that wrote otherwise."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if data.pop("schema") != SCHEMA:
            return None
        return Manifest(**{**data, "step": int(data["step"]), "files": dict(data["files"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def wrong_with(folder: Path) -> str:
    """Why a checkpoint cannot be taken, without a full stop; empty when every byte is as it was sealed."""
    manifest = read(folder)
    if manifest is None:
        return f"{folder} was never completed"
    for path, digest in manifest.files.items():
        try:
            if _digest(folder / path) != digest:
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


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.name != MANIFEST
            and not path.name.startswith(f".{MANIFEST}")
        ):
            yield path.relative_to(folder).as_posix()


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
