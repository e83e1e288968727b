"""What commands that were killed left in the state folder: files beside their places, of no use to anybody."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import disk_use

from robotrain import folders
from robotrain.amounts import size
from robotrain.health import Finding, Fix, ok

OLD = 24 * 3600
"""Seconds: whoever wrote a younger one may still be at it."""
PATTERNS = ("runs/.*", "runs/*/.record-*.tmp", "runs/*/plan/.robotrain-plan-*.tmp", "payloads/.*")


def leftovers() -> Iterator[Finding]:
    """Those that are old enough to be nobody's."""
    found = list(_found())
    if not found:
        yield ok("none")
        return
    room = sum(disk_use.held(path).size if path.is_dir() else _size(path) for path in found)
    what = f"{len(found)} scratch file{'' if len(found) == 1 else 's'} of commands that were cut off"
    says = f"remove {what} below {folders.state()}"
    yield Finding("ok", f"{what}, {size(room)}", fix=Fix(says, lambda: _remove(found)))


def _found() -> Iterator[Path]:
    """Names that only a command at work has, and payloads that no kept plan shares any more."""
    state = folders.state()
    for pattern in PATTERNS:
        yield from (path for path in state.glob(pattern) if _old(path))
    for payload in state.glob("payloads/*.zip"):
        if _old(payload) and payload.stat().st_nlink == 1:
            yield payload


def _old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > OLD
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _remove(found: list[Path]) -> str:
    count = 0
    for path in found:
        if not _old(path):  # somebody took it up again
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
        count += 1
    return f"removed {count}"
