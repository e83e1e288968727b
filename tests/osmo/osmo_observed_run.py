"""Workflows of the stand-in with their records, and the events that their runtime prints."""

import hashlib
import json

import pytest
import yaml
from observed_run import EVENTS, RUN, ObservedRun
from robotrain_osmo.platform import OSMO

__all__ = ["EVENTS", "RUN"]

TASK = "train"
RESOURCES = {"cpu": 1, "gpu": 0, "memory": "1Gi", "storage": "1Gi", "platform": "gpu_platform"}


def sealed(files: dict[str, bytes], step: int = 400, run: str = RUN) -> bytes:
    """The manifest of a checkpoint with these files."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return json.dumps({"schema": 1, "step": step, "run": run, "job": "j", "files": digests}).encode()


class Observed(ObservedRun):
    """A workflow of the service, with the reference in the run's record."""

    platform = OSMO

    def __init__(self, osmo, publishes: str = "") -> None:
        task = {"name": TASK, "image": "ubuntu:24.04", "command": ["true"]}
        spec = {"workflow": {"name": RUN, "resources": {"default": RESOURCES}, "tasks": [task]}}
        self.osmo, self.id = osmo, osmo.submit(yaml.safe_dump(spec))
        fields = {"cli": "osmo", "task": TASK, "server": "6.4", "publishes": publishes, "run": RUN}
        self.reference = {"workflow": self.id, **fields}

    def set_status(self, task: str, **more) -> "Observed":
        self.osmo.set_state(self.id, task_status=task, **more)
        return self

    def say(self, *lines: str, **more) -> None:
        self.osmo.say(self.id, *lines, **more)


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Shorten pauses in logs and before streams are reopened: the stand-in is quick."""
    monkeypatch.setattr("robotrain_osmo.observe.log_lines.QUIET_SECONDS", 0.3)
    monkeypatch.setattr("robotrain_osmo.observe.logs.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("robotrain_osmo.observe.logs.BEGIN_POLL_SECONDS", 0.1)


@pytest.fixture
def run(osmo) -> Observed:
    """A workflow that waits."""
    return Observed(osmo)
