"""The latest version of a model in MLflow's registry, looked up at submission without importing MLflow."""

import base64
import functools
import json
import os
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.contract.deadline import DeadlineFuture, limit_seconds
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.tracking.address import SQLITE

from robotrain_sources.mlflow.reference import parse_registered_model
from robotrain_sources.role_flags import CHECKPOINT, INIT_POLICY, POLICY_MODEL, REFERENCE_MODEL

REQUEST_SECONDS, ANSWER_SECONDS = 10.0, 20.0
"""Without a byte, and for the whole answer."""
NAMED_VERSION = "models:/NAME/VERSION"
MODEL_FLAGS = {
    "policy": POLICY_MODEL.flag,
    "reference": REFERENCE_MODEL.flag,
    "init_policy": INIT_POLICY.flag,
    "checkpoint": CHECKPOINT.flag,
}
"""The flag of a registered model, by its role."""
_DELETED = "Deleted_Internal"
"""The stage of a version that was deleted in MLflow's tables."""


def find_latest_version(source: JobSource, address: str) -> str:
    """Return the latest version of a source's model in the registry at a tracking address. Raise SourceError."""
    name = parse_registered_model(source.uri).name
    flag = MODEL_FLAGS[source.role]
    if address.startswith(SQLITE):
        registry_address = address.removeprefix(SQLITE)
        versions = _read_database(Path(registry_address), name)
    elif address.startswith(("http://", "https://")):
        registry_address = redact_address(address)
        try:
            versions = _query_server(address, name)
        except SourceUnreachable as error:
            raise SourceUnreachable(error.why, f"{flag} {NAMED_VERSION}") from error
    else:
        reason = f"{redact_address(address)} can only be asked where MLflow is installed."
        raise SourceUnreachable(reason, f"{flag} {NAMED_VERSION}")
    if not versions:
        reason = f"The model registry at {registry_address} has no version of {name}."
        raise SourceNotFound(reason, f"{flag} {NAMED_VERSION}")
    return str(max(versions))


def _read_database(file: Path, name: str) -> list[int]:
    """Return the versions of a model in a database of MLflow."""
    if not file.exists():  # nothing was tracked yet
        return []
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=REQUEST_SECONDS)) as db:
            query = "SELECT version FROM model_versions WHERE name = ? AND coalesce(current_stage, '') != ?"
            return [int(row[0]) for row in db.execute(query, (name, _DELETED))]
    except sqlite3.Error as error:
        raise SourceError(f"The tracking database {file} cannot be read: {error}.") from error


def _query_server(address: str, name: str) -> list[int]:
    """Return the last version of a model of an MLflow server; none if it has none."""
    order: dict[str, Any] = {"max_results": 1, "order_by": "version_number DESC"}
    response_object = _request_server(address, "model-versions/search", filter=f"name='{name}'", **order)
    try:
        return [int(model_version["version"]) for model_version in response_object.get("model_versions") or ()]
    except (KeyError, TypeError, ValueError) as error:
        raise _make_foreign_error(address) from error


def _read_answer(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:
        response_bytes: bytes = response.read()
        return response_bytes


def _read_credentials() -> str:
    """Return the header of MLflow's own variables; empty without them."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {token}"
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return ""


def _request_server(address: str, path: str, **query: Any) -> dict[str, Any]:
    """Return the answer of an MLflow server. Raise SourceError."""
    host = urlsplit(address).hostname
    request = urllib.request.Request(f"{address.rstrip('/')}/api/2.0/mlflow/{path}?{urlencode(query)}")
    if credentials := _read_credentials():
        request.add_unredirected_header("Authorization", credentials)
    try:
        pending_response = DeadlineFuture(functools.partial(_read_answer, request))
        response_object = json.loads(pending_response.result(limit_seconds(ANSWER_SECONDS)))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:
            raise SourceUnreachable(f"The tracking server {host} answered HTTP {error.code}.") from error
        way = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" if error.code in (401, 403) else ""
        raise SourceError(f"The tracking server {host} answered HTTP {error.code}.", way) from error
    except OSError as error:
        explanation = f"The tracking server {host} cannot be reached from here: {getattr(error, 'reason', error)}."
        raise SourceUnreachable(explanation) from error
    except (ValueError, RecursionError, HTTPException) as error:
        raise _make_foreign_error(address) from error
    if not isinstance(response_object, dict):
        raise _make_foreign_error(address)
    return response_object


def _make_foreign_error(address: str) -> SourceError:
    """Return the error for an address whose answer is none of MLflow."""
    return SourceError(f"The tracking server {urlsplit(address).hostname} did not answer as MLflow does.")
