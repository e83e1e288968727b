"""Resources of the task: GPUs, CPU, memory, disk, image, time limit and their defaults."""

import re
from collections.abc import Mapping
from dataclasses import asdict

from robotrain.cluster import checks
from robotrain.cluster.checks import QuantityError
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.model.workload import WorkloadProfile
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

from robotrain_osmo.settings import OsmoSettings

SIZE_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
MAX_DURATION_SECONDS = 60 * 86400
"""OSMO silently reduces longer times to this."""


def parse_size(text: str) -> float:
    """Parse a size such as `48Gi` to bytes. Raise QuantityError if it is invalid."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)(?:([KMGT])(?:i|iB)?)", text, re.ASCII)
    if not match:
        raise QuantityError("A size is a number with a unit: Ki, Mi, Gi or Ti.", _suggest_size(text))
    if not (count := float(match[1])):
        raise QuantityError("It must be more than zero.", "48Gi")
    return count * SIZE_UNITS[match[2]]


def parse_duration(text: str) -> float:
    """Parse a duration such as `12h` to seconds. Raise QuantityError if it is invalid."""
    return checks.parse_duration(text, MAX_DURATION_SECONDS, "OSMO silently reduces times to 60 days.")


def _suggest_size(text: str) -> str:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower(), re.ASCII)
    return f"{match[1]}{(match[2] or 'g').upper()}i" if match else ""


@lazy_dataclass(frozen=True, kw_only=True)
class TaskResources:
    """Resources of the task that the workload declares and settings override."""

    image: str
    cpu: int
    memory: str
    storage: str
    exec_timeout: str


def resolve_resources(profile: WorkloadProfile, settings: OsmoSettings) -> TaskResources:
    """Return the resources of a job: those of the settings, or those that its workload declares."""
    declared = profile.resources
    return TaskResources(
        image=profile.container.image if settings.image is None else settings.image,
        cpu=declared.cpu if settings.cpu is None else settings.cpu,
        memory=declared.memory if settings.memory is None else settings.memory,
        storage=declared.storage if settings.storage is None else settings.storage,
        exec_timeout=declared.time_limit if settings.exec_timeout is None else settings.exec_timeout,
    )


SHARED_MEMORY_FOLDER = "/dev/shm"
MOUNT_SHARED_MEMORY = "mount"


def get_parameter_defaults(settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
    """Return defaults of the workload's parameters."""
    if settings.shared_memory == MOUNT_SHARED_MEMORY:
        return {}
    return {"num_workers": PlatformDefault("0", "no shared memory")}


def derive_defaults(job: Job, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
    """Return the settings' defaults for a job, by name."""
    values = {**asdict(resolve_resources(job.profile, settings)), "gpus": count_gpus(job, settings)}
    return {name: PlatformDefault(str(value), f"for {job.workload}") for name, value in values.items()}


def count_gpus(job: Job, settings: OsmoSettings) -> int:
    """Return the GPUs of the task: the setting, or the number that the job trains on."""
    return settings.gpus if settings.gpus is not None else job.training_gpus or 1


def list_mounts(settings: OsmoSettings) -> tuple[str, ...]:
    """Return the host folders that the task mounts."""
    return (SHARED_MEMORY_FOLDER,) if settings.shared_memory == MOUNT_SHARED_MEMORY else ()
