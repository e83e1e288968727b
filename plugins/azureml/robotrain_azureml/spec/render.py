"""From a job to the plan of a command job. Pure: no clock, no randomness, no network, no look at a disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from robotrain import plan
from robotrain.job import Job
from robotrain.payload import Payload
from robotrain_azure.workspace import Workspace
from robotrain_runtime.document import Placement, dump

from robotrain_azureml import compute_name, machine, order, vault_secret
from robotrain_azureml.settings import Settings
from robotrain_azureml.spec import inputs, outputs, start, text, variables
from robotrain_azureml.spec import job as command_job

TRACKING_RUN = "MLFLOW_RUN_ID"
SUBMISSION = "AZUREML_RUN_ID"
"""Names of the environment that Azure ML sets: its tracking run, and the job's name, the same for each attempt."""
WAYS = {"huggingface": "--hf-credential NAME"}


def render(job: Job, settings: Settings, run: str, payload: Payload, halves: Mapping[str, str]) -> plan.Plan:
    """The plan: the job, its code with the document for people to read, and how it is handed over."""
    made = _Made(job, settings, run)
    spec = command_job.job(job, settings, run, made.reads)
    return plan.Plan(
        platform="azureml",
        run=run,
        job=job,
        spec=order.SPEC,
        files={
            order.SPEC: text.dump(spec).encode(),
            order.FILE: order.dump(made.hand_over()),
            order.START: start.PROGRAM.encode(),
            order.JOB: made.document(halves),
            order.PAYLOAD: payload.archive,
        },
        shown=(order.SPEC, order.JOB),
    )


@dataclass(frozen=True)
class _Made:
    """What the files of a plan are made from. secret: the address of the Hub's token; empty for none."""

    job: Job
    settings: Settings
    run: str
    at: Workspace = field(init=False)
    reads: tuple[inputs.Input, ...] = field(init=False)
    secret: str = field(init=False)

    def __post_init__(self) -> None:
        said = self.settings
        names = (said.subscription_id or "", said.resource_group or "", said.workspace_name or "")
        object.__setattr__(self, "at", Workspace(*names))
        object.__setattr__(self, "reads", tuple(inputs.of(self.job, said, self.run)))
        object.__setattr__(self, "secret", vault_secret.hugging_face(self.job, said))

    def document(self, halves: Mapping[str, str]) -> bytes:
        """The job document."""
        told = plan.document(self.job, run=self.run, platform="azureml", halves=halves, placement=self._placement())
        return dump(told).encode()

    def hand_over(self) -> order.Order:
        """How it is handed over; what is named twice is there once."""
        settings = self.settings
        return order.Order(
            run=self.run,
            subscription=self.at.subscription,
            group=self.at.group,
            workspace=self.at.name,
            environment=command_job.environment_of(self.job, settings),
            compute=compute_name.compute(settings),
            compute_kind=settings.compute_kind or "",
            instance_type=machine.instance_type(self.job, settings),
            gpus=machine.wanted_gpus(self.job),
            datastore=settings.datastore,
            uploads=tuple(dict.fromkeys(one.upload for one in self.reads if one.upload)),
            assets=tuple(dict.fromkeys(one.asset for one in self.reads if one.asset)),
            secrets=self._secrets(),
            identity=settings.workload_identity or "",
            publishes=str(dict(self.job.parameters).get("publish_url") or ""),
            output=self.job.profile.outputs.folder,
        )

    def _placement(self) -> Placement:
        settings, left = self.settings, self.job.profile.outputs
        place = outputs.place(left.folder)
        return Placement(
            work=f"{settings.work_dir}/{self.run}",
            cache=f"{settings.work_dir}/cache",
            tracking_uri=self.at.tracking_uri,
            tracking_run=TRACKING_RUN,
            submission=SUBMISSION,
            kept=place,
            kept_as=outputs.path(settings.datastore, f"${{{SUBMISSION}}}", left.folder),
            left=place if left.resumable and settings.output_mode == "rw_mount" else "",
            mounts=tuple(one.mount for one in self.reads),
            credentials={"huggingface": self.secret} if self.secret else {},
            promised=variables.promised(self.job),
            ways=WAYS,
            download_mib=settings.download_mib,
            cache_gib=settings.cache_gib,
        )

    def _secrets(self) -> tuple[order.Secret, ...]:
        what = "your Hugging Face token"
        return (order.Secret(uri=self.secret, flag="--hf-credential", what=what),) if self.secret else ()
