"""The platform `azureml`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook
from robotrain_azure.settings import OPTION_HINTS

from robotrain_azureml.capabilities import CAPABILITIES
from robotrain_azureml.settings import AzureMLSettings

_PATCH_HINT = "use --spec-patch FILE, where FILE has `{}`"
_IDENTITY_HINT = _PATCH_HINT.format("identity: {type: user_identity, client_id: null}")
_SPOT_HINT = _PATCH_HINT.format("queue_settings: {job_tier: spot}")
JOB_KEY_HINTS = {
    "--output-datastore": "use --datastore NAME",
    "--identity": f"{_IDENTITY_HINT}; a managed one is --workload-identity CLIENT-ID",
    **dict.fromkeys(("--spot", "--job-tier"), f"{_SPOT_HINT}; a compute says itself if it is spot"),
    "--description": _PATCH_HINT.format("description: TEXT"),
    "--services": _PATCH_HINT.format("services: {NAME: {type: KIND}}"),
}
"""Options that people bring from `az ml`, or from the job file that it takes, each with what to use instead."""

AZUREML = Platform(
    name="azureml",
    summary="Azure Machine Learning, as a command job of a workspace",
    engine_class="robotrain_azureml.engine:AzureMLEngine",
    plans_class="robotrain_azureml.plans:AzureMLPlans",
    settings=AzureMLSettings,
    capabilities=CAPABILITIES,
    option_hints={**OPTION_HINTS, **JOB_KEY_HINTS, "--time": "use --exec-timeout TIME"},
    cancel_command=(
        "az ml job cancel --name {job} --workspace-name {workspace} --resource-group {group}"
        " --subscription {subscription}"
    ),
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (AZUREML,)
