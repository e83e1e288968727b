"""`robotrain report`: one HTML page about a run."""

from typing import Annotated

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Run
from robotrain.cli.output import say, show, show_json


def report(
    ctx: typer.Context,
    run: Run = "",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Where the page goes: a file, a folder, or - for stdout; default: RUN.html here.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Write a page about a run: its loss, its settings and where they came from, its lineage, its checkpoints.

    robotrain report lerobot-train-fab69e8c-1 --to runs/pusht.html
    """
    from pathlib import Path

    from robotrain import durable
    from robotrain.report.facts import gather
    from robotrain.report.page import page

    facts = gather(run, plugins_of(ctx))
    if to == "-":
        show(page(facts).rstrip("\n"))
        return
    target = Path(to or ".")
    if target.is_dir():
        target /= f"{facts.record.run}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    durable.write(target, page(facts).encode(errors="backslashreplace"))
    if json:
        show_json({"run": facts.record.run, "path": str(target.absolute())})
    else:
        say(f"{facts.record.run} {facts.status.state}; the page needs no network")
        show(str(target))


app = make_app(report)
