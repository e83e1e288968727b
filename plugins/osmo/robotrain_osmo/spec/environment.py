"""Environment variables and credentials of the task."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from robotrain.cluster.settings import SECRET_FLAG
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain_azure import workspace
from robotrain_azure.settings import get_workspace
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import looks_like_secret

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import inputs as spec_inputs
from robotrain_osmo.spec.submission_spec import WORKFLOW_ID, OsmoCredential

make_problem = Messages(__file__)

NAME_PATTERN = r"[a-zA-Z](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?"
NO_TRACKING = "none"


def get_tracking_uri(settings: OsmoSettings) -> str:
    """Return the tracking URI of the job document, or "" without tracking."""
    if settings.tracking_uri:
        return "" if settings.tracking_uri == NO_TRACKING else settings.tracking_uri
    configured = get_workspace(settings)
    return configured.tracking_uri if configured else ""


def find_container_plugins(job: Job, settings: OsmoSettings) -> Mapping[str, str]:
    """Return the plugins that resolve a workspace's tracking URI and models in the container."""
    uri = get_tracking_uri(settings)
    tracking = workspace.CONTAINER_PLUGINS if workspace.parse_tracking_uri(uri) else {}
    return {**tracking, **workspace.find_model_plugins(job.sources, uri)}


CREDENTIAL_FORM = "NAME[:KEY]"
BLOB_CREDENTIAL_FOLDER = "/opt/robotrain/credentials"
"""Folder of the credential that the container reads as files, one for each key."""
_KEY_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


class CredentialUse(NamedTuple):
    """What a credential is for."""

    key: str
    """The key of the secret, unless the option names another."""
    content: str
    """The secret, in words."""
    variable: str
    """The environment variable it becomes; empty if it becomes files."""


CREDENTIAL_USES = {
    "--hf-credential": CredentialUse("hf_token", "your Hugging Face token", "HF_TOKEN"),
    "--wandb-credential": CredentialUse("wandb_api_key", "your Weights & Biases key", "WANDB_API_KEY"),
    "--blob-credential": CredentialUse("access_key", "an account key, a SAS or a token of the storage account", ""),
}
"""By the option that names the credential."""


SECRET_VARIABLE = "ROBOTRAIN_SECRET_{}"
"""The variable of the task with a secret of the program, which gets it as `{}` from the runtime."""


def get_credential_use(flag: str) -> CredentialUse:
    """Return what the credential of an option is for; `flag` is as in `OsmoCredential`."""
    _, is_secret, name = flag.partition(" ")
    if is_secret:
        return CredentialUse(name.lower(), f"the value of {name}", SECRET_VARIABLE.format(name))
    return CREDENTIAL_USES[flag]


class CredentialError(ValueError):
    """A text that is not the name of a credential. The message does not contain the text."""


def parse_credential(credential_text: str, flag: str) -> OsmoCredential:
    """Return the credential that the option `flag` names with `NAME[:KEY]`. Raise CredentialError if it is invalid."""
    name, colon, key = credential_text.partition(":")
    if looks_like_secret(credential_text):
        raise CredentialError("This looks like a secret. A job contains only names of credentials.")
    if not re.fullmatch(NAME_PATTERN, name):
        raise CredentialError("A credential name is a letter followed by letters, digits, `_` and `-`.")
    if colon and not re.fullmatch(_KEY_PATTERN, key):
        raise CredentialError("The key after `:` contains letters, digits, `_`, `.` and `-`.")
    use = get_credential_use(flag)
    return OsmoCredential(name=name, key=key or use.key, flag=flag, what=use.content)


def collect_credentials(job: Job, settings: OsmoSettings) -> tuple[OsmoCredential, ...]:
    """Return the credentials that a job needs. Raise CredentialError if a name is invalid."""
    kinds = {source.kind for source in job.sources}  # what they name may be private
    names_by_flag = {
        "--hf-credential": settings.hf_credential if "huggingface" in kinds or job.publishes_to_hub else None,
        "--wandb-credential": settings.wandb_credential if job.logs_to_wandb else None,
        "--blob-credential": settings.blob_credential,
    }
    service_credentials = tuple(
        parse_credential(credential_text, flag) for flag, credential_text in names_by_flag.items() if credential_text
    )
    return (*service_credentials, *(parse_secret(*pair) for pair in load_pairs(settings.secrets).items()))


def parse_secret(name: str, credential_text: str) -> OsmoCredential:
    """Return the credential of a secret of the program. Raise CredentialError if its name is invalid."""
    return parse_credential(credential_text, f"{SECRET_FLAG} {name}")


def make_credential_references(credentials: Iterable[OsmoCredential]) -> dict[str, str | dict[str, str]]:
    """Return the `credentials` of a task: variables or a folder by name."""
    references: dict[str, Any] = {}
    for credential in credentials:  # `check` refuses a credential with both uses
        if variable := get_credential_use(credential.flag).variable:
            references.setdefault(credential.name, {})[variable] = credential.key
        else:
            references[credential.name] = BLOB_CREDENTIAL_FOLDER
    return references


def make_missing_credential_problem(credential: OsmoCredential, available: Iterable[str]) -> Problem:
    """Return the problem of a credential that OSMO does not have. `available`: the names it has."""
    names = ", ".join(sorted(available))
    name, key = shlex.quote(credential.name), shlex.quote(credential.key)
    command = f"osmo credential set {name} --type GENERIC --payload-file {key}=/path/to/file"
    return make_problem(
        "osmo-credential-missing",
        Suggestion(command, "creates it from a file that contains only the secret"),
        Suggestion(credential.make_option(CREDENTIAL_FORM), "uses another credential"),
        where=credential.flag,
        given=credential.name,
        stage=Stage.PREFLIGHT,
        name=credential.name,
        why=f"It must hold {credential.what} under the key {credential.key}.{f' Available: {names}.' if names else ''}",
    )


SUBMISSION_VARIABLE = "ROBOTRAIN_SUBMISSION"
OUTPUT_VARIABLE = "ROBOTRAIN_STEP_OUTPUT"
OUTPUT_REFERENCE = f"${{{OUTPUT_VARIABLE}}}"
"""The folder of the task that OSMO keeps when it has succeeded, for later tasks and as a dataset."""
NODE_RANK_VARIABLE, NODE_ADDRESS_VARIABLE = "ROBOTRAIN_NODE_RANK", "ROBOTRAIN_NODE_ADDRESS"
"""Of a job of several nodes: the rank of the task's node, and the host of the first one."""
PLAN_VARIABLE = "ROBOTRAIN_PLAN"
"""Distinguishes workflows of one name."""
AZURE_AUTHORITY = "https://login.microsoftonline.com"


def make_compat_env(job: Job) -> dict[str, str]:
    """Return variables for scripts that read BLOB_URLS: the blob datasets in order."""
    urls = [source.uri for source in job.sources if source.role == "dataset" and source.kind == "blob_url"]
    urls_text = re.sub(r"\$(?=[$(])", r"\\u0024", json.dumps(urls))  # Kubernetes would expand it
    return {"BLOB_URLS": urls_text} if urls else {}


def make_environment(job: Job, settings: OsmoSettings, inputs: int, plan: str) -> dict[str, str]:
    """Return the task's environment. `inputs`: their number. `plan`: the mark of its plan."""
    uri = get_tracking_uri(settings)
    tracking = dict[str, str]()
    if target := workspace.parse_tracking_uri(uri):
        tracking = {
            "AZURE_SUBSCRIPTION_ID": target.subscription,
            "AZURE_RESOURCE_GROUP": target.group,
            "AZUREML_WORKSPACE_NAME": target.name,
            "AZURE_AUTHORITY_HOST": AZURE_AUTHORITY,
        }
    if uri:
        tracking["MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES"] = str(settings.mlflow_token_retries)
        tracking["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(settings.mlflow_http_timeout)
    return {
        "NVIDIA_DRIVER_CAPABILITIES": "all",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONUNBUFFERED": "1",
        SUBMISSION_VARIABLE: WORKFLOW_ID,
        PLAN_VARIABLE: plan,
        **({"OSMO_INPUT_0": "{{input:0}}"} if inputs else {}),
        **{spec_inputs.INPUT_VARIABLE.format(index): f"{{{{input:{index}}}}}" for index in range(inputs)},
        **make_compat_env(job),
        **tracking,
    }
