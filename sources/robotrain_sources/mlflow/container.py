"""The container plugin of registered models and run artifacts: used in place if they are local, else fetched."""

import importlib
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TRACKING_PLUGINS_VARIABLE, ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import SourceError

from robotrain_sources.fetching import program
from robotrain_sources.mlflow import reference
from robotrain_sources.mlflow.reference import RegisteredModel, RunArtifact

FETCH_PROGRAM = "robotrain_sources.mlflow.fetch_program"


def preflight(source: JobSource, context: ContainerContext) -> Iterable[str]:
    """Yield problems of the address and of tracking; what it names is looked up once MLflow is installed."""
    try:
        _parse(source)
    except SourceError as error:
        expected_noun = "an artifact of a run" if source.kind == RunArtifact.kind else "a version of a registered model"
        yield f"{source.uri} is not {expected_noun}: {error.why}"
    if not context.tracking_uri:
        yield f"{source.uri} cannot be looked up: the job has no tracking address."


def fetch(source: JobSource, context: ContainerContext) -> Path:
    """Return the folder of the model's files, or of the policy or checkpoint. Raise OSError with a sentence."""
    for problem in preflight(source, context):
        raise OSError(problem)
    parsed_source = _parse(source)
    name = parsed_source.run if isinstance(parsed_source, RunArtifact) else parsed_source.name
    environ = {**context.tracking_environ, "MLFLOW_TRACKING_URI": context.tracking_uri}
    plugins = filter(None, environ.get(TRACKING_PLUGINS_VARIABLE, "").split(","))
    return program.run_program(
        context,
        FETCH_PROGRAM,
        str(parsed_source),
        *("--role", source.role),
        *(["--any-policy"] if context.takes_any_policy else []),
        *("--to", str(context.cache / "sources" / parsed_source.kind / name)),
        *("--cache", str(context.cache)),
        environ=environ,
        modules=[importlib.import_module(plugin).__name__ for plugin in plugins],
    )


def _parse(source: JobSource) -> RegisteredModel | RunArtifact:
    if source.kind == RunArtifact.kind:
        return reference.parse_run_artifact(source.uri)
    return reference.parse_pinned_model(source.uri, source.pin)
