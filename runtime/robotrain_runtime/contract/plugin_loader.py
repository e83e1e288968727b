"""Loading of the container plugins that a job document names."""

import dataclasses
import errno
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from robotrain_runtime.contract import added_packages
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
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.failure import EXIT_REFUSED, JobFailed
from robotrain_runtime.contract.secret_store import STORE_PREFIX, SecretStorePlugin

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT)
TRACKING_PREFIX = "tracking."
POLICY_ROLES = ("policy", "reference", "init_policy")

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
    """Return the environment that the job runs in, with the packages that it adds. Raise JobFailed."""
    plugin = load_workload_plugin(document)
    environment = plugin.environment(document)
    with _explain_unwritable_packages(document):
        return environment if plugin.RUNS_PROGRAM else added_packages.add_packages(environment, document)


def get_run_placement(document: JobDocument) -> Placement:
    """Return the placement for the run's environment: what the user chose may be for that of the program."""
    if not load_workload_plugin(document).RUNS_PROGRAM:
        return document.placement
    return dataclasses.replace(document.placement, environment=None, torch_backend=None)


def get_program_environment(document: JobDocument, work: Path) -> PythonEnvironment | None:
    """Return the environment of the user's program, with its lock below `work`; None for none. Raise JobFailed."""
    plugin = load_workload_plugin(document)
    with _explain_unwritable_packages(document):
        return plugin.program_environment(document, work) if plugin.RUNS_PROGRAM else None


@contextmanager
def _explain_unwritable_packages(document: JobDocument) -> Iterator[None]:
    """Raise JobFailed for an OSError of the packages that a job adds."""
    try:
        yield
    except OSError as error:
        reason = f"the packages of the job cannot be written to the cache {document.placement.cache}: {error.strerror}"
        raise JobFailed(reason, EXIT_REFUSED, "disk_full" if error.errno in DISK_ERRORS else "") from error


def get_program_python(document: JobDocument) -> Path | None:
    """Return the interpreter of the user's own environment that the program runs in; None if there is none."""
    environment = document.placement.environment
    if environment is None or not load_workload_plugin(document).RUNS_PROGRAM:
        return None
    return Path(environment) if os.path.isfile(environment) else Path(environment, "bin", "python")


def describe_outputs(document: JobDocument) -> str:
    """Return the noun for the job's outputs: checkpoints or results. Raise JobFailed."""
    folder = load_workload_plugin(document).checkpoints(document, Path(document.placement.work))
    return "checkpoints" if folder else "results"


def load_source_plugin(document: JobDocument, source: JobSource) -> SourceContainerPlugin:
    """Return the container plugin of a source's kind. Raise JobFailed."""
    return _load_plugin(document, f"source.{source.kind}", SourceContainerPlugin)


def has_source_plugin(document: JobDocument, source: JobSource) -> bool:
    """Return whether the kind of a source has a container plugin; one that the platform mounts may have none."""
    return f"source.{source.kind}" in document.container_plugins


def load_batch_fetcher(name: str) -> BatchFetcher:
    """Return the batch fetcher of that name. Raise JobFailed."""
    return import_plugin(name, "a source kind", BatchFetcher)


def list_source_environments(document: JobDocument) -> list[PythonEnvironment]:
    """Return the environments beside that of the run, which sources are fetched in. Raise JobFailed."""
    environments: dict[Path, PythonEnvironment] = {}
    for source in contract_document.list_fetched_sources(document):
        plugin = load_source_plugin(document, source)
        if environment := load_batch_fetcher(plugin.CARRIER).ENVIRONMENT if plugin.CARRIER else plugin.ENVIRONMENT:
            environments[environment.lock] = environment
    return list(environments.values())


def load_tracking_plugin(document: JobDocument) -> TrackingContainerPlugin | None:
    """Return the container plugin of the tracking address; None if MLflow knows the address. Raise JobFailed."""
    plugin_keys = (name for name in document.container_plugins if name.startswith(TRACKING_PREFIX))
    plugins = (_load_plugin(document, name, TrackingContainerPlugin) for name in plugin_keys)
    return next((plugin for plugin in plugins if plugin.accepts(document.placement.tracking_uri)), None)


def load_secret_stores(document: JobDocument) -> list[SecretStorePlugin]:
    """Return the stores of secrets that the document names. Raise JobFailed."""
    return [
        _load_plugin(document, name, SecretStorePlugin)
        for name in document.container_plugins
        if name.startswith(STORE_PREFIX)
    ]


def list_import_folders(document: JobDocument) -> list[str]:
    """Return the folders to import the runtime and the container plugins from: one, if they came as a payload."""
    return list(dict.fromkeys(map(get_import_folder, ("robotrain_runtime", *document.container_plugins.values()))))


def get_import_folder(name: str) -> str:
    """Return the folder that a module is imported from; a package of data files has no `__file__`.

    :param name: also `PACKAGE:FILE,FILE`, a package with the data files of it that a job carries.
    """
    name = name.partition(":")[0]
    module = importlib.import_module(name)
    file = Path(module.__file__ or Path(*module.__path__, "__init__.py")).absolute()
    return str(file.parents[name.count(".") + (file.name == "__init__.py")])


def _load_plugin(document: JobDocument, name: str, interface: type[Interface]) -> Interface:
    module = document.container_plugins.get(name)
    if module is None:
        raise JobFailed(f"the job document names no container plugin for {name}", EXIT_REFUSED, "configuration")
    return import_plugin(module, name, interface)


def import_plugin(module: str, subject: str, interface: type[Interface]) -> Interface:
    """Return a container plugin. Raise JobFailed that names `subject` if the module cannot be imported."""
    try:
        return load_container_plugin(module, interface)
    except ImportError as error:
        raise JobFailed(f"{subject} cannot be imported as {module}: {error}", EXIT_REFUSED, "configuration") from error


def make_tracking_environ(document: JobDocument) -> dict[str, str]:
    """Return the variables by which programs find the container plugins of tracking addresses."""
    modules = [module for name, module in document.container_plugins.items() if name.startswith(TRACKING_PREFIX)]
    platform_uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return {TRACKING_PLUGINS_VARIABLE: ",".join(modules), PLATFORM_TRACKING_VARIABLE: platform_uri} if modules else {}


def make_container_context(
    document: JobDocument, python: Path | None, log_line: Callable[[str], None] = lambda line: None
) -> ContainerContext:
    """Return the context that container plugins are called with."""
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
        takes_any_policy=_takes_any_policy(document),
    )


def _takes_any_policy(document: JobDocument) -> bool:
    """Return whether a policy of the job may be any files."""
    if all(source.role not in POLICY_ROLES for source in document.sources):
        return False
    module = document.container_plugins.get(f"workload.{document.workload}", "")
    try:
        return bool(module) and load_container_plugin(module, WorkloadContainerPlugin).takes_any_policy(document)
    except ImportError:  # told as such by whoever needs it
        return False
