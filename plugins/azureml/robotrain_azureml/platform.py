"""The Azure ML platform, as the entry point `platform.azureml` names it. What acts is imported when it is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_azureml.capabilities import CAPABILITIES, OPTION_HINTS
from robotrain_azureml.settings import AzureMLSettings

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.errors import Problem
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.platform import PlatformDefault
    from robotrain.model.run import Output, Reference, Status
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Registered


class AzureMLPlatform(Platform):
    """Runs a job as a command job of a workspace, on a compute that is attached to it."""

    name = "azureml"
    summary = "Azure Machine Learning, as a command job of a workspace"
    settings: type = AzureMLSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    can_prepare = True
    prepare_ignores = ("source-missing", "azureml-compute-missing")

    def derive_defaults(self, job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
        """What is made of the settings that nobody said: the compute, its machine, the environment's version, …"""
        from robotrain_azureml.spec import job_settings

        return dict(job_settings.derive_defaults(job, settings))

    def container_plugins(self, job: Job, settings: AzureMLSettings) -> Mapping[str, str]:
        """What finds the workspace's tracking address, and its models."""
        from robotrain_azure import workspace

        return workspace.CONTAINER_PLUGINS

    def query_settings(self, job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
        """What only the workspace tells: of what kind the compute is, and as whom its jobs sign in. Raises Rejected."""
        from robotrain_azureml.preflight import compute

        return compute.fetch_compute_settings(settings)

    def check(self, job: Job, settings: AzureMLSettings) -> Iterable[Problem]:
        """Azure ML's own rules: names, times, images, machines, and what its SDK lets through silently."""
        from robotrain_azureml.spec import check_job

        return check_job.check_job(job, settings)

    def render(
        self, job: Job, settings: AzureMLSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """The command job, its code, and how they are handed over; pure."""
        from robotrain_azureml.spec import render

        return render.render_plan(job, settings, run, payload, container_plugins)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """The sign-in, the workspace, the compute, the assets, the storage, and the data as this machine may see it."""
        from robotrain_azureml.preflight import run_preflight

        return run_preflight.run_preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Register the environment and upload what is not there yet; each is told in a line. Raises Rejected."""
        from robotrain_azureml.submit import submit

        return submit.prepare_plan(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        """The folders that lie in the datastore as they were pinned, whole."""
        from robotrain.errors import Stage

        from robotrain_azureml.spec import submission_spec
        from robotrain_azureml.submit import upload

        return upload.find_uploaded_sources(plan, submission_spec.load_submission_spec(plan, Stage.SUBMIT))

    def submit(self, plan: Plan) -> Reference:
        """Prepare it, and make the job. Raises Rejected."""
        from robotrain_azureml.submit import submit

        return submit.submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        """The job that an earlier submit of this very plan became. Raises Rejected."""
        from robotrain_azureml.submit import reconcile

        return reconcile.find_run(plan)

    def read_submitted_spec(self, plan: Plan, reference: Reference) -> bytes:
        """The job as it was made: with the name it got, and its code where that was uploaded to."""
        from robotrain_azureml.submit import job_file

        return job_file.make_submitted_job_file(plan, reference)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """The job's name in the workspace, and its page in the studio."""
        from robotrain_azureml.service import jobs

        return jobs.describe_reference(reference)

    def status(self, reference: Reference) -> Status:
        """How the job is, and why. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import status

        return status.query_status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What its process printed. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import logs

        return logs.read_logs(reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Ask for its end, and see that it was taken. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import cancel

        cancel.cancel_job(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """The checkpoints of its declared output, and those it published. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import outputs

        return outputs.list_outputs(reference)

    def download(self, reference: Reference, output: Output, target: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        from robotrain_azureml.observe import outputs

        outputs.download_output(reference, output, target)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make a checkpoint of the job a version of a model in the workspace. Raises Rejected."""
        from robotrain_azureml.observe import register

        return register.register_model(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (AzureMLPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at."""
    from robotrain_azureml import doctor

    return doctor.list_health_checks()
