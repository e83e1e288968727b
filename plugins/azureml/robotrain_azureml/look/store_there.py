"""Datastores as workspaces tell them: that of the job's folders and outputs, and those that its assets lie in."""

from robotrain_azure.workspace import Workspace

from robotrain_azureml.look.looking import Looking
from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import Datastore


def store(looking: Looking) -> Datastore:
    """Where the job's own lies. Raises ArmError, and StorageError for one that holds no blobs."""
    return named(looking, looking.order.at, looking.order.datastore)


def named(looking: Looking, at: Workspace, name: str) -> Datastore:
    """Where one lies. Raises as `store` does."""
    return looking.once(f"{at.resource}/datastores/{name}", lambda: datastore.named(looking.arm, at, name))
