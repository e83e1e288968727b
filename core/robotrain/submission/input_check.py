"""What is wrong with the inputs that lie on this machine, judged before submission by the rule that the run uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.plugin_loader import load_container_plugin
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.check.dataset_combinations import DATASET
from robotrain.model.health import convert_finding
from robotrain.model.plan import make_job_document

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.submission.prepare import PreparedJob

NOTHING_MADE: Mapping[str, Path] = {}


def load_workload_container(container_plugins: Mapping[str, str]) -> WorkloadContainerPlugin | None:
    """Return the container plugin of the workload; None if it cannot be imported here: it is written for the run."""
    module = next((module for name, module in container_plugins.items() if name.startswith("workload.")), "")
    try:
        return load_container_plugin(module, WorkloadContainerPlugin) if module else None
    except Exception:
        return None


def find_input_problems(prepared: PreparedJob, made: Mapping[str, Path] = NOTHING_MADE) -> list[Problem]:
    """Return why the sources whose folder is on this machine do not fit the job or each other.

    Datasets alone are for preflight and the run.

    :param made: by step of a pipeline, the folder with the description of what it will make.
    """
    described = _find_folders(prepared, made)
    others = any(source.role != DATASET for source in described)
    plugin = load_workload_container(prepared.container_plugins) if others else None
    try:
        sentences = list(plugin.compare(_make_document(prepared), described)) if plugin else []
    except Exception:  # the run will report it
        return []
    return [convert_finding(failure.make_finding("data-unusable", sentence)) for sentence in sentences]


def describe_output(prepared: PreparedJob, made: Mapping[str, Path], folder: Path) -> bool:
    """Write to a new folder what is known of the policy that the job will train; return whether anything is."""
    plugin = load_workload_container(prepared.container_plugins)
    try:
        folder.mkdir()
        if plugin:
            plugin.describe_output(_make_document(prepared), _find_folders(prepared, made), folder)
        return any(folder.iterdir())
    except Exception:
        return False


def _find_folders(prepared: PreparedJob, made: Mapping[str, Path]) -> dict[JobSource, Path]:
    found = {}
    for source in prepared.job.sources:
        folder = made.get(source.uri) if source.kind == STEP_KIND else Path(source.uri)
        if folder and folder.is_absolute() and folder.is_dir():
            found[source] = folder
    return found


def _make_document(prepared: PreparedJob) -> JobDocument:
    """Return the job's document for a machine whose folders and environment are unknown."""
    return make_job_document(
        prepared.job,
        run="",
        platform=prepared.platform.name,
        container_plugins=prepared.container_plugins,
        placement=Placement(work="", cache="", environment=""),
    )
