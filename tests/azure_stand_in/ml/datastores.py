"""The datastores of a workspace: their locations and credentials."""

from typing import Any

from azure_stand_in import keys
from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.request import Answer, Asked, missing, user_error


def make_properties(
    ml: Ml, container: str, credentials: str, kind: str = "AzureBlob", account: str = ""
) -> dict[str, Any]:
    return {
        "description": None,
        "tags": {},
        "properties": {},
        "datastoreType": kind,
        "isDefault": False,
        "subscriptionId": ml.names[0],
        "resourceGroup": ml.names[1],
        "accountName": account or ml.account,
        "containerName": container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": "None",
        "credentials": {"credentialsType": credentials},
    }


def get_datastore(ml: Ml, request: Asked, name: str) -> Answer:
    return 200, _resource(ml, name)


def list_datastores(ml: Ml, request: Asked) -> Answer:
    return 200, {"value": [_resource(ml, name) for name in ml.datastores]}


def list_secrets(ml: Ml, request: Asked, name: str) -> Answer:
    properties = _resource(ml, name)["properties"]
    kind = properties["credentials"]["credentialsType"]
    if kind == "AccountKey":
        return 200, {"secretsType": kind, "key": keys.KEY}
    if kind == "Sas":
        token = keys.sas(properties["accountName"], properties["containerName"], "racwdl")
        return 200, {"secretsType": kind, "sasToken": token}
    raise user_error(f"The datastore {name} has no credentials.", "NoSecrets")


def _resource(ml: Ml, name: str) -> dict[str, Any]:
    if name.lower() not in ml.datastores:
        raise missing(f"Could not find datastore with name {name}.")
    return ml.resource(f"/datastores/{name}", ml.datastores[name.lower()])


ROUTES = (
    ("POST", "/datastores/([^/]+)/listSecrets", list_secrets),
    ("GET", "/datastores/([^/]+)", get_datastore),
    ("GET", "/datastores", list_datastores),
)
