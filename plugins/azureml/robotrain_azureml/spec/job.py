"""The command job, as Azure ML's own files have it: names and values in the order that people read them in."""

from collections.abc import Iterable, Mapping
from typing import Any

from robotrain.job import Job

from robotrain_azureml import compute_name, environment, machine, order, tags, timeout
from robotrain_azureml.settings import Settings
from robotrain_azureml.spec import outputs, start, variables
from robotrain_azureml.spec.inputs import Input

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
RUN = "robotrain.run"
DIGEST = "robotrain.job"
"""Tags of every job: the run's name, and the digest of the job before it was pinned."""


def job(of: Job, settings: Settings, run: str, inputs: Iterable[Input]) -> dict[str, Any]:
    """The job; what is empty is left out. The command is the same for every job: no value of a person is in it."""
    own, named = {RUN: run, DIGEST: of.digest}, environment_of(of, settings)
    return _filled(
        {
            "$schema": SCHEMA,
            "type": "command",
            "name": run,
            "display_name": settings.display_name or run,
            "experiment_name": experiment(of),
            "tags": {**own, **tags.tags(settings), **own},
            "code": order.CODE,
            "command": start.COMMAND,
            "environment": f"azureml:{named.name}:{named.version}",
            "compute": f"azureml:{compute_name.compute(settings)}",
            "resources": _resources(of, settings),
            "limits": _filled({"timeout": timeout.seconds(settings)}),
            "identity": {"type": "managed"},
            "environment_variables": variables.variables(of, settings),
            "inputs": {one.name: dict(one.entry) for one in inputs},
            "outputs": outputs.outputs(of.profile.outputs.folder, settings, run),
        }
    )


def environment_of(of: Job, settings: Settings) -> order.Environment:
    """The one that the job names."""
    return order.Environment(
        name=environment.name(of.profile, settings),
        version=environment.version(of.profile, settings),
        image=environment.image(of.profile, settings),
    )


def experiment(of: Job) -> str:
    """The experiment that it is listed in: as said, else that of its workload."""
    return str(dict(of.parameters).get("experiment_name") or of.profile.experiment or of.workload)


def _resources(of: Job, settings: Settings) -> dict[str, Any]:
    """A managed compute has machines of one kind: only one of Kubernetes asks which."""
    return _filled(
        {
            "instance_count": 1,
            "instance_type": machine.instance_type(of, settings),
            "shm_size": settings.shm_size,
        }
    )


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
