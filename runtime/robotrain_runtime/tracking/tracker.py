"""The runtime's end of tracking: a process in the training environment that never delays training."""

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

from robotrain_runtime.contract import event, failure
from robotrain_runtime.contract.event import EventRecord, Note, Outcome, Tracking
from robotrain_runtime.contract.failure import Cancelled, PermanentError
from robotrain_runtime.process import child, helper_process
from robotrain_runtime.process.helper_process import HelperReply, HelperRequest

ARTIFACT_REQUEST = "artifact"
REGISTER_REQUEST = "register"
RESULTS_REQUEST = "results"


PROCESS_MODULE = "robotrain_runtime.tracking.tracking_process"
SYSTEM_METRICS_OPTION = "--machine"
RESUME_OPTION = "--again"
ATTACHED_OPTION = "--attached"
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Defaults, so that an unreachable server is reported before the run ends."""
QUIET_ENVIRON = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
END_SECONDS = 30.0  # with the grace period of the work, less than a platform waits before it kills
START_SECONDS = 20.0
POLL_SECONDS = 0.05


class Tracker:
    """The tracking of a run in a process of its own. If it fails, training continues without it.

    Events of tracking are passed to `on_event`. `resume_run` is the tracking run to resume; if `attached`, it belongs
    to the platform, which alone ends it.
    """

    def __init__(
        self,
        python: Path,
        uri: str,
        *,
        system_metrics: bool,
        environ: Mapping[str, str],
        on_event: Callable[[EventRecord], None],
        resume_run: str = "",
        attached: bool = False,
    ) -> None:
        self.run_id = ""
        """The tracking run; empty before it has started."""
        self._on_event = on_event
        self._uri = uri
        self._killed = False
        self._started = time.monotonic()
        self._last_lines: deque[str] = deque(maxlen=50)
        self._inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._replies: dict[int, HelperReply] = {}
        switches = {SYSTEM_METRICS_OPTION: system_metrics, ATTACHED_OPTION: attached}
        options = [option for option, is_on in switches.items() if is_on]
        self._process, receive = child.start_program(
            [str(python), "-m", PROCESS_MODULE, *options, *((RESUME_OPTION, resume_run) if resume_run else ())],
            {**HTTP_LIMITS, **environ, **QUIET_ENVIRON, "MLFLOW_TRACKING_URI": uri},
            subprocess.PIPE,
            before_exec=_ignore_signals,  # after a stop of the run, tracking must still record it
        )
        self._readers = [
            child.start_reader(self._read_output, self._process.stdout),
            child.start_reader(self._read_events, os.fdopen(receive, "rb")),
        ]
        self._writer = threading.Thread(target=self._write_inbox, daemon=True)
        self._writer.start()

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, record: EventRecord) -> None:
        """Send an event; return at once."""
        self._inbox.put(event.format_event(record.event, record.time))

    def send_request(self, name: str, body: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> Mapping[str, Any]:
        """Send a request, and return the body of its reply.

        Raise OSError if it failed, PermanentError if the process has ended, Cancelled.
        """
        number = next(self._numbers)
        self._inbox.put(helper_process.format_message(HelperRequest(number=number, what=name, body=body)))
        while number not in self._replies:
            if is_cancelled():
                raise Cancelled
            if not self.is_alive:
                self._readers[1].join(child.LAST_OUTPUT_SECONDS)
                if number not in self._replies:
                    raise PermanentError(self._describe_exit())
            time.sleep(POLL_SECONDS)
        reply = self._replies.pop(number)
        if reply.error:
            raise OSError(reply.error)
        return reply.body

    def wait_for_run(self, is_cancelled: Callable[[], bool]) -> str:
        """Wait for the tracking run; return its id. Raise OSError if it has not started, PermanentError, Cancelled."""
        while not self.run_id:
            if is_cancelled():
                raise Cancelled
            if not self.is_alive:
                raise PermanentError(self._describe_exit())
            if time.monotonic() - self._started > START_SECONDS:
                raise OSError("tracking has not started yet")
            time.sleep(POLL_SECONDS)
        return self.run_id

    def close(self, outcome: Outcome | None) -> None:
        """Send the run's outcome, if any, and wait until it is recorded."""
        if outcome is not None:
            self.send(event.make_record(outcome))
        self._inbox.put(None)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._killed = True
            self._process.kill()
            self._process.wait()
            last = f": {self._last_lines[-1]}" if self._last_lines else ""
            self._warn(f"tracking at {self._uri} did not finish within {END_SECONDS:g} s and was stopped{last}")
            return
        for reader in self._readers:
            reader.join(child.LAST_OUTPUT_SECONDS)

    def _read_output(self, output: IO[bytes]) -> None:
        """Read the output to its end; report a failure at once, not at the end of the run."""
        child.forward_lines(output, self._last_lines.append, self._on_event)
        if (code := self._process.wait()) and not self._killed:
            self._warn(f"the run is not tracked, or only partly: {failure.explain_exit(code, self._last_lines)}")

    def _read_events(self, pipe: IO[bytes]) -> None:
        """Read events and replies to their end."""
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if record := event.parse_event(line):
                    if isinstance(record.event, Tracking):
                        self.run_id = record.event.run_id
                    self._on_event(record)
                elif isinstance(message := helper_process.parse_message(line), HelperReply):
                    self._replies[message.number] = message

    def _write_inbox(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as pipe:  # the end of the process is reported by `_read_output`
            while (line := self._inbox.get()) is not None:
                pipe.write((line + "\n").encode())
                pipe.flush()

    def _describe_exit(self) -> str:
        reason = failure.explain_output(self._last_lines)
        return f"tracking has ended: {reason}" if reason else "tracking has ended"

    def _warn(self, text: str) -> None:
        self._on_event(event.make_record(Note(level="warning", text=text)))


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
