"""Azure ML's own rules on a job. Pure: all problems at once, before anything is submitted."""

import re
from collections.abc import Iterator
from dataclasses import replace

from robotrain.cluster import checks, spec_patch
from robotrain.cluster.checks import QuantityError, TemplateGuard
from robotrain.cluster.settings import SECRET_FLAG
from robotrain.cluster.spec_patch import ProtectedKey
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain.redaction import redact
from robotrain_azure import settings as azure_settings
from robotrain_azure import workspace
from robotrain_runtime.contract.parameter import load_pairs, parse_pairs

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import command_job, job_settings
from robotrain_azureml.spec.command_job import EXPRESSION_START, MAX_DISPLAY_NAME, is_display_name, is_line

make_problem = Messages(__file__)

VARIABLE_FLAGS = {
    "BLOB_URLS": ("--blob-url", "--dataset-asset azureml:NAME:VERSION"),
    "DATASET_ASSETS": ("--dataset-asset",),
    "INIT_FROM_POLICY_MODEL_SOURCE": ("--init-from-policy-model",),
}
"""By variable, the option that fills it, and one that needs less space."""


def check_job(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check a job against Azure ML's rules, including those that its SDK does not check."""
    yield from _check_missing_names(settings)
    yield from _check_compute(settings)
    yield from _check_instance_type(settings)
    yield from _check_gpus(job, settings)
    yield from _check_image(job, settings)
    yield from _check_environment(settings)
    yield from _check_time_limit(settings)
    yield from _check_names(job, settings)
    yield from _check_labels(settings)
    yield from _check_preemption(job, settings)
    variables = command_job.make_compat_variables(job)
    yield from checks.check_variable_sizes(variables, VARIABLE_FLAGS)
    yield from _check_secrets(job, settings)
    yield from _check_spec_patch(job, settings)


GUARD = TemplateGuard(re.escape(EXPRESSION_START), "Azure ML reads `{}` as the start of an expression.")
_make_invalid_problem = GUARD.make_invalid_value_problem
_INPUTS = "robotrain looks for the data of the job where it put it."
_OUTPUT = "robotrain looks there for what the run leaves: --datastore chooses the datastore."
_NODES = "The job says how many nodes there are, and how they find one another: --num-nodes."
PROTECTED_KEYS = (
    *(ProtectedKey((name,), "It identifies the run.") for name in ("name", "type")),
    *(ProtectedKey((name,), "It starts the run.") for name in ("command", "code")),
    ProtectedKey(("inputs",), _INPUTS),
    *(ProtectedKey(("tags", tag), "It identifies the run.") for tag in (command_job.RUN_TAG, command_job.DIGEST_TAG)),
    ProtectedKey(("distribution",), _NODES),
    ProtectedKey(("resources", "instance_count"), _NODES),
)


def _check_spec_patch(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check that a patch leaves what identifies and starts the run, its variables, and where its output is."""
    output = job.profile.outputs.folder
    variables = command_job.make_variables(job, settings)
    protected = [*PROTECTED_KEYS, *(ProtectedKey(("outputs", output, name), _OUTPUT) for name in ("path", "type"))]
    protected += [ProtectedKey((command_job.QUOTED_KEY, name), "robotrain sets it.") for name in variables]
    patch = spec_patch.load_patch(settings.spec_patch)
    problems = [*spec_patch.find_protected_changes(patch, protected)]
    yield from {problem.given: problem for problem in problems}.values()


def _check_missing_names(settings: AzureMLSettings) -> Iterator[Problem]:
    if missing_flags := azure_settings.list_missing_flags(settings):
        yield make_problem(
            "value-missing.workspace",
            workspace.format_usage(missing_flags),
            "az login" if workspace.WORKSPACE_FLAGS[0] in missing_flags else "",
            where=missing_flags[0],
            names=", ".join(missing_flags),
            list_workspaces=workspace.LIST_WORKSPACES,
            absent=azure_settings.WORKSPACE_SETTINGS,
        )


def _check_compute(settings: AzureMLSettings) -> Iterator[Problem]:
    name = job_settings.get_compute_name(settings)
    if name.lower() == "serverless":
        yield make_problem("azureml-compute-serverless", given=name)
    elif not name and not job_settings.chooses_compute_by_patch(settings):
        yield replace(make_problem("value-missing.compute"), absent=("compute",))


def _check_instance_type(settings: AzureMLSettings) -> Iterator[Problem]:
    instance_type = settings.instance_type
    if settings.compute_kind == "managed" and instance_type not in (None, job_settings.COMPUTE_DEFAULT):
        fixes = (suggest_leaving_out("--instance-type"), Suggestion("--compute NAME", "a Kubernetes compute"))
        yield make_problem("option-without-effect", *fixes, given=instance_type)


def _check_gpus(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    gpus, instance_type = job.training_gpus, settings.instance_type
    if not gpus or settings.compute_kind == "managed":
        return
    need_sentence = f"the job trains on {gpus} GPU{'' if gpus == 1 else 's'}"
    defaults = job_settings.DEFAULT_INSTANCE_TYPES
    if instance_type is None:
        if gpus not in defaults:
            listed = ", ".join(f"{name} ({count})" for count, name in defaults.items())
            kind = "--compute-kind managed" if settings.compute_kind is None else ""
            yield make_problem(
                "value-missing.instance-type",
                "--instance-type NAME",
                kind,
                given=str(gpus),
                need=need_sentence,
                listed=listed,
            )
    elif (count := job_settings.INSTANCE_TYPE_GPUS.get(instance_type, gpus)) != gpus:
        yield make_problem(
            "options-conflict.gpus",
            f"--num-gpus {count}",
            given=instance_type,
            need=need_sentence,
            instance_type=instance_type,
            count=count,
            why="The training would not start." if count < gpus else "You would pay for idle GPUs.",
        )


def _check_image(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the image reference; its tag becomes the environment's version unless that is set."""
    image = job_settings.get_image(job.profile, settings)
    reference = checks.parse_image_reference(image)
    if reference is None:
        fix = f"--image {job.profile.container.image}"
        yield _make_invalid_problem("--image", image, "a valid image reference", checks.IMAGE_FORM, fix)
    elif not reference.tag and not settings.environment_version:
        reason = "The tag becomes the version of the environment."
        yield _make_invalid_problem("--image", image, "an image with a tag", reason, "--environment-version VERSION")
    elif not reference.digest and not settings.environment_version:
        version = job_settings.make_environment_version(image)
        yield make_problem("azureml-image-moves", image=image, version=version)


def _check_environment(settings: AzureMLSettings) -> Iterator[Problem]:
    if job_settings.parse_registry_environment(settings.environment_name or ""):
        for flag, option_value in (
            ("--image", settings.image),
            ("--environment-version", settings.environment_version),
        ):
            if option_value:
                way = suggest_leaving_out(flag)
                yield make_problem("options-conflict.registry-environment", way, where=flag, given=option_value)


def _check_time_limit(settings: AzureMLSettings) -> Iterator[Problem]:
    try:
        job_settings.parse_timeout(settings)
    except QuantityError as error:
        time_limit, fix = settings.exec_timeout or "", error.suggestion and f"--exec-timeout {error.suggestion}"
        yield _make_invalid_problem("--exec-timeout", time_limit, "a valid time limit", str(error), fix)


JOB_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*"
MAX_JOB_NAME = 255
JOB_SUFFIX_LENGTH = len("-a1b2c3")
"""The suffix makes the job's name unique if a colleague submits an equal job."""
EXPERIMENT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}"
EXPERIMENT_FORM = "It has at most 256 letters, digits, `_` and `-`, and starts with a letter or a digit."
MAX_LABELS = 24
"""A job may have 50 tags; robotrain's own need the rest."""
_LABEL_NAME_PATTERN = r"[\w./: -]{1,100}"
MAX_LABEL_VALUE = 1000
_RESERVED_LABEL = r"(?i)(?:robotrain|mlflow|azureml)[._]"


def _check_names(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the names of the workload, which is a part of the job's name, of the experiment, and for display."""
    longest = MAX_JOB_NAME - JOB_SUFFIX_LENGTH - len(job.run_name(999)) + len(job.workload)
    if not re.fullmatch(JOB_NAME_PATTERN, job.workload) or len(job.workload) > longest:
        yield make_problem("workload-name-refused", given=job.workload, longest=longest)
    name = job_settings.get_experiment_name(job)
    yield from GUARD.check_pattern(
        "--experiment-name", name, EXPERIMENT_PATTERN, "a valid experiment name", EXPERIMENT_FORM
    )
    display_name = settings.display_name
    if display_name is not None and not is_display_name(display_name):
        reason = f"It is one line of at most {MAX_DISPLAY_NAME} characters."
        yield _make_invalid_problem("--display-name", display_name, "a valid display name", reason)


def _check_labels(settings: AzureMLSettings) -> Iterator[Problem]:
    labels = parse_pairs(settings.labels)
    expected_form = "a valid list of tags"
    if len(labels) > MAX_LABELS:
        reason = f"A job may have {MAX_LABELS} labels; these are {len(labels)}."
        yield _make_invalid_problem("--labels", "", expected_form, reason)
    for name, label_value in labels.items():
        if re.match(_RESERVED_LABEL, name):
            reason = f"{redact(name)!r} is a tag that robotrain or Azure ML sets."
        elif not re.fullmatch(_LABEL_NAME_PATTERN, name, re.ASCII) or not is_line(label_value, MAX_LABEL_VALUE):
            reason = (
                f"A name has at most 100 letters, digits and `_-./: `, a value one line of at most {MAX_LABEL_VALUE}."
            )
        else:
            continue
        yield _make_invalid_problem("--labels", f"{name}={label_value}", expected_form, reason)


def _check_preemption(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Note that a spot machine keeps no checkpoints."""
    instance_type = job_settings.choose_instance_type(job, settings)
    publishes = dict(job.parameters).get(PUBLISH_PARAMETER, True)
    is_known = settings.compute_kind or settings.instance_type
    is_lost = "spot" in instance_type and settings.output_mode == "upload" and not publishes
    if job.profile.outputs.resumable and is_known and is_lost:
        absent_parameters = (PUBLISH_PARAMETER,)  # `none` says that it is meant, as in `kept_outputs`
        yield make_problem("nothing-kept", absent=absent_parameters, machine=f"a machine of the type {instance_type}")


WANDB_KEY = "WANDB_API_KEY"
"""The variable in which Weights & Biases looks for its key."""


def _check_secrets(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the names of secrets, also of those that the job does not need: the value may be the secret itself."""
    problems = []
    if settings.hf_credential:
        try:
            job_settings.make_secret_address(settings.hf_credential, settings.key_vault or "")
        except job_settings.SecretNameError as error:
            problems.append(make_problem("value-invalid.secret", why=str(error), secret_form=job_settings.SECRET_FORM))
    if settings.secrets:
        from robotrain.cluster.secrets import check_secrets  # costs start-up

        own_variables = (*command_job.make_variables(job, settings), "AZUREML_", "MSI_")

        def parse_reference(name: str, secret_reference: str) -> None:
            job_settings.make_secret_address(secret_reference, settings.key_vault or "")

        problems += check_secrets(settings.secrets, parse_reference, "SECRET", own_variables)
    yield from problems
    secrets = load_pairs(settings.secrets)
    if job.logs_to_wandb and WANDB_KEY not in secrets:
        yield make_problem("value-missing.wandb-key")
    if settings.key_vault or problems:
        return
    references = {job_settings.HUB_FLAG: job_settings.get_hub_secret(job, settings)}
    references |= {f"{SECRET_FLAG} {name}": secret_reference for name, secret_reference in secrets.items()}
    for flag, secret_reference in references.items():
        if secret_reference and not secret_reference.startswith("https:"):
            yield make_problem("value-missing.vault", "--key-vault NAME", flag=flag)
            return
