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

CHUNK = 1 << 22
RENAME_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV)
"""How a mounted store of objects says that it renames no folder."""

IsCancelled = Callable[[], bool]


def copy_checkpoint(folder: Path, manifest: CheckpointManifest, to: Path, is_cancelled: IsCancelled) -> bool:
    """Copy what is sealed in `folder` to `to`, under its own name; False when it was there already.

    `to` is made, the folder above it is not: a disk that is not mounted yet is waited for, not written under. Raises
    OSError; Never when the name is taken by something else; Halted.
    """
    target = to / folder.name
    if there := checkpoint.read_manifest(target):
        if there.run != manifest.run:
            raise PermanentError(f"{target} is of the run {there.run}")
        if there.digest == manifest.digest and _has_all_files(target, manifest):
            return False
    elif os.path.lexists(target) and not _is_empty_folder(target):
        raise PermanentError(f"{target} is something else")
    if not to.is_dir():
        to.mkdir()
    files = {path: folder / path for path in (*manifest.files, MANIFEST)}
    replace_folder(files, target, is_cancelled, key=manifest.run, check=lambda copy: _verify_copy(copy, folder))
    return True


def trim_checkpoints(to: Path, run: str, keep_last: int) -> list[Path]:
    """Remove the oldest checkpoints of `run` in `to` but for the last `keep`: where they were. Raises OSError."""
    own = [
        folder
        for _, folder in checkpoint.list_checkpoints(to)
        if (made := checkpoint.read_manifest(folder)) and made.run == run
    ]
    removed = []
    for folder in reversed(own[max(keep_last, 1) :]):
        old = get_hidden_path(folder, run, "old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)  # at no moment is there half of it under its name
        shutil.rmtree(old, ignore_errors=True)
        removed.append(folder)
    return removed


def replace_folder(
    files: Mapping[str, Path],
    target: Path,
    is_cancelled: IsCancelled,
    *,
    key: str,
    check: Callable[[Path], object] = lambda copy: None,
    linked: bool = False,
) -> None:
    """Make the folder `target` hold `files`, by its paths: copied beside it, then swapped with what was there.

    Where no folder can be renamed they are written under their name, the last of them when all others are there.
    key: of whoever does this; what an earlier try of theirs left is cleared away. check: raises when the copy is not
    right. linked: a file of the same disk is linked instead. Raises OSError, PermanentError, Cancelled.
    """
    scratch = get_hidden_path(target, key, "part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for path, source in files.items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            if not (linked and _link_file(source, scratch / path)):
                copy_file(source, scratch / path, is_cancelled)
        check(scratch)
        try:
            _swap_folders(scratch, target, get_hidden_path(target, key, "old"))
        except OSError as error:
            if error.errno not in RENAME_UNSUPPORTED:
                raise
            _rewrite_in_place(files, target, is_cancelled)
            check(target)
            shutil.rmtree(scratch, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def copy_file(source: Path, target: Path, is_cancelled: IsCancelled) -> None:
    """Copy one file, to the disk. Raises OSError, Cancelled; PermanentError when there is none."""
    if not source.exists():
        raise PermanentError(f"{source} is gone")
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK):
            if is_cancelled():
                raise Cancelled
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())


def get_hidden_path(target: Path, key: str, suffix: str) -> Path:
    """The name beside `target` of what is not ready, or not needed any more."""
    return target.with_name(f".{target.name}.{key}.{suffix}")


def remove_leftovers(to: Path, key: str) -> None:
    """Remove what a process that was killed left half copied, beside its name or under it."""
    with suppress(OSError):
        for left in to.iterdir():
            if left.name.startswith(".") and left.name.endswith((f".{key}.part", f".{key}.old")):
                under = to / left.name[1:].removesuffix(f".{key}.part")
                if under.is_dir() and not (under / MANIFEST).exists():
                    shutil.rmtree(under, ignore_errors=True)
                shutil.rmtree(left, ignore_errors=True)


def _verify_copy(copy: Path, original: Path) -> None:
    if said := checkpoint.validate_checkpoint(copy):
        if changed := checkpoint.validate_checkpoint(original):
            raise PermanentError(changed)
        raise OSError(f"the copy differs: {said}")


def _swap_folders(new: Path, target: Path, old: Path) -> None:
    """`new` takes the place of `target`; at no moment is there half of either under that name."""
    if target.is_dir() and not _is_empty_folder(target):
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    with suppress(OSError):  # a mounted store may not know how
        _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _rewrite_in_place(files: Mapping[str, Path], target: Path, is_cancelled: IsCancelled) -> None:
    """Without its last file it counts as unfinished, so that goes first and comes last."""
    *_, last = files
    (target / last).unlink(missing_ok=True)
    try:
        for path, source in files.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            copy_file(source, target / path, is_cancelled)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _link_file(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _has_all_files(folder: Path, manifest: CheckpointManifest) -> bool:
    return all((folder / path).is_file() for path in manifest.files)


def copy_sealed_into(folder: Path, to: Path, is_cancelled: CancelCheck) -> bool:
    """Lay what is sealed in `folder` directly into `to`; False when it lies there already. What an earlier try of the
    same run laid there, and is no part of it any more, goes.

    Raises OSError, Cancelled; PermanentError when another run's lies there.
    """
    made, there = checkpoint.read_manifest(folder), checkpoint.read_manifest(to)
    if made is None:
        raise PermanentError(f"{folder} was never completed")
    if there and there.run != made.run:
        raise PermanentError(f"{to} holds what the run {there.run} left")
    if there and there.digest == made.digest and not checkpoint.validate_checkpoint(to):
        return False
    to.mkdir(exist_ok=True)
    (to / MANIFEST).unlink(missing_ok=True)  # without it nobody takes half of it for all
    for path in (there.files.keys() - made.files.keys()) if there else ():
        (to / path).unlink(missing_ok=True)
    copy_files_into({path: folder / path for path in (*made.files, MANIFEST)}, to, is_cancelled)
    if why := checkpoint.validate_checkpoint(to):
        (to / MANIFEST).unlink(missing_ok=True)
        raise OSError(f"the copy differs: {why}")
    return True


def copy_files_into(sources: Mapping[str, Path], to: Path, is_cancelled: CancelCheck) -> None:
    """Copy each file to its path below `to`, in their order; one of that name gives way. Raises OSError, Cancelled."""
    for path, source in sources.items():
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        try:
            copy_file(source, scratch, is_cancelled)
            _rename_or_copy(scratch, target, source, is_cancelled)
        finally:
            scratch.unlink(missing_ok=True)


def _rename_or_copy(scratch: Path, target: Path, source: Path, is_cancelled: CancelCheck) -> None:
    try:
        os.replace(scratch, target)
    except OSError as error:
        if error.errno not in RENAME_UNSUPPORTED:
            raise
        copy_file(source, target, is_cancelled)
