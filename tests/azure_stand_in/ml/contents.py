"""The content of one workspace."""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from azure_stand_in.sign_in import PERSON

KIND = "Microsoft.MachineLearningServices/workspaces"
HOST = "westeurope.api.azureml.ms"
CONTAINER = "azureml-blobstore"
"""That of the workspace's own datastore."""
Versions = dict[str, dict[str, Any]]
"""Properties, by the version."""


def now() -> str:
    """As Azure writes times."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def make_system_data(at: str) -> dict[str, str]:
    return {"createdAt": at, "createdBy": PERSON, "createdByType": "User", "lastModifiedAt": at}


@dataclass
class Here:
    """store: the workspaces' storage account; None where only what needs no blobs is asked. runner: who runs jobs.

    runs: where a run is begun for each new job, as MLflow has it. cancelling: whether a job that nobody runs is
    canceled when that is asked for, or later.
    """

    store: Any = None
    runner: Callable[[Any], None] | None = None
    runs: Any = None
    cancelling: Literal["at-once", "slow"] = "at-once"


@dataclass
class Ml:
    """at: the workspace's resource id. Names are kept in lower case: Azure finds them in any.

    uploads: the containers that code was let in to. models, data: of all
    workspaces, by `WORKSPACE/NAME`, and of registries, by `registries/REGISTRY/NAME`. denied: patterns for
    `METHOD rest` that the caller's roles do not hold.
    """

    at: str
    account: str
    here: Here = field(default_factory=Here)
    computes: dict[str, dict[str, Any]] = field(default_factory=dict)
    datastores: dict[str, dict[str, Any]] = field(default_factory=dict)
    environments: dict[str, Versions] = field(default_factory=dict)
    codes: dict[str, Versions] = field(default_factory=dict)
    uploads: set[str] = field(default_factory=set)
    components: dict[str, Versions] = field(default_factory=dict)
    models: dict[str, Versions] = field(default_factory=dict)
    data: dict[str, Versions] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)
    region: str = "westeurope"
    created: str = field(default_factory=now)

    @property
    def names(self) -> tuple[str, str, str]:
        """Of its subscription, its resource group, itself."""
        parts = self.at.split("/")
        return parts[2], parts[4], parts[8]

    @property
    def identifier(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.at))

    def resource(self, rest: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A part of it, as it is answered. rest: its path below the workspace."""
        words = rest.strip("/").split("/")
        kind = "/".join([KIND, *words[::2]])
        when = {"systemData": make_system_data(self.created)} if "computes" not in words else {}
        return {"id": f"{self.at}{rest}", "name": words[-1], "type": kind, "properties": properties, **when, **more}
