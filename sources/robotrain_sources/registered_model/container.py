"""The container plugin of registered models: used in place if they are local, else fetched into the cache."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.fetching import program
from robotrain_sources.registered_model import reference

FETCH_MODULE = "robotrain_sources.registered_model.fetch"


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    """Yield problems of the name and of the registry; the model is looked up once MLflow is installed."""
    try:
        reference.parse_pinned_model(source.uri, source.pin)
    except SourceError as error:
        yield f"{source.uri} is not a version of a registered model: {error.why}"
    if not place.tracking_uri:
        yield f"{source.uri} cannot be looked up in a model registry: the job has no tracking address."


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """Return the folder of the model's files. Raise OSError with a sentence."""
    for problem in preflight(source, place):
        raise OSError(problem)
    model = reference.parse_pinned_model(source.uri, source.pin)
    folder = place.cache / "sources" / "registered_model" / model.name
    registry = {"MLFLOW_TRACKING_URI": place.tracking_uri}
    options = ("--to", str(folder), "--cache", str(place.cache))
    return program.run_program(place, FETCH_MODULE, model.name, str(model.version), *options, environ=registry)
