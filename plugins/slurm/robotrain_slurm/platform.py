"""The platform `slurm`: what help and the TAB key need of it. Each method imports what implements it when it is called.

Plans are made by `SlurmPlans`. The rest is asked of the `SlurmScheduler` of this machine, or of the login node that the
plan or the reference names.
"""
# ruff: noqa: D102 (the base classes say what each method does)

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.model.platform import ListedSubmission, Platform, PlatformDefault, SubmittedRun
from robotrain.plugins.hookspecs import hook

from robotrain_slurm.capabilities import CANCEL_COMMAND, CAPABILITIES
from robotrain_slurm.login.address import is_cluster_folder
from robotrain_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.pipeline import PipelineStep, SweepSpec
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.preview import RunPlace
    from robotrain.model.reference import Reference
    from robotrain.model.run import Output, Status, StepStatus
    from robotrain.model.terminal import Forwarding, TerminalCommand
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Registered


class SlurmPlatform(Platform):
    """Runs a job as a batch job, in a run folder that every node sees."""

    name = "slurm"
    summary = "a Slurm cluster, as a batch job"
    settings: type = SlurmSettings
    capabilities = CAPABILITIES
    cancel_command = CANCEL_COMMAND

    def derive_defaults(self, job: Job, settings: SlurmSettings) -> Mapping[str, PlatformDefault]:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().derive_defaults(job, settings)

    def describe_run(self, job: Job, settings: SlurmSettings, run: str) -> RunPlace:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().describe_run(job, settings, run)

    def check(self, job: Job, settings: SlurmSettings) -> Iterable[Problem]:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().check(job, settings)

    def container_plugins(self, job: Job, settings: SlurmSettings) -> Mapping[str, str]:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().container_plugins(job, settings)

    def choose_registration_settings(
        self, job: Job, settings: SlurmSettings, own: Collection[str]
    ) -> tuple[SlurmSettings, Iterable[Problem]]:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().choose_registration_settings(job, settings, own)

    def render(
        self, job: Job, settings: SlurmSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().render(job, settings, run, payload, container_plugins)

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().render_pipeline(steps, job, run, finished)

    def render_sweep(self, sweep: SweepSpec, job: Job, run: str) -> Plan:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().render_sweep(sweep, job, run)

    def find_sweep_obstacle(self, sweep: SweepSpec) -> str:
        from robotrain_slurm.spec.plans import SlurmPlans

        return SlurmPlans().find_sweep_obstacle(sweep)

    def is_remote_folder(self, source: JobSource, settings: SlurmSettings) -> bool:
        """Return whether a source is a folder of the cluster, which this machine reaches by ssh."""
        return bool(settings.login) and is_cluster_folder(source)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.list_checks, plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.prepare, plan)

    def submit(self, plan: Plan) -> Reference:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.submit, plan)

    def find(self, plan: Plan) -> Reference | None:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.find, plan)

    def find_submitted(self, text: str, settings: SlurmSettings) -> SubmittedRun | None:
        from robotrain_slurm.submitted_runs import find_submitted

        return find_submitted(text, settings)

    def list_submitted(self, settings: SlurmSettings, everyone: bool) -> Iterable[ListedSubmission] | None:
        from robotrain_slurm.submitted_runs import list_submitted

        return list_submitted(settings, everyone)

    def status(self, reference: Reference) -> Status:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.status, reference)

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        """Return the status of each run: those here by one request, and those of each login node."""
        from robotrain_slurm import scheduler

        return scheduler.list_statuses(references)

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.list_steps, reference)

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.query_pipeline, reference)

    def has_step_output(self, reference: Reference) -> bool:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.has_step_output, reference)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.describe_reference, reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.logs, reference, follow, tail)

    def events_file(self, reference: Reference) -> Path | None:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.events_file, reference)

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.make_shell, reference, words, has_terminal)

    def make_forwarding(self, reference: Reference, here: int, there: int) -> Forwarding:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.make_forwarding, reference, here, there)

    def cancel(self, reference: Reference) -> None:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        call_scheduler(SlurmScheduler.cancel, reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.outputs, reference)

    def download(self, reference: Reference, output: Output, to: Path) -> list[str]:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.download, reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.register, reference, name, step)

    def find_other_writer(self, reference: Reference) -> str:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.find_other_writer, reference)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

        return call_scheduler(SlurmScheduler.remove_outputs, reference, dry_run)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SlurmPlatform(),)
