"""Temporary files that interrupted commands left in the state folder."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain.store import files

MIN_AGE_SECONDS = 24 * 3600
"""A younger file may be in use."""
SCRATCH_PATTERNS = ("runs/.*", "runs/*/.record-*.tmp", "runs/*/plan/.robotrain-plan-*.tmp", "payloads/.*")


def remove_scratch() -> int:
    """Remove what no command can need any more; return how many files and folders that were."""
    count = 0
    for path in list(_find_scratch()):
        if _is_old(path):  # else it is in use again
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
            count += 1
    return count


def _find_scratch() -> Iterator[Path]:
    """Yield temporary files of commands, and payloads that no stored plan links to."""
    state = files.get_state_folder()
    for pattern in SCRATCH_PATTERNS:
        yield from (path for path in state.glob(pattern) if _is_old(path))
    for payload in state.glob("payloads/*.zip"):
        if _is_old(payload) and payload.stat().st_nlink == 1:
            yield payload


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > MIN_AGE_SECONDS
    except OSError:
        return False
