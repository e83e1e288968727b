"""How a job fared: its run, as the service of the workspace's region tells it (times, errors, where its logs lie)."""

import re
from collections.abc import Mapping
from typing import Any

from robotrain_azure.arm import ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml.service import jobs

VERSION = "v1.0"
_HOST = (
    r"(?:azureml|https)://(?P<host>[a-z0-9][a-z0-9.-]*\.(?:api\.azureml\.ms|api\.ml\.azure\.us|api\.ml\.azure\.cn))/.*"
)
"""Of the three clouds: a token goes nowhere else."""
hosts: dict[Workspace, str] = {}
"""Which host answers for a workspace, once it was told."""


def details(at: Workspace, name: str, job: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the region knows of a job; empty when it knows none of that name. job: as the resource manager told it,
    where it was asked already: it says which region. Raises ArmError.
    """
    region = jobs.signed_in(_host(at, job))
    try:
        return region.get(f"/history/v1.0{at.resource}/runs/{name}/details", VERSION)
    except ArmError as error:
        if error.status == 404 and error.code:  # a gateway between has no code of Azure's
            return {}
        raise


def _host(at: Workspace, job: Mapping[str, Any] | None) -> str:
    """Asked once for each workspace. Raises ArmError."""
    if at not in hosts:
        told = [_tracking(job)] if job else []
        if not (found := _first(told)):
            own = jobs.signed_in().get(at.resource, jobs.VERSION).get("properties") or {}
            found = _first([own.get("discoveryUrl"), own.get("mlFlowTrackingUri")])
        if not found:
            raise ArmError(f"the workspace {at.name} does not say which region answers for it")
        hosts[at] = found
    return hosts[at]


def _tracking(job: Mapping[str, Any]) -> object:
    services = (job.get("properties") or {}).get("services") or {}
    return (services.get("Tracking") or {}).get("endpoint")


def _first(addresses: list[object]) -> str:
    found = (re.fullmatch(_HOST, str(address or "")) for address in addresses)
    return next((one["host"] for one in found if one), "")
