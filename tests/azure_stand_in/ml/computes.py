"""The computes of a workspace, and what a subscription may have of machines in a region."""

import uuid
from collections.abc import Mapping
from typing import Any

from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.request import Answer, Asked, Refused

NODES = ("idle", "running", "preparing", "unusable", "leaving", "preempted")
SIZES = {
    "Standard_NC24ads_A100_v4": ("standardNCADSA100v4Family", 24, 1, 220),
    "Standard_NC96ads_A100_v4": ("standardNCADSA100v4Family", 96, 4, 880),
    "Standard_NC48ads_A100_v4": ("standardNCADSA100v4Family", 48, 2, 440),
    "Standard_NC6s_v3": ("standardNCSv3Family", 6, 1, 112),
    "Standard_NV36ads_A10_v5": ("standardNVADSA10v5Family", 36, 1, 440),
    "Standard_D4s_v5": ("standardDSv5Family", 4, 0, 16),
}
"""The family, the cores, the GPUs and the memory in GB of machines."""


def make_kubernetes(ml: Ml, instance_types: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Properties of an attached cluster. instance_types: what each limits, by name."""
    group = ml.at.partition("/providers/")[0]
    shapes = {
        name: {"nodeSelector": {}, "resources": {"requests": {}, "limits": dict(limits)}}
        for name, limits in instance_types.items()
    }
    return {
        "computeType": "Kubernetes",
        "resourceId": f"{group}/providers/Microsoft.ContainerService/managedClusters/aks-robot-dev-001",
        "isAttachedCompute": True,
        "properties": {"namespace": "azureml", "defaultInstanceType": "defaultinstancetype", "instanceTypes": shapes},
    }


def make_managed(vm_size: str, most: int, least: int, priority: str) -> dict[str, Any]:
    """Properties of a cluster that Azure manages, without nodes that work. most, least: of nodes."""
    scale = {"minNodeCount": least, "maxNodeCount": most, "nodeIdleTimeBeforeScaleDown": "PT2M"}
    counts = {"currentNodeCount": least, "nodeStateCounts": {f"{node}NodeCount": 0 for node in NODES}}
    machine = {"osType": "Linux", "vmSize": vm_size, "vmPriority": priority, "scaleSettings": scale}
    properties = {**machine, **counts, "allocationState": "Steady", "errors": None}
    return {"computeType": "AmlCompute", "resourceId": None, "isAttachedCompute": False, "properties": properties}


def add_compute(
    ml: Ml,
    name: str,
    properties: Mapping[str, Any],
    identities: Mapping[str, tuple[str, str]],
    state: str,
    system: bool,
) -> str:
    """A new compute: its resource id. identities: the client id and the principal of each, by resource id."""
    assigned = {at: {"clientId": client, "principalId": whom} for at, (client, whom) in identities.items()}
    identity: dict[str, Any] = {"userAssignedIdentities": assigned} if assigned else {}
    if system:
        identity["principalId"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ml.at}/computes/{name}"))
    kinds = [kind for kind, there in (("SystemAssigned", system), ("UserAssigned", bool(assigned))) if there]
    more = {"identity": {"type": ",".join(kinds), **identity}} if kinds else {}
    usual = {"computeLocation": "westeurope", "provisioningState": state, "provisioningErrors": None}
    made = ml.resource(f"/computes/{name}", {**usual, **properties}, location="westeurope", tags={}, **more)
    ml.computes[name.lower()] = made
    return str(made["id"])


def get_compute(ml: Ml, request: Asked, name: str) -> Answer:
    if name.lower() not in ml.computes:
        raise Refused(404, "ResourceNotFound", f"Compute {name} was not found in workspace {ml.names[2]}.", "NotFound")
    return 200, ml.computes[name.lower()]


def list_computes(ml: Ml, request: Asked) -> Answer:
    return 200, {"value": list(ml.computes.values())}


ROUTES = (("GET", "/computes/([^/]+)", get_compute), ("GET", "/computes", list_computes))


def list_sizes() -> list[dict[str, Any]]:
    """The machines of any region."""
    parts = ("family", "vCPUs", "gpus", "memoryGB")
    same = {"lowPriorityCapable": True, "premiumIO": True, "supportedComputeTypes": ["AmlCompute"]}
    return [{"name": name, **dict(zip(parts, size, strict=True)), **same} for name, size in SIZES.items()]
