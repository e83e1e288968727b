"""Whose fault it is that a run failed, so that whoever started it starts again only what can succeed.

A run that is stopped cannot tell why. Whoever stops it may leave the word for it first, as the only word of a file
`stop-reason` in the run's work folder, before the signal: `preempted` or `evicted`. A hook that the platform runs
before it stops a container writes it, or the process that watches over the run.
"""

import re
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain_runtime.event import INFRASTRUCTURE, Fault
from robotrain_runtime.failure import AGAIN, FAILED, PREFLIGHT
from robotrain_runtime.reason import TRACEBACK, plain

STOP_REASON = "stop-reason"
TOLD: tuple[Fault, ...] = ("preempted", "evicted")

NO_SUCH_NAME = r"Name or service not known|No address associated with hostname"
"""A host's name that is asked for and that nobody has: mistyped. Where nobody could be asked, it is told otherwise."""
SAYS: tuple[tuple[str, Fault], ...] = (
    (r"CUDA out of memory|(CUDA|HIP|MPS|XPU) .*out of memory|torch(\.\w+)*\.OutOfMemoryError", "configuration"),
    (r"insufficient shared memory|unable to (open|allocate) shared memory", "configuration"),
    (r"No space left on device|Disk quota exceeded|disk is full|ENOSPC", "disk_full"),
    (r"^MemoryError\b|Cannot allocate memory|can't allocate memory", "out_of_memory"),
    (NO_SUCH_NAME, "configuration"),
    (r"^[\w.]*(Connection|Connect|Protocol|Proxy)\w*Error\b", "network"),
    (r"^[\w.]*((Read|Connect|Write|Pool)Timeout(Error)?|Timeout(Error)?)\b", "network"),
    (r"^[\w.]*(gaierror|NameResolutionError|MaxRetryError|IncompleteRead|RemoteDisconnected)\b", "network"),
    (r"^[\w.]*(ServiceRequest|ServiceResponse|IncompleteRead|RemoteProtocol)Error\b", "network"),
    (r"Temporary failure in name resolution|Network is unreachable", "network"),
    (r"(?i)\bconnection (refused|reset|aborted)|\b(connection|operation|request|urlopen error) timed out", "network"),
    (
        r"\bHTTP\b.{0,24}\b5\d\d\b|\b5\d\d (Server Error|Internal Server|Bad Gateway|Service Unavail|Gateway Time)",
        "network",
    ),
    (r"\bstatus(_code| code)?\W{1,3}5\d\d\b|too many 50\d error responses", "network"),
)
"""What an error says, and whose fault that is; the first that fits. Of a GPU's memory the job can ask for less."""
KILLED = r"SIGKILL|killed by signal: Killed|exitcode\W+-9\b"
"""A program that says that one of its own processes was killed."""
OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def of_text(text: str) -> Fault:
    """That of an error, from what it says; empty when it does not tell."""
    return next((fault for pattern, fault in SAYS if re.search(pattern, text)), "")


def of_program(code: int, reason: str, lines: Sequence[str], out_of_memory: bool) -> Fault:
    """That of a program that failed. code: negative for a signal. reason: what `reason.of_exit` made of its lines.

    out_of_memory: whether the kernel killed something for want of memory meanwhile.
    """
    killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    if killed or any(re.search(KILLED, line) for line in lines):
        return "out_of_memory" if out_of_memory else ""
    if code < 0:
        return "stopped" if -code in OUTSIDE else "code"
    if said := of_text(reason):
        return said
    if any(line.startswith(TRACEBACK) for line in plain(lines)):
        return "code"
    return "configuration" if code == 2 else ""  # how argparse and its like end


def of_all(faults: Iterable[Fault]) -> Fault:
    """That of several: one of the surroundings only when all are, for else it fails again."""
    known = list(faults)
    lasting = [fault for fault in known if fault not in INFRASTRUCTURE]
    return next(iter(lasting or known), "")


def of_stop(work: Path) -> Fault:
    """Why the run is stopped: what was left in its folder, else that it was."""
    try:
        said = (work / STOP_REASON).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        said = ""
    return next((fault for fault in TOLD if fault == said), "stopped")


def forget_stop(work: Path) -> None:
    """What stopped an earlier attempt says nothing about this one."""
    (work / STOP_REASON).unlink(missing_ok=True)


def exit_code(code: int, fault: Fault) -> int:
    """The runtime's, for a run that failed with `code`: one that is worth another try says so, whatever failed."""
    return AGAIN if fault in INFRASTRUCTURE and code in (FAILED, PREFLIGHT) else code
