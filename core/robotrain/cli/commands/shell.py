"""`robotrain shell`: a shell, or a command, where a run works."""

import atexit
import errno
import os
import shlex
import sys
from typing import NoReturn

import typer

from robotrain.cli.arguments import AFTER_DASHES_KEY, RunArgument, StepOption, open_step
from robotrain.cli.command_factory import TrainerArgsCommand, make_app
from robotrain.cli.output import get_results, is_terminal, print_message
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import Platform, make_feature_error
from robotrain.model.platform_features import RunAccess
from robotrain.model.reference import ADOPTED_KEY
from robotrain.model.run import RunRecord
from robotrain.model.terminal import TerminalCommand
from robotrain.submission.adopted_run import require_own_run

make_problem = Messages(__file__)

NOT_STARTED, NOT_FOUND = 126, 127
"""Exit codes, as a shell has them."""


class ShellCommand(TrainerArgsCommand):
    """A command that takes another one after `--`."""

    after_dashes = "[-- COMMAND...]"


def shell(ctx: typer.Context, run: RunArgument = "", step: StepOption = "") -> None:
    """Open a shell where a run works; with a command after --, run that there, and exit as it does.

    On this machine it is in the folder of the run, with its Python and variables, also when the run has ended. On a
    cluster it is on the node, or in the container, while the run is running.

    robotrain shell latest -- nvidia-smi
    """
    words = ctx.meta[AFTER_DASHES_KEY] or []
    is_typed = is_terminal(sys.stdin) and is_terminal(get_results())
    record, platform = _open_accessible_run(ctx, run, step)
    reference = {**record.reference, **({ADOPTED_KEY: record.run} if record.is_adopted else {})}
    command = platform.get_engine_for(RunAccess).make_shell(reference, words, is_typed)
    if not (words or is_typed):
        named = shlex.join([run or "latest", *(("--step", step) if step else ())])
        raise Rejected([make_problem("shell-without-terminal", run=named)])
    if command.note:
        print_message(command.note)
    become_program(command)


def _open_accessible_run(ctx: typer.Context, run: str, step: str) -> tuple[RunRecord, Platform]:
    """Return the record and platform of a run that a shell is asked of.

    Raise Rejected if the platform has none, or the run is not running: only a shell of this machine needs none.
    """
    record, platform = open_step(ctx, run, step)
    if record.steps:
        raise Rejected([make_problem("run-of-steps", run=record.run, command="shell", steps=", ".join(record.steps))])
    supports = platform.capabilities.feature
    if not supports("shell"):
        raise make_feature_error(platform, "shell")
    if not supports("runs_here"):
        status = platform.engine.status(record.reference)
        if status.state != "running":
            reason = ": ".join(filter(None, (status.state, status.reason))).rstrip(".")
            raise Rejected([make_problem("run-not-running", run=record.run, why=reason)])
        require_own_run(record, platform, "entered")
    return record, platform


def become_program(command: TerminalCommand) -> NoReturn:
    """Become a command, whose exit code is that of robotrain; exit as a shell does if it cannot be started."""
    get_results().flush()
    atexit._run_exitfuncs()  # connections of this process are closed: it does not end by itself
    try:
        os.chdir(command.folder or ".")
        os.execvpe(command.words[0], [*command.words], command.environ or os.environ)
    except OSError as error:
        print_message(f"{os.fsdecode(error.filename or command.words[0])}: {error.strerror or error}")
        raise typer.Exit(NOT_FOUND if error.errno == errno.ENOENT else NOT_STARTED) from None


app = make_app(shell, cls=ShellCommand)
