"""Calls of plugin code: within a time limit, with everything it prints on stderr."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NoReturn, TextIO, TypeVar, cast

from robotrain.errors import Problem, Rejected, Stage

_lock = threading.Lock()
_plugin_threads: list["PluginThreads"] = []
"""The plugin calls in progress."""
_muted: set[threading.Thread] = set()
"""Threads that plugins left running: they print nowhere."""
_saved_streams: list[tuple[Any, Any]] = []
"""The streams that `ThreadStream`s replaced."""
_own_streams: list["ThreadStream"] = []
"""Kept after they are removed from `sys`: before 3.14, Python crashes if the stream that it prints to is freed."""


class PluginThreads:
    """The threads of a plugin call, and the thread that waits for them (`host`).

    :param known: threads of others; None if others may start threads meanwhile.
    """

    def __init__(self, known: frozenset[threading.Thread] | None) -> None:
        self.host = threading.current_thread()
        self.threads: set[threading.Thread] = set()
        self._known = known

    def includes(self, thread: threading.Thread) -> bool:
        """Return whether a thread is one of them, or was started by one."""
        return thread in self.threads or (self._known is not None and thread not in self._known)


class ThreadStream:
    """A standard stream that is another one in the threads of plugins."""

    def __init__(self, stream: Any, replacement: Any) -> None:
        self._stream, self._replacement = stream, replacement
        self._null: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._select_stream(), name)

    def _select_stream(self) -> Any:
        thread = threading.current_thread()
        if thread in _muted:
            return self._open_null()
        return self._replacement if any(guests.includes(thread) for guests in _plugin_threads) else self._stream

    def _open_null(self) -> Any:
        if self._null is None:
            self._null = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
        return self._null


def add_plugin_thread(thread: threading.Thread) -> None:
    """Add a thread that is about to start to those of the current plugin call."""
    here = threading.current_thread()
    if guests := next((guests for guests in reversed(_plugin_threads) if guests.host is here), None):
        guests.threads.add(thread)


@contextlib.contextmanager
def redirect_plugin_threads() -> Iterator[None]:
    """Redirect to stderr what added threads print in this block; what still runs at its end prints nowhere.

    Where no other thread runs, this includes the threads and processes that they start.
    """
    known = frozenset(threading.enumerate())
    alone = known <= _muted | {threading.current_thread()}
    guests = PluginThreads(known if alone else None)
    _plugin_threads.append(guests)
    with _redirect_descriptor() if alone else contextlib.nullcontext():  # else another thread may be printing results
        _install_streams()
        try:
            yield
        finally:
            _mute_threads(guests)
            _plugin_threads.remove(guests)
            _restore_streams()


@contextlib.contextmanager
def redirect_output(include_children: bool = True) -> Iterator[None]:
    """Redirect to stderr what this thread prints in this block.

    :param include_children: also the programs and threads that it starts, where no other thread runs; threads that
        still run at the end print nowhere.
    """
    known = frozenset(threading.enumerate()) if include_children else None
    alone = known is not None and known <= _muted | {threading.current_thread()}
    guests = PluginThreads(known if alone else None)
    guests.threads.add(guests.host)
    _plugin_threads.append(guests)
    with _redirect_descriptor() if alone else contextlib.nullcontext():
        _install_streams()
        try:
            yield
        finally:
            _mute_threads(guests)
            _plugin_threads.remove(guests)
            _restore_streams()


def _mute_threads(guests: PluginThreads) -> None:
    """Mute the threads that still run, except for this one."""
    with _lock:
        _muted.intersection_update(threading.enumerate())
        _muted.update(
            thread for thread in threading.enumerate() if guests.includes(thread) and thread is not guests.host
        )


def _install_streams() -> None:
    with _lock:
        if not isinstance(sys.stdout, ThreadStream):
            _saved_streams[:] = [(sys.stdout, sys.stderr)]
            if not _has_live_threads():
                _own_streams.clear()
            _own_streams.extend((ThreadStream(sys.stdout, sys.stderr), ThreadStream(sys.stderr, sys.stderr)))
            sys.stdout, sys.stderr = _own_streams[-2:]


def _restore_streams() -> None:
    """Restore the streams, unless a plugin call or a muted thread still needs ours."""
    with _lock:
        here = any(guests.host not in _muted for guests in _plugin_threads)
        if not here and _saved_streams and isinstance(sys.stdout, ThreadStream):
            before = _saved_streams.pop()
            if not _has_live_threads():
                sys.stdout, sys.stderr = before


def _has_live_threads() -> bool:
    """Return whether a thread that a plugin left running may still print."""
    return any(thread.is_alive() for thread in _muted)


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

_abandoned_threads: list[threading.Thread] = []


class PluginTimeout(Exception):
    """A call that exceeded its time limit, and may still run; `setting` is the environment variable of the limit."""

    def __init__(self, why: str, setting: str = HOOK_SECONDS_VARIABLE) -> None:
        super().__init__(why)
        self.setting = setting


class PluginCall(Generic[T]):
    """A call in a thread, with its value, what it raised, and that as an Exception (`error`)."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.value: T | None = None
        self.error: Exception | None = None
        self.raised: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the call."""
        add_plugin_thread(self._thread)
        self._thread.start()

    def wait(self, seconds: float, limit: float) -> None:
        """Wait for its end; `limit` is the time that the error message names."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self.error = PluginTimeout(f"it gave no answer in {limit:g} s")

    def abandon(self) -> None:
        """Stop waiting for it."""
        if self._thread.is_alive():
            _abandoned_threads.append(self._thread)

    def _run(self) -> None:
        try:
            self.value = self._function()
        except Exception as error:
            self.raised = error
            self.error = self.error or error
        except BaseException as error:
            self.raised = error
            self.error = self.error or RuntimeError(f"it ended with {type(error).__name__}: {error}")  # sys.exit, say


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
    if call.raised:
        raise call.raised
    if call.error:
        raise PluginTimeout(str(call.error), setting)
    return cast(T, call.value)


def call_all_with_timeout(functions: Sequence[Callable[[], T]], limit: float) -> list[PluginCall[T]]:
    """Call functions in parallel and wait up to `limit` seconds for all of them; they print to stderr."""
    calls = [PluginCall(function) for function in functions]
    if not calls:
        return calls
    with redirect_plugin_threads():
        end = time.monotonic() + limit
        try:
            for call in calls:
                call.start()
            for call in calls:
                call.wait(end - time.monotonic(), limit)
        finally:  # Ctrl-C among others
            for call in calls:
                call.abandon()
    return calls


def has_abandoned_calls() -> bool:
    """Return whether an abandoned call still runs."""
    return any(thread.is_alive() for thread in _abandoned_threads)


def exit_process(code: int) -> NoReturn:
    """Exit now: threads of an abandoned call could delay an ordinary exit for ever."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or never there
            continue
    os._exit(code)
