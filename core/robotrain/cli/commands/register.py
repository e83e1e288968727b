"""`robotrain register`: register a checkpoint, or the policy that a run evaluated, as a version of a model."""

import functools
from typing import Annotated

import typer

from robotrain.cli.arguments import JsonOption, argument, complete_run_names, find_run_to_change, open_step, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.errors import Rejected, make_usage_problem


def register(
    ctx: typer.Context,
    run: Annotated[str, argument("RUN", "The run's name or its beginning.", complete_run_names)],
    name: Annotated[str, argument("[MODEL]", "The model's name; default: that of the run's -r.")] = "",
    step: Annotated[
        str,
        option("--step", "INT|STEP", "The checkpoint's step; default: the last. Of a pipeline: a step by its name."),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Register a checkpoint of a run, or the policy it evaluated, as a version of a model in the platform's registry.
    If it is registered already, that version gets the scores of the evaluation.

    robotrain register last pusht-act
    """
    from robotrain.cli.watch.run_summary import read_run_log
    from robotrain.model import scores
    from robotrain.store import records
    from robotrain.submission import registration

    run = find_run_to_change(ctx, run)
    of_step = open_step(ctx, run, step) if step and not step.isdecimal() else None
    run = of_step[0].run if of_step else run
    plugins = get_plugins(ctx)
    on_start = functools.partial(print_message, f"registering the model of {run} …")
    number = int(step) if step.isdecimal() else None  # of a checkpoint; None for the last one
    if number == 0:
        title = "--step needs a whole number greater than 0"
        raise Rejected([make_usage_problem("value-invalid", title, "--step")])
    registered = registration.register_checkpoint(run, name, number, plugins, on_start, of_step)
    record = records.read_record(run)
    progress, _ = read_run_log(record, plugins.platform_of(record))
    evaluated = progress.evaluated
    if json:
        print_json(
            {
                "model": registered.name,
                "version": registered.version,
                "step": registered.step,
                "new": registered.new,
                "replaced": registered.replaced or None,
                "uri": registered.uri,
                "scores": dict(evaluated.scores) if evaluated else {},
                "conditions": evaluated.conditions if evaluated else "",
            }
        )
    else:
        at = f"step {registered.step}  " if registered.step else ""
        print_result(f"{registered.name} version {registered.version}: {at}{registered.uri}".rstrip(" :"))
        if note := scores.format_registration_note(registered):
            print_result(f"  {note}")
        if evaluated and (text := scores.format_scores_with_conditions(evaluated, record.metrics)):
            print_result(f"  {text}")
        counted = scores.count_successes(evaluated, scores.find_share_metric(record.metrics)) if evaluated else None
        if why := scores.format_failure_count(counted):
            print_message(f"warning: this policy is registered, though {why}")


app = make_app(register)
