"""Failures: exit codes, exceptions, and the classification of errors.

The exit codes of the runtime, for platforms whose retry rules go by the code:

- 0: the run succeeded.
- 1: it failed. Other exit codes of the work itself are passed on unchanged.
- 2: the document, or something it names, is invalid.
- 4: preflight failed.
- 75: the infrastructure failed (the network, say), and a retry may succeed; in place of 1 and 4.
- 128+n: signal n ended it: 143 and 130 if it was stopped, 137 if its work was killed.

Whoever stops a run may say why: `preempted` or `evicted`, as the only word of the file `stop-reason` in the run's work
folder, written before the signal (by a hook of the platform, say).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robotrain_runtime.contract.failure_causes import (
    CRASHED,
    HOST_MEMORY,
    KILLED,
    STOPPED,
    FoundCause,
    describe_cause,
    find_cause,
)
from robotrain_runtime.contract.failure_causes import UNKNOWN_HOST as UNKNOWN_HOST
from robotrain_runtime.contract.failure_causes import UNTRUSTED as UNTRUSTED

TYPE_CHECKING = False  # plans need an exit code of this module alone: events would cost start-up
if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Fault

CancelCheck = Callable[[], bool]
"""Returns whether to drop the current operation at once, as when the run's time is up."""

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_PREFLIGHT = 4
EXIT_RETRY = 75
"""EX_TEMPFAIL of sysexits.h: "the user is invited to try again"."""


STOPPED_REASON = "the run was stopped"
"""Why a run was cancelled, where nothing else is known: a cause may stand behind it."""
STOPPED_EARLY_REASON = "it was stopped before it reported a result"
"""Why a run was cancelled that could not say so."""


class SourceError(ValueError):
    """A text is not a valid source of a kind. Neither `why`, a sentence, nor `suggestion` contains secrets."""

    def __init__(self, why: str, suggestion: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.suggestion = suggestion


class JobFailed(Exception):
    """The run cannot continue; the message is the reason."""

    def __init__(
        self, reason: str, exit_code: int = EXIT_FAILED, fault: Fault = "", cause: FoundCause | None = None
    ) -> None:
        """`cause` is what the output of a program names; by default, what the reason does."""
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.fault: Fault = fault
        self.cause = find_cause([reason]) if cause is None else cause


@contextmanager
def convert_os_errors() -> Iterator[None]:
    """Raise JobFailed with the fault in place of an OSError inside the block."""
    try:
        yield
    except OSError as error:
        raise JobFailed(str(error), fault=classify_error(str(error))) from error


# Patterns are not compiled here: every command imports this module, and few use them.
TRACEBACK = "Traceback (most"
EXCEPTION_PATTERN = (
    r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|NotFound|Expired|Timeout|gaierror)\b(?::(?: .*)?)?$"
)
RANK_PREFIX = r"^(?:\[node \d+\] )?(?:\[rank\d+\]: ?)?"
"""The prefixes of lines: of a node that is not the first, and of a process, which PyTorch adds."""
ERROR_PREFIX = "error: "
"""Begins the line with which a program of robotrain says why it ends: the reason of the run."""
NODE_END = "error: node {}: {}"
"""The last line of a work of several nodes, with why the one failed that ended the others."""
NODE_END_PATTERN = r"error: node [^:]+(: | was stopped)"
LAUNCHER_EXCEPTIONS = r"[\w.]*(?:ChildFailedError|CalledProcessError|ProcessExitedException)\b"
"""Exceptions of a launcher whose child process failed; the child's own exception says why."""
OPEN_MESSAGE = r"(:|\b\d+ validation errors? for \S+)$"
"""The first line of an exception's message that leaves what is wrong to the next one."""

CRASH_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
"""Signals of a program that did something impossible."""
CRASH_PATTERN = (
    r"\bwhat\(\): |Fatal Python error: |\bAssertion [`'\"].* failed|Watchdog caught collective"
    r"|\w+\(\): (?:invalid|corrupt)|double free or|corrupted size|stack smashing"
)
"""What a program or its libraries print as they crash."""
CRASHED_RANK_PATTERN = r"\bSignal \d+ \(SIG\w+\) received by PID"
"""What a launcher prints of a process that crashed."""


MEMORY_RAN_OUT = "the kernel killed a process because memory ran out"


def get_signal_number(code: int) -> int:
    """Return the signal of an exit status, negative or as a shell has it; 0 for none."""
    return code - 128 if code > 128 else max(0, -code)


def is_outside_end(code: int) -> bool:
    """Return whether a program with this exit status was ended by a signal that programs do not send themselves."""
    return get_signal_number(code) in (signal.SIGKILL, *STOP_SIGNALS)


PLAIN_CODES = (1, 2)
"""Exit codes that say no more than that something failed."""


def explain_exit(code: int, lines: Sequence[str]) -> str:
    """Return the reason of an exit status (negative for a signal, as in subprocess), from the output's last lines.

    A shell or a supervisor ends with 128 + the signal that ended its program, and such a program often says nothing.
    """
    number = get_signal_number(code)
    output = strip_rank_prefixes(lines)
    if lines and re.match(NODE_END_PATTERN, lines[-1]):
        return lines[-1].removeprefix(ERROR_PREFIX)
    is_silent = number in (*CRASH_SIGNALS, signal.SIGTERM) and not _find_error(output)
    if code < 0 or number == signal.SIGKILL or is_silent:
        crash = _find_crash(output) if number in CRASH_SIGNALS else ""
        return f"the program was ended by signal {number} ({get_signal_name(number)})" + f": {crash}" * bool(crash)
    said = explain_output(lines).removeprefix(ERROR_PREFIX)
    if said and (code in PLAIN_CODES or _find_error(output)):
        return said
    return f"the program ended with exit code {code}" + (f": {said}" if said else " and no output")


def explain_output(lines: Sequence[str]) -> str:
    """Return the exception of the last traceback, else the last line with the word error, else the last line.

    A launcher's exception counts only if none of its processes raised one, or said how it crashed. An exception
    whose first line says nothing is continued: by the next line, or the line of the program that raised it.
    """
    output = strip_rank_prefixes(lines)
    last_line = output[-1] if output else ""
    return (
        last_line
        if re.match(NODE_END_PATTERN, last_line)
        else _continue_error(output, _find_error(output)) or last_line
    )


def _continue_error(output: Sequence[str], error: str) -> str:
    """Return an exception with the line that says what is wrong, if its own does not."""
    if error not in output or re.match(LAUNCHER_EXCEPTIONS, error):
        return error
    error_index = len(output) - 1 - output[::-1].index(error)
    if re.search(OPEN_MESSAGE, error):
        count = 1 if error.endswith(":") else 2  # of pydantic: the field, and what is wrong with it
        message = output[error_index + 1 : error_index + 1 + count]
        return ": ".join([error.rstrip(":"), *message]) if message else error
    frames = [index for index in range(error_index) if re.match(r'File "[^"]+", line \d+', output[index])]
    if not frames or not re.fullmatch(EXCEPTION_PATTERN, error) or ":" in error:
        return error
    location = output[frames[-1]].partition(", in ")[0].removeprefix("File ")
    statement = output[frames[-1] + 1]
    return f"{error} ({location}" + f": {statement}" * (statement != error) + ")"


def _find_crash(output: Sequence[str]) -> str:
    """Return the last line that says how a program or a process of a launcher crashed; empty for none."""
    for pattern in (CRASH_PATTERN, CRASHED_RANK_PATTERN):
        if crash_lines := [line for line in output if re.search(pattern, line)]:
            return crash_lines[-1]
    return ""


def _find_error(output: Sequence[str]) -> str:
    """Return the exception or the line of `output` that says what is wrong; empty if there is none."""
    exceptions = [
        exception
        for index, line in enumerate(output)
        if line.startswith(TRACEBACK) and (exception := _find_exception(output[index:]))
    ]
    if exceptions:
        program_exceptions = [line for line in exceptions if not re.match(LAUNCHER_EXCEPTIONS, line)]
        return program_exceptions[-1] if program_exceptions else _find_crash(output) or exceptions[-1]
    return next((line for line in reversed(output) if re.search(r"(?i)\berror\b", line)), "")


def strip_rank_prefixes(lines: Sequence[str]) -> list[str]:
    """Return the lines that are not blank, without the prefixes of processes."""
    return [stripped_line for line in lines if (stripped_line := re.sub(RANK_PREFIX, "", line.strip()).strip())]


def _find_exception(output: Sequence[str]) -> str:
    """Return the exception of the traceback that `output` begins with; empty if it was cut off."""
    end = next((index for index, line in enumerate(output) if index and line.startswith(TRACEBACK)), len(output))
    exceptions = [line for line in output[:end] if re.match(EXCEPTION_PATTERN, line)]
    return exceptions[-1] if exceptions else ""


def get_signal_name(number: int) -> str:
    """Return the name of a signal, such as `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


STOP_REASON_FILE = "stop-reason"
STOP_REASONS: tuple[Fault, ...] = ("preempted", "evicted")

KILLED_RANK_PATTERN = r"\bexitcode\W+-9\b"
KILLED_PATTERN = rf"SIGKILL|killed by signal: Killed|{KILLED_RANK_PATTERN}"
"""The output of a program one of whose processes was killed."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def classify_error(message: str) -> Fault:
    """Return the fault of an error message; empty if unknown."""
    return find_cause([message]).fault


def find_exit_code(code: int, lines: Sequence[str]) -> int:
    """Return the exit code of a run whose work ended with `code` (negative for a signal).

    torchrun itself ends with 1 where one of its processes was killed.
    """
    if code > 0 and any(re.search(KILLED_RANK_PATTERN, line) for line in lines):
        code = -signal.SIGKILL
    return 128 - code if code < 0 else code


def diagnose_exit(code: int, lines: Sequence[str], out_of_memory: bool) -> JobFailed:
    """Return the failure of a program that ended with `code` (negative for a signal): reason, fault and cause.

    `out_of_memory` says that the kernel killed a process meanwhile: only then memory is to blame for a kill.
    """
    reason = explain_exit(code, lines)
    status = find_exit_code(code, lines)
    output = strip_rank_prefixes(lines)
    number = get_signal_number(code)
    if number == signal.SIGKILL or any(re.search(KILLED_PATTERN, line) for line in lines):
        is_told = MEMORY_RAN_OUT in reason  # by the node that it was killed on
        cause = describe_cause(HOST_MEMORY if out_of_memory or is_told else KILLED, output)
        memory_note = f": {MEMORY_RAN_OUT}" if out_of_memory and not is_told else ""
        return JobFailed(reason + memory_note, status, cause.fault, cause)
    error = _find_error(output)
    is_stopped = number in STOP_SIGNALS and (code < 0 or not error)
    if is_stopped or re.search(STOPPED.pattern, explain_output(lines)):
        return JobFailed(reason, status, STOPPED.fault, describe_cause(STOPPED))
    has_traceback = any(line.startswith(TRACEBACK) for line in output)
    is_raised = has_traceback and not re.search(f"{CRASH_PATTERN}|{CRASHED_RANK_PATTERN}|^{LAUNCHER_EXCEPTIONS}", error)
    other_lines = _list_related(output, error) if is_raised else output[::-1]
    cause = find_cause([re.sub(NODE_END_PATTERN, "", explain_output(lines))], output, other_lines)
    is_crashed = number in CRASH_SIGNALS or re.search(CRASHED.pattern, error)
    if is_crashed and cause.cause in ("", "rank-lost"):
        cause = describe_cause(CRASHED, output)
    fault = cause.fault
    if not (fault or cause.cause) and (has_traceback or code < 0 or number in CRASH_SIGNALS):
        fault = "code"
    if not fault and code in (2, EXIT_PREFLIGHT):  # as argparse exits
        fault = "configuration"
    return JobFailed(reason, status, fault, cause)


DIRECT_CAUSE = "The above exception was the direct cause"


def _list_related(output: Sequence[str], error: str) -> Sequence[str]:
    """Return the traceback of an exception with its message, and those of the exceptions that directly caused it."""
    if error not in output:
        return ()
    position = len(output) - 1 - output[::-1].index(error)
    starts = [index for index, line in enumerate(output) if line.startswith(TRACEBACK)]
    end = next((start for start in starts if start > position), len(output))
    earlier_starts = [start for start in starts if start <= position] or [position]
    while len(earlier_starts) > 1 and output[earlier_starts[-1] - 1].startswith(DIRECT_CAUSE):
        earlier_starts.pop()
    return output[earlier_starts[-1] : end]


def combine_faults(faults: Iterable[Fault]) -> Fault:
    """Return the fault of several findings: one of the infrastructure only if all are, or a retry would fail again."""
    from robotrain_runtime.contract.event import INFRASTRUCTURE

    all_faults = list(faults)
    lasting = [fault for fault in all_faults if fault not in INFRASTRUCTURE]
    return next(iter(lasting or all_faults), "")


def read_stop_reason(work: Path) -> Fault:
    """Return the reason for a stop from the file in the run's folder; `stopped` if there is none."""
    reason = _read_text(work / STOP_REASON_FILE).strip()
    return next((fault for fault in STOP_REASONS if fault == reason), "stopped")


def choose_exit_code(code: int, fault: Fault) -> int:
    """Return the exit code of a run that failed with `code`: EXIT_RETRY if a retry may succeed."""
    from robotrain_runtime.contract.event import INFRASTRUCTURE

    return EXIT_RETRY if fault in INFRASTRUCTURE and code in (EXIT_FAILED, EXIT_PREFLIGHT) else code


ROOT = Path("/")


def count_oom_kills(root: Path = ROOT) -> int:
    """Return how many processes were killed for lack of memory: in this control group, else on the machine."""
    for counter in (*_list_memory_counters(root), root / "proc/vmstat"):
        if match := re.search(r"^oom_kill (\d+)$", _read_text(counter), re.MULTILINE):
            return int(match[1])
    return 0


def _list_memory_counters(root: Path) -> list[Path]:
    """Return the counters of the control group; in a container its path is often that of the host, so absent."""
    counters = []
    for cgroup_line in _read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = cgroup_line.split(":", 2)
        if not controllers:
            counters += [root / "sys/fs/cgroup" / group / "memory.events" for group in (path.strip("/"), "")]
        elif "memory" in controllers.split(","):
            v1 = root / "sys/fs/cgroup/memory"
            counters += [v1 / group / "memory.oom_control" for group in (path.strip("/"), "")]
    return counters


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class PermanentError(Exception):
    """An error that a retry would not help; the message says why."""


class Cancelled(Exception):
    """The operation was cancelled."""


def describe_error(error: Exception) -> str:
    """Return an error as one line of text."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    message = str(error) if isinstance(error, OSError | PermanentError) else f"{type(error).__name__}: {error}"
    return (message.splitlines() or [type(error).__name__])[0]
