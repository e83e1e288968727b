"""Azure ML's own rules on a job, before anything is sent: everything that is wrong, at once."""

from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain_azure import said_again

from robotrain_azureml.rules import computes, containers, context, hub_secret, naming, places
from robotrain_azureml.settings import Settings
from robotrain_azureml.spec import variables

AS_ASSETS = {"BLOB_URLS": "--dataset-asset azureml:NAME:VERSION"}
"""What takes a short name in place of addresses."""


def check(job: Job, settings: Settings) -> Iterator[Problem]:
    """What Azure ML would refuse, or its SDK let through, and what nobody said."""
    yield from context.workspace_names(settings)
    yield from computes.compute(settings)
    yield from computes.instance_type(settings)
    yield from computes.gpus(job, settings)
    yield from containers.image(job, settings)
    yield from containers.environment(job, settings)
    yield from containers.shared_memory(settings)
    yield from containers.time(settings)
    yield from naming.workload(job)
    yield from naming.experiment(job)
    yield from naming.display_name(settings)
    yield from naming.labels(settings)
    yield from places.datastore(settings)
    yield from places.preempted(job, settings)
    yield from said_again.too_long("azureml-variable-too-long", variables.promised(job), AS_ASSETS)
    yield from hub_secret.wrong_with(job, settings)
