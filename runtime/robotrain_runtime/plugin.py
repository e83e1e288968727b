"""The public names for container plugins, which run where the job runs. Standard library only."""

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
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import Checkpoint, Download, Metrics, Note, emit_event
from robotrain_runtime.contract.failure import Cancelled, JobFailed, PermanentError
from robotrain_runtime.contract.parameter import Param, load_pairs
from robotrain_runtime.contract.problem import Problem, ProblemError, Suggestion, make_data_problem, suggest_leaving_out
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
    "Problem",
    "ProblemError",
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
    "Verdict",
    "WorkCommand",
    "WorkloadContainerPlugin",
    "emit_event",
    "emit_verdict",
    "load_pairs",
    "make_data_problem",
    "suggest_leaving_out",
]
