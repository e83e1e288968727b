"""The kind of machine that a job asks a Kubernetes compute for."""

from collections.abc import Mapping

from robotrain.job import Job

from robotrain_azureml.settings import Settings

GPUS: Mapping[str, int] = {"gpuspot": 1, "gpuspot2": 2, "gpuspot4": 4, "gpu": 1, "gpu2": 2, "gpu4": 4}
"""The GPUs of the instance types that the reference's clusters come with (contract E.2). Others are somebody's own."""
DEFAULTS: Mapping[int, str] = {1: "gpuspot", 2: "gpuspot2", 4: "gpuspot4"}


def managed(settings: Settings) -> bool:
    """Whether the compute is one of Azure ML's own, whose machines are of one kind."""
    return settings.compute_kind == "managed"


def wanted_gpus(job: Job) -> int:
    """Those that the job says it trains on; 0 where its workload says nothing of them."""
    found = dict(job.parameters).get("num_gpus")
    return found if isinstance(found, int) else 0


def instance_type(job: Job, settings: Settings) -> str:
    """As said, else by the GPUs that the job trains on; empty on a managed compute, and where no type has so many."""
    if managed(settings):
        return ""
    return settings.instance_type or DEFAULTS.get(wanted_gpus(job) or 1, "")
