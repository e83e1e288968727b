"""The tracking process: writes events to MLflow, uploads artifacts, registers model versions.

It ends when its input ends; a run without an outcome is then marked as failed.
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import event
from robotrain_runtime.contract.container_plugin import ModelRegistry
from robotrain_runtime.contract.event import EventRecord, Metrics, Note, Outcome, Track, Tracking, emit_event
from robotrain_runtime.contract.failure import describe_error
from robotrain_runtime.machine import hardware
from robotrain_runtime.process import helper_process
from robotrain_runtime.process.helper_process import HelperRequest
from robotrain_runtime.tracking import address, mlflow_store
from robotrain_runtime.tracking.mlflow_store import ALREADY_EXISTS, STATUS_TAG, MlflowStore, mlflow, upload_model
from robotrain_runtime.tracking.tracker import (
    ARTIFACT_REQUEST,
    ATTACHED_OPTION,
    REGISTER_REQUEST,
    RESULTS_REQUEST,
    RESUME_OPTION,
    SYSTEM_METRICS_OPTION,
)


class MlflowModelRegistry:
    """MLflow's registry at a store's address."""

    def __init__(self, store: MlflowStore) -> None:
        self._store = store

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the number and tags of each version."""
        token = None
        while True:
            page = self._store.client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
            yield from ((str(version.version), version.tags) for version in page)
            if not (token := page.token):
                return

    def create(self, name: str, run_id: str, artifact: str, tags: Mapping[str, str], description: str) -> str:
        """Create a version, and the model if necessary; return its number."""
        self._make_model(name)
        source = f"{self._store.artifact_uri}/{artifact}"
        version = self._store.client.create_model_version(
            name, source=source, run_id=run_id, tags=dict(tags), description=description
        )
        return str(version.version)

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set each tag, or delete it if its value is empty."""
        for key, value in tags.items():
            if value:
                self._store.client.set_model_version_tag(name, version, key, value)
            else:
                self._store.client.delete_model_version_tag(name, version, key)

    def _make_model(self, name: str) -> None:
        try:
            self._store.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def register_version(store: MlflowStore, request: Mapping[str, Any]) -> dict[str, Any]:
    """Register a checkpoint or policy as a version of a model, or update the scores of its existing version.

    The request has name, description, tags, scores, lineage, and what `upload_model` needs. Return the `version`,
    whether it is `new`, and the run whose scores were `replaced`.
    """
    at, name, models = upload_model(store, request)["artifact"], request["name"], _open_registry(store)
    run = {"mlflow_run_id": request["run_id"], "mlflow_experiment_id": store.experiment_id}
    with store.lock_database():
        scores = request.get("scores") or {}
        if found := model_lineage.find_same_model(models.versions(name), request["tags"], by_name=not scores):
            version, existing = found
            if scores:
                models.tag(name, version, model_lineage.replace_score_tags(existing, scores))
            return {"version": version, "new": False, "replaced": model_lineage.find_replaced_run(existing, scores)}
        _upload_lineage(store, at, request)
        tags = {**request["tags"], **scores, **run}
        made = models.create(name, request["run_id"], at, tags, request["description"])
    return {"version": made, "new": True}


def _upload_lineage(store: MlflowStore, artifact: str, request: Mapping[str, Any]) -> None:
    """Upload the lineage file beside the model, unless the model has one. An uploaded one has the same content."""
    lineage = request.get("lineage")
    if not lineage or Path(request["folder"], request["model"], model_lineage.LINEAGE_FILE).exists():
        return
    content = model_lineage.format_lineage(lineage, request["run_id"], store.experiment_id)
    try:
        store.upload_file(content, f"{artifact}/{model_lineage.LINEAGE_FILE}")
    except Exception as error:
        if ALREADY_EXISTS not in str(error):
            raise


def _open_registry(store: MlflowStore) -> ModelRegistry:
    plugin = address.find_tracking_plugin(store.uri)
    return (plugin.registry(store.uri) if plugin else None) or MlflowModelRegistry(store)


RequestHandler = Callable[[MlflowStore, Mapping[str, Any]], Mapping[str, Any]]
REQUEST_HANDLERS: Mapping[str, RequestHandler] = {
    ARTIFACT_REQUEST: mlflow_store.upload_model,
    RESULTS_REQUEST: mlflow_store.upload_results,
    REGISTER_REQUEST: register_version,
}


STATUS = {"succeeded": ("FINISHED", "completed"), "failed": ("FAILED", "failed"), "cancelled": ("KILLED", "cancelled")}
SYSTEM_METRICS_SECONDS = 30.0
NEVER_SECONDS = 1e9
START_ATTEMPTS = 3
START_PAUSE_SECONDS = 2.0


def run_tracking(uri: str, with_system_metrics: bool, resume_run: str = "", attached: bool = False) -> None:
    """Track the events of standard input to their end; `resume_run` and `attached` are as in `Tracker`.

    Raise SystemExit if a container plugin cannot resolve the address.
    """
    inbox: queue.SimpleQueue[EventRecord | None] = queue.SimpleQueue()
    handlers = {name: partial(_handle_request, uri, handle) for name, handle in REQUEST_HANDLERS.items()}
    add_request = helper_process.start_handling(handlers)  # in a thread: a large upload does not delay metrics
    threading.Thread(target=_read_input, args=(inbox, add_request), daemon=True).start()
    run = TrackingRun(MlflowStore(uri, attached=attached), resume_run)
    due = NEVER_SECONDS
    while run.status is None:
        try:
            record = inbox.get(timeout=max(0.0, min(due - time.monotonic(), NEVER_SECONDS)))
        except queue.Empty:
            record = event.make_record(Metrics(values=hardware.read_system_metrics()))
            emit_event(record.event)
            due = time.monotonic() + SYSTEM_METRICS_SECONDS
        try:
            run.write_record(record if record is not None else event.make_record(Outcome(state="failed", exit_code=1)))
        except address.AddressUnavailable as error:
            sys.exit(str(error))
        if with_system_metrics and due == NEVER_SECONDS and run.is_started:
            due = time.monotonic()  # the first system metrics at once, for short runs


def _handle_request(uri: str, handle: RequestHandler, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return handle(MlflowStore(uri), body)


def _read_input(inbox: "queue.SimpleQueue[EventRecord | None]", add_request: Callable[[HelperRequest], None]) -> None:
    for line in sys.stdin:
        if record := event.parse_event(line.rstrip("\n")):
            inbox.put(record)
        elif isinstance(message := helper_process.parse_message(line.rstrip("\n")), HelperRequest):
            add_request(message)
    inbox.put(None)


class TrackingRun:
    """An MLflow run, created by the first Track event."""

    def __init__(self, store: MlflowStore, resume_run: str = "") -> None:
        self.status: str | None = None
        """How it ended; None before that."""
        self._store = store
        self._resume_run = resume_run
        self._step = 0
        self._has_warned = False

    @property
    def is_started(self) -> bool:
        """Whether the run exists."""
        return self._store.run_id is not None

    def write_record(self, record: EventRecord) -> None:
        """Record an event. The first failure is reported; later events are tried nevertheless."""
        if not self.is_started:
            self._start_with(record)
            return
        try:
            self._write(record)
        except Exception as error:
            if not self._has_warned:
                self._has_warned = True
                emit_event(Note(level="warning", text=f"tracking could not record an event: {describe_error(error)}"))
            self.status = self.status or ("FAILED" if isinstance(record.event, Outcome) else None)

    def _start_with(self, record: EventRecord) -> None:
        """Create the run at the first Track event, which comes before all others."""
        if isinstance(record.event, Track):
            self._start(record.event)
            self.write_record(record)
        elif isinstance(record.event, Outcome):
            self.status = "FAILED"

    def _start(self, track: Track) -> None:
        """Create the run, with some retries while another process locks the database."""
        address.resolve_address(self._store.uri)
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._store.start_run(track.experiment, track.run_name, self._resume_run)
                break
            except Exception:
                if attempt == START_ATTEMPTS:
                    raise
                time.sleep(START_PAUSE_SECONDS)
        emit_event(
            Tracking(
                uri=self._store.uri,
                experiment_id=self._store.experiment_id,
                run_id=self._store.run_id or "",
                ui=self._store.run_page,
            )
        )

    def _write(self, record: EventRecord) -> None:
        match record.event:
            case Track(params=params, tags=tags):
                self._store.log_params(params, tags)
            case Metrics(values=values, step=step) if values:
                self._step = self._step if step is None else step
                self._store.log_metrics(values, self._step, record.time)
            case Outcome(state=state):
                self.status, tag = STATUS[state]
                self._store.end_run(self.status, {STATUS_TAG: tag})


if __name__ == "__main__":
    options = sys.argv[1:]
    run_tracking(
        os.environ["MLFLOW_TRACKING_URI"],
        SYSTEM_METRICS_OPTION in options,
        options[-1] if RESUME_OPTION in options else "",
        ATTACHED_OPTION in options,
    )
