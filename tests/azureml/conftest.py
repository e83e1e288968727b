"""An Azure ML workspace on this machine: in a moment, and with Azurite and MLflow for what is slow."""

from azure_stand_in.fixtures import azure, azure_session, tenant_session, workspace_session
from azure_stand_in.ml.fixtures import azureml, azureml_session, azureml_stored, nobody
from azureml_observed import observing, run

__all__ = [
    "azure",
    "azure_session",
    "azureml",
    "azureml_session",
    "azureml_stored",
    "nobody",
    "observing",
    "run",
    "tenant_session",
    "workspace_session",
]
