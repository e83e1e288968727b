"""What settings that nobody said amount to, and why: what `robotrain explain` shows in their place."""

from collections.abc import Iterator

from robotrain.job import Job
from robotrain.platforms import Default

from robotrain_osmo import machine
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import workflow


def derived(job: Job, settings: Settings) -> Iterator[tuple[str, Default]]:
    """By name; those that somebody said are left to whoever asks."""
    of, why = machine.of(job.profile, settings), f"for {job.workload}"
    yield "image", Default(of.image, why)
    yield "cpu", Default(str(of.cpu), why)
    yield "memory", Default(of.memory, why)
    yield "storage", Default(of.storage, why)
    yield "exec_timeout", Default(of.exec_timeout, why)
    yield "gpus", Default(str(workflow.gpus(job, settings)), why)
