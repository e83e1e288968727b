"""Jobs and plans for Azure ML, made without a command line, and what people and the service read in a plan."""

import functools
import io
import zipfile
from typing import Any

import yaml
from robotrain.coerce import scalars
from robotrain.job import Job
from robotrain.payload import Payload
from robotrain.plan import Plan
from robotrain.problem import Problem
from robotrain.workload import Profile
from robotrain_azureml import order
from robotrain_azureml.order import Order
from robotrain_azureml.platform import AzureML
from robotrain_azureml.settings import Settings
from robotrain_runtime import document
from robotrain_runtime.document import Source
from robotrain_workloads.lerobot_eval.parameters import Parameters as Evaluation
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.parameters import Parameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

HALVES = {"workload.lerobot-train": "robotrain_workloads.lerobot_train.container"}
WORKSPACE = {"subscription_id": "SUB-AZ", "resource_group": "rg-tf", "workspace_name": "ws-tf"}
ONE = "https://account1.blob.core.windows.net/train/set1"
TWO = "https://account2.blob.core.windows.net/train/set2"
PINNED = f"folder:{'ab' * 32}:{'cd' * 16}:12:3456"


@functools.cache
def payload() -> Payload:
    """A small one, of the right shape."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(zipfile.ZipInfo("robotrain_runtime/__main__.py"), "print('here')")  # without a time
    return Payload(buffer.getvalue())


def source(kind: str, uri: str, role: Any = "dataset", pin: str = "") -> Source:
    return Source(role=role, kind=kind, uri=uri, pin=pin)


def blobs(*urls: str) -> list[Source]:
    return [source("blob_url", url) for url in urls or (ONE,)]


def assets(*uris: str) -> list[Source]:
    return [source("data_asset", uri) for uri in uris]


def model(uri: str, role: Any = "init_policy") -> Source:
    return source("model_asset", uri, role)


def job(*sources: Source, workload: str = "lerobot-train", trainer_args: tuple[str, ...] = (), **given: Any) -> Job:
    """A training of one blob dataset, unless other sources are given."""
    parameters = scalars(Parameters(**given))
    return Job(
        workload=workload,
        parameters=parameters,
        sources=sources or tuple(blobs()),
        trainer_args=trainer_args,
        profile=LEROBOT_TRAIN.profile if workload == LEROBOT_TRAIN.name else Profile(),
    )


def evaluation(*sources: Source, **given: Any) -> Job:
    """Of a policy in blob storage, rolled out, unless other sources are given."""
    parameters = scalars(Evaluation(**{"env": "pusht"} | given))
    return Job(
        workload="lerobot-eval",
        parameters=parameters,
        sources=sources or (source("blob_url", ONE, "policy"),),
        profile=LEROBOT_EVAL.profile,
    )


def settings(**given: Any) -> Settings:
    return Settings(**WORKSPACE | {"aks_cluster": "aks-robot-dev-001"} | given)


def plan(of: Job, attempt: int = 1, packed: Payload | None = None, **given: Any) -> Plan:
    return AzureML().render(of, settings(**given), of.run_name(attempt), packed or payload(), HALVES)


def problems(of: Job, **given: Any) -> list[Problem]:
    return list(AzureML().check(of, settings(**given)))


def codes(of: Job, **given: Any) -> set[str]:
    """Of what is wrong; remarks do not count."""
    return {problem.code for problem in problems(of, **given) if problem.severity == "error"}


def read(text: str | bytes) -> Any:
    """YAML, by the quick reader where it is built."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def spec(of: Plan) -> dict[str, Any]:
    return dict(read(of.files["job.yaml"]))


def told(of: Plan) -> document.JobDocument:
    return document.load(of.files["code/job.json"].decode())


def placement(of: Plan) -> document.Placement:
    return told(of).placement


def order_of(of: Plan) -> Order:
    return order.load(of.files["azureml.json"])
