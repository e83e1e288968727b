"""Settings that every platform which speaks to Azure has, under one name each (contract A.1, A.2 and B)."""

from dataclasses import dataclass
from typing import Annotated

from robotrain_runtime.parameter import Param

TRACKED_ELSEWHERE = "tracking_uri"
"""The setting with which a platform that has it tracks runs elsewhere than in a workspace, or nowhere."""


GROUP = Param(
    help="its resource group",
    aliases=("--azure-resource-group",),
    env=("AZURE_RESOURCE_GROUP",),
    terraform="resource_group.value.name",
    unless=TRACKED_ELSEWHERE,
    together=("subscription_id", "workspace_name"),
    metavar="NAME",
)
WORKSPACE = Param(
    help="the Azure ML workspace that runs are tracked and models registered in",
    aliases=("--azure-workspace-name",),
    env=("AZUREML_WORKSPACE_NAME",),
    terraform="azureml_workspace.value.name",
    unless=TRACKED_ELSEWHERE,
    together=("subscription_id", "resource_group"),
    metavar="NAME",
)


@dataclass(frozen=True, kw_only=True)
class AzureSettings:
    """Inherited by a platform's own settings; its fields come first."""

    subscription_id: Annotated[
        str | None,
        Param(
            help="the Azure subscription of the workspace",
            aliases=("--azure-subscription-id",),
            env=("AZURE_SUBSCRIPTION_ID",),
            terraform="subscription_id.value",
            unless=TRACKED_ELSEWHERE,
            lookup="robotrain_azure.profile:default_subscription",
            metavar="ID",
        ),
    ] = None
    resource_group: Annotated[str | None, GROUP] = None
    workspace_name: Annotated[str | None, WORKSPACE] = None
    workload_identity: Annotated[
        str | None,
        Param(
            help="client id of the identity that jobs have there, to look its roles up before anything is sent",
            terraform="ml_workload_identity.value.client_id",
            beside=True,
            metavar="ID",
        ),
    ] = None
    mlflow_token_retries: Annotated[
        int,
        Param(help="how often tracking renews a refused token", env=("MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES",), ge=0),
    ] = 3
    mlflow_http_timeout: Annotated[
        int, Param(help="seconds that a request of tracking may take", env=("MLFLOW_HTTP_REQUEST_TIMEOUT",), gt=0)
    ] = 60
