"""The runtime's end of tracking: a process in the training environment that can never hold training up."""

import itertools
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from robotrain_runtime import child, event, reason
from robotrain_runtime.courier import Halted, Never
from robotrain_runtime.event import Note, Outcome, Record, Tracking
from robotrain_runtime.track import asking
from robotrain_runtime.track.asking import Answer, Ask

MODULE = "robotrain_runtime.track.tracking"
MACHINE = "--machine"
AGAIN = "--again"
ATTACHED = "--attached"
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Unless the environment says otherwise: a server that is not there should be told before the run ends."""
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
END_SECONDS = 30.0  # with the grace of the work before it, less than a platform waits before it kills
START_SECONDS = 20.0
POLL_SECONDS = 0.05


class Tracker:
    """Takes events; what tracking says comes back through `on_event`. It may fail: training goes on without it.

    again: the tracking run of an earlier attempt, which goes on; attached: whether it is the platform's, which alone
    says how it ends. run_id: that of this one, empty before it began.
    """

    def __init__(
        self,
        python: Path,
        uri: str,
        *,
        machine: bool,
        environ: Mapping[str, str],
        on_event: Callable[[Record], None],
        again: str = "",
        attached: bool = False,
    ) -> None:
        self.run_id = ""
        self._on_event = on_event
        self._uri = uri
        self._given_up = False
        self._started = time.monotonic()
        self._told: deque[str] = deque(maxlen=50)
        self._inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._answers: dict[int, Answer] = {}
        given = {MACHINE: machine, ATTACHED: attached}
        options = [option for option, wanted in given.items() if wanted]
        self._process, receive = child.start(
            [str(python), "-m", MODULE, *options, *((AGAIN, again) if again else ())],
            {**PATIENCE, **environ, **QUIET, "MLFLOW_TRACKING_URI": uri},
            subprocess.PIPE,
            before=_ignore_signals,  # what stops the run must not stop what writes down that it was stopped
        )
        self._readers = [
            child.reader(self._hear, self._process.stdout),
            child.reader(self._listen, os.fdopen(receive, "rb")),
        ]
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, record: Record) -> None:
        """Hand an event over; returns at once."""
        self._inbox.put(event.dump(record.event, record.time))

    def ask(self, what: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Have something done, and wait for it.

        Raises OSError with why it failed; Never when the process is gone; Halted.
        """
        number = next(self._numbers)
        self._inbox.put(asking.dump(Ask(number=number, what=what, body=body)))
        while number not in self._answers:
            if halted():
                raise Halted
            if not self.alive:
                self._readers[1].join(child.LAST_OUTPUT_SECONDS)
                if number not in self._answers:
                    raise Never(self._gone())
            time.sleep(POLL_SECONDS)
        answer = self._answers.pop(number)
        if answer.error:
            raise OSError(answer.error)
        return answer.body

    def begin(self, halted: Callable[[], bool]) -> str:
        """The id of the tracking run, waited for. Raises OSError when it is not there yet; Never; Halted."""
        while not self.run_id:
            if halted():
                raise Halted
            if not self.alive:
                raise Never(self._gone())
            if time.monotonic() - self._started > START_SECONDS:
                raise OSError("tracking has not begun yet")
            time.sleep(POLL_SECONDS)
        return self.run_id

    def close(self, outcome: Outcome | None) -> None:
        """Tell it how the run ended, if there was one, and wait until that is written down."""
        if outcome is not None:
            self.send(event.now(outcome))
        self._inbox.put(None)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._given_up = True
            self._process.kill()
            self._process.wait()
            told = f": {self._told[-1]}" if self._told else ""
            self._say(
                f"tracking at {self._uri} did not finish within {END_SECONDS:g} s of the end and was stopped{told}"
            )
            return
        for reader in self._readers:
            reader.join(child.LAST_OUTPUT_SECONDS)

    def _hear(self, output: IO[bytes]) -> None:
        """Its output to the end; when it ended in trouble, that is told at once, not with the end of the run."""
        child.lines_to(output, self._told.append, self._on_event)
        if (code := self._process.wait()) and not self._given_up:
            self._say(f"the run is not tracked, or only in part: {reason.of_exit(code, self._told)}")

    def _listen(self, pipe: IO[bytes]) -> None:
        """Its events and its answers, to the end."""
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if record := event.read(line):
                    if isinstance(record.event, Tracking):
                        self.run_id = record.event.run_id
                    self._on_event(record)
                elif isinstance(said := asking.read(line), Answer):
                    self._answers[said.number] = said

    def _write(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as pipe:  # a process that is gone is reported by `_hear`
            while (line := self._inbox.get()) is not None:
                pipe.write((line + "\n").encode())
                pipe.flush()

    def _gone(self) -> str:
        told = reason.of_output(self._told)
        return f"tracking has ended: {told}" if told else "tracking has ended"

    def _say(self, text: str) -> None:
        self._on_event(event.now(Note(level="warning", text=text)))


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
