"""The run of a platform that a run of an MLflow server tracks: the tag that it was given says which."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_runtime.contract.document import TRACKED_RUN_TAG

from robotrain_sources.mlflow.registry import request_server

_RUN = r"(?P<run>[0-9a-f]{32})"
_FORMS = (
    rf"(?P<server>https?://[^#]+?)/?#/experiments/[0-9]+/runs/{_RUN}(?:[/?].*)?",
    rf"runs:/{_RUN}(?:/.*)?",
    _RUN,
)
"""A page of MLflow, the address of an artifact, the id of a run."""


def find_tracked_run(text: str, servers: Sequence[str]) -> str | None:
    """Return the tag of the MLflow run that a text names; None for another text. Raise SourceError.

    :param servers: the tracking addresses to ask where the text does not name one.
    """
    match = next(filter(None, (re.fullmatch(form, text) for form in _FORMS)), None)
    if match is None:
        return None
    run, server = match["run"], match.groupdict().get("server")
    asked = [server] if server else [one for one in dict.fromkeys(servers) if one.startswith(("http://", "https://"))]
    if not asked:
        raise SourceError(f"No tracking server is configured that could be asked for the run {run}.")
    errors: list[SourceError] = []
    for address in asked:
        try:
            return _read_tag(address, run)
        except SourceError as error:
            errors.append(error)
    raise next((one for one in errors if not isinstance(one, SourceNotFound)), errors[0])


def _read_tag(address: str, run: str) -> str:
    """Return what the tag of a run says; empty for a run of another tool."""
    try:
        answer: Any = request_server(address, "runs/get", run_id=run)
    except SourceError as error:
        host, cause = urlsplit(address).hostname, error.__cause__
        if isinstance(cause, HTTPError) and cause.code == 404:
            raise SourceNotFound(f"The tracking server {host} has no run {run}.") from None
        if isinstance(cause, OSError) and not isinstance(cause, HTTPError):
            raise SourceUnreachable(f"The tracking server {host} cannot be reached from here.") from None
        raise
    try:
        tags = {str(tag["key"]): str(tag["value"]) for tag in answer["run"]["data"].get("tags") or ()}
    except (KeyError, TypeError, AttributeError):
        raise SourceError(f"The tracking server {urlsplit(address).hostname} did not answer as MLflow does.") from None
    return tags.get(TRACKED_RUN_TAG, "")
