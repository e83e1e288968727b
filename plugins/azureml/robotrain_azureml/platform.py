"""The Azure ML platform, the plugin `platform.azureml`. Each method imports its implementation when it is called."""

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
    """Runs a job as a command job of an Azure ML workspace, on an attached compute."""

    name = "azureml"
    summary = "Azure Machine Learning, as a command job of a workspace"
    settings: type = AzureMLSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    can_prepare = True
    prepare_ignores = ("source-missing", "azureml-compute-missing")

    def derive_defaults(self, job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
        """Return the defaults that depend on other settings: the compute, its instance type, the environment, …"""
        from robotrain_azureml.spec import job_settings

        return dict(job_settings.derive_defaults(job, settings))

    def container_plugins(self, job: Job, settings: AzureMLSettings) -> Mapping[str, str]:
        """Return the plugin that resolves the workspace's tracking URI."""
        from robotrain_azure import workspace

        return workspace.CONTAINER_PLUGINS

    def query_settings(self, job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
        """Return what only the workspace knows: the compute's kind and the jobs' identity. Raises Rejected."""
        from robotrain_azureml.preflight import compute

        return compute.fetch_compute_settings(settings)

    def check(self, job: Job, settings: AzureMLSettings) -> Iterable[Problem]:
        """Check Azure ML's own rules: names, times, images, machines, and what its SDK does not check."""
        from robotrain_azureml.spec import check_job

        return check_job.check_job(job, settings)

    def render(
        self, job: Job, settings: AzureMLSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """Return the command job, its code and its submission spec; pure."""
        from robotrain_azureml.spec import render

        return render.render_plan(job, settings, run, payload, container_plugins)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Check the sign-in, workspace, compute, assets and storage, and the data as seen from this machine."""
        from robotrain_azureml.preflight import run_preflight

        return run_preflight.run_preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Register the environment and upload folders; yield a line for each. Raises Rejected."""
        from robotrain_azureml.submit import submit

        return submit.prepare_plan(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        """Return the folders that are completely uploaded as they were pinned."""
        from robotrain.errors import Stage

        from robotrain_azureml.spec import submission_spec
        from robotrain_azureml.submit import upload

        return upload.find_uploaded_sources(plan, submission_spec.SUBMISSION.load(plan, Stage.SUBMIT))

    def submit(self, plan: Plan) -> Reference:
        """Prepare and create the job. Raises Rejected."""
        from robotrain_azureml.submit import submit

        return submit.submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        """Return the job of an earlier submit of this plan. Raises Rejected."""
        from robotrain_azureml.submit import reconcile

        return reconcile.find_run(plan)

    def read_submitted_spec(self, plan: Plan, reference: Reference) -> bytes:
        """Return the job file as submitted: with the job's own name and its uploaded code."""
        from robotrain_azureml.submit import job_file

        return job_file.make_submitted_job_file(plan, reference)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """Return the job's name in the workspace and its page in the studio."""
        from robotrain_azureml.service import jobs

        return jobs.describe_reference(reference)

    def status(self, reference: Reference) -> Status:
        """Return the job's state and the reason. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import status

        return status.query_status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield what the job's process printed. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import logs

        return logs.read_logs(reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Cancel the job and wait for its end. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import cancel

        cancel.cancel_job(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the checkpoints and results of the job, declared and published. Raises RunGone, Rejected."""
        from robotrain_azureml.observe import outputs

        return outputs.list_outputs(reference)

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Download one output. Raises Rejected."""
        from robotrain_azureml.observe import outputs

        outputs.download_output(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register a checkpoint of the job as a model version in the workspace. Raises Rejected."""
        from robotrain_azureml.observe import register

        return register.register_model(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (AzureMLPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """Return the checks of `robotrain doctor`."""
    from robotrain_azureml import doctor

    return doctor.list_health_checks()
