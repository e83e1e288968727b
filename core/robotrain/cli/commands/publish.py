"""`robotrain publish`: send the checkpoints of a run to a place, such as a repository of the Hugging Face Hub."""

import dataclasses
from typing import Annotated

import typer

from robotrain.cli.arguments import (
    JsonOption,
    NamedRunArgument,
    argument,
    find_run_to_change,
    open_run,
    open_step,
    option,
)
from robotrain.cli.best_checkpoint import list_evaluating_runs, list_scored_runs, require_one_training
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.commands.outputs import select_checkpoints
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.cli.watch.run_view import read_run_log
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.reference import STEP_KEY
from robotrain.model.run import RunRecord
from robotrain.pipelines.registrable_runs import make_policy_need
from robotrain.pipelines.step_runs import StepJobs
from robotrain.store import plans, published, records
from robotrain.submission import publishing


def publish(
    ctx: typer.Context,
    run: NamedRunArgument,
    url: Annotated[str, argument("URL", "Where to: hf://OWNER/NAME[@BRANCH], or a blob URL.")],
    step: Annotated[str, option("--step", "STEP|last|all", "Only checkpoints: of one step, the last, or all.")] = "all",
    json: JsonOption = False,
) -> None:
    """Send complete checkpoints of a run to a place, through this machine. What is there already stays, and the same
    command sends what is missing. The run may have ended, or go on.

    robotrain publish latest hf://OWNER/NAME
    robotrain publish --step last pusht-act hf://OWNER/NAME@pusht-act
    """
    plugins = get_plugins(ctx)
    target = publishing.find_place(run, url, plugins)
    pipeline, name = _split_step(run)
    need = make_policy_need(plugins, with_sweeps=False)
    whole_record, platform = open_run(ctx, pipeline, lambda text: find_run_to_change(ctx, text, need=need))
    record, platform, name, job = _open_training(ctx, whole_record, platform, name)
    outputs = select_checkpoints(record, platform, step, "--step")
    progress, _ = read_run_log(record, platform)
    is_whole = name == whole_record.run
    scored_runs = (
        list_evaluating_runs(whole_record, progress, plugins) if is_whole else list_scored_runs(whole_record, plugins)
    )
    named_record = dataclasses.replace(record, run=name)
    log = [progress, *(other_progress for _, other_progress in scored_runs)]
    publications = []
    try:
        for publication in publishing.publish_outputs(
            named_record, job, platform, outputs, target, log, plugins, print_message
        ):
            publications.append(publication)
            state = "published" if publication.new else "is there already"
            print_message(f"  step {publication.step}: {state}")
    finally:
        published.add_published(
            record.run, [(publication.step, publication.to) for publication in publications], target[1]
        )
    if json:
        publication_rows = [
            {"step": publication.step, "to": publication.to, "new": publication.new} for publication in publications
        ]
        print_json({"run": name, "place": target[1], "published": publication_rows})
    else:
        print_result("\n".join(publication.to for publication in publications))


def _split_step(text: str) -> tuple[str, str]:
    """Return the pipeline and the step that PIPELINE-STEP means; any other text, and an empty step.

    A step that an engine runs has no record of its own, but is named so in its log.
    """
    for index, character in enumerate(text):
        if character == "-" and not records.has_record(text) and records.has_record(text[:index]):
            record = records.read_record(text[:index])
            if record.native and text[index + 1 :] in record.steps:
                return record.run, text[index + 1 :]
    return text, ""


def _open_training(
    ctx: typer.Context, record: RunRecord, platform: Platform, step: str
) -> tuple[RunRecord, Platform, str, Job]:
    """Return the run with checkpoints, with the name that they have and its job: of a pipeline, its only step that
    trains. Raise Rejected if it has several.

    Of a step that an engine runs, the record is that of the pipeline, and the name PIPELINE-STEP.

    :param step: the step, if it is known.
    """
    steps = [step] if step else require_one_training(record, platform)
    if steps:
        record, platform = open_step(ctx, record.run, steps[0])
    stored_plan, name = plans.read_stored_plan(record.run), record.run
    step = record.reference.get(STEP_KEY, "") if record.native else ""
    if not step:
        return record, platform, name, stored_plan.plan.job
    jobs = StepJobs(stored_plan.plan, stored_plan.values, platform, get_plugins(ctx))
    job = jobs.make_job(next(planned_step for planned_step in jobs.plan.steps if planned_step.name == step)).job
    return record, platform, f"{jobs.plan.finished.get(step, {}).get('run', name)}-{step}", job


app = make_app(publish)
