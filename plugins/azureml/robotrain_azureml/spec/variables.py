"""The names that a job's environment holds: what the contract promises its readers.

No text that a person typed freely is among them: such text is in the job document alone.
"""

import json
import re
from collections.abc import Iterable

from robotrain.job import Job
from robotrain_azure import cloud

from robotrain_azureml.settings import Settings

_EXPANDED = r"\$(?=[$({])"
"""A dollar that Kubernetes or Azure ML would read as the begin of a name."""


def promised(job: Job) -> dict[str, str]:
    """What the environment says again of the document: its sources, in their order."""
    found: dict[str, str] = {}
    if assets := _uris(job, "dataset", "data_asset"):
        found |= {"DATASET_ASSETS": _listed(assets), "DATASET_ASSET_COUNT": str(len(assets))}
    if urls := _uris(job, "dataset", "blob_url"):
        found["BLOB_URLS"] = _listed(urls)
    for uri in _uris(job, "init_policy"):
        if not re.search(_EXPANDED, uri):  # it would come out as another one, and cannot be written otherwise
            found["INIT_FROM_POLICY_MODEL_SOURCE"] = uri
    return found


def variables(job: Job, settings: Settings) -> dict[str, str]:
    """All of them."""
    return {
        "PYTHONUNBUFFERED": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "AZURE_AUTHORITY_HOST": f"https://{cloud.here().authority}",
        **({"AZURE_CLIENT_ID": settings.workload_identity} if settings.workload_identity else {}),
        "AZURE_SUBSCRIPTION_ID": settings.subscription_id or "",
        "AZURE_RESOURCE_GROUP": settings.resource_group or "",
        "AZUREML_WORKSPACE_NAME": settings.workspace_name or "",
        "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES": str(settings.mlflow_token_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_http_timeout),
        **promised(job),
    }


def _uris(job: Job, role: str, *kinds: str) -> list[str]:
    return [one.uri for one in job.sources if one.role == role and (not kinds or one.kind in kinds)]


def _listed(uris: Iterable[str]) -> str:
    """As JSON; a dollar that would be read is written as its number there, which means the same."""
    return re.sub(_EXPANDED, r"\\u0024", json.dumps(uris))
