"""A pipeline continued, or run again, from its stored plan."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import HUB_SCHEME, PUBLISH_PARAMETER
from robotrain.model.platform import NoSettings, Platform
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.reference import STEP_KEY
from robotrain.model.run import RunGone, RunRecord
from robotrain.pipelines import driven_engine, progress
from robotrain.pipelines.native_engine import NativeEngine
from robotrain.pipelines.plan import PIPELINE_FILE, parse_pipeline
from robotrain.pipelines.prepare import PreparedPipeline, PreparedStep
from robotrain.pipelines.step_runs import StepJobs
from robotrain.plugins.manager import Plugins
from robotrain.store import records
from robotrain.submission.resubmit import read_plan_to_repeat

make_problem = Messages(__file__)


def repeat_pipeline(record: RunRecord, plugins: Plugins) -> PreparedPipeline:
    """Return the unchanged pipeline of a run, all steps of which run again. Raise Rejected."""
    stored_plan = read_plan_to_repeat(record.run)
    step_jobs = StepJobs(stored_plan.plan, stored_plan.values, plugins.platform(record.platform), plugins)
    steps = tuple(
        PreparedStep(name=step.name, needs=step.needs, inputs=step.inputs, job=step_jobs.make_job(step))
        for step in step_jobs.plan.steps
    )
    return PreparedPipeline(
        job=stored_plan.plan.job,
        platform=plugins.platform_of(record),
        settings=NoSettings(),
        kinds=plugins.source_kinds(),
        container_plugins={},
        values=stored_plan.values,
        default_name=record.name,
        platforms=plugins.platforms,
        warnings=tuple(_find_taken_branches(steps)),
        steps=steps,
        at_most=step_jobs.plan.at_most,
        unpinned=step_jobs.plan.unpinned,
        sweep=step_jobs.plan.sweep,
    )


def continue_pipeline(record: RunRecord, plugins: Plugins, dry_run: bool = False) -> PreparedPipeline | None:
    """Start a new driver of a pipeline that has not ended, and return None; of one that has, return what is left to do.

    Raise Rejected if it runs, or every step has succeeded.

    :param dry_run: start no driver.
    """
    if record.native:
        return _continue_native(record, plugins)
    has_driver = progress.is_driven(record.run)  # asked first: a driver writes the end before it exits
    pipeline_progress = progress.read_progress(record.run)
    if has_driver and not (pipeline_progress and pipeline_progress.finished):
        raise _make_running_error(record.run)
    if pipeline_progress is not None and not pipeline_progress.finished:
        if dry_run:
            return None
        folder = records.get_run_folder(record.run)
        for name in (progress.CANCEL_FILE, records.FINAL_STATUS_FILE):  # an end that was seen is none any more
            (folder / name).unlink(missing_ok=True)
        driven_engine.start_driver(record.run, plugins)
        return None
    finished_steps = {
        name: asdict(step)
        for name, step in (pipeline_progress.steps if pipeline_progress else {}).items()
        if step.state == "succeeded" and (not step.run or records.has_record(step.run))
    }
    return _leave_out(record, finished_steps, plugins)


def _continue_native(record: RunRecord, plugins: Plugins) -> PreparedPipeline:
    """Return what is left to do of a pipeline that an engine ran. Raise Rejected."""
    platform = plugins.platform_of(record)
    state_by_step = parse_pipeline(read_plan_to_repeat(record.run).plan.files[PIPELINE_FILE]).finished
    try:
        status, steps = platform.get_engine_for(PipelineRuns).query_pipeline(record.reference)
    except RunGone as gone:
        problem = dataclasses.replace(gone.problems[0], suggestions=(_suggest_resubmit(record.run),))
        raise Rejected([problem]) from None
    if not status.finished:
        raise _make_running_error(record.run)
    finished_steps = {
        step.name: state_by_step.get(step.name) or {"state": "succeeded", "run": record.run}
        for step in steps
        if step.state == "succeeded"
    }
    remaining_pipeline = _leave_out(record, finished_steps, plugins)
    if record.is_sweep:
        ways = [_suggest_resubmit(record.run, "runs all trials again")]
        raise Rejected([make_problem("sweep-not-resumable", *ways, platform=record.platform)])
    return remaining_pipeline


def _find_lost_outputs(pipeline: PreparedPipeline, step_platform: Platform) -> Iterator[Problem]:
    """Yield a problem for each output of a finished step that a step reads and that the engine no longer has."""
    finished = pipeline.finished
    remaining_steps = [step for step in pipeline.steps if step.name not in finished]
    inputs = [(reader.name, step_input.step) for reader in remaining_steps for step_input in reader.inputs]
    for reader_name, name in inputs:
        reference = {**records.read_record(finished[name]["run"]).reference, STEP_KEY: name} if name in finished else {}
        if reference and not step_platform.get_engine_for(PipelineRuns).has_step_output(reference):
            yield make_problem(
                "step-output-missing.gone",
                _suggest_resubmit(pipeline.resumes),
                name=name,
                reader=reader_name,
                platform=step_platform.name,
                run=finished[name]["run"],
            )


def _leave_out(record: RunRecord, finished_steps: dict[str, dict[str, Any]], plugins: Plugins) -> PreparedPipeline:
    """Return the pipeline without its finished steps. Raise Rejected if nothing is left."""
    pipeline = repeat_pipeline(record, plugins)
    if len(finished_steps) == len(pipeline.steps):
        ways = [_suggest_resubmit(record.run)]
        raise Rejected([make_problem("pipeline-complete", *ways, run=record.run)])
    remaining_steps = [step for step in pipeline.steps if step.name not in finished_steps]
    warnings = tuple(_find_taken_branches(remaining_steps))
    pipeline = dataclasses.replace(pipeline, resumes=record.run, finished=finished_steps, warnings=warnings)
    engine = pipeline.platform.engine
    if isinstance(engine, NativeEngine):
        raise_if_any(_find_lost_outputs(pipeline, engine.step_platform))
    return pipeline


def _find_taken_branches(steps: Iterable[PreparedStep]) -> Iterator[Problem]:
    """Yield a warning for each of the steps that publishes to the same branch of the Hub again."""
    for step in steps:
        target = str(dict(step.job.job.parameters).get(PUBLISH_PARAMETER) or "")
        if target.startswith(HUB_SCHEME):
            change = f"--set {step.name}.{PUBLISH_PARAMETER}={target.partition('@')[0]}@BRANCH"
            yield make_problem("publish-branch-taken", name=step.name, place=target, change=change)


def _suggest_resubmit(run: str, remark: str = "runs all steps again") -> Suggestion:
    return Suggestion(f"robotrain resubmit {run}", remark)


def _make_running_error(run: str) -> Rejected:
    return Rejected([make_problem("run-goes-on", run=run)])
