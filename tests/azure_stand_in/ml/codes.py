"""The code of jobs: let in by a signature, registered when it has arrived."""

import re
import uuid
from typing import Any

from azure_stand_in.ml import addresses
from azure_stand_in.ml.asked import Answer, Asked, missing, user_error
from azure_stand_in.ml.contents import CONTAINER, Here, Ml
from azure_stand_in.ml.store import signed

HASHED = "hash_sha256"
"""The property that the SDK writes the content's hash under."""
UPLOADED = "upload_status"
"""The metadata that the SDK writes on the last blob, when all are there."""


def found(here: Here, ml: Ml, asked: Asked, name: str) -> Answer:
    """Versions of a code asset, or of any with that content."""
    wanted = asked.query.get("hash")
    whole = [
        ml.resource(f"/codes/{one}/versions/{version}", given)
        for one, versions in ml.codes.items()
        for version, given in versions.items()
        if (one == name.lower() if wanted is None else (given.get("properties") or {}).get(HASHED) == wanted)
    ]
    return 200, {"value": whole}


def let_in(here: Here, ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """A container of its own, and a signature for it."""
    container = f"{ml.account}-{uuid.uuid4()}"[:63].rstrip("-")
    here.blobs.put(container, {})
    ml.uploads[f"{name}/{version}".lower()] = container
    address = signed(here.blobs, container, "racwdl")
    subscription, group, _ = ml.names
    account = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts"
    reference = {
        "blobUri": address.partition("?")[0],
        "storageAccountArmId": f"{account}/{ml.account}",
        "credential": {"credentialType": "SAS", "sasUri": address},
    }
    kind = "TemporaryBlobReference"
    said = {"pendingUploadId": str(uuid.uuid4()), "pendingUploadType": kind, "blobReferenceForConsumption": reference}
    return 200, said


def register(here: Here, ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """A code asset, whose blobs have to be there."""
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    there = ml.codes.setdefault(name.lower(), {})
    if was := there.get(version):
        if was.get("codeUri") != given.get("codeUri"):
            raise user_error(f"The code {name}:{version} is there already and cannot be changed.", "Immutable", 409)
        return 200, ml.resource(f"/codes/{name}/versions/{version}", was)
    _look(here, ml, str(given.get("codeUri") or ""))
    there[version] = {"description": None, "tags": {}, "isAnonymous": False, "isArchived": False, **given}
    there[version] |= {"provisioningState": "Succeeded"}
    return 201, ml.resource(f"/codes/{name}/versions/{version}", there[version])


def one(here: Here, ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """One version."""
    there = ml.codes.get(name.lower(), {}).get(version)
    if there is None:
        raise missing(f"Code {name} with version {version} was not found.")
    return 200, ml.resource(f"/codes/{name}/versions/{version}", there)


def _look(here: Here, ml: Ml, uri: str) -> None:
    """Whether an upload is complete: the SDK says so on one of its blobs, the last it writes. Raises Refused."""
    at = addresses.folder(uri, ml) if re.match("https://|azureml:", uri) else None
    if at is None or at.account != here.blobs.account or at.container not in {*ml.uploads.values(), CONTAINER}:
        raise user_error(f"The code address {uri.partition('?')[0]} is none that was let in.", "InvalidCodeUri")
    below = here.blobs.names(at.container, f"{at.prefix}/")
    told = (here.blobs.metadata(at.container, name) or {} for name in below)
    if not any(one.get(UPLOADED) == "completed" for one in told):
        raise user_error(f"The upload to {uri.partition('?')[0]} is not complete.", "UploadIncomplete")


ROUTES = (
    ("GET", "/codes/([^/]+)/versions", found),
    ("POST", "/codes/([^/]+)/versions/([^/]+)/startPendingUpload", let_in),
    ("PUT", "/codes/([^/]+)/versions/([^/]+)", register),
    ("GET", "/codes/([^/]+)/versions/([^/]+)", one),
)
