"""Settings as the job uses them: compute, machine, environment, timeout, tags, secret; and their defaults."""

import re
from collections.abc import Mapping

from robotrain.cluster import checks
from robotrain.cluster.spec_patch import load_patch
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.model.workload_profile import WorkloadProfile
from robotrain_azure import workspace
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import looks_like_secret

from robotrain_azureml.settings import REGISTRY_ENVIRONMENT, AzureMLSettings
from robotrain_azureml.spec.submission_spec import WorkspaceEnvironment

make_problem = Messages(__file__)

MAX_COMPUTE_NAME = 16
"""The length limit of a compute name derived from a cluster's (contract B)."""


def get_compute_name(settings: AzureMLSettings) -> str:
    """Return the compute: as set, else `k8s-robot-dev-00` for the AKS cluster `aks-robot-dev-001`; empty for none.

    A patch may replace it, or remove it: a serverless job has none.
    """
    if chooses_compute_by_patch(settings):
        return str(load_patch(settings.spec_patch)["compute"] or "").removeprefix("azureml:")
    if settings.compute or not settings.aks_cluster:
        return settings.compute or ""
    return f"k8s-{settings.aks_cluster.removeprefix('aks-')}"[:MAX_COMPUTE_NAME].removesuffix("-")


def chooses_compute_by_patch(settings: AzureMLSettings) -> bool:
    """Return whether a patch replaces or removes the compute."""
    return "compute" in load_patch(settings.spec_patch)


def get_job_workspace(settings: AzureMLSettings) -> Workspace:
    """Return the workspace of a job; a name that is not set is empty, which `check` rejects."""
    return Workspace(settings.subscription_id or "", settings.resource_group or "", settings.workspace_name or "")


INSTANCE_TYPE_GPUS: Mapping[str, int] = {"gpuspot": 1, "gpuspot2": 2, "gpuspot4": 4, "gpu": 1, "gpu2": 2, "gpu4": 4}
"""GPUs of the instance types of the reference clusters (contract E.2); users may have others."""
DEFAULT_INSTANCE_TYPES: Mapping[int, str] = {1: "gpuspot", 2: "gpuspot2", 4: "gpuspot4"}


COMPUTE_DEFAULT = ""
"""The instance type that stands for the default one of a Kubernetes compute, which has no GPU unless it was changed.

Nobody can give it: an empty value counts as unset.
"""


def choose_instance_type(job: Job, settings: AzureMLSettings) -> str:
    """Return the instance type: as set, else by the GPUs; empty on a managed compute or if none fits."""
    is_serverless = chooses_compute_by_patch(settings) and not get_compute_name(settings)
    if settings.compute_kind == "managed" or is_serverless:
        return ""
    if settings.instance_type is not None:
        return settings.instance_type
    return DEFAULT_INSTANCE_TYPES.get(job.training_gpus or 1, "")


def get_image(profile: WorkloadProfile, settings: AzureMLSettings) -> str:
    """Return the container image."""
    return profile.container.image if settings.image is None else settings.image


def parse_registry_environment(environment_name: str) -> tuple[str, str, str] | None:
    """Return the registry, the name and the version of an environment's full name; None for another text."""
    match = re.fullmatch(REGISTRY_ENVIRONMENT, environment_name)
    return (match["registry"], match["name"], match["version"]) if match else None


def make_environment(job: Job, settings: AzureMLSettings) -> WorkspaceEnvironment:
    """Return the environment that the job uses. Raises ValueError."""
    name = get_environment_name(job.profile, settings)
    if registry_environment := parse_registry_environment(name):
        registry, name, version = registry_environment
        return WorkspaceEnvironment(name=name, version=version, image="", registry=registry, chosen=True)
    return WorkspaceEnvironment(
        name=name,
        version=get_environment_version(job.profile, settings),
        image=get_image(job.profile, settings),
        chosen=bool(settings.image is None and settings.environment_name and settings.environment_version),
    )


def get_environment_name(profile: WorkloadProfile, settings: AzureMLSettings) -> str:
    """Return the environment's name."""
    name = settings.environment_name
    return profile.container.environment if name is None else name


def get_environment_version(profile: WorkloadProfile, settings: AzureMLSettings) -> str:
    """Return the environment's version: as set, else from the image. Raises ValueError."""
    return settings.environment_version or make_environment_version(get_image(profile, settings))


def make_environment_version(image: str) -> str:
    """Return `2.11.0-runtime` for `pytorch:2.11.0-runtime`, plus `-sha256-DIGEST` if the image has a digest.

    Equal images have equal versions (contract A.0). Raises ValueError without a tag.
    """
    reference = checks.parse_image_reference(image)
    if reference is None or not reference.tag:
        raise ValueError("the image has no tag for the version of its environment")
    return f"{reference.tag}-sha256-{reference.digest}" if reference.digest else reference.tag


MAX_TIMEOUT_SECONDS = 365 * 86400
"""A longer time is a typing error."""


def parse_timeout(settings: AzureMLSettings) -> int | None:
    """Return the seconds of `--exec-timeout`; None for no limit. Raises QuantityError."""
    if settings.exec_timeout is None:
        return None
    seconds = checks.parse_duration(settings.exec_timeout, MAX_TIMEOUT_SECONDS, "It is more than a year.")
    if seconds != int(seconds):
        raise checks.QuantityError("It is not a whole number of seconds.", f"{int(seconds)}s")
    return int(seconds)


SECRET_FORM = "https://VAULT.vault.azure.net/secrets/NAME"
VAULT_NAME = r"(?=[A-Za-z0-9-]{3,24}(?![A-Za-z0-9-]))[a-z](?:-?[a-z0-9])*"
SECRET_NAME = r"[A-Za-z0-9-]{1,127}"
_VAULT_SUFFIX = "|".join(re.escape(suffix) for suffix in workspace.VAULT_SUFFIXES)
_SECRET_ADDRESS = rf"https://((?i:{VAULT_NAME}\.(?:{_VAULT_SUFFIX})))/secrets/({SECRET_NAME})(?:/([0-9a-f]{{32}}))?/?"


class SecretNameError(ValueError):
    """An invalid name of a secret. The message does not repeat it."""


HUB_KIND, HUB_FLAG = "huggingface", "--hf-credential"
"""The kind of sources that may need a token, and the option with the name of its secret."""


def get_hub_secret(job: Job, settings: AzureMLSettings) -> str:
    """Return the name or URL of the secret with the token that the job's sources need; empty for none."""
    needs_token = job.publishes_to_hub or any(source.kind == HUB_KIND for source in job.sources)
    return (needs_token and settings.hf_credential) or ""


def list_credential_addresses(job: Job, settings: AzureMLSettings) -> dict[str, str]:
    """Return the URLs of the secrets with tokens that the job's sources need, by kind. Raises SecretNameError."""
    secret_reference = get_hub_secret(job, settings)
    return {HUB_KIND: make_secret_address(secret_reference, settings.key_vault or "")} if secret_reference else {}


def list_secret_addresses(settings: AzureMLSettings) -> dict[str, str]:
    """Return the URLs of the program's secrets by environment variable. Raises SecretNameError."""
    secrets = load_pairs(settings.secrets)
    return {
        name: make_secret_address(secret_reference, settings.key_vault or "")
        for name, secret_reference in secrets.items()
    }


def make_secret_address(secret_reference: str, vault: str) -> str:
    """Return the URL of a secret that is given by its name in a vault or by its URL. Raises SecretNameError."""
    if match := re.fullmatch(_SECRET_ADDRESS, secret_reference, re.ASCII):
        host, name, version = match.groups()
        _refuse_token(name)
        return f"https://{host.lower()}/secrets/{name}{f'/{version}' if version else ''}"
    _refuse_token(secret_reference)
    if not re.fullmatch(SECRET_NAME, secret_reference):
        raise SecretNameError(f"It is a secret's name of letters, digits and `-`, or {SECRET_FORM}.")
    return f"https://{vault.lower()}.{workspace.get_cloud().vault}/secrets/{secret_reference}"


def _refuse_token(secret_name: str) -> None:
    if secret_name.lower().startswith("hf_") or looks_like_secret(secret_name):
        raise SecretNameError("This looks like a token: jobs contain only the name of its secret.")


LOOKED_UP = "looked up in the workspace at submission"


def derive_defaults(job: Job, settings: AzureMLSettings) -> dict[str, PlatformDefault]:
    """Return the defaults that depend on other settings, by name; the caller ignores those that are set."""
    for_workload = f"for {job.workload}"
    defaults = dict[str, PlatformDefault]()
    if compute := get_compute_name(settings):
        defaults["compute"] = PlatformDefault(compute, f"for the AKS cluster {settings.aks_cluster}")
    if instance_type := choose_instance_type(job, settings):
        gpus = job.training_gpus or 1
        managed_note = "" if settings.compute_kind else "; none on a managed compute"
        reason = f"for {gpus} GPU{'' if gpus == 1 else 's'}{managed_note}"
        defaults["instance_type"] = PlatformDefault(instance_type, reason)
    environment = make_environment(job, settings)
    return defaults | {
        "image": PlatformDefault(get_image(job.profile, settings), for_workload),
        "environment_name": PlatformDefault(get_environment_name(job.profile, settings), for_workload),
        "environment_version": PlatformDefault(
            environment.version, f"from the {'environment' if environment.registry else 'image'}"
        ),
        "display_name": PlatformDefault("", "the job's name if it was given, else the run's"),
        "experiment_name": PlatformDefault(get_experiment_name(job), for_workload),
        "compute_kind": PlatformDefault("", LOOKED_UP),
        "workload_identity": PlatformDefault("", LOOKED_UP),
    }


def get_experiment_name(job: Job) -> str:
    """Return the experiment: as set, else the workload's."""
    return str(dict(job.parameters).get("experiment_name") or job.profile.experiment or job.workload)
