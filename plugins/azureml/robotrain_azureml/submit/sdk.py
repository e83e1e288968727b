"""Azure ML's SDK, imported by this module alone, and a record of its requests.

The import takes a second or two; `start_import` begins it in the background.
"""

import contextlib
import functools
import gc
import importlib
import io
import logging
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from robotrain.model.amounts import format_duration
from robotrain_azure.arm import ArmError
from robotrain_azure.credential import get_shared_credential
from robotrain_azure.workspace import Workspace, get_cloud
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

from robotrain_azureml.service import datastore

LONGEST_PAUSE = 10.0
"""The longest pause between two attempts in seconds without a line that says so."""
LONGEST_RETRY_AFTER = 300.0
"""A longer `Retry-After` in seconds is refused: nothing is asked before its end."""
TIMEOUTS = {"connection_timeout": 10, "read_timeout": 25}
JOB_TIMEOUTS = {"connection_timeout": 10, "read_timeout": 90}
"""Longer than others: without an answer, nobody knows whether the job exists."""
ANSWER_SECONDS = 120.0
"""For a whole answer of the resource manager: timeouts begin again with each byte."""
SILENCE_SECONDS = 10.0
"""Seconds without an answer until a line says so."""
REFUSED_STATUSES = frozenset(range(400, 500)) - {408, 409}
"""Answers that mean that nothing was done; a conflict is with something that exists."""


@dataclass(slots=True)
class SdkCall:
    """A request of the SDK. `status` is 0 until there is an answer."""

    method: str
    host: str
    path: str
    status: int = 0


@dataclass
class SdkCalls:
    """The requests of the SDK, in order."""

    attempts: list[SdkCall] = field(default_factory=list)
    before_job: Callable[[], object] = lambda: None
    """Called before each request for a job; an exception prevents the request."""

    @property
    def last(self) -> SdkCall | None:
        """The last request; None before the first."""
        return self.attempts[-1] if self.attempts else None

    def has_requested_job(self) -> bool:
        """Return whether a job was requested, whatever the answer was."""
        return any(map(_is_job_request, self.attempts))

    def has_met_job(self) -> bool:
        """Return whether a job of the name was there before the first request for it, unless that was refused anyway.

        Azure answers 201 for a job that it makes, and 200 for one that it has.
        """
        *earlier_statuses, last_status = [call.status for call in self.attempts if _is_job_request(call)]
        is_first = all(status in REFUSED_STATUSES for status in earlier_statuses)
        return is_first and last_status in {200, 409, *REFUSED_STATUSES}

    def can_have_made_job(self) -> bool:
        """Return whether a job may exist: one request for it was not refused."""
        return any(_is_job_request(call) and call.status not in REFUSED_STATUSES for call in self.attempts)


def make_transport(calls: SdkCalls) -> Any:
    """Return a transport that all clients of the SDK share and that records each request in `calls`."""
    stderr = sys.stderr  # redirected while the SDK runs
    transports: Any = importlib.import_module("azure.core.pipeline.transport")
    errors: Any = importlib.import_module("azure.core.exceptions")
    manager = get_cloud().manager

    class RecordingTransport(transports.RequestsTransport):  # type: ignore[misc]
        def send(self, request: Any, **options: Any) -> Any:
            try:
                return self._send_recorded(request, **options)
            except errors.AzureError:
                if request.method != "POST":  # the SDK itself retries other requests; a POST asks for an upload place
                    raise
                return self._send_recorded(request, **options)

        def _send_recorded(self, request: Any, **options: Any) -> Any:
            url = urlsplit(request.url)
            call = SdkCall(request.method, url.netloc, url.path)
            if _is_job_request(call):
                calls.before_job()
                options = JOB_TIMEOUTS | options
            calls.attempts.append(call)
            silence_message = f"{call.host} has not answered for {SILENCE_SECONDS:g} s; still waiting"
            timer = threading.Timer(SILENCE_SECONDS, _print_line, (silence_message, stderr))
            timer.daemon = True
            timer.start()
            try:
                if call.host == manager:
                    pending_response = DeadlineFuture(functools.partial(super().send, request, **options))
                    response = pending_response.result(ANSWER_SECONDS)
                else:  # storage, which files are sent to
                    response = super().send(request, **options)
            except DeadlineExceeded:
                raise errors.ServiceResponseError(f"no whole answer in {ANSWER_SECONDS:g} s") from None
            finally:
                timer.cancel()
            call.status = response.status_code
            return response

        def sleep(self, duration: float) -> None:
            if duration > LONGEST_RETRY_AFTER:
                pause = format_duration(duration)
                raise ArmError(f"Azure refuses requests for {pause}", 429, "TooManyRequests")
            if is_announced := LONGEST_PAUSE < duration <= LONGEST_RETRY_AFTER:
                _print_line(f"Azure limits your requests and asks for a pause; waiting {duration:g} s", stderr)
            super().sleep(duration if is_announced else min(duration, LONGEST_PAUSE))

    return RecordingTransport(**TIMEOUTS)


def _print_line(line: str, stderr: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # it was closed
        print(line, file=stderr, flush=True)


def _is_job_request(call: SdkCall) -> bool:
    return call.method == "PUT" and call.path.rstrip("/").split("/")[-2:-1] == ["jobs"]


SDK_MODULE = "azure.ai.ml"
RETRIES = 3
READ_RETRIES = 1
"""Retries of a request that got no answer."""


class SdkClient:
    """The SDK's client of one workspace, and the requests that it made. Methods raise whatever the SDK raises."""

    def __init__(self, workspace: Workspace) -> None:
        self.calls = SdkCalls()
        self._transport = make_transport(self.calls)
        with _silence_sdk():
            self._ml = _import_sdk()
            self._client = self._ml.MLClient(
                get_shared_credential(),
                workspace.subscription,
                workspace.group,
                workspace.name,
                cloud=get_cloud().name,
                enable_telemetry=False,
                transport=self._transport,
                retry_total=RETRIES,
                retry_read=READ_RETRIES,
            )

    def get_environment_image(self, name: str, version: str) -> str:
        """Return the image of an environment; empty if Azure builds it from files."""
        with _silence_sdk():
            environment = self._client.environments.get(name, version)
            is_built = bool(environment.conda_file or environment.build)
            return "" if is_built else str(environment.image or "")

    def register_environment(self, name: str, version: str, image: str) -> str:
        """Register an environment with an image and return its image."""
        with _silence_sdk():
            kind: Any = importlib.import_module(f"{SDK_MODULE}.entities").Environment
            environment = self._client.environments.create_or_update(kind(name=name, version=version, image=image))
            return str(environment.image or "")

    def load_job(self, file: Path) -> Any:
        """Load a job file."""
        return load_job(file)

    def create_job(self, job: Any) -> str:
        """Upload the job's code if needed, create the job and return the id of its code; empty for a pipeline."""
        with _silence_sdk(), _hide_repository(), _limit_storage_retries(self._transport):
            created_job = self._client.jobs.create_or_update(job)
            return str(getattr(created_job, "code", None) or "").removeprefix("azureml:")


def load_job(file: Path) -> Any:
    """Load a job file, as the SDK validates it. Raise whatever the SDK raises."""
    with _silence_sdk():
        return _import_sdk().load_job(file)


@functools.cache
def start_import() -> None:
    """Start to import the SDK in the background, once; errors are raised at its first use."""
    DeadlineFuture(_import_sdk)


def _import_sdk() -> Any:
    """Import the SDK without garbage collection, which would scan its many objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies
            return importlib.import_module(SDK_MODULE)
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _silence_sdk() -> Iterator[None]:
    """Suppress the SDK's warnings, log and progress bars.

    Its own setting for that makes it wait forever for a file whose upload failed.
    """
    logging.getLogger(SDK_MODULE).setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _limit_storage_retries(transport: Any) -> Iterator[None]:
    """Limit the retries of the SDK's storage client, which has no setting for it: 90 seconds by default."""
    helper: Any = importlib.import_module(f"{SDK_MODULE}._artifacts._blob_storage_helper")
    blob: Any = importlib.import_module("azure.storage.blob")

    def limit(make: Any) -> Any:
        return lambda *args, **options: make(*args, **options, **datastore.make_retry_options(), transport=transport)

    helper.BlobServiceClient = limit(blob.BlobServiceClient)
    helper.ContainerClient = types.SimpleNamespace(from_container_url=limit(blob.ContainerClient.from_container_url))
    try:
        yield
    finally:
        helper.BlobServiceClient, helper.ContainerClient = blob.BlobServiceClient, blob.ContainerClient


@contextlib.contextmanager
def _hide_repository() -> Iterator[None]:
    """Otherwise the SDK reports the Git repository of the current folder to the workspace."""
    old_git_folder = os.environ.pop("GIT_DIR", None)
    os.environ["GIT_DIR"] = os.devnull
    try:
        yield
    finally:
        del os.environ["GIT_DIR"]
        if old_git_folder is not None:
            os.environ["GIT_DIR"] = old_git_folder
