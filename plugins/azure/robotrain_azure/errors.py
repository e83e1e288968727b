"""Why a workspace cannot be used, in sentences: whose fault it is, and what to type."""

import re
from dataclasses import dataclass
from typing import Literal

from robotrain_azure import credential
from robotrain_azure.arm import SIGNED_OUT, ArmError
from robotrain_azure.workspace import GUID, Workspace

DATA_SCIENTIST_ROLE = "AzureML Data Scientist"
SUBSCRIPTION_MISSING_CODES = ("SubscriptionNotFound", "InvalidSubscriptionId")
"""Or of another tenant."""
LIST_SUBSCRIPTIONS = "az account list --output table"
_OBJECT_ID = r"object id '([0-9a-fA-F-]{36})'"

DiagnosisKind = Literal["missing", "role", "signed-out", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """kind: what it is. title: a sentence without a full stop. why: Azure's own words. ways: what to type, or to do."""

    kind: DiagnosisKind
    title: str
    why: str
    suggestions: tuple[str, ...]
    network: bool = False


def diagnose_workspace_error(error: ArmError, workspace: Workspace) -> Diagnosis:
    """Of what Azure's resource manager answered, or did not, about a workspace."""
    if error.code in SUBSCRIPTION_MISSING_CODES:
        title = f"who is signed in sees no subscription {workspace.subscription}"
        return Diagnosis(kind="role", title=title, why=f"{error}.", suggestions=_suggest_subscriptions(workspace))
    if error.status == 404:
        return diagnose_missing_workspace(error, workspace)
    if error.code == SIGNED_OUT or (error.status == 401 and error.code in credential.EXPIRED_TOKEN_CODES):
        title, why = _UNREADABLE.format(workspace.name), credential.explain_sign_in_error(error)
        return Diagnosis(kind="signed-out", title=title, why=why, suggestions=("az login",))
    if error.status in (401, 403):
        return _diagnose_denial(error, workspace)
    title, again = _UNREADABLE.format(workspace.name), ("try again later",)
    passing = error.status == 0 or error.status == 429 or error.status >= 500
    return Diagnosis(kind="other", title=title, why=f"{error}.", suggestions=again if passing else (), network=passing)


def diagnose_missing_workspace(error: ArmError, workspace: Workspace) -> Diagnosis:
    """Of a workspace that is not there."""
    what = f"Azure ML workspace {workspace.name} in the resource group {workspace.group}"
    if error.code == "ResourceGroupNotFound":
        what = f"resource group {workspace.group}"
    there = f"there is no {what} of the subscription {workspace.subscription}"
    kind = "Microsoft.MachineLearningServices/workspaces"
    lists = f"az resource list --resource-type {kind} --subscription {workspace.subscription} --output table"
    return Diagnosis(kind="missing", title=there, why=f"{error}.", suggestions=(lists,))


def make_role_command(assignee: str, role: str, scope: str) -> str:
    """The command that gives a role."""
    return f'az role assignment create --assignee {assignee} --role "{role}" --scope "{scope}"'


def _suggest_subscriptions(workspace: Workspace) -> tuple[str, ...]:
    """Of a subscription that is not seen: a text that is no id of one is a slip, an id is one of another tenant."""
    ways = ("az login --tenant TENANT-ID", LIST_SUBSCRIPTIONS)
    return ways if re.fullmatch(GUID, workspace.subscription) else ways[::-1]


_UNREADABLE = "the Azure ML workspace {} cannot be looked at"


def _diagnose_denial(error: ArmError, workspace: Workspace) -> Diagnosis:
    found = re.search(_OBJECT_ID, str(error))
    who = found[1] if found else "OBJECT-ID"
    named = f"object id {who}" if found else "who is signed in"
    line = make_role_command(who, DATA_SCIENTIST_ROLE, workspace.resource)
    return Diagnosis(
        kind="role",
        title=f"Azure does not let {named} use the workspace {workspace.name}",
        why=f"{error}.",
        suggestions=(line,) if error.status == 403 else ("az login --tenant TENANT-ID",),
    )
