"""A job, asked for: of the resource manager, which knows whether it is there, and its region, which knows the rest."""

from robotrain.run import Reference
from robotrain_azure.arm import ArmError

from robotrain_azureml.service import history, jobs, refusals
from robotrain_azureml.watch import states
from robotrain_azureml.watch.states import Job


def ask(reference: Reference) -> tuple[Job, str]:
    """How it is, and why its region was not heard: empty when it was. Raises RunGone, Refused.

    A region that cannot be reached from here, as that of a private workspace, takes nothing from what is known anyway.
    """
    resource = jobs.get(reference)
    try:
        told = history.details(jobs.workspace_of(reference), reference["job"], resource)
    except ArmError as error:
        return states.read(resource, {}), str(error)
    return states.read(resource, told), ""


def of_region(reference: Reference) -> Job:
    """What its region knows: how it is, and where its logs lie. Raises RunGone, Refused."""
    at, name = jobs.workspace_of(reference), reference.get("job", "")
    try:
        told = history.details(at, name)
    except ArmError as error:
        raise refusals.of(error, at, f"ask the workspace's region for the job {name}") from None
    return states.read({} if told else jobs.get(reference), told)
