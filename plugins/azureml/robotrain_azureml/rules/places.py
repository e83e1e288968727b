"""Rules on where checkpoints and uploaded folders go, and what becomes of them."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain_azure.finding import warning, ways

from robotrain_azureml import machine
from robotrain_azureml.rules.finding import unfit
from robotrain_azureml.settings import Settings

DATASTORE = r"[A-Za-z0-9_]{1,255}"
PUBLISH = "publish_url"
NOTHING_SURVIVES = "azureml-nothing-survives"
LOST = "{} may be taken away, with checkpoints unless --output-mode rw_mount"
"""Of a machine, in words."""


def datastore(settings: Settings) -> Iterator[Problem]:
    """Named as the workspace has it, without an address."""
    name = settings.datastore
    if not re.fullmatch(DATASTORE, name):
        bare = re.match(rf"(?:azureml:)?(?://datastores/)?({DATASTORE})(?:/|$)", name)
        instead = ways(f"--datastore {bare[1]}" if bare else "--datastore workspaceblobstore")
        yield unfit("--datastore", name, "the name of a datastore", "It is letters, digits and `_`.", instead)


def preempted(job: Job, settings: Settings) -> Iterator[Problem]:
    """What a machine that may be taken away keeps until then: nothing, unless somebody says so. Told once it is known
    that the job names its machine: a managed compute has its own, which the look before a submit sees.
    """
    if not job.profile.outputs.resumable:
        return
    values, named = dict(job.parameters), machine.instance_type(job, settings)
    if "spot" not in named or settings.output_mode != "upload" or PUBLISH not in values or values[PUBLISH]:
        return
    if settings.compute_kind or settings.instance_type:
        yield warning(NOTHING_SURVIVES, LOST.format(f"a machine of the type {named}"), "", "", note=True)
