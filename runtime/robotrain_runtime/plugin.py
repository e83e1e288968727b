"""The public names for container plugins, which run where the job runs. Standard library only."""

from __future__ import annotations

TYPE_CHECKING = False  # importing `typing` would cost start-up; type checkers know the name
if TYPE_CHECKING:
    from typing import Any

    from robotrain_runtime.contract.checkpoint import CheckpointManifest
    from robotrain_runtime.contract.container_plugin import (
        ArtifactTarget,
        BatchFetch,
        BatchFetcher,
        ContainerContext,
        DataPreparation,
        GpuRequirement,
        ModelDescription,
        ModelRegistry,
        PublishingSpec,
        PythonEnvironment,
        SourceContainerPlugin,
        SurveyedSource,
        TrackingContainerPlugin,
        TrackingSpec,
        WorkCommand,
        WorkloadContainerPlugin,
    )
    from robotrain_runtime.contract.document import JobDocument, JobSource, UncertainText
    from robotrain_runtime.contract.event import Checkpoint, Download, Metrics, Note, emit_event
    from robotrain_runtime.contract.failure import Cancelled, JobFailed, PermanentError
    from robotrain_runtime.contract.finding import Finding, FindingError, Suggestion, make_finding, suggest_leaving_out
    from robotrain_runtime.contract.parameter import Param, load_pairs
    from robotrain_runtime.contract.secret_store import SecretStorePlugin
    from robotrain_runtime.contract.target import (
        CheckpointMark,
        CheckpointOwner,
        TargetContainerPlugin,
        TargetInspection,
        TargetWriter,
    )
    from robotrain_runtime.contract.verdict import Verdict, emit_verdict

__all__ = [
    "ArtifactTarget",
    "BatchFetch",
    "BatchFetcher",
    "Cancelled",
    "Checkpoint",
    "CheckpointManifest",
    "CheckpointMark",
    "CheckpointOwner",
    "ContainerContext",
    "DataPreparation",
    "Download",
    "Finding",
    "FindingError",
    "GpuRequirement",
    "JobDocument",
    "JobFailed",
    "JobSource",
    "Metrics",
    "ModelDescription",
    "ModelRegistry",
    "Note",
    "Param",
    "PermanentError",
    "PublishingSpec",
    "PythonEnvironment",
    "SecretStorePlugin",
    "SourceContainerPlugin",
    "Suggestion",
    "SurveyedSource",
    "TargetContainerPlugin",
    "TargetInspection",
    "TargetWriter",
    "TrackingContainerPlugin",
    "TrackingSpec",
    "UncertainText",
    "Verdict",
    "WorkCommand",
    "WorkloadContainerPlugin",
    "emit_event",
    "emit_verdict",
    "load_pairs",
    "make_finding",
    "suggest_leaving_out",
]

_MODULES = {
    "robotrain_runtime.contract.checkpoint": "CheckpointManifest",
    "robotrain_runtime.contract.container_plugin": "ArtifactTarget BatchFetch BatchFetcher"
    " ContainerContext DataPreparation GpuRequirement ModelDescription ModelRegistry PublishingSpec PythonEnvironment"
    " SourceContainerPlugin SurveyedSource"
    " TrackingContainerPlugin TrackingSpec WorkCommand WorkloadContainerPlugin",
    "robotrain_runtime.contract.document": "JobDocument JobSource UncertainText",
    "robotrain_runtime.contract.event": "Checkpoint Download Metrics Note emit_event",
    "robotrain_runtime.contract.failure": "Cancelled JobFailed PermanentError",
    "robotrain_runtime.contract.finding": "Finding FindingError Suggestion make_finding suggest_leaving_out",
    "robotrain_runtime.contract.parameter": "Param load_pairs",
    "robotrain_runtime.contract.secret_store": "SecretStorePlugin",
    "robotrain_runtime.contract.target": "CheckpointMark CheckpointOwner TargetContainerPlugin TargetInspection"
    " TargetWriter",
    "robotrain_runtime.contract.verdict": "Verdict emit_verdict",
}
"""The names that each module defines."""


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module on first use."""
    for module, names in _MODULES.items():
        if name in names.split():
            import importlib

            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'robotrain_runtime.plugin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
