"""How a user gets to the node of a running job: a step beside it, and a port of the node."""

import re
import shlex
from collections.abc import Sequence

from robotrain.model.terminal import Forwarding, TerminalCommand
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.queue import QueuedJob

FIRST_NODE = r"([^\[,]+)(?:\[([0-9]+)[^\]]*\]([^,]*))?"
"""Slurm's list of nodes, `n[01-03,7]-ib,x1`: the first one is `n01-ib`."""


def make_shell(
    transport: Transport, job: QueuedJob, folder: str, words: Sequence[str], has_terminal: bool
) -> TerminalCommand:
    """Return the command that runs words, or a shell, in the folder of a run on the first node of its job."""
    inner_command = shlex.join(words) if words else '"${SHELL:-/bin/sh}"'
    step = ["srun", "--overlap", f"--jobid={job.number or job.id}", "--nodes=1", "--ntasks=1", "--quiet"]
    step += ["--pty"] if has_terminal else []
    program = ["/bin/sh", "-c", f"cd {shlex.quote(folder)} && exec {inner_command}"]
    return TerminalCommand(transport.make_terminal_words([*step, *program], has_terminal))


def make_forwarding(transport: Transport, job: QueuedJob, here: int, there: int) -> Forwarding:
    """Return how a port of the first node of a job is reached."""
    match = re.match(FIRST_NODE, job.nodes)
    node = "".join(filter(None, match.groups())) if match else job.nodes
    if words := transport.make_forward_words(here, f"{node}:{there}"):
        return Forwarding(f"127.0.0.1:{here}", TerminalCommand(words))
    return Forwarding(f"{node}:{there}")
