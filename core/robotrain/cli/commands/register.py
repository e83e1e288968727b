"""`robotrain register`: a checkpoint of a run, or the policy that it evaluated, becomes a version of a model."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption, complete_run_names
from robotrain.cli.output import print_json, print_message, print_result

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Evaluated, Registered

    from robotrain.plugins.manager import Plugins


def register(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            show_default=False,
            autocompletion=complete_run_names,
            help="The run's name or the start of it.",
        ),
    ],
    name: Annotated[
        str,
        typer.Argument(metavar="[MODEL]", help="The model's name; default: the one the run was given with -r."),
    ] = "",
    step: Annotated[
        int | None, typer.Option("--step", min=1, metavar="INT", help="The checkpoint's step; default: the last.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a checkpoint of a run, or the policy it evaluated, a version of a model in the platform's registry; one that
    is already stays as it is, and gets the scores of an evaluation.

    robotrain register act-train-fab69e8c-1 pusht-act
    """
    from robotrain.model import scores
    from robotrain.store import records
    from robotrain.submission import registration

    run = records.find_run(run)
    plugins = get_plugins(ctx)
    begins = functools.partial(print_message, f"registering what {run} left …")
    made = registration.register_checkpoint(run, name, step, plugins, begins)
    evaluated = _read_evaluation(run, plugins)
    if json:
        print_json(_dump_registration(made, evaluated))
    else:
        at = f"step {made.step}  " if made.step else ""
        print_result(f"{made.name} version {made.version}: {at}{made.uri}".rstrip(" :"))
        if already := scores.format_registration_note(made):
            print_result(f"  {already}")
        if evaluated and (said := scores.format_scores_with_conditions(evaluated, records.read_record(run).metrics)):
            print_result(f"  {said}")


def _dump_registration(registered: "Registered", evaluated: "Evaluated | None") -> dict[str, Any]:
    """The keys are an API."""
    return {
        "model": registered.name,
        "version": registered.version,
        "step": registered.step,
        "new": registered.new,
        "replaced": registered.replaced or None,
        "uri": registered.uri,
        "scores": dict(evaluated.scores) if evaluated else {},
        "conditions": evaluated.conditions if evaluated else "",
    }


def _read_evaluation(run: str, plugins: "Plugins") -> "Evaluated | None":
    """What the run found, when it evaluated a policy."""
    from robotrain.cli.watch.run_summary import read_run_log
    from robotrain.store import records

    record = records.read_record(run)
    known, _ = read_run_log(record, plugins.platform(record.platform))
    return known.evaluated


app = make_app(register)
