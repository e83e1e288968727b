"""What plugins print: on stderr while they are waited for, nowhere afterwards. stdout belongs to results."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

_lock = threading.Lock()
_guests: list["Guests"] = []
"""Whoever is waited for at this moment."""
_muted: set[threading.Thread] = set()
"""Threads that plugins left running."""
_before: list[tuple[Any, Any]] = []
"""The streams that ours took the place of."""
_ours: list["Stream"] = []
"""Held here also when they are gone from `sys`: Python holds no reference to the stream that it is printing to, and
crashes when another thread takes the last one away (before 3.14)."""


class Guests:
    """Threads of plugins. known: those that are none of theirs; None when others may start threads meanwhile.

    host: the thread that waits for them.
    """

    def __init__(self, known: frozenset[threading.Thread] | None) -> None:
        self.host = threading.current_thread()
        self.threads: set[threading.Thread] = set()
        self._known = known

    def hold(self, thread: threading.Thread) -> bool:
        """Whether it is one of them, or was started by one."""
        return thread in self.threads or (self._known is not None and thread not in self._known)


class Stream:
    """A stream of this process, as each thread sees it: those of plugins get another."""

    def __init__(self, stream: Any, instead: Any) -> None:
        self._stream, self._instead = stream, instead
        self._nowhere: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of_this_thread(), name)

    def _of_this_thread(self) -> Any:
        thread = threading.current_thread()
        if thread in _muted:
            return self._null()
        return self._instead if any(guests.hold(thread) for guests in _guests) else self._stream

    def _null(self) -> Any:
        if self._nowhere is None:
            self._nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
        return self._nowhere


def invite(thread: threading.Thread) -> None:
    """Make a thread that is about to start one of the plugins', for the block this thread is in."""
    here = threading.current_thread()
    if guests := next((guests for guests in reversed(_guests) if guests.host is here), None):
        guests.threads.add(thread)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """A block in which threads that were invited print on stderr; where nobody else is at work that holds for the
    threads and the processes that they start, too. What still runs at its end prints nowhere.
    """
    known = frozenset(threading.enumerate())
    alone = known <= _muted | {threading.current_thread()}
    guests = Guests(known if alone else None)
    _guests.append(guests)
    with _descriptor() if alone else contextlib.nullcontext():  # else another thread may be printing results
        _install()
        try:
            yield
        finally:
            _mute(guests)
            _guests.remove(guests)
            _restore()


@contextlib.contextmanager
def here(whole: bool = True) -> Iterator[None]:
    """A block in which this very thread is at a plugin's work: what it prints goes to stderr.

    whole: also what the programs and the threads print that it starts, where nobody else is at work; threads that
    still run at its end print nowhere.
    """
    known = frozenset(threading.enumerate()) if whole else None
    alone = known is not None and known <= _muted | {threading.current_thread()}
    guests = Guests(known if alone else None)
    guests.threads.add(guests.host)
    _guests.append(guests)
    with _descriptor() if alone else contextlib.nullcontext():
        _install()
        try:
            yield
        finally:
            _mute(guests)
            _guests.remove(guests)
            _restore()


def _mute(guests: Guests) -> None:
    """What was started and still runs prints nowhere; the thread that is at work here goes on."""
    with _lock:
        _muted.intersection_update(threading.enumerate())
        _muted.update(thread for thread in threading.enumerate() if guests.hold(thread) and thread is not guests.host)


def _install() -> None:
    with _lock:
        if not isinstance(sys.stdout, Stream):
            _before[:] = [(sys.stdout, sys.stderr)]
            if not _somebody_left():
                _ours.clear()
            _ours.extend((Stream(sys.stdout, sys.stderr), Stream(sys.stderr, sys.stderr)))
            sys.stdout, sys.stderr = _ours[-2:]


def _restore() -> None:
    """The streams as they were; ours stay as long as somebody must be kept from them."""
    with _lock:
        here = any(guests.host not in _muted for guests in _guests)
        if not here and _before and isinstance(sys.stdout, Stream):
            before = _before.pop()
            if not _somebody_left():
                sys.stdout, sys.stderr = before


def _somebody_left() -> bool:
    """Whether a thread that a plugin left running may still print."""
    return any(thread.is_alive() for thread in _muted)


@contextlib.contextmanager
def _descriptor() -> Iterator[None]:
    """File descriptor 1 is 2, where both are there."""
    try:
        stdout, stderr = _number(sys.__stdout__), _number(sys.__stderr__)
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


def _number(stream: TextIO | None) -> int:
    """The stream's descriptor, nothing of it unwritten. Raises OSError or ValueError when it has none."""
    if stream is None:
        raise ValueError("closed")
    stream.flush()
    return stream.fileno()
