"""The OSMO platform and its hooks. The methods import what they need when they are called."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_osmo.capabilities import CAPABILITIES, OPTION_HINTS
from robotrain_osmo.settings import OsmoSettings

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


class OsmoPlatform(Platform):
    """Runs a job as a workflow of one task, through the user's own `osmo` command."""

    name = "osmo"
    summary = "NVIDIA OSMO, as a workflow in a pool"
    settings: type = OsmoSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    can_prepare = True

    def defaults(self, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
        """Return defaults of parameters: without shared memory, data is loaded in one process."""
        from robotrain_osmo.spec import resources

        return resources.get_parameter_defaults(settings)

    def derive_defaults(self, job: Job, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
        """Return the defaults of settings that depend on the job: image, resources, time limit."""
        from robotrain_osmo.spec import resources

        return dict(resources.derive_defaults(job, settings))

    def container_plugins(self, job: Job, settings: OsmoSettings) -> Mapping[str, str]:
        """Return the plugins that resolve workspaces' tracking URIs and models in the container."""
        from robotrain_azure.submission_spec import find_model_plugins

        from robotrain_osmo.spec import environment

        return {**environment.get_tracking_plugins(settings), **find_model_plugins(job.sources)}

    def check(self, job: Job, settings: OsmoSettings) -> Iterable[Problem]:
        """Check OSMO's rules: names, sizes, times, template syntax in values, missing settings."""
        from robotrain_osmo.spec import check_job

        return check_job.check_job(job, settings)

    def render(
        self, job: Job, settings: OsmoSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """Return the plan: the workflow and its submission spec; pure."""
        from robotrain_osmo.spec import render

        return render.render_plan(job, settings, run, payload, container_plugins)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Check the command, the sign-in, the pool, the credentials, and the data if this machine may read it."""
        from robotrain_osmo.preflight import run_preflight

        return run_preflight.run_preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Upload the folders that the job reads; yield a line for each. Raise Rejected if that fails."""
        from robotrain_osmo.submit import upload

        return upload.prepare_plan(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        """Return the sources whose pinned content is already in the storage, complete."""
        from robotrain.errors import Stage

        from robotrain_osmo.spec import submission_spec
        from robotrain_osmo.submit import upload

        return upload.find_uploaded(plan, submission_spec.load_submission_spec(plan, Stage.SUBMIT))

    def submit(self, plan: Plan) -> Reference:
        """Upload missing inputs and submit the workflow. Raise Rejected if OSMO refuses."""
        from robotrain_osmo.submit import submit

        return submit.submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        """Return the workflow of an earlier submit of this plan, or None. Raise Rejected if OSMO does not answer."""
        from robotrain_osmo.submit import reconcile

        return reconcile.find_workflow(plan)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """Return the workflow's id and the storage that OSMO copies its outputs to, for display."""
        from robotrain_osmo.observe import outputs

        url = reference.get("publishes", "")
        copied = url if outputs.is_osmo_storage(url) else ""
        facts = {"workflow": reference.get("workflow", ""), "copied to": copied}
        return {name: value for name, value in facts.items() if value}

    def status(self, reference: Reference) -> Status:
        """Return the workflow's state and the reason. Raise RunGone or Rejected."""
        from robotrain_osmo.observe import status

        return status.query_status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the lines that the task printed. Raise RunGone or Rejected."""
        from robotrain_osmo.observe import logs

        return logs.read_logs(reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Cancel the workflow and wait for its end. Raise RunGone or Rejected."""
        from robotrain_osmo.observe import cancel

        cancel.cancel_workflow(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the published checkpoints or results. Raise RunGone or Rejected."""
        from robotrain_osmo.observe import outputs

        return outputs.list_outputs(reference)

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output atomically. Raise Rejected if it cannot be copied."""
        from robotrain_osmo.observe import outputs

        outputs.download_output(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register a tracked checkpoint as a model version of the tracking workspace. Raise Rejected if that fails."""
        from robotrain_osmo.observe import register

        return register.register_model(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (OsmoPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """Return the health checks of `robotrain doctor`."""
    from robotrain_osmo import doctor

    return doctor.list_health_checks()
