"""Settings that all platforms on Azure have, and hints for options of other tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from robotrain.cluster.settings import ClusterSettings
from robotrain_runtime.contract.parameter import Param

TRACKING_SETTING = "tracking_uri"
"""The setting with which a platform tracks runs outside a workspace, or not at all."""


RESOURCE_GROUP = Param(
    help="resource group of the Azure ML workspace",
    aliases=("--azure-resource-group",),
    env=("AZURE_RESOURCE_GROUP",),
    terraform="resource_group.value.name",
    optional_with=TRACKING_SETTING,
    needed_with=("subscription_id", "workspace_name"),
    metavar="NAME",
    destination=True,
)
WORKSPACE_NAME = Param(
    help="Azure ML workspace for tracked runs and registered models",
    aliases=("--azure-workspace-name",),
    env=("AZUREML_WORKSPACE_NAME",),
    terraform="azureml_workspace.value.name",
    optional_with=TRACKING_SETTING,
    needed_with=("subscription_id", "resource_group"),
    metavar="NAME",
    destination=True,
)


@dataclass(frozen=True, kw_only=True)
class AzureSettings(ClusterSettings):
    """Settings that platforms on Azure inherit."""

    subscription_id: Annotated[
        str | None,
        Param(
            help="Azure subscription of the workspace",
            aliases=("--azure-subscription-id",),
            env=("AZURE_SUBSCRIPTION_ID",),
            terraform="subscription_id.value",
            optional_with=TRACKING_SETTING,
            lookup="robotrain_azure.workspace:find_default_subscription",
            metavar="ID",
            destination=True,
        ),
    ] = None
    resource_group: Annotated[str | None, RESOURCE_GROUP] = None
    workspace_name: Annotated[str | None, WORKSPACE_NAME] = None
    workload_identity: Annotated[
        str | None,
        Param(
            help="client id of the jobs' identity, whose roles are checked before submission",
            terraform="ml_workload_identity.value.client_id",
            terraform_optional=True,
            metavar="ID",
        ),
    ] = None
    mlflow_token_retries: Annotated[
        int,
        Param(help="how often tracking renews a rejected token", env=("MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES",), ge=0),
    ] = 3
    mlflow_http_timeout: Annotated[
        int, Param(help="timeout of a tracking request in seconds", env=("MLFLOW_HTTP_REQUEST_TIMEOUT",), gt=0)
    ] = 60


_MODEL_HINT = "use --policy-model azureml:NAME:VERSION"

MODEL_OPTION_HINTS: Mapping[str, str] = dict.fromkeys(
    ("--from-aml-model", "--model-name", "--model-version", "AML_MODEL_NAME", "AML_MODEL_VERSION"), _MODEL_HINT
)
