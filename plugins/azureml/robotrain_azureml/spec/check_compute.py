"""Rules on the compute, its machines and the container of a job. Pure."""

import re
from collections.abc import Iterator

from robotrain.errors import Problem, Suggestion
from robotrain.model.job import Job
from robotrain_azure import checks
from robotrain_azure.checks import (
    QuantityError,
    Suggestions,
    make_missing_value_problem,
    make_suggestions,
    make_unsupported_problem,
    make_warning,
)

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import job_settings
from robotrain_azureml.spec.command_job import EXPRESSION_START


def make_invalid_value_problem(
    flag: str, given: str, expected: str, why: str, suggestions: Suggestions = ()
) -> Problem:
    """Return the problem of an invalid value; one with an Azure ML expression is explained as such."""
    if EXPRESSION_START in given:
        why = f"Azure ML reads `{EXPRESSION_START}` as the start of an expression."
    return checks.make_invalid_value_problem("azureml-value-invalid", flag, given, expected, why, suggestions)


INSTANCE_TYPE_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_COMPUTE_PATTERN = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_COMPUTE_LENGTHS = {"kubernetes": (2, 16), "managed": (3, 32), None: (2, 32)}


def check_compute(settings: AzureMLSettings) -> Iterator[Problem]:
    """Check that a compute is set and has a valid name."""
    name = job_settings.get_compute_name(settings)
    if not name:
        why = (
            "Use one that is attached to the workspace. If Terraform names an AKS cluster, its compute is the default. "
            "`az ml compute list --resource-group GROUP --workspace-name NAME` lists them."
        )
        instead = make_suggestions("--compute NAME", "AZUREML_COMPUTE=NAME")
        yield make_missing_value_problem("azureml-compute-missing", "no compute is set", "--compute", why, instead)
        return
    least, most = _COMPUTE_LENGTHS[settings.compute_kind]
    if not re.fullmatch(_COMPUTE_PATTERN, name) or not least <= len(name) <= most:
        why = f"It has {least} to {most} letters, digits and `-`, and starts with a letter."
        bare = name.removeprefix("azureml:")
        instead = make_suggestions(f"--compute {bare}" if bare != name and re.fullmatch(_COMPUTE_PATTERN, bare) else "")
        yield make_invalid_value_problem("--compute", name, "a valid compute name", why, instead)


def check_instance_type(settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the instance type: only a Kubernetes compute has several."""
    instance_type = settings.instance_type
    if instance_type is None:
        return
    if job_settings.is_managed(settings):
        title = "a managed compute has no instance types"
        why = "All of its machines are alike; only a Kubernetes compute has instance types."
        instead = (Suggestion("omit --instance-type"), Suggestion("--compute NAME", "a Kubernetes compute"))
        yield make_unsupported_problem(
            "azureml-instance-type-managed", title, "--instance-type", why, instead, instance_type
        )
    elif not re.fullmatch(INSTANCE_TYPE_PATTERN, instance_type):
        why = "It has at most 63 letters, digits, `-`, `_` and `.`."
        yield make_invalid_value_problem("--instance-type", instance_type, "a valid instance type name", why)


def check_gpus(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check that the instance type has exactly the GPUs that the job trains on."""
    gpus, instance_type = job_settings.get_gpu_count(job), settings.instance_type
    if not gpus or job_settings.is_managed(settings):
        return
    need = f"the job trains on {gpus} GPU{'' if gpus == 1 else 's'}"
    if instance_type is None:
        if gpus not in job_settings.DEFAULT_INSTANCE_TYPES:
            defaults = ", ".join(f"{name} ({count})" for count, name in job_settings.DEFAULT_INSTANCE_TYPES.items())
            title = f"{need}, but no instance type is set"
            why = f"The default instance types have 1, 2 or 4 GPUs: {defaults}."
            other = "--compute-kind managed" if settings.compute_kind is None else ""
            counts = [f"--num-gpus {count}" for count in _list_near_counts(gpus)]
            instead = make_suggestions("--instance-type NAME", other, *counts)
            yield make_missing_value_problem(
                "azureml-instance-type-missing", title, "--num-gpus", why, instead, str(gpus)
            )
    elif (count := job_settings.INSTANCE_TYPE_GPUS.get(instance_type, gpus)) != gpus:
        why = "The training would not start." if count < gpus else "You would pay for idle GPUs."
        matching = [name for name, number in job_settings.INSTANCE_TYPE_GPUS.items() if number == gpus]
        matching.sort(key=lambda name: ("spot" in name) != ("spot" in instance_type))
        instead = make_suggestions(*(f"--instance-type {name}" for name in matching[:1]), f"--num-gpus {count}")
        title = f"{need}, but the instance type {instance_type} has {count}"
        yield make_unsupported_problem("azureml-gpus-differ", title, "--instance-type", why, instead, instance_type)


def _list_near_counts(gpus: int) -> list[int]:
    """Return the next available counts below and above."""
    below = [count for count in job_settings.DEFAULT_INSTANCE_TYPES if count < gpus]
    above = [count for count in job_settings.DEFAULT_INSTANCE_TYPES if count > gpus]
    return [*below[-1:], *above[:1]]


ENVIRONMENT_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
ENVIRONMENT_VERSION_PATTERN = r"[A-Za-z0-9._-]{1,255}"
SHARED_MEMORY_PATTERN = r"[1-9][0-9]{0,14}[bkmg]"
SHARED_MEMORY_FORM = "It is a positive whole number and one of the units b, k, m and g, like in Docker."


def check_image(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the image reference; its tag becomes the environment's version unless that is set."""
    image = job_settings.get_image(job.profile, settings)
    reference = checks.parse_image_reference(image)
    if reference is None:
        why = "A digest is `@sha256:` and 64 hex digits in lowercase." if "@" in image else checks.IMAGE_FORM
        instead = make_suggestions(f"--image {job.profile.container.image}")
        yield make_invalid_value_problem("--image", image, "a valid image reference", why, instead)
    elif not reference.tag and not settings.environment_version:
        why = "The tag becomes the version of the environment."
        name, at, digest = image.partition("@")
        instead = make_suggestions(f"--image {name}:TAG{at}{digest}", "--environment-version VERSION")
        yield make_invalid_value_problem("--image", image, "an image with a tag", why, instead)
    elif not reference.digest and not settings.environment_version:
        version = job_settings.make_environment_version(image)
        title = f"the tag of the image {image} may move, but the environment version {version} stays"
        instead = make_suggestions(f"--image {image}@sha256:DIGEST", "--environment-version VERSION")
        yield make_warning("azureml-image-moves", title, "--image", "", instead)


def check_environment(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the name and the version of the environment."""
    name, version = job_settings.get_environment_name(job.profile, settings), settings.environment_version
    if not re.fullmatch(ENVIRONMENT_NAME_PATTERN, name):
        why = "It has at most 255 letters, digits, `_`, `.` and `-`, and starts with a letter or a digit."
        bare = name.removeprefix("azureml:").partition(":")[0]
        instead = make_suggestions(f"--environment-name {bare}" if re.fullmatch(ENVIRONMENT_NAME_PATTERN, bare) else "")
        yield make_invalid_value_problem("--environment-name", name, "a valid environment name", why, instead)
    if version and not re.fullmatch(ENVIRONMENT_VERSION_PATTERN, version):
        why = "It has at most 255 letters, digits, `_`, `.` and `-`."
        yield make_invalid_value_problem("--environment-version", version, "a valid environment version", why)


def check_shared_memory(settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the size of the shared memory."""
    given = settings.shm_size
    if not re.fullmatch(SHARED_MEMORY_PATTERN, given, re.ASCII):
        match = re.fullmatch(r"\s*0*([1-9][0-9]{0,14})\s*([bkmg]?)(?:i?b)?\s*", given.lower(), re.ASCII)
        instead = make_suggestions(f"--shm-size {match[1]}{match[2] or 'g'}" if match else "--shm-size 8g")
        yield make_invalid_value_problem("--shm-size", given, "a valid size", SHARED_MEMORY_FORM, instead)


def check_timeout(settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the time limit."""
    try:
        job_settings.parse_timeout(settings)
    except QuantityError as error:
        instead = make_suggestions(error.suggestion and f"--exec-timeout {error.suggestion}")
        yield make_invalid_value_problem(
            "--exec-timeout", settings.exec_timeout or "", "a valid time limit", str(error), instead
        )
