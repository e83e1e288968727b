"""The platform `azureml`. Each method imports what implements it when it is called."""
# ruff: noqa: D102 (the base classes say what each method does)

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.cluster.platform import PipelineCluster
from robotrain.model.platform import ListedSubmission, Platform, PlatformDefault, SubmittedRun
from robotrain.plugins.hookspecs import hook
from robotrain_azure.settings import OPTION_HINTS, suggest_workspace_settings

from robotrain_azureml.capabilities import CAPABILITIES
from robotrain_azureml.settings import AzureMLSettings

if TYPE_CHECKING:
    from robotrain.cluster.outputs import ExpectedOutput
    from robotrain.errors import Problem
    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.pipeline import PipelineStep, SweepSpec
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.preview import RunPlace
    from robotrain.model.reference import Reference
    from robotrain.model.run import Output, Status, StepStatus
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Registered

_PATCH_HINT = "use --spec-patch FILE, where FILE has `{}`"
_IDENTITY_HINT = _PATCH_HINT.format("identity: {type: user_identity, client_id: null}")
_SPOT_HINT = _PATCH_HINT.format("queue_settings: {job_tier: spot}")
JOB_KEY_HINTS = {
    "--output-datastore": "use --datastore NAME",
    "--identity": f"{_IDENTITY_HINT}; a managed one is --workload-identity CLIENT-ID",
    **dict.fromkeys(("--spot", "--job-tier"), f"{_SPOT_HINT}; a compute says itself if it is spot"),
    "--description": _PATCH_HINT.format("description: TEXT"),
    "--services": _PATCH_HINT.format("services: {NAME: {type: KIND}}"),
}
"""Options that people bring from `az ml`, or from the job file that it takes, each with what to use instead."""


class AzureMLPlatform(PipelineCluster):
    """Runs a job as a command job of an Azure ML workspace, on an attached compute."""

    name = "azureml"
    summary = "Azure Machine Learning, as a command job of a workspace"
    settings: type = AzureMLSettings
    capabilities = CAPABILITIES
    option_hints: Mapping[str, str] = {**OPTION_HINTS, **JOB_KEY_HINTS}
    engine = "Azure ML"
    cancel_command = (
        "az ml job cancel --name {job} --workspace-name {workspace} --resource-group {group}"
        " --subscription {subscription}"
    )

    def derive_defaults(self, job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
        from robotrain_azureml.spec.job_settings import derive_defaults

        return derive_defaults(job, settings)

    def describe_run(self, job: Job, settings: AzureMLSettings, run: str) -> RunPlace:
        from robotrain_azureml.spec.render import describe_run

        return describe_run(settings)

    def choose_registration_settings(
        self, job: Job, settings: AzureMLSettings, own: Collection[str]
    ) -> tuple[AzureMLSettings, Iterable[Problem]]:
        from robotrain_azureml.spec.job_settings import choose_registration_settings

        return choose_registration_settings(job, settings, own)

    def container_plugins(self, job: Job, settings: AzureMLSettings) -> Mapping[str, str]:
        from robotrain_azureml.spec.render import find_container_plugins

        return find_container_plugins(job, settings)

    def query_settings(self, job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
        from robotrain_azureml.preflight.compute import fetch_compute_settings

        return fetch_compute_settings(job, settings)

    def check(self, job: Job, settings: AzureMLSettings) -> Iterable[Problem]:
        from robotrain_azureml.spec.check_job import check_job

        return check_job(job, settings)

    def render(
        self, job: Job, settings: AzureMLSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        from robotrain_azureml.spec.render import render_plan

        return render_plan(job, settings, run, payload, container_plugins)

    def find_sweep_obstacle(self, sweep: SweepSpec) -> str:
        from robotrain_azureml.spec.sweep import find_sweep_obstacle

        return find_sweep_obstacle(sweep)

    def render_sweep(self, sweep: SweepSpec, job: Job, run: str) -> Plan:
        from robotrain_azureml.spec.sweep import render_sweep

        return render_sweep(sweep, job, run)

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        from robotrain_azureml.spec.pipeline import render_pipeline

        return render_pipeline(steps, job, run, finished)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        from robotrain_azureml.preflight.run_preflight import list_checks

        return list_checks(plan)

    def drop_consequences(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        from robotrain_azureml.preflight.run_preflight import drop_consequences

        return drop_consequences(problems)

    def pin_source(self, source: JobSource, settings: AzureMLSettings) -> str:
        from robotrain_azureml.preflight.run_preflight import pin_source

        return pin_source(source, settings)

    def read_tags(self, source: JobSource, settings: AzureMLSettings) -> Mapping[str, str]:
        from robotrain_azureml.preflight.run_preflight import read_tags

        return read_tags(source, settings)

    def prepare(self, plan: Plan) -> Iterator[str]:
        from robotrain_azureml.submit.submit import prepare_plan

        return prepare_plan(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        from robotrain_azureml.submit.upload import find_uploaded_sources

        return find_uploaded_sources(plan)

    def submit(self, plan: Plan) -> Reference:
        from robotrain_azureml.submit.submit import submit_plan

        return submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        from robotrain_azureml.submit.submit import find_run

        return find_run(plan)

    def find_submitted(self, text: str, settings: AzureMLSettings) -> SubmittedRun | None:
        from robotrain_azureml.submitted_runs import find_submitted

        return find_submitted(text, settings)

    def list_submitted(self, settings: AzureMLSettings, everyone: bool) -> Iterable[ListedSubmission] | None:
        from robotrain_azureml.submitted_runs import list_submitted

        return list_submitted(settings, everyone)

    def read_submitted_spec(self, plan: Plan, reference: Reference) -> bytes:
        from robotrain_azureml.submit.job_file import make_submitted_job_file

        return make_submitted_job_file(plan, reference)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        from robotrain_azureml.service.jobs import describe_reference

        return describe_reference(reference)

    def status(self, reference: Reference) -> Status:
        from robotrain_azureml.observe.status import query_status

        return query_status(reference)

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        from robotrain_azureml.observe.status import list_statuses

        return list_statuses(references)

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        from robotrain_azureml.observe.status import list_steps

        return list_steps(reference)

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        from robotrain_azureml.observe.status import query_pipeline

        return query_pipeline(reference)

    def select_step(self, reference: Reference) -> Reference:
        from robotrain_azureml.observe.step_runs import select_step

        return select_step(reference)

    def read_log(self, reference: Reference, tail: int | None) -> Iterator[str]:
        from robotrain_azureml.observe.logs import read_log

        return read_log(reference, tail)

    def follow_log(self, reference: Reference, tail: int | None) -> Iterator[str]:
        from robotrain_azureml.observe.logs import follow_log

        return follow_log(reference, tail)

    def has_ended(self, reference: Reference) -> bool:
        from robotrain_azureml.observe.job_state import has_ended

        return has_ended(reference)

    def request_cancel(self, reference: Reference) -> str:
        from robotrain_azureml.observe.job_state import request_cancel

        return request_cancel(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        from robotrain_azureml.observe.outputs import list_outputs

        return list_outputs(reference)

    def expect_output(self, reference: Reference, output: Output) -> ExpectedOutput:
        from robotrain_azureml.observe.outputs import expect_output

        return expect_output(reference, output)

    def fetch_output(self, reference: Reference, output: Output, to: Path) -> None:
        from robotrain_azureml.observe.outputs import fetch_output

        fetch_output(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        from robotrain_azureml.observe.register import register_model

        return register_model(reference, name, step)

    def suggest_settings(self) -> Mapping[str, PlatformDefault]:
        """Return the workspace of the Azure CLI; the compute is for users to fill in."""
        return {**suggest_workspace_settings(), "compute": PlatformDefault("", "")}


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (AzureMLPlatform(),)
