"""The names that a task's environment holds: what the contract promises its readers, and where OSMO puts things."""

import json
import re
from collections.abc import Mapping

from robotrain.job import Job
from robotrain_azure import workspace

from robotrain_osmo import tracking
from robotrain_osmo.order import WORKFLOW_ID
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import brought

SUBMISSION = "ROBOTRAIN_SUBMISSION"
PLAN = "ROBOTRAIN_PLAN"
"""What tells two workflows of one name apart."""
AUTHORITY = "https://login.microsoftonline.com"


def promised(job: Job) -> dict[str, str]:
    """What the environment says again of the document: the blob datasets, in their order."""
    urls = [source.uri for source in job.sources if source.role == "dataset" and source.kind == "blob_url"]
    text = re.sub(r"\$(?=[$(])", r"\\u0024", json.dumps(urls))  # which Kubernetes would expand
    return {"BLOB_URLS": text} if urls else {}


def environment(job: Job, settings: Settings, inputs: int, plan: str) -> dict[str, str]:
    """All of it. inputs: how many the task has. plan: the digest of what is sent with the workflow."""
    return {
        "NVIDIA_DRIVER_CAPABILITIES": "all",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONUNBUFFERED": "1",
        SUBMISSION: WORKFLOW_ID,
        PLAN: plan,
        **({"OSMO_INPUT_0": "{{input:0}}"} if inputs else {}),
        **{brought.name(index): f"{{{{input:{index}}}}}" for index in range(inputs)},
        **promised(job),
        **_tracked(settings),
    }


def _tracked(settings: Settings) -> Mapping[str, str]:
    uri = tracking.uri(settings)
    patience = {
        "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES": str(settings.mlflow_token_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_http_timeout),
    }
    if not (found := workspace.of_address(uri)):
        return patience if uri else {}
    return {
        "AZURE_SUBSCRIPTION_ID": found.subscription,
        "AZURE_RESOURCE_GROUP": found.group,
        "AZUREML_WORKSPACE_NAME": found.name,
        "AZURE_AUTHORITY_HOST": AUTHORITY,
        **patience,
    }
