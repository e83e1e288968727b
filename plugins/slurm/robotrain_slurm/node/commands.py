"""Slurm's commands as a node calls them: what becomes of a job, requeue it, send another one."""

import os
import re
import subprocess
from pathlib import Path

SECONDS = 30.0
OTHER_FOLDERS = ("/opt/slurm/bin", "/usr/local/slurm/bin")
"""Where clusters install Slurm's commands outside the PATH of a job."""
AWAY_SIGNS = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes were transmitted",
    "Transport endpoint is not connected",
)
REFUSED_END = ("FAILED", "BadConstraints")
"""State and reason of a job that sbatch refused, and that Slurm has a record of all the same."""


class CommandRefused(Exception):
    """Slurm refused, or its command is not on this machine; the message says why."""


class ControllerAway(Exception):
    """Slurm's controller did not answer: whether it acted is not known."""


def run_command(command: str, *arguments: str, folder: Path | None = None) -> str:
    """Return what a command of Slurm prints. Raise CommandRefused, ControllerAway."""
    environ = {
        name: variable_value
        for name, variable_value in os.environ.items()
        if not name.startswith(("SBATCH_", "SQUEUE_"))
    }
    environ["PATH"] = os.pathsep.join((environ.get("PATH", os.defpath), *OTHER_FOLDERS))
    try:
        result = subprocess.run(
            [command, *arguments],
            env={**environ, "LC_ALL": "C"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ControllerAway(f"{command} was not done within {SECONDS:g} seconds") from None
    except OSError as error:
        raise CommandRefused(f"{command} cannot be started: {error.strerror}") from None
    if not result.returncode:
        return result.stdout
    message = " ".join((result.stderr or result.stdout).split())
    raise (ControllerAway if any(sign in message for sign in AWAY_SIGNS) else CommandRefused)(message)


def find_fate(job: str, restart: int) -> str:
    """Return what Slurm does with a job whose processes are told to end. Raise CommandRefused, ControllerAway.

    `running`: nothing, it only sent the signal before the time limit; `requeued`: it starts it again, for the
    `restart + 1`th time; `timeout`, `preempted`: its time is up, or its node is another job's; else `cancelled`.

    :param job: its number, that of an element of an array as `12_3`: `12` is also the number of one element.
    """
    output = run_command("scontrol", "--oneliner", "show", "job", job)
    fields = dict(re.findall(r" (JobState|Reason|Restarts|PreemptTime)=(\S+)", output))
    if int(fields.get("Restarts", 0)) > restart or fields.get("JobState") == "PENDING":
        return "requeued"
    if fields.get("JobState") in ("RUNNING", "SUSPENDED", "STOPPED", "SIGNALING"):
        return "running"
    if fields.get("Reason") == "TimeLimit" or fields.get("JobState") == "TIMEOUT":
        return "timeout"
    if fields.get("PreemptTime", "None") != "None":
        return "preempted"
    return "cancelled"


def requeue_job(job: str) -> None:
    """Let Slurm end a job and start it again. Raise CommandRefused, ControllerAway.

    :param job: its number, as for `find_fate`.
    """
    run_command("scontrol", "requeue", job)


def send_script(script: Path, comment: str) -> str:
    """Submit a batch script and return the number of the job. Raise CommandRefused, ControllerAway."""
    output = run_command("sbatch", "--parsable", f"--comment={comment}", str(script), folder=script.parent)
    match = re.search(r"^(\d+)(?:;\S+)?\s*$", output, re.MULTILINE)
    if not match:
        raise ControllerAway("sbatch did not print the number of the job")
    return match[1]


def find_job(name: str, comment: str) -> str:
    """Return the number of the job with a comment; empty for none. Raise CommandRefused, ControllerAway."""
    queue_options = (f"--user={os.getuid()}", f"--name={name}", "--states=all", "--all")
    for queue_line in run_command("squeue", "--noheader", *queue_options, "--format=%A|%T|%r|%k").splitlines():
        number, state, reason, job_comment = queue_line.strip().split("|", 3)
        if job_comment == comment and (state, reason) != REFUSED_END:
            return number
    return ""
