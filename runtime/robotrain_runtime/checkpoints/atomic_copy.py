"""Atomic copies of checkpoints and results: complete under their name, or absent."""

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.failure import CancelCheck, Cancelled, PermanentError
from robotrain_runtime.contract.files import make_atomically

CHUNK = 1 << 22
RENAME_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV)
"""The errors of a mounted object store that cannot rename folders."""


def copy_checkpoint(folder: Path, manifest: CheckpointManifest, to: Path, is_cancelled: CancelCheck) -> bool:
    """Copy a sealed folder into the folder `to`, under its own name. Return whether it was copied, not there already.

    `to` is created, its parent is not: that may be a disk that is not mounted yet. Raise OSError, PermanentError if
    the name is taken, Cancelled.
    """
    target = to / folder.name
    if old_manifest := checkpoint.read_manifest(target):
        if old_manifest.run != manifest.run:
            raise PermanentError(f"{target} is of the run {old_manifest.run}")
        if old_manifest.digest == manifest.digest and all((target / path).is_file() for path in manifest.files):
            return False
    elif os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
        raise PermanentError(f"{target} is something else")
    to.mkdir(exist_ok=True)

    def verify_copy(copy: Path) -> None:
        if problem := checkpoint.validate_checkpoint(copy):
            if source_problem := checkpoint.validate_checkpoint(folder):
                raise PermanentError(source_problem)
            raise OSError(f"the copy differs: {problem}")

    files = {path: folder / path for path in (*manifest.files, MANIFEST)}
    replace_folder(files, target, is_cancelled, key=manifest.run, check=verify_copy)
    return True


def trim_checkpoints(to: Path, run: str, keep_last: int) -> list[Path]:
    """Remove all but the last `keep_last` checkpoints of `run` in `to`; return their folders. Raise OSError."""
    checkpoint_folders = [
        folder
        for _, folder in checkpoint.list_checkpoints(to)
        if (manifest := checkpoint.read_manifest(folder)) and manifest.run == run
    ]
    removed_folders = []
    for folder in reversed(checkpoint_folders[max(keep_last, 1) :]):
        hidden_folder = folder.with_name(f".{folder.name}.{run}.old")
        shutil.rmtree(hidden_folder, ignore_errors=True)
        folder.rename(hidden_folder)  # atomically: a reader never sees half of it
        shutil.rmtree(hidden_folder, ignore_errors=True)
        removed_folders.append(folder)
    return removed_folders


def replace_folder(
    files: Mapping[str, Path],
    target: Path,
    is_cancelled: CancelCheck,
    *,
    key: str,
    check: Callable[[Path], object] = lambda copy: None,
    linked: bool = False,
) -> None:
    """Replace the folder `target` by one with `files` (by path): copied beside it, then swapped.

    Where folders cannot be renamed, the files are written in place, the last one when all others are complete. Raise
    OSError, PermanentError or Cancelled.

    key: as in `make_atomically`.
    check: raises an error if the copy is damaged.
    linked: hard-link files on the same disk.
    """
    try:
        with make_atomically(target, replace=True, key=key) as scratch:
            for path, source_file in files.items():
                (scratch / path).parent.mkdir(parents=True, exist_ok=True)
                if linked:
                    with suppress(OSError):
                        os.link(source_file, scratch / path)
                        continue
                copy_file(source_file, scratch / path, is_cancelled)
            check(scratch)
    except OSError as error:
        if error.errno not in RENAME_UNSUPPORTED:
            raise
        _rewrite_in_place(files, target, is_cancelled)
        check(target)


def _rewrite_in_place(files: Mapping[str, Path], target: Path, is_cancelled: CancelCheck) -> None:
    """Write the files in place; the last one, without which the folder is incomplete, is removed first."""
    *_, last_file = files
    (target / last_file).unlink(missing_ok=True)
    try:
        copy_files_into(files, target, is_cancelled)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def copy_file(source: Path, target: Path, is_cancelled: CancelCheck) -> None:
    """Copy a file and flush it to the disk. Raise OSError, Cancelled, or PermanentError if it does not exist."""
    if not source.exists():
        raise PermanentError(f"{source} is gone")
    with source.open("rb") as source_file, target.open("wb") as target_file:
        while chunk := source_file.read(CHUNK):
            if is_cancelled():
                raise Cancelled
            target_file.write(chunk)
        target_file.flush()
        os.fsync(target_file.fileno())


def remove_leftovers(to: Path, key: str) -> None:
    """Remove the incomplete copies of a killed process, beside their name and under it."""
    with suppress(OSError):
        for scratch in to.iterdir():
            if scratch.name.startswith(".") and scratch.name.endswith((f".{key}.part", f".{key}.old")):
                target = to / scratch.name[1:].removesuffix(f".{key}.part")
                if target.is_dir() and not (target / MANIFEST).exists():
                    shutil.rmtree(target, ignore_errors=True)
                shutil.rmtree(scratch, ignore_errors=True)


def copy_sealed_into(folder: Path, to: Path, is_cancelled: CancelCheck) -> bool:
    """Copy the sealed files of `folder` directly into `to`. Return whether they were copied, not there already.

    Files that an earlier attempt of the run copied and that are not sealed any more are removed. Raise OSError,
    Cancelled, or PermanentError if `to` holds files of another run.
    """
    manifest = checkpoint.read_manifest(folder)
    old_manifest = checkpoint.read_manifest(to)
    if manifest is None:
        raise PermanentError(f"{folder} was never completed")
    if old_manifest and old_manifest.run != manifest.run:
        raise PermanentError(f"{to} holds files of the run {old_manifest.run}")
    if old_manifest and old_manifest.digest == manifest.digest and not checkpoint.validate_checkpoint(to):
        return False
    to.mkdir(exist_ok=True)
    (to / MANIFEST).unlink(missing_ok=True)  # without it the copy counts as incomplete
    for path in (old_manifest.files.keys() - manifest.files.keys()) if old_manifest else ():
        (to / path).unlink(missing_ok=True)
    copy_files_into({path: folder / path for path in (*manifest.files, MANIFEST)}, to, is_cancelled)
    if problem := checkpoint.validate_checkpoint(to):
        (to / MANIFEST).unlink(missing_ok=True)
        raise OSError(f"the copy differs: {problem}")
    return True


def copy_files_into(sources: Mapping[str, Path], to: Path, is_cancelled: CancelCheck) -> None:
    """Copy each file to its path below `to`, in order, replacing existing ones. Raise OSError or Cancelled."""
    for path, source in sources.items():
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        try:
            copy_file(source, scratch, is_cancelled)
            os.replace(scratch, target)
        except OSError as error:
            if error.errno not in RENAME_UNSUPPORTED:
                raise
            copy_file(source, target, is_cancelled)
        finally:
            scratch.unlink(missing_ok=True)
