"""A workflow that OSMO takes, in the recommended shape, and ways to change it."""

import base64
from typing import Any

RESOURCES = {"cpu": 2, "gpu": 1, "memory": "8Gi", "storage": "10Gi", "platform": "gpu_platform"}
FILE = {"path": "/opt/job.tar", "base64": True, "contents": base64.b64encode(b"{{ x }} {% y").decode()}
TASK = {
    "name": "train",
    "image": "ubuntu:24.04",
    "command": ["sh", "-c", "echo it runs"],
    "environment": {"OUT": "{{output}}/x", "RUN": "{{workflow_id}}"},
    "files": [FILE],
}
WORKFLOW = {"name": "hello", "resources": {"default": RESOURCES}, "tasks": [TASK]}
URL = "azure://account/container/data"


def task(**changes: object) -> dict[str, Any]:
    """The workflow, with another task. None: without that key."""
    changed = {key: value for key, value in {**TASK, **changes}.items() if value is not None}
    return {**WORKFLOW, "tasks": [changed]}


def workflow(**changes: object) -> dict[str, Any]:
    """The workflow, changed."""
    return {**WORKFLOW, **changes}


def resources(**changes: object) -> dict[str, Any]:
    """The workflow, with other resources."""
    return workflow(resources={"default": {**RESOURCES, **changes}})
