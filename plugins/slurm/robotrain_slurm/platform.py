"""The platform `slurm`: what help and the TAB key need of it. What it does stands in `scheduler`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.model.platform import Platform
from robotrain.plugins.hookspecs import hook

from robotrain_slurm.capabilities import CANCEL_COMMAND, CAPABILITIES, OPTION_HINTS
from robotrain_slurm.login.address import is_cluster_folder
from robotrain_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from robotrain.model.run import Reference, Status
    from robotrain_runtime.contract.document import JobSource


def plan_method(name: str) -> Any:
    """Return a method that calls the one of `SlurmPlans`."""

    def call(platform: Platform, *values: Any) -> Any:
        from robotrain_slurm.spec.plans import SlurmPlans

        return getattr(SlurmPlans(), name)(*values)

    return call


def method(name: str) -> Any:
    """Return a method that calls the one of `SlurmScheduler`, here or where the plan or the reference is."""

    def call(platform: Platform, subject: Any, *values: Any, **named: Any) -> Any:
        from robotrain_slurm import scheduler

        return scheduler.call(name, subject, *values, **named)

    return call


class SlurmPlatform(Platform):
    """Runs a job as a batch job, in a run folder that every node sees."""

    name = "slurm"
    summary = "a Slurm cluster, as a batch job"
    settings: type = SlurmSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    cancel_command = CANCEL_COMMAND

    derive_defaults = plan_method("derive_defaults")
    check = plan_method("check")
    container_plugins = plan_method("container_plugins")
    choose_registration_settings = plan_method("choose_registration_settings")
    render = plan_method("render")
    render_pipeline = plan_method("render_pipeline")
    render_sweep = plan_method("render_sweep")
    find_sweep_obstacle = plan_method("find_sweep_obstacle")
    list_checks = method("list_checks")
    prepare = method("prepare")
    submit = method("submit")
    find = method("find")
    status = method("status")
    list_steps = method("list_steps")
    query_pipeline = method("query_pipeline")
    has_step_output = method("has_step_output")
    describe_reference = method("describe_reference")
    logs = method("logs")
    events_file = method("events_file")
    cancel = method("cancel")
    outputs = method("outputs")
    download = method("download")
    register = method("register")
    remove_outputs = method("remove_outputs")

    def is_remote_folder(self, source: JobSource, settings: SlurmSettings) -> bool:
        """Return whether a source is a folder of the cluster, which this machine reaches by ssh."""
        return bool(settings.login) and is_cluster_folder(source)

    def list_statuses(self, references: Sequence[Reference]) -> Sequence[Status | None]:
        """Return the status of each run: those here by one request, and those of each login node."""
        from robotrain_slurm import scheduler

        return scheduler.list_statuses(references)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (SlurmPlatform(),)
