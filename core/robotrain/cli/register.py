"""`robotrain register`: a checkpoint of a run, or the policy that it evaluated, becomes a version of a model."""

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, complete
from robotrain.cli.output import say, show, show_json

if TYPE_CHECKING:
    from robotrain_runtime.event import Evaluated, Registered

    from robotrain.plugins import Plugins


def register(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", show_default=False, autocompletion=complete, help="The run's name or the start of it."
        ),
    ],
    name: Annotated[
        str,
        typer.Argument(metavar="[MODEL]", help="The model's name; default: the one the run was given with -r."),
    ] = "",
    step: Annotated[
        int | None, typer.Option("--step", min=1, metavar="INT", help="The checkpoint's step; default: the last.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a checkpoint of a run, or the policy it evaluated, a version of a model in the platform's registry; one that
    is already stays as it is, and gets the scores of an evaluation.

    robotrain register act-train-fab69e8c-1 pusht-act
    """
    from robotrain import registration, scores, store

    run = store.find(run)
    plugins = plugins_of(ctx)
    begins = functools.partial(say, f"registering what {run} left …")
    made = registration.register(run, name, step, plugins, begins)
    evaluated = _evaluated(run, plugins)
    if json:
        show_json(_as_data(made, evaluated))
    else:
        at = f"step {made.step}  " if made.step else ""
        show(f"{made.name} version {made.version}: {at}{made.uri}".rstrip(" :"))
        if already := scores.was_there(made):
            show(f"  {already}")
        if evaluated and (said := scores.in_full(evaluated, store.read(run).metrics)):
            show(f"  {said}")


def _as_data(made: "Registered", evaluated: "Evaluated | None") -> dict[str, Any]:
    """The keys are an API."""
    return {
        "model": made.name,
        "version": made.version,
        "step": made.step,
        "new": made.new,
        "replaced": made.replaced or None,
        "uri": made.uri,
        "scores": dict(evaluated.scores) if evaluated else {},
        "conditions": evaluated.conditions if evaluated else "",
    }


def _evaluated(run: str, plugins: "Plugins") -> "Evaluated | None":
    """What the run found, when it evaluated a policy."""
    from robotrain import store
    from robotrain.cli.watching.heard import heard

    record = store.read(run)
    known, _ = heard(record, plugins.platform(record.platform))
    return known.evaluated


app = make_app(register)
