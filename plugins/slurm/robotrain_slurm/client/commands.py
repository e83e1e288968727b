"""The commands of Slurm: how they are called, what they say when they fail, and whether that passes."""

import functools
import re
from pathlib import Path

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.refusals import Refusal, find_refusal, load_refusals
from robotrain.run_folder import scheduler_commands
from robotrain.run_folder.scheduler_commands import SchedulerCommands, move_commands
from robotrain.run_folder.transport import Transport

from robotrain_slurm.node.commands import AWAY_SIGNS

REMOVED_PREFIXES = ("SBATCH_", "SLURM_HINT", "SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")
"""Variables that change what a command does: those of sbatch are settings of robotrain, so that the plan is what runs;
those of others hide jobs (SQUEUE_PARTITION).
"""
ENVIRONMENT = f"""\
names=$(env | grep -oE '^({"|".join(REMOVED_PREFIXES)})[A-Za-z0-9_]*=') || [ $? = 1 ] || exit 2
for name in $names; do unset "${{name%=}}"; done
export LC_ALL=C SLURM_TIME_FORMAT=%s"""


class SlurmRefused(Exception):
    """A command of Slurm ended with an error: nothing was done, or its text says what was."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class SlurmCommands(SchedulerCommands):
    """The commands of Slurm."""

    def quote(self, text: str) -> str:
        """Return what a command printed as one redacted sentence."""
        return f"{self.engine} says: {quote_message(text) or 'nothing'}."


COMMANDS = SlurmCommands(
    engine="Slurm",
    away_pattern="|".join(AWAY_SIGNS),
    ping="scontrol ping",
    environment_script=ENVIRONMENT,
    elsewhere=Suggestion("--login USER@HOST", "submits on a login node of the cluster, by ssh"),
)


def run_slurm(transport: Transport, command: str, *words: str, seconds: float | None = None, stdin: bytes = b"") -> str:
    """Return what a command of Slurm prints. Raise SlurmRefused, or Rejected if Slurm is away or not installed."""
    result = move_commands(COMMANDS, transport).run(command, *words, seconds=seconds, stdin=stdin)
    if result.exit_code:
        raise SlurmRefused(" ".join((result.stderr.strip() or result.stdout).split()))
    return result.stdout


def quote_message(text: str) -> str:
    """Return what a command printed in one redacted line, without what every message has."""
    text = re.sub("Batch job submission failed: |allocation failure: ", "\n", text)
    return scheduler_commands.quote_message(re.sub(r"(?:^|(?<=\s))s\w+: (?:error: )?", "\n", text))


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
