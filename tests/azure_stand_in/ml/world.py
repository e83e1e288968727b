"""Azure ML as a world of the conformance kit."""

import contextlib
import importlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from robotrain.model import plan as plans
from robotrain.model.reference import Reference
from robotrain.plugin import Plan, RunState
from robotrain.testing import World
from robotrain_runtime.contract import document
from robotrain_runtime.plugin import JobDocument

from azure_stand_in.http_server import cut_short
from azure_stand_in.ml.azureml import GPUSPOT, AzureML
from azure_stand_in.ml.contents import now
from azure_stand_in.ml.job import BEGUN, ENDS, WAITING

ENDED: Mapping[str, RunState] = {"Completed": "succeeded", "Failed": "failed", "Canceled": "cancelled"}
COMPUTE = "k8s-robot-dev-00"


class AzureMLWorld(World):
    """The workspace of the fixture `azureml`, with a cluster and a data asset."""

    job = ("--dataset-asset", "azureml:episodes:3", "--training-steps", "10")
    native_states: Mapping[str, RunState] = {
        **dict.fromkeys(WAITING, "pending"),
        **dict.fromkeys(BEGUN, "running"),
        **ENDED,
    }
    requests: Mapping[str, object] = {
        "--num-gpus=2": "gpuspot2",  # a type of machine: Azure ML is asked for no GPUs or memory of their own
        "--shm-size=7g": "7g",
        "--exec-timeout=93m": "PT1H33M",
    }

    def __init__(self, azureml: AzureML) -> None:
        self.azureml = azureml
        azureml.kubernetes(COMPUTE, {**GPUSPOT, "gpuspot2": {"nvidia.com/gpu": "2"}})
        azureml.data("episodes", 3, "episodes/3")
        azureml.store.put(azureml.container, {"episodes/3/meta/info.json": b"{}"})
        self.options = ("--compute", COMPUTE, *azureml.options)

    def read_document(self, plan: Plan) -> JobDocument:
        """What its code holds for its command, as Azure's own SDK reads the job; each mount is an input of its own."""
        with tempfile.TemporaryDirectory() as folder:
            plans.write_plan_files(plan, Path(folder))
            job = loaded(Path(folder, plan.spec))
            job_document = document.parse_document(Path(folder, job.code, "job.json").read_text())
        names = [mount.folder for mount in job_document.placement.mounts]
        assert sorted(names) == sorted(f"${{AZURE_ML_INPUT_{name}}}" for name in job.inputs), "an input is nobody's"
        return job_document

    def count_runs(self, run: str) -> int:
        whole = [name for name, job in self.azureml.jobs.items() if job.parent is None]
        return sum(name.startswith(f"{run}-") for name in whole)

    def read_requests(self, reference: Reference) -> Mapping[str, object]:
        """What the SDK sent to the workspace."""
        body = self.azureml.jobs[reference["job"]].body
        resources, limits = body.get("resources") or {}, body.get("limits") or {}
        requests = {"--num-gpus": resources.get("instanceType"), "--shm-size": resources.get("shmSize")}
        return {**requests, "--exec-timeout": limits.get("timeout")}

    def set_native_state(self, reference: Reference, native: str) -> None:
        job = self.azureml.jobs[reference["job"]]
        with job.lock:
            job.status = native
            for time, is_told in {"startTimeUtc": native not in WAITING, "endTimeUtc": native in ENDS}.items():
                job.times.pop(time, None)
                job.times |= {time: now()} if is_told else {}

    def write_log(self, reference: Reference, *lines: str) -> None:
        self.azureml.jobs[reference["job"]].say(*lines)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Each connection to Azure ends without an answer."""
        fault = self.azureml.fault("", gone=True)
        yield
        for server in self.azureml.servers.values():
            server.faults.remove(fault)

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """When its code was registered, before the job is asked for, and before the answer to that is heard."""
        yield cut_short("PUT", "/codes/", answered=True)
        yield cut_short("PUT", "/jobs/")
        yield cut_short("PUT", "/jobs/", answered=True)


def loaded(file: Path) -> Any:
    """A job as the SDK reads it. Its dependencies warn of one another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("azure.ai.ml").load_job(file)
