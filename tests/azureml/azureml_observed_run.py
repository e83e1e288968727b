"""Runs to observe: jobs of the stand-in, each with its record, and the lines of their runtime."""

import hashlib
import json
from collections.abc import Iterator

import pytest
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.job import Job
from azure_stand_in.tenant import CLIENT
from observed_run import EVENTS, RUN, ObservedRun
from robotrain_azureml.platform import AZUREML as Platform
from robotrain_azureml.service import jobs
from robotrain_runtime.contract import checkpoint
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

__all__ = ["EVENTS", "RUN"]

JOB = f"{RUN}-0a1b2c"
OUTPUT = f"azureml/{JOB}/checkpoints"
EVALUATED = LEROBOT_EVAL.profile.outputs


def sealed(step: int = 400, **seal: str) -> dict[str, bytes]:
    """The files of a complete checkpoint, its seal among them. seal: what is not as it would be."""
    held = {"pretrained_model/model.safetensors": b"weights%d" % step, "training_state/step.json": b"%d" % step}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in held.items()}
    values = {"run": RUN, "job": "j" * 64, "model": "pretrained_model", "submission": JOB} | seal
    return {**held, checkpoint.MANIFEST: json.dumps({"schema": 1, "step": step, "files": digests, **values}).encode()}


class Observed(ObservedRun):
    """A job that is there."""

    platform = Platform

    def __init__(
        self,
        azureml: AzureML,
        publishes: str = "",
        mode: str = "Upload",
        timeout: str = "PT12H",
        output: str = "checkpoints",
    ) -> None:
        self.azure = azureml
        self.output = f"azureml/{JOB}/{output}"
        subscription, group, name = azureml.names
        body = {
            "jobType": "Command",
            "command": "python3 start.py",
            "experimentName": "lerobot-training",
            "computeId": f"{azureml.at}/computes/k8s-robot-dev-00",
            "resources": {"instanceCount": 1, "instanceType": "gpuspot", "shmSize": "8g"},
            "limits": {"jobLimitsType": "Command", "timeout": timeout},
            "environmentVariables": {"AZURE_CLIENT_ID": CLIENT},
            "outputs": {output: {"jobOutputType": "uri_folder", "mode": mode}},
        }
        self.job = Job(azureml.ml, JOB, body)
        azureml.ml.jobs[JOB.lower()] = self.job
        fields = {"subscription": subscription, "group": group, "workspace": name, "publishes": publishes, "run": RUN}
        self.reference = {"job": JOB, "datastore": "workspaceblobstore", "output": self.output, "code": "", **fields}
        if output == EVALUATED.folder:
            self.record(EVALUATED)

    def set_native_state(self, *states: str) -> "Observed":
        for state in states:
            self.job.state(state)
        return self

    def fails(self, message: str, code: str = "UserError") -> "Observed":
        self.job.state("Running")
        self.job.fail(code, message)
        return self

    def say(self, *lines: str, **more: str) -> "Observed":
        self.job.say(*lines, **more)
        return self

    def left(self, step: int = 400, **more: str) -> None:
        """A complete checkpoint in the job's output."""
        self.put(sealed(step, **more), f"{step:06}")

    def put(self, files: dict[str, bytes], folder: str) -> None:
        here = {f"{self.output}/{folder}/{name}".replace("//", "/"): content for name, content in files.items()}
        self.azure.store.put(self.azure.container, here)


@pytest.fixture
def observing(azureml: AzureML, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureML]:
    """The workspace, for one who asks for the first time; what is waited for is waited for less long."""
    jobs.get_client.cache_clear()
    jobs.region_hosts.clear()
    for name, value in {
        "BEGIN_SECONDS": 0.05,
        "FIRST_PAUSE": 0.05,
        "STATE_INTERVAL_SECONDS": 0.1,
        "SETTLED_SECONDS": 0.1,
    }.items():
        monkeypatch.setattr(f"robotrain_azureml.observe.logs.{name}", value)
    monkeypatch.setattr("robotrain_azureml.service.datastore.RETRY_PAUSE", 0.02)
    monkeypatch.setattr("robotrain.cluster.engine.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("robotrain_azureml.service.jobs.PATIENCE_SECONDS", 0.0)
    yield azureml
    jobs.get_client.cache_clear()


@pytest.fixture
def run(observing: AzureML) -> Observed:
    """A job that has not begun."""
    return Observed(observing)
