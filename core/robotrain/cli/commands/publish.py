"""`robotrain publish`: send the checkpoints of a run to a place, such as a repository of the Hugging Face Hub."""

import dataclasses
from typing import Annotated

import typer

from robotrain.cli.arguments import JsonOption, NamedRunArgument, argument, find_run_to_change, open_run, option
from robotrain.cli.best_checkpoint import list_evaluating_runs, list_scored_runs
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.commands.outputs import select_checkpoints
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.cli.training_run import open_training, split_step
from robotrain.cli.watch.run_view import read_run_log
from robotrain.pipelines.registrable_runs import make_policy_need
from robotrain.store import published
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
    pipeline, name = split_step(run)
    need = make_policy_need(plugins, with_sweeps=False)
    whole_record, platform = open_run(ctx, pipeline, lambda text: find_run_to_change(ctx, text, need=need))
    record, platform, name, job = open_training(ctx, whole_record, platform, name)
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


app = make_app(publish)
