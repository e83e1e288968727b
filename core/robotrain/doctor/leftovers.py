"""Health check of what interrupted commands left in the state folder."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.machine import disk_cache

from robotrain.model.amounts import format_size
from robotrain.model.health import (
    HealthFix,
    HealthResult,
    report_ok,
)
from robotrain.store import files

MIN_AGE_SECONDS = 24 * 3600
"""A younger file may be in use."""
SCRATCH_PATTERNS = ("runs/.*", "runs/*/.record-*.tmp", "runs/*/plan/.robotrain-plan-*.tmp", "payloads/.*")


def check_leftovers() -> Iterator[HealthResult]:
    """Report temporary files of interrupted commands that are old enough to remove."""
    leftovers = list(_find_leftovers())
    if not leftovers:
        yield report_ok("none")
        return
    size = sum(disk_cache.measure_folder(path).size if path.is_dir() else _measure_file(path) for path in leftovers)
    leftover_text = f"{len(leftovers)} temporary file{'' if len(leftovers) == 1 else 's'} of interrupted commands"
    fix = HealthFix(f"remove {leftover_text} below {files.get_state_folder()}", lambda: _remove_leftovers(leftovers))
    yield HealthResult("ok", f"{leftover_text}, {format_size(size)}", fix=fix)


def _find_leftovers() -> Iterator[Path]:
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


def _measure_file(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _remove_leftovers(paths: list[Path]) -> str:
    count = 0
    for path in paths:
        if not _is_old(path):  # in use again
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
        count += 1
    return f"removed {count}"
