"""The local platform, as the entry point `platform.local` names it. What acts is imported when it is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook

from robotrain_local.capabilities import CAPABILITIES, DECLINED
from robotrain_local.settings import Settings

if TYPE_CHECKING:
    from robotrain.job import Job
    from robotrain.payload import Payload
    from robotrain.plan import Plan
    from robotrain.platforms import Platform
    from robotrain.problem import Problem
    from robotrain.run import Reference, Status


class Local:
    """Runs a job as a background process of this machine."""

    name = "local"
    summary = "this machine, as a background process"
    settings: type = Settings
    capabilities = CAPABILITIES
    declined = DECLINED

    def check(self, job: Job, settings: Settings) -> Iterable[Problem]:
        """Its own rules: a tracking address that can be kept in a record."""
        from robotrain_local import address

        return address.wrong_with(settings.tracking_uri or "")

    def render(self, job: Job, settings: Settings, run: str, payload: Payload, halves: Mapping[str, str]) -> Plan:
        """The process, the job document and the payload; pure."""
        from robotrain_local import render

        return render.render(job, settings, run, payload, halves)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """The runtime's own preflight, on this machine, and a look at the run's folder."""
        from robotrain_local import preflight

        return preflight.preflight(plan)

    def submit(self, plan: Plan) -> Reference:
        """Start the process; it outlives the terminal. Raises Rejected."""
        from robotrain_local import launch

        return launch.launch(plan)

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises RunGone when its folder is gone."""
        from robotrain_local import state

        return state.of(state.folder_of(reference))

    def logs(self, reference: Reference, follow: bool) -> Iterator[str]:
        """What the log holds now, or everything up to the run's end. Raises RunGone."""
        from robotrain_local import folder as files
        from robotrain_local import log, state

        folder = state.folder_of(reference)
        return log.lines(folder / files.LOG, ended=lambda: not follow or state.of(folder).finished)

    def cancel(self, reference: Reference) -> None:
        """Stop the run and return when it has ended. Raises RunGone."""
        from robotrain_local import cancel, state

        cancel.cancel(state.folder_of(reference))


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (Local(),)
