"""The tracking process: writes events to MLflow, uploads artifacts, registers model versions.

It ends when its input ends; a run without an outcome is then marked as failed.
"""

import itertools
import os
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import event
from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.contract.event import EventRecord, Metrics, Outcome, Track, Tracking, emit_event, emit_note
from robotrain_runtime.contract.failure import describe_error
from robotrain_runtime.machine import hardware
from robotrain_runtime.process import helper_process
from robotrain_runtime.process.helper_process import HelperRequest
from robotrain_runtime.tracking import address, mlflow_store
from robotrain_runtime.tracking.mlflow_store import (
    METRICS_BATCH_SIZE,
    STATUS_TAG,
    MetricValue,
    MlflowStore,
    mlflow,
    upload_model,
)
from robotrain_runtime.tracking.tracker import (
    ARTIFACT_REQUEST,
    ATTACHED_OPTION,
    END_SECONDS,
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
        try:
            self._store.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self._store.artifact_uri}/{artifact}"
        version = self._store.client.create_model_version(
            name, source=source, run_id=run_id, tags=dict(tags), description=description
        )
        return str(version.version)

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set each tag, or delete it if its value is empty."""
        for key, tag_value in tags.items():
            if tag_value:
                self._store.client.set_model_version_tag(name, version, key, tag_value)
            else:
                self._store.client.delete_model_version_tag(name, version, key)


def register_version(store: MlflowStore, request: Mapping[str, Any]) -> dict[str, Any]:
    """Register a checkpoint or policy as a version of a model, or update the scores of its existing version.

    The request has name, description, tags, scores, lineage, and what `upload_model` needs. Return the `version`,
    whether it is `new`, and the run whose scores were `replaced`.
    """
    artifact, name = upload_model(store, request)["artifact"], request["name"]
    plugin = address.find_tracking_plugin(store.uri)
    models = (plugin.registry(store.uri) if plugin else None) or MlflowModelRegistry(store)
    run = {"mlflow_run_id": request["run_id"], "mlflow_experiment_id": store.experiment_id}
    with store.lock_database():
        scores = request.get("scores") or {}
        if same_model := model_lineage.find_same_model(models.versions(name), request["tags"], by_name=not scores):
            version, existing_tags = same_model
            if scores:
                models.tag(name, version, model_lineage.replace_score_tags(existing_tags, scores))
            return {
                "version": version,
                "new": False,
                "replaced": model_lineage.find_replaced_run(existing_tags, scores),
            }
        lineage_file = model_lineage.LINEAGE_FILE
        lineage = request.get("lineage")
        if lineage and not Path(request["folder"], request["model"], lineage_file).exists():
            lineage_bytes = model_lineage.format_lineage(lineage, request["run_id"], store.experiment_id)
            store.upload_file(
                lineage_bytes, f"{artifact}/{lineage_file}"
            )  # one that another process uploaded is the same
        tags = {**request["tags"], **scores, **run}
        new_version = models.create(name, request["run_id"], artifact, tags, request["description"])
    return {"version": new_version, "new": True}


RequestHandler = Callable[[MlflowStore, Mapping[str, Any]], Mapping[str, Any]]
REQUEST_HANDLERS: Mapping[str, RequestHandler] = {
    ARTIFACT_REQUEST: mlflow_store.upload_model,
    RESULTS_REQUEST: mlflow_store.upload_results,
    REGISTER_REQUEST: register_version,
}


STATUS = {"succeeded": ("FINISHED", "completed"), "failed": ("FAILED", "failed"), "cancelled": ("KILLED", "cancelled")}
SYSTEM_METRICS_SECONDS = 30.0
NEVER = 1e9
START_ATTEMPTS = 3
START_PAUSE_SECONDS = 2.0
BATCH_SECONDS = 2.0
"""How long metrics wait for others, to be sent in one request."""
RETRY_SECONDS = 2.0
REPORT_SECONDS = 3.0
"""How long before the tracker kills this process it says what is missing."""


def run_tracking(uri: str, with_system_metrics: bool, resume_run: str = "", attached: bool = False) -> None:
    """Track the events of standard input to their end; `resume_run` and `attached` are as in `Tracker`.

    Raise SystemExit if a container plugin cannot resolve the address.
    """
    inbox: queue.SimpleQueue[EventRecord | None] = queue.SimpleQueue()
    handlers = {name: partial(_handle_request, uri, handle) for name, handle in REQUEST_HANDLERS.items()}
    add_request = helper_process.start_handling(handlers)  # in a thread: a large upload does not delay metrics
    threading.Thread(target=_read_input, args=(inbox, add_request), daemon=True).start()
    run = TrackingRun(MlflowStore(uri, attached=attached), resume_run)
    system_due = NEVER
    while not run.is_over:
        try:
            record = inbox.get(timeout=max(0.0, min(run.due, system_due) - time.monotonic()))
            run.add_record(record or event.make_record(Outcome(state="failed", exit_code=1)))
        except queue.Empty:
            pass
        except address.AddressUnavailable as error:
            sys.exit(str(error))
        if with_system_metrics and run.is_started and (system_due == NEVER or time.monotonic() >= system_due):
            record = event.make_record(Metrics(values=hardware.read_system_metrics()))  # at once, for short runs
            emit_event(record.event)
            run.add_record(record)
            system_due = time.monotonic() + SYSTEM_METRICS_SECONDS
        if time.monotonic() >= run.due:
            run.write_pending()


def _handle_request(uri: str, handle: RequestHandler, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return handle(MlflowStore(uri), body)


def _read_input(inbox: queue.SimpleQueue[EventRecord | None], add_request: Callable[[HelperRequest], None]) -> None:
    for input_line in sys.stdin:
        if record := event.parse_event(input_line.rstrip("\n")):
            inbox.put(record)
        elif isinstance(message := helper_process.parse_message(input_line.rstrip("\n")), HelperRequest):
            add_request(message)
    inbox.put(None)


class TrackingRun:
    """An MLflow run, created by the first Track event. Metrics are written in batches; what failed is tried again."""

    def __init__(self, store: MlflowStore, resume_run: str = "") -> None:
        self.is_over = False
        """Whether everything is written, or never will be."""
        self._store = store
        self._resume_run = resume_run
        self._pending: deque[Track | Outcome | MetricValue] = deque()
        self._wanted_at = self._retry_at = 0.0
        self._step = 0
        self._has_warned = self._has_outcome = False

    @property
    def is_started(self) -> bool:
        """Whether the run exists."""
        return self._store.run_id is not None

    @property
    def due(self) -> float:
        """When to write what is pending, on the monotonic clock."""
        return max(self._wanted_at, self._retry_at) if self._pending else NEVER

    def add_record(self, record: EventRecord) -> None:
        """Take an event, to be written when it is due. The first Track event, which comes before others, is not late.

        Raise AddressUnavailable, and what MLflow raises if the run cannot be created.
        """
        if not self.is_started and isinstance(record.event, Track):
            self._start(record.event)
        if not self.is_started:
            self.is_over = isinstance(record.event, Outcome)
        if not self.is_started or self._has_outcome:  # the end of the input is an outcome only if there was none
            return
        now = time.monotonic()
        match record.event:
            case Metrics(values=values, step=step) if values:
                self._step = self._step if step is None else step
                self._wanted_at = min(self.due, now + BATCH_SECONDS)
                self._pending += [MetricValue(name, values[name], record.time, self._step) for name in values]
            case event.Scored(step=step, scores=values) if values:  # beside other checkpoints: at their own steps
                self._wanted_at = min(self.due, now + BATCH_SECONDS)
                self._pending += [MetricValue(name, values[name], record.time, step) for name in values]
            case event.Checkpoint():
                self._wanted_at = now  # a run that goes on from it elsewhere does not repeat the steps before it
            case Track() | Outcome():
                self._wanted_at = now
                self._pending.append(record.event)
        if isinstance(record.event, Outcome):
            self._has_outcome = True
            age = time.time() - record.time  # sent while MLflow was imported, or taken from a file later
            seconds = END_SECONDS - REPORT_SECONDS - (age if 0 < age < END_SECONDS else 0)
            timer = threading.Timer(max(0.0, seconds), self._give_up)
            timer.daemon = True
            timer.start()

    def write_pending(self) -> None:
        """Write what is pending, in order, until a request fails. The first failure is reported."""
        while self._pending:
            # metrics go together into one request, anything else alone
            metrics = itertools.takewhile(lambda pending: isinstance(pending, MetricValue), self._pending)
            batch = [*itertools.islice(metrics, METRICS_BATCH_SIZE)] or [self._pending[0]]
            try:
                self._write(batch)
            except Exception as error:
                if not self._has_warned:
                    self._has_warned = True
                    warning = f"tracking could not record an event: {describe_error(error)}"
                    emit_note(warning, "warning")
                    if isinstance(error, ImportError):  # of a package that MLflow was thought to do without
                        traceback.print_exc()
                if mlflow_store.is_worth_retry(error):
                    self._retry_at = time.monotonic() + RETRY_SECONDS
                    return
            for _ in batch:
                self.is_over |= isinstance(self._pending.popleft(), Outcome)

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

    def _write(self, batch: list[Track | Outcome | MetricValue]) -> None:
        match batch:
            case [Track(params=params, tags=tags)]:
                self._store.log_params(params, tags)
            case [Outcome(state=state)]:
                status, tag = STATUS[state]
                self._store.end_run(status, {STATUS_TAG: tag})
            case _:
                self._store.log_metrics([pending for pending in batch if isinstance(pending, MetricValue)])

    def _give_up(self) -> None:
        """Say what could not be written before the tracker kills this process, and end it."""
        count, subject = len(self._pending), f"tracking at {redact_address(self._store.uri)}"
        warning = f"{subject} did not record everything in time: {count} values and events; events.jsonl has them"
        emit_note(warning, "warning")
        os._exit(0)


def main(options: Sequence[str]) -> None:
    """Track as the command line of `Tracker` says."""
    run_tracking(
        os.environ["MLFLOW_TRACKING_URI"],
        SYSTEM_METRICS_OPTION in options,
        options[-1] if RESUME_OPTION in options else "",
        ATTACHED_OPTION in options,
    )
