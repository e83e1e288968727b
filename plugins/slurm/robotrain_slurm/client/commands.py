"""The commands of Slurm: how they are called, and when they fail."""

import shlex

from robotrain.errors import Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.run_folder.transport import Transport, Unreached

from robotrain_slurm.node.commands import AWAY_SIGNS

make_problem = Messages(__file__)

SECONDS = 30.0
REMOVED_PREFIXES = ("SBATCH_", "SLURM_HINT", "SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")
"""Variables that change what a command does: those of sbatch are settings of robotrain, so that the plan is what runs;
those of others hide jobs (SQUEUE_PARTITION).
"""
ENVIRONMENT = f"""\
for name in $(env | grep -oE '^({"|".join(REMOVED_PREFIXES)})[A-Za-z0-9_]*='); do unset "${{name%=}}"; done
export LC_ALL=C SLURM_TIME_FORMAT=%s
"""
"""Begins a script that calls commands of Slurm."""
MISSING_CODE = 127


class ShellWord(str):
    """A word of a command that the shell there expands."""


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


def run_slurm(at: Transport, command: str, *arguments: str, seconds: float = SECONDS) -> str:
    """Return what a command of Slurm prints. Raise SlurmRefused, SlurmAway, or Rejected where it is not installed."""
    words = " ".join(word if isinstance(word, ShellWord) else shlex.quote(word) for word in (command, *arguments))
    try:
        script = f"{ENVIRONMENT}command -v {command} >/dev/null || exit {MISSING_CODE}\n{words}"
        result = at.run(script, seconds=seconds)
    except Unreached as failure:
        late = f"`{command}` was not done within {seconds:g} seconds."
        raise SlurmAway(late if failure.timed_out else f"`{command}` was ended from outside.") from None
    if result.exit_code == MISSING_CODE:
        raise Rejected([make_missing_command_problem(command, "It is not on PATH.")])
    text = " ".join(result.stderr.split()) or " ".join(result.text.split())
    if result.exit_code and any(sign in text for sign in AWAY_SIGNS):
        raise SlurmAway(f"{text.rstrip('.')}.")
    if result.exit_code:
        raise SlurmRefused(text, result.exit_code)
    return result.text


def make_missing_command_problem(command: str, why: str, stage: Stage = Stage.SUBMIT) -> Problem:
    """Return the problem of a machine without Slurm's commands."""
    return make_problem("submit-command-missing", stage=stage, command=command, why=why)
