"""Calls of plugins, with a time limit: side by side, each in a daemon thread that holds up neither us nor our end."""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, NoReturn, TypeVar, cast

from robotrain import aside
from robotrain.problem import Problem, Rejected, Stage

T = TypeVar("T")

NAME = "ROBOTRAIN_HOOK_SECONDS"
SECONDS = 5.0
ASKED_FOR = "ROBOTRAIN_PLUGIN_SECONDS"
ASKED_FOR_SECONDS = 300.0
"""For what somebody asked for by its name: importing it, and the preflight of a platform."""
MOST = 3600.0

_left: list[threading.Thread] = []


class Overdue(Exception):
    """No answer came in time; whoever was asked may still be at it. setting: the environment name of its limit."""

    def __init__(self, why: str, setting: str = NAME) -> None:
        super().__init__(why)
        self.setting = setting


class Asked(Generic[T]):
    """One call that was made. error: what it ended with, when it did not return. raised: that as it was raised."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.value: T | None = None
        self.error: Exception | None = None
        self.raised: BaseException | None = None
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
            self.raised = error
            self.error = self.error or error
        except BaseException as error:
            self.raised = error
            self.error = self.error or RuntimeError(f"it ended with {type(error).__name__}: {error}")  # sys.exit, say


def seconds(name: str = NAME) -> float:
    """How long a plugin has for a hook: `ROBOTRAIN_HOOK_SECONDS`, else 5; or `name`'s. Raises Rejected."""
    said = os.environ.get(name, "")
    try:
        found = float(said) if said else {NAME: SECONDS, ASKED_FOR: ASKED_FOR_SECONDS}[name]
    except ValueError:
        found = 0.0
    if not 0 < found <= MOST:
        title = f"{name} is a number of seconds above 0, up to {MOST:g}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    return found


def alone(function: Callable[[], T], who: str, setting: str = NAME) -> T:
    """What a call returns in time, as of `together`. who: in words, for whoever presses Ctrl-C meanwhile.

    Raises what it raises, whatever that is, and Overdue.
    """
    limit = seconds(setting)
    try:
        (asked,) = together([function], limit)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"while {who} was waited for") from None
    if asked.raised:
        raise asked.raised
    if asked.error:
        raise Overdue(str(asked.error), setting)
    return cast(T, asked.value)


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
