"""Resources of the task: GPUs, CPU, memory, disk, image, time limit and their defaults."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from robotrain.cluster import checks
from robotrain.cluster.checks import QuantityError
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.model.preview import RunPlace

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec.environment import NO_TRACKING, get_tracking_uri

SIZE_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
MAX_DURATION_SECONDS = 60 * 86400
"""OSMO silently reduces longer times to this."""


def parse_size(text: str) -> float:
    """Parse a size such as `48Gi` to bytes. Raise QuantityError if it is invalid."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)(?:([KMGT])(?:i|iB)?)", text, re.ASCII)
    if not match:
        lenient_match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower(), re.ASCII)
        fix = f"{lenient_match[1]}{(lenient_match[2] or 'g').upper()}i" if lenient_match else ""
        raise QuantityError("A size is a number with a unit: Ki, Mi, Gi or Ti.", fix)
    if not (count := float(match[1])):
        raise QuantityError("It must be more than zero.", "48Gi")
    return count * SIZE_UNITS[match[2]]


def parse_duration(text: str) -> float:
    """Parse a duration such as `12h` to seconds. Raise QuantityError if it is invalid."""
    return checks.parse_duration(text, MAX_DURATION_SECONDS, "OSMO silently reduces times to 60 days.")


SHARED_MEMORY_FOLDER = "/dev/shm"
MOUNT_SHARED_MEMORY = "mount"


def get_parameter_defaults(settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
    """Return defaults of the workload's parameters."""
    if settings.shared_memory == MOUNT_SHARED_MEMORY:
        return {}
    return {"num_workers": PlatformDefault("0", "no shared memory")}


def fill_settings(job: Job, settings: OsmoSettings) -> OsmoSettings:
    """Return the settings with the resources that the workload declares in place of those that are not set."""
    declared_settings = _get_declared_resources(job)
    return replace(
        settings, **{name: value for name, value in declared_settings.items() if getattr(settings, name) is None}
    )


def describe_run(job: Job, settings: OsmoSettings) -> RunPlace:
    """Return how long a run of a job may take, what becomes of its outputs, and where it is tracked."""
    dataset = settings.publish_dataset
    outputs = f"OSMO's dataset {dataset}" if dataset else "the task's disk, which ends with it"
    tracking = get_tracking_uri(settings) or NO_TRACKING
    return RunPlace(str(fill_settings(job, settings).exec_timeout), outputs=outputs, tracking=tracking)


def derive_defaults(job: Job, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
    """Return the settings' defaults for a job, by name; the caller ignores those that are set."""
    declared_settings = _get_declared_resources(job)
    return {name: PlatformDefault(str(value), f"for {job.workload}") for name, value in declared_settings.items()}


def _get_declared_resources(job: Job) -> dict[str, Any]:
    """Return the settings of the task's resources as the workload declares them, and the GPUs that it trains on."""
    declared_resources = job.profile.resources
    return {
        "image": job.profile.container.image,
        "gpus": job.training_gpus or 1,
        "cpu": declared_resources.cpu,
        "memory": declared_resources.memory,
        "storage": declared_resources.storage,
        "exec_timeout": declared_resources.time_limit,
    }
