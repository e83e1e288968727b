"""Azure ML's SDK, in the one module that imports it, and a record of its requests.

That takes a second or two: it can begin while the network is
waited for.
"""

from __future__ import annotations

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
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

from robotrain_azureml.service import datastore

if TYPE_CHECKING:
    from robotrain_azure.workspace import Workspace

LONGEST_PAUSE = 10.0
"""Seconds between two attempts, whatever Azure asks for."""
TIMEOUTS = {"connection_timeout": 10, "read_timeout": 25}
JOB_TIMEOUTS = {"connection_timeout": 10, "read_timeout": 90}
"""An answer that was not waited for is one that nobody knows."""
SILENCE_SECONDS = 10.0
"""Seconds without an answer, after which a line says so."""
REFUSED_STATUSES = frozenset(range(400, 500)) - {408, 409}
"""Answers that mean that nothing was done; a conflict is with something that is there."""


@dataclass(slots=True)
class SdkCall:
    """One attempt, at Azure ML or its storage. status: of its answer; 0 as long as there is none."""

    method: str
    host: str
    path: str
    status: int = 0


@dataclass
class SdkCalls:
    """All of them, in their order. before_a_job: called before each request for one; what it raises stops that."""

    attempts: list[SdkCall] = field(default_factory=list)
    before_job: Callable[[], object] = lambda: None

    @property
    def last(self) -> SdkCall | None:
        """What was asked for last; None before the first."""
        return self.attempts[-1] if self.attempts else None

    def has_requested_job(self) -> bool:
        """Whether a job was asked for, whatever came of it."""
        return any(map(_is_job_request, self.attempts))

    def can_have_made_job(self) -> bool:
        """Whether a job may be there: one attempt was not refused."""
        return any(_is_job_request(call) and call.status not in REFUSED_STATUSES for call in self.attempts)


def make_transport(calls: SdkCalls) -> Any:
    """What the SDK sends with, over connections that all its clients share: it notes each attempt."""
    watching = sys.stderr  # the SDK's own words go elsewhere, while it is asked
    transports: Any = importlib.import_module("azure.core.pipeline.transport")
    broken: Any = importlib.import_module("azure.core.exceptions").AzureError

    class Transport(transports.RequestsTransport):  # type: ignore[misc]
        def send(self, request: Any, **how: Any) -> Any:
            try:
                return self._once(request, **how)
            except broken:
                if request.method != "POST":  # the SDK tries all others again; this one asks for a place to upload to
                    raise
                return self._once(request, **how)

        def _once(self, request: Any, **how: Any) -> Any:
            url = urlsplit(request.url)
            call = SdkCall(request.method, url.netloc, url.path)
            if _is_job_request(call):
                calls.before_job()
                how = JOB_TIMEOUTS | how
            calls.attempts.append(call)
            with _report_silence(call, watching):
                answer = super().send(request, **how)
            call.status = answer.status_code
            return answer

        def sleep(self, duration: float) -> None:
            super().sleep(min(duration, LONGEST_PAUSE))

    return Transport(**TIMEOUTS)


@contextlib.contextmanager
def _report_silence(call: SdkCall, watching: TextIO) -> Iterator[None]:
    """A line, when the answer is long in coming."""

    def tell() -> None:
        with contextlib.suppress(OSError, ValueError):  # it was closed
            print(f"{call.host} has not answered for {SILENCE_SECONDS:g} s; still waiting", file=watching, flush=True)

    timer = threading.Timer(SILENCE_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_job_request(call: SdkCall) -> bool:
    return call.method == "PUT" and call.path.rstrip("/").split("/")[-2:-1] == ["jobs"]


SDK_MODULE = "azure.ai.ml"
RETRIES = 3
READ_RETRIES = 1
"""How often a request is made again that got no answer."""
NO_REPOSITORY_VARIABLES = {"GIT_DIR": os.devnull}
"""The SDK would tell the workspace of the repository that this command happens to be typed in."""


def start_import() -> None:
    """Begin to import it, in the background; a second call is free. What is wrong with it is told when it is used."""
    _start_import_thread()


class SdkClient:
    """A client of one workspace, and all that it asked."""

    def __init__(self, workspace: Workspace) -> None:
        from robotrain_azure.credential import get_shared_credential
        from robotrain_azure.workspace import get_cloud

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
        """The image of an environment of the workspace; empty for one that is built. Raises what the SDK does."""
        with _silence_sdk():
            return str(self._client.environments.get(name, version).image or "")

    def register_environment(self, name: str, version: str, image: str) -> str:
        """Make an environment of an image: the image that it has then. Raises what the SDK does."""
        with _silence_sdk():
            wanted = importlib.import_module(f"{SDK_MODULE}.entities").Environment(
                name=name, version=version, image=image
            )
            return str(self._client.environments.create_or_update(wanted).image or "")

    def load_job(self, file: Path) -> Any:
        """The job of a file. Raises what the SDK does."""
        with _silence_sdk():
            return self._ml.load_job(file)

    def create_job(self, job: Any) -> str:
        """Upload its code where it is not there, and make the job: the id of its code. Raises what the SDK does."""
        with _silence_sdk(), _hide_repository(), _limit_storage_retries(self._transport):
            return str(self._client.jobs.create_or_update(job).code or "").removeprefix("azureml:")


@functools.cache
def _start_import_thread() -> threading.Thread:
    def begin() -> None:
        with contextlib.suppress(Exception):
            _import_sdk()

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    return thread


def _import_sdk() -> Any:
    """The module. The collector would look through its many objects again and again while they are made."""
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
    """Its warnings, its log and its progress bars go nowhere.

    It is not told to show no progress: it would then wait for ever for a file whose upload failed.
    """
    logging.getLogger(SDK_MODULE).setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _limit_storage_retries(transport: Any) -> Iterator[None]:
    """Its client of storage would try for a minute and a half to reach what cannot be reached, and takes no word on
    that: the client is made here.
    """
    helper: Any = importlib.import_module(f"{SDK_MODULE}._artifacts._blob_storage_helper")
    blob: Any = importlib.import_module("azure.storage.blob")

    def hasty(make: Any) -> Any:
        return lambda *given, **how: make(*given, **how, **datastore.make_retry_options(), transport=transport)

    helper.BlobServiceClient = hasty(blob.BlobServiceClient)
    helper.ContainerClient = types.SimpleNamespace(from_container_url=hasty(blob.ContainerClient.from_container_url))
    try:
        yield
    finally:
        helper.BlobServiceClient, helper.ContainerClient = blob.BlobServiceClient, blob.ContainerClient


@contextlib.contextmanager
def _hide_repository() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in NO_REPOSITORY_VARIABLES}
    os.environ.update(NO_REPOSITORY_VARIABLES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
