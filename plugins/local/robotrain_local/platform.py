"""The local platform, as the entry point `platform.local` names it. What acts is imported when it is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook

from robotrain_local.capabilities import CAPABILITIES, DECLINED
from robotrain_local.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.payload import Payload
    from robotrain.plan import Plan
    from robotrain.platforms import Platform
    from robotrain.problem import Problem
    from robotrain.run import Output, Reference, Status
    from robotrain_runtime.event import Registered


class Local:
    """Runs a job as a background process of this machine."""

    name = "local"
    summary = "this machine, as a background process"
    settings: type = Settings
    capabilities = CAPABILITIES
    declined = DECLINED

    def check(self, job: Job, settings: Settings) -> Iterable[Problem]:
        """Its own rules: a tracking address that can be kept in a record, and settings that go together."""
        from robotrain_local import address, torch_backend

        yield from address.wrong_with(settings.tracking_uri or "")
        yield from torch_backend.wrong_with(settings)

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

    def find(self, plan: Plan) -> Reference | None:
        """The run that an earlier submit of this very plan began. Raises Rejected."""
        from robotrain_local import launch

        return launch.find(plan)

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises RunGone when its folder is gone."""
        from robotrain_local import state

        return state.of(state.folder_of(reference))

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What the log holds now, or its last lines, or everything up to the run's end. Raises RunGone."""
        from robotrain_local import folder as files

        return self._lines(reference, files.LOG, follow, tail)

    def events(self, reference: Reference, follow: bool) -> Iterator[str]:
        """The event lines of the log alone; however much the run printed beside them is not read. Raises RunGone."""
        from robotrain.run_folder.told import EVENTS

        return self._lines(reference, EVENTS, follow)

    def forget(self, reference: Reference, dry_run: bool = False) -> int:
        """Remove what the run left here; the bytes that frees. dry_run: only count. Raises RunGone."""
        from robotrain_local import forget, state

        return forget.forget(state.folder_of(reference), dry_run)

    def cancel(self, reference: Reference) -> None:
        """Stop the run and return when it has ended. Raises RunGone, and Rejected when it runs on another machine."""
        from robotrain_local import cancel, state

        cancel.cancel(state.folder_of(reference))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Its complete checkpoints, then other files. Raises RunGone."""
        from robotrain import run_folder

        from robotrain_local import state

        return run_folder.outputs(state.folder_of(reference))

    def bring(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        from robotrain import run_folder

        run_folder.bring(output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make a checkpoint a version of a model, in the registry at the run's tracking address. Raises Rejected."""
        from robotrain_local import register, state

        return register.register(state.folder_of(reference), name, step)

    def _lines(self, reference: Reference, file: str, follow: bool, tail: int | None = None) -> Iterator[str]:
        from robotrain.run_folder import log

        from robotrain_local import state

        folder = state.folder_of(reference)
        return log.lines(folder / file, ended=lambda: not follow or state.of(folder).finished, tail=tail)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (Local(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at."""
    from robotrain_local import health

    return health.checks()
