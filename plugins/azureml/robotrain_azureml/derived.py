"""What settings that nobody said amount to, and why: what `robotrain explain` shows in their place."""

from collections.abc import Iterator

from robotrain.job import Job
from robotrain.platforms import Default

from robotrain_azureml import compute_name, environment, machine
from robotrain_azureml.settings import Settings
from robotrain_azureml.spec import job as spec

ASKED = "asked of the workspace when it is sent"


def derived(job: Job, settings: Settings) -> Iterator[tuple[str, Default]]:
    """By name, of settings and of parameters; those that somebody said are left to whoever asks."""
    if compute := compute_name.compute(settings):
        yield "compute", Default(compute, f"for the AKS cluster {settings.aks_cluster}")
    if named := machine.instance_type(job, settings):
        gpus = machine.wanted_gpus(job) or 1
        unless = "" if settings.compute_kind else "; none on a managed compute"
        yield "instance_type", Default(named, f"for {gpus} GPU{'' if gpus == 1 else 's'}{unless}")
    yield "image", Default(environment.image(job.profile, settings), f"for {job.workload}")
    yield "environment_name", Default(environment.name(job.profile, settings), f"for {job.workload}")
    yield "environment_version", Default(environment.version(job.profile, settings), "of the image")
    yield "display_name", Default("", "the run's name")
    yield "experiment_name", Default(spec.experiment(job), f"for {job.workload}")
    yield "compute_kind", Default("", ASKED)
    yield "workload_identity", Default("", ASKED)
