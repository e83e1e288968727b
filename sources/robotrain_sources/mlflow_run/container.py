"""The container plugin of run artifacts: used in place if they are local, else fetched."""

import importlib
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TRACKING_PLUGINS_VARIABLE, ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.fetching import program
from robotrain_sources.mlflow_run import reference

FETCH_MODULE = "robotrain_sources.mlflow_run.fetch"


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    """Yield problems of the address and of tracking; the artifacts are looked up once MLflow is installed."""
    try:
        reference.parse_run_artifact(source.uri)
    except SourceError as error:
        yield f"{source.uri} is not an artifact of a run: {error.why}"
    if not place.tracking_uri:
        yield f"{source.uri} cannot be looked up: the job has no tracking address."


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """Return the folder of the policy or checkpoint. Raise OSError with a sentence."""
    for problem in preflight(source, place):
        raise OSError(problem)
    artifact = reference.parse_run_artifact(source.uri)
    folder = place.cache / "sources" / "mlflow_run" / artifact.run
    environ = {**place.tracking_environ, "MLFLOW_TRACKING_URI": place.tracking_uri}
    plugins = filter(None, environ.get(TRACKING_PLUGINS_VARIABLE, "").split(","))
    modules = [importlib.import_module(plugin).__name__ for plugin in plugins]
    options = ("--role", source.role, "--to", str(folder), "--cache", str(place.cache))
    return program.run_program(
        place, FETCH_MODULE, artifact.run, artifact.path, *options, environ=environ, modules=modules
    )
