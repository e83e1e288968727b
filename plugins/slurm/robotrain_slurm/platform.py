"""The platform `slurm`. Each method imports what implements it when it is called."""
# ruff: noqa: D102 (the base classes say what each method does)

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.cluster.platform import ClusterPlatform
from robotrain.model.platform import Platform, PlatformDefault
from robotrain.plugins.hookspecs import hook

from robotrain_slurm.capabilities import CANCEL_COMMAND, CAPABILITIES, OPTION_HINTS
from robotrain_slurm.login.address import find_login, is_cluster_folder
from robotrain_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.pipeline import PipelineStep, SweepSpec
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.run import Reference, Status
    from robotrain_runtime.contract.document import JobSource


def method(path: str) -> Any:
    """Return a method that calls the function `MODULE:NAME` with what reaches the commands of Slurm.

    Those are here, or on the login node of the plan or the reference that it is given.
    """

    def call(platform: Platform, subject: Any, *values: Any, **named: Any) -> Any:
        module, _, name = path.partition(":")
        return _call(getattr(importlib.import_module(module), name), subject, *values, **named)

    return call


def run_method(name: str) -> Any:
    """Return a method that calls the one of `SlurmRuns`, of here or of the login node of the plan or the reference."""

    def call(platform: Platform, subject: Any, *values: Any, **named: Any) -> Any:
        from robotrain_slurm.observe.login_runs import find_runs

        return _call(lambda at, *words, **more: getattr(find_runs(at), name)(*words, **more), subject, *values, **named)

    return call


def _call(function: Any, subject: Any, *values: Any, **named: Any) -> Any:
    """Call a function with what reaches Slurm for a plan or a reference. Raise in words for this machine."""
    from robotrain_slurm.login import reach

    at = reach.reach(find_login(subject))
    with reach.explained(at):
        found = function(at, subject, *values, **named)
    return reach.explain_items(found, at) if isinstance(found, Iterator) else found


class SlurmPlatform(ClusterPlatform):
    """Runs a job as a batch job, in a run folder that every node sees."""

    name = "slurm"
    summary = "a Slurm cluster, as a batch job"
    settings: type = SlurmSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    engine = "Slurm"
    cancel_command = CANCEL_COMMAND

    def derive_defaults(self, job: Job, settings: SlurmSettings) -> Mapping[str, PlatformDefault]:
        from robotrain_slurm.spec.options import derive_defaults

        return derive_defaults(job, settings)

    def check(self, job: Job, settings: SlurmSettings) -> Iterable[Problem]:
        from robotrain_slurm.spec.check_job import check_job

        return check_job(job, settings)

    def container_plugins(self, job: Job, settings: SlurmSettings) -> Mapping[str, str]:
        from robotrain_slurm.spec.render import find_container_plugins

        return find_container_plugins(job, settings)

    def render(
        self, job: Job, settings: SlurmSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        from robotrain_slurm.spec.render import SlurmPlans

        return SlurmPlans().render(job, settings, run, payload, container_plugins)

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        from robotrain_slurm.spec.render import SlurmPlans

        return SlurmPlans().render_pipeline(steps, job, run, finished)

    def choose_registration_settings(
        self, job: Job, settings: SlurmSettings, own: Collection[str]
    ) -> tuple[SlurmSettings, Iterable[Problem]]:
        from robotrain_slurm.spec.render import choose_registration_settings

        return choose_registration_settings(job, settings, own)

    def render_sweep(self, sweep: SweepSpec, job: Job, run: str) -> Plan:
        from robotrain_slurm.spec.render import SlurmPlans

        return SlurmPlans().render_sweep(sweep, job, run)

    def find_sweep_obstacle(self, sweep: SweepSpec) -> str:
        from robotrain_slurm.spec.render import SlurmPlans

        return SlurmPlans().find_sweep_obstacle(sweep)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        from robotrain_slurm.preflight import checks, setup

        return _call(checks.list_checks, plan) if plan else setup.list_checks()

    prepare = method("robotrain_slurm.submit.staging:prepare_plan")
    submit = run_method("submit")
    find = run_method("find")
    status = run_method("status")
    list_steps = run_method("list_steps")
    query_pipeline = run_method("query_pipeline")
    has_step_output = run_method("has_step_output")
    logs = run_method("logs")
    events_file = run_method("events_file")
    cancel = run_method("cancel")
    outputs = run_method("outputs")
    download = run_method("download")
    register = run_method("register")
    remove_outputs = run_method("remove_outputs")

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        from robotrain.run_folder.scheduled_parts import describe_reference

        return describe_reference(reference)

    def is_remote_folder(self, source: JobSource, settings: SlurmSettings) -> bool:
        """Return whether a source is a folder of the cluster, which this machine reaches by ssh."""
        return bool(settings.login) and is_cluster_folder(source)

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        """Return the status of each run: those here by one request, and those of each login node."""
        from robotrain_slurm.observe import login_runs

        return login_runs.list_statuses(references)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SlurmPlatform(),)
