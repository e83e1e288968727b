"""What acts for the platform `slurm`: each question goes to the Slurm of this machine, or of a login node."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from robotrain.model.platform import PlatformEngine
from robotrain.model.platform_features import PipelineRuns, RunAccess, SharedRuns, Uploads

from robotrain_slurm import scheduler, submitted_runs
from robotrain_slurm.preflight.node_visibility import find_unshared_folders
from robotrain_slurm.scheduler import SlurmScheduler, call_scheduler

Method = TypeVar("Method", bound=Callable[..., Any])


def route_to_scheduler(method: Method) -> Method:
    """Return a method that asks the Slurm which its first argument, a plan or a reference, names."""

    @functools.wraps(method)
    def call(engine: object, *args: Any, **kwargs: Any) -> Any:
        return call_scheduler(method, *args, **kwargs)

    return cast(Method, call)


class SlurmEngine(PlatformEngine, PipelineRuns, Uploads, SharedRuns, RunAccess):
    """Runs a job as a batch job, in a run folder that every node sees."""

    query_settings = staticmethod(find_unshared_folders)
    find_submitted = staticmethod(submitted_runs.find_submitted)
    list_submitted = staticmethod(submitted_runs.list_submitted)
    list_statuses = staticmethod(scheduler.list_statuses)

    list_checks = route_to_scheduler(SlurmScheduler.list_checks)
    prepare = route_to_scheduler(SlurmScheduler.prepare)
    find_uploaded = route_to_scheduler(SlurmScheduler.find_uploaded)
    submit = route_to_scheduler(SlurmScheduler.submit)
    find = route_to_scheduler(SlurmScheduler.find)
    status = route_to_scheduler(SlurmScheduler.status)
    list_steps = route_to_scheduler(SlurmScheduler.list_steps)
    query_pipeline = route_to_scheduler(SlurmScheduler.query_pipeline)
    has_step_output = route_to_scheduler(SlurmScheduler.has_step_output)
    describe_reference = route_to_scheduler(SlurmScheduler.describe_reference)
    logs = route_to_scheduler(SlurmScheduler.logs)
    events_file = route_to_scheduler(SlurmScheduler.events_file)
    make_shell = route_to_scheduler(SlurmScheduler.make_shell)
    cancel = route_to_scheduler(SlurmScheduler.cancel)
    outputs = route_to_scheduler(SlurmScheduler.outputs)
    download = route_to_scheduler(SlurmScheduler.download)
    register = route_to_scheduler(SlurmScheduler.register)
    find_other_writer = route_to_scheduler(SlurmScheduler.find_other_writer)
    remove_outputs = route_to_scheduler(SlurmScheduler.remove_outputs)
