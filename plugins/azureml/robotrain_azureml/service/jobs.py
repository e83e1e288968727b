"""A job of the workspace, through Azure's resource manager."""

import functools
from typing import Any

from robotrain.run import Reference, RunGone
from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml.service import refusals

VERSION = "2024-04-01"
PATIENCE = 6.0
"""Seconds for which a bad moment of Azure is sat out."""


@functools.cache
def signed_in(host: str = "") -> Arm:
    """Whoever is signed in here: one for each host, however much of this process asks. host: another than the resource
    manager's, which takes the same tokens.
    """
    return Arm(PATIENCE, host)


def workspace_of(reference: Reference) -> Workspace:
    """The workspace that took a run."""
    return Workspace(*(reference.get(name, "") for name in ("subscription", "group", "workspace")))


def resource(at: Workspace, name: str) -> str:
    """A job's id in the resource manager."""
    return f"{at.resource}/jobs/{name}"


def find(arm: Arm, at: Workspace, name: str) -> dict[str, Any] | None:
    """The job; None only where the workspace itself says that it has none of that name. Raises ArmError."""
    try:
        return arm.get(resource(at, name), VERSION)
    except ArmError as error:
        if refusals.is_below(error):
            return None
        raise


def get(reference: Reference) -> dict[str, Any]:
    """The job that a run became. Raises RunGone, and Refused when it cannot be asked for."""
    at, name = workspace_of(reference), reference.get("job", "")
    try:
        found = find(signed_in(), at, name)
    except ArmError as error:
        raise refusals.of(error, at, f"ask Azure ML for the job {name}") from None
    if found is None:
        raise gone(at, name)
    return found


def cancel(arm: Arm, at: Workspace, name: str) -> None:
    """Ask for its end, which comes later. Raises ArmError, RunGone."""
    try:
        arm.post(f"{resource(at, name)}/cancel", VERSION)
    except ArmError as error:
        if refusals.is_below(error):
            raise gone(at, name) from None
        raise


def gone(at: Workspace, name: str) -> RunGone:
    """The workspace is there, and the job is not."""
    return RunGone(
        f"the workspace {at.name} knows no job {name} any more: it was removed, or this is another workspace"
    )
