"""Jobs of blobs, as a platform gets them, without a command line."""

from typing import Any

from robotrain.config.validate import list_fields
from robotrain.model.job import Job
from robotrain.model.workload_profile import WorkloadProfile
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_eval.parameters import EvalParameters
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

PLUGIN_MODULES = {"workload.lerobot-train": "robotrain_workloads.lerobot_train.container"}
ONE = "https://account1.blob.core.windows.net/train/set1"
TWO = "https://account2.blob.core.windows.net/train/set2"
PINNED = f"folder:{'ab' * 32}:{'cd' * 16}:12:3456"


def source(kind: str, uri: str, role: Any = "dataset", pin: str = "") -> JobSource:
    return JobSource(role=role, kind=kind, uri=uri, pin=pin)


def blobs(*urls: str) -> list[JobSource]:
    return [source("blob_url", url) for url in urls or (ONE,)]


def job(
    *sources: JobSource, workload: str = "lerobot-train", trainer_args: tuple[str, ...] = (), **parameters: Any
) -> Job:
    """A training of one blob dataset, unless other sources are given."""
    return Job(
        workload=workload,
        parameters=list_fields(TrainParameters(**parameters)),
        sources=sources or tuple(blobs()),
        trainer_args=trainer_args,
        profile=LEROBOT_TRAIN.profile if workload == LEROBOT_TRAIN.name else WorkloadProfile(),
    )


def evaluation(*sources: JobSource, **parameters: Any) -> Job:
    """Of a policy in blob storage, rolled out, unless other sources are given."""
    return Job(
        workload="lerobot-eval",
        parameters=list_fields(EvalParameters(**{"env": "pusht"} | parameters)),
        sources=sources or (source("blob_url", ONE, "policy"),),
        profile=LEROBOT_EVAL.profile,
    )
