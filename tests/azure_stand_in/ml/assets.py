"""Versioned assets of a workspace: data assets, models, environments, components, and code of jobs."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from azure_stand_in.blobs import signed
from azure_stand_in.ml import addresses
from azure_stand_in.ml.contents import CONTAINER, Ml, Versions
from azure_stand_in.ml.request import Answer, Asked, Refused, missing, user_error

NAME, VERSION = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}", r"[A-Za-z0-9._-]{1,255}"
HASHED, UPLOADED = "hash_sha256", "upload_status"
"""What the SDK writes: a property of code, the hash of its content; metadata of the last blob, when all are there."""
USUAL = {"description": None, "tags": {}, "properties": {}, "isAnonymous": False, "isArchived": False}


@dataclass(frozen=True)
class Kind:
    """fixed: the properties that a version keeps for ever. status: of the refusal to change one. usual: properties that
    need not be sent. address, type: what these two are called.
    """

    fixed: tuple[str, ...]
    status: int = 409
    usual: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    type: str = ""


MADE = {"osType": "Linux", "environmentType": "UserCreated", "provisioningState": "Succeeded"}
KINDS = {
    "data": Kind(("dataUri",), usual={"dataType": "uri_folder"}, address="dataUri", type="dataType"),
    "models": Kind(("modelUri",), 409, {"modelType": "custom_model", "flavors": {}}, "modelUri", "modelType"),
    "environments": Kind(("image", "condaFile", "build", "osType", "inferenceConfig"), 400, MADE),
    "codes": Kind(("codeUri",)),
    "components": Kind(("componentSpec",)),
}


def find_versions(ml: Ml, kind: str, name: str, registry: str = "") -> Versions:
    """The versions of one; empty when it is not there. registry: empty for the workspace's own."""
    versions: dict[str, Versions] = getattr(ml, kind)
    return versions.get(f"registries/{registry}/{name}".lower() if registry else _key(ml, kind, name), {})


def has_version(ml: Ml, kind: str, address: str) -> bool:
    """Whether an address names a version of this kind that is there."""
    asset = addresses.asset(address, ml)
    return asset is not None and asset.kind == kind and asset.version in find_versions(ml, kind, asset.name)


def find_address(ml: Ml, asset: addresses.Asset) -> str:
    """Where a version of data or of a model lies."""
    return str(find_versions(ml, asset.kind, asset.name, asset.registry)[asset.version][KINDS[asset.kind].address])


def get_version(ml: Ml, request: Asked, kind: str, name: str, version: str) -> Answer:
    kind = kind.lower()
    properties = find_versions(ml, kind, name).get(version)
    if properties is None:
        raise missing(f"The specified {kind} asset {name} with version {version} was not found.")
    return 200, _resource(ml, kind, name, version, properties)


def register(ml: Ml, request: Asked, kind: str, name: str, version: str) -> Answer:
    """A new version, or other words of one that is there."""
    kind = kind.lower()
    rule, properties = (
        KINDS[kind],
        {key: value for key, value in request.body["properties"].items() if value is not None},
    )
    if not re.fullmatch(NAME, name) or not re.fullmatch(VERSION, version):
        raise user_error(f"The {kind} asset {name}:{version} has a name or a version that cannot be.", "InvalidName")
    versions = getattr(ml, kind).setdefault(_key(ml, kind, name), {})
    made, was = {**rule.usual, **properties}, versions.get(version)
    if was is not None and any(was.get(key) != made.get(key) for key in rule.fixed):
        message = f"{kind.title()} {name} with version {version} is already registered and cannot be changed."
        raise user_error(message, "Immutable", rule.status)  # the sentence is that of azure-cli-extensions#5440
    if not re.match(r"azureml://|runs:/|https://|azureml:/subscriptions/", properties.get(rule.address, "https://")):
        raise Refused(400, "UserError", f"{properties[rule.address]} is no address of the workspace.")
    if kind == "codes":
        _check_upload(ml, str(properties.get("codeUri")))
    versions[version] = made
    return 201 if was is None else 200, _resource(ml, kind, name, version, made)


def list_versions(ml: Ml, request: Asked, kind: str, name: str) -> Answer:
    versions = _find_all(ml, kind, name)
    order = reversed(versions) if "desc" in request.query.get("$orderBy", "") else iter(versions)
    return 200, {"value": [_resource(ml, kind.lower(), name, version, versions[version]) for version in order]}


def get_container(ml: Ml, request: Asked, kind: str, name: str) -> Answer:
    return 200, _container(ml, kind.lower(), name, _find_all(ml, kind, name))


def list_containers(ml: Ml, request: Asked, kind: str) -> Answer:
    mark, whole = f"{ml.at}/".lower(), getattr(ml, kind.lower()).items()
    names = {key.removeprefix(mark): versions for key, versions in whole if key.startswith(mark)}
    return 200, {"value": [_container(ml, kind.lower(), name, versions) for name, versions in names.items()]}


def _find_all(ml: Ml, kind: str, name: str) -> Versions:
    if versions := find_versions(ml, kind.lower(), name):
        return versions
    raise missing(f"The specified {kind} asset {name} was not found.")


def _container(ml: Ml, kind: str, name: str, versions: Versions) -> dict[str, Any]:
    numbers = [int(version) for version in versions if version.isdecimal()]
    following = {"nextVersion": str(max(numbers) + 1)} if numbers else {}
    properties = {"latestVersion": str(max(numbers)) if numbers else [*versions][-1], **following, "isArchived": False}
    kinds = {"dataType": str(next(iter(versions.values())).get("dataType"))} if kind == "data" else {}
    return ml.resource(f"/{kind}/{name}", {"description": None, "tags": {}, **properties, **kinds})


def _key(ml: Ml, kind: str, name: str) -> str:
    """Data and models of all workspaces lie together."""
    return f"{ml.at}/{name}".lower() if KINDS[kind].address else name.lower()


def _resource(ml: Ml, kind: str, name: str, version: str, properties: dict[str, Any]) -> dict[str, Any]:
    return ml.resource(f"/{kind}/{name}/versions/{version}", {**USUAL, **KINDS[kind].usual, **properties})


def find_code(ml: Ml, request: Asked, name: str) -> Answer:
    """Versions of code with that content."""
    whole = [
        _resource(ml, "codes", code, version, properties)
        for code, versions in ml.codes.items()
        for version, properties in versions.items()
        if (properties.get("properties") or {}).get(HASHED) == request.query["hash"]
    ]
    return 200, {"value": whole}


def begin_upload(ml: Ml, request: Asked, name: str, version: str) -> Answer:
    """A container of its own, and a signature for it."""
    container = f"{ml.account}-{uuid.uuid4()}"[:63].rstrip("-")
    ml.here.store.put(container, {})
    ml.uploads.add(container)
    address = signed(ml.here.store, container, "racwdl")
    account = f"{ml.at.partition('/providers/')[0]}/providers/Microsoft.Storage/storageAccounts/{ml.account}"
    reference = {
        "blobUri": address.partition("?")[0],
        "storageAccountArmId": account,
        "credential": {"credentialType": "SAS", "sasUri": address},
    }
    kind = "TemporaryBlobReference"
    return 200, {"pendingUploadId": container, "pendingUploadType": kind, "blobReferenceForConsumption": reference}


def _check_upload(ml: Ml, uri: str) -> None:
    """Whether an upload is complete: the SDK says so on one of its blobs, the last it writes. Raises Refused."""
    store = ml.here.store
    at = addresses.folder(uri, ml)
    if at.account != store.account or at.container not in {*ml.uploads, CONTAINER}:
        raise user_error(f"The code address {uri.partition('?')[0]} is none that was let in.", "InvalidCodeUri")
    metadata = (store.metadata(at.container, name) or {} for name in store.names(at.container, f"{at.prefix}/"))
    if not any(blob_metadata.get(UPLOADED) == "completed" for blob_metadata in metadata):
        raise user_error(f"The upload to {uri.partition('?')[0]} is not complete.", "UploadIncomplete")


ROUTES = (
    ("GET", "/codes/([^/]+)/versions", find_code),
    ("POST", "/codes/([^/]+)/versions/([^/]+)/startPendingUpload", begin_upload),
    ("GET", "/(data|models|environments|codes)/([^/]+)/versions/([^/]+)", get_version),
    ("PUT", "/(data|models|environments|codes|components)/([^/]+)/versions/([^/]+)", register),
    ("GET", "/(data|models)/([^/]+)/versions", list_versions),
    ("GET", "/(data|models)/([^/]+)", get_container),
    ("GET", "/(data|models)", list_containers),
)
