"""A run followed in the background to its end. A log that breaks off is a warning: its state is still asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from robotrain_runtime import event

from robotrain import ended
from robotrain.cli.watching.asking import why
from robotrain.cli.watching.heard import of_platform
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.progress import Progress
from robotrain.run import Status

if TYPE_CHECKING:
    from robotrain.run import RunRecord

TAIL = 20
LOOK_SECONDS = 5.0
AGAIN_SECONDS = 5.0
"""Until a log that broke off is asked for once more; a platform may say a little late that a run ended."""
LAST_LINES_SECONDS = 15.0
"""Without any line, until the log of a run that ended is waited for no longer."""
PATIENCE_SECONDS = 600.0
"""For a platform that tells neither state nor log."""


class Teller(Protocol):
    """Is told what happens to runs, from threads of theirs."""

    def line(self, followed: Followed, text: str, found: event.Record | None) -> None:
        """A line of the log; found: the event it holds."""

    def state(self, followed: Followed) -> None:
        """The state or its reason changed, or the run is over."""

    def trouble(self, followed: Followed, text: str) -> None:
        """Something does not work; the run is followed all the same."""

    def tick(self) -> None:
        """Time went by; what was held back may be due."""


class Followed:
    """A run that is followed. status: as far as it is known. progress, tail: what its log told, its last ordinary
    lines; read under `lock`. over: nothing more will be told. failure: why it could not be followed to its end.
    looked: its platform said how it is; went_on: it had not ended then. ended: is set when a run is over.
    """

    def __init__(
        self, record: RunRecord, platform: Any, teller: Teller, ended: threading.Event, tail: int | None = None
    ) -> None:
        self.record, self.platform = record, platform
        self.status = Status(state="pending")
        self.progress, self.tail = Progress(record.metrics), deque[str](maxlen=TAIL)
        self.looked, self.went_on, self.over = False, False, False
        self.failure: Rejected | None = None
        self.lock = threading.Lock()
        self._teller, self._ended, self._only_last = teller, ended, tail
        self._heard, self._heard_at = 0, 0.0
        self._broken, self._mute = "", ""  # what is wrong at present: with the log, with the state
        self._told: set[str] = set()
        self._spoken = ("", "")
        self._stopped, self._log_ended, self._look_now = threading.Event(), threading.Event(), threading.Event()
        self._log_ended_at = 0.0
        self._mute_since: float | None = None

    @property
    def trouble(self) -> str:
        """What does not work at present, as a sentence; empty while all does."""
        return self._mute or self._broken

    @property
    def word(self) -> tuple[str, str]:
        """Its state and the reason, as they are told: nobody knows them of a run that could not be followed."""
        if self.failure is None:
            return self.status.state, self.status.reason
        return "unknown", "; ".join(problem.title for problem in self.failure.problems)

    def start(self) -> None:
        """Begin to follow; returns at once."""
        for work in (self._listen, self._look):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """Follow no longer; the run goes on."""
        self._stopped.set()
        self._look_now.set()

    def _listen(self) -> None:
        """The log to its end. One that is asked for again begins anew: what was heard before is left out."""
        known = self._heard if self._only_last is None else 0
        try:
            lines = self.platform.logs(self.record.reference, follow=True, tail=self._only_last)
            for at, line in enumerate(lines, 1):
                if self._stopped.is_set():
                    return
                if at > known:
                    self._heard, self._heard_at, self._broken = at, time.monotonic(), ""
                    self._take(line)
            self._broken = ""
        except Exception as error:  # whatever a plugin raises: the run goes on, and so does what can be said of it
            self._broken = f"the log of {self.record.run} broke off: {why(error)}"
        self._log_ended_at = time.monotonic()
        self._log_ended.set()
        self._look_now.set()

    def _take(self, line: str) -> None:
        found = event.read(line) if line.startswith(event.PREFIX) else None
        with self.lock:
            if found is not None:
                self.progress.add(found)
            elif not of_platform(line, self.record):
                self.tail.append(line)
        self._teller.line(self, line, found)

    def _look(self) -> None:
        """Ask for the state again and again, up to the run's end."""
        looked_before = False
        while not self._stopped.is_set() and not self.over:
            log_ended = self._log_ended.is_set()  # before the state is asked for: an end in between is then seen
            status = self._asked()
            if self.failure is not None:
                self._end(self.status)
            elif status is not None and status.finished:
                if log_ended and self._broken:
                    self._listen_once_more()
                self._await_last_lines()
                self._end(status)
            else:
                if status is not None:
                    self._set(status, tell=looked_before)
                    looked_before = True
                self._listen_again(log_ended)
                self._look_now.wait(LOOK_SECONDS if not log_ended else min(LOOK_SECONDS, AGAIN_SECONDS))
                self._look_now.clear()

    def _asked(self) -> Status | None:
        """The state; None where the platform does not tell it now."""
        try:
            status = self.platform.status(self.record.reference)
            if not isinstance(status, Status):
                raise TypeError(f"{type(status).__name__} is no status")
        except Exception as error:
            if isinstance(error, Rejected) and not error.passing:
                self.failure = error  # waiting mends neither a sign-in nor a run that is gone
                return None
            self._unanswered(error)
            return None
        self._mute, self._mute_since = "", None
        return status

    def _unanswered(self, error: Exception) -> None:
        """A platform that does not answer now may do so later; not for long, where its log is not heard either."""
        now = time.monotonic()
        self._mute_since = self._mute_since or now
        self._mute = f"{self.record.platform} does not say how {self.record.run} is: {why(error)}"
        self._tell(self._mute)
        unheard = self._broken or self._log_ended.is_set()
        if unheard and now - max(self._mute_since, self._heard_at) > PATIENCE_SECONDS:
            self.failure = error if isinstance(error, Rejected) else Rejected([_silent(self.record, why(error))])

    def _await_last_lines(self) -> None:
        """As long as some come: a long log is read to its end."""
        until = time.monotonic() + LAST_LINES_SECONDS
        while not self._log_ended.wait(max(0.0, until - time.monotonic())):
            if (until := self._heard_at + LAST_LINES_SECONDS) > time.monotonic():
                continue
            self._tell(f"the log of {self.record.run} did not come to an end")
            break
        if self._broken:
            self._tell(self._broken)

    def _listen_again(self, log_ended: bool) -> None:
        """Once a log broke off while the run goes on."""
        if not log_ended or time.monotonic() - self._log_ended_at < AGAIN_SECONDS:
            return
        self._broken = self._broken or f"the log of {self.record.run} ended before the run did"
        self._tell(f"{self._broken}; its state is asked for meanwhile")
        if self._only_last is not None:
            self._only_last = 0  # how far it was heard is not known: better a gap than lines twice
        self._listen_once_more()

    def _listen_once_more(self) -> None:
        self._log_ended.clear()
        threading.Thread(target=self._listen, daemon=True).start()

    def _tell(self, trouble: str) -> None:
        """Each trouble once."""
        if trouble not in self._told:
            self._told.add(trouble)
            self._teller.trouble(self, trouble)

    def _set(self, status: Status, tell: bool) -> None:
        """tell: not at the first look, when most runs wait, for a moment only."""
        self.status, self.looked, self.went_on = status, True, True
        spoken = (status.state, status.reason)
        if (tell or status.state != "pending") and self._spoken != spoken:
            self._spoken = spoken
            self._teller.state(self)

    def _end(self, status: Status) -> None:
        ended.seen(self.record.run, status)
        self.status, self.looked, self.over = status, True, True
        if not self._stopped.is_set():
            self._teller.state(self)
        self._ended.set()


def _silent(record: RunRecord, last: str) -> Problem:
    return Problem(
        code="platform-silent",
        stage=Stage.SUBMIT,
        title=f"{record.platform} has told nothing of {record.run} for {PATIENCE_SECONDS / 60:.0f} min",
        why=f"{last}.",
        instead=(Instead(f"robotrain wait {record.run}", "goes on where this stopped"),),
    )
