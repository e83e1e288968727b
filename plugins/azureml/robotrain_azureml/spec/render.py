"""Rendering of a job to the plan of a command job. Pure: no clock, randomness, network or disk.

The start program is the same for every job. Free text of the user is only in the job document.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from robotrain.cluster import spec as cluster_spec
from robotrain.cluster.spec import drop_empty, make_python_search, make_start_program
from robotrain.config.coerce import parse_pairs
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain_azure import workspace
from robotrain_azure.workspace import CONTAINER_PLUGINS
from robotrain_runtime.contract.document import Placement, format_document

from robotrain_azureml import identity
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import inputs as spec_inputs
from robotrain_azureml.spec import job_settings, submission_spec
from robotrain_azureml.spec.inputs import JobInput
from robotrain_azureml.spec.job_settings import get_experiment_name
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

QUOTED_KEY = "environment_variables"
"""Values below this key are always quoted."""
EXPRESSION_START = "${{"


class Expression(str):
    """Text that Azure ML evaluates: the one value of a job that may hold an expression."""

    __slots__ = ()


class ExpressionError(ValueError):
    """A job that Azure ML would misread; `check` rejects every value that causes it."""


def _refuse_expression(text: str) -> None:
    if EXPRESSION_START in text and not isinstance(text, Expression):
        raise ExpressionError(f"a value of the job holds {EXPRESSION_START}")


def dump_yaml(job: Mapping[str, Any]) -> str:
    """Return a job as YAML. Raise ExpressionError."""
    return cluster_spec.dump_yaml(job, QUOTED_KEY, _refuse_expression)


START_COMMAND = "/bin/sh python.sh -I start.py"
START_PROGRAM = make_start_program(
    "json, shutil, zipfile",
    "code, options = os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]",
    'with open(os.path.join(code, "job.json"), encoding="utf-8") as file:',
    '    folder = json.load(file)["placement"]["work"]',
    "os.makedirs(folder, exist_ok=True)",
    'shutil.copyfile(os.path.join(code, "job.json"), os.path.join(folder, "job.json"))',
    'with zipfile.ZipFile(os.path.join(code, "payload.zip")) as packed:',
    '    packed.extractall(os.path.join(folder, "payload"))',
)
_EXPANDED_DOLLAR = r"\$(?=[$({])"
"""A dollar that Kubernetes or Azure ML would expand."""


def make_compat_variables(job: Job) -> dict[str, str]:
    """Return the variables that repeat the document's sources, in their order, for compatibility."""
    variables: dict[str, str] = {}
    if assets := _list_uris(job, "dataset", "data_asset"):
        variables |= {"DATASET_ASSETS": _dump_uris(assets), "DATASET_ASSET_COUNT": str(len(assets))}
    if urls := _list_uris(job, "dataset", "blob_url"):
        variables["BLOB_URLS"] = _dump_uris(urls)
    for uri in _list_uris(job, "init_policy"):
        if not re.search(_EXPANDED_DOLLAR, uri):  # it would be expanded and cannot be escaped
            variables["INIT_FROM_POLICY_MODEL_SOURCE"] = uri
    return variables


def make_variables(job: Job, settings: AzureMLSettings) -> dict[str, str]:
    """Return the job's environment variables."""
    return {
        "PYTHONUNBUFFERED": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "AZURE_AUTHORITY_HOST": f"https://{workspace.get_cloud().authority}",
        **identity.make_identity_variables(settings.workload_identity),
        "AZURE_SUBSCRIPTION_ID": settings.subscription_id or "",
        "AZURE_RESOURCE_GROUP": settings.resource_group or "",
        "AZUREML_WORKSPACE_NAME": settings.workspace_name or "",
        "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES": str(settings.mlflow_token_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_http_timeout),
        **make_compat_variables(job),
    }


def _list_uris(job: Job, role: str, *kinds: str) -> list[str]:
    return [source.uri for source in job.sources if source.role == role and (not kinds or source.kind in kinds)]


def _dump_uris(uris: Iterable[str]) -> str:
    """Return URIs as JSON, with dollars that would be expanded as `\\u0024`."""
    return re.sub(_EXPANDED_DOLLAR, r"\\u0024", json.dumps(uris))


JOB_SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
RUN_TAG = "robotrain.run"
DIGEST_TAG = "robotrain.job"
"""Tags of every job: the run's name, and the digest of the job before pinning."""


def make_command_job(job: Job, settings: AzureMLSettings, run: str, inputs: Iterable[JobInput]) -> dict[str, Any]:
    """Return the job without empty values. Its command is always the same: no value of the user is in it."""
    own_tags, environment = {RUN_TAG: run, DIGEST_TAG: job.digest}, job_settings.make_environment(job, settings)
    output = job.profile.outputs.folder
    uri = spec_inputs.make_output_uri(settings.datastore, run, output)
    machine = drop_empty({"instance_type": job_settings.choose_instance_type(job, settings)})
    return drop_empty(
        {
            "$schema": JOB_SCHEMA,
            "type": "command",
            "name": run,
            "display_name": settings.display_name or run,
            "experiment_name": get_experiment_name(job),
            "tags": {**own_tags, **parse_pairs(settings.labels)},  # `check` rejects labels of these names
            "code": submission_spec.CODE_FOLDER,
            "command": START_COMMAND,
            "environment": environment.reference,
            "compute": f"azureml:{job_settings.get_compute_name(settings)}",
            "resources": {"instance_count": 1, **machine, "shm_size": settings.shm_size},
            "limits": drop_empty({"timeout": job_settings.parse_timeout(settings)}),
            "identity": identity.make_identity(settings.workload_identity),
            "environment_variables": make_variables(job, settings),
            "inputs": {job_input.name: dict(job_input.entry) for job_input in inputs},
            "outputs": {output: {"type": "uri_folder", "mode": settings.output_mode, "path": uri}},
        }
    )


TRACKING_RUN_VARIABLE = "MLFLOW_RUN_ID"
SUBMISSION_VARIABLE = "AZUREML_RUN_ID"
"""Variables that Azure ML sets: the tracking run, and the job's name, which is the same for each attempt."""
HUB_CREDENTIAL_FLAG = "--hf-credential"
CREDENTIAL_OPTIONS = {"huggingface": f"{HUB_CREDENTIAL_FLAG} NAME"}


def find_container_plugins(job: Job, settings: AzureMLSettings) -> Mapping[str, str]:
    """Return the plugin that resolves the workspace's tracking URI."""
    return CONTAINER_PLUGINS


class RenderedJob(NamedTuple):
    """A job as Azure ML, its container and its submit need it."""

    body: dict[str, Any]
    """The command job."""
    placement: Placement
    submission: AzureMLSubmissionSpec


def render_job(job: Job, settings: AzureMLSettings, run: str) -> RenderedJob:
    """Return what a plan holds of a job beside its code."""
    inputs = tuple(spec_inputs.list_inputs(job, settings, run))
    secret = job_settings.find_hub_token_address(job, settings)
    return RenderedJob(
        make_command_job(job, settings, run, inputs),
        make_placement(job, settings, run, inputs, secret),
        make_submission_spec(job, settings, run, inputs, secret),
    )


def make_code(
    job: Job, run: str, payload: Payload, container_plugins: Mapping[str, str], placement: Placement, **more: Any
) -> dict[str, bytes]:
    """Return the files of the job's code. `more`: further values of the job document."""
    document = make_job_document(
        job, run=run, platform="azureml", container_plugins=container_plugins, placement=placement
    )
    return {
        submission_spec.SEARCH_FILE: make_python_search(job.profile.container.interpreters).encode(),
        submission_spec.START_FILE: START_PROGRAM.encode(),
        submission_spec.DOCUMENT_FILE: format_document(replace(document, **more)).encode(),
        submission_spec.PAYLOAD_FILE: payload.archive,
    }


def render_plan(
    job: Job, settings: AzureMLSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> Plan:
    """Return the plan: the job, its code, its readable document, and the submission spec."""
    rendered = render_job(job, settings, run)
    return Plan(
        platform="azureml",
        run=run,
        job=job,
        spec=submission_spec.JOB_FILE,
        files={
            submission_spec.JOB_FILE: dump_yaml(rendered.body).encode(),
            submission_spec.SUBMISSION_FILE: submission_spec.SUBMISSION.dump(rendered.submission),
            **make_code(job, run, payload, container_plugins, rendered.placement),
        },
        shown=(submission_spec.JOB_FILE, submission_spec.DOCUMENT_FILE),
    )


def make_submission_spec(
    job: Job, settings: AzureMLSettings, run: str, inputs: Sequence[JobInput], secret: str
) -> AzureMLSubmissionSpec:
    """Return the submission spec; duplicate uploads and assets are listed once. `secret`: its URL, empty for none."""
    token = submission_spec.KeyVaultSecret(uri=secret, flag=HUB_CREDENTIAL_FLAG, what="your Hugging Face token")
    at = job_settings.get_job_workspace(settings)
    return AzureMLSubmissionSpec(
        run=run,
        subscription=at.subscription,
        group=at.group,
        workspace=at.name,
        environment=job_settings.make_environment(job, settings),
        compute=job_settings.get_compute_name(settings),
        compute_kind=settings.compute_kind or "",
        instance_type=job_settings.choose_instance_type(job, settings),
        gpus=job.training_gpus,
        datastore=settings.datastore,
        uploads=tuple(dict.fromkeys(item.upload for item in inputs if item.upload)),
        assets=tuple(dict.fromkeys(item.asset for item in inputs if item.asset)),
        secrets=(token,) if secret else (),
        identity=settings.workload_identity or "",
        publishes=str(dict(job.parameters).get("publish_url") or ""),
        output=job.profile.outputs.folder,
    )


def make_placement(job: Job, settings: AzureMLSettings, run: str, inputs: Sequence[JobInput], secret: str) -> Placement:
    """Return the machine as the job document describes it."""
    profile = job.profile.outputs
    output = f"${{AZURE_ML_OUTPUT_{profile.folder}}}"  # a variable that Azure ML sets
    return Placement(
        work=f"{settings.work_dir}/{run}",
        cache=f"{settings.work_dir}/cache",
        tracking_uri="" if settings.tracking_uri else job_settings.get_job_workspace(settings).tracking_uri,
        tracking_run=TRACKING_RUN_VARIABLE,
        submission=SUBMISSION_VARIABLE,
        kept=output,
        kept_as=spec_inputs.make_output_uri(settings.datastore, f"${{{SUBMISSION_VARIABLE}}}", profile.folder),
        left=output if profile.resumable and settings.output_mode == "rw_mount" else "",
        mounts=tuple(item.mount for item in inputs),
        credentials={"huggingface": secret} if secret else {},
        promised=make_compat_variables(job),
        ways=CREDENTIAL_OPTIONS,
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
    )
