"""The computes of a workspace, and what a subscription may have of machines in a region."""

import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from azure_stand_in.ml.contents import KIND, Ml
from azure_stand_in.ml.request import Answer, Asked, Refused


def make_kubernetes(ml: Ml, instance_types: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
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
        "properties": {"namespace": "azureml", "defaultInstanceType": "defaultinstancetype", "instanceTypes": shapes},
    }


def make_managed(vm_size: str, most: int, least: int, priority: str) -> dict[str, Any]:
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


def add_compute(
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


def get_compute(ml: Ml, asked: Asked, name: str) -> Answer:
    if name.lower() not in ml.computes:
        raise Refused(404, "ResourceNotFound", f"Compute {name} was not found in workspace {ml.names[2]}.", "NotFound")
    return 200, ml.computes[name.lower()]


def list_computes(ml: Ml, asked: Asked) -> Answer:
    return 200, {"value": list(ml.computes.values())}


ROUTES = (("GET", "/computes/([^/]+)", get_compute), ("GET", "/computes", list_computes))


SIZES = {
    "Standard_NC24ads_A100_v4": ("standardNCADSA100v4Family", 24, 1, 220),
    "Standard_NC96ads_A100_v4": ("standardNCADSA100v4Family", 96, 4, 880),
    "Standard_NC48ads_A100_v4": ("standardNCADSA100v4Family", 48, 2, 440),
    "Standard_NC6s_v3": ("standardNCSv3Family", 6, 1, 112),
    "Standard_NV36ads_A10_v5": ("standardNVADSA10v5Family", 36, 1, 440),
    "Standard_D4s_v5": ("standardDSv5Family", 4, 0, 16),
}
"""The family, the cores, the GPUs and the memory in GB of machines."""
USAGES_PAGE = 2


def make_usage(region: str, subscription: str, family: str, used: int, limit: int, low: bool = False) -> dict[str, Any]:
    kind = "lowPriorityCores" if low else "dedicatedCores"
    at = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{region}/usages/{family}"
    return {
        "id": at,
        "type": f"Microsoft.MachineLearningServices/{kind}/usages",
        "amlWorkspaceLocation": region,
        "unit": "Count",
        "currentValue": used,
        "limit": limit,
        "name": {"value": family, "localizedValue": f"{family} Cluster {'Low Priority' if low else 'Dedicated'} vCPUs"},
    }


def answer_location(usages: dict[str, list[dict[str, Any]]], asked: Asked) -> dict[str, Any]:
    found = re.fullmatch(r".*/locations/([^/]+)/(usages|vmSizes)", asked.path, re.IGNORECASE)
    if found is None or asked.method != "GET":
        raise Refused(404, "ResourceNotFound", f"The resource {asked.path} could not be found.")
    region, what = found[1].lower(), found[2].lower()
    if what == "vmsizes":
        return {"value": [_size(name, *size) for name, size in SIZES.items()]}
    whole = usages.get(region, [])
    begin = int(asked.query.get("$skip") or 0)
    following = urlencode({**asked.query, "$skip": str(begin + USAGES_PAGE)})
    link = {"nextLink": f"https://{asked.host}{asked.path}?{following}"} if begin + USAGES_PAGE < len(whole) else {}
    return {"value": whole[begin : begin + USAGES_PAGE], **link}


def _size(name: str, family: str, cores: int, gpus: int, memory: int) -> dict[str, Any]:
    return {
        "name": name,
        "family": family,
        "vCPUs": cores,
        "gpus": gpus,
        "memoryGB": memory,
        "osVhdSizeMB": 1047552,
        "maxResourceVolumeMB": 64000,
        "lowPriorityCapable": True,
        "premiumIO": True,
        "supportedComputeTypes": ["AmlCompute"],
    }
