"""`robotrain shell`: a shell, or a command, where a run works."""

from typing import Any

import typer

from robotrain.cli.arguments import AFTER_DASHES_KEY, RunArgument, StepOption
from robotrain.cli.command_factory import OwnCommand, make_app, split_at_dashes
from robotrain.cli.run_access import format_run, open_accessible_run
from robotrain.cli.terminal import has_terminal, run_on_terminal
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform_features import RunAccess
from robotrain.model.reference import ADOPTED_KEY
from robotrain.store import name_index

make_problem = Messages(__file__)


class ShellCommand(OwnCommand):
    """A command that takes another one after `--`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the `--`."""
        args, ctx.meta[AFTER_DASHES_KEY] = split_at_dashes(args)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def shell(ctx: typer.Context, run: RunArgument = "", step: StepOption = "") -> None:
    """Open a shell where a run works; with a command after --, run that there, and exit as it does.

    On this machine it is in the folder of the run, with its Python and variables, also when the run has ended. On a
    cluster it is on the node, or in the container, while the run is running.

    robotrain shell latest -- nvidia-smi
    """
    words = ctx.meta[AFTER_DASHES_KEY] or []
    is_typed = has_terminal()
    if not (words or is_typed):
        name_index.find_run(run)
        raise Rejected([make_problem("shell-without-terminal", run=format_run(run or "latest", step))])
    record, platform = open_accessible_run(ctx, run, step, "shell")
    reference = {**record.reference, **({ADOPTED_KEY: record.run} if record.is_adopted else {})}
    raise typer.Exit(run_on_terminal(platform.get_engine_for(RunAccess).make_shell(reference, words, is_typed)))


app = make_app(shell, cls=ShellCommand)
