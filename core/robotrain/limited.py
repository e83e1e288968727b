"""Calls of plugins, with a time limit: side by side, each in a daemon thread that holds up neither us nor our end."""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, NoReturn, TypeVar

from robotrain import aside
from robotrain.problem import Problem, Rejected, Stage

T = TypeVar("T")

NAME = "ROBOTRAIN_HOOK_SECONDS"
SECONDS = 5.0
MOST = 3600.0

_left: list[threading.Thread] = []


class Overdue(Exception):
    """No answer came in time; whoever was asked may still be at it."""


class Asked(Generic[T]):
    """One call that was made. error: what it ended with, when it did not return."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.value: T | None = None
        self.error: Exception | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Make the call."""
        aside.invite(self._thread)
        self._thread.start()

    def wait(self, seconds: float, limit: float) -> None:
        """Wait so long for it to return. limit: what is told as the time it had."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self.error = Overdue(f"it gave no answer in {limit:g} s")

    def leave(self) -> None:
        """Wait no longer, whatever it does."""
        if self._thread.is_alive():
            _left.append(self._thread)

    def _run(self) -> None:
        try:
            self.value = self._function()
        except Exception as error:
            self.error = self.error or error
        except BaseException as error:
            self.error = self.error or RuntimeError(f"it ended with {type(error).__name__}: {error}")  # sys.exit, say


def seconds() -> float:
    """How long a plugin has for a hook: `ROBOTRAIN_HOOK_SECONDS`, else 5. Raises Rejected."""
    said = os.environ.get(NAME, "")
    try:
        found = float(said) if said else SECONDS
    except ValueError:
        found = 0.0
    if not 0 < found <= MOST:
        title = f"{NAME} is a number of seconds above 0, up to {MOST:g}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    return found


def together(functions: Sequence[Callable[[], T]], limit: float) -> list[Asked[T]]:
    """Call all of them at once, and wait `limit` seconds for all: one that hangs takes nothing from the others.

    What they print goes to stderr: stdout holds results only.
    """
    asked = [Asked(function) for function in functions]
    if not asked:
        return asked
    with aside.printing():
        end = time.monotonic() + limit
        try:
            for one in asked:
                one.start()
            for one in asked:
                one.wait(end - time.monotonic(), limit)
        finally:  # Ctrl-C among others
            for one in asked:
                one.leave()
    return asked


def left_behind() -> bool:
    """Whether a call that was given up still goes on."""
    return any(thread.is_alive() for thread in _left)


def end(code: int) -> NoReturn:
    """End the process now: what a call that was given up has started could hold up an ordinary end for ever."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or never there
            continue
    os._exit(code)
