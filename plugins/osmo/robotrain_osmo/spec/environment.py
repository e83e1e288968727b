"""Environment variables and credentials of the task."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from robotrain.model.job import Job
from robotrain_azure import checks, workspace

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import inputs as spec_inputs
from robotrain_osmo.spec.submission_spec import WORKFLOW_ID

NAME_PATTERN = r"[a-zA-Z](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?"
NO_TRACKING = "none"


def get_tracking_uri(settings: OsmoSettings) -> str:
    """Return the tracking URI of the job document, or "" without tracking."""
    if settings.tracking_uri:
        return "" if settings.tracking_uri == NO_TRACKING else settings.tracking_uri
    configured = workspace.get_workspace(settings)
    return configured.tracking_uri if configured else ""


def find_container_plugins(job: Job, settings: OsmoSettings) -> Mapping[str, str]:
    """Return the plugins that resolve a workspace's tracking URI and models in the container."""
    tracking = workspace.CONTAINER_PLUGINS if workspace.parse_tracking_uri(get_tracking_uri(settings)) else {}
    return {**tracking, **workspace.find_model_plugins(job.sources)}


CREDENTIAL_FORM = "NAME[:KEY]"
CREDENTIAL_FOLDER = "/opt/robotrain/credentials"
"""Folder of a credential that the container reads as files, one for each key."""
_KEY_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


@dataclass(frozen=True, slots=True)
class TaskCredential:
    """A credential that the workflow names."""

    name: str
    key: str
    flag: str
    """The option that named it."""
    content: str
    """The secret it holds, in words."""
    variable: str = ""
    """The environment variable it becomes; empty if it becomes files."""


class CredentialError(ValueError):
    """A text that is not the name of a credential. The message does not contain the text."""


def parse_credential(text: str, key: str) -> tuple[str, str]:
    """Return the name and the key of `NAME[:KEY]`; `key` is the default. Raise CredentialError if it is invalid."""
    name, colon, explicit_key = text.partition(":")
    if checks.looks_like_secret(text):
        raise CredentialError("This looks like a secret. A job contains only names of credentials.")
    if not re.fullmatch(NAME_PATTERN, name):
        raise CredentialError("A credential name is a letter followed by letters, digits, `_` and `-`.")
    if colon and not re.fullmatch(_KEY_PATTERN, explicit_key):
        raise CredentialError("The key after `:` contains letters, digits, `_`, `.` and `-`.")
    return name, explicit_key or key


def collect_credentials(job: Job, settings: OsmoSettings) -> tuple[TaskCredential, ...]:
    """Return the credentials that a job needs. Raise CredentialError if a name is invalid."""
    credentials = []
    if (text := settings.hf_credential) and has_hub_source(job):
        name, key = parse_credential(text, "hf_token")
        credentials.append(TaskCredential(name, key, "--hf-credential", "your Hugging Face token", "HF_TOKEN"))
    if is_wandb_enabled(job):
        name, key = parse_credential(settings.wandb_credential, "wandb_api_key")
        content = "your Weights & Biases key"
        credentials.append(TaskCredential(name, key, "--wandb-credential", content, "WANDB_API_KEY"))
    if text := settings.blob_credential:
        name, key = parse_credential(text, "access_key")
        content = "an account key, a SAS or a token of the storage account"
        credentials.append(TaskCredential(name, key, "--blob-credential", content))
    return tuple(credentials)


def has_hub_source(job: Job) -> bool:
    """Return whether the job reads a repository of the Hub, which may be private."""
    return any(source.kind == "huggingface" for source in job.sources)


def is_wandb_enabled(job: Job) -> bool:
    """Return whether the job logs to Weights & Biases."""
    return dict(job.parameters).get("wandb") is True


def make_credential_references(credentials: tuple[TaskCredential, ...]) -> dict[str, str | dict[str, str]]:
    """Return the `credentials` of a task: variables or a folder by name."""
    references: dict[str, str | dict[str, str]] = {}
    for credential in credentials:
        variables = references.get(credential.name, {})
        assert isinstance(variables, dict)  # `check` refuses a credential with both uses
        references[credential.name] = (
            {**variables, credential.variable: credential.key} if credential.variable else CREDENTIAL_FOLDER
        )
    return references


SUBMISSION_VARIABLE = "ROBOTRAIN_SUBMISSION"
PLAN_VARIABLE = "ROBOTRAIN_PLAN"
"""Distinguishes workflows of one name."""
AZURE_AUTHORITY = "https://login.microsoftonline.com"


def make_compat_env(job: Job) -> dict[str, str]:
    """Return variables for scripts that read BLOB_URLS: the blob datasets in order."""
    urls = [source.uri for source in job.sources if source.role == "dataset" and source.kind == "blob_url"]
    text = re.sub(r"\$(?=[$(])", r"\\u0024", json.dumps(urls))  # Kubernetes would expand it
    return {"BLOB_URLS": text} if urls else {}


def make_environment(job: Job, settings: OsmoSettings, inputs: int, plan: str) -> dict[str, str]:
    """Return the task's environment. `inputs`: their number. `plan`: the digest of what is sent."""
    return {
        "NVIDIA_DRIVER_CAPABILITIES": "all",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONUNBUFFERED": "1",
        SUBMISSION_VARIABLE: WORKFLOW_ID,
        PLAN_VARIABLE: plan,
        **({"OSMO_INPUT_0": "{{input:0}}"} if inputs else {}),
        **{spec_inputs.get_input_variable(index): f"{{{{input:{index}}}}}" for index in range(inputs)},
        **make_compat_env(job),
        **_make_tracking_env(settings),
    }


def _make_tracking_env(settings: OsmoSettings) -> Mapping[str, str]:
    uri = get_tracking_uri(settings)
    timeouts = {
        "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES": str(settings.mlflow_token_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_http_timeout),
    }
    if not (target := workspace.parse_tracking_uri(uri)):
        return timeouts if uri else {}
    return {
        "AZURE_SUBSCRIPTION_ID": target.subscription,
        "AZURE_RESOURCE_GROUP": target.group,
        "AZUREML_WORKSPACE_NAME": target.name,
        "AZURE_AUTHORITY_HOST": AZURE_AUTHORITY,
        **timeouts,
    }
