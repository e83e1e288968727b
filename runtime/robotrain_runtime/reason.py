"""Why a program failed, in one line, from the end of its output."""

import re
import signal
from collections.abc import Sequence

RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|NotFound|Expired)\b(?:: .*)?$")
ERROR = re.compile(r"\berror\b", re.IGNORECASE)


def of_exit(code: int, lines: Sequence[str]) -> str:
    """The reason of an exit status; negative for a signal, as subprocess tells it."""
    if code < 0:
        return _of_signal(-code)
    return of_output(lines) or f"the program ended with exit code {code} and no word"


def of_output(lines: Sequence[str]) -> str:
    """The exception of the last traceback, else the last line that speaks of an error, else the last line."""
    told = [line.strip() for line in lines if line.strip()]
    after = next((index for index in reversed(range(len(told))) if told[index].startswith("Traceback (most")), None)
    if after is not None:
        raised = [line for line in told[after:] if RAISED.match(line)]
        if raised:
            return raised[-1]
    return next((line for line in reversed(told) if ERROR.search(line)), told[-1] if told else "")


def _of_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    hint = "; on Linux that is most often memory running out" if number == signal.SIGKILL else ""
    return f"the program was ended by signal {number} ({name}){hint}"
