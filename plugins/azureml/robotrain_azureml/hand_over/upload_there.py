"""What lies of an upload in the datastore: a folder whose address is its digest is sealed, beside itself, when all
of it arrived and was still what was pinned. Then it counts, whatever became of the folder on this machine.
"""

import json
from collections.abc import Collection

from robotrain.plan import Plan
from robotrain.problem import Rejected
from robotrain_azure import sendable
from robotrain_azure.arm import ArmError
from robotrain_runtime.document import Source

from robotrain_azureml.order import Order, Upload
from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.service.datastore import Blob, Blobs, StorageError
from robotrain_azureml.spec import inputs

SEAL = ".complete.json"


def holds(plan: Plan, order: Order) -> list[Source]:
    """The folders of a plan that are there as they were pinned."""
    return sendable.pinned_as(plan, {(upload.path, upload.to.rpartition("/")[2]) for upload in held(order)})


def held(order: Order) -> set[Upload]:
    """The uploads of which all is there; none where that cannot be seen."""
    pinned = [upload for upload in order.uploads if inputs.is_by_content(upload.to)]
    if not pinned:
        return set()
    try:
        arm = jobs.signed_in()
        with datastore.opened(arm, datastore.named(arm, order.at, order.datastore)) as blobs:
            return {upload for upload in pinned if is_whole(blobs, upload, list(blobs.below(upload.to)))}
    except (ArmError, StorageError, Rejected):
        return set()


def is_whole(blobs: Blobs, upload: Upload, there: Collection[Blob]) -> bool:
    """Whether it is sealed, and none of what was sealed is missing: no folder needs to be looked at."""
    if not there or not inputs.is_by_content(upload.to):  # one without a digest is looked at anew, file by file
        return False
    return _sealed(blobs, upload) == {"files": len(there), "size": sum(blob.size for blob in there)}


def seal(blobs: Blobs, upload: Upload, files: int, size: int) -> None:
    """Say that all of it arrived, and the folder unchanged."""
    if inputs.is_by_content(upload.to):
        blobs.write(upload.to + SEAL, json.dumps({"files": files, "size": size}).encode())


def _sealed(blobs: Blobs, upload: Upload) -> object:
    try:
        return json.loads(blobs.read(upload.to + SEAL))
    except ValueError:
        return None
    except StorageError as error:
        if error.status == 404:
            return None
        raise
