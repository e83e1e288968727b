"""How a user gets into the container of a running task: `osmo workflow exec` and `port-forward`."""

import os
import shlex
from collections.abc import Sequence

from robotrain.model.reference import Reference
from robotrain.model.terminal import Forwarding, TerminalCommand

from robotrain_osmo.observe import pipeline_steps
from robotrain_osmo.observe.workflow_state import get_command

SHELL = "command -v bash >/dev/null && exec bash; exec sh"


def make_shell(reference: Reference, words: Sequence[str]) -> TerminalCommand:
    """Return the command that runs words, or a shell, in the container of a task.

    It works only at a terminal, and tells no exit code: the container prints it, behind a mark.
    """
    mark = f"robotrain-{os.urandom(8).hex()}=" if words else ""
    script = f"{shlex.join(words)}; printf '%s%d;' {mark} $?" if words else SHELL
    entry = shlex.join(["/bin/sh", "-c", script])
    return TerminalCommand(_make_words(reference, "exec", "--entry", entry), exit_mark=mark)


def make_forwarding(reference: Reference, here: int, there: int) -> Forwarding:
    """Return how a port of a task is reached."""
    words = _make_words(reference, "port-forward", "--port", f"{here}:{there}")
    return Forwarding(f"127.0.0.1:{here}", TerminalCommand(words))


def _make_words(reference: Reference, command: str, *options: str) -> list[str]:
    own = pipeline_steps.select_step(reference)
    program = os.path.expanduser(get_command(own))
    return [program, "workflow", command, own["workflow"], own["task"], *options]
