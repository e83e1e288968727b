"""Workflows of the stand-in with their records, and the events that their runtime prints."""

import hashlib
import json
import time

import pytest
import yaml
from robotrain.model.run import RunRecord
from robotrain.model.workload import OutputProfile
from robotrain.store import records
from robotrain_osmo.platform import OsmoPlatform
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Outcome, StageEvent
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

RUN = "lerobot-train-fab69e8c-1"
TASK = "train"
RESOURCES = {"cpu": 1, "gpu": 0, "memory": "1Gi", "storage": "1Gi", "platform": "gpu_platform"}
EVENTS = (
    StageEvent(name="work", state="started"),
    Metrics(values={"train/loss": 0.5}, step=10, total=20),
    Metrics(values={"train/loss": 0.25}, step=20, total=20),
    Outcome(state="succeeded", exit_code=0),
)


def sealed(files: dict[str, bytes], step: int = 400, run: str = RUN) -> bytes:
    """The manifest of a checkpoint with these files."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return json.dumps({"schema": 1, "step": step, "run": run, "job": "j", "files": digests}).encode()


class Observed:
    """A workflow of the service, with the reference in the run's record."""

    def __init__(self, osmo, publishes: str = "") -> None:
        task = {"name": TASK, "image": "ubuntu:24.04", "command": ["true"]}
        spec = {"workflow": {"name": RUN, "resources": {"default": RESOURCES}, "tasks": [task]}}
        answer = osmo.ask("POST", "api/pool/default/workflow", {}, {"file": yaml.safe_dump(spec)})
        assert answer.status == 200, answer
        self.osmo, self.id = osmo, answer.body["name"]
        kept = {"cli": "osmo", "task": TASK, "server": "6.4", "publishes": publishes, "run": RUN}
        self.reference = {"workflow": self.id, **kept}

    def status(self):
        return OsmoPlatform().status(self.reference)

    def set_status(self, task: str, **more) -> "Observed":
        self.osmo.set_state(self.id, task_status=task, **more)
        return self

    def say(self, *lines: str, **more) -> None:
        self.osmo.say(self.id, *lines, **more)

    def tell(self, *events: event.Event) -> None:
        self.say(*(event.format_event(one) for one in events))

    def logs(self, follow: bool = False, tail: int | None = None) -> list[str]:
        return list(OsmoPlatform().logs(self.reference, follow, tail))

    def outputs(self):
        return list(OsmoPlatform().outputs(self.reference))

    def record(self, outputs: OutputProfile = LEROBOT_TRAIN.profile.outputs) -> str:
        """Kept as if it had been submitted from here; its name."""
        records.write_record(
            RunRecord(
                run=RUN,
                platform="osmo",
                phase="sent",
                job="0" * 64,
                plan="0" * 64,
                created=time.time(),
                workload="lerobot-train",
                settings={},
                reference=self.reference,
                outputs=outputs,
                metrics=LEROBOT_TRAIN.profile.metrics,
            )
        )
        return RUN


@pytest.fixture
def quick(monkeypatch) -> None:
    """Shorten pauses in logs and before streams are reopened: the stand-in is quick."""
    monkeypatch.setattr("robotrain_osmo.observe.logs.QUIET_SECONDS", 0.5)
    monkeypatch.setattr("robotrain_osmo.observe.logs.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("robotrain_osmo.observe.logs.BEGIN_POLL_SECONDS", 0.1)


@pytest.fixture
def run(osmo) -> Observed:
    """A workflow that waits."""
    return Observed(osmo)
