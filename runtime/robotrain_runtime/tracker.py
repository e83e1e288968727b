"""The runtime's end of tracking: a process in the training environment that can never hold training up."""

import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from robotrain_runtime import child, event, reason
from robotrain_runtime.emit import DESCRIPTOR
from robotrain_runtime.event import Note, Outcome, Record

MODULE = "robotrain_runtime.tracking"
MACHINE = "--machine"
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Unless the environment says otherwise: a server that is not there should be told before the run ends."""
END_SECONDS = 30.0  # with the grace of the work before it, less than a platform waits before it kills


class Tracker:
    """Takes events; what tracking says comes back through `on_event`. It may fail: training goes on without it."""

    def __init__(
        self,
        python: Path,
        uri: str,
        *,
        machine: bool,
        environ: Mapping[str, str],
        on_event: Callable[[Record], None],
    ) -> None:
        self._on_event = on_event
        self._uri = uri
        self._given_up = False
        self._told: deque[str] = deque(maxlen=50)
        self._inbox: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        receive, send = os.pipe()
        self._process = subprocess.Popen(
            [str(python), "-m", MODULE, *([MACHINE] if machine else [])],
            env={
                **PATIENCE,
                **environ,
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                DESCRIPTOR: str(send),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(send,),
            preexec_fn=_ignore_signals,  # what stops the run must not stop what writes down that it was stopped
        )
        os.close(send)
        self._readers = [
            child.reader(self._hear, self._process.stdout),
            child.reader(child.events_to, os.fdopen(receive, "rb"), on_event),
        ]
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def send(self, record: Record) -> None:
        """Hand an event over; returns at once."""
        self._inbox.put(record)

    def close(self, outcome: Outcome) -> None:
        """Tell it how the run ended, and wait until that is written down."""
        self._inbox.put(event.now(outcome))
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

    def _write(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as pipe:  # a process that is gone is reported by `_hear`
            while record := self._inbox.get():
                pipe.write((event.dump(record.event, record.time) + "\n").encode())
                pipe.flush()

    def _say(self, text: str) -> None:
        self._on_event(event.now(Note(level="warning", text=text)))


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
