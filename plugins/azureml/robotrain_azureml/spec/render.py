"""Rendering of a job to the plan of a command job. Pure: no clock, randomness, network or disk."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from robotrain.cluster.spec import make_python_search
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain.model.preview import RunPlace
from robotrain_azure.workspace import CONTAINER_PLUGINS
from robotrain_runtime.contract.document import Placement, format_document

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import command_job, job_settings, submission_spec
from robotrain_azureml.spec import inputs as spec_inputs
from robotrain_azureml.spec.command_job import START_PROGRAM, dump_yaml, make_command_job, make_compat_variables
from robotrain_azureml.spec.inputs import JobInput
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

TRACKING_RUN_VARIABLE = "MLFLOW_RUN_ID"
SUBMISSION_VARIABLE = "AZUREML_RUN_ID"
"""Variables that Azure ML sets: the tracking run, and the job's name, which is the same for each attempt."""
SECRET_PLUGINS = {"secrets.key_vault": "robotrain_sources.fetching.named_secret"}
"""The container plugin that reads the secrets of key vaults, as a job document names it."""
CREDENTIAL_OPTIONS = {job_settings.HUB_KIND: f"{job_settings.HUB_FLAG} NAME"}


def find_container_plugins(job: Job, settings: AzureMLSettings) -> Mapping[str, str]:
    """Return the plugins that resolve the workspace's tracking URI and read the secrets of key vaults."""
    return {**CONTAINER_PLUGINS, **(SECRET_PLUGINS if settings.secrets else {})}


class RenderedJob(NamedTuple):
    """A job as Azure ML, its container and its submit need it."""

    body: dict[str, Any]
    """The command job."""
    placement: Placement
    submission: AzureMLSubmissionSpec


def render_job(job: Job, settings: AzureMLSettings, run: str) -> RenderedJob:
    """Return what a plan holds of a job beside its code."""
    inputs = tuple(spec_inputs.list_inputs(job, settings, run))
    return RenderedJob(
        make_command_job(job, settings, run, inputs),
        make_placement(job, settings, run, inputs),
        make_submission_spec(job, settings, run, inputs),
    )


def make_code(
    job: Job, run: str, payload: Payload, container_plugins: Mapping[str, str], placement: Placement
) -> dict[str, bytes]:
    """Return the files of the job's code."""
    document = make_job_document(
        job, run=run, platform="azureml", container_plugins=container_plugins, placement=placement
    )
    return {
        submission_spec.SEARCH_FILE: make_python_search(job.profile.container.interpreters).encode(),
        submission_spec.START_FILE: START_PROGRAM.encode(),
        submission_spec.DOCUMENT_FILE: format_document(document).encode(),
        submission_spec.PAYLOAD_FILE: payload.archive,
    }


def render_plan(
    job: Job, settings: AzureMLSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> Plan:
    """Return the plan: the job, its code, its readable document, and the submission spec."""
    rendered_job = render_job(job, settings, run)
    return Plan(
        platform="azureml",
        run=run,
        job=job,
        spec=submission_spec.JOB_FILE,
        files={
            submission_spec.JOB_FILE: dump_yaml(rendered_job.body).encode(),
            submission_spec.SUBMISSION_FILE: submission_spec.SUBMISSION.dump(rendered_job.submission),
            **make_code(job, run, payload, container_plugins, rendered_job.placement),
        },
        shown=(submission_spec.JOB_FILE, submission_spec.DOCUMENT_FILE),
    )


def make_submission_spec(
    job: Job, settings: AzureMLSettings, run: str, inputs: Sequence[JobInput]
) -> AzureMLSubmissionSpec:
    """Return the submission spec; duplicate uploads and assets are listed once."""
    workspace = job_settings.get_job_workspace(settings)
    return AzureMLSubmissionSpec(
        run=run,
        subscription=workspace.subscription,
        group=workspace.group,
        workspace=workspace.name,
        environment=job_settings.make_environment(job, settings),
        compute=job_settings.get_compute_name(settings),
        compute_kind=settings.compute_kind or "",
        instance_type=job_settings.choose_instance_type(job, settings),
        gpus=job.training_gpus,
        datastore=settings.datastore,
        uploads=tuple(dict.fromkeys(job_input.upload for job_input in inputs if job_input.upload)),
        assets=tuple(dict.fromkeys(job_input.asset for job_input in inputs if job_input.asset)),
        identity=settings.workload_identity or "",
        publishes=str(dict(job.parameters).get("publish_url") or ""),
        output=job.profile.outputs.folder,
        is_patched=bool(settings.spec_patch),
    )


def describe_run(settings: AzureMLSettings) -> RunPlace:
    """Return how long a run of a job may take, where its outputs are kept, and where it is tracked."""
    workspace = job_settings.get_job_workspace(settings)
    outputs = f"the datastore {settings.datastore} of the workspace"
    tracking = settings.tracking_uri or f"the workspace {workspace.name}"
    return RunPlace(settings.exec_timeout or "none", outputs=outputs, tracking=tracking)


def make_placement(job: Job, settings: AzureMLSettings, run: str, inputs: Sequence[JobInput]) -> Placement:
    """Return the machine as the job document describes it."""
    profile, is_group = job.profile.outputs, job.training_nodes > 1
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
        mounts=tuple(job_input.mount for job_input in inputs),
        credentials=job_settings.list_credential_addresses(job, settings),
        secrets=job_settings.list_secret_addresses(settings),
        promised=make_compat_variables(job),
        ways=CREDENTIAL_OPTIONS,
        cores_option="--instance-type NAME",
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
        node_rank=command_job.RANK_VARIABLE if is_group else "",
        node_address=command_job.ADDRESS if is_group else "",
    )
