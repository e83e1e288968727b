"""MLflow in fetch programs: client set-up, local artifacts, database lock, policy lineage from tags."""

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.files import hold_lock
from robotrain_runtime.tracking import address as tracking_address

from robotrain_sources.fetching import errors, files, program

QUIET_ENV = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
TIMEOUT_ENV = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Defaults; the environment may override them."""
SQLITE = "sqlite:///"


def fetch_with_mlflow(fetch: Callable[[str], Path], subject: str, service: str) -> None:
    """Answer with the folder that `fetch` returns for the tracking address of the environment. Raise SystemExit.

    `subject` and `service` name what is fetched and from where, for messages.
    """
    os.environ.update({**TIMEOUT_ENV, **os.environ, **QUIET_ENV})
    program.run_and_answer(lambda: _fetch_or_explain(fetch, os.environ["MLFLOW_TRACKING_URI"], subject, service))


def import_mlflow(address: str) -> Any:
    """Import MLflow; without its plugins for a local database, which needs none."""
    with tracking_address.hide_mlflow_plugins() if address.startswith(SQLITE) else contextlib.nullcontext():
        return importlib.import_module("mlflow")


def find_local_folder(uri: str) -> Path | None:
    """Return the local folder of an artifact address; None if it is remote."""
    address = urlsplit(uri)
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        return Path(unquote(address.path))
    return Path(uri) if not address.scheme and uri.startswith("/") else None


def lock_tracking_database(address: str) -> contextlib.AbstractContextManager[None]:
    """Return a lock for creating the tables of a local database: the run's own tracking may create them just now."""
    if not address.startswith(SQLITE):
        return contextlib.nullcontext()
    database = Path(address.removeprefix(SQLITE))
    if tracking_address.has_mlflow_tables(database):
        return contextlib.nullcontext()
    return hold_lock(
        database.with_name(database.name + ".lock"),
        lambda: print(f"waiting for {database}, which another run is creating", flush=True),
        files.QUIET_WAIT_SECONDS,
    )


def redact_address(address: str) -> str:
    """Return a tracking address without user name and password."""
    return address if "@" not in address else address.rpartition("@")[2]


def _fetch_or_explain(fetch: Callable[[str], Path], address: str, subject: str, service: str) -> Path:
    try:
        return fetch(address)
    except (errors.FetchError, OSError):
        raise
    except ModuleNotFoundError as error:
        raise errors.FetchError(f"the run's environment lacks {error.name}, needed to reach {service}") from error
    except Exception as error:
        why = f"{subject} cannot be fetched from {service} at {redact_address(address)}"
        raise errors.FetchError(f"{why} ({errors.format_error(error)})") from error


EVALUATION_TAG = "policy_uri"
"""A tag of a version that an evaluation registered: its other tags belong to the evaluation, not the training."""
TRAINING_TAGS = {
    model_lineage.POLICY_RUN: "robotrain_run",
    model_lineage.POLICY_JOB: "job_digest",
    model_lineage.POLICY_DIGEST: "checkpoint_sha256",
}
CHECKPOINT_TAG = "checkpoint"
"""The tag with the step, in the form of a folder name."""


def read_policy_lineage(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the lineage in a model's or run's tags, under the names of `model_lineage`; only what is known."""
    if lineage := {name: tags[name] for name in (*TRAINING_TAGS, model_lineage.POLICY_STEP) if tags.get(name)}:
        return lineage
    run = {} if EVALUATION_TAG in tags else {name: tags[tag] for name, tag in TRAINING_TAGS.items() if tags.get(tag)}
    step = tags.get(CHECKPOINT_TAG, "")
    return {**run, model_lineage.POLICY_STEP: str(int(step))} if step.isdecimal() and int(step) else run
