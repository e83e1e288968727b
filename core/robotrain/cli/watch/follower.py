"""Runs followed in background threads to their end.

A log that breaks off is a warning: it is read again, and the state is polled meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from robotrain_runtime.contract import event

from robotrain.cli.output import describe_exception
from robotrain.cli.watch.end_notice import send_notice
from robotrain.cli.watch.run_view import RunView, add_listed_outputs, is_platform_line, query_run
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, Status, StepStatus
from robotrain.network_deadline import PATIENCE_SECONDS
from robotrain.plugins import site
from robotrain.plugins.manager import Plugins
from robotrain.run_folder import log
from robotrain.store import records, run_log

make_problem = Messages(__file__)

TAIL_LINES = 20
POLL_SECONDS = 5.0
LOG_RETRY_SECONDS = 5.0
"""The wait before a log that broke off is read again: a platform may report the end of a run a little late."""
LAST_LINES_SECONDS = 15.0
"""How long to wait for further lines of the log of an ended run."""


class RunObserver(Protocol):
    """What a follower reports to, from the threads of its runs."""

    @property
    def shows_past(self) -> bool:
        """Whether lines of before it began are wanted."""

    def on_line(self, followed: FollowedRun, text: str, record: event.EventRecord | None) -> None:
        """Take a line of the log."""

    def on_state(self, followed: FollowedRun) -> None:
        """Take a new state, or the end."""

    def on_trouble(self, followed: FollowedRun, text: str) -> None:
        """Take what does not work."""

    def on_tick(self) -> None:
        """Do what is due; called in the main thread."""


class FollowedRun:
    """A run that is followed in two threads, one for its log and one for its state."""

    def __init__(
        self,
        record: RunRecord,
        platform: Platform,
        observer: RunObserver,
        run_ended: threading.Event,
        tail: int | None,
        poll_seconds: float,
    ) -> None:
        self.record, self.platform = record, platform
        self._poll_seconds = poll_seconds
        self.status = Status(state="pending")
        """The last known status."""
        self.progress, self.tail = Progress(record.metrics), deque[str](maxlen=TAIL_LINES)
        """What the events of the log add up to, and its last ordinary lines; read them under `lock`."""
        self.steps: Sequence[StepStatus] = ()
        """The steps of a pipeline, as they were when the status was asked for."""
        self._step_progress: dict[str, Progress] = {}
        self.has_status, self.was_running, self.is_over = False, False, False
        """Whether the platform returned a status, whether one before the end was seen, and whether the run ended."""
        self.missing = ""
        """What is known of its outputs if it left none."""
        self.failure: Rejected | None = None
        """Why the run could not be followed to its end."""
        self.lock = threading.Lock()
        self._observer, self._run_ended, self._tail_count = observer, run_ended, tail
        self._lines_read, self._last_line_at, self._last_poll = 0, 0.0, 0.0
        self._log_trouble, self._status_trouble = "", ""
        self._reported_troubles: set[str] = set()
        self._last_reported = ("", "")
        self._stopped, self._log_ended, self._poll_now = threading.Event(), threading.Event(), threading.Event()
        self._log_ended_at, self._status_trouble_since = 0.0, 0.0

    @property
    def trouble(self) -> str:
        """What does not work at present, as a sentence, or an empty text."""
        return self._status_trouble or self._log_trouble

    @property
    def reported_state(self) -> tuple[str, str]:
        """The state and reason to show: `unknown` for a run that could not be followed."""
        if self.failure is None:
            return self.status.state, self.status.reason
        return "unknown", "; ".join(problem.title for problem in self.failure.problems)

    @property
    def view(self) -> RunView:
        """What is known of it."""
        return RunView(self.record, self.platform, self.status, self.progress, self.steps, self.missing)

    def get_step_progress(self, step: str) -> Progress:
        """Return the progress of a step of a pipeline alone; that of the run for an empty name."""
        if step and step not in self._step_progress:
            self._step_progress[step] = Progress(self.record.metrics)
        return self._step_progress[step] if step else self.progress

    def start(self) -> None:
        """Start the threads."""
        for target in (self._read_log, self._poll_status):
            threading.Thread(target=target, daemon=True).start()

    def stop(self) -> None:
        """Stop following; the run itself continues."""
        self._stopped.set()
        self._poll_now.set()

    def _read_log(self) -> None:
        """Read the log to its end. A log that is read again begins from its start: known lines are skipped."""
        lines_seen = self._lines_read if self._tail_count is None else 0
        try:
            if events := None if self._observer.shows_past else self.platform.engine.events_file(self.record.reference):
                log_lines, lines_seen = self._follow_events(events), 0
            else:
                log_lines = self.platform.engine.logs(self.record.reference, follow=True, tail=self._tail_count)
            for line_number, line in enumerate(log_lines, 1):
                if self._stopped.is_set():
                    return
                if line_number > lines_seen:
                    self._lines_read, self._last_line_at, self._log_trouble = line_number, time.monotonic(), ""
                    self._handle_line(line)
            self._log_trouble = ""
        except (Exception, SystemExit) as error:  # whatever a plugin raises: the state is still polled
            self._log_trouble = f"the log of {self.record.run} broke off: {describe_exception(error)}"
        self._log_ended_at = time.monotonic()
        self._log_ended.set()
        self._poll_now.set()

    def _follow_events(self, events: Path) -> Iterator[str]:
        """Take over the progress in a file of events, and return the lines that are added to it."""
        progress, offset = run_log.read_events_file(self.record, events, with_incomplete=False)
        with self.lock:
            self.progress = progress
        return log.read_log_lines(events, self._has_ended, start=offset)

    def _has_ended(self) -> bool:
        """Return whether the run has ended, as the platform said at most a second ago."""
        if time.monotonic() - self._last_poll >= 1.0:
            self._last_poll = time.monotonic()
            return self.platform.engine.status(self.record.reference).finished
        return False

    def _handle_line(self, line: str) -> None:
        record = event.parse_event(line) if line.startswith(event.PREFIX) else None
        with self.lock:
            if record is not None:
                if not self.record.is_sweep:
                    self.progress.add_event(record)
                if record.pipeline_step:
                    self.get_step_progress(record.pipeline_step).add_event(record)
            elif not is_platform_line(line, self.record):
                self.tail.append(line)
        self._observer.on_line(self, line, record)

    def _poll_status(self) -> None:
        has_polled = False
        while not self._stopped.is_set() and not self.is_over:
            log_ended = self._log_ended.is_set()  # read before the state, so that an end in between is seen
            status = self._query_status()
            if self.failure is not None:
                self._finish(self.status)
            elif status is not None and status.finished:
                if log_ended and self._log_trouble:
                    self._restart_log()
                self._await_last_lines()
                self._finish(status)
            else:
                if status is not None:
                    self._set_status(status, notify=has_polled)
                    has_polled = True
                self._retry_log(log_ended)
                self._poll_now.wait(self._poll_seconds if not log_ended else min(self._poll_seconds, LOG_RETRY_SECONDS))
                self._poll_now.clear()

    def _query_status(self) -> Status | None:
        """Return the status; None when the platform does not answer now."""
        try:
            status, self.steps = query_run(self.record, self.platform)
        except (Exception, SystemExit) as error:
            if isinstance(error, Rejected) and not error.transient:
                self.failure = error  # waiting fixes neither a sign-in nor a run that is gone
                return None
            self._handle_no_answer(error)
            return None
        self._status_trouble, self._status_trouble_since = "", 0.0
        return status

    def _handle_no_answer(self, error: BaseException) -> None:
        """Note that the platform does not answer; give up after a while when its log is silent too."""
        now = time.monotonic()
        self._status_trouble_since = self._status_trouble_since or now
        run = self.record.run
        platform = self.record.platform
        reason = describe_exception(error)
        self._status_trouble = f"{platform} does not return the status of {run}: {reason}"
        self._report_trouble(self._status_trouble)
        log_silent = self._log_trouble or self._log_ended.is_set()
        if not log_silent or now - max(self._status_trouble_since, self._last_line_at) <= PATIENCE_SECONDS:
            return
        minutes = PATIENCE_SECONDS / 60
        silence_problem = make_problem("platform-away", platform=platform, run=run, minutes=minutes, why=reason)
        self.failure = error if isinstance(error, Rejected) else Rejected([silence_problem])

    def _await_last_lines(self) -> None:
        """Wait until the log ends, as long as lines arrive."""
        deadline = time.monotonic() + LAST_LINES_SECONDS
        while not self._log_ended.wait(max(0.0, deadline - time.monotonic())):
            if (deadline := self._last_line_at + LAST_LINES_SECONDS) > time.monotonic():
                continue
            self._report_trouble(f"the log of {self.record.run} did not end")
            break
        if self._log_trouble:
            self._report_trouble(self._log_trouble)

    def _retry_log(self, log_ended: bool) -> None:
        """Read the log again after it broke off while the run continues."""
        if not log_ended or time.monotonic() - self._log_ended_at < LOG_RETRY_SECONDS:
            return
        self._log_trouble = self._log_trouble or f"the log of {self.record.run} ended before the run did"
        self._report_trouble(f"{self._log_trouble}; the state is still polled")
        if self._tail_count is not None:
            self._tail_count = 0  # how far it was read is unknown: a gap is better than repeated lines
        self._restart_log()

    def _restart_log(self) -> None:
        self._log_ended.clear()
        threading.Thread(target=self._read_log, daemon=True).start()

    def _report_trouble(self, trouble: str) -> None:
        if trouble not in self._reported_troubles:
            self._reported_troubles.add(trouble)
            self._observer.on_trouble(self, trouble)

    def _set_status(self, status: Status, notify: bool) -> None:
        """Keep a status and report a change; without notify a pending run is not reported."""
        self.status, self.has_status, self.was_running = status, True, True
        reported = (status.state, status.reason)
        if (notify or status.state != "pending") and self._last_reported != reported:
            self._last_reported = reported
            self._observer.on_state(self)

    def _finish(self, status: Status) -> None:
        records.save_final_status(self.record.run, status)
        try:
            self.missing = add_listed_outputs(self.record, self.platform, status, self.progress)
        except (Exception, SystemExit) as error:  # whatever a plugin raises: the run is over
            self._report_trouble(f"the outputs of {self.record.run} cannot be listed: {describe_exception(error)}")
        self.status, self.has_status, self.is_over = status, True, True
        if not self._stopped.is_set():
            self._observer.on_state(self)
        self._run_ended.set()


TICK_SECONDS = 0.2


class RunFollower:
    """A context that follows several runs and reports to an observer.

    :param plugins: the plugins to notify of runs that ended while they were followed.
    :param webhook: the address that is told how each run ended.
    :param just_sent: the runs were submitted by this command: their end is new even if they were never seen running.
    """

    def __init__(
        self,
        runs: Sequence[tuple[RunRecord, Any]],
        observer: RunObserver,
        plugins: Plugins | None = None,
        just_sent: bool = False,
        tail: int | None = None,
        poll_seconds: float | None = None,
        webhook: str = "",
    ) -> None:
        poll = POLL_SECONDS if poll_seconds is None else poll_seconds
        self._run_ended = threading.Event()
        self._observer, self._plugins, self._just_sent = observer, plugins, just_sent
        self._notified, self.webhook = set[str](), webhook
        self.runs = [FollowedRun(record, platform, observer, self._run_ended, tail, poll) for record, platform in runs]
        self.problems: list[Problem] = []
        """Failures of plugins, to be printed when nothing is drawn any more."""

    def __enter__(self) -> RunFollower:
        for run in self.runs:
            run.start()
        return self

    def __exit__(self, *how: object) -> None:
        for run in self.runs:
            run.stop()

    @property
    def is_over(self) -> bool:
        """Whether every run has ended."""
        return all(run.is_over for run in self.runs)

    @property
    def unfinished(self) -> list[FollowedRun]:
        """The runs that have not ended."""
        return [run for run in self.runs if not run.is_over]

    def wait_until_over(self, seconds: float | None = None, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until every run has ended; return False after `seconds`, or when `should_stop` says so."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.is_over:
            remaining = TICK_SECONDS if end is None else min(TICK_SECONDS, end - time.monotonic())
            if remaining <= 0 or should_stop():
                return False
            self._run_ended.wait(remaining)
            self._run_ended.clear()
            self._observer.on_tick()
            self._notify_ended()
        self._notify_ended()
        return True

    def _notify_ended(self) -> None:
        for run in self.runs:
            if run.is_over and run.record.run not in self._notified:
                self._notified.add(run.record.run)
                if self._plugins and not run.failure and (run.was_running or self._just_sent):
                    self.problems += site.notify_run_changed(self._plugins, run.record, "ended", run.status)
                if self.webhook and not run.failure:
                    self.problems += send_notice(self.webhook, run.record, run.status, run.progress)
