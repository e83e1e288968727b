"""The container plugins of a job: their modules, which its payload carries, and the workload's own on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robotrain.check import publish_targets
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload

if TYPE_CHECKING:
    from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin


def load_workload_container(container_plugins: Mapping[str, str]) -> WorkloadContainerPlugin | None:
    """Return the container plugin of the workload; None if it cannot be imported here: it is written for the run."""
    from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin  # costs start-up
    from robotrain_runtime.contract.plugin_loader import load_container_plugin

    module = next((module for name, module in container_plugins.items() if name.startswith("workload.")), "")
    try:
        return load_container_plugin(module, WorkloadContainerPlugin) if module else None
    except ImportError:
        return None


def collect_container_plugins(
    job: Job, workload: Workload, kinds: Mapping[str, SourceKind], platform: Platform, settings: Any
) -> dict[str, str]:
    """Return the container modules of a job: `workload.NAME`, `data.NAME`, `source.NAME`, `target.NAME` and others."""
    container_modules = {f"workload.{workload.name}": workload.container_plugin}
    container_modules |= {f"data.{name}": package for name, package in workload.data_packages(job).items()}
    for source in job.sources:
        if module := kinds[source.kind].container_plugin:
            container_modules[f"source.{source.kind}"] = module
    for target in publish_targets.list_targets(job, workload, kinds, platform.capabilities):
        if target.kind.target:
            container_modules[f"target.{target.kind.name}"] = target.kind.target
    return container_modules | dict(platform.plans.container_plugins(job, settings))
