"""Settings as the job uses them: compute, machine, environment, timeout, tags, secret; their defaults.

Its version is made of the image's name, so that equal images have equal ones (contract A.0).
"""

import re
from collections.abc import Iterator, Mapping

from robotrain.config.coerce import parse_pairs
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.model.workload import WorkloadProfile
from robotrain_azure import checks, workspace

from robotrain_azureml.settings import AzureMLSettings

MAX_COMPUTE_NAME = 16
"""Characters of a compute's name that is made of a cluster's (contract B)."""


def get_compute_name(settings: AzureMLSettings) -> str:
    """As said, else that of the AKS cluster; empty where neither is known."""
    return settings.compute or (make_compute_name(settings.aks_cluster) if settings.aks_cluster else "")


def make_compute_name(cluster: str) -> str:
    """`k8s-` and the cluster's name without `aks-`: `k8s-robot-dev-00` of `aks-robot-dev-001`."""
    return f"k8s-{cluster.removeprefix('aks-')}"[:MAX_COMPUTE_NAME].removesuffix("-")


INSTANCE_TYPE_GPUS: Mapping[str, int] = {"gpuspot": 1, "gpuspot2": 2, "gpuspot4": 4, "gpu": 1, "gpu2": 2, "gpu4": 4}
"""The GPUs of the instance types that the reference's clusters come with (contract E.2). Others are somebody's own."""
DEFAULT_INSTANCE_TYPES: Mapping[int, str] = {1: "gpuspot", 2: "gpuspot2", 4: "gpuspot4"}


def is_managed(settings: AzureMLSettings) -> bool:
    """Whether the compute is one of Azure ML's own, whose machines are of one kind."""
    return settings.compute_kind == "managed"


def get_gpu_count(job: Job) -> int:
    """Those that the job says it trains on; 0 where its workload says nothing of them."""
    found = dict(job.parameters).get("num_gpus")
    return found if isinstance(found, int) else 0


def choose_instance_type(job: Job, settings: AzureMLSettings) -> str:
    """As said, else by the GPUs that the job trains on; empty on a managed compute, and where no type has so many."""
    if is_managed(settings):
        return ""
    return settings.instance_type or DEFAULT_INSTANCE_TYPES.get(get_gpu_count(job) or 1, "")


def get_image(profile: WorkloadProfile, settings: AzureMLSettings) -> str:
    """The container's."""
    return profile.container.image if settings.image is None else settings.image


def get_environment_name(profile: WorkloadProfile, settings: AzureMLSettings) -> str:
    """The environment's, without its version."""
    said = settings.environment_name
    return profile.container.environment if said is None else said


def get_environment_version(profile: WorkloadProfile, settings: AzureMLSettings) -> str:
    """As said, else of the image. Raises ValueError."""
    return settings.environment_version or make_environment_version(get_image(profile, settings))


def make_environment_version(image: str) -> str:
    """`2.11.0-runtime` of `pytorch:2.11.0-runtime`, with `-sha256-DIGEST` after it where the image has a digest.

    Raises ValueError for an image without a tag, and for a text that names none.
    """
    found = checks.parse_image_reference(image)
    if found is None or not found.tag:
        raise ValueError("an environment's version is made of the image's tag, and it has none")
    return f"{found.tag}-sha256-{found.digest}" if found.digest else found.tag


MAX_TIMEOUT_SECONDS = 365 * 86400
"""Seconds; more is a slip of the pen."""


def parse_timeout(settings: AzureMLSettings) -> int | None:
    """Of `--exec-timeout`; None for no limit. Raises robotrain_azure.checks.QuantityError."""
    if settings.exec_timeout is None:
        return None
    found = checks.parse_duration(settings.exec_timeout, MAX_TIMEOUT_SECONDS, "It is more than a year.")
    if found != int(found):
        raise checks.QuantityError("It is no whole number of seconds.", f"{int(found)}s")
    return int(found)


def parse_labels(settings: AzureMLSettings) -> dict[str, str]:
    """By name."""
    return parse_pairs(settings.labels)


SECRET_FORM = "https://VAULT.vault.azure.net/secrets/NAME"
VAULT_NAME = r"(?=[A-Za-z0-9-]{3,24}(?![A-Za-z0-9-]))[a-z](?:-?[a-z0-9])*"
SECRET_NAME = r"[A-Za-z0-9-]{1,127}"
_VAULT_SUFFIX = "|".join(re.escape(suffix) for suffix in workspace.VAULT_SUFFIXES)
_SECRET_ADDRESS = rf"https://((?i:{VAULT_NAME}\.(?:{_VAULT_SUFFIX})))/secrets/({SECRET_NAME})(?:/([0-9a-f]{{32}}))?/?"


class SecretNameError(ValueError):
    """A text that names no secret. The message does not repeat it."""


def has_hub_source(job: Job) -> bool:
    """Whether the job reads anything of the Hub that may be private; the training itself asks nothing of it."""
    return any(source.kind == "huggingface" for source in job.sources)


def find_hub_token_address(job: Job, settings: AzureMLSettings) -> str:
    """The address of the Hub's token; empty where none is named, or the job reads nothing of the Hub.

    Raises SecretError.
    """
    if not settings.hf_credential or not has_hub_source(job):
        return ""
    return make_secret_address(settings.hf_credential, settings.key_vault or "")


def make_secret_address(text: str, vault: str) -> str:
    """The address of a secret that is named alone, in a vault, or with its whole address. Raises SecretError."""
    if found := re.fullmatch(_SECRET_ADDRESS, text, re.ASCII):
        host, name, version = found.groups()
        _refuse_token(name)
        return f"https://{host.lower()}/secrets/{name}{f'/{version}' if version else ''}"
    _refuse_token(text)
    if not re.fullmatch(SECRET_NAME, text):
        raise SecretNameError(f"It is the name of a secret, letters, digits and `-`, or {SECRET_FORM}.")
    return f"https://{vault.lower()}.{workspace.get_cloud().vault}/secrets/{text}"


def _refuse_token(text: str) -> None:
    if text.lower().startswith("hf_") or checks.looks_like_secret(text):
        raise SecretNameError("This looks like a token itself: a job never carries one, only where it lies.")


ASKED_AT_SUBMIT = "asked of the workspace when it is sent"


def derive_defaults(job: Job, settings: AzureMLSettings) -> Iterator[tuple[str, PlatformDefault]]:
    """By name, of settings and of parameters; those that somebody said are left to whoever asks."""
    if compute := get_compute_name(settings):
        yield "compute", PlatformDefault(compute, f"for the AKS cluster {settings.aks_cluster}")
    if named := choose_instance_type(job, settings):
        gpus = get_gpu_count(job) or 1
        unless = "" if settings.compute_kind else "; none on a managed compute"
        yield "instance_type", PlatformDefault(named, f"for {gpus} GPU{'' if gpus == 1 else 's'}{unless}")
    yield "image", PlatformDefault(get_image(job.profile, settings), f"for {job.workload}")
    yield "environment_name", PlatformDefault(get_environment_name(job.profile, settings), f"for {job.workload}")
    yield "environment_version", PlatformDefault(get_environment_version(job.profile, settings), "of the image")
    yield "display_name", PlatformDefault("", "the run's name")
    yield "experiment_name", PlatformDefault(get_experiment_name(job), f"for {job.workload}")
    yield "compute_kind", PlatformDefault("", ASKED_AT_SUBMIT)
    yield "workload_identity", PlatformDefault("", ASKED_AT_SUBMIT)


def get_experiment_name(job: Job) -> str:
    """The experiment that it is listed in: as said, else that of its workload."""
    return str(dict(job.parameters).get("experiment_name") or job.profile.experiment or job.workload)
