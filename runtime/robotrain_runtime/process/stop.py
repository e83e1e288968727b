"""Stopping: signals of this process that interrupt a wait, and the end of child processes, alone or as groups.

A child is asked with SIGTERM, has a grace period to save its work, and is killed after it or at a second signal.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
WAKE_SIGNAL = signal.SIGURG  # ignored by default
GRACE_VARIABLE = "ROBOTRAIN_GRACE_SECONDS"
"""The environment variable for the seconds that a program has to save its work after a stop."""

SECOND_SECONDS = 1.0
"""How long a program may take to end after a second stop signal."""
ONE_STOP_SECONDS = 1.0
"""Signals within so many seconds of the first one are the same stop: an engine may signal every process of a job, and
those that pass the signal on do so as well.
"""
STOPPED_STATUS = 128 + signal.SIGTERM
"""The exit code of a program that ends because it was stopped."""
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class StopRequested(BaseException):
    """The run was asked to stop. Like KeyboardInterrupt no Exception: code that handles all of those lets it pass."""


class StopSignal:
    """The stop signals of the process while entered: `interruptible` blocks raise StopRequested.

    `number` is the first signal, `count` how many stops were requested.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.count = 0
        self._first_at = 0.0
        self._pending = False
        self._armed = False
        self._interrupted = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        self._previous_handlers = {number: signal.signal(number, self._handle_signal) for number in SIGNALS}
        self._previous_handlers[WAKE_SIGNAL] = signal.signal(WAKE_SIGNAL, self._handle_wake)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # a bootstrap kept them for its supervisor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports for this signal."""
        return 128 + (self.number or signal.SIGTERM)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let each signal, also an earlier one, raise StopRequested once inside the block. In the main thread."""
        was_armed, self._armed = self._armed, True
        try:
            if self._pending:
                self._raise_pending()
            yield
        finally:
            self._armed = self._armed and was_armed  # a stop that was raised leaves the outer blocks too

    def interrupt(self) -> None:
        """Interrupt the main thread from another one, like a signal, but `number` stays None."""
        self._interrupted = True
        signal.pthread_kill(threading.main_thread().ident or 0, WAKE_SIGNAL)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number is None:
            self.number, self._first_at = number, now
        elif now < self._first_at + ONE_STOP_SECONDS:
            return
        self.count += 1
        self._mark_pending()

    def _handle_wake(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            self._interrupted = False
            self._mark_pending()

    def _mark_pending(self) -> None:
        self._pending = True
        if self._armed:
            self._raise_pending()

    def _raise_pending(self) -> None:
        self._pending = self._armed = False
        raise StopRequested


def stop_process(process: subprocess.Popen[Any], grace_seconds: float, stop: StopSignal | None = None) -> None:
    """Terminate a process and wait for its end; kill it after the grace period, or at another signal of `stop`."""
    process.terminate()
    wait_or_kill(process, grace_seconds, stop)


def wait_or_kill(process: subprocess.Popen[Any], seconds: float, stop: StopSignal | None = None) -> None:
    """Wait until a process has ended; kill it as in `stop_process`.

    At another signal it is asked once more, so that it can kill the processes that it passes signals on to.
    """
    try:
        with stop.interruptible() if stop else nullcontext():
            process.wait(seconds)
        return
    except StopRequested:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(seconds, SECOND_SECONDS))
            return
    except subprocess.TimeoutExpired:
        pass
    process.kill()
    process.wait()


def signal_group(leader: int, number: int) -> bool:
    """Send a signal to the processes of a group; return whether there was one."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def is_alive(process: int | str) -> bool:
    """Return whether a process runs: one that has ended may wait for its parent to hear of it. Linux only."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def list_children(process: int | str = "self") -> set[str]:
    """Return the ids of the child processes of one, which may have ended. Linux only."""
    children: set[str] = set()
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            children.update(thread.read_text().split())
    return children


def kill_orphans(spared_pids: Set[str]) -> None:
    """Kill the processes that this one inherited: they left the group of a program, and outlived what started them.

    :param spared_pids: the ids of its own children.
    """
    while orphans := list_children() - spared_pids:
        for orphan in map(int, orphans):
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)  # its own children are inherited now


def _set_process_option(option: int, option_value: int) -> None:
    import ctypes  # costs start-up

    ctypes.CDLL(None).prctl(option, option_value)


def end_with_parent() -> None:
    """Let the system kill this process when its parent process ends, whatever ends that."""
    if sys.platform == "linux":
        _set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)


class ChildGroup:
    """A child process that leads a session of its own, and all that it starts, which may outlive it.

    With `has_pipe` what they write, errors too, is read from `output`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        has_pipe: bool = False,
    ) -> None:
        if sys.platform == "linux":
            _set_process_option(PR_SET_CHILD_SUBREAPER, 1)  # orphans are reaped here
        self._leader = subprocess.Popen(
            command,
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if has_pipe else None,
            stderr=subprocess.STDOUT if has_pipe else None,
            start_new_session=True,
        )
        self.output: IO[bytes] | None = self._leader.stdout

    @property
    def pid(self) -> int:
        """The id of the process itself."""
        return self._leader.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process itself; None while it runs."""
        return self._leader.poll()

    def is_running(self) -> bool:
        """Return whether a process of the group is left."""
        if self._leader.poll() is None:
            return True
        with suppress(ChildProcessError):
            while os.waitpid(-self._leader.pid, os.WNOHANG)[0]:
                pass
        return self.send(0)

    def send(self, number: int) -> bool:
        """Send a signal to all processes; return whether there was one."""
        return signal_group(self._leader.pid, number)


class StopForwarder:
    """Passes SIGTERM and SIGINT on to `groups`, as SIGTERM; kills them after a grace period, or at a second signal.

    Whoever waits for the groups calls `kill_overdue` at times.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.groups: list[ChildGroup] = []
        self.is_requested = False
        self.has_killed = False
        """Whether the groups had to be killed."""
        self.requested_at = 0.0
        """Seconds since the epoch."""
        self._grace_seconds = grace_seconds
        self._kill_at = float("inf")
        self._first_at = 0.0
        for number in SIGNALS:
            signal.signal(number, self._handle_signal)

    def limit_time(self, seconds: float) -> None:
        """Have the groups killed in `seconds`, unless that was due earlier."""
        self._kill_at = min(self._kill_at, time.monotonic() + seconds)

    def kill_overdue(self) -> None:
        """Kill the groups if their time is up."""
        if time.monotonic() > self._kill_at:
            self.has_killed = True
            self._send(signal.SIGKILL)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.is_requested:
            self.is_requested, self._first_at, self.requested_at = True, now, time.time()
            self.limit_time(self._grace_seconds)
            self._send(signal.SIGTERM)
        elif now >= self._first_at + ONE_STOP_SECONDS:
            self.limit_time(0.0)

    def _send(self, number: int) -> None:
        for group in self.groups:
            group.send(number)
