"""Rules on where in Azure a job runs: a workspace, with all three of its names."""

import re
from collections.abc import Iterator

from robotrain.problem import Problem
from robotrain_azure import names_said, workspace
from robotrain_azure.finding import missing, ways

from robotrain_azureml.rules.finding import unfit
from robotrain_azureml.settings import Settings

IDENTITY = "--workload-identity"
LISTED = "az resource list --resource-type Microsoft.MachineLearningServices/workspaces --output table"


def workspace_names(settings: Settings) -> Iterator[Problem]:
    """Names that are none, and those that are missing: a job runs nowhere else."""
    for flag, text in names_said.wrong(settings):
        yield unfit(flag, text, names_said.WHAT, names_said.WHY)
    identity = settings.workload_identity
    if identity and names_said.is_name(IDENTITY, identity) and not re.fullmatch(names_said.GUID, identity):
        listed = 'az identity list --query "[].[name, clientId]" --output table'
        why = f"It is a GUID. `{listed}` shows them."
        yield unfit(IDENTITY, identity, "the client id of a managed identity", why)
    said = (settings.subscription_id, settings.resource_group, settings.workspace_name)
    lacking = [flag for flag, name in zip(workspace.FLAGS, said, strict=True) if not name]
    if lacking:
        part = "the workspace is named in part" if settings.resource_group or settings.workspace_name else ""
        title = f"{part or 'no workspace is named'}: {', '.join(lacking)} {'are' if lacking[1:] else 'is'} missing"
        why = f"A job of Azure ML runs in a workspace, which all three of its names find. `{LISTED}` shows yours."
        signed_in = "az login" if workspace.FLAGS[0] in lacking else ""
        instead = ways(" ".join(f"{flag} …" for flag in lacking), signed_in)
        yield missing("azureml-workspace-incomplete", title, lacking[0], why, instead)
