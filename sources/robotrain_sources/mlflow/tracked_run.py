"""The run of a platform that a run of an MLflow server tracks: the tag that it was given says which."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_runtime.contract.document import TRACKED_RUN_TAG
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN

from robotrain_sources.mlflow.registry import make_foreign_error, request_server

_RUN = r"(?P<run>[0-9a-f]{32})"
_FORMS = (
    rf"(?P<server>https?://[^#]+?)/?#/experiments/[0-9]+/runs/{_RUN}(?:[/?].*)?",
    rf"runs:/{_RUN}(?:/.*)?",
    _RUN,
    rf"models:/(?P<name>{MODEL_NAME_PATTERN})/(?P<version>[0-9]+)",
)
"""A page of MLflow, the address of an artifact, the id of a run, a version of a registered model."""


def find_tracked_run(run_text: str, servers: Sequence[str]) -> str | None:
    """Return the tag of the MLflow run that a text names, or that made a model; None for another text.

    So it is for a model that none of the servers has: it may be one of a platform's own registry. Raise SourceError.

    :param servers: the tracking addresses to ask where the text does not name one.
    """
    match = next(filter(None, (re.fullmatch(form, run_text) for form in _FORMS)), None)
    if match is None:
        return None
    parts = match.groupdict()
    run = parts.get("run", "")
    server = parts.get("server")
    model = parts.get("name")
    addresses = (
        [server] if server else [url for url in dict.fromkeys(servers) if url.startswith(("http://", "https://"))]
    )
    if not addresses and not model:
        raise SourceError(f"No tracking server is configured that could be asked for the run {run}.")
    errors: list[SourceError] = []
    for address in addresses:
        try:
            made_by = run or _find_run_of_model(address, parts["name"], parts["version"])
            return _read_tag(address, made_by, signs_in=_is_one_of(address, servers))
        except SourceError as error:
            errors.append(error)
    unsure = [error for error in errors if not isinstance(error, SourceNotFound)]
    if model and not unsure:
        return None
    raise (unsure or errors)[0]


def _is_one_of(address: str, servers: Sequence[str]) -> bool:
    """Return whether an address is on one of the servers: others, which a text names, are asked without credentials."""
    return _read_origin(address) in map(_read_origin, servers)


def _read_origin(address: str) -> tuple[str, str]:
    """Return the scheme of an address, and its host with a port that is not that of the scheme."""
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower().removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ":"))


def _find_run_of_model(address: str, name: str, version: str) -> str:
    """Return the MLflow run that made a version of a model. Raise SourceError."""
    response_object = _ask_server(
        address, f"version {version} of {name}", "model-versions/get", name=name, version=version
    )
    try:
        return str(response_object["model_version"].get("run_id") or "")
    except (KeyError, TypeError, AttributeError):
        raise make_foreign_error(address) from None


def _read_tag(address: str, run: str, signs_in: bool) -> str:
    """Return what the tag of a run says; empty for a run of another tool."""
    response_object = _ask_server(address, f"run {run}", "runs/get", signs_in, run_id=run)
    try:
        tags = {str(tag["key"]): str(tag["value"]) for tag in response_object["run"]["data"].get("tags") or ()}
    except (KeyError, TypeError, AttributeError):
        raise make_foreign_error(address) from None
    return tags.get(TRACKED_RUN_TAG, "")


def _ask_server(address: str, what: str, path: str, signs_in: bool = True, **query: str) -> Any:
    """Return the answer of a tracking server. Raise SourceError, SourceNotFound if it does not have `what`."""
    try:
        return request_server(address, path, signs_in=signs_in, **query)
    except SourceError as error:
        host, cause = urlsplit(address).hostname, error.__cause__
        if isinstance(cause, HTTPError) and cause.code == 404:
            raise SourceNotFound(f"The tracking server {host} has no {what}.") from None
        if isinstance(cause, OSError) and not isinstance(cause, HTTPError):
            raise SourceUnreachable(error.why) from None
        raise
