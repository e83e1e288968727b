"""Removal of the folder of an ended run.

It keeps tracked, registered and published checkpoints, and what the run wrote outside its folder.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from robotrain.messages import Messages
from robotrain.model.run import RemovedInPart

make_problem = Messages(__file__)

REMOVED_SUFFIX = ".gone"
LINKED = "its folder is a link to another one"


def make_removed_path(folder: Path) -> Path:
    """Return the name that a run folder has while it is removed: a part of it is never visible under its own."""
    return folder.with_name(f".{folder.name}.{os.urandom(4).hex()}{REMOVED_SUFFIX}")


def make_files_left_error(folder: Path, removed_path: Path, reason: str) -> RemovedInPart:
    """Return the error of a run folder of which something is left under the name that it has while it is removed."""
    return RemovedInPart(
        [make_problem("run-files-left", name=folder.name, folder=removed_path, why=reason.rstrip("."))]
    )


def remove_folder(folder: Path, dry_run: bool) -> int | None:
    """Remove a folder unless `dry_run` is set. Return the bytes freed; None if it stays: another user's is theirs.

    Raise OSError, before anything is removed, or RemovedInPart.
    """
    if folder.is_symlink():  # its name could be removed, and its files would stay
        raise OSError(errno.ELOOP, LINKED)
    if folder.stat().st_uid != os.geteuid():
        return None
    from robotrain_runtime.machine import disk_cache  # costs start-up of `status`

    freed_bytes = disk_cache.measure_folder(folder).reclaimable
    if not dry_run:
        removed_path = make_removed_path(folder)
        os.rename(folder, removed_path)
        try:
            shutil.rmtree(removed_path)
        except OSError as error:
            raise make_files_left_error(folder, removed_path, error.strerror or str(error)) from error
    return freed_bytes
