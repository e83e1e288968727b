"""The run that saved checkpoints: a training, or the step of a pipeline that trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from robotrain.cli.arguments import open_step
from robotrain.cli.command_factory import get_plugins
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.reference import STEP_KEY
from robotrain.model.run import RunRecord
from robotrain.pipelines.pipeline_engine import PipelineEngine
from robotrain.pipelines.step_runs import StepJobs
from robotrain.store import plans, records

if TYPE_CHECKING:
    import typer

make_problem = Messages(__file__)


class TrainingRun(NamedTuple):
    """A run with checkpoints. Of a step that the platform's engine runs, the record is that of the pipeline."""

    record: RunRecord
    platform: Platform
    name: str
    """The run that the checkpoints name; of a step that an engine runs, PIPELINE-STEP."""
    job: Job


def split_step(text: str) -> tuple[str, str]:
    """Return the pipeline and the step that PIPELINE-STEP means; any other text, and an empty step.

    A step that an engine runs has no record of its own, but is named so in its log.
    """
    for index, character in enumerate(text):
        if character == "-" and not records.has_record(text) and records.has_record(text[:index]):
            record = records.read_record(text[:index])
            if record.native and text[index + 1 :] in record.steps:
                return record.run, text[index + 1 :]
    return text, ""


def find_training_steps(record: RunRecord, platform: Platform) -> list[str]:
    """Return the steps of a pipeline that have begun and save checkpoints."""
    engine = platform.engine
    sent_steps = engine.list_sent(record.reference) if isinstance(engine, PipelineEngine) else []
    return [step.name for step in sent_steps if step.produces == "checkpoints"]


def require_one_training(record: RunRecord, platform: Platform, option: str = "", remark: str = "") -> list[str]:
    """Return the step of a pipeline that trains, if it has one. Raise Rejected if several do.

    :param option: the option that names one of them, and `remark` what it does; else one is named by its run.
    """
    steps = find_training_steps(record, platform)
    if len(steps) > 1:
        reason = ""
        ways = [Suggestion(f"{option} {name}", remark) for name in steps]
        if not option:
            runs = {
                step_status.name: step_status.run
                for step_status in platform.get_engine_for(PipelineRuns).list_steps(record.reference)
            }
            run_names = [f"{record.run}-{name}" if record.native else runs.get(name) or name for name in steps]
            reason, ways = f"Name the run of one: {', '.join(run_names)}.", []
        raise Rejected([make_problem("step-ambiguous", *ways, run=record.run, why=reason)])
    return steps


def open_training(
    ctx: typer.Context, record: RunRecord, platform: Platform, step: str = "", option: str = ""
) -> TrainingRun:
    """Return the run with checkpoints: of a pipeline, its only step that trains. Raise Rejected if it has several.

    :param step: the step, if it is known.
    :param option: the option that names it; without one it is named by its run.
    """
    steps = [step] if step else require_one_training(record, platform, option)
    if steps:
        record, platform = open_step(ctx, record.run, steps[0])
    stored_plan = plans.read_stored_plan(record.run)
    name = record.run
    step = record.reference.get(STEP_KEY, "") if record.native else ""
    if not step:
        return TrainingRun(record, platform, name, stored_plan.plan.job)
    jobs = StepJobs(stored_plan.plan, stored_plan.values, platform, get_plugins(ctx))
    job = jobs.make_job(next(planned_step for planned_step in jobs.plan.steps if planned_step.name == step)).job
    return TrainingRun(record, platform, f"{jobs.plan.finished.get(step, {}).get('run', name)}-{step}", job)
