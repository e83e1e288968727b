"""Resources of the task: GPUs, CPU, memory, disk, image, time limit, and their defaults."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.model.workload import WorkloadProfile
from robotrain_azure import checks
from robotrain_azure.checks import QuantityError

from robotrain_osmo.settings import OsmoSettings

SIZE_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
MAX_DURATION_SECONDS = 60 * 86400
"""Seconds. OSMO cuts what is longer down to it, and says nothing."""


def parse_size(text: str) -> float:
    """Bytes of `48Gi`. Raises QuantityError."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)(?:([KMGT])(?:i|iB)?)", text, re.ASCII)
    if not found:
        raise QuantityError("A size is a number and one of the units Ki, Mi, Gi and Ti.", _suggest_size(text))
    if not (count := float(found[1])):
        raise QuantityError("It is nothing, and the task needs some.", "48Gi")
    return count * SIZE_UNITS[found[2]]


def parse_duration(text: str) -> float:
    """Seconds of `12h`. Raises QuantityError."""
    return checks.parse_duration(
        text, MAX_DURATION_SECONDS, "OSMO lets nothing run or wait for more than 60 days, and cuts it silently."
    )


def _suggest_size(text: str) -> str:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower(), re.ASCII)
    return f"{found[1]}{(found[2] or 'g').upper()}i" if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResources:
    """image: the container's. exec_timeout: how long it may run."""

    image: str
    cpu: int
    memory: str
    storage: str
    exec_timeout: str


def get_workload_resources(profile: WorkloadProfile) -> TaskResources:
    """Where nobody says otherwise."""
    wanted = profile.resources
    return TaskResources(
        image=profile.container.image,
        cpu=wanted.cpu,
        memory=wanted.memory,
        storage=wanted.storage,
        exec_timeout=wanted.time_limit,
    )


def resolve_resources(profile: WorkloadProfile, settings: OsmoSettings) -> TaskResources:
    """That of a job. profile: what its workload declares."""
    names = [one.name for one in fields(TaskResources)]
    said = {name: value for name in names if (value := getattr(settings, name)) is not None}
    return replace(get_workload_resources(profile), **said)


SHARED_MEMORY_FOLDER = "/dev/shm"
MOUNT_SHARED_MEMORY = "mount"


def get_parameter_defaults(settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
    """What a workload does when nobody says otherwise."""
    return (
        {}
        if settings.shared_memory == MOUNT_SHARED_MEMORY
        else {"num_workers": PlatformDefault("0", "no shared memory")}
    )


def derive_defaults(job: Job, settings: OsmoSettings) -> Iterator[tuple[str, PlatformDefault]]:
    """By name; those that somebody said are left to whoever asks."""
    of, why = resolve_resources(job.profile, settings), f"for {job.workload}"
    yield "image", PlatformDefault(of.image, why)
    yield "cpu", PlatformDefault(str(of.cpu), why)
    yield "memory", PlatformDefault(of.memory, why)
    yield "storage", PlatformDefault(of.storage, why)
    yield "exec_timeout", PlatformDefault(of.exec_timeout, why)
    yield "gpus", PlatformDefault(str(count_gpus(job, settings)), why)


def count_gpus(job: Job, settings: OsmoSettings) -> int:
    """Those of the task: as said, else as many as the job trains on."""
    return settings.gpus if settings.gpus is not None else count_training_gpus(job) or 1


def count_training_gpus(job: Job) -> int:
    """Those that the job says it trains on; 0 where its workload says nothing of them."""
    found = dict(job.parameters).get("num_gpus")
    return found if isinstance(found, int) else 0


def list_mounts(settings: OsmoSettings) -> tuple[str, ...]:
    """Folders of the machine that the task sees."""
    return (SHARED_MEMORY_FOLDER,) if settings.shared_memory == MOUNT_SHARED_MEMORY else ()
