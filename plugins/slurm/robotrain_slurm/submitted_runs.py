"""A run that another machine sent to Slurm, found by its job or its run folder, here or on a login node."""

import re

from robotrain.errors import Rejected
from robotrain.model.platform import SubmittedRun
from robotrain.model.run import RunGone
from robotrain.run_folder import submitted_runs
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.login.address import is_address
from robotrain_slurm.login.reach import explained, reach
from robotrain_slurm.scheduler import find_scheduler
from robotrain_slurm.settings import SlurmSettings

COMMENT_MARK = "robotrain:"
"""How the comments of robotrain's jobs begin (`format_comment`)."""


def find_submitted(text: str, settings: SlurmSettings) -> SubmittedRun | None:
    """Return the run of a job `123`, `HOST:123`, or of a run folder, `FOLDER` or `HOST:FOLDER`; None for other texts.

    A job without a host is asked for on the configured login node, if there is one. Raise RunGone, Rejected.
    """
    host, rest = submitted_runs.split_address(text)
    is_job = re.fullmatch(r"[0-9]+(?:_[0-9]+)?", rest) is not None
    if not is_job and not ("/" in rest and (not host or rest.startswith("/"))):
        return None
    if host and not is_address(host):
        return None
    at = reach(host or (settings.login or "" if is_job else ""))
    with explained(at):
        folder = _find_folder(at, rest) if is_job else rest if host else submitted_runs.make_absolute(rest)
        if folder is None:
            return SubmittedRun(b"", lambda job, settings: {})
        return submitted_runs.find_submitted_run(find_scheduler(at), folder)


def _find_folder(at: Transport, job: str) -> str | None:
    """Return the run folder of a job; None for one of another tool. Raise RunGone, Rejected."""
    words = ("--noheader", "--states=all", f"--jobs={job}", "--format=%Z|%k")
    try:
        answer = run_slurm(at, "squeue", *words)
    except SlurmRefused:  # it has forgotten the job
        answer = ""
    if not answer.strip():
        options = ("--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=WorkDir,Comment")
        try:
            answer = run_slurm(at, "sacct", *options)
        except (SlurmRefused, Rejected):
            answer = ""
    lines = answer.strip().splitlines()
    if not lines:
        place = f" of {at.host}" if at.host else ""
        raise RunGone(f"the Slurm{place} has no job {job}, or has forgotten it: give its run folder")
    folder, _, comment = lines[0].rpartition("|")
    return folder if comment.startswith(COMMENT_MARK) else None
