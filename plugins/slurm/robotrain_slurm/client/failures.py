"""What a command of Slurm says that failed, and whether that passes."""

import functools
from pathlib import Path

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.refusals import Refusal, find_refusal, load_refusals

from robotrain_slurm.client.commands import quote_message

make_problem = Messages(__file__)


@functools.cache
def load_slurm_refusals() -> tuple[Refusal, ...]:
    """Return the known refusals in the order in which they are compared."""
    return load_refusals(Path(__file__).with_name("refusals.toml"), Refusal)


def explain_command_failure(text: str, command: str) -> Problem:
    """Return the problem of a command that failed. `text`: what it printed, with the lines of a site's own plugin."""
    reason = f"{command} says: {quote_message(text) or 'nothing'}."
    if refusal := find_refusal(load_slurm_refusals(), text):
        return refusal[0].make_problem("", reason)
    return make_problem("client-failed", command=command, why=reason)


def explain_refusal(text: str, command: str = "sbatch") -> Problem:
    """Return the problem of a job that sbatch refused. `text`: what `command` printed."""
    problem = explain_command_failure(text, command)
    return make_problem("platform-refused", why=problem.why) if problem.code == "client-failed" else problem
