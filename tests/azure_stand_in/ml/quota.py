"""What a subscription may have of machines in a region, and has: paths and shapes are those of the SDK's own client."""

import re
from typing import Any
from urllib.parse import urlencode

from azure_stand_in.ml.asked import Asked, Refused

SIZES = {
    "Standard_NC24ads_A100_v4": ("standardNCADSA100v4Family", 24, 1, 220),
    "Standard_NC48ads_A100_v4": ("standardNCADSA100v4Family", 48, 2, 440),
    "Standard_NC6s_v3": ("standardNCSv3Family", 6, 1, 112),
    "Standard_NV36ads_A10_v5": ("standardNVADSA10v5Family", 36, 1, 440),
    "Standard_D4s_v5": ("standardDSv5Family", 4, 0, 16),
}
"""The family, the cores, the GPUs and the memory in GB of machines."""
PAGE = 2


def usage(region: str, subscription: str, family: str, used: int, limit: int, low: bool = False) -> dict[str, Any]:
    """Of one family's cores."""
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


def answer(usages: dict[str, list[dict[str, Any]]], asked: Asked) -> dict[str, Any]:
    """What is answered. Raises Refused."""
    found = re.fullmatch(r".*/locations/([^/]+)/(usages|quotas|vmSizes)", asked.path, re.IGNORECASE)
    if found is None or asked.method != "GET":
        raise Refused(404, "ResourceNotFound", f"The resource {asked.path} could not be found.")
    region, what = found[1].lower(), found[2].lower()
    if what == "vmsizes":
        return {"value": [_size(name, *size) for name, size in SIZES.items()]}
    whole = usages.get(region, [])
    if what == "quotas":
        kept = ("id", "type", "amlWorkspaceLocation", "name", "limit", "unit")
        whole = [{key: one[key] for key in kept} for one in whole]
    begin = int(asked.query.get("$skip") or 0)
    following = urlencode({**asked.query, "$skip": str(begin + PAGE)})
    link = {"nextLink": f"https://{asked.host}{asked.path}?{following}"} if begin + PAGE < len(whole) else {}
    return {"value": whole[begin : begin + PAGE], **link}


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
