"""A registered model in the container: used where it lies when that is this machine, else fetched into the cache."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource

from robotrain_sources.fetching import program
from robotrain_sources.registered_model import reference

FETCH_MODULE = "robotrain_sources.registered_model.fetch"


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    """What is wrong with how the model is named, or that there is no registry; it is asked when the run has MLflow."""
    try:
        reference.parse_registered_model(source.uri)
    except reference.RegisteredModelError as refused:
        yield f"{source.uri} names no version of a registered model: {refused.why}"
    if not place.tracking_uri:
        yield f"There is no model registry to look {source.uri} up in: the job has no tracking address."


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """The folder that holds the model's files. Raises OSError with a sentence."""
    for wrong in preflight(source, place):
        raise OSError(wrong)
    named = reference.parse_registered_model(source.uri)
    folder = place.cache / "sources" / "registered_model" / named.name
    registry = {"MLFLOW_TRACKING_URI": place.tracking_uri}
    to = ("--to", str(folder), "--cache", str(place.cache))
    return program.run_program(place, FETCH_MODULE, named.name, str(named.version), *to, environ=registry)
