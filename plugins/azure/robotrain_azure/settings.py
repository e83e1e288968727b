"""Settings that all platforms on Azure have: their workspace, what the Azure CLI suggests, hints for other options."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from robotrain.cluster.settings import ClusterSettings
from robotrain.model.platform import PlatformDefault
from robotrain_runtime.contract.parameter import Param, TerraformOutput

from robotrain_azure import workspace
from robotrain_azure.workspace import Workspace

TRACKING_SETTING = "tracking_uri"
"""The setting with which a platform tracks runs outside a workspace, or not at all."""


RESOURCE_GROUP = Param(
    help="resource group of the Azure ML workspace",
    aliases=("--azure-resource-group",),
    env=("AZURE_RESOURCE_GROUP",),
    terraform=TerraformOutput(
        "resource_group.value.name",
        optional_with=TRACKING_SETTING,
        needed_with=("subscription_id", "workspace_name"),
    ),
    metavar="NAME",
    pattern=workspace.GROUP_PATTERN,
    pattern_help="1 to 90 letters, digits and - _ . ( ), with no dot at the end",
    destination=True,
    is_joint=True,
)
WORKSPACE_NAME = Param(
    help="Azure ML workspace for tracked runs and registered models",
    aliases=("--azure-workspace-name",),
    env=("AZUREML_WORKSPACE_NAME",),
    terraform=TerraformOutput(
        "azureml_workspace.value.name",
        optional_with=TRACKING_SETTING,
        needed_with=("subscription_id", "resource_group"),
    ),
    metavar="NAME",
    pattern=workspace.NAME_PATTERN,
    pattern_help="3 to 255 letters, digits, - and _, the first a letter or a digit",
    destination=True,
    is_joint=True,
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
            terraform=TerraformOutput("subscription_id.value", optional_with=TRACKING_SETTING),
            lookup="robotrain_azure.workspace:find_default_subscription",
            metavar="ID",
            pattern=workspace.SUBSCRIPTION_PATTERN,
            pattern_help="its GUID, which `az account show --query id` prints",
            destination=True,
            is_joint=True,
        ),
    ] = None
    resource_group: Annotated[str | None, RESOURCE_GROUP] = None
    workspace_name: Annotated[str | None, WORKSPACE_NAME] = None
    workload_identity: Annotated[
        str | None,
        Param(
            help="client id of the jobs' identity",
            terraform=TerraformOutput("ml_workload_identity.value.client_id", is_optional=True),
            metavar="ID",
            pattern=r"[A-Za-z0-9-]{1,64}",
            pattern_help="a client id of letters, digits and dashes",
            names="account",
        ),
    ] = None
    mlflow_token_retries: Annotated[
        int,
        Param(help="how often tracking renews a rejected token", env=("MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES",), ge=0),
    ] = 3
    mlflow_http_timeout: Annotated[
        int, Param(help="timeout of a tracking request in seconds", env=("MLFLOW_HTTP_REQUEST_TIMEOUT",), gt=0)
    ] = 60


def get_workspace(settings: AzureSettings) -> Workspace | None:
    """Return the workspace of the settings; None unless all three names are set."""
    subscription, group, name = settings.subscription_id, settings.resource_group, settings.workspace_name
    return Workspace(subscription, group, name) if subscription and group and name else None


WORKSPACE_SETTINGS = ("subscription_id", "resource_group", "workspace_name")


def list_missing_flags(settings: AzureSettings) -> tuple[str, ...]:
    """Return the flags of the workspace's names that are not set."""
    names = zip(workspace.WORKSPACE_FLAGS, WORKSPACE_SETTINGS, strict=True)
    return tuple(flag for flag, name in names if not getattr(settings, name))


def find_missing_flags(settings: AzureSettings) -> tuple[str, ...]:
    """Return the flags of missing names if some are set. A subscription alone does not count: the CLI has a default."""
    return list_missing_flags(settings) if settings.resource_group or settings.workspace_name else ()


CLI_DEFAULTS = {"resource_group": "group", "workspace_name": "workspace"}
"""The setting, and its name in `az configure --defaults`."""


def suggest_workspace_settings() -> dict[str, PlatformDefault]:
    """Return the workspace that the Azure CLI is configured with, from its files; an unknown setting has no value."""
    import configparser

    file = Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure") / "config"
    config = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, ValueError, configparser.Error):
        config.read(file, encoding="utf-8-sig")
    defaults = {"subscription_id": PlatformDefault(*(workspace.find_default_subscription() or ("", "")))}
    for setting, name in CLI_DEFAULTS.items():
        configured_name = config.get("defaults", name, fallback="").strip()
        defaults[setting] = PlatformDefault(configured_name, "az configure --defaults" if configured_name else "")
    return defaults
