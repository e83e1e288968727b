"""Calls of plugin code: within a time limit, with everything it prints on stderr."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NoReturn, TextIO, TypeVar, cast

from robotrain.errors import Problem, Rejected, Stage


@contextlib.contextmanager
def redirect_output(programs: bool = True) -> Iterator[None]:
    """Redirect to stderr what plugins print in this block: stdout holds results.

    Only in the main thread, since others may run while it prints.

    :param programs: also what the programs print that they start, where no other thread runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    alone = programs and threading.active_count() == 1
    with contextlib.redirect_stdout(sys.stderr), _redirect_descriptor() if alone else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _redirect_descriptor() -> Iterator[None]:
    """Make file descriptor 1 a copy of 2 in this block, if both are open."""
    try:
        stdout, stderr = _get_descriptor(sys.__stdout__), _get_descriptor(sys.__stderr__)
        saved = os.dup(stdout)
    except (OSError, ValueError):  # closed, or no files
        yield
        return
    try:
        os.dup2(stderr, stdout)
        yield
    finally:
        os.dup2(saved, stdout)
        os.close(saved)


def _get_descriptor(stream: TextIO | None) -> int:
    """Flush a stream and return its descriptor. Raise OSError or ValueError if it has none."""
    if stream is None:
        raise ValueError("closed")
    stream.flush()
    return stream.fileno()


T = TypeVar("T")

HOOK_SECONDS_VARIABLE = "ROBOTRAIN_HOOK_SECONDS"
HOOK_SECONDS = 5.0
PLUGIN_SECONDS_VARIABLE = "ROBOTRAIN_PLUGIN_SECONDS"
PLUGIN_SECONDS = 300.0
"""For importing a plugin that was requested by name, and for the preflight of a platform."""
MAX_SECONDS = 3600.0

_threads: list[threading.Thread] = []
"""The threads of all calls; at the end of the process, those that still run were given up."""


class PluginTimeout(Exception):
    """A call that exceeded its time limit, and may still run; `setting` is the environment variable of the limit."""

    def __init__(self, why: str, setting: str = HOOK_SECONDS_VARIABLE) -> None:
        super().__init__(why)
        self.setting = setting


class PluginCall(Generic[T]):
    """A call in a thread, with its value or what it raised, be it SystemExit."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the call."""
        _threads.append(self._thread)
        self._thread.start()

    def wait(self, seconds: float, limit: float) -> None:
        """Wait for its end; `limit` is the time that the error message names."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self.error = PluginTimeout(f"it gave no answer in {limit:g} s")

    def _run(self) -> None:
        try:
            self.value = self._function()
        except BaseException as error:
            self.error = self.error or error


def get_time_limit(name: str = HOOK_SECONDS_VARIABLE) -> float:
    """Return the time limit of a hook, or the one that the variable `name` sets. Raise Rejected."""
    default = {HOOK_SECONDS_VARIABLE: HOOK_SECONDS, PLUGIN_SECONDS_VARIABLE: PLUGIN_SECONDS}[name]
    try:
        seconds = float(os.environ.get(name) or default)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:
        title = f"{name} is a number of seconds above 0, up to {MAX_SECONDS:g}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    return seconds


def call_with_timeout(function: Callable[[], T], description: str, setting: str = HOOK_SECONDS_VARIABLE) -> T:
    """Return what a call returns within its time limit. Raise what it raises, or PluginTimeout.

    :param description: what is called, for the message after Ctrl-C.
    """
    limit = get_time_limit(setting)
    try:
        (call,) = call_all_with_timeout([function], limit)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"while {description} was waited for") from None
    if isinstance(call.error, PluginTimeout):
        raise PluginTimeout(str(call.error), setting)
    if call.error:
        raise call.error
    return cast(T, call.value)


def call_all_with_timeout(functions: Sequence[Callable[[], T]], limit: float) -> list[PluginCall[T]]:
    """Call functions in parallel and wait up to `limit` seconds for all of them; they print to stderr."""
    calls = [PluginCall(function) for function in functions]
    if not calls:
        return calls
    with redirect_output():
        end = time.monotonic() + limit
        for call in calls:
            call.start()
        for call in calls:
            call.wait(end - time.monotonic(), limit)
    return calls


def has_abandoned_calls() -> bool:
    """Return whether a call that was given up still runs."""
    return any(thread.is_alive() for thread in _threads)


def exit_process(code: int) -> NoReturn:
    """Exit now: threads of an abandoned call could delay an ordinary exit for ever."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or never there
            continue
    os._exit(code)
