"""The lineage of a model, laid beside it: among the artifacts of the job, as the job itself does.

A model that is made of the declared output has its lineage in its tags and its description alone: a checkpoint there is
sealed, and what others go on from is not changed for one who registers it.
"""

import sys

from robotrain.problem import Rejected
from robotrain.run import Reference
from robotrain_azure.arm import ArmError
from robotrain_runtime.publish.lineage_file import NAME

from robotrain_azureml.service import datastore, jobs, refusals
from robotrain_azureml.service.datastore import StorageError
from robotrain_azureml.watch import outputs_kept


def lay(reference: Reference, path: str, content: bytes) -> None:
    """path: of the model among the artifacts. One who may not write there registers the model all the same, and is
    told.
    """
    try:
        store = outputs_kept.named(reference, outputs_kept.ARTIFACTS)
        with datastore.opened(jobs.signed_in(), store) as blobs:
            name = outputs_kept.artifact(reference, f"{path}/{NAME}")
            if not blobs.has(name):  # an evaluated policy brings that of its training
                blobs.write(name, content)
    except Rejected as rejected:
        _warn(str(rejected))
    except (ArmError, StorageError) as error:
        _warn(str(refusals.of(error, jobs.workspace_of(reference), f"write {NAME} beside the model")))


def _warn(why: str) -> None:
    print(f"warning: {NAME} was not laid beside the model, whose tags say the same: {why}", file=sys.stderr)
