"""One run of uv, with its words passed on, and what it says when it fails as the reason."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from robotrain_runtime import child
from robotrain_runtime.environments import uv_faults
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

TOLD_LINES = 12
FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON")
OVERRIDING = ("UV_TORCH_BACKEND", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_REQUIRE_HASHES")
"""What would make uv install something else than it is told to."""
SAID = {"disk_full": "the disk is full", "network": "packages could not be fetched"}

Say = Callable[[str], None]


def run(command: Sequence[str | Path], say: Say, stop: Stop) -> list[str]:
    """The packages it says it installed. Raises Failed, Stopped."""
    told: deque[str] = deque(maxlen=TOLD_LINES)
    installed = []

    def heard(line: str) -> None:
        told.append(line.strip())
        if line.lstrip().startswith("+ "):  # a hundred names of packages that are all in the lock
            installed.append(line.lstrip().removeprefix("+ "))
        else:
            say(f"uv: {line}" if line.startswith("error") else line)  # whose error it is: ours comes after it

    arguments = [str(part) for part in command]
    code = child.run(arguments, environ=environ(), stop=stop, on_line=heard, on_event=lambda record: None)
    if code:
        words = _why(told) or f"nothing, and ended with {code}"
        fault = uv_faults.of(words)
        why = f": {SAID[fault]}" if fault in SAID else ""
        raise Failed(f"the environment could not be built{why}; uv said: {words}", fault=fault)
    return installed


def _why(told: Iterable[str]) -> str:
    """From its error on; all that it said last, when it named none."""
    lines = [line for line in told if line]
    first = next((index for index, line in enumerate(lines) if line.startswith(("error", "×"))), 0)
    return " / ".join(line.removeprefix("error: ") for line in lines[first:])


def environ() -> dict[str, str]:
    """This process's names, without those that would lead a program to another Python or uv to other packages."""
    return {name: value for name, value in os.environ.items() if name not in (*FOREIGN, *OVERRIDING)}
