"""Why a program failed, in one line, from the end of its output."""

import re
import signal
from collections.abc import Sequence

TRACEBACK = "Traceback (most"
RAISED = re.compile(
    r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|NotFound|Expired|Timeout|gaierror)\b(?:: .*)?$"
)
ERROR = re.compile(r"\berror\b", re.IGNORECASE)
RANK = re.compile(r"^\[rank\d+\]: ?")
"""What PyTorch puts before the lines of one of several processes."""
SAID = re.compile(r"^error: ")
"""What a program puts before its sentence; who tells the reason says that it is one."""
LAUNCHER = re.compile(r"[\w.]*(?:ChildFailedError|CalledProcessError|ProcessExitedException)\b")
"""What a launcher raises when a process that it started failed, which says why itself."""


def of_exit(code: int, lines: Sequence[str]) -> str:
    """The reason of an exit status; negative for a signal, as subprocess tells it."""
    if code < 0:
        return _of_signal(-code)
    return SAID.sub("", of_output(lines)) or f"the program ended with exit code {code} and no word"


def of_output(lines: Sequence[str]) -> str:
    """The exception of the last traceback, else the last line that speaks of an error, else the last line.

    That of a launcher counts only when no process of its own left one.
    """
    told = plain(lines)
    raised = [
        found for index, line in enumerate(told) if line.startswith(TRACEBACK) and (found := _raised(told[index:]))
    ]
    if raised:
        own = [line for line in raised if not LAUNCHER.match(line)]
        return (own or raised)[-1]
    return next((line for line in reversed(told) if ERROR.search(line)), told[-1] if told else "")


def plain(lines: Sequence[str]) -> list[str]:
    """The lines that say something, without what says which process said it."""
    return [said for line in lines if (said := RANK.sub("", line.strip()).strip())]


def _raised(told: Sequence[str]) -> str:
    """What the traceback that `told` begins with ends in; empty when it was cut off."""
    after = next((index for index, line in enumerate(told) if index and line.startswith(TRACEBACK)), len(told))
    found = [line for line in told[:after] if RAISED.match(line)]
    return found[-1] if found else ""


def _of_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    hint = "; on Linux that is most often memory running out" if number == signal.SIGKILL else ""
    return f"the program was ended by signal {number} ({name}){hint}"
