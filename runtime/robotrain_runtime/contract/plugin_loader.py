"""Container plugins that a job document names, imported by what they stand for."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.container_plugin import (
    PLATFORM_TRACKING_VARIABLE,
    TRACKING_PLUGINS_VARIABLE,
    BatchFetcher,
    ContainerContext,
    PythonEnvironment,
    SourceContainerPlugin,
    TrackingContainerPlugin,
    WorkloadContainerPlugin,
)
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.failure import EXIT_REFUSED, JobFailed

TRACKING_PREFIX = "tracking."


Interface = TypeVar("Interface")


def load_container_plugin(module: str, interface: type[Interface]) -> Interface:
    """Return the container plugin that a module is: what it lacks of the interface has the interface's default."""
    plugin = interface()
    vars(plugin).update(vars(importlib.import_module(module)))
    return plugin


def load_workload_plugin(document: JobDocument) -> WorkloadContainerPlugin:
    """Return the container plugin of the document's workload. Raise JobFailed."""
    return _load_plugin(document, f"workload.{document.workload}", WorkloadContainerPlugin)


def get_job_environment(document: JobDocument) -> PythonEnvironment:
    """The environment that the job runs in: as its workload's half says it of this very job, else of all. Raises
    Failed.
    """
    return load_workload_plugin(document).environment(document)


def describe_outputs(document: JobDocument) -> str:
    """What its workload's runs leave, in the plural for people. Raises Failed."""
    folder = load_workload_plugin(document).checkpoints(document, Path(document.placement.work))
    return "checkpoints" if folder else "results"


def load_source_plugin(document: JobDocument, source: JobSource) -> SourceContainerPlugin:
    """The half of a source's kind. Raises Failed."""
    return _load_plugin(document, f"source.{source.kind}", SourceContainerPlugin)


def has_source_plugin(document: JobDocument, source: JobSource) -> bool:
    """Whether the kind of a source has a half; one that the platform itself brings may have none."""
    return f"source.{source.kind}" in document.halves


def get_source_environment(plugin: SourceContainerPlugin) -> PythonEnvironment | None:
    """The environment that a source half's programs run in; None for that of the run."""
    return plugin.ENVIRONMENT


def get_batch_fetcher_name(plugin: SourceContainerPlugin) -> str:
    """The module that brings the sources of a half together with others; empty when the half brings its own."""
    return plugin.CARRIER


def load_batch_fetcher(name: str) -> BatchFetcher:
    """The module of that name. Raises Failed."""
    return _import_plugin(name, "a source kind", BatchFetcher)


def list_other_environments(document: JobDocument) -> list[PythonEnvironment]:
    """The environments beside that of the run: sources are fetched in them, and tracking is asked. Raises Failed."""
    wanted: dict[Path, PythonEnvironment] = {}
    for asked in contract_document.list_fetched_sources(document):
        half = load_source_plugin(document, asked)
        name = get_batch_fetcher_name(half)
        if found := load_batch_fetcher(name).ENVIRONMENT if name else get_source_environment(half):
            wanted[found.lock] = found
    if tracked := load_tracking_plugin(document):
        wanted[tracked.ENVIRONMENT.lock] = tracked.ENVIRONMENT
    return list(wanted.values())


def load_tracking_plugin(document: JobDocument) -> TrackingContainerPlugin | None:
    """The half that takes the document's tracking address; None when MLflow knows it by itself. Raises Failed."""
    names = (name for name in document.halves if name.startswith(TRACKING_PREFIX))
    known = (_load_plugin(document, name, TrackingContainerPlugin) for name in names)
    return next((half for half in known if half.takes(document.placement.tracking_uri)), None)


def list_import_folders(document: JobDocument) -> list[str]:
    """The folders that a child imports the runtime and the halves from: one, when they came as a payload."""
    modules = ["robotrain_runtime", *document.halves.values()]
    return list(dict.fromkeys(str(_get_import_folder(importlib.import_module(name))) for name in modules))


def _load_plugin(document: JobDocument, name: str, interface: type[Interface]) -> Interface:
    module = document.halves.get(name)
    if module is None:
        raise JobFailed(f"the job document names no half for {name}", EXIT_REFUSED, "configuration")
    return _import_plugin(module, name, interface)


def _import_plugin(module: str, subject: str, interface: type[Interface]) -> Interface:
    try:
        return load_container_plugin(module, interface)
    except ImportError as error:
        raise JobFailed(f"{subject} cannot be imported as {module}: {error}", EXIT_REFUSED, "configuration") from error


def _get_import_folder(module: ModuleType) -> Path:
    file = Path(module.__file__ or "")
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return file.absolute().parents[depth]


def make_tracking_environ(document: JobDocument) -> dict[str, str]:
    """The names by which a program finds the halves that know tracking addresses; none where MLflow knows them all."""
    modules = [module for name, module in document.halves.items() if name.startswith(TRACKING_PREFIX)]
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    return {TRACKING_PLUGINS_VARIABLE: ",".join(modules), PLATFORM_TRACKING_VARIABLE: given} if modules else {}


def make_container_context(
    document: JobDocument, python: Path | None, log_line: Callable[[str], None] = lambda line: None
) -> ContainerContext:
    """Where a half works."""
    placement = document.placement
    return ContainerContext(
        cache=Path(placement.cache),
        python=python,
        tracking_uri=placement.tracking_uri,
        log_line=log_line,
        credentials=placement.credentials,
        download_mib=placement.download_mib,
        credential_hints=placement.ways,
        tracking_environ=make_tracking_environ(document),
    )
