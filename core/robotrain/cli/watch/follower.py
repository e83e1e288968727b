"""Runs followed in the background to their end; a broken log is a warning, the state is still polled."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from robotrain_runtime.contract import event

from robotrain.cli.output import describe_exception
from robotrain.cli.watch.run_summary import is_platform_line
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.progress import Progress
from robotrain.model.run import Status
from robotrain.store import records

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins

TAIL_LINES = 20
POLL_SECONDS = 5.0
LOG_RETRY_SECONDS = 5.0
"""Until a log that broke off is asked for once more; a platform may say a little late that a run ended."""
LAST_LINES_SECONDS = 15.0
"""Without any line, until the log of a run that ended is waited for no longer."""
PATIENCE_SECONDS = 600.0
"""For a platform that tells neither state nor log."""


class RunObserver(Protocol):
    """Is told what happens to runs, from threads of theirs."""

    def on_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """A line of the log; found: the event it holds."""

    def on_state(self, followed: FollowedRun) -> None:
        """The state or its reason changed, or the run is over."""

    def on_trouble(self, followed: FollowedRun, text: str) -> None:
        """Something does not work; the run is followed all the same."""

    def on_tick(self) -> None:
        """Time went by; what was held back may be due."""


class FollowedRun:
    """A run that is followed. status: as far as it is known. progress, tail: what its log told, its last ordinary
    lines; read under `lock`. over: nothing more will be told. failure: why it could not be followed to its end.
    looked: its platform said how it is; went_on: it had not ended then. ended: is set when a run is over.
    """

    def __init__(
        self,
        record: RunRecord,
        platform: Platform,
        observer: RunObserver,
        run_ended: threading.Event,
        tail: int | None = None,
    ) -> None:
        self.record, self.platform = record, platform
        self.status = Status(state="pending")
        self.progress, self.tail = Progress(record.metrics), deque[str](maxlen=TAIL_LINES)
        self.has_status, self.was_running, self.is_over = False, False, False
        self.failure: Rejected | None = None
        self.lock = threading.Lock()
        self._observer, self._run_ended, self._tail_count = observer, run_ended, tail
        self._lines_read, self._last_line_at = 0, 0.0
        self._log_trouble, self._status_trouble = "", ""  # what is wrong at present: with the log, with the state
        self._reported_troubles: set[str] = set()
        self._last_reported = ("", "")
        self._stopped, self._log_ended, self._poll_now = threading.Event(), threading.Event(), threading.Event()
        self._log_ended_at = 0.0
        self._status_trouble_since: float | None = None

    @property
    def trouble(self) -> str:
        """What does not work at present, as a sentence; empty while all does."""
        return self._status_trouble or self._log_trouble

    @property
    def reported_state(self) -> tuple[str, str]:
        """Its state and the reason, as they are told: nobody knows them of a run that could not be followed."""
        if self.failure is None:
            return self.status.state, self.status.reason
        return "unknown", "; ".join(problem.title for problem in self.failure.problems)

    def start(self) -> None:
        """Begin to follow; returns at once."""
        for work in (self._read_log, self._poll_status):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """Follow no longer; the run goes on."""
        self._stopped.set()
        self._poll_now.set()

    def _read_log(self) -> None:
        """The log to its end. One that is asked for again begins anew: what was heard before is left out."""
        known = self._lines_read if self._tail_count is None else 0
        try:
            lines = self.platform.logs(self.record.reference, follow=True, tail=self._tail_count)
            for at, line in enumerate(lines, 1):
                if self._stopped.is_set():
                    return
                if at > known:
                    self._lines_read, self._last_line_at, self._log_trouble = at, time.monotonic(), ""
                    self._handle_line(line)
            self._log_trouble = ""
        except Exception as error:  # whatever a plugin raises: the run goes on, and so does what can be said of it
            self._log_trouble = f"the log of {self.record.run} broke off: {describe_exception(error)}"
        self._log_ended_at = time.monotonic()
        self._log_ended.set()
        self._poll_now.set()

    def _handle_line(self, line: str) -> None:
        found = event.parse_event(line) if line.startswith(event.PREFIX) else None
        with self.lock:
            if found is not None:
                self.progress.add_event(found)
            elif not is_platform_line(line, self.record):
                self.tail.append(line)
        self._observer.on_line(self, line, found)

    def _poll_status(self) -> None:
        """Ask for the state again and again, up to the run's end."""
        looked_before = False
        while not self._stopped.is_set() and not self.is_over:
            log_ended = self._log_ended.is_set()  # before the state is asked for: an end in between is then seen
            status = self._ask_status()
            if self.failure is not None:
                self._finish(self.status)
            elif status is not None and status.finished:
                if log_ended and self._log_trouble:
                    self._restart_log()
                self._await_last_lines()
                self._finish(status)
            else:
                if status is not None:
                    self._set_status(status, notify=looked_before)
                    looked_before = True
                self._retry_log(log_ended)
                self._poll_now.wait(POLL_SECONDS if not log_ended else min(POLL_SECONDS, LOG_RETRY_SECONDS))
                self._poll_now.clear()

    def _ask_status(self) -> Status | None:
        """The state; None where the platform does not tell it now."""
        try:
            status = self.platform.status(self.record.reference)
            if not isinstance(status, Status):
                raise TypeError(f"{type(status).__name__} is no status")
        except Exception as error:
            if isinstance(error, Rejected) and not error.transient:
                self.failure = error  # waiting mends neither a sign-in nor a run that is gone
                return None
            self._handle_no_answer(error)
            return None
        self._status_trouble, self._status_trouble_since = "", None
        return status

    def _handle_no_answer(self, error: Exception) -> None:
        """A platform that does not answer now may do so later; not for long, where its log is not heard either."""
        now = time.monotonic()
        self._status_trouble_since = self._status_trouble_since or now
        self._status_trouble = (
            f"{self.record.platform} does not say how {self.record.run} is: {describe_exception(error)}"
        )
        self._report_trouble(self._status_trouble)
        unheard = self._log_trouble or self._log_ended.is_set()
        if unheard and now - max(self._status_trouble_since, self._last_line_at) > PATIENCE_SECONDS:
            self.failure = (
                error
                if isinstance(error, Rejected)
                else Rejected([_platform_silent_problem(self.record, describe_exception(error))])
            )

    def _await_last_lines(self) -> None:
        """As long as some come: a long log is read to its end."""
        until = time.monotonic() + LAST_LINES_SECONDS
        while not self._log_ended.wait(max(0.0, until - time.monotonic())):
            if (until := self._last_line_at + LAST_LINES_SECONDS) > time.monotonic():
                continue
            self._report_trouble(f"the log of {self.record.run} did not come to an end")
            break
        if self._log_trouble:
            self._report_trouble(self._log_trouble)

    def _retry_log(self, log_ended: bool) -> None:
        """Once a log broke off while the run goes on."""
        if not log_ended or time.monotonic() - self._log_ended_at < LOG_RETRY_SECONDS:
            return
        self._log_trouble = self._log_trouble or f"the log of {self.record.run} ended before the run did"
        self._report_trouble(f"{self._log_trouble}; its state is asked for meanwhile")
        if self._tail_count is not None:
            self._tail_count = 0  # how far it was heard is not known: better a gap than lines twice
        self._restart_log()

    def _restart_log(self) -> None:
        self._log_ended.clear()
        threading.Thread(target=self._read_log, daemon=True).start()

    def _report_trouble(self, trouble: str) -> None:
        """Each trouble once."""
        if trouble not in self._reported_troubles:
            self._reported_troubles.add(trouble)
            self._observer.on_trouble(self, trouble)

    def _set_status(self, status: Status, notify: bool) -> None:
        """tell: not at the first look, when most runs wait, for a moment only."""
        self.status, self.has_status, self.was_running = status, True, True
        spoken = (status.state, status.reason)
        if (notify or status.state != "pending") and self._last_reported != spoken:
            self._last_reported = spoken
            self._observer.on_state(self)

    def _finish(self, status: Status) -> None:
        records.save_final_status(self.record.run, status)
        self.status, self.has_status, self.is_over = status, True, True
        if not self._stopped.is_set():
            self._observer.on_state(self)
        self._run_ended.set()


def _platform_silent_problem(record: RunRecord, last: str) -> Problem:
    return Problem(
        code="platform-silent",
        stage=Stage.SUBMIT,
        title=f"{record.platform} has told nothing of {record.run} for {PATIENCE_SECONDS / 60:.0f} min",
        why=f"{last}.",
        suggestions=(Suggestion(f"robotrain wait {record.run}", "goes on where this stopped"),),
    )


TICK_SECONDS = 0.2


class RunFollower:
    """The runs, in the order given; what happens to them is told to `teller`. A context: at its end nobody listens.

    ended: called with each that is over, once, in the thread that waits for them.
    """

    def __init__(
        self,
        runs: Sequence[tuple[RunRecord, Any]],
        observer: RunObserver,
        on_end: Callable[[FollowedRun], None] = lambda one: None,
        tail: int | None = None,
    ) -> None:
        self._run_ended = threading.Event()
        self._observer, self._on_end, self._notified = observer, on_end, set[str]()
        self.runs = [FollowedRun(record, platform, observer, self._run_ended, tail) for record, platform in runs]

    def __enter__(self) -> RunFollower:
        for one in self.runs:
            one.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in self.runs:
            one.stop()

    @property
    def is_over(self) -> bool:
        """Whether every run is."""
        return all(one.is_over for one in self.runs)

    @property
    def unfinished(self) -> list[FollowedRun]:
        """The runs that are not over."""
        return [one for one in self.runs if not one.is_over]

    def wait_until_over(self, seconds: float | None = None, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until every run is over; False when it took longer than `seconds`, or somebody had enough."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.is_over:
            left = TICK_SECONDS if end is None else min(TICK_SECONDS, end - time.monotonic())
            if left <= 0 or should_stop():
                return False
            self._run_ended.wait(left)
            self._run_ended.clear()
            self._observer.on_tick()
            self.notify_ended()
        return True

    def notify_ended(self) -> None:
        """Tell of those that are over and were not told of."""
        for one in self.runs:
            if one.is_over and one.record.run not in self._notified:
                self._notified.add(one.record.run)
                self._on_end(one)


class EndNotifier:
    """Tells them, each run once. just_sent: whoever follows it saw it go on. problems: of those that could not be told,
    to be reported when nothing is drawn any more.
    """

    def __init__(self, plugins: Plugins | None, just_sent: bool = False) -> None:
        self.problems: list[Problem] = []
        self._plugins, self._just_sent = plugins, just_sent

    def __call__(self, followed: FollowedRun) -> None:
        """A run that is over."""
        if self._plugins is None or followed.failure or not (followed.was_running or self._just_sent):
            return
        from robotrain.plugins import site

        self.problems += site.notify_run_ended(self._plugins, followed.record, followed.status)
