"""Calls of plugin code: within a time limit, with everything it prints on stderr."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TextIO, TypeVar, cast

from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

from robotrain.errors import Rejected, make_usage_problem
from robotrain.plugins.discovery import Claim

T = TypeVar("T")

HOOK_SECONDS_VARIABLE = "ROBOTRAIN_HOOK_SECONDS"
PLUGIN_SECONDS_VARIABLE = "ROBOTRAIN_PLUGIN_SECONDS"
DEFAULT_SECONDS = {HOOK_SECONDS_VARIABLE: 5.0, PLUGIN_SECONDS_VARIABLE: 300.0}
"""By the variable of the limit: of hooks; of importing a requested plugin, of preflight and of pinning."""
ONLINE_SECONDS = 60.0
"""The time limit of a question to a remote service that decides what a command does, unless `HOOK_SECONDS_VARIABLE` is
set. A slow service answers after 20 s: with less, the same line typed again would never be told from a second run."""
MAX_SECONDS = 3600.0
_calls: list[DeadlineFuture[Any]] = []
"""The calls that still run; those that run at the end of the process were abandoned."""


class PluginTimeout(Exception):
    """A call that exceeded its time limit, and may still run; `setting` is the environment variable of the limit."""

    def __init__(self, limit: float, setting: str = HOOK_SECONDS_VARIABLE) -> None:
        super().__init__(f"it gave no answer in {limit:g} s")
        self.setting = setting


class ResultStream:
    """Standard output after calls were abandoned: what they still print, in their threads, goes to stderr."""

    def __init__(self, results: TextIO) -> None:
        self._results = results

    def write(self, text: str) -> int:
        """Write a text of a result, or of an abandoned call."""
        return self._choose_stream().write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._choose_stream(), name)

    def _choose_stream(self) -> TextIO:
        return sys.stderr if any(call.is_current_thread() for call in _calls) else self._results


@contextlib.contextmanager
def redirect_output() -> Iterator[None]:
    """Send what plugins print in this block to stderr: stdout holds results.

    Only in the main thread: in others, commands print results meanwhile. Calls that outlast the block stay redirected.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    results, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        is_separate = results is None or isinstance(results, ResultStream) or not has_abandoned_calls()
        sys.stdout = results if is_separate else cast(TextIO, ResultStream(results))


def get_time_limit(setting: str = HOOK_SECONDS_VARIABLE) -> float:
    """Return the time limit of a hook, or the one that the variable `setting` sets. Raise Rejected."""
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(os.environ.get(setting) or DEFAULT_SECONDS[setting])) <= MAX_SECONDS:
            return seconds
    title = f"{setting} is a number of seconds above 0, up to {MAX_SECONDS:g}"
    raise Rejected([make_usage_problem("value-invalid", title)])


def get_online_limit() -> float:
    """Return the time limit of a question to a remote service. Raise Rejected."""
    return get_time_limit() if os.environ.get(HOOK_SECONDS_VARIABLE) else ONLINE_SECONDS


def start_call(function: Callable[[], T]) -> DeadlineFuture[T]:
    """Start a call in a thread of its own."""
    _calls[:] = [call for call in _calls if call.is_running()]
    _calls.append(call := DeadlineFuture(function))
    return call


def call_plugin(claim: Claim, what: str, function: Callable[[], T], setting: str = "") -> T:
    """Return what a call of a plugin returns. Raise what it raises, or PluginTimeout.

    :param what: what is called, for the message after Ctrl-C.
    :param setting: the variable of its time limit; a call without one runs in this thread.
    """
    if not setting:
        with redirect_output():
            return function()
    try:
        [(value, error)] = call_all_with_timeout([function], get_time_limit(setting), setting)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"while {what} of {claim.source} was waited for") from None
    if error:
        raise error
    return value  # type: ignore[no-any-return]


def call_all_with_timeout(
    functions: Sequence[Callable[[], Any]], limit: float, setting: str = HOOK_SECONDS_VARIABLE
) -> list[tuple[Any, BaseException | None]]:
    """Call functions in parallel and wait up to `limit` seconds for all of them; they print to stderr.

    :return: what each returned, and what it raised, SystemExit included.
    """
    results: list[tuple[Any, BaseException | None]] = []
    with redirect_output():
        for call in [start_call(function) for function in functions]:
            try:
                results.append((call.result(limit), None))
            except KeyboardInterrupt:
                raise
            except DeadlineExceeded:
                results.append((None, PluginTimeout(limit, setting)))
            except BaseException as error:
                results.append((None, error))
    return results


def has_abandoned_calls() -> bool:
    """Return whether a call that exceeded its limit still runs."""
    return any(call.is_running() for call in _calls)


def exit_process(code: int) -> NoReturn:
    """Exit now: threads of an abandoned call could delay an ordinary exit for ever."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or never there
            stream.flush()
    os._exit(code)
