"""Artifacts of a tracking run in the container: used where they lie when that is this machine, else fetched."""

import importlib
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TRACKING_PLUGINS_VARIABLE, ContainerContext
from robotrain_runtime.contract.document import JobSource

from robotrain_sources.fetching import program
from robotrain_sources.mlflow_run import reference

FETCH_MODULE = "robotrain_sources.mlflow_run.fetch"


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    """What is wrong with how they are named, or that no runs are tracked. They are asked for once there is MLflow."""
    try:
        reference.parse_run_artifact(source.uri)
    except reference.RunArtifactError as refused:
        yield f"{source.uri} names no artifacts of a run: {refused.why}"
    if not place.tracking_uri:
        yield f"There are no tracking runs to look {source.uri} up in: the job has no tracking address."


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """The folder that holds the policy. Raises OSError with a sentence."""
    for wrong in preflight(source, place):
        raise OSError(wrong)
    named = reference.parse_run_artifact(source.uri)
    folder = place.cache / "sources" / "mlflow_run" / named.run
    environ = {**place.tracking_environ, "MLFLOW_TRACKING_URI": place.tracking_uri}
    halves = filter(None, environ.get(TRACKING_PLUGINS_VARIABLE, "").split(","))
    modules = [importlib.import_module(half).__name__ for half in halves]
    to = ("--to", str(folder), "--cache", str(place.cache))
    return program.run_program(place, FETCH_MODULE, named.run, named.path, *to, environ=environ, modules=modules)
