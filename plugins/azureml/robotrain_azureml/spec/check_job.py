"""Azure ML's own rules on a job. Pure: all problems at once, before anything is submitted."""

import re
import unicodedata
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
from robotrain_azureml.spec import command_job, job_settings, submission_spec
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
    yield from find_invalid_names(settings)
    yield from _check_missing_names(settings)
    yield from _check_compute(settings)
    yield from _check_instance_type(settings)
    yield from _check_gpus(job, settings)
    yield from _check_image(job, settings)
    yield from _check_environment(job, settings)
    yield from _check_quantities(settings)
    yield from _check_names(job, settings)
    yield from _check_labels(settings)
    yield from _check_datastore(settings)
    yield from _check_preemption(job, settings)
    variables = command_job.make_compat_variables(job)
    yield from checks.check_variable_sizes(variables, VARIABLE_FLAGS)
    yield from _check_secrets(job, settings)
    yield from _check_spec_patch(job, settings)


GUARD = TemplateGuard(re.escape(EXPRESSION_START), "Azure ML reads `{}` as the start of an expression.")
_make_invalid_problem = GUARD.make_invalid_value_problem
IDENTITY_FLAG = "--workload-identity"


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


def find_invalid_names(settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the form of the names of the workspace and of the identity that are set."""
    for flag, invalid_name, way in azure_settings.find_invalid_names(settings):
        yield _make_invalid_problem(flag, invalid_name, workspace.NAME_FORM, workspace.NAME_RULES[flag], way)
    identity = settings.workload_identity
    if identity and workspace.is_valid_name(IDENTITY_FLAG, identity) and not re.fullmatch(workspace.GUID, identity):
        reason = 'It is a GUID. `az identity list --query "[].[name, clientId]" --output table` lists them.'
        yield _make_invalid_problem(IDENTITY_FLAG, identity, "the client id of a managed identity", reason)


def _check_missing_names(settings: AzureMLSettings) -> Iterator[Problem]:
    if missing_flags := azure_settings.list_missing_flags(settings):
        is_started = settings.resource_group or settings.workspace_name
        message = "value-missing.workspace-names" if is_started else "value-missing.workspace"
        fixes = (
            workspace.format_usage(missing_flags),
            "az login" if workspace.WORKSPACE_FLAGS[0] in missing_flags else "",
        )
        yield make_problem(
            message,
            *fixes,
            where=missing_flags[0],
            names=", ".join(missing_flags),
            list_workspaces=workspace.LIST_WORKSPACES,
        )


INSTANCE_TYPE_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_COMPUTE_PATTERN = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_COMPUTE_LENGTHS = {"kubernetes": (2, 16), "managed": (3, 32), None: (2, 32)}


def _check_compute(settings: AzureMLSettings) -> Iterator[Problem]:
    name = job_settings.get_compute_name(settings)
    if not name and job_settings.chooses_compute_by_patch(settings):
        return
    if not name:
        problem = make_problem("value-missing.compute")
        yield replace(problem, absent=("compute",))
        return
    yield from find_invalid_compute(settings)


def find_invalid_compute(settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the form of the compute's name."""
    name = job_settings.get_compute_name(settings)
    if name.lower().removeprefix("azureml:") == "serverless":
        yield make_problem("azureml-compute-serverless", given=name)
        return
    min_length, max_length = _COMPUTE_LENGTHS[settings.compute_kind]
    if not re.fullmatch(_COMPUTE_PATTERN, name) or not min_length <= len(name) <= max_length:
        reason = f"It has {min_length} to {max_length} letters, digits and `-`, and starts with a letter."
        bare_name = name.removeprefix("azureml:")
        fix = f"--compute {bare_name}" if bare_name != name and re.fullmatch(_COMPUTE_PATTERN, bare_name) else ""
        fix = fix or workspace.find_name_in_id("--compute", name)
        yield _make_invalid_problem("--compute", name, "a valid compute name", reason, fix)


def _check_instance_type(settings: AzureMLSettings) -> Iterator[Problem]:
    flag, instance_type = "--instance-type", settings.instance_type
    if instance_type in (None, job_settings.COMPUTE_DEFAULT):
        return
    if settings.compute_kind == "managed":
        fixes = (suggest_leaving_out(flag), Suggestion("--compute NAME", "a Kubernetes compute"))
        yield make_problem("option-without-effect", *fixes, given=instance_type)
    else:
        reason = "It has at most 63 letters, digits, `-`, `_` and `.`."
        yield from GUARD.check_pattern(flag, instance_type, INSTANCE_TYPE_PATTERN, "a valid instance type name", reason)


def _check_gpus(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    gpus, instance_type = job.training_gpus, settings.instance_type
    if not gpus or settings.compute_kind == "managed":
        return
    need_sentence = f"the job trains on {gpus} GPU{'' if gpus == 1 else 's'}"
    defaults = job_settings.DEFAULT_INSTANCE_TYPES
    if instance_type is None:
        if gpus not in defaults:
            default_types = ", ".join(f"{name} ({count})" for count, name in defaults.items())
            nearest_counts = [
                *[count for count in defaults if count < gpus][-1:],
                *[count for count in defaults if count > gpus][:1],
            ]
            kind = "--compute-kind managed" if settings.compute_kind is None else ""
            fixes = ("--instance-type NAME", kind, *(f"--num-gpus {count}" for count in nearest_counts))
            yield make_problem(
                "value-missing.instance-type", *fixes, given=str(gpus), need=need_sentence, listed=default_types
            )
    elif (count := job_settings.INSTANCE_TYPE_GPUS.get(instance_type, gpus)) != gpus:
        reason = "The training would not start." if count < gpus else "You would pay for idle GPUs."
        matching_types = [name for name, number in job_settings.INSTANCE_TYPE_GPUS.items() if number == gpus]
        matching_types.sort(key=lambda name: ("spot" in name) != ("spot" in instance_type))
        fixes = (*(f"--instance-type {name}" for name in matching_types[:1]), f"--num-gpus {count}")
        yield make_problem(
            "options-conflict.gpus",
            *fixes,
            given=instance_type,
            need=need_sentence,
            instance_type=instance_type,
            count=count,
            why=reason,
        )


ENVIRONMENT_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
ENVIRONMENT_VERSION_PATTERN = r"[A-Za-z0-9._-]{1,255}"
SHARED_MEMORY_PATTERN = r"[1-9][0-9]{0,14}[bkmg]"
SHARED_MEMORY_FORM = "It is a positive whole number and one of the units b, k, m and g, like in Docker."


def _check_image(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the image reference; its tag becomes the environment's version unless that is set."""
    image = job_settings.get_image(job.profile, settings)
    reference = checks.parse_image_reference(image)
    if reference is None:
        reason = "A digest is `@sha256:` and 64 hex digits in lowercase." if "@" in image else checks.IMAGE_FORM
        fix = f"--image {job.profile.container.image}"
        yield _make_invalid_problem("--image", image, "a valid image reference", reason, fix)
    elif not reference.tag and not settings.environment_version:
        name, separator, digest = image.partition("@")
        reason = "The tag becomes the version of the environment."
        fixes = (f"--image {name}:TAG{separator}{digest}", "--environment-version VERSION")
        yield _make_invalid_problem("--image", image, "an image with a tag", reason, *fixes)
    elif not reference.digest and not settings.environment_version:
        version = job_settings.make_environment_version(image)
        yield make_problem("azureml-image-moves", image=image, version=version)


REGISTRY_START = "azureml://"
REGISTRY_FORM = "azureml://registries/REGISTRY/environments/NAME/versions/VERSION"


def _check_environment(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    name = job_settings.get_environment_name(job.profile, settings)
    version = settings.environment_version
    if name.startswith(REGISTRY_START):
        if job_settings.parse_registry_environment(name) is None:
            reason = f"It is {REGISTRY_FORM}; a label, such as `latest`, could change."
            yield _make_invalid_problem("--environment-name", name, "a valid environment name", reason)
            return
        for flag, option_value in (("--image", settings.image), ("--environment-version", version)):
            if option_value:
                way = suggest_leaving_out(flag)
                yield make_problem("options-conflict.registry-environment", way, where=flag, given=option_value)
        return
    if name.lower().startswith(submission_spec.CURATED_PREFIX) and not version:
        yield make_problem("value-invalid.environment-version", name=redact(name))
    if not re.fullmatch(ENVIRONMENT_NAME_PATTERN, name):
        reason = "It has at most 255 letters, digits, `_`, `.` and `-`, and starts with a letter or a digit."
        bare_name = name.removeprefix("azureml:").partition(":")[0]
        fix = f"--environment-name {bare_name}" if re.fullmatch(ENVIRONMENT_NAME_PATTERN, bare_name) else ""
        yield _make_invalid_problem("--environment-name", name, "a valid environment name", reason, fix)
    if version:
        reason, flag = "It has at most 255 letters, digits, `_`, `.` and `-`.", "--environment-version"
        yield from GUARD.check_pattern(
            flag, version, ENVIRONMENT_VERSION_PATTERN, "a valid environment version", reason
        )


def _check_quantities(settings: AzureMLSettings) -> Iterator[Problem]:
    quantity = settings.shm_size
    if not re.fullmatch(SHARED_MEMORY_PATTERN, quantity, re.ASCII):
        match = re.fullmatch(r"\s*0*([1-9][0-9]{0,14})\s*([bkmg]?)(?:i?b)?\s*", quantity.lower(), re.ASCII)
        fix = f"--shm-size {match[1]}{match[2] or 'g'}" if match else "--shm-size 8g"
        yield _make_invalid_problem("--shm-size", quantity, "a valid size", SHARED_MEMORY_FORM, fix)
    try:
        job_settings.parse_timeout(settings)
    except QuantityError as error:
        quantity, fix = settings.exec_timeout or "", error.suggestion and f"--exec-timeout {error.suggestion}"
        yield _make_invalid_problem("--exec-timeout", quantity, "a valid time limit", str(error), fix)


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
    if not re.fullmatch(EXPERIMENT_PATTERN, name):
        plain_name = "".join(
            letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)
        )
        fixed_name = re.sub(r"[^A-Za-z0-9_-]+", "-", plain_name).strip("_-")[:256]
        fix = fixed_name and f"--experiment-name {fixed_name}"
        yield _make_invalid_problem("--experiment-name", name, "a valid experiment name", EXPERIMENT_FORM, fix)
    display_name = settings.display_name
    if display_name is not None and not is_display_name(display_name):
        reason = f"It is one line of at most {MAX_DISPLAY_NAME} characters."
        yield _make_invalid_problem("--display-name", display_name, "a valid display name", reason)


def _check_labels(settings: AzureMLSettings) -> Iterator[Problem]:
    labels = parse_pairs(settings.labels)
    if len(labels) > MAX_LABELS:
        reason = f"A job may have {MAX_LABELS} labels; these are {len(labels)}."
        yield _make_invalid_problem("--labels", "", "a valid list of tags", reason)
    for name, label_value in labels.items():
        if not re.fullmatch(_LABEL_NAME_PATTERN, name, re.ASCII):
            reason = f"{redact(name)!r} is not a valid tag name: it has at most 100 letters, digits and `_-./: `."
        elif re.match(_RESERVED_LABEL, name):
            reason = f"{redact(name)!r} is a tag that robotrain or Azure ML sets."
        elif not is_line(label_value, MAX_LABEL_VALUE):
            reason = f"The value of {redact(name)!r} must be one line of at most {MAX_LABEL_VALUE} characters."
        else:
            continue
        yield _make_invalid_problem("--labels", f"{name}={label_value}", "a valid list of tags", reason)


DATASTORE_PATTERN = r"[A-Za-z0-9_]{1,255}"


def _check_datastore(settings: AzureMLSettings) -> Iterator[Problem]:
    name, reason = settings.datastore, "It has letters, digits and `_`."
    if not re.fullmatch(DATASTORE_PATTERN, name):
        match = re.match(rf"(?:azureml:)?(?://datastores/)?({DATASTORE_PATTERN})(?:/|$)", name)
        fix = f"--datastore {match[1] if match else 'workspaceblobstore'}"
        yield _make_invalid_problem("--datastore", name, "a valid datastore name", reason, fix)


def _check_preemption(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Note that a spot machine keeps no checkpoints."""
    instance_type = job_settings.choose_instance_type(job, settings)
    publishes = dict(job.parameters).get(PUBLISH_PARAMETER, True)
    is_known = settings.compute_kind or settings.instance_type
    is_lost = "spot" in instance_type and settings.output_mode == "upload" and not publishes
    if job.profile.outputs.resumable and is_known and is_lost:
        absent_parameters = (PUBLISH_PARAMETER,)  # `none` says that it is meant, as in `kept_outputs`
        yield make_problem("nothing-kept", absent=absent_parameters, machine=f"a machine of the type {instance_type}")


VAULT_FLAG = "--key-vault"
WANDB_KEY = "WANDB_API_KEY"
"""The variable in which Weights & Biases looks for its key."""


def _check_secrets(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """Check the names of secrets, also of those that the job does not need: the value may be the secret itself."""
    problems = [
        problem for credential in job_settings.CREDENTIALS.values() for problem in _check_token(credential, settings)
    ]
    if settings.secrets:
        from robotrain.cluster.secrets import check_secrets  # costs start-up

        own_variables = (*command_job.make_variables(job, settings), "AZUREML_", "MSI_")

        def parse_reference(name: str, secret_reference: str) -> None:
            job_settings.make_secret_address(secret_reference, settings.key_vault or "")

        problems += check_secrets(settings.secrets, parse_reference, "SECRET", own_variables)
    yield from problems
    if job.logs_to_wandb and WANDB_KEY not in load_pairs(settings.secrets):
        yield make_problem("value-missing.wandb-key")
    secrets_by_flag = {
        **{
            job_settings.CREDENTIALS[kind].flag: secret_reference
            for kind, secret_reference in job_settings.list_needed_credentials(job, settings).items()
        },
        **{
            f"{SECRET_FLAG} {name}": secret_reference for name, secret_reference in load_pairs(settings.secrets).items()
        },
    }
    flags = [
        flag
        for flag, secret_reference in secrets_by_flag.items()
        if secret_reference and not secret_reference.startswith("https:")
    ]
    if flags and not problems:
        yield from _check_vault(flags[0], settings.key_vault or "")


def _check_token(credential: job_settings.Credential, settings: AzureMLSettings) -> Iterator[Problem]:
    secret_reference = credential.get_value(settings)
    vault = settings.key_vault or ""
    flag = credential.flag
    if not secret_reference:
        return
    try:
        job_settings.make_secret_address(secret_reference, vault)
    except job_settings.SecretNameError as error:
        shown_text = ""  # the value may be the secret itself
        yield make_problem(
            "value-invalid.secret",
            where=flag,
            given=shown_text,
            why=str(error),
            name=credential.name,
            secret_form=job_settings.SECRET_FORM,
        )


def _check_vault(flag: str, vault: str) -> Iterator[Problem]:
    """Check the key vault of the secret that `flag` names without one."""
    if not vault:
        option, _, variable = flag.partition(" ")
        fixes = (f"{VAULT_FLAG} NAME", f"{option} {'NAME=' if variable else ''}{job_settings.SECRET_FORM}")
        yield make_problem("value-missing.vault", *fixes, flag=flag)
    elif not re.fullmatch(job_settings.VAULT_NAME, vault, re.IGNORECASE | re.ASCII):
        match = re.match(rf"https://({job_settings.VAULT_NAME})\.", vault, re.IGNORECASE | re.ASCII)
        reason = "It has 3 to 24 letters, digits and single dashes, and starts with a letter."
        fix = f"{VAULT_FLAG} {match[1]}" if match else ""
        yield _make_invalid_problem(VAULT_FLAG, vault, "a valid key vault name", reason, fix)
