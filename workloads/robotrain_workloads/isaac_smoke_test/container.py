"""`isaac-smoke-test` in the container: the command, and its tracking run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.isaac import installation
from robotrain_workloads.isaac.installation import ENVIRONMENT as ENVIRONMENT  # part of the plugin

CHECKS = "robotrain_workloads.isaac_smoke_test.checks"


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the command of the checks. The tracking address may hold a password: it is no argument."""
    values = document.parameters
    own = [f"--{name.replace('_', '-')}={values[name]}" for name in ("isaaclab_path", "backend") if values[name]]
    tracking = {"MLFLOW_TRACKING_URI": document.placement.tracking_uri} if document.placement.tracking_uri else {}
    return WorkCommand(
        arguments=("-m", CHECKS, f"--min-gpus={values['min_gpus']}", *own), environ={**installation.TERMS, **tracking}
    )


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    values = document.parameters
    return TrackingSpec(
        experiment="isaaclab-smoke-test",
        run_name=document.run,
        params={"min_gpus": values["min_gpus"]},
        tags={"entrypoint": "isaaclab.sh"},
        machine=bool(values["system_metrics"]),
    )
