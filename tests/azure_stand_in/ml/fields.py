"""The fields that a command job has, as the SDK's own client writes them (`CommandJob` and the models it holds).

What is not among them is refused, and what has another type.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Shape = Mapping[str, Any]
"""By the name of a field: a type, a shape of its own, or `[shape]` for a table of such by name."""
TEXTS = [str]
"""A table of texts."""

_INPUT = {"description": str, "jobInputType": str, "mode": str, "uri": str, "value": str}
_OUTPUT = {"description": str, "jobOutputType": str, "mode": str, "uri": str, "assetName": str, "assetVersion": str}
_SERVICE = {"jobServiceType": str, "endpoint": str, "port": int, "properties": TEXTS, "nodes": dict}
JOB: Shape = {
    "jobType": str,
    "description": str,
    "displayName": str,
    "experimentName": str,
    "command": str,
    "codeId": str,
    "componentId": str,
    "computeId": str,
    "environmentId": str,
    "isArchived": bool,
    "tags": TEXTS,
    "properties": TEXTS,
    "environmentVariables": TEXTS,
    "inputs": [_INPUT],
    "outputs": [_OUTPUT],
    "services": [_SERVICE],
    "identity": {"identityType": str, "clientId": str, "objectId": str, "resourceId": str},
    "resources": {
        "instanceCount": int,
        "instanceType": str,
        "shmSize": str,
        "dockerArgs": str,
        "dockerArgsList": list,
        "properties": dict,
    },
    "limits": {"jobLimitsType": str, "timeout": str},
    "distribution": {"distributionType": str, "processCountPerInstance": int},
    "queueSettings": {"jobTier": str, "priority": int},
    "notificationSetting": dict,
}


def wrong(given: Mapping[str, Any], shape: Shape = JOB, at: str = "properties") -> Iterator[str]:
    """A sentence for each field that is not there, or is something else."""
    for name, value in given.items():
        if name not in shape:
            yield f"Could not find member '{name}' on object of type '{at}'. Path '{at}.{name}'."
        elif value is not None:
            yield from _wrong(value, shape[name], f"{at}.{name}")


def _wrong(value: Any, shape: Any, at: str) -> Iterator[str]:
    if isinstance(shape, type):
        if not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
            yield f"Error converting value {value!r} to type '{shape.__name__}'. Path '{at}'."
    elif not isinstance(value, dict):
        yield f"Cannot deserialize the current JSON value because it has to be an object. Path '{at}'."
    elif isinstance(shape, list):
        for name, one in value.items():
            yield from _wrong(one, shape[0], f"{at}.{name}")
    else:
        yield from wrong(value, shape, at)
