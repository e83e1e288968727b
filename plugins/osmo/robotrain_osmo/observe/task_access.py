"""How a user gets into the container of a running task: `osmo workflow exec` and `port-forward`."""

import os
import shlex
from collections.abc import Sequence

from robotrain.external_command import ProcessResult
from robotrain.model.reference import Reference
from robotrain.model.terminal import Forwarding, TerminalCommand

from robotrain_osmo.client.failures import CommandFailed, diagnose_failure
from robotrain_osmo.observe import pipeline_steps
from robotrain_osmo.observe.workflow_state import get_command

SHELL = "if command -v bash >/dev/null; then bash; else sh; fi"


def make_shell(reference: Reference, words: Sequence[str]) -> TerminalCommand:
    """Return the command that runs words, or a shell, in the container of a task.

    It works only at a terminal, and tells no exit code: the container prints it, behind a mark.
    """
    mark = f"robotrain-{os.urandom(8).hex()}"
    script = f"printf %s%s {mark} @; {shlex.join(words) if words else SHELL}; printf '%s%d;' {mark}= $?"
    entry_command = shlex.join(["/bin/sh", "-c", script])
    words = _make_words(reference, "exec", "--entry", entry_command)
    return TerminalCommand(words, begin_mark=f"{mark}@", exit_mark=f"{mark}=", explain_failure=_make_failure)


def make_forwarding(reference: Reference, here: int, there: int) -> Forwarding:
    """Return how a port of a task is reached."""
    words = _make_words(reference, "port-forward", "--port", f"{here}:{there}")
    return Forwarding(f"127.0.0.1:{here}", TerminalCommand(words, explain_failure=_make_failure))


def _make_words(reference: Reference, command: str, *options: str) -> list[str]:
    step_reference = pipeline_steps.select_step(reference)
    program = os.path.expanduser(get_command(step_reference))
    return [program, "workflow", command, step_reference["workflow"], step_reference["task"], *options]


def _make_failure(exit_code: int, printed: str) -> CommandFailed:
    """Return the error of a command that ended before it reached the task."""
    failure = diagnose_failure(ProcessResult(exit_code, printed, ""))
    assert failure  # the exit code is none of success
    return CommandFailed(failure)
