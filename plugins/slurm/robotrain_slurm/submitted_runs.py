"""A run that another machine sent to Slurm, found by its job or its run folder, here or on a login node."""

import itertools
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from robotrain.errors import Rejected
from robotrain.model.reference import LOGIN_KEY
from robotrain.model.run import RUN_PATTERN, RunGone, RunState, Status
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.run_folder import submitted_runs
from robotrain.run_folder.facts import FACT_FILES
from robotrain.run_folder.run_end import get_run_status
from robotrain.run_folder.run_folders import RunFolders
from robotrain.run_folder.scheduler_commands import ShellWord
from robotrain.run_folder.transport import LostAnswer, Transport

from robotrain_slurm.client.commands import SlurmRefused, explain_command_failure, run_slurm
from robotrain_slurm.client.queue import clear_empty, parse_seconds
from robotrain_slurm.login.address import is_address
from robotrain_slurm.login.reach import explained, reach
from robotrain_slurm.observe.status import STATES
from robotrain_slurm.scheduler import find_scheduler
from robotrain_slurm.settings import SlurmSettings

FORGOTTEN_JOB = "Invalid job id"
COMMENT_MARK = "robotrain:"
"""How the comments of robotrain's jobs begin (`format_comment`)."""


def find_submitted(text: str, settings: SlurmSettings) -> SubmittedRun | None:
    """Return the run of a job `123`, `HOST:123`, or of a run folder, `FOLDER` or `HOST:FOLDER`; None for other texts.

    Without a host a job, and a folder that this machine does not have, are those of the configured login node, if there
    is one. Raise RunGone, Rejected.
    """
    host, job_or_folder = submitted_runs.split_address(text)
    is_job = re.fullmatch(r"[0-9]+(?:_[0-9]+)?", job_or_folder) is not None
    if "://" in text or (
        not is_job and not (submitted_runs.names_folder(job_or_folder) and (not host or job_or_folder.startswith("/")))
    ):
        return None
    if host and not is_address(host):
        return None
    transport = reach(
        host
        or ("" if not is_job and os.path.isdir(submitted_runs.resolve_folder(job_or_folder)) else settings.login or "")
    )
    with explained(transport):
        folder = (
            _find_folder(transport, job_or_folder)
            if is_job
            else job_or_folder
            if transport.host
            else submitted_runs.resolve_folder(job_or_folder)
        )
        if folder is None:
            return SubmittedRun(b"", lambda job, settings: {})
        return submitted_runs.find_submitted_run(find_scheduler(transport), folder)


class _Row(NamedTuple):
    """A job, as squeue and sacct print it."""

    id: str
    """Of an element of an array: `12_3`, or `12_[0-3]`."""
    state: str
    submitted: str
    user: str
    name: str
    comment: str
    folder: str

    @property
    def number(self) -> int:
        """That of a whole array."""
        match = re.match("[0-9]+", self.id)
        return int(match[0]) if match else 0

    @property
    def run(self) -> str:
        """The run, of a step that of its pipeline; empty for a job of another tool. Accounting may keep no comments."""
        is_own = not self.comment or self.comment.startswith(COMMENT_MARK)
        match = RUN_PATTERN.match(self.name) if is_own else None
        return match[0] if match and self.name[match.end() :][:1] in ("", "-") else ""

    @property
    def run_folder(self) -> str:
        """The folder of the run: a step works in `steps/NAME` of it."""
        return self.folder if self.name == self.run else os.path.dirname(os.path.dirname(self.folder))


QUEUE_FORMAT, ACCOUNTING_FORMAT = "%i|%T|%V|%u|%j|%k|%Z", "JobID,State,Submit,User,JobName,Comment,WorkDir"


def _query_queue(transport: Transport, *words: str) -> list[_Row]:
    """Raise SlurmRefused, Rejected."""
    return _parse_rows(run_slurm(transport, "squeue", "--noheader", "--states=all", f"--format={QUEUE_FORMAT}", *words))


def _query_accounting(transport: Transport, *words: str) -> list[_Row]:
    """Return nothing where there is no accounting. Raise LostAnswer."""
    options = ("--noheader", "--parsable2", "--allocations", f"--format={ACCOUNTING_FORMAT}")
    try:
        return _parse_rows(run_slurm(transport, "sacct", *options, *words))
    except LostAnswer:
        raise
    except (SlurmRefused, Rejected):
        return []


def _parse_rows(output: str) -> list[_Row]:
    separator_count = len(_Row._fields) - 1
    return [
        _Row(*map(clear_empty, line.split("|", separator_count)))
        for line in output.splitlines()
        if line.count("|") >= separator_count
    ]


def _find_folder(transport: Transport, job: str) -> str | None:
    """Return the run folder of a job; None for one of another tool. Raise RunGone, Rejected."""
    rows: list[_Row] = []
    try:
        rows = _query_queue(transport, f"--jobs={job}")
    except SlurmRefused as refusal:
        if FORGOTTEN_JOB not in refusal.text:
            raise Rejected([explain_command_failure(refusal.text, "squeue")], transient=True) from None
    rows = rows or _query_accounting(transport, f"--jobs={job}")
    if not rows:
        host_note = f" of {transport.host}" if transport.host else ""
        raise RunGone(f"the Slurm{host_note} has no job {job}, or has forgotten it: give its run folder")
    return rows[0].run_folder if rows[0].run else None


FOLDERS_AT_ONCE = 50
"""Of how many runs the folders are read by one question."""
LISTED_DAYS = 90
"""How long ago a job that the queue has forgotten may have been sent."""
SHOWN_FIRST: Sequence[RunState] = ("running", "pending", "failed", "lost", "cancelled", "succeeded")
"""Of several jobs of a run, which state is that of the run."""


def list_submitted(settings: SlurmSettings, everyone: bool) -> Iterator[ListedSubmission] | None:
    """Return the runs that the queue or only the accounting has, newest first; None without Slurm. Raise Rejected."""
    transport = reach(settings.login or "")
    return _list_runs(transport, everyone) if transport.host or shutil.which("squeue") else None


def _list_runs(transport: Transport, everyone: bool) -> Iterator[ListedSubmission]:
    user_options = () if everyone else (ShellWord('--user="$(id -u)"'),)
    with explained(transport):
        try:
            rows = _query_queue(transport, "--all", *user_options)
        except SlurmRefused as refusal:
            raise Rejected([explain_command_failure(refusal.text, "squeue")], transient=True) from None
        queued = {(row.run, row.run_folder) for row in rows}
        accounting_rows = _query_accounting(
            transport, f"--starttime=now-{LISTED_DAYS}days", *(user_options or ("--allusers",))
        )
    submissions = _group_rows(
        transport, [*rows, *(row for row in accounting_rows if (row.run, row.run_folder) not in queued)]
    )
    yield from _correct_ends(find_scheduler(transport).folders, submissions)


def _correct_ends(folders: RunFolders, submissions: Iterator[ListedSubmission]) -> Iterator[ListedSubmission]:
    """Yield the runs; of one that has ended, what its folder says of the end counts, as in its status."""
    while batch := [*itertools.islice(submissions, FOLDERS_AT_ONCE)]:
        ended_folders = [run.keys["folder"] for run in batch if run.can_be_adopted and Status(state=run.state).finished]
        facts = dict(
            zip(ended_folders, folders.find_facts(ended_folders, FACT_FILES) if ended_folders else (), strict=True)
        )
        for run in batch:
            if folder_facts := facts.get(run.keys["folder"]):
                run = run._replace(state=get_run_status(folder_facts, Status(state=run.state), "Slurm").state)
            yield run


def _group_rows(transport: Transport, rows: Sequence[_Row]) -> Iterator[ListedSubmission]:
    """Yield the runs of jobs, newest first. Several jobs of a name continue each other."""

    def get_key(row: _Row) -> tuple[str, str]:
        return row.run, row.run_folder

    run_rows = sorted((row for row in rows if row.run and row.folder), key=lambda row: (*get_key(row), row.number))
    submissions: list[tuple[float, int, ListedSubmission]] = []
    for (run, folder), group in itertools.groupby(run_rows, get_key):
        jobs = [*group]
        newest_states = {(row.name, row.id.partition("_")[2]): row.state.partition(" ")[0] for row in jobs}
        states = {STATES.get(state, "running") for state in newest_states.values()}
        is_pipeline = any(row.name != run for row in jobs)
        run_address = folder if is_pipeline else str(jobs[0].number)
        is_single = not is_pipeline and all(row.id.isdecimal() for row in jobs)
        state = next(state for state in SHOWN_FIRST if state in states)
        keys = {"folder": folder, LOGIN_KEY: transport.host}
        created_at = parse_seconds(jobs[0].submitted)
        run_address = f"{transport.host}:{run_address}" if transport.host else run_address
        submission = ListedSubmission(run_address, run, state, keys, created_at, jobs[0].user, is_single)
        submissions.append((created_at or 0.0, jobs[0].number, submission))
    yield from (submission for _, _, submission in sorted(submissions, key=lambda row: row[:2], reverse=True))
