"""How a user gets to the node of a running job: a step beside it."""

import shlex
from collections.abc import Sequence

from robotrain.model.terminal import TerminalCommand
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.queue import QueuedJob


def make_shell(
    transport: Transport, job: QueuedJob, folder: str, words: Sequence[str], has_terminal: bool
) -> TerminalCommand:
    """Return the command that runs words, or a shell, in the folder of a run on the first node of its job."""
    inner_command = shlex.join(words) if words else '"${SHELL:-/bin/sh}"'
    step = ["srun", "--overlap", f"--jobid={job.id}", "--nodes=1", "--ntasks=1", "--quiet"]
    step += ["--pty"] if has_terminal else []
    program = ["/bin/sh", "-c", f"cd {shlex.quote(folder)} && exec {inner_command}"]
    return TerminalCommand(transport.make_terminal_words([*step, *program], has_terminal))
