"""Azure's resource manager at `management.azure.com`: a subscription's workspaces, identities, accounts and roles.

Strict where the real one is: a token of its own audience, a version of the API, names in any case.
"""

import dataclasses
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server
from azure_stand_in.ml import computes, service
from azure_stand_in.ml.contents import Here, Ml, make_system_data
from azure_stand_in.ml.request import Asked, Refused
from azure_stand_in.sign_in import OBJECT, TENANT, audience_of

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
SUBSCRIPTION = "aaaaaaaa-0000-0000-0000-000000000001"
GROUP = "robots"
PAGE = 2
SDK = (
    "2023-04-01",
    "2023-04-01-preview",
    "2023-08-01-preview",
    "2024-01-01-preview",
    "2024-10-01-preview",
    "2025-01-01-preview",
)
"""The versions that azure-ai-ml 1.35 asks in."""
VERSIONS = {
    "Microsoft.MachineLearningServices/workspaces": ("2024-04-01", "2024-10-01", *SDK),
    "Microsoft.MachineLearningServices/locations": ("2024-04-01", "2024-10-01", *SDK),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("2023-01-31",),
    "Microsoft.Storage/storageAccounts": ("2023-05-01",),
    "Microsoft.KeyVault/vaults": ("2023-07-01",),
    "Microsoft.Authorization/roleAssignments": ("2022-04-01",),
    "Microsoft.Authorization/roleDefinitions": ("2022-04-01",),
    "Microsoft.Authorization/permissions": ("2022-04-01",),
}
WORKSPACES = "Microsoft.MachineLearningServices/workspaces"
LOCATIONS = "Microsoft.MachineLearningServices/locations"
DATA_SCIENTIST = {
    "actions": [f"{WORKSPACES}/*/{what}" for what in ("read", "action", "delete", "write")],
    "notActions": [f"{WORKSPACES}/{what}" for what in ("delete", "write")],
}
LOOKING = {"actions": ["*/read"], "notActions": []}
STORAGE = "Microsoft.Storage/storageAccounts"
VAULTS = "Microsoft.KeyVault/vaults"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
ROLES = "Microsoft.Authorization"
CONTRIBUTOR, READER = "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
"""Storage Blob Data Contributor and Reader."""


@dataclass
class Resource:
    id: str
    properties: dict[str, Any]
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.id.rpartition("/")[2], "properties": self.properties, **self.more}


@dataclass
class Contents:
    """What there is. granted: what the caller's own roles allow on any workspace. members: of groups, by their id.

    workspaces: what each holds, by its id in lower case. usages: of machines, by region.
    """

    subscriptions: set[str] = field(default_factory=lambda: {SUBSCRIPTION})
    groups: set[str] = field(default_factory=lambda: {GROUP})
    resources: dict[str, Resource] = field(default_factory=dict)
    assignments: list[dict[str, str]] = field(default_factory=list)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    granted: list[dict[str, Any]] = field(default_factory=lambda: [DATA_SCIENTIST])
    models: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    data: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    workspaces: dict[str, Ml] = field(default_factory=dict)
    usages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


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
        group = f"/subscriptions/{subscription}/resourceGroups/{GROUP}/providers"
        at = f"{group}/{WORKSPACES}/{name}"
        ml = Ml(at, account, self.here, models=self.there.models, data=self.there.data, region=region)
        self.there.workspaces[at.lower()] = ml
        host = f"{region}.api.azureml.ms"
        properties = {
            "friendlyName": name,
            "workspaceId": ml.identifier,
            "discoveryUrl": f"https://{host}/discovery",
            "mlFlowTrackingUri": f"azureml://{host}/mlflow/v1.0{at}",
            "storageAccount": f"{group}/{STORAGE}/{account}",
            "systemDatastoresAuthMode": ml.mode,
            "hbiWorkspace": False,
            "publicNetworkAccess": "Enabled",
            "provisioningState": "Succeeded",
        }
        own = {"type": "SystemAssigned", "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "tenantId": TENANT}
        return self._add(
            at,
            properties,
            type=WORKSPACES,
            location=region,
            tags={},
            identity=own,
            systemData=make_system_data(ml.created),
        )

    def account(self, name: str) -> str:
        return self._add(self.account_id(name), {})

    def account_id(self, name: str) -> str:
        """The resource id of a storage account, whether it is there or not."""
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{STORAGE}/{name}"

    def vault(self, name: str, by_roles: bool = True) -> str:
        """A new key vault: its resource id. by_roles: else access policies say who may read it."""
        at = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{VAULTS}/{name}"
        return self._add(at, {"enableRbacAuthorization": by_roles, "accessPolicies": []})

    def identity(self, name: str, client: str, principal: str) -> str:
        at = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/providers/{IDENTITIES}/{name}"
        return self._add(at, {"clientId": client, "principalId": principal, "tenantId": "t"})

    def assign(self, principal: str, role: str, scope: str) -> None:
        """Give a role: the id of its definition, without what stands before it."""
        at = f"/subscriptions/{SUBSCRIPTION}/providers/{ROLES}/roleDefinitions/{role}"
        self.there.assignments.append({"principalId": principal, "roleDefinitionId": at, "scope": scope})

    def _add(self, at: str, properties: dict[str, Any], **more: Any) -> str:
        self.there.resources[at.lower()] = Resource(at, properties, more)
        return at


class _Handler(Handler):
    server: Manager

    def do_GET(self) -> None:
        sent = self.received()
        try:
            if self.fault.status:
                raise Refused(self.fault.status, self.fault.code, _words(self.fault.code))
            if audience_of(self.headers) not in AUDIENCES:
                raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")
            status, answer = self._answered(_read(sent))
        except Refused as no:
            status, answer = no.status, no.body
        self.answer_json(status, answer)

    do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

    def _answered(self, sent: Mapping[str, Any]) -> tuple[int, dict[str, Any] | None]:
        split = urlsplit(self.path)
        path = unquote(split.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        kind = _kind(path)
        if "api-version" not in query:
            raise Refused(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        if query["api-version"] not in VERSIONS.get(kind, ()):
            raise Refused(400, "InvalidResourceType", f"No such version of the resource type {kind}.")
        asked = Asked(self.command, path, query, sent, self.headers["Host"])
        if kind == LOCATIONS:
            return 200, computes.answer_location(self.server.there.usages, asked)
        below = re.fullmatch(r"(.*/workspaces/[^/]+)(/.+)", path, re.IGNORECASE)
        if below and kind == WORKSPACES:
            at = self._resource(below[1]).id.lower()
            asked = dataclasses.replace(asked, workspace=at, rest=below[2])
            return service.answer(self.server.there.workspaces[at], asked)
        if self.command != "GET":
            raise Refused(403, "AuthorizationFailed", _words("AuthorizationFailed"))
        return 200, self._found(path, kind, query)

    def _found(self, path: str, kind: str, query: dict[str, str]) -> dict[str, Any]:
        scope, _, _ = path.partition(f"/providers/{ROLES}/")
        there = self.server.there
        if kind.endswith("/roleAssignments"):
            return self._page(path, query, [{"properties": one} for one in _assigned(there, scope, query)])
        if kind.endswith("/permissions"):
            self._resource(scope)
            return self._page(path, query, there.granted)
        if kind.endswith("/roleDefinitions"):
            return {"id": path, "properties": there.definitions[path.rpartition("/")[2]]}
        if path.endswith(f"/providers/{kind}"):
            whole = [one.body for at, one in there.resources.items() if f"/providers/{kind.lower()}/" in at]
            return self._page(path, query, whole)
        return self._resource(path).body

    def _resource(self, path: str) -> Resource:
        _, _, subscription, _, group, *rest = path.split("/")
        if subscription.lower() not in self.server.there.subscriptions:
            raise Refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if group.lower() not in self.server.there.groups:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        if found := self.server.there.resources.get(path.lower()):
            return found
        what = "/".join(rest[1:])
        message = f"The Resource '{what}' under resource group '{group}' was not found. For more details please go to"
        raise Refused(404, "ResourceNotFound", f"{message} https://aka.ms/ARMResourceNotFoundFix")

    def _page(self, path: str, query: dict[str, str], whole: list[dict[str, Any]]) -> dict[str, Any]:
        begin = int(query.get("$skipToken", "0"))
        more = begin + PAGE < len(whole)
        following = urlencode({**query, "$skipToken": str(begin + PAGE)})
        link = {"nextLink": f"https://{self.headers['Host']}{path}?{following}"} if more else {}
        return {"value": whole[begin : begin + PAGE], **link}


def _kind(path: str) -> str:
    """The type of the resource that a path is about; parts of a workspace count as it."""
    *_, last = ("", *path.split("/providers/"))
    named = "/".join(last.split("/")[:2])
    return next((kind for kind in VERSIONS if kind.lower() == named.lower()), named)


def _assigned(there: Contents, scope: str, query: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """As the filter asks: a principal's own at, above and below a scope; or its and its groups' at and above it."""
    asked = re.fullmatch(r"assignedTo\('(.+)'\)|principalId eq '(.+)'", query.get("$filter", ""))
    if asked is None:
        raise Refused(400, "UnsupportedFilter", "The filter is not supported.")
    for one in there.assignments:
        above = f"{scope}/".lower().startswith(f"{one['scope'].rstrip('/')}/".lower())
        below = one["scope"].lower().startswith(f"{scope}/".lower())
        own = one["principalId"] == (asked[1] or asked[2])
        of_group = asked[1] in there.members.get(one["principalId"], ())
        if (above and (own or of_group)) or (below and own and asked[2]):
            yield one


def _read(sent: bytes) -> Mapping[str, Any]:
    """The JSON object that was sent. Raises Refused."""
    try:
        body = json.loads(sent or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "InvalidRequestContent", "The request content was invalid and could not be deserialized.")
    return body


def _words(code: str) -> str:
    if code == "AuthorizationFailed":
        return (
            f"The client 'c' with object id '{OBJECT}' does not have authorization to perform action 'Microsoft.X/read'"
            " over scope '/s' or the scope is invalid. If access was recently granted, please refresh your credentials."
        )
    return f"The stand-in says so: {code}."
