"""The runtime's side of tracking: it starts the tracking process, which never delays training."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from robotrain_runtime.contract import event, failure
from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.contract.event import EventRecord, Metrics, Note, Outcome, Tracking
from robotrain_runtime.contract.failure import Cancelled, PermanentError
from robotrain_runtime.process import child
from robotrain_runtime.process.helper_process import POLL_SECONDS, HelperProcess

ARTIFACT_REQUEST = "artifact"
REGISTER_REQUEST = "register"
RESULTS_REQUEST = "results"
PROCESS_MODULE = "robotrain_runtime.tracking"
SYSTEM_METRICS_OPTION = "--machine"
RESUME_OPTION = "--again"
ATTACHED_OPTION = "--attached"
HTTP_LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Defaults, so that an unreachable server is reported before the run ends."""
QUIET_ENVIRON = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
END_SECONDS = 30.0  # with the grace period of the work, less than a platform waits before it kills
START_SECONDS = 20.0
HOLD_SECONDS = 60.0
"""How long events are held back for the first step: MLflow's start takes 2 s of CPU time, which the work needs too."""


class Tracker(HelperProcess):
    """The tracking of a run in a process of its own. If it fails, training continues without it.

    Events of tracking are passed to `on_event`. `resume_run` is the tracking run to resume; if `attached`, it belongs
    to the platform, which alone ends it.
    """

    EXIT_ERROR = PermanentError

    def __init__(
        self,
        python: Path,
        uri: str,
        *,
        system_metrics: bool,
        environ: Mapping[str, str],
        on_event: Callable[[EventRecord], object],
        resume_run: str = "",
        attached: bool = False,
    ) -> None:
        self.run_id = ""
        """The tracking run; empty before it has started."""
        self.run_environ: Mapping[str, str] = {}
        """The variables by which MLflow in another process writes to the run, once it has started."""
        self._pass_on = on_event
        self._uri = uri
        self._has_warned = False
        self._held: list[EventRecord] | None = []
        """Events that are held back; None once they are sent."""
        self._lock = threading.Lock()
        self._released = time.monotonic()
        self._timer = threading.Timer(HOLD_SECONDS, self._release)
        self._timer.daemon = True
        switches = {SYSTEM_METRICS_OPTION: system_metrics, ATTACHED_OPTION: attached}
        options = [option for option, is_on in switches.items() if is_on]
        super().__init__(
            [str(python), "-m", PROCESS_MODULE, *options, *((RESUME_OPTION, resume_run) if resume_run else ())],
            {**HTTP_LIMITS, **environ, **QUIET_ENVIRON, "MLFLOW_TRACKING_URI": uri},
            log_line=lambda line: None,
            on_event=self._take_event,
        )
        self._timer.start()

    def send(self, record: EventRecord) -> None:
        """Send an event, or hold it back until the first step or the outcome; return at once."""
        with self._lock:
            if self._held is None:
                self._outbox.put(event.format_event(record.event, record.time))
                return
            self._held.append(record)
        if isinstance(record.event, Outcome) or (isinstance(record.event, Metrics) and record.event.step is not None):
            self._release()

    def _release(self) -> None:
        """Send the events that are held back."""
        self._timer.cancel()
        with self._lock:
            if self._held is not None:
                self._released = time.monotonic()
                for record in self._held:
                    self._outbox.put(event.format_event(record.event, record.time))
                self._held = None

    def wait_for_run(self, is_cancelled: Callable[[], bool]) -> str:
        """Wait for the tracking run; return its id. Raise OSError if it has not started, PermanentError, Cancelled."""
        self._release()
        while not self.run_id:
            if is_cancelled():
                raise Cancelled
            if not self.is_alive:
                raise PermanentError("tracking has ended")
            if time.monotonic() - self._released > START_SECONDS:
                raise OSError("tracking has not started yet")
            time.sleep(POLL_SECONDS)
        return self.run_id

    def close(self, outcome: Outcome | None = None) -> None:
        """Send the run's outcome, if any, and wait until everything is recorded."""
        self._timer.cancel()
        if outcome is not None:
            self.send(event.make_record(outcome))
        self._end(END_SECONDS)
        if self._killed:
            last_line_note = f": {self._last_lines[-1]}" if self._last_lines else ""
            failed_act = "finish" if self.run_id else "start"
            consequence = "" if self.run_id else ": the run is not tracked"
            self._warn(
                f"tracking at {redact_address(self._uri)} did not {failed_act} within {END_SECONDS:g} s and was "
                f"stopped{consequence}{last_line_note}"
            )
        for reader in self._readers:
            reader.join(child.LAST_OUTPUT_SECONDS)

    def _read_output(self, output: IO[bytes]) -> None:
        """Read the output to its end; report a failure at once, not at the end of the run."""
        super()._read_output(output)
        if (code := self._process.wait()) and not self._killed:
            self._warn(f"the run is not tracked, or only partly: {failure.explain_exit(code, self._last_lines)}")

    def _take_event(self, record: EventRecord) -> None:
        if isinstance(record.event, Tracking):
            ids = {"EXPERIMENT_ID": record.event.experiment_id, "RUN_ID": record.event.run_id}
            self.run_environ = {
                f"MLFLOW_{name}": setting for name, setting in {"TRACKING_URI": self._uri, **ids}.items()
            }
            self.run_id = record.event.run_id
        self._has_warned |= isinstance(record.event, Note) and record.event.level == "warning"
        self._pass_on(record)

    def _warn(self, text: str) -> None:
        """Warn once: after a failure, that of the process itself, the next ones follow from it."""
        if not self._has_warned:
            self._has_warned = True
            self._pass_on(event.make_record(Note(level="warning", text=text)))
