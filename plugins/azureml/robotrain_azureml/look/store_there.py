"""The datastore that the job's folders and outputs go to, as the workspace tells it."""

from robotrain_azureml.look.looking import Looking
from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import Datastore


def store(looking: Looking) -> Datastore:
    """Where it lies. Raises ArmError, and StorageError for one that holds no blobs."""
    at, name = looking.order.at, looking.order.datastore
    return looking.once(f"datastores/{name}", lambda: datastore.named(looking.arm, at, name))
