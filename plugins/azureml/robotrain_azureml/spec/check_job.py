"""Azure ML's own rules on a job. Pure: all problems at once, before anything is sent."""

import re
from collections.abc import Iterator

from robotrain.errors import Problem, Stage
from robotrain.model.job import Job
from robotrain.redaction import redact
from robotrain_azure import checks, workspace
from robotrain_azure.checks import make_missing_value_problem, make_suggestions, make_unsupported_problem, make_warning

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import check_compute, command_job, job_settings
from robotrain_azureml.spec.check_compute import make_invalid_value_problem
from robotrain_azureml.spec.command_job import EXPRESSION_START

IDENTITY_FLAG = "--workload-identity"
LIST_WORKSPACES = "az resource list --resource-type Microsoft.MachineLearningServices/workspaces --output table"


def check_workspace_names(settings: AzureMLSettings) -> Iterator[Problem]:
    """Names that are none, and those that are missing: a job runs nowhere else."""
    for flag, text in workspace.find_invalid_names(settings):
        yield make_invalid_value_problem(flag, text, workspace.NAME_FORM, workspace.NAME_REASON)
    identity = settings.workload_identity
    if identity and workspace.is_valid_name(IDENTITY_FLAG, identity) and not re.fullmatch(workspace.GUID, identity):
        listed = 'az identity list --query "[].[name, clientId]" --output table'
        why = f"It is a GUID. `{listed}` shows them."
        yield make_invalid_value_problem(IDENTITY_FLAG, identity, "the client id of a managed identity", why)
    said = (settings.subscription_id, settings.resource_group, settings.workspace_name)
    lacking = [flag for flag, name in zip(workspace.WORKSPACE_FLAGS, said, strict=True) if not name]
    if lacking:
        part = "the workspace is named in part" if settings.resource_group or settings.workspace_name else ""
        title = f"{part or 'no workspace is named'}: {', '.join(lacking)} {'are' if lacking[1:] else 'is'} missing"
        why = f"A job of Azure ML runs in a workspace, which all three of its names find. `{LIST_WORKSPACES}` shows yours."
        signed_in = "az login" if workspace.WORKSPACE_FLAGS[0] in lacking else ""
        instead = make_suggestions(" ".join(f"{flag} …" for flag in lacking), signed_in)
        yield make_missing_value_problem("azureml-workspace-incomplete", title, lacking[0], why, instead)


JOB_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*"
MAX_JOB_NAME = 255
JOB_SUFFIX_LENGTH = len("-a1b2c3")
"""What stands behind the run's name, so that colleagues who send the same job have a job each."""
EXPERIMENT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}"
EXPERIMENT_FORM = "It is letters, digits, `_` and `-`, 256 at most, a letter or a digit first."
MAX_DISPLAY_NAME = 256
MAX_LABELS = 24
"""Of the 50 tags that a job may have. The training's own need some."""
_LABEL_NAME_PATTERN = r"[\w./: -]{1,100}"
MAX_LABEL_VALUE = 1000
_RESERVED_LABEL = r"(?i)(?:robotrain|mlflow|azureml)[._]"
_CONTROL_CHARACTER = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"


def check_workload_name(job: Job) -> Iterator[Problem]:
    """The job is named for the run, which is named for the workload."""
    longest = MAX_JOB_NAME - JOB_SUFFIX_LENGTH - len(job.run_name(999)) + len(job.workload)
    if not re.fullmatch(JOB_NAME_PATTERN, job.workload) or len(job.workload) > longest:
        why = f"The job is named for it: letters, digits, `-` and `_`, at most {longest} characters."
        yield make_unsupported_problem(
            "azureml-workload-name", "Azure ML takes no such name of a workload", "", why, (), job.workload
        )


def check_experiment(job: Job) -> Iterator[Problem]:
    """The experiment that the job is listed in."""
    name = job_settings.get_experiment_name(job)
    if not re.fullmatch(EXPERIMENT_PATTERN, name):
        mended = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("_-")[:256]
        instead = make_suggestions(f"--experiment-name {mended}" if mended else "")
        yield make_invalid_value_problem(
            "--experiment-name", name, "the name of an experiment", EXPERIMENT_FORM, instead
        )


def check_display_name(settings: AzureMLSettings) -> Iterator[Problem]:
    """Text in one line."""
    text = settings.display_name
    if text is None:
        return
    if (
        not text.strip()
        or len(text) > MAX_DISPLAY_NAME
        or re.search(_CONTROL_CHARACTER, text)
        or EXPRESSION_START in text
    ):
        why = f"It is one line of text, at most {MAX_DISPLAY_NAME} characters."
        yield make_invalid_value_problem("--display-name", text, "a name to show", why)


def check_labels(settings: AzureMLSettings) -> Iterator[Problem]:
    """Tags as a job may have them, none of which is somebody else's."""
    given = job_settings.parse_labels(settings)
    if len(given) > MAX_LABELS:
        why = f"A job takes {MAX_LABELS} beside those of the training; these are {len(given)}."
        yield make_invalid_value_problem("--labels", "", "tags of a job", why)
    for name, value in given.items():
        if why := _explain_invalid_label(name, value):
            yield make_invalid_value_problem("--labels", f"{name}={value}", "tags of a job", why)


def _explain_invalid_label(name: str, value: str) -> str:
    if not re.fullmatch(_LABEL_NAME_PATTERN, name, re.ASCII):
        return f"{redact(name)!r} is no name of a tag: letters, digits and `_-./: `, at most 100 of them."
    if re.match(_RESERVED_LABEL, name):
        return f"{redact(name)!r} is a tag that is set by the job itself."
    if len(value) > MAX_LABEL_VALUE or re.search(_CONTROL_CHARACTER, value) or EXPRESSION_START in value:
        return f"The value of {redact(name)!r} is not one line of at most {MAX_LABEL_VALUE} characters."
    return ""


DATASTORE_PATTERN = r"[A-Za-z0-9_]{1,255}"
PUBLISH_PARAMETER = "publish_url"
NOTHING_SURVIVES_CODE = "azureml-nothing-survives"
PREEMPTION_TITLE = "{} may be taken away, with checkpoints unless --output-mode rw_mount"
"""Of a machine, in words."""


def check_datastore(settings: AzureMLSettings) -> Iterator[Problem]:
    """Named as the workspace has it, without an address."""
    name = settings.datastore
    if not re.fullmatch(DATASTORE_PATTERN, name):
        bare = re.match(rf"(?:azureml:)?(?://datastores/)?({DATASTORE_PATTERN})(?:/|$)", name)
        instead = make_suggestions(f"--datastore {bare[1]}" if bare else "--datastore workspaceblobstore")
        yield make_invalid_value_problem(
            "--datastore", name, "the name of a datastore", "It is letters, digits and `_`.", instead
        )


def check_preemption(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """What a machine that may be taken away keeps until then: nothing, unless somebody says so. Told once it is known
    that the job names its machine: a managed compute has its own, which the look before a submit sees.
    """
    if not job.profile.outputs.resumable:
        return
    values, named = dict(job.parameters), job_settings.choose_instance_type(job, settings)
    if (
        "spot" not in named
        or settings.output_mode != "upload"
        or PUBLISH_PARAMETER not in values
        or values[PUBLISH_PARAMETER]
    ):
        return
    if settings.compute_kind or settings.instance_type:
        yield make_warning(
            NOTHING_SURVIVES_CODE, PREEMPTION_TITLE.format(f"a machine of the type {named}"), "", "", note=True
        )


HUB_CREDENTIAL_FLAG, VAULT_FLAG = "--hf-credential", "--key-vault"


def check_hub_secret(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """A text that names no secret, also where this job does not need it: it may be the token."""
    text, vault = settings.hf_credential, settings.key_vault or ""
    if not text:
        return
    try:
        job_settings.make_secret_address(text, vault)
    except job_settings.SecretNameError as error:
        yield Problem(  # what was given is not repeated: it may be the secret itself
            code="azureml-secret-invalid",
            stage=Stage.PARSE,
            title=f"{HUB_CREDENTIAL_FLAG} takes the name or the address of a key vault's secret, and this is none",
            where=HUB_CREDENTIAL_FLAG,
            why=str(error),
            suggestions=make_suggestions(
                f"{HUB_CREDENTIAL_FLAG} hf-token {VAULT_FLAG} NAME", f"{HUB_CREDENTIAL_FLAG} {job_settings.SECRET_FORM}"
            ),
        )
        return
    if job_settings.has_hub_source(job) and not text.startswith("https:"):
        yield from _check_vault_name(vault)


def _check_vault_name(name: str) -> Iterator[Problem]:
    """The one that a secret is named in."""
    if not name:
        why = "A secret is found by its name in a vault, or by its whole address."
        instead = make_suggestions(f"{VAULT_FLAG} NAME", f"{HUB_CREDENTIAL_FLAG} {job_settings.SECRET_FORM}")
        yield make_missing_value_problem(
            "azureml-vault-missing", "nobody said which key vault holds the token", VAULT_FLAG, why, instead
        )
    elif not re.fullmatch(job_settings.VAULT_NAME, name, re.IGNORECASE | re.ASCII):
        host = re.match(rf"https://({job_settings.VAULT_NAME})\.", name, re.IGNORECASE | re.ASCII)
        why = "It is 3 to 24 letters, digits and single dashes, a letter first."
        yield make_invalid_value_problem(
            VAULT_FLAG,
            name,
            "the name of a key vault",
            why,
            make_suggestions(f"{VAULT_FLAG} {host[1]}" if host else ""),
        )


SHORTER_OPTIONS = {"BLOB_URLS": "--dataset-asset azureml:NAME:VERSION"}
"""What takes a short name in place of addresses."""


def check_job(job: Job, settings: AzureMLSettings) -> Iterator[Problem]:
    """What Azure ML would refuse, or its SDK let through, and what nobody said."""
    yield from check_workspace_names(settings)
    yield from check_compute.check_compute(settings)
    yield from check_compute.check_instance_type(settings)
    yield from check_compute.check_gpus(job, settings)
    yield from check_compute.check_image(job, settings)
    yield from check_compute.check_environment(job, settings)
    yield from check_compute.check_shared_memory(settings)
    yield from check_compute.check_timeout(settings)
    yield from check_workload_name(job)
    yield from check_experiment(job)
    yield from check_display_name(settings)
    yield from check_labels(settings)
    yield from check_datastore(settings)
    yield from check_preemption(job, settings)
    yield from checks.check_variable_sizes(
        "azureml-variable-too-long", command_job.make_compat_variables(job), SHORTER_OPTIONS
    )
    yield from check_hub_secret(job, settings)
