"""`robotrain image`: write the Dockerfile of an image that contains a workload's environments."""

import re
from pathlib import Path
from typing import Annotated

import typer

from robotrain import image_build
from robotrain.cli.arguments import JsonOption, argument, check_place, complete_workloads, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.config.values import Origin
from robotrain.errors import Rejected
from robotrain.messages import Messages

make_problem = Messages(__file__)

IMAGE_PATTERN = r"[A-Za-z0-9][\w.:/@-]*"
FROM_HELP = "The base image; it needs the workload's Python and pip.  [default: python:VERSION-slim]"


def image(
    ctx: typer.Context,
    workload: Annotated[
        str, argument("WORKLOAD", "The workload whose environments the image contains.", complete_workloads)
    ],
    start: Annotated[str, option("--from", "IMAGE", FROM_HELP)] = "",
    to: Annotated[str, option("--to", "DIR", "Write everything that docker build needs to this folder.")] = "",
    json: JsonOption = False,
) -> None:
    """Write the Dockerfile of an image that contains a workload's environments, so that runs need not build them.

    robotrain image WORKLOAD --to image/

    robotrain image WORKLOAD --from registry.example/team/base:2 > Dockerfile

    The image is not built. `docker build` takes wheels from your pip and uv configuration.
    """
    if to:
        check_place(Path(to), "--to", is_folder=True)
    plugins = get_plugins(ctx)
    chosen_workload = load_named_plugin(plugins, "workload", workload, Origin("argument"))
    if start and not re.fullmatch(IMAGE_PATTERN, start):  # it could inject something into the Dockerfile
        raise Rejected([make_problem("value-invalid.image-name")])
    locked = image_build.find_locked_environments(chosen_workload, plugins.source_kinds().values())
    base = start or image_build.choose_default_image(locked[0].python)
    files = image_build.build_context_files(chosen_workload, base, locked)
    if to:
        image_build.write_context(files, Path(to))
        environments = " and ".join(f"{environment.name} ({environment.digest})" for environment in locked)
        print_message(f"wrote {len(files)} files for {base} with {environments}; the image is not built")
        print_message(f"docker build -t NAME {to}   builds it")
    elif not json:
        print_message(
            f"the build needs the runtime and the locks beside this file: robotrain image {chosen_workload.name} "
            "--to DIR"
        )
    if json:
        print_json(
            {
                "workload": chosen_workload.name,
                "from": base,
                "path": str(Path(to).absolute()) if to else None,
                "dockerfile": files["Dockerfile"].decode(),
                "environments": [
                    {"lock": environment.name, "digest": environment.digest, "python": environment.python}
                    for environment in locked
                ],
                "files": sorted(files),
            }
        )
    else:
        print_result(to or files[image_build.DOCKERFILE_NAME].decode().rstrip("\n"))


app = make_app(image)
