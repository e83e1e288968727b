"""The stand-in as fixtures, `from osmo_stand_in.fixtures import osmo` in a conftest, and a workflow that it takes."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from osmo_stand_in import OsmoStandIn
from osmo_stand_in.command import main

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


@pytest.fixture
def osmo(tmp_path_factory, monkeypatch) -> Iterator[OsmoStandIn]:
    """A fresh one for one test; `osmo` on the path of this process is this one's."""
    stand_in = OsmoStandIn(tmp_path_factory.mktemp("osmo"))
    for name, value in stand_in.environ.items():
        monkeypatch.setenv(name, value)
    yield stand_in
    stand_in.stop()


@pytest.fixture
def osmo_cli(osmo, capsys) -> Callable[..., tuple[int, str, str]]:
    """The command, in this process: exit status, stdout, stderr."""

    def call(*argv: str) -> tuple[int, str, str]:
        try:
            code = main(osmo.folder, argv)
        except SystemExit as ended:
            code = int(ended.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return call
