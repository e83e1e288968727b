"""The commands of Slurm: how they are called, and when they fail."""

import os

from robotrain.errors import Problem, Rejected, Stage
from robotrain.external_command import CommandStartError, run_command
from robotrain.messages import Messages
from robotrain_runtime.contract import child_python

from robotrain_slurm.node.commands import AWAY_SIGNS

make_problem = Messages(__file__)

SECONDS = 30.0
REMOVED_PREFIXES = ("SBATCH_", "SLURM_HINT", "SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")
"""Variables that change what a command does: those of sbatch are settings of robotrain, so that the plan is what runs;
those of others hide jobs (SQUEUE_PARTITION).
"""


class SlurmRefused(Exception):
    """A command of Slurm ended with an error: nothing was done, or its text says what was."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class SlurmAway(Rejected):
    """Slurm's controller does not answer; whether it acted is not known. This may pass."""

    def __init__(self, why: str, stage: Stage = Stage.SUBMIT) -> None:
        problem = make_problem("platform-away", stage=stage, why=why)
        super().__init__([problem], transient=True)


def run_slurm(command: str, *arguments: str, folder: str | None = None, seconds: float = SECONDS) -> str:
    """Return what a command of Slurm prints. Raise SlurmRefused, SlurmAway, or Rejected where it is not installed.

    :param folder: the folder in which it starts.
    """
    try:
        place = folder or child_python.NEUTRAL_FOLDER
        result = run_command(command, *arguments, seconds=seconds, env=make_environment(), cwd=place)
    except CommandStartError as error:
        raise Rejected([make_missing_command_problem(command, str(error))]) from None
    text = " ".join(result.stderr.split()) or " ".join(result.stdout.split())
    if result.timed_out:
        raise SlurmAway(f"`{command}` was not done within {seconds:g} seconds.")
    if result.exit_code and any(sign in text for sign in AWAY_SIGNS):
        raise SlurmAway(f"{text.rstrip('.')}.")
    if result.exit_code:
        raise SlurmRefused(text, result.exit_code)
    return result.stdout


def make_environment() -> dict[str, str]:
    """Return the variables of a command of Slurm."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(REMOVED_PREFIXES)}
    return environ | {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def make_missing_command_problem(command: str, why: str, stage: Stage = Stage.SUBMIT) -> Problem:
    """Return the problem of a machine without Slurm's commands."""
    return make_problem("submit-command-missing", stage=stage, command=command, why=why)
