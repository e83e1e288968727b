"""Azure's resource manager at `management.azure.com`: a subscription's workspaces, identities, accounts and roles.

Strict where the real one is: a token of its own audience, a version of the API, names in any case.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server
from azure_stand_in.ml import computes, service
from azure_stand_in.ml.contents import KIND as WORKSPACES
from azure_stand_in.ml.contents import Here, Ml, make_system_data
from azure_stand_in.ml.request import Answer, Asked, Refused, make_unauthorized
from azure_stand_in.sign_in import TENANT, audience_of

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
SUBSCRIPTION = "aaaaaaaa-0000-0000-0000-000000000001"
GROUP = "robots"
LOCATIONS = "Microsoft.MachineLearningServices/locations"
STORAGE = "Microsoft.Storage/storageAccounts"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
ROLES = "Microsoft.Authorization"
SDK = ("2023-04-01", "2023-04-01-preview", "2023-08-01-preview", "2024-01-01-preview", "2024-10-01-preview")
"""The versions that azure-ai-ml 1.35 asks in, beside one for jobs."""
VERSIONS = {
    **dict.fromkeys((WORKSPACES, LOCATIONS), ("2024-04-01", "2024-10-01", "2025-01-01-preview", *SDK)),
    **{IDENTITIES: ("2023-01-31",), STORAGE: ("2023-05-01",)},
    f"{ROLES}/permissions": ("2022-04-01",),
}
DATA_SCIENTIST = {
    "actions": [f"{WORKSPACES}/*/{what}" for what in ("read", "action", "delete", "write")],
    "notActions": [f"{WORKSPACES}/{what}" for what in ("delete", "write")],
}
LOOKING = {"actions": ["*/read"], "notActions": []}
CONTRIBUTOR, READER = "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
"""Storage Blob Data Contributor and Reader."""
Properties = dict[str, Any]


@dataclass
class Contents:
    """What there is. resources, workspaces: by their id in lower case, as answered, and what each workspace holds.

    granted: what the caller's own roles allow on any workspace. models, data: see `Ml`.
    """

    subscriptions: set[str] = field(default_factory=lambda: {SUBSCRIPTION})
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    assignments: list[dict[str, str]] = field(default_factory=list)
    granted: list[Properties] = field(default_factory=lambda: [DATA_SCIENTIST])
    models: dict[str, dict[str, Properties]] = field(default_factory=dict)
    data: dict[str, dict[str, Properties]] = field(default_factory=dict)
    workspaces: dict[str, Ml] = field(default_factory=dict)


class Manager(Server):
    """there: what there is, to be filled. here: where its workspaces keep blobs, and who runs their jobs."""

    def __init__(self, made: Certificates) -> None:
        self.here = Here()
        self.there = Contents()
        super().__init__(_Handler, made)

    def empty(self) -> None:
        self.requests.clear()
        self.faults.clear()
        self.there = Contents()

    def workspace(
        self, name: str, region: str = "westeurope", account: str = "rtaccount", subscription: str = SUBSCRIPTION
    ) -> str:
        """A new workspace: its resource id. subscription: there from now on."""
        self.there.subscriptions.add(subscription)
        at, host = _make_id(WORKSPACES, name, subscription), f"{region}.api.azureml.ms"
        ml = Ml(at, account, self.here, models=self.there.models, data=self.there.data, region=region)
        self.there.workspaces[at.lower()] = ml
        properties = {
            "friendlyName": name,
            "workspaceId": ml.identifier,
            "discoveryUrl": f"https://{host}/discovery",
            "mlFlowTrackingUri": f"azureml://{host}/mlflow/v1.0{at}",
            "storageAccount": _make_id(STORAGE, account, subscription),
            "systemDatastoresAuthMode": "accessKey",
            "hbiWorkspace": False,
            "publicNetworkAccess": "Enabled",
            "provisioningState": "Succeeded",
        }
        own = {"type": "SystemAssigned", "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "tenantId": TENANT}
        more = {"type": WORKSPACES, "location": region, "tags": {}, "systemData": make_system_data(ml.created)}
        return self._add(at, properties, identity=own, **more)

    def account(self, name: str) -> str:
        return self._add(self.account_id(name), {})

    def account_id(self, name: str) -> str:
        """The resource id of a storage account, whether it is there or not."""
        return _make_id(STORAGE, name)

    def identity(self, name: str, client: str, principal: str) -> str:
        properties = {"clientId": client, "principalId": principal, "tenantId": "t"}
        return self._add(_make_id(IDENTITIES, name).replace("resourceGroups", "resourcegroups"), properties)

    def assign(self, principal: str, role: str, scope: str) -> None:
        """Give a role: the id of its definition, without what stands before it."""
        at = f"/subscriptions/{SUBSCRIPTION}/providers/{ROLES}/roleDefinitions/{role}"
        self.there.assignments.append({"principalId": principal, "roleDefinitionId": at, "scope": scope})

    def _add(self, at: str, properties: Properties, **more: Any) -> str:
        self.there.resources[at.lower()] = {"id": at, "name": at.rpartition("/")[2], "properties": properties, **more}
        return at


def _make_id(kind: str, name: str, subscription: str = SUBSCRIPTION) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{GROUP}/providers/{kind}/{name}"


class _Handler(Handler):
    server: Manager

    def do_GET(self) -> None:
        sent = self.received()
        try:
            if self.fault.status:
                raise self._make_fault()
            if audience_of(self.headers) not in AUDIENCES:
                raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
            status, answer = self._answered(json.loads(sent or b"{}"))
        except Refused as no:
            status, answer = no.status, no.body
        self.answer_json(status, answer)

    do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

    def _make_fault(self) -> Refused:
        if self.fault.code == "AuthorizationFailed":
            return replace(make_unauthorized("Microsoft.X/read", "/s"), status=self.fault.status)
        return Refused(self.fault.status, self.fault.code, f"The stand-in says so: {self.fault.code}.")

    def _answered(self, sent: Mapping[str, Any]) -> Answer:
        split = urlsplit(self.path)
        path = unquote(split.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        kind = _kind(path)
        if query.get("api-version") not in VERSIONS.get(kind, ()):
            raise Refused(400, "InvalidResourceType", f"No such version of the resource type {kind}.")
        request = Asked(self.command, path, query, sent, self.headers["Host"])
        below = re.fullmatch(r"(.*/workspaces/[^/]+)(/.+)", path, re.IGNORECASE)
        if below and kind == WORKSPACES:
            at = self._resource(below[1])["id"].lower()
            return service.answer(self.server.there.workspaces[at], replace(request, rest=below[2]))
        if self.command != "GET":
            raise make_unauthorized(f"{kind}/write", path)
        resource = self._found(request, kind)
        return 200, service.make_page(request, resource) if isinstance(resource, list) else resource

    def _found(self, request: Asked, kind: str) -> Any:
        """One resource, or a list."""
        there, path = self.server.there, request.path
        scope, _, _ = path.partition(f"/providers/{ROLES}/")
        if kind == LOCATIONS:
            return computes.list_sizes()
        if kind.endswith("/permissions"):
            self._resource(scope)
            return there.granted
        if path.endswith(f"/providers/{kind}"):
            return [resource for at, resource in there.resources.items() if f"/providers/{kind.lower()}/" in at]
        return self._resource(path)

    def _resource(self, path: str) -> dict[str, Any]:
        _, _, subscription, _, group, *rest = path.split("/")
        if subscription.lower() not in self.server.there.subscriptions:
            raise Refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if group.lower() != GROUP:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        if resource := self.server.there.resources.get(path.lower()):
            return resource
        what = "/".join(rest[1:])
        message = f"The Resource '{what}' under resource group '{group}' was not found. For more details please go to"
        raise Refused(404, "ResourceNotFound", f"{message} https://aka.ms/ARMResourceNotFoundFix")


def _kind(path: str) -> str:
    """The type of the resource that a path is about; parts of a workspace count as it."""
    *_, last = ("", *path.split("/providers/"))
    named = "/".join(last.split("/")[:2])
    return next((kind for kind in VERSIONS if kind.lower() == named.lower()), named)
