"""`robotrain image`: the Dockerfile that bakes a workload's environments in."""

from typing import TYPE_CHECKING, Annotated

import typer

from robotrain.cli import named
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import say, show, show_json
from robotrain.provenance import Origin

if TYPE_CHECKING:
    from robotrain.image.environments import Locked

IMAGE = r"[A-Za-z0-9][\w.:/@-]*"

Workload = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD",
        help="Whose environments.",
        show_default=False,
        autocompletion=named.beginning("workload"),
    ),
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="IMAGE",
        help="The image to start from; it needs the workload's Python, and pip.  [default: python:VERSION-slim]",
        show_default=False,
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="DIR", help="Write everything that docker build needs into this folder.", show_default=False
    ),
]


def image(
    ctx: typer.Context,
    workload: Workload,
    start: From = "",
    to: To = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the Dockerfile of an image that holds what a workload's jobs run in, so that no run has to build it.

    robotrain image WORKLOAD --to image/

    robotrain image WORKLOAD --from registry.example/team/base:2 > Dockerfile

    Nothing is built here. Wheels come from the pip and uv configuration of whoever builds.
    """
    from pathlib import Path

    from robotrain.image import context, dockerfile, environments

    found = plugins_of(ctx)
    chosen = named.one(found, "workload", workload, Origin("argument"))
    _must_be_a_name(start)
    locked = environments.of(chosen, found.source_kinds().values())
    base = start or dockerfile.default_image(locked[0].python)
    files = context.files(chosen.name, base, locked)
    if to:
        context.write(files, Path(to))
        say(f"wrote {len(files)} files for {base} with {_listed(locked)}; not built here")
        say(f"docker build -t NAME {to}   builds it, where there is a Docker")
    elif not json:
        say(f"not built here; it needs the runtime and the locks beside it: robotrain image {chosen.name} --to DIR")
    if json:
        show_json(_json(chosen.name, base, locked, files, to))
    else:
        show(to or files[context.DOCKERFILE].decode().rstrip("\n"))


def _json(workload: str, base: str, locked: "list[Locked]", files: dict[str, bytes], to: str) -> dict[str, object]:
    from pathlib import Path

    return {
        "workload": workload,
        "from": base,
        "path": str(Path(to).absolute()) if to else None,
        "dockerfile": files["Dockerfile"].decode(),
        "environments": [{"lock": one.name, "digest": one.digest, "python": one.python} for one in locked],
        "files": sorted(files),
    }


def _listed(locked: "list[Locked]") -> str:
    return " and ".join(f"{one.name} ({one.digest})" for one in locked)


def _must_be_a_name(start: str) -> None:
    """It goes into a file that is run. Raises Rejected."""
    import re

    from robotrain.problem import Instead, Problem, Rejected, Stage

    if start and not re.fullmatch(IMAGE, start):
        problem = Problem(
            code="value-invalid",
            stage=Stage.USAGE,
            title="--from takes the name of an image",
            where="--from",
            why="It may hold letters, digits and . _ : / @ - alone.",
            instead=(Instead("--from REGISTRY/NAME:TAG"),),
        )
        raise Rejected([problem])


app = make_app(image)
