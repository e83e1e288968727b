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
from robotrain_azureml.spec import job_settings as named
from robotrain_azureml.spec.command_job import EXPRESSION_START


def make_invalid_value_problem(
    flag: str, given: str, expected: str, why: str, suggestions: Suggestions = ()
) -> Problem:
    """A value that is no such thing. What Azure ML would read as a template is told as that."""
    if EXPRESSION_START in given:
        why = f"Azure ML reads `{EXPRESSION_START}` as the begin of an expression of its own."
    return checks.make_invalid_value_problem("azureml-value-invalid", flag, given, expected, why, suggestions)


INSTANCE_TYPE_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_COMPUTE_PATTERN = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_COMPUTE_LENGTHS = {"kubernetes": (2, 16), "managed": (3, 32), None: (2, 32)}


def check_compute(settings: AzureMLSettings) -> Iterator[Problem]:
    """One has to be known, and has a name as computes have."""
    name = job_settings.get_compute_name(settings)
    if not name:
        why = (
            "It is one that is attached to the workspace: by itself that of the AKS cluster, where Terraform names it. "
            "`az ml compute list --resource-group GROUP --workspace-name NAME` shows those there are."
        )
        instead = make_suggestions("--compute NAME", "AZUREML_COMPUTE=NAME")
        yield make_missing_value_problem("azureml-compute-missing", "no compute is named", "--compute", why, instead)
        return
    least, most = _COMPUTE_LENGTHS[settings.compute_kind]
    if not re.fullmatch(_COMPUTE_PATTERN, name) or not least <= len(name) <= most:
        why = f"It is {least} to {most} letters, digits and `-`, a letter first."
        bare = name.removeprefix("azureml:")
        instead = make_suggestions(f"--compute {bare}" if bare != name and re.fullmatch(_COMPUTE_PATTERN, bare) else "")
        yield make_invalid_value_problem("--compute", name, "the name of a compute", why, instead)


def check_instance_type(settings: AzureMLSettings) -> Iterator[Problem]:
    """A Kubernetes compute has several kinds of machines, one of Azure ML's own has one."""
    named = settings.instance_type
    if named is None:
        return
    if job_settings.is_managed(settings):
        title = "a managed compute has machines of one kind, and is asked for none by name"
        why = "Instance types are those of a Kubernetes compute; a managed one is named for what it has."
        instead = (
            Suggestion("leave --instance-type out"),
            Suggestion("--compute NAME", "one of Kubernetes, which has such types"),
        )
        yield make_unsupported_problem("azureml-instance-type-managed", title, "--instance-type", why, instead, named)
    elif not re.fullmatch(INSTANCE_TYPE_PATTERN, named):
        why = "It is letters, digits, `-`, `_` and `.`, 63 at most."
        yield make_invalid_value_problem("--instance-type", named, "the name of an instance type", why)


def check_gpus(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """As many as the job trains on, neither fewer nor some that idle."""
    wanted, named = job_settings.get_gpu_count(job), settings.instance_type
    if not wanted or job_settings.is_managed(settings):
        return
    trains = f"the job trains on {_format_gpus(wanted)}"
    if named is None:
        if wanted not in job_settings.DEFAULT_INSTANCE_TYPES:
            some = ", ".join(f"{name} ({count})" for count, name in job_settings.DEFAULT_INSTANCE_TYPES.items())
            title = f"{trains}, and nobody said which instance type has them"
            why = f"Those that are taken by themselves have 1, 2 or 4: {some}."
            other = "--compute-kind managed" if settings.compute_kind is None else ""
            instead = make_suggestions(
                "--instance-type NAME", other, *(f"--num-gpus {count}" for count in _list_near_counts(wanted))
            )
            yield make_missing_value_problem(
                "azureml-instance-type-missing", title, "--num-gpus", why, instead, str(wanted)
            )
    elif job_settings.INSTANCE_TYPE_GPUS.get(named, wanted) != wanted:
        there = job_settings.INSTANCE_TYPE_GPUS[named]
        why = "The training would not begin." if there < wanted else "The others would be paid for, and idle."
        family = [name for name, count in job_settings.INSTANCE_TYPE_GPUS.items() if count == wanted]
        family.sort(key=lambda name: ("spot" in name) != ("spot" in named))
        instead = make_suggestions(*(f"--instance-type {name}" for name in family[:1]), f"--num-gpus {there}")
        title = f"{trains}, and a machine of the type {named} has {there}"
        yield make_unsupported_problem("azureml-gpus-differ", title, "--instance-type", why, instead, named)


def _list_near_counts(wanted: int) -> list[int]:
    """The numbers there are below and above."""
    below = [count for count in job_settings.DEFAULT_INSTANCE_TYPES if count < wanted]
    above = [count for count in job_settings.DEFAULT_INSTANCE_TYPES if count > wanted]
    return [*below[-1:], *above[:1]]


def _format_gpus(gpus: int) -> str:
    return f"{gpus} GPU{'' if gpus == 1 else 's'}"


ENVIRONMENT_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
ENVIRONMENT_VERSION_PATTERN = r"[A-Za-z0-9._-]{1,255}"
SHARED_MEMORY_PATTERN = r"[1-9][0-9]{0,14}[bkmg]"
SHARED_MEMORY_FORM = "It is a whole number above 0 and one of the units b, k, m and g, as docker has it."


def check_image(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """A reference with a tag, which the environment's version is made of, unless that one is said."""
    given = named.get_image(job.profile, settings)
    found = checks.parse_image_reference(given)
    if found is None:
        digest = "A digest is `@sha256:` and 64 hex digits in small letters." if "@" in given else ""
        what, good = "the reference of a container image", job.profile.container.image
        yield make_invalid_value_problem(
            "--image", given, what, digest or checks.IMAGE_FORM, make_suggestions(f"--image {good}")
        )
    elif not found.tag and not settings.environment_version:
        why = "The version of the environment that holds it is made of its tag."
        name, at, digest = given.partition("@")
        instead = make_suggestions(f"--image {name}:TAG{at}{digest}", "--environment-version VERSION")
        yield make_invalid_value_problem("--image", given, "an image with a tag", why, instead)
    elif not found.digest and not settings.environment_version:
        version = named.make_environment_version(given)
        title = f"the image {given} is named by a tag, which may move below the environment {version}"
        ways_out = make_suggestions(f"--image {given}@sha256:DIGEST", "--environment-version VERSION")
        yield make_warning("azureml-image-moves", title, "--image", "", ways_out)


def check_environment(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Its name and its version."""
    name, version = named.get_environment_name(job.profile, settings), settings.environment_version
    if not re.fullmatch(ENVIRONMENT_NAME_PATTERN, name):
        why = "It is letters, digits, `_`, `.` and `-`, 255 at most, a letter or a digit first."
        bare = name.removeprefix("azureml:").partition(":")[0]
        instead = make_suggestions(f"--environment-name {bare}" if re.fullmatch(ENVIRONMENT_NAME_PATTERN, bare) else "")
        yield make_invalid_value_problem("--environment-name", name, "the name of an environment", why, instead)
    if version and not re.fullmatch(ENVIRONMENT_VERSION_PATTERN, version):
        why = "It is letters, digits, `_`, `.` and `-`, 255 at most."
        yield make_invalid_value_problem("--environment-version", version, "the version of an environment", why)


def check_shared_memory(settings: AzureMLSettings) -> Iterator[Problem]:
    """As docker has it."""
    given = settings.shm_size
    if not re.fullmatch(SHARED_MEMORY_PATTERN, given, re.ASCII):
        meant = re.fullmatch(r"\s*0*([1-9][0-9]{0,14})\s*([bkmg]?)(?:i?b)?\s*", given.lower(), re.ASCII)
        instead = make_suggestions(f"--shm-size {meant[1]}{meant[2] or 'g'}" if meant else "--shm-size 8g")
        yield make_invalid_value_problem("--shm-size", given, "a size of shared memory", SHARED_MEMORY_FORM, instead)


def check_timeout(settings: AzureMLSettings) -> Iterator[Problem]:
    """How long it may run."""
    try:
        job_settings.parse_timeout(settings)
    except QuantityError as error:
        instead = make_suggestions(error.suggestion and f"--exec-timeout {error.suggestion}")
        yield make_invalid_value_problem("--exec-timeout", settings.exec_timeout or "", "a time", str(error), instead)
