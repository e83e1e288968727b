"""The computes of a workspace."""

import uuid
from collections.abc import Mapping
from typing import Any

from azure_stand_in.ml.asked import Answer, Asked, Refused
from azure_stand_in.ml.contents import KIND, Here, Ml


def kubernetes(ml: Ml, instance_types: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Properties of an attached cluster. instance_types: what each limits, by name."""
    subscription, group, _ = ml.names
    aks = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters"
    shapes = {
        name: {"nodeSelector": {}, "resources": {"requests": {}, "limits": dict(limits)}}
        for name, limits in instance_types.items()
    }
    return {
        "computeType": "Kubernetes",
        "resourceId": f"{aks}/aks-robot-dev-001",
        "isAttachedCompute": True,
        "properties": {
            "namespace": "azureml",
            "defaultInstanceType": "defaultinstancetype",
            "instanceTypes": shapes,
        },
    }


def managed(vm_size: str, most: int, least: int, priority: str) -> dict[str, Any]:
    """Properties of a cluster that Azure manages, without nodes that work. most, least: of nodes."""
    nodes = ("idle", "running", "preparing", "unusable", "leaving", "preempted")
    return {
        "computeType": "AmlCompute",
        "resourceId": None,
        "isAttachedCompute": False,
        "properties": {
            "osType": "Linux",
            "vmSize": vm_size,
            "vmPriority": priority,
            "scaleSettings": {"minNodeCount": least, "maxNodeCount": most, "nodeIdleTimeBeforeScaleDown": "PT2M"},
            "allocationState": "Steady",
            "currentNodeCount": least,
            "targetNodeCount": least,
            "nodeStateCounts": {f"{node}NodeCount": 0 for node in nodes},
            "errors": None,
        },
    }


def add(
    ml: Ml,
    name: str,
    properties: Mapping[str, Any],
    identities: Mapping[str, tuple[str, str]],
    state: str,
    system: bool,
) -> str:
    """A new compute: its resource id. identities: the client id and the principal of each, by resource id."""
    kinds = [kind for kind, there in (("SystemAssigned", system), ("UserAssigned", bool(identities))) if there]
    identity: dict[str, Any] = {"type": ",".join(kinds)}
    if identities:
        assigned = {at: {"clientId": client, "principalId": whom} for at, (client, whom) in identities.items()}
        identity["userAssignedIdentities"] = assigned
    at = f"{ml.at}/computes/{name}"
    if system:
        identity["principalId"] = str(uuid.uuid5(uuid.NAMESPACE_URL, at))
    ml.computes[name.lower()] = {
        "id": at,
        "name": name,
        "type": f"{KIND}/computes",
        "location": "westeurope",
        "tags": {},
        **({"identity": identity} if kinds else {}),
        "properties": {
            "computeLocation": "westeurope",
            "provisioningState": state,
            "provisioningErrors": None,
            "createdOn": ml.created,
            "modifiedOn": ml.created,
            "description": None,
            "disableLocalAuth": False,
            **properties,
        },
    }
    return at


def one(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    """One of them."""
    if name.lower() not in ml.computes:
        raise Refused(404, "ResourceNotFound", f"Compute {name} was not found in workspace {ml.names[2]}.", "NotFound")
    return 200, ml.computes[name.lower()]


def every(here: Here, ml: Ml, asked: Asked) -> Answer:
    """All."""
    return 200, {"value": list(ml.computes.values())}


ROUTES = (("GET", "/computes/([^/]+)", one), ("GET", "/computes", every))
