"""`robotrain register`: a checkpoint of a run becomes a version of a model."""

from typing import Annotated

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, complete
from robotrain.cli.output import say, show, show_json


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
    """Make a checkpoint of a run a version of a model in the platform's registry; one that is already stays as it is.

    robotrain register lerobot-train-fab69e8c-1 pusht-act
    """
    from robotrain import registration, store

    run = store.find(run)
    say(f"registering a checkpoint of {run} …")
    made = registration.register(run, name, step, plugins_of(ctx))
    if json:
        show_json({"model": made.name, "version": made.version, "step": made.step, "uri": made.uri})
    else:
        show(f"{made.name} version {made.version}: step {made.step}  {made.uri}".rstrip())


app = make_app(register)
