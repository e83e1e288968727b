"""Refusals by Kubernetes after OSMO accepted a workflow: its pod is never created."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

KEY = re.compile(r"[-._a-zA-Z0-9]+")
ENVIRONMENT = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
LARGEST_FILE = 1 << 20
LARGEST_GROUP = 10_000_000


def complaints(task: Mapping[str, Any]) -> Iterator[str]:
    """Why its pod cannot be made, in Kubernetes' words."""
    import hashlib

    volumes: dict[str, int] = {}
    total = 0
    for index, file in enumerate(task.get("files", [])):
        base, content = file["path"].rpartition("/")[2], file["contents"]
        encoded = content if file.get("base64") else base64.b64encode(content.encode()).decode()
        total += len(encoded)
        yield from _file(index, base, encoded)
        name = hashlib.sha256(f"content-{encoded}{base}".encode()).hexdigest()[:32]
        if name in volumes:
            yield f'spec.volumes[{index}].name: Duplicate value: "osmo-{name}"'
        volumes[name] = index
        if ":" in file["path"]:
            yield f"spec.containers[0].volumeMounts[{index}].mountPath: Invalid value: must not contain ':'"
    if total > LARGEST_GROUP:
        yield f"the group has {total} bytes of files: the connection to the backend was closed"
    for name in task.get("environment", {}):
        if not ENVIRONMENT.fullmatch(name):
            yield f'spec.containers[0].env.name: Invalid value: "{name}"'


def _file(index: int, base: str, encoded: str) -> Iterator[str]:
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as error:
        yield f"Secret in version v1 cannot be handled: illegal base64 data: {error}"
        return
    if not KEY.fullmatch(base):
        yield f'data[{base}]: Invalid value: "{base}": a valid config key must consist of alphanumeric characters'
    if size > LARGEST_FILE:
        yield f"data: Too long: may not be more than {LARGEST_FILE} bytes (file {index})"
