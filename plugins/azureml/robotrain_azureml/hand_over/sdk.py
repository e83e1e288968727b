"""Azure ML's SDK, in the one place that imports it. That takes a second or two: it can begin while the network is
waited for.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import functools
import gc
import importlib
import io
import logging
import os
import threading
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_azureml.hand_over.calls import Calls, transport
from robotrain_azureml.service import datastore

if TYPE_CHECKING:
    from robotrain_azure.workspace import Workspace

NAME = "azure.ai.ml"
RETRIES = 3
SILENCES = 1
"""How often a request is made again that got no answer."""
NO_REPOSITORY = {"GIT_DIR": os.devnull}
"""The SDK would tell the workspace of the repository that this command happens to be typed in."""


def warm() -> None:
    """Begin to import it, in the background; a second call is free. What is wrong with it is told when it is used."""
    _warming()


class Sdk:
    """A client of one workspace, and all that it asked."""

    def __init__(self, at: Workspace) -> None:
        from robotrain_azure.cloud import here
        from robotrain_azure.credential import shared

        self.calls = Calls()
        self._transport = transport(self.calls)
        with _quiet():
            self._ml = _imported()
            self._client = self._ml.MLClient(
                shared(),
                at.subscription,
                at.group,
                at.name,
                cloud=here().name,
                enable_telemetry=False,
                transport=self._transport,
                retry_total=RETRIES,
                retry_read=SILENCES,
            )

    def image_of(self, name: str, version: str) -> str:
        """The image of an environment of the workspace; empty for one that is built. Raises what the SDK does."""
        with _quiet():
            return str(self._client.environments.get(name, version).image or "")

    def register(self, name: str, version: str, image: str) -> str:
        """Make an environment of an image: the image that it has then. Raises what the SDK does."""
        with _quiet():
            wanted = importlib.import_module(f"{NAME}.entities").Environment(name=name, version=version, image=image)
            return str(self._client.environments.create_or_update(wanted).image or "")

    def load(self, file: Path) -> Any:
        """The job of a file. Raises what the SDK does."""
        with _quiet():
            return self._ml.load_job(file)

    def create(self, job: Any) -> str:
        """Upload its code where it is not there, and make the job: the id of its code. Raises what the SDK does."""
        with _quiet(), _without_a_repository(), _in_haste(self._transport):
            return str(self._client.jobs.create_or_update(job).code or "").removeprefix("azureml:")


@functools.cache
def _warming() -> threading.Thread:
    def begin() -> None:
        with contextlib.suppress(Exception):
            _imported()

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    return thread


def _imported() -> Any:
    """The module. The collector would look through its many objects again and again while they are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies
            return importlib.import_module(NAME)
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Its warnings, its log and its progress bars go nowhere.

    It is not told to show no progress: it would then wait for ever for a file whose upload failed.
    """
    logging.getLogger(NAME).setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _in_haste(sends: Any) -> Iterator[None]:
    """Its client of storage would try for a minute and a half to reach what cannot be reached, and takes no word on
    that: the client is made here.
    """
    helper: Any = importlib.import_module(f"{NAME}._artifacts._blob_storage_helper")
    blob: Any = importlib.import_module("azure.storage.blob")

    def hasty(make: Any) -> Any:
        return lambda *given, **how: make(*given, **how, **datastore.haste(), transport=sends)

    helper.BlobServiceClient = hasty(blob.BlobServiceClient)
    helper.ContainerClient = types.SimpleNamespace(from_container_url=hasty(blob.ContainerClient.from_container_url))
    try:
        yield
    finally:
        helper.BlobServiceClient, helper.ContainerClient = blob.BlobServiceClient, blob.ContainerClient


@contextlib.contextmanager
def _without_a_repository() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in NO_REPOSITORY}
    os.environ.update(NO_REPOSITORY)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
