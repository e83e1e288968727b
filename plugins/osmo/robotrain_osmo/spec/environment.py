"""Environment variables of the task: tracking, credentials, and what OSMO fills in."""

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
    """The tracking address of a job document; empty for none."""
    if settings.tracking_uri:
        return "" if settings.tracking_uri == NO_TRACKING else settings.tracking_uri
    found = workspace.get_workspace(settings)
    return found.tracking_uri if found else ""


def get_tracking_plugins(settings: OsmoSettings) -> Mapping[str, str]:
    """The module that finds what a workspace's address stands for today; nothing for an address as MLflow has it."""
    return workspace.CONTAINER_PLUGINS if workspace.parse_tracking_uri(get_tracking_uri(settings)) else {}


CREDENTIAL_FORM = "NAME[:KEY]"
CREDENTIAL_FOLDER = "/opt/robotrain/credentials"
"""Where a credential that is read as files lies in the container: one file a key."""
_KEY_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


@dataclass(frozen=True, slots=True)
class TaskCredential:
    """One that a workflow refers to. setting: that names it. what: it holds, in words. environ: the name of the
    environment that it becomes; empty for one that becomes files.
    """

    name: str
    key: str
    flag: str
    content: str
    variable: str = ""


class CredentialError(ValueError):
    """A text that names no credential. The message does not repeat it."""


def parse_credential(text: str, key: str) -> tuple[str, str]:
    """The name and the key of a text. key: where it says none. Raises CredentialError."""
    name, colon, said = text.partition(":")
    if checks.looks_like_secret(text):
        raise CredentialError("This looks like a token itself: a job never carries one, only the name of a credential.")
    if not re.fullmatch(NAME_PATTERN, name):
        raise CredentialError("A credential's name is letters, digits, `_` and `-`, with a letter first.")
    if colon and not re.fullmatch(_KEY_PATTERN, said):
        raise CredentialError("The key after `:` is letters, digits, `_`, `.` and `-`.")
    return name, said or key


def collect_credentials(job: Job, settings: OsmoSettings) -> tuple[TaskCredential, ...]:
    """Those that a job refers to. Raises CredentialError."""
    found = []
    if (text := settings.hf_credential) and has_hub_source(job):
        found.append(
            TaskCredential(
                *parse_credential(text, "hf_token"), "--hf-credential", "your Hugging Face token", "HF_TOKEN"
            )
        )
    if is_wandb_enabled(job):
        text = settings.wandb_credential
        what = "your Weights & Biases key"
        found.append(
            TaskCredential(*parse_credential(text, "wandb_api_key"), "--wandb-credential", what, "WANDB_API_KEY")
        )
    if text := settings.blob_credential:
        what = "an account key, a SAS or a token of the storage account"
        found.append(TaskCredential(*parse_credential(text, "access_key"), "--blob-credential", what))
    return tuple(found)


def has_hub_source(job: Job) -> bool:
    """Whether the job reads anything of the Hub that may be private; the training itself asks nothing of it."""
    return any(source.kind == "huggingface" for source in job.sources)


def is_wandb_enabled(job: Job) -> bool:
    """Whether the job logs to Weights & Biases."""
    return dict(job.parameters).get("wandb") is True


def make_credential_references(credentials: tuple[TaskCredential, ...]) -> dict[str, str | dict[str, str]]:
    """What a task says of them: names of the environment, or a folder."""
    found: dict[str, str | dict[str, str]] = {}
    for one in credentials:
        before = found.get(one.name, {})
        assert isinstance(before, dict)  # `check` refuses one that is both
        found[one.name] = {**before, one.variable: one.key} if one.variable else CREDENTIAL_FOLDER
    return found


SUBMISSION_VARIABLE = "ROBOTRAIN_SUBMISSION"
PLAN_VARIABLE = "ROBOTRAIN_PLAN"
"""What tells two workflows of one name apart."""
AZURE_AUTHORITY = "https://login.microsoftonline.com"


def make_compat_env(job: Job) -> dict[str, str]:
    """What the environment says again of the document: the blob datasets, in their order."""
    urls = [source.uri for source in job.sources if source.role == "dataset" and source.kind == "blob_url"]
    text = re.sub(r"\$(?=[$(])", r"\\u0024", json.dumps(urls))  # which Kubernetes would expand
    return {"BLOB_URLS": text} if urls else {}


def make_environment(job: Job, settings: OsmoSettings, inputs: int, plan: str) -> dict[str, str]:
    """All of it. inputs: how many the task has. plan: the digest of what is sent with the workflow."""
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
    patience = {
        "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES": str(settings.mlflow_token_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_http_timeout),
    }
    if not (found := workspace.parse_tracking_uri(uri)):
        return patience if uri else {}
    return {
        "AZURE_SUBSCRIPTION_ID": found.subscription,
        "AZURE_RESOURCE_GROUP": found.group,
        "AZUREML_WORKSPACE_NAME": found.name,
        "AZURE_AUTHORITY_HOST": AZURE_AUTHORITY,
        **patience,
    }
