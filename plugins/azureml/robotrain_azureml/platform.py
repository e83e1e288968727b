"""The platform `azureml`, as help and the TAB key need it. What acts for it is `engine.py`."""

from collections.abc import Iterable

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_azureml.capabilities import CAPABILITIES
from robotrain_azureml.settings import AzureMLSettings

AZUREML = Platform(
    name="azureml",
    summary="Azure Machine Learning, as a command job of a workspace",
    engine_class="robotrain_azureml.engine:AzureMLEngine",
    plans_class="robotrain_azureml.plans:AzureMLPlans",
    settings=AzureMLSettings,
    capabilities=CAPABILITIES,
    cancel_command=(
        "az ml job cancel --name {job} --workspace-name {workspace} --resource-group {group}"
        " --subscription {subscription}"
    ),
)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (AZUREML,)
