"""Whether the kernel killed a process for want of memory: counters that are read before and after."""

import re
from pathlib import Path

ROOT = Path("/")


def kills(root: Path = ROOT) -> int:
    """How many so far: in this process's own control group where that counts them, else on the whole machine."""
    for counter in (*_groups(root), root / "proc/vmstat"):
        if found := re.search(r"^oom_kill (\d+)$", _text(counter), re.MULTILINE):
            return int(found[1])
    return 0


def _groups(root: Path) -> list[Path]:
    """The counters of the control group; in a container its path is often that outside, and not there."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += [root / "sys/fs/cgroup" / place / "memory.events" for place in (path.strip("/"), "")]
        elif "memory" in controllers.split(","):
            v1 = root / "sys/fs/cgroup/memory"
            found += [v1 / place / "memory.oom_control" for place in (path.strip("/"), "")]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
