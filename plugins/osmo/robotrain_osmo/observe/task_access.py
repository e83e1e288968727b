"""How a user gets into the container of a running task: `osmo workflow exec`."""

import os
import shlex

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.terminal import TerminalCommand

from robotrain_osmo.observe import pipeline_steps
from robotrain_osmo.observe.workflow_state import get_command

make_problem = Messages(__file__)

SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null; then bash; else sh; fi")


def make_shell(reference: Reference, has_words: bool, has_terminal: bool) -> TerminalCommand:
    """Return the command that opens a shell in the container of a task.

    Raise Rejected without a terminal, and for a command: OSMO's own works only at one, and tells no exit code.
    """
    step = pipeline_steps.select_step(reference)
    if has_words or not has_terminal:
        raise Rejected([make_problem("shell-typed-only", run=reference["run"])])
    program = os.path.expanduser(get_command(step))
    target = ("workflow", "exec", step["workflow"], step["task"])
    return TerminalCommand([program, *target, "--entry", shlex.join(SHELL)])
