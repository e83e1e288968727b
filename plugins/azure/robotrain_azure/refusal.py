"""Why a workspace cannot be used, in sentences: whose fault it is, and what to type."""

import re
from dataclasses import dataclass
from typing import Literal

from robotrain_azure import sign_in
from robotrain_azure.arm import SIGNED_OUT, ArmError
from robotrain_azure.names_said import GUID
from robotrain_azure.workspace import Workspace

ROLE = "AzureML Data Scientist"
UNSEEN = ("SubscriptionNotFound", "InvalidSubscriptionId")
"""Or of another tenant."""
SUBSCRIPTIONS = "az account list --output table"
_OBJECT = r"object id '([0-9a-fA-F-]{36})'"

Kind = Literal["missing", "role", "signed-out", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """kind: what it is. title: a sentence without a full stop. why: Azure's own words. ways: what to type, or to do."""

    kind: Kind
    title: str
    why: str
    ways: tuple[str, ...]
    network: bool = False


def of(error: ArmError, workspace: Workspace) -> Refusal:
    """Of what Azure's resource manager answered, or did not, about a workspace."""
    if error.code in UNSEEN:
        title = f"who is signed in sees no subscription {workspace.subscription}"
        return Refusal(kind="role", title=title, why=f"{error}.", ways=_others(workspace))
    if error.status == 404:
        return missing(error, workspace)
    if error.code == SIGNED_OUT or (error.status == 401 and error.code in sign_in.STALE):
        title, why = _CANNOT.format(workspace.name), sign_in.why(error)
        return Refusal(kind="signed-out", title=title, why=why, ways=("az login",))
    if error.status in (401, 403):
        return _not_let_in(error, workspace)
    title, again = _CANNOT.format(workspace.name), ("try again later",)
    passing = error.status == 0 or error.status == 429 or error.status >= 500
    return Refusal(kind="other", title=title, why=f"{error}.", ways=again if passing else (), network=passing)


def missing(error: ArmError, workspace: Workspace) -> Refusal:
    """Of a workspace that is not there."""
    what = f"Azure ML workspace {workspace.name} in the resource group {workspace.group}"
    if error.code == "ResourceGroupNotFound":
        what = f"resource group {workspace.group}"
    there = f"there is no {what} of the subscription {workspace.subscription}"
    kind = "Microsoft.MachineLearningServices/workspaces"
    lists = f"az resource list --resource-type {kind} --subscription {workspace.subscription} --output table"
    return Refusal(kind="missing", title=there, why=f"{error}.", ways=(lists,))


def role_line(assignee: str, role: str, scope: str) -> str:
    """The command that gives a role."""
    return f'az role assignment create --assignee {assignee} --role "{role}" --scope "{scope}"'


def _others(workspace: Workspace) -> tuple[str, ...]:
    """Of a subscription that is not seen: a text that is no id of one is a slip, an id is one of another tenant."""
    ways = ("az login --tenant TENANT-ID", SUBSCRIPTIONS)
    return ways if re.fullmatch(GUID, workspace.subscription) else ways[::-1]


_CANNOT = "the Azure ML workspace {} cannot be looked at"


def _not_let_in(error: ArmError, workspace: Workspace) -> Refusal:
    found = re.search(_OBJECT, str(error))
    who = found[1] if found else "OBJECT-ID"
    named = f"object id {who}" if found else "who is signed in"
    line = role_line(who, ROLE, workspace.resource)
    return Refusal(
        kind="role",
        title=f"Azure does not let {named} use the workspace {workspace.name}",
        why=f"{error}.",
        ways=(line,) if error.status == 403 else ("az login --tenant TENANT-ID",),
    )
