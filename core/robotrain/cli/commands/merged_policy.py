"""`outputs --merged`: a run on this machine makes one policy of a checkpoint and the policy that it belongs to."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from robotrain_runtime.contract.files import make_atomically
from robotrain_runtime.contract.parameter import get_parameters

from robotrain import api_call
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.commands import watch
from robotrain.cli.commands.submit import interrupt_on_sigterm
from robotrain.cli.next_commands import fill_in_sources
from robotrain.cli.output import print_message, print_problems
from robotrain.cli.watch.follower import RunFollower
from robotrain.cli.watch.renderer import LiveLineRenderer
from robotrain.errors import Rejected, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.run import Output, RunRecord
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain.submission import submitter
from robotrain.submission.checker import find_built_environment
from robotrain.submission.container_plugins import load_workload_container
from robotrain.submission.implied_sources import make_description_document
from robotrain.submission.prepare import PreparedJob

if TYPE_CHECKING:
    from robotrain.cli.training_run import TrainingRun

make_problem = Messages(__file__)

FLAG = "--merged"


class MergedPolicy(NamedTuple):
    """The policy that a merge wrote."""

    record: RunRecord
    """The run that merged."""
    platform: Platform
    output: Output
    """Its checkpoint."""


def merge_checkpoint(ctx: typer.Context, training: TrainingRun, checkpoint: Output) -> MergedPolicy:
    """Merge a checkpoint of a run on this machine, and wait for it.

    Raise Rejected if it cannot be merged, typer.Exit with the code of the run that failed.
    """
    plugins, (record, platform, _, job) = get_plugins(ctx), training
    local_platform = _find_platform_here(record, plugins)
    with _find_policy(record, platform, checkpoint) as policy:
        prepared = _prepare_merge(record, job, policy, local_platform, plugins)
        print_message(f"merging step {checkpoint.step} of {record.run} on this machine")
        _announce_environment(prepared)
        merge = _run(ctx, prepared, plugins)
    checkpoints = [output for output in local_platform.engine.outputs(merge.reference) if output.kind == "checkpoint"]
    if not checkpoints:
        raise Rejected([make_problem("outputs-missing.no-policy", run=merge.run)])
    return MergedPolicy(merge, local_platform, checkpoints[-1])


def _find_platform_here(record: RunRecord, plugins: Plugins) -> Platform:
    """Return the platform that runs jobs on this machine. Raise Rejected if none is installed."""
    local_platforms = {
        name: platform for name, platform in plugins.platforms().items() if platform.capabilities.feature("runs_here")
    }
    if not local_platforms:
        raise Rejected([make_problem("feature-not-there.merge")])
    return local_platforms.get(record.platform) or next(iter(local_platforms.values()))


@contextmanager
def _find_policy(record: RunRecord, platform: Platform, checkpoint: Output) -> Iterator[str]:
    """Yield the option with the policy to merge: the run itself, or, if it ran elsewhere, a copy of its checkpoint."""
    if platform.capabilities.feature("runs_here"):
        yield f"--policy-run {record.run}@{checkpoint.step}"
        return
    folder = Path(tempfile.mkdtemp(prefix="robotrain-"))
    try:
        copy = folder / "checkpoint"
        platform.engine.download(record.reference, checkpoint, copy)
        yield f"--policy-path {shlex.quote(str(copy / checkpoint.model))}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare_merge(record: RunRecord, job: Job, policy: str, local_platform: Platform, plugins: Plugins) -> PreparedJob:
    """Return the job that merges. Raise Rejected if its workload makes nothing to merge."""
    template = plugins.workload(job.workload).merge
    words = shlex.split(fill_in_sources(template, record, {"policy": policy}, job.sources)) if template else []
    if not words:
        ways = [suggest_leaving_out(FLAG)]
        raise Rejected([make_problem("outputs-not-mergeable", *ways, run=record.run, workload=job.workload)])
    merge_values: dict[str, Any] = {}
    for flag, value_text in zip(words[1::2], words[2::2], strict=True):
        merge_values.setdefault(flag.removeprefix("--").replace("-", "_"), []).append(value_text)
    merge_values = {
        name: value_texts if len(value_texts) > 1 else value_texts[0] for name, value_texts in merge_values.items()
    }
    return api_call.prepare_call(
        plugins,
        None,
        {**_list_followed(job, plugins.workload(words[0])), **merge_values},
        platform_name=local_platform.name,
        workload_name=words[0],
        profile="",
        trainer_args=None,
    )


def _list_followed(training_job: Job, merge: Workload) -> dict[str, Any]:
    """Return what a merge takes over from the run of the checkpoint, of which it gets a copy that names no run."""
    if merge.follow_run is None:
        return {}
    defaults = tuple((parameter.name, parameter.default) for parameter in get_parameters(merge.parameters))
    job = dataclasses.replace(training_job, workload=merge.name, parameters=defaults)
    return {name: value for name, (value, _) in merge.follow_run(job, training_job).items()}


def _announce_environment(prepared: PreparedJob) -> None:
    """Say that the environment of the job is built first, if it is not built on this machine."""
    plugin = load_workload_container(prepared.container_plugins)
    if plugin is None:
        return
    document = make_description_document(prepared.job, prepared.platform.name, prepared.container_plugins)
    environment = plugin.environment(document)
    if find_built_environment(environment) is None:
        size = f", about {environment.gib:g} GB on disk" if environment.gib else ""
        print_message(f"the environment of {prepared.job.workload} is built on this machine first, once{size}")


def _run(ctx: typer.Context, prepared: PreparedJob, plugins: Plugins) -> RunRecord:
    """Submit the job, and wait for its end. Raise Rejected, or typer.Exit if the run does not succeed."""
    print_problems(prepared.warnings)
    with interrupt_on_sigterm():
        record, is_new, _ = submitter.submit_job(prepared, print_problems, print_message, plugins)
    renderer = LiveLineRenderer()
    follower = RunFollower([(record, prepared.platform)], renderer, plugins, just_sent=is_new)
    watch.follow(follower, renderer, "wait", follower.wait_until_over)
    watch.exit_with_outcome(follower)
    return record


def copy_policy(merged: MergedPolicy, to: Path) -> None:
    """Copy the policy to a new folder. Raise Rejected, or what the platform raises."""
    parent = to.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".robotrain-", dir=parent) as temporary:
        copy = Path(temporary) / "checkpoint"
        merged.platform.engine.download(merged.record.reference, merged.output, copy)
        with make_atomically(to) as scratch:
            (copy / merged.output.model).rename(scratch)
