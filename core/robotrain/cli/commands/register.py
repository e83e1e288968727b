"""`robotrain register`: register a checkpoint, or the policy that a run evaluated, as a version of a model."""

import functools
from collections.abc import Sequence
from typing import Annotated

import typer
from robotrain_runtime.contract.event import Evaluated, Registered

from robotrain.cli.arguments import JsonOption, NamedRunArgument, argument, find_run_to_change, open_step, option
from robotrain.cli.best_checkpoint import choose_best_checkpoint
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.commands.outputs import select_checkpoints
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.cli.watch.run_view import read_run_log
from robotrain.errors import Rejected, suggest_choosing
from robotrain.messages import Messages
from robotrain.model import scores
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.model.workload_profile import Metric
from robotrain.pipelines.registrable_runs import make_policy_need, may_be_registered
from robotrain.submission import registration

make_problem = Messages(__file__)


def register(
    ctx: typer.Context,
    run: NamedRunArgument,
    name: Annotated[str, argument("[MODEL]", "The model's name (default: that of the run's -r).")] = "",
    step: Annotated[
        str,
        option("--step", "INT|STEP", "The checkpoint's step (default: the last). Of a pipeline: a step by its name."),
    ] = "",
    best: Annotated[
        bool, typer.Option("--best", help="The checkpoint with the best score, in place of the last.")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Register a policy that failed its gate, or that did not win.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Register a checkpoint of a run, or the policy it evaluated, as a version of a model in the platform's registry.
    If it is registered already, that version gets the scores of the evaluation.

    robotrain register latest pusht-act

    robotrain register latest pusht-act --best
    """
    run = find_run_to_change(ctx, run, need=make_policy_need(get_plugins(ctx)))
    if best and step:
        ways = [suggest_choosing("--best", f"--step {step}")]
        raise Rejected([make_problem("options-conflict.best-and-step", *ways)])
    is_number = step.isdecimal()
    record, platform = open_step(ctx, run, "" if is_number else step)
    number = int(step) if is_number else None  # of a checkpoint; None for the last one
    if number == 0:
        raise Rejected([make_problem("value-invalid.step")])
    if best:
        record, platform, number = choose_best_checkpoint(ctx, record, platform)
    if not anyway:
        _refuse_loser(record, platform)
    if number is not None and record.makes == "checkpoints" and not record.steps:
        select_checkpoints(record, platform, str(number), "--step", takes_last=False)
    elif number is None and not step and not may_be_registered(record, get_plugins(ctx)):
        raise Rejected([make_problem("checkpoint-missing.policy", run=record.run)])
    on_start = functools.partial(print_message, f"registering the model of {record.run} …")
    registered = registration.register_checkpoint(record, platform, name, number, on_start)
    progress, _ = read_run_log(record, platform)
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
        _print_version(registered, evaluated, record.metrics)


def _refuse_loser(record: RunRecord, platform: Platform) -> None:
    """Raise Rejected for an evaluated policy that failed its gate, or that did not win its comparison."""
    progress, _ = read_run_log(record, platform)
    if (evaluated := progress.evaluated) is None:
        return
    comparison_answer = scores.format_answer(evaluated)
    if comparison_answer and not evaluated.compared.get("wins"):
        raise Rejected([make_problem("not-accepted.comparison", run=record.run, answer=comparison_answer)])
    if evaluated.passed is False:
        reason = comparison_answer or scores.format_scores(evaluated, record.metrics)
        raise Rejected([make_problem("not-accepted.gate", run=record.run, why=reason)])


def _print_version(registered: Registered, evaluated: Evaluated | None, metrics: Sequence[Metric]) -> None:
    """Print the version with the scores of its evaluation; warn if no episode succeeded."""
    step_text = f"step {registered.step}  " if registered.step else ""
    print_result(f"{registered.name} version {registered.version}: {step_text}{registered.uri}".rstrip(" :"))
    if note := scores.format_registration_note(registered):
        print_result(f"  {note}")
    if evaluated is None:
        return
    if scores_text := scores.format_scores_with_conditions(evaluated, metrics):
        print_result(f"  {scores_text}")
    success_counts = scores.count_successes(evaluated, scores.find_share_metric(metrics))
    if failure_count := scores.format_failure_count(success_counts):
        print_message(f"warning: this policy is registered, though {failure_count}")


app = make_app(register)
