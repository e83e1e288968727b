"""The workspace of the stand-in, as tests use it."""

import contextlib
import dataclasses
import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from azure_stand_in.http_server import Fault
from azure_stand_in.manager import SUBSCRIPTION
from azure_stand_in.ml import assets, computes, datastores
from azure_stand_in.ml.contents import CONTAINER, Here, Ml
from azure_stand_in.ml.job import LOGS, Job
from azure_stand_in.mlflow_server import Runs
from azure_stand_in.sign_in import token
from azure_stand_in.tenant import CLIENT, Tenant

NAME = "robots-ml"
OTHER = "bbbbbbbb-0000-0000-0000-000000000002"
MANAGER = "management.azure.com"
Identities = Sequence[tuple[str, str, str]]
"""The name, the client id and the principal of identities."""
PRINCIPAL = "d1000000-0000-0000-0000-000000000001"
TRAINS: Identities = (("id-train", CLIENT, PRINCIPAL),)
GPUSPOT: Mapping[str, Mapping[str, str]] = {"gpuspot": {"nvidia.com/gpu": "1"}}
Where = Literal["", "arm", "history", "blobs"]


@dataclass
class AzureML:
    """A workspace, `robots-ml` in `westeurope`, and what stands around it. at: its resource id.

    calls: `METHOD https://host/path?query` of its three services, in the order they came. store: its storage account.
    servers: what answers, by name. runs: those of jobs as MLflow has them; None where no MLflow server stands there.
    """

    tenant: Tenant
    store: Any
    servers: Mapping[str, Any]
    runs: Runs | None = None
    at: str = ""
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manager, self.proxy, self.sign_in = self.tenant.manager, self.tenant.proxy, self.tenant.sign_in
        self.way, self.environ = self.tenant.way, self.tenant.environ
        self.account, self.container = self.store.account, CONTAINER
        for server in self.servers.values():
            server.calls = self.calls

    @property
    def ml(self) -> Ml:
        return self.manager.there.workspaces[self.at.lower()]

    @property
    def names(self) -> tuple[str, str, str]:
        """Of its subscription, its resource group, itself."""
        return self.ml.names

    @property
    def settings(self) -> dict[str, str]:
        return dict(zip(("subscription_id", "resource_group", "workspace_name"), self.names, strict=True))

    @property
    def options(self) -> tuple[str, ...]:
        """The same on the command line."""
        return tuple(word for name, value in self.settings.items() for word in (f"--{name.replace('_', '-')}", value))

    @property
    def jobs(self) -> dict[str, Job]:
        return {job.name: job for job in self.ml.jobs.values()}

    def steps(self, name: str) -> dict[str, Job]:
        """The children that could begin so far: of a pipeline by the name of their step, of a sweep by their own."""
        return dict(self.jobs[name].children)

    @property
    def here(self) -> Here:
        """Who runs its jobs (`runner`), and how fast one that nobody runs ends when it is cancelled (`cancelling`)."""
        return self.manager.here

    def begin(self) -> None:
        """As at the beginning: a workspace with its own datastores, and nothing else."""
        self.manager.empty()
        self.manager.here = Here(self.store, runs=self.runs)
        for server in self.servers.values():
            server.faults.clear()
            server.requests.clear()
        self.calls.clear()
        self.sign_in.requests.clear()
        self.tenant.proxy.refused.clear()
        self._make(SUBSCRIPTION)
        self.manager.account(self.account)

    def elsewhere(self, subscription: str = OTHER) -> "AzureML":
        """Make a workspace of the same name in another subscription, with its own datastores alone."""
        other = dataclasses.replace(self)
        other._make(subscription)
        return other

    def _make(self, subscription: str) -> None:
        self.at = self.manager.workspace(NAME, account=self.account, subscription=subscription)
        self.store.put(LOGS, {})
        self.datastore("workspaceblobstore", CONTAINER)
        self.datastore("workspaceartifactstore", LOGS)

    def kubernetes(
        self,
        name: str = "k8s-robot-dev-00",
        instance_types: Mapping[str, Mapping[str, str]] = GPUSPOT,
        identities: Identities = TRAINS,
        state: str = "Succeeded",
        system: bool = False,
    ) -> str:
        """Attach a cluster. instance_types: what each limits, by name. system: whether it has its own identity."""
        made = computes.make_kubernetes(self.ml, instance_types)
        return computes.add_compute(self.ml, name, made, self._identities(identities), state, system)

    def managed_compute(
        self,
        name: str = "gpu-cluster",
        vm_size: str = "Standard_NC24ads_A100_v4",
        most: int = 2,
        least: int = 0,
        identities: Identities = TRAINS,
        state: str = "Succeeded",
        priority: Literal["Dedicated", "LowPriority"] = "Dedicated",
        system: bool = False,
    ) -> str:
        """Make a cluster that Azure manages. most, least: of nodes."""
        made = computes.make_managed(vm_size, most, least, priority)
        return computes.add_compute(self.ml, name, made, self._identities(identities), state, system)

    def environment(self, name: str, version: str, image: str, **made: Any) -> str:
        """Register one. made: how Azure builds it, as `build` or `condaFile`."""
        usual = assets.KINDS["environments"].usual
        self.ml.environments.setdefault(name.lower(), {})[version] = {**usual, "image": image or None, **made}
        return f"{self.at}/environments/{name}/versions/{version}"

    def data(
        self,
        name: str,
        version: str | int,
        folder: str,
        kind: str = "uri_folder",
        archived: bool = False,
        registry: str = "",
    ) -> str:
        """Register a data asset. folder: in `workspaceblobstore`, or a whole address. registry: the one it goes to."""
        made = {"dataType": kind, "dataUri": self.address(folder), "isArchived": archived}
        below = f"registries/{registry}" if registry else self.at
        self.manager.there.data.setdefault(f"{below}/{name}".lower(), {})[str(version)] = made
        scheme = "azureml://" if registry else ""
        return f"{scheme}{below}/data/{name}/versions/{version}"

    def model(
        self, name: str, version: str | int, folder: str, kind: str = "custom_model", archived: bool = False
    ) -> str:
        """Register a model. folder: in `workspaceblobstore`, or a whole address."""
        made = {"modelType": kind, "modelUri": self.address(folder), "isArchived": archived}
        self.manager.there.models.setdefault(f"{self.at}/{name}".lower(), {})[str(version)] = made
        return f"{self.at}/models/{name}/versions/{version}"

    def versions(self, name: str) -> dict[str, dict[str, Any]]:
        """Those of a model, by number."""
        return self.manager.there.models.get(f"{self.at}/{name}".lower(), {})

    def address(self, folder: str) -> str:
        """Of a folder in `workspaceblobstore`; an address stays as it is."""
        if "://" in folder:
            return folder
        subscription, group, name = self.names
        at = f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{name}"
        return f"{at}/datastores/workspaceblobstore/paths/{folder.strip('/')}/"

    def datastore(
        self,
        name: str,
        container: str,
        credentials: Literal["None", "Sas", "AccountKey"] = "None",
        kind: str = "AzureBlob",
        account: str = "",
    ) -> str:
        self.ml.datastores[name.lower()] = datastores.make_properties(self.ml, container, credentials, kind, account)
        if not account:
            self.store.put(container, {})
        return f"{self.at}/datastores/{name}"

    def deny(self, pattern: str) -> None:
        self.ml.denied.append(pattern)

    def fault(self, match: str, where: Where = "", **how: Any) -> Fault:
        """A bad day for requests `METHOD path?query` that match: see `Fault`. where: at one of the services alone."""
        made = Fault(match, **how)
        for name, server in self.servers.items():
            if where in ("", name):
                server.faults.append(made)
        return made

    def at_call(self, number: int, **how: Any) -> Fault:
        """What the call of this number from now on meets, counted over all services; 1: the next one."""
        return self.fault("", after=number - 1, times=1, **how)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: str = "api-version=2024-04-01",
        audience: str = f"https://{MANAGER}",
        host: str = MANAGER,
    ) -> tuple[int, Any]:
        """Ask one of the services as any client does: the status, and the JSON. path: below the workspace, or whole.

        At the other host, below the workspace in run history.
        """
        if not path.startswith("/subscriptions"):
            path = f"{self.at}{path}" if host == MANAGER else f"/history/v1.0{self.at}{path}"
        proxy = urlsplit(self.proxy.address)
        context = ssl.create_default_context(cafile=str(self.tenant.ca))
        line = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, context=context, timeout=60)
        line.set_tunnel(host, 443)
        with contextlib.closing(line):
            line.request(method, f"{path}?{query}", json.dumps(body), {"Authorization": f"Bearer {token(audience)}"})
            came = line.getresponse()
            return came.status, json.loads(came.read() or b"{}")

    def _identities(self, identities: Identities) -> dict[str, tuple[str, str]]:
        """Make them: the client id and the principal of each, by resource id."""
        made = self.manager.identity
        return {made(name, client, principal): (client, principal) for name, client, principal in identities}
