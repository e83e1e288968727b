"""`robotrain adopt`: record a run here that another machine submitted."""

from typing import Annotated

import typer

from robotrain.cli.arguments import JsonOption, argument, complete_platforms, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import print_json, print_message, print_problems, print_result
from robotrain.submission.adoption import adopt_submitted_run

REF_HELP = (
    "What its platform calls it (a workflow, a job), the address of its page there, or its run folder: FOLDER, or "
    "HOST:FOLDER of a login node."
)


def adopt(
    ctx: typer.Context,
    ref: Annotated[str, argument("REF", REF_HELP)],
    platform: Annotated[str, option("--platform", "NAME", "The platform that has it.", complete_platforms)],
    json: JsonOption = False,
) -> None:
    """Make a run of another machine, or of a colleague, one of this machine's: then every command takes it.

    robotrain adopt --platform NAME HOST:/shared/runs/pick-v3-folder

    Nothing of the run changes, and nothing is sent: what `robotrain runs` needs is read from its platform.
    """
    record, is_new, notes = adopt_submitted_run(ref, get_plugins(ctx), platform)
    print_problems(notes)
    if json:
        print_json({"run": record.run, "platform": record.platform, "name": record.name, "is_new": is_new})
        return
    print_result(record.run)
    name_phrase = f", named {record.name}" if record.name else ""
    print_message(f"{'recorded' if is_new else 'it is recorded already'}{name_phrase}: robotrain status {record.run}")


app = make_app(adopt)
