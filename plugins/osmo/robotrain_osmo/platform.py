"""The OSMO platform, as the entry point `platform.osmo` names it. What acts is imported when it is asked for."""

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
        """Without shared memory, data is loaded in one process."""
        from robotrain_osmo.spec import resources

        return resources.get_parameter_defaults(settings)

    def derive_defaults(self, job: Job, settings: OsmoSettings) -> Mapping[str, PlatformDefault]:
        """What is made of the settings that nobody said: the image, the machine, the time."""
        from robotrain_osmo.spec import resources

        return dict(resources.derive_defaults(job, settings))

    def container_plugins(self, job: Job, settings: OsmoSettings) -> Mapping[str, str]:
        """What finds the workspace's tracking address, when runs are tracked in one, and models of workspaces."""
        from robotrain_azure.models import container as models

        from robotrain_osmo.spec import environment

        return {**environment.get_tracking_plugins(settings), **models.find_container_plugins(job.sources)}

    def check(self, job: Job, settings: OsmoSettings) -> Iterable[Problem]:
        """OSMO's own rules: names, sizes, times, texts that it would read as a template, places that nobody named."""
        from robotrain_osmo.spec import check_job

        return check_job.check_job(job, settings)

    def render(
        self, job: Job, settings: OsmoSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """The workflow, and how it is handed over; pure."""
        from robotrain_osmo.spec import render

        return render.render_plan(job, settings, run, payload, container_plugins)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """The command, the sign-in, the pool, the credentials, and the data as this machine may see it."""
        from robotrain_osmo.preflight import run_preflight

        return run_preflight.run_preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Upload the folders that it reads; each is told in a line. Raises Rejected."""
        from robotrain_osmo.submit import upload

        return upload.prepare_plan(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        """The folders that lie in the storage as they were pinned, whole."""
        from robotrain.errors import Stage

        from robotrain_osmo.spec import submission_spec
        from robotrain_osmo.submit import upload

        return upload.find_uploaded(plan, submission_spec.load_submission_spec(plan, Stage.SUBMIT))

    def submit(self, plan: Plan) -> Reference:
        """Upload what is not there yet, and hand the workflow over. Raises Rejected."""
        from robotrain_osmo.submit import submit

        return submit.submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        """The workflow that an earlier submit of this very plan became. Raises Rejected."""
        from robotrain_osmo.submit import reconcile

        return reconcile.find_workflow(plan)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """The workflow's id, and where OSMO itself copies what it leaves to."""
        from robotrain_osmo.observe import outputs

        place = reference.get("publishes", "")
        copied = place if outputs.is_osmo_storage(place) else ""
        found = {"workflow": reference.get("workflow", ""), "copied to": copied}
        return {name: value for name, value in found.items() if value}

    def status(self, reference: Reference) -> Status:
        """How the workflow is, and why. Raises RunGone, Rejected."""
        from robotrain_osmo.observe import status

        return status.query_status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What its task printed, without OSMO's own marks. Raises RunGone, Rejected."""
        from robotrain_osmo.observe import logs

        return logs.read_logs(reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Ask for its end, and see that it was taken. Raises RunGone, Rejected."""
        from robotrain_osmo.observe import cancel

        cancel.cancel_workflow(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """The checkpoints or the results that it published. Raises RunGone, Rejected."""
        from robotrain_osmo.observe import outputs

        return outputs.list_outputs(reference)

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        from robotrain_osmo.observe import outputs

        outputs.download_output(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make what the run left in the workspace that tracked it a version of a model there. Raises Rejected."""
        from robotrain_osmo.observe import register

        return register.register_model(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (OsmoPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at."""
    from robotrain_osmo import doctor

    return doctor.list_health_checks()
