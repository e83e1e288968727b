"""Versioned assets of a workspace: data assets, models, environments, and code of jobs."""

import re
import uuid
from typing import Any

from azure_stand_in.blobs import signed
from azure_stand_in.ml import addresses
from azure_stand_in.ml.contents import CONTAINER, Ml, Versions
from azure_stand_in.ml.request import Answer, Asked, Refused, missing, user_error

WHAT = {"data": ("dataType", "dataUri", "uri_folder"), "models": ("modelType", "modelUri", "custom_model")}
"""Of a kind: what its type and its address are called, and the usual type."""
NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
"""Contract C.2."""


def find_versions(ml: Ml, kind: str, name: str, registry: str = "") -> Versions:
    """The versions of one; empty when it is not there. registry: empty for the workspace's own."""
    key = f"registries/{registry}/{name}".lower() if registry else _key(ml, name)
    return _whole(ml, kind).get(key, {})


def find_uri(ml: Ml, found: addresses.Asset) -> str:
    """Where the version of an asset lies; empty for one that is not there."""
    given = find_versions(ml, found.kind, found.name, found.registry).get(found.version, {})
    return str(given.get(WHAT[found.kind][1]) or "")


def get_asset(ml: Ml, asked: Asked, kind: str, name: str, version: str) -> Answer:
    kind = kind.lower()
    found = find_versions(ml, kind, name).get(version)
    if found is None:
        raise missing(f"The specified {kind} asset {name} with version {version} was not found.")
    return 200, _resource(ml, kind, name, version, found)


def register_asset(ml: Ml, asked: Asked, kind: str, name: str, version: str) -> Answer:
    """A new version, or other words of one that is there: where it lies never changes."""
    kind = kind.lower()
    type_, uri, usual = WHAT[kind]
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    if not re.fullmatch(NAME, name) or not re.fullmatch(r"[A-Za-z0-9._-]+", version):
        raise user_error(f"The name {name}:{version} cannot be.", "InvalidName")
    was = find_versions(ml, kind, name).get(version)
    if was is not None and was.get(uri) != given.get(uri):
        raise Refused(409, "Conflict", f"The version {version} of {name} is there already.")
    if not re.match(r"azureml://|runs:/|https://|azureml:/subscriptions/", str(given.get(uri) or "")):
        raise Refused(400, "UserError", f"{uri} is no address of the workspace.")
    given = {type_: usual, **{key: value for key, value in given.items() if value is not None}}
    _whole(ml, kind).setdefault(_key(ml, name), {})[version] = given
    return 201 if was is None else 200, _resource(ml, kind, name, version, given)


def list_versions(ml: Ml, asked: Asked, kind: str, name: str) -> Answer:
    found = find_versions(ml, kind.lower(), name)
    if not found:
        raise missing(f"The specified {kind} asset {name} was not found.")
    order = reversed(found) if "desc" in asked.query.get("$orderBy", "") else iter(found)
    return 200, {"value": [_resource(ml, kind.lower(), name, version, found[version]) for version in order]}


def get_container(ml: Ml, asked: Asked, kind: str, name: str) -> Answer:
    found = find_versions(ml, kind.lower(), name)
    if not found:
        raise missing(f"The specified {kind} asset {name} was not found.")
    return 200, _container(ml, kind.lower(), name, found)


def list_containers(ml: Ml, asked: Asked, kind: str) -> Answer:
    mark = f"{ml.at}/".lower()
    whole = {key[len(mark) :]: found for key, found in _whole(ml, kind.lower()).items() if key.startswith(mark)}
    return 200, {"value": [_container(ml, kind.lower(), name, found) for name, found in whole.items()]}


def _container(ml: Ml, kind: str, name: str, found: Versions) -> dict[str, Any]:
    numbers = [int(version) for version in found if version.isdecimal()]
    following = {"nextVersion": str(max(numbers) + 1)} if numbers else {}
    properties = {"latestVersion": str(max(numbers)) if numbers else [*found][-1], **following, "isArchived": False}
    kinds = {"dataType": str(next(iter(found.values())).get("dataType"))} if kind == "data" else {}
    return ml.resource(f"/{kind}/{name}", {"description": None, "tags": {}, **properties, **kinds})


def _whole(ml: Ml, kind: str) -> dict[str, Versions]:
    return ml.models if kind == "models" else ml.data


def _key(ml: Ml, name: str) -> str:
    return f"{ml.at}/{name}".lower()


def _resource(ml: Ml, kind: str, name: str, version: str, given: dict[str, Any]) -> dict[str, Any]:
    usual = {"description": None, "tags": {}, "properties": {}, "isArchived": False, "isAnonymous": False}
    more = {"flavors": {}} if kind == "models" else {}
    return ml.resource(f"/{kind}/{name}/versions/{version}", {**usual, **more, **given})


FIXED = ("image", "condaFile", "build", "osType", "inferenceConfig")
"""What makes an environment, and cannot be changed."""
DEFAULT: dict[str, Any] = {
    "description": None,
    "tags": {},
    "properties": {},
    "isAnonymous": False,
    "isArchived": False,
    "osType": "Linux",
    "environmentType": "UserCreated",
    "provisioningState": "Succeeded",
}


def get_environment(ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    found = ml.environments.get(name.lower(), {}).get(version)
    if found is None:
        raise missing(f"Environment {name} with version {version} was not found.")
    return 200, ml.resource(f"/environments/{name}/versions/{version}", found)


def register_environment(ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """A new version; or a word about one that is there."""
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", name) or not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", version):
        raise user_error(f"The environment {name}:{version} has a name or a version that cannot be.", "InvalidName")
    there = ml.environments.setdefault(name.lower(), {})
    now = {**DEFAULT, **{key: value for key, value in given.items() if value is not None}}
    was = there.get(version)
    if was and any(was.get(key) != now.get(key) for key in FIXED):
        # the sentence is that of azure-cli-extensions#5440
        message = f"Environment {name} with version {version} is already registered and cannot be changed."
        raise user_error(message, "Immutable")
    there[version] = now
    return 200 if was else 201, ml.resource(f"/environments/{name}/versions/{version}", now)


HASHED = "hash_sha256"
"""The property that the SDK writes the content's hash under."""
UPLOADED = "upload_status"
"""The metadata that the SDK writes on the last blob, when all are there."""


def find_code(ml: Ml, asked: Asked, name: str) -> Answer:
    """Versions of a code asset, or of any with that content."""
    wanted = asked.query.get("hash")
    whole = [
        ml.resource(f"/codes/{one}/versions/{version}", given)
        for one, versions in ml.codes.items()
        for version, given in versions.items()
        if (one == name.lower() if wanted is None else (given.get("properties") or {}).get(HASHED) == wanted)
    ]
    return 200, {"value": whole}


def begin_upload(ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """A container of its own, and a signature for it."""
    container = f"{ml.account}-{uuid.uuid4()}"[:63].rstrip("-")
    ml.here.store.put(container, {})
    ml.uploads[f"{name}/{version}".lower()] = container
    address = signed(ml.here.store, container, "racwdl")
    subscription, group, _ = ml.names
    account = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts"
    reference = {
        "blobUri": address.partition("?")[0],
        "storageAccountArmId": f"{account}/{ml.account}",
        "credential": {"credentialType": "SAS", "sasUri": address},
    }
    kind = "TemporaryBlobReference"
    answer = {"pendingUploadId": str(uuid.uuid4()), "pendingUploadType": kind, "blobReferenceForConsumption": reference}
    return 200, answer


def register_code(ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """A code asset, whose blobs have to be there."""
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    there = ml.codes.setdefault(name.lower(), {})
    if was := there.get(version):
        if was.get("codeUri") != given.get("codeUri"):
            raise user_error(f"The code {name}:{version} is there already and cannot be changed.", "Immutable", 409)
        return 200, ml.resource(f"/codes/{name}/versions/{version}", was)
    _check_upload(ml, str(given.get("codeUri") or ""))
    there[version] = {"description": None, "tags": {}, "isAnonymous": False, "isArchived": False, **given}
    there[version] |= {"provisioningState": "Succeeded"}
    return 201, ml.resource(f"/codes/{name}/versions/{version}", there[version])


def get_code(ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    there = ml.codes.get(name.lower(), {}).get(version)
    if there is None:
        raise missing(f"Code {name} with version {version} was not found.")
    return 200, ml.resource(f"/codes/{name}/versions/{version}", there)


def _check_upload(ml: Ml, uri: str) -> None:
    """Whether an upload is complete: the SDK says so on one of its blobs, the last it writes. Raises Refused."""
    at = addresses.folder(uri, ml) if re.match("https://|azureml:", uri) else None
    if at is None or at.account != ml.here.store.account or at.container not in {*ml.uploads.values(), CONTAINER}:
        raise user_error(f"The code address {uri.partition('?')[0]} is none that was let in.", "InvalidCodeUri")
    below = ml.here.store.names(at.container, f"{at.prefix}/")
    metadata = (ml.here.store.metadata(at.container, name) or {} for name in below)
    if not any(one.get(UPLOADED) == "completed" for one in metadata):
        raise user_error(f"The upload to {uri.partition('?')[0]} is not complete.", "UploadIncomplete")


ROUTES = (
    ("GET", "/(data|models)/([^/]+)/versions/([^/]+)", get_asset),
    ("PUT", "/(data|models)/([^/]+)/versions/([^/]+)", register_asset),
    ("GET", "/(data|models)/([^/]+)/versions", list_versions),
    ("GET", "/(data|models)/([^/]+)", get_container),
    ("GET", "/(data|models)", list_containers),
    ("GET", "/environments/([^/]+)/versions/([^/]+)", get_environment),
    ("PUT", "/environments/([^/]+)/versions/([^/]+)", register_environment),
    ("GET", "/codes/([^/]+)/versions", find_code),
    ("POST", "/codes/([^/]+)/versions/([^/]+)/startPendingUpload", begin_upload),
    ("PUT", "/codes/([^/]+)/versions/([^/]+)", register_code),
    ("GET", "/codes/([^/]+)/versions/([^/]+)", get_code),
)
