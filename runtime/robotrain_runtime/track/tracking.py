"""Tracking with MLflow: a program of the training environment, events on standard input.

It ends when its input ends; a run whose outcome never came is marked as failed.
"""

import os
import queue
import sys
import threading
import time

from robotrain_runtime import event, system_metrics
from robotrain_runtime.courier import words
from robotrain_runtime.emit import emit
from robotrain_runtime.event import Metrics, Note, Outcome, Record, Track, Tracking
from robotrain_runtime.track import asking, tracking_address
from robotrain_runtime.track.asking import Ask
from robotrain_runtime.track.tracker import AGAIN, ATTACHED, MACHINE
from robotrain_runtime.track.tracking_desk import Desk
from robotrain_runtime.track.tracking_store import STATUS_TAG, Store

STATUS = {"succeeded": ("FINISHED", "completed"), "failed": ("FAILED", "failed"), "cancelled": ("KILLED", "cancelled")}
MACHINE_SECONDS = 30.0
NEVER = 1e9
START_ATTEMPTS = 3
START_PAUSE_SECONDS = 2.0


def main(uri: str, machine: bool, again: str = "", attached: bool = False) -> None:
    """Follow the events to their end. again, attached: as in `Tracker`.

    Raises SystemExit with a sentence when a half cannot tell the address.
    """
    inbox: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox, Desk(uri)), daemon=True).start()
    run = TrackingRun(Store(uri, attached=attached), again)
    due = NEVER
    while run.status is None:
        try:
            record = inbox.get(timeout=max(0.0, min(due - time.monotonic(), NEVER)))
        except queue.Empty:
            record = event.now(Metrics(values=system_metrics.read()))
            emit(record.event)
            due = time.monotonic() + MACHINE_SECONDS
        try:
            run.take(record if record is not None else event.now(Outcome(state="failed", exit_code=1)))
        except tracking_address.Unreached as unreached:
            sys.exit(str(unreached))
        if machine and due == NEVER and run.begun:
            due = time.monotonic()  # the first values of the machine come at once, also for a short run


def _read(inbox: "queue.SimpleQueue[Record | None]", desk: Desk) -> None:
    for line in sys.stdin:
        if record := event.read(line.rstrip("\n")):
            inbox.put(record)
        elif isinstance(asked := asking.read(line.rstrip("\n")), Ask):
            desk.take(asked)
    inbox.put(None)


class TrackingRun:
    """One MLflow run, made by the first Track event. status: how it ended, None before that."""

    def __init__(self, store: Store, again: str = "") -> None:
        self.status: str | None = None
        self._store = store
        self._again = again
        self._step = 0
        self._troubled = False

    @property
    def begun(self) -> bool:
        """Whether there is a run to write to."""
        return self._store.run_id is not None

    def take(self, record: Record) -> None:
        """Write an event down. What cannot be written is reported once, and the next is tried."""
        if not self.begun:
            self._begin(record)
            return
        try:
            self._write(record)
        except Exception as error:
            if not self._troubled:
                self._troubled = True
                emit(Note(level="warning", text=f"tracking could not write something down: {words(error)}"))
            self.status = self.status or ("FAILED" if isinstance(record.event, Outcome) else None)

    def _begin(self, record: Record) -> None:
        """Make the run when the first Track event comes, which is before all others."""
        if isinstance(record.event, Track):
            self._start(record.event)
            self.take(record)
        elif isinstance(record.event, Outcome):
            self.status = "FAILED"

    def _start(self, track: Track) -> None:
        """Make the run. A database that another process holds is asked again, for a while."""
        tracking_address.reached(self._store.uri)
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._store.start(track.experiment, track.run_name, self._again)
                break
            except Exception:
                if attempt == START_ATTEMPTS:
                    raise
                time.sleep(START_PAUSE_SECONDS)
        emit(
            Tracking(
                uri=self._store.uri,
                experiment_id=self._store.experiment_id,
                run_id=self._store.run_id or "",
                ui=self._store.ui,
            )
        )

    def _write(self, record: Record) -> None:
        match record.event:
            case Track(params=params, tags=tags):
                self._store.describe(params, tags)
            case Metrics(values=values, step=step) if values:
                self._step = self._step if step is None else step
                self._store.metrics(values, self._step, record.time)
            case Outcome(state=state):
                self.status, word = STATUS[state]
                self._store.end(self.status, {STATUS_TAG: word})


if __name__ == "__main__":
    said = sys.argv[1:]
    main(os.environ["MLFLOW_TRACKING_URI"], MACHINE in said, said[-1] if AGAIN in said else "", ATTACHED in said)
