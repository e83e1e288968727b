"""The workflow of a job, as OSMO's specification has it: one task with everything it needs said."""

from collections.abc import Mapping, Sequence
from typing import Any

from robotrain.job import Job
from robotrain_runtime.failure import AGAIN

from robotrain_osmo import credentials, machine, shared_memory
from robotrain_osmo.settings import Settings

RESOURCE = "default"
AGAIN_CODES = (AGAIN, 3001, 3004, 3006)
"""After which the task is started anew: what may pass by itself, and of OSMO's own codes a cluster that failed, an
eviction and a preemption. OSMO documents that it does so after a preemption; it does where the code is named.
"""


def workflow(
    job: Job,
    settings: Settings,
    run: str,
    *,
    command: Sequence[str],
    environment: Mapping[str, str],
    inputs: Sequence[Mapping[str, Any]],
    checkpoint: Mapping[str, str] | None,
    files: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The specification; what is empty is left out. files come last: they are what no person reads."""
    wanted = machine.of(job.profile, settings)
    task = {
        "name": job.workload,
        "image": wanted.image,
        "command": list(command),
        "inputs": [dict(entry) for entry in inputs],
        "environment": dict(environment),
        "credentials": credentials.references(credentials.used(job, settings)),
        "volumeMounts": list(mounts(settings)),
        "exitActions": {"RESCHEDULE": ",".join(map(str, AGAIN_CODES))},
        "checkpoint": [dict(checkpoint)] if checkpoint else [],
        "files": [dict(file) for file in files],
    }
    return {
        "workflow": _filled(
            {
                "name": run,
                "labels": labels(settings),
                "timeout": _filled({"exec_timeout": wanted.exec_timeout, "queue_timeout": settings.queue_timeout}),
                "resources": {RESOURCE: _resources(job, settings)},
                "tasks": [_filled(task)],
            }
        )
    }


def gpus(job: Job, settings: Settings) -> int:
    """Those of the task: as said, else as many as the job trains on."""
    return settings.gpus if settings.gpus is not None else wanted_gpus(job) or 1


def wanted_gpus(job: Job) -> int:
    """Those that the job says it trains on; 0 where its workload says nothing of them."""
    found = dict(job.parameters).get("num_gpus")
    return found if isinstance(found, int) else 0


def mounts(settings: Settings) -> tuple[str, ...]:
    """Folders of the machine that the task sees."""
    return (shared_memory.FOLDER,) if settings.shared_memory == shared_memory.MOUNT else ()


def labels(settings: Settings) -> dict[str, str]:
    """Those of the workflow."""
    from robotrain.tables import pairs

    return pairs(settings.labels or "")


def _resources(job: Job, settings: Settings) -> dict[str, Any]:
    """All four: what is left out is 1 core and 1 GiB of memory and of disk, by OSMO's own defaults."""
    wanted = machine.of(job.profile, settings)
    return {
        "gpu": gpus(job, settings),
        "cpu": wanted.cpu,
        "memory": wanted.memory,
        "storage": wanted.storage,
        "platform": settings.gpu_platform,
    }


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
