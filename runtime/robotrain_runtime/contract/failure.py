"""Failures: exit codes, findings, exceptions, and why a program failed and whose fault that is.

The exit codes of the runtime, for platforms whose rules of when to try again go by the code alone:

- 0: it succeeded.
- 1: it failed. So did the work itself, when it ended so; its own other codes are passed on as they are.
- 2: the document, or what it names, cannot be used.
- 4: preflight says that it would fail.
- 75: it failed of its surroundings (the network, say) and may succeed when it is started again; in place of 1 and 4.
- 128+n: signal n ended it: 143 and 130 when it was stopped, 137 when its work was killed.

A run that is stopped cannot tell why. Whoever stops it may leave the word for it first, as the only word of a file
`stop-reason` in the run's work folder, before the signal: `preempted` or `evicted`. A hook that the platform runs
before it stops a container writes it, or the process that watches over the run.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.event import INFRASTRUCTURE, Fault

CancelCheck = Callable[[], bool]
"""Whether what is done is to be dropped at once, as when the run's time is up."""


EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_PREFLIGHT = 4
EXIT_RETRY = 75
"""EX_TEMPFAIL of sysexits.h: "the user is invited to try again"."""


class JobFailed(Exception):
    """The run cannot go on. The text is its reason."""

    def __init__(self, reason: str, exit_code: int = EXIT_FAILED, fault: Fault = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.fault: Fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason why the run would fail.

    code: stable and searchable. title: a sentence without a full stop. where, given: what it is about, as it was given.
    why: a sentence. ways: the ways out, best first. fault: whose it is.
    """

    code: str
    title: str
    where: str = ""
    given: str = ""
    why: str = ""
    ways: tuple[str, ...] = ()
    fault: Fault = "configuration"


def make_finding(code: str, sentence: str, given: str = "", fault: Fault = "data") -> Finding:
    """A half's sentence as a finding; what is on its second line is the way out."""
    title, _, way = sentence.partition("\n")
    return Finding(code=code, title=title.rstrip("."), given=given, ways=(way,) if way else (), fault=fault)


TRACEBACK = "Traceback (most"
EXCEPTION_PATTERN = re.compile(
    r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|NotFound|Expired|Timeout|gaierror)\b(?:: .*)?$"
)
ERROR_PATTERN = re.compile(r"\berror\b", re.IGNORECASE)
RANK_PREFIX = re.compile(r"^\[rank\d+\]: ?")
"""What PyTorch puts before the lines of one of several processes."""
ERROR_PREFIX = re.compile(r"^error: ")
"""What a program puts before its sentence; who tells the reason says that it is one."""
LAUNCHER_EXCEPTIONS = re.compile(r"[\w.]*(?:ChildFailedError|CalledProcessError|ProcessExitedException)\b")
"""What a launcher raises when a process that it started failed, which says why itself."""


def explain_exit(code: int, lines: Sequence[str]) -> str:
    """The reason of an exit status; negative for a signal, as subprocess tells it."""
    if code < 0:
        return _explain_signal(-code)
    return ERROR_PREFIX.sub("", explain_output(lines)) or f"the program ended with exit code {code} and no word"


def explain_output(lines: Sequence[str]) -> str:
    """The exception of the last traceback, else the last line that speaks of an error, else the last line.

    That of a launcher counts only when no process of its own left one.
    """
    told = strip_rank_prefixes(lines)
    raised = [
        found
        for index, line in enumerate(told)
        if line.startswith(TRACEBACK) and (found := _find_exception(told[index:]))
    ]
    if raised:
        own = [line for line in raised if not LAUNCHER_EXCEPTIONS.match(line)]
        return (own or raised)[-1]
    return next((line for line in reversed(told) if ERROR_PATTERN.search(line)), told[-1] if told else "")


def strip_rank_prefixes(lines: Sequence[str]) -> list[str]:
    """The lines that say something, without what says which process said it."""
    return [said for line in lines if (said := RANK_PREFIX.sub("", line.strip()).strip())]


def _find_exception(output: Sequence[str]) -> str:
    """What the traceback that `told` begins with ends in; empty when it was cut off."""
    after = next((index for index, line in enumerate(output) if index and line.startswith(TRACEBACK)), len(output))
    found = [line for line in output[:after] if EXCEPTION_PATTERN.match(line)]
    return found[-1] if found else ""


def _explain_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    hint = "; on Linux that is most often memory running out" if number == signal.SIGKILL else ""
    return f"the program was ended by signal {number} ({name}){hint}"


STOP_REASON_FILE = "stop-reason"
STOP_REASONS: tuple[Fault, ...] = ("preempted", "evicted")

UNKNOWN_HOST = r"Name or service not known|No address associated with hostname"
"""A host's name that is asked for and that nobody has: mistyped. Where nobody could be asked, it is told otherwise."""
FAULT_PATTERNS: tuple[tuple[str, Fault], ...] = (
    (r"CUDA out of memory|(CUDA|HIP|MPS|XPU) .*out of memory|torch(\.\w+)*\.OutOfMemoryError", "configuration"),
    (r"insufficient shared memory|unable to (open|allocate) shared memory", "configuration"),
    (r"No space left on device|Disk quota exceeded|disk is full|ENOSPC", "disk_full"),
    (r"^MemoryError\b|Cannot allocate memory|can't allocate memory", "out_of_memory"),
    (UNKNOWN_HOST, "configuration"),
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
KILLED_PATTERN = r"SIGKILL|killed by signal: Killed|exitcode\W+-9\b"
"""A program that says that one of its own processes was killed."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def classify_error(text: str) -> Fault:
    """That of an error, from what it says; empty when it does not tell."""
    return next((fault for pattern, fault in FAULT_PATTERNS if re.search(pattern, text)), "")


def classify_exit(code: int, reason: str, lines: Sequence[str], out_of_memory: bool) -> Fault:
    """That of a program that failed. code: negative for a signal. reason: what `reason.of_exit` made of its lines.

    out_of_memory: whether the kernel killed something for want of memory meanwhile.
    """
    killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    if killed or any(re.search(KILLED_PATTERN, line) for line in lines):
        return "out_of_memory" if out_of_memory else ""
    if code < 0:
        return "stopped" if -code in STOP_SIGNALS else "code"
    if said := classify_error(reason):
        return said
    if any(line.startswith(TRACEBACK) for line in strip_rank_prefixes(lines)):
        return "code"
    return "configuration" if code == 2 else ""  # how argparse and its like end


def combine_faults(faults: Iterable[Fault]) -> Fault:
    """That of several: one of the surroundings only when all are, for else it fails again."""
    known = list(faults)
    lasting = [fault for fault in known if fault not in INFRASTRUCTURE]
    return next(iter(lasting or known), "")


def read_stop_reason(work: Path) -> Fault:
    """Why the run is stopped: what was left in its folder, else that it was."""
    try:
        said = (work / STOP_REASON_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        said = ""
    return next((fault for fault in STOP_REASONS if fault == said), "stopped")


def clear_stop_reason(work: Path) -> None:
    """What stopped an earlier attempt says nothing about this one."""
    (work / STOP_REASON_FILE).unlink(missing_ok=True)


def choose_exit_code(code: int, fault: Fault) -> int:
    """The runtime's, for a run that failed with `code`: one that is worth another try says so, whatever failed."""
    return EXIT_RETRY if fault in INFRASTRUCTURE and code in (EXIT_FAILED, EXIT_PREFLIGHT) else code


ROOT = Path("/")


def count_oom_kills(root: Path = ROOT) -> int:
    """How many so far: in this process's own control group where that counts them, else on the whole machine."""
    for counter in (*_list_memory_counters(root), root / "proc/vmstat"):
        if found := re.search(r"^oom_kill (\d+)$", _read_text(counter), re.MULTILINE):
            return int(found[1])
    return 0


def _list_memory_counters(root: Path) -> list[Path]:
    """The counters of the control group; in a container its path is often that outside, and not there."""
    found = []
    for line in _read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += [root / "sys/fs/cgroup" / place / "memory.events" for place in (path.strip("/"), "")]
        elif "memory" in controllers.split(","):
            v1 = root / "sys/fs/cgroup/memory"
            found += [v1 / place / "memory.oom_control" for place in (path.strip("/"), "")]
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class PermanentError(Exception):
    """Another try would not help. The text is why."""


class Cancelled(Exception):
    """The courier was told to drop what it does."""


def describe_error(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    told = str(error) if isinstance(error, OSError | PermanentError) else f"{type(error).__name__}: {error}"
    return (told.splitlines() or [type(error).__name__])[0]
