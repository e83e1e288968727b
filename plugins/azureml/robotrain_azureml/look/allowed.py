"""A look at what who is signed in may do in the workspace, as Azure adds it up."""

from collections.abc import Iterator, Mapping

from robotrain.problem import Instead, Problem
from robotrain_azure import caller
from robotrain_azure.arm import ArmError
from robotrain_azure.refusal import ROLE, role_line
from robotrain_azure.tracking.permissions import allows

from robotrain_azureml.look import environment_there, store_there
from robotrain_azureml.look.finding import problem
from robotrain_azureml.look.looking import Looking
from robotrain_azureml.service.datastore import StorageError

AUTHORIZATION = "2022-04-01"
KIND = "Microsoft.MachineLearningServices/workspaces"
SENDING = {f"{KIND}/jobs/write": "make a job", f"{KIND}/codes/versions/write": "upload its code"}
REGISTERING = {f"{KIND}/environments/versions/write": "register its environment"}
UPLOADING = f"{KIND}/datastores/listSecrets/action"
"""What a datastore's secret is asked with."""


def problems(looking: Looking) -> Iterator[Problem]:
    """What their roles do not let them do that a submit needs. Raises ArmError."""
    at = looking.order.at
    granted = list(looking.arm.all(f"{at.resource}/providers/Microsoft.Authorization/permissions", AUTHORIZATION))
    new = environment_there.image(looking) is None
    needed = {**SENDING, **(REGISTERING if new else {}), **_uploading(looking)}
    lacking = [what for action, what in needed.items() if not any(allows(one, action) for one in granted)]
    if lacking:
        who = caller.object_id()
        title = f"who is signed in may not {' or '.join(lacking)} in the workspace {at.name}"
        why = f"None of their roles there allows it; {ROLE} would."
        way = Instead(role_line(who, ROLE, at.resource), "takes effect after some minutes")
        yield problem("azureml-not-allowed", title, "--workspace-name", at.name, why, way)


def _uploading(looking: Looking) -> Mapping[str, str]:
    """For folders of this machine, where the workspace keeps a secret for the datastore they go to."""
    order = looking.order
    if not order.uploads:
        return {}
    try:
        keyed = store_there.store(looking).keyed
    except (ArmError, StorageError):  # the look at the storage says so
        return {}
    return {UPLOADING: f"ask for the secret of the datastore {order.datastore}"} if keyed else {}
