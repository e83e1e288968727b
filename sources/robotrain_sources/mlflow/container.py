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

MODEL_FETCH, RUN_FETCH = "robotrain_sources.mlflow.model_fetch", "robotrain_sources.mlflow.run_fetch"


def preflight(source: JobSource, context: ContainerContext) -> Iterable[str]:
    """Yield problems of the address and of tracking; what it names is looked up once MLflow is installed."""
    is_run = source.kind == RunArtifact.kind
    try:
        _parse(source)
    except SourceError as error:
        expected_noun = "an artifact of a run" if is_run else "a version of a registered model"
        yield f"{source.uri} is not {expected_noun}: {error.why}"
    if not context.tracking_uri:
        place_note = "" if is_run else " in a model registry"
        yield f"{source.uri} cannot be looked up{place_note}: the job has no tracking address."


def fetch(source: JobSource, context: ContainerContext) -> Path:
    """Return the folder of the model's files, or of the policy or checkpoint. Raise OSError with a sentence."""
    for problem in preflight(source, context):
        raise OSError(problem)
    parsed_source = _parse(source)
    environ = {"MLFLOW_TRACKING_URI": context.tracking_uri}
    folder = context.cache / "sources"
    cache = ("--cache", str(context.cache))
    if not isinstance(parsed_source, RunArtifact):
        to = ("--to", str(folder / RegisteredModel.kind / parsed_source.name))
        return program.run_program(
            context, MODEL_FETCH, parsed_source.name, parsed_source.version, *to, *cache, environ=environ
        )
    environ = {**context.tracking_environ, **environ}
    plugins = filter(None, environ.get(TRACKING_PLUGINS_VARIABLE, "").split(","))
    modules = [importlib.import_module(plugin).__name__ for plugin in plugins]
    to = ("--to", str(folder / RunArtifact.kind / parsed_source.run))
    form = ("--policy", "any") if context.takes_any_policy else ()
    options = ("--role", source.role, *form, *to, *cache)
    return program.run_program(
        context, RUN_FETCH, parsed_source.run, parsed_source.path, *options, environ=environ, modules=modules
    )


def _parse(source: JobSource) -> RegisteredModel | RunArtifact:
    if source.kind == RunArtifact.kind:
        return reference.parse_run_artifact(source.uri)
    return reference.parse_pinned_model(source.uri, source.pin)
