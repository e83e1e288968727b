"""The platform `osmo`. Each method imports what implements it when it is called."""
# ruff: noqa: D102 (the base classes say what each method does)

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.cluster.platform import PipelineCluster
from robotrain.model.platform import ListedSubmission, Platform, PlatformDefault, SubmittedRun
from robotrain.plugins.hookspecs import hook
from robotrain_azure.settings import OPTION_HINTS

from robotrain_osmo.capabilities import CAPABILITIES
from robotrain_osmo.settings import OsmoSettings

if TYPE_CHECKING:
    from robotrain.cluster.outputs import ExpectedOutput
    from robotrain.errors import Problem
    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.pipeline import PipelineStep
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.preview import RunPlace
    from robotrain.model.reference import Reference
    from robotrain.model.run import Output, Status, StepStatus
    from robotrain.model.terminal import Forwarding, TerminalCommand
    from robotrain.model.workload import Workload
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Registered


class OsmoPlatform(PipelineCluster):
    """Runs a job as a workflow of a task on each node, and a pipeline as one, through the user's own `osmo` command."""

    name = "osmo"
    summary = "NVIDIA OSMO, as a workflow in a pool"
    settings: type = OsmoSettings
    capabilities = CAPABILITIES
    option_hints: Mapping[str, str] = {**OPTION_HINTS, "--use-local-osmo": "use --osmo-cli PATH"}
    engine = "OSMO"
    cancel_seconds = 30.0  # OSMO cancels later, from a queue
    cancel_command = "osmo workflow cancel {workflow} --force"

    def defaults(self, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
        from robotrain_osmo.spec.resources import get_parameter_defaults

        return get_parameter_defaults(settings)

    def derive_defaults(self, job: Job, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
        from robotrain_osmo.spec.resources import derive_defaults

        return derive_defaults(job, settings)

    def describe_run(self, job: Job, settings: OsmoSettings, run: str) -> RunPlace:
        from robotrain_osmo.spec.resources import describe_run

        return describe_run(job, settings)

    def choose_registration_settings(
        self, job: Job, settings: OsmoSettings, own: Collection[str]
    ) -> tuple[OsmoSettings, Iterable[Problem]]:
        from robotrain_osmo.spec.resources import choose_registration_settings

        return choose_registration_settings(job, settings, own)

    def container_plugins(self, job: Job, settings: OsmoSettings) -> Mapping[str, str]:
        from robotrain_osmo.spec.environment import find_container_plugins

        return find_container_plugins(job, settings)

    def suggest_settings(self) -> Mapping[str, PlatformDefault]:
        from robotrain_osmo.suggested_settings import suggest_settings

        return suggest_settings()

    def check(self, job: Job, settings: OsmoSettings) -> Iterable[Problem]:
        from robotrain_osmo.spec.check_job import check_job

        return check_job(job, settings)

    def render(
        self, job: Job, settings: OsmoSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        from robotrain_osmo.spec.render import render_plan

        return render_plan(job, settings, run, payload, container_plugins)

    def make_package(self, plan: Plan, settings: Mapping[str, Any], workload: Workload) -> Mapping[str, bytes]:
        from robotrain_osmo.spec.package import make_files

        return make_files(plan, settings, workload)

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        from robotrain_osmo.spec.pipeline import render_pipeline

        return render_pipeline(steps, job, run, finished)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        from robotrain_osmo.preflight.run_preflight import list_checks

        return list_checks(plan)

    def drop_consequences(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        from robotrain_osmo.preflight.run_preflight import drop_consequences

        return drop_consequences(problems)

    def pin_source(self, source: JobSource, settings: OsmoSettings) -> str:
        from robotrain_osmo.preflight.run_preflight import pin_source

        return pin_source(source, settings)

    def read_tags(self, source: JobSource, settings: OsmoSettings) -> Mapping[str, str]:
        from robotrain_osmo.preflight.run_preflight import read_tags

        return read_tags(source, settings)

    def prepare(self, plan: Plan) -> Iterator[str]:
        from robotrain_osmo.submit.upload import prepare_plan

        return prepare_plan(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        from robotrain_osmo.submit.upload import find_uploaded

        return find_uploaded(plan)

    def submit(self, plan: Plan) -> Reference:
        from robotrain_osmo.submit.submit import submit_plan

        return submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        from robotrain_osmo.submit.submit import find_workflow

        return find_workflow(plan)

    def find_submitted(self, text: str, settings: OsmoSettings) -> SubmittedRun | None:
        from robotrain_osmo.submitted_runs import find_submitted

        return find_submitted(text, settings)

    def list_submitted(self, settings: OsmoSettings, everyone: bool) -> Iterable[ListedSubmission] | None:
        from robotrain_osmo.submitted_runs import list_submitted

        return list_submitted(settings, everyone)

    def list_runs_beside(self, plan: Plan) -> Sequence[str]:
        from robotrain_osmo.submit.submit import list_workflows_beside

        return list_workflows_beside(plan)

    def find_page(self, reference: Reference) -> str:
        from robotrain_osmo.observe.status import find_page

        return find_page(reference)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        from robotrain_osmo.observe.outputs import describe_reference

        return describe_reference(reference)

    def status(self, reference: Reference) -> Status:
        from robotrain_osmo.observe.status import query_status

        return query_status(reference)

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        from robotrain_osmo.observe.status import list_steps

        return list_steps(reference)

    def has_step_output(self, reference: Reference) -> bool:
        from robotrain_osmo.observe.status import has_step_output

        return has_step_output(reference)

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        from robotrain_osmo.observe.status import query_pipeline

        return query_pipeline(reference)

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        from robotrain_osmo.observe.status import list_statuses

        return list_statuses(references)

    def select_step(self, reference: Reference) -> Reference:
        from robotrain_osmo.observe.pipeline_steps import select_step

        return select_step(reference)

    def read_log(self, reference: Reference, tail: int | None) -> Iterator[str]:
        from robotrain_osmo.observe.logs import read_log

        return read_log(reference, tail)

    def follow_log(self, reference: Reference, tail: int | None) -> Iterator[str]:
        from robotrain_osmo.observe.logs import follow_log

        return follow_log(reference, tail)

    def has_ended(self, reference: Reference) -> bool:
        from robotrain_osmo.observe.workflow_state import has_ended

        return has_ended(reference)

    def request_cancel(self, reference: Reference) -> str:
        from robotrain_osmo.observe.workflow_state import request_cancel

        return request_cancel(reference)

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        from robotrain_osmo.observe.task_access import make_shell

        return make_shell(reference, words)

    def make_forwarding(self, reference: Reference, here: int, there: int) -> Forwarding:
        from robotrain_osmo.observe.task_access import make_forwarding

        return make_forwarding(reference, here, there)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        from robotrain_osmo.observe.outputs import list_outputs

        return list_outputs(reference)

    def expect_output(self, reference: Reference, output: Output) -> ExpectedOutput:
        from robotrain_osmo.observe.outputs import expect_output

        return expect_output(reference, output)

    def fetch_output(self, reference: Reference, output: Output, to: Path) -> None:
        from robotrain_osmo.observe.outputs import fetch_output

        fetch_output(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        from robotrain_osmo.observe.register import register_model

        return register_model(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (OsmoPlatform(),)
