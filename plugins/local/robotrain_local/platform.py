"""The local platform, as the entry point `platform.local` names it. What acts is imported when it is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.plugins.hookspecs import hook

from robotrain_local.capabilities import CAPABILITIES, OPTION_HINTS
from robotrain_local.settings import LocalSettings

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.errors import Problem
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.platform import Platform
    from robotrain.model.run import Output, Reference, Status
    from robotrain_runtime.contract.event import Registered


class LocalPlatform:
    """Runs a job as a background process of this machine."""

    name = "local"
    summary = "this machine, as a background process"
    settings: type = LocalSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS

    def check(self, job: Job, settings: LocalSettings) -> Iterable[Problem]:
        """Its own rules: a tracking address that can be kept in a record, and settings that go together."""
        from robotrain_local import errors

        yield from errors.check_tracking_uri(settings.tracking_uri or "")
        yield from errors.check_torch_backend(settings)

    def render(
        self, job: Job, settings: LocalSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """The process, the job document and the payload; pure."""
        from robotrain_local import render

        return render.render_plan(job, settings, run, payload, container_plugins)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """The runtime's own preflight, on this machine, and a look at the run's folder."""
        from robotrain_local import preflight

        return preflight.run_preflight(plan)

    def submit(self, plan: Plan) -> Reference:
        """Start the process; it outlives the terminal. Raises Rejected."""
        from robotrain_local import submit

        return submit.submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        """The run that an earlier submit of this very plan began. Raises Rejected."""
        from robotrain_local import submit

        return submit.find_run(plan)

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises RunGone when its folder is gone."""
        from robotrain_local import observe

        return observe.read_status(observe.find_run_folder(reference))

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What the log holds now, or its last lines, or everything up to the run's end. Raises RunGone."""
        from robotrain_local import spec as files

        return self._read_lines(reference, files.LOG_FILE, follow, tail)

    def events(self, reference: Reference, follow: bool) -> Iterator[str]:
        """The event lines of the log alone; however much the run printed beside them is not read. Raises RunGone."""
        from robotrain.run_folder.log import EVENTS_FILE

        return self._read_lines(reference, EVENTS_FILE, follow)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int:
        """Remove what the run left here; the bytes that frees. dry_run: only count. Raises RunGone."""
        from robotrain_local import observe, outputs

        return outputs.remove_run(observe.find_run_folder(reference), dry_run)

    def cancel(self, reference: Reference) -> None:
        """Stop the run and return when it has ended. Raises RunGone, and Rejected when it runs on another machine."""
        from robotrain_local import observe

        observe.cancel_run(observe.find_run_folder(reference))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Its complete checkpoints, then other files. Raises RunGone."""
        from robotrain.run_folder import outputs

        from robotrain_local import observe

        return outputs.list_outputs(observe.find_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        from robotrain.run_folder import outputs

        outputs.download_output(output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make a checkpoint a version of a model, in the registry at the run's tracking address. Raises Rejected."""
        from robotrain_local import observe, outputs

        return outputs.register_model(observe.find_run_folder(reference), name, step)

    def _read_lines(self, reference: Reference, file: str, follow: bool, tail: int | None = None) -> Iterator[str]:
        from robotrain.run_folder import log

        from robotrain_local import observe

        folder = observe.find_run_folder(reference)
        return log.read_log_lines(
            folder / file, has_ended=lambda: not follow or observe.read_status(folder).finished, tail=tail
        )


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (LocalPlatform(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at."""
    from robotrain_local import doctor

    return doctor.list_health_checks()
