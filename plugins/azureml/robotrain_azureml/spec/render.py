"""From a job to the plan of a command job. Pure: no clock, randomness, network or disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.document import Placement, format_document

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import command_job, inputs, job_settings, submission_spec
from robotrain_azureml.spec.inputs import JobInput

TRACKING_RUN_VARIABLE = "MLFLOW_RUN_ID"
SUBMISSION_VARIABLE = "AZUREML_RUN_ID"
"""Variables that Azure ML sets: the tracking run, and the job's name, which is the same for each attempt."""
CREDENTIAL_OPTIONS = {"huggingface": "--hf-credential NAME"}


def render_plan(
    job: Job, settings: AzureMLSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> plan.Plan:
    """Return the plan: the job, its code, its readable document, and the submission spec."""
    builder = _AzureMLPlanBuilder(job, settings, run)
    spec = command_job.make_command_job(job, settings, run, builder.inputs)
    return plan.Plan(
        platform="azureml",
        run=run,
        job=job,
        spec=submission_spec.JOB_FILE,
        files={
            submission_spec.JOB_FILE: command_job.dump_yaml(spec).encode(),
            submission_spec.SUBMISSION_FILE: submission_spec.SUBMISSION.dump(builder.make_submission_spec()),
            submission_spec.START_FILE: command_job.START_PROGRAM.encode(),
            submission_spec.DOCUMENT_FILE: builder.dump_document(container_plugins),
            submission_spec.PAYLOAD_FILE: payload.archive,
        },
        shown=(submission_spec.JOB_FILE, submission_spec.DOCUMENT_FILE),
    )


@dataclass(frozen=True)
class _AzureMLPlanBuilder:
    """The files of a plan."""

    job: Job
    settings: AzureMLSettings
    run: str
    workspace: Workspace = field(init=False)
    inputs: tuple[JobInput, ...] = field(init=False)
    secret: str = field(init=False)
    """The URL of the Hub token's secret; empty for none."""

    def __post_init__(self) -> None:
        settings = self.settings
        names = (settings.subscription_id or "", settings.resource_group or "", settings.workspace_name or "")
        object.__setattr__(self, "workspace", Workspace(*names))
        object.__setattr__(self, "inputs", tuple(inputs.list_inputs(self.job, settings, self.run)))
        object.__setattr__(self, "secret", job_settings.find_hub_token_address(self.job, settings))

    def dump_document(self, container_plugins: Mapping[str, str]) -> bytes:
        """Return the job document."""
        document = plan.make_job_document(
            self.job,
            run=self.run,
            platform="azureml",
            container_plugins=container_plugins,
            placement=self._make_placement(),
        )
        return format_document(document).encode()

    def make_submission_spec(self) -> submission_spec.AzureMLSubmissionSpec:
        """Return the submission spec; duplicate uploads and assets are listed once."""
        settings = self.settings
        return submission_spec.AzureMLSubmissionSpec(
            run=self.run,
            subscription=self.workspace.subscription,
            group=self.workspace.group,
            workspace=self.workspace.name,
            environment=command_job.make_environment(self.job, settings),
            compute=job_settings.get_compute_name(settings),
            compute_kind=settings.compute_kind or "",
            instance_type=job_settings.choose_instance_type(self.job, settings),
            gpus=job_settings.get_gpu_count(self.job),
            datastore=settings.datastore,
            uploads=tuple(dict.fromkeys(item.upload for item in self.inputs if item.upload)),
            assets=tuple(dict.fromkeys(item.asset for item in self.inputs if item.asset)),
            secrets=self._list_secrets(),
            identity=settings.workload_identity or "",
            publishes=str(dict(self.job.parameters).get("publish_url") or ""),
            output=self.job.profile.outputs.folder,
        )

    def _make_placement(self) -> Placement:
        settings, profile = self.settings, self.job.profile.outputs
        output = inputs.make_output_variable(profile.folder)
        return Placement(
            work=f"{settings.work_dir}/{self.run}",
            cache=f"{settings.work_dir}/cache",
            tracking_uri=self.workspace.tracking_uri,
            tracking_run=TRACKING_RUN_VARIABLE,
            submission=SUBMISSION_VARIABLE,
            kept=output,
            kept_as=inputs.make_output_uri(settings.datastore, f"${{{SUBMISSION_VARIABLE}}}", profile.folder),
            left=output if profile.resumable and settings.output_mode == "rw_mount" else "",
            mounts=tuple(item.mount for item in self.inputs),
            credentials={"huggingface": self.secret} if self.secret else {},
            promised=command_job.make_compat_variables(self.job),
            ways=CREDENTIAL_OPTIONS,
            download_mib=settings.download_mib,
            cache_gib=settings.cache_gib,
        )

    def _list_secrets(self) -> tuple[submission_spec.KeyVaultSecret, ...]:
        what = "your Hugging Face token"
        return (
            (submission_spec.KeyVaultSecret(uri=self.secret, flag="--hf-credential", what=what),) if self.secret else ()
        )
