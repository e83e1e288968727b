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
"""Whoever is waited for at this moment."""
_muted: set[threading.Thread] = set()
"""Threads that plugins left running."""
_saved_streams: list[tuple[Any, Any]] = []
"""The streams that ours took the place of."""
_own_streams: list["ThreadStream"] = []
"""Held here also when they are gone from `sys`: Python holds no reference to the stream that it is printing to, and
crashes when another thread takes the last one away (before 3.14)."""


class PluginThreads:
    """Threads of plugins. known: those that are none of theirs; None when others may start threads meanwhile.

    host: the thread that waits for them.
    """

    def __init__(self, known: frozenset[threading.Thread] | None) -> None:
        self.host = threading.current_thread()
        self.threads: set[threading.Thread] = set()
        self._known = known

    def includes(self, thread: threading.Thread) -> bool:
        """Whether it is one of them, or was started by one."""
        return thread in self.threads or (self._known is not None and thread not in self._known)


class ThreadStream:
    """A stream of this process, as each thread sees it: those of plugins get another."""

    def __init__(self, stream: Any, replacement: Any) -> None:
        self._stream, self._instead = stream, replacement
        self._nowhere: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._select_stream(), name)

    def _select_stream(self) -> Any:
        thread = threading.current_thread()
        if thread in _muted:
            return self._open_null()
        return self._instead if any(guests.includes(thread) for guests in _plugin_threads) else self._stream

    def _open_null(self) -> Any:
        if self._nowhere is None:
            self._nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
        return self._nowhere


def add_plugin_thread(thread: threading.Thread) -> None:
    """Make a thread that is about to start one of the plugins', for the block this thread is in."""
    here = threading.current_thread()
    if guests := next((guests for guests in reversed(_plugin_threads) if guests.host is here), None):
        guests.threads.add(thread)


@contextlib.contextmanager
def redirect_plugin_threads() -> Iterator[None]:
    """A block in which threads that were invited print on stderr; where nobody else is at work that holds for the
    threads and the processes that they start, too. What still runs at its end prints nowhere.
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
    """A block in which this very thread is at a plugin's work: what it prints goes to stderr.

    whole: also what the programs and the threads print that it starts, where nobody else is at work; threads that
    still run at its end print nowhere.
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
    """What was started and still runs prints nowhere; the thread that is at work here goes on."""
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
    """The streams as they were; ours stay as long as somebody must be kept from them."""
    with _lock:
        here = any(guests.host not in _muted for guests in _plugin_threads)
        if not here and _saved_streams and isinstance(sys.stdout, ThreadStream):
            before = _saved_streams.pop()
            if not _has_live_threads():
                sys.stdout, sys.stderr = before


def _has_live_threads() -> bool:
    """Whether a thread that a plugin left running may still print."""
    return any(thread.is_alive() for thread in _muted)


@contextlib.contextmanager
def _redirect_descriptor() -> Iterator[None]:
    """File descriptor 1 is 2, where both are there."""
    try:
        stdout, stderr = _get_descriptor(sys.__stdout__), _get_descriptor(sys.__stderr__)
        kept = os.dup(stdout)
    except (OSError, ValueError):  # closed, or no files
        yield
        return
    try:
        os.dup2(stderr, stdout)
        yield
    finally:
        os.dup2(kept, stdout)
        os.close(kept)


def _get_descriptor(stream: TextIO | None) -> int:
    """The stream's descriptor, nothing of it unwritten. Raises OSError or ValueError when it has none."""
    if stream is None:
        raise ValueError("closed")
    stream.flush()
    return stream.fileno()


T = TypeVar("T")

HOOK_SECONDS_VARIABLE = "ROBOTRAIN_HOOK_SECONDS"
HOOK_SECONDS = 5.0
PLUGIN_SECONDS_VARIABLE = "ROBOTRAIN_PLUGIN_SECONDS"
PLUGIN_SECONDS = 300.0
"""For what somebody asked for by its name: importing it, and the preflight of a platform."""
MAX_SECONDS = 3600.0

_abandoned_threads: list[threading.Thread] = []


class PluginTimeout(Exception):
    """No answer came in time; whoever was asked may still be at it. setting: the environment name of its limit."""

    def __init__(self, why: str, setting: str = HOOK_SECONDS_VARIABLE) -> None:
        super().__init__(why)
        self.setting = setting


class PluginCall(Generic[T]):
    """One call that was made. error: what it ended with, when it did not return. raised: that as it was raised."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.value: T | None = None
        self.error: Exception | None = None
        self.raised: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Make the call."""
        add_plugin_thread(self._thread)
        self._thread.start()

    def wait(self, seconds: float, limit: float) -> None:
        """Wait so long for it to return. limit: what is told as the time it had."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self.error = PluginTimeout(f"it gave no answer in {limit:g} s")

    def abandon(self) -> None:
        """Wait no longer, whatever it does."""
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
    """How long a plugin has for a hook: `ROBOTRAIN_HOOK_SECONDS`, else 5; or `name`'s. Raises Rejected."""
    said = os.environ.get(name, "")
    try:
        found = (
            float(said)
            if said
            else {HOOK_SECONDS_VARIABLE: HOOK_SECONDS, PLUGIN_SECONDS_VARIABLE: PLUGIN_SECONDS}[name]
        )
    except ValueError:
        found = 0.0
    if not 0 < found <= MAX_SECONDS:
        title = f"{name} is a number of seconds above 0, up to {MAX_SECONDS:g}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    return found


def call_with_timeout(function: Callable[[], T], description: str, setting: str = HOOK_SECONDS_VARIABLE) -> T:
    """What a call returns in time, as of `together`. who: in words, for whoever presses Ctrl-C meanwhile.

    Raises what it raises, whatever that is, and Overdue.
    """
    limit = get_time_limit(setting)
    try:
        (asked,) = call_all_with_timeout([function], limit)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"while {description} was waited for") from None
    if asked.raised:
        raise asked.raised
    if asked.error:
        raise PluginTimeout(str(asked.error), setting)
    return cast(T, asked.value)


def call_all_with_timeout(functions: Sequence[Callable[[], T]], limit: float) -> list[PluginCall[T]]:
    """Call all of them at once, and wait `limit` seconds for all: one that hangs takes nothing from the others.

    What they print goes to stderr: stdout holds results only.
    """
    asked = [PluginCall(function) for function in functions]
    if not asked:
        return asked
    with redirect_plugin_threads():
        end = time.monotonic() + limit
        try:
            for one in asked:
                one.start()
            for one in asked:
                one.wait(end - time.monotonic(), limit)
        finally:  # Ctrl-C among others
            for one in asked:
                one.abandon()
    return asked


def has_abandoned_calls() -> bool:
    """Whether a call that was given up still goes on."""
    return any(thread.is_alive() for thread in _abandoned_threads)


def exit_process(code: int) -> NoReturn:
    """End the process now: what a call that was given up has started could hold up an ordinary end for ever."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or never there
            continue
    os._exit(code)
