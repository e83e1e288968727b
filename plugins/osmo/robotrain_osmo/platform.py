"""The OSMO platform, as the entry point `platform.osmo` names it. What acts is imported when it is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook

from robotrain_osmo.capabilities import CAPABILITIES, DECLINED
from robotrain_osmo.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.payload import Payload
    from robotrain.plan import Plan
    from robotrain.platforms import Default, Platform
    from robotrain.problem import Problem
    from robotrain.run import Output, Reference, Status
    from robotrain_runtime.document import Source
    from robotrain_runtime.event import Registered


class Osmo:
    """Runs a job as a workflow of one task, through the user's own `osmo` command."""

    name = "osmo"
    summary = "NVIDIA OSMO, as a workflow in a pool"
    settings: type = Settings
    capabilities = CAPABILITIES
    declined = DECLINED

    def defaults(self, settings: Settings) -> Mapping[str, Default]:
        """Without shared memory, data is loaded in one process."""
        from robotrain_osmo import shared_memory

        return shared_memory.defaults(settings)

    def derived(self, job: Job, settings: Settings) -> Mapping[str, Default]:
        """What is made of the settings that nobody said: the image, the machine, the time."""
        from robotrain_osmo import derived

        return dict(derived.derived(job, settings))

    def halves(self, job: Job, settings: Settings) -> Mapping[str, str]:
        """What finds the workspace's tracking address, when runs are tracked in one, and models of workspaces."""
        from robotrain_azure.models import halves as models

        from robotrain_osmo import tracking

        return {**tracking.halves(settings), **models.halves(job.sources)}

    def check(self, job: Job, settings: Settings) -> Iterable[Problem]:
        """OSMO's own rules: names, sizes, times, texts that it would read as a template, places that nobody named."""
        from robotrain_osmo.rules import check

        return check.check(job, settings)

    def render(self, job: Job, settings: Settings, run: str, payload: Payload, halves: Mapping[str, str]) -> Plan:
        """The workflow, and how it is handed over; pure."""
        from robotrain_osmo.spec import render

        return render.render(job, settings, run, payload, halves)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """The command, the sign-in, the pool, the credentials, and the data as this machine may see it."""
        from robotrain_osmo.look import preflight

        return preflight.preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Upload the folders that it reads; each is told in a line. Raises Rejected."""
        from robotrain_osmo.hand_over import prepare

        return prepare.prepare(plan)

    def holds(self, plan: Plan) -> Iterable[Source]:
        """The folders that lie in the storage as they were pinned, whole."""
        from robotrain.problem import Stage

        from robotrain_osmo.hand_over import handed, upload_there

        return upload_there.holds(plan, handed.of(plan, Stage.SUBMIT))

    def submit(self, plan: Plan) -> Reference:
        """Upload what is not there yet, and hand the workflow over. Raises Rejected."""
        from robotrain_osmo.hand_over import submit

        return submit.submit(plan)

    def find(self, plan: Plan) -> Reference | None:
        """The workflow that an earlier submit of this very plan became. Raises Rejected."""
        from robotrain_osmo.hand_over import find

        return find.find(plan)

    def shown(self, reference: Reference) -> Mapping[str, str]:
        """The workflow's id, and where OSMO itself copies what it leaves to."""
        from robotrain_osmo.watch import outputs

        place = reference.get("publishes", "")
        copied = place if outputs.is_storage(place) else ""
        found = {"workflow": reference.get("workflow", ""), "copied to": copied}
        return {name: value for name, value in found.items() if value}

    def status(self, reference: Reference) -> Status:
        """How the workflow is, and why. Raises RunGone, Rejected."""
        from robotrain_osmo.watch import status

        return status.status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What its task printed, without OSMO's own marks. Raises RunGone, Rejected."""
        from robotrain_osmo.watch import logs

        return logs.lines(reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Ask for its end, and see that it was taken. Raises RunGone, Rejected."""
        from robotrain_osmo.watch import cancel

        cancel.cancel(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """The checkpoints or the results that it published. Raises RunGone, Rejected."""
        from robotrain_osmo.watch import outputs

        return outputs.outputs(reference)

    def bring(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        from robotrain_osmo.watch import outputs_bring

        outputs_bring.bring(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make what the run left in the workspace that tracked it a version of a model there. Raises Rejected."""
        from robotrain_osmo.watch import register

        return register.register(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (Osmo(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at."""
    from robotrain_osmo import health

    return health.checks()
