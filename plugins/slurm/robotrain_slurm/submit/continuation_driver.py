"""The continuation driver: a process of the login node that sends the job of a run again, where its node may not.

Started as `python -m robotrain_slurm.submit.continuation_driver FOLDER`: by submit with `--continuation login`, and by
`robotrain status` wherever a run waits for it. A lock in the run folder keeps it alone. It may be killed at any moment:
what it does next stands in the run folder.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from robotrain import background
from robotrain.store.files import PRIVATE_FILE
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.files import is_locked, lock_file

from robotrain_slurm.login.address import AGENT_VARIABLE
from robotrain_slurm.node import attempts, commands, continuation
from robotrain_slurm.node.attempts import Attempt
from robotrain_slurm.node.commands import CommandRefused, ControllerAway
from robotrain_slurm.node.continuation import NodeJob
from robotrain_slurm.spec.submission_spec import SUBMISSION, SUBMISSION_FILE

LOCK_FILE, LOG_FILE = "driver.lock", "driver.txt"
MODULE = "robotrain_slurm.submit.continuation_driver"
LOCK_SECONDS = 1.0
"""How long to try for the lock: who asks whether a driver is alive holds it for a moment."""
POLL_SECONDS = 2.0
QUEUE_SECONDS = 30.0
"""Seconds between two questions whether Slurm still has a job of the run."""
REFUSED_SECONDS = 60.0
"""Seconds until a job is sent again that Slurm refused: a limit on jobs may have been reached."""
SETTLE_SECONDS = 15.0
"""How long Slurm must have no job of a run that was requeued: it tells none for a moment between end and requeue."""
ENDED_EARLY = "Slurm started the job again, and its batch script ended before the run began"


def start_driver(folder: Path) -> None:
    """Start the driver of a run in a session of its own, unless one is alive or this machine cannot start it.

    The run of another user is theirs to continue.
    """
    if AGENT_VARIABLE in os.environ:  # the machine that asks starts it
        return
    with suppress(OSError):
        if folder.stat().st_uid != os.getuid() or is_locked(folder / LOCK_FILE):
            return
        background.start_module(MODULE, str(folder), folder / LOG_FILE, os.environ, PRIVATE_FILE)


def was_started(folder: Path) -> bool:
    """Return whether a run has had a driver, which may have been killed."""
    return (folder / LOCK_FILE).exists()


def is_waiting(folder: Path, known: Sequence[Attempt], job_state: str) -> bool:
    """Return whether a run waits for a driver: its last attempt left it to one, or could not do what it had begun.

    :param known: the attempts at the run.
    :param job_state: what Slurm says of its last job, as a state of a run; empty if it has forgotten that.
    """
    end = known[-1].end if known else None
    if end is None or job_state not in ("", "failed", "lost") or (folder / claim.CANCELLED_FILE).exists():
        return False
    if end.continued_by == "requeue":  # a job that was requeued and is forgotten may have been cancelled
        return bool(job_state)
    return end.continued_by in ("node", "login") and not continuation.read_continuation(folder, known[-1].job)


class ContinuationDriver:
    """The driver of one run; only the holder of its lock creates one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        spec = SUBMISSION.parse((folder / SUBMISSION_FILE).read_bytes())
        self._job: NodeJob = continuation.read_node_job(folder / SUBMISSION_FILE, spec.jobs[0].name)
        self._follows = spec.continuation == "login"

    def drive(self) -> None:
        """Send the job again each time that an attempt leaves it to this process, until the run ends."""
        while not (self._folder / claim.CANCELLED_FILE).exists():
            is_active = self._has_job()
            last = self._read_last()  # afterwards: an attempt writes before it ends
            end = last.end if last else None
            if last and is_waiting(self._folder, [last], "running" if is_active else "failed"):
                self._sleep(self._continue(last), last)
            elif not is_active or (end and not end.continued_by) or not (self._follows or end):
                return
            else:
                self._sleep(POLL_SECONDS if end else QUEUE_SECONDS, last)

    def _read_last(self) -> Attempt | None:
        known = attempts.read_attempts(self._folder)
        return known[-1] if known else None

    def _has_job(self) -> bool:
        """Return whether Slurm has a job of the run that waits or runs; also if it does not answer."""
        try:
            return bool(commands.find_active_jobs(self._job.name))
        except (CommandRefused, ControllerAway):
            return True

    def _continue(self, last: Attempt) -> float:
        """Continue the run after its last attempt; return the seconds until there may be more to do."""
        assert last.end
        try:
            if last.end.continued_by == "requeue":
                if not self._stays_ended(last):
                    return POLL_SECONDS
                with suppress(CommandRefused):
                    return self._requeue(last)
            number = continuation.send_again(self._job, self._folder, last.job)
        except ControllerAway as away:
            _print_line(f"{away}: tried again")
            return POLL_SECONDS
        except CommandRefused as refusal:
            why = f"Slurm does not take its next job: {refusal}"
            if last.end.why != why:
                _print_line(why)
                attempts.end_attempt(self._folder, last, replace(last.end, continued_by="login", why=why))
            return REFUSED_SECONDS
        _print_line(f"job {number} continues job {last.job}")
        return QUEUE_SECONDS

    def _requeue(self, last: Attempt) -> float:
        """Requeue the job that Slurm ended instead, or give up one that ended again before the run began."""
        if commands.find_fate(last.job, last.restart) != "requeued":
            commands.requeue_job(last.job)
        elif last.end:
            _print_line(ENDED_EARLY)
            attempts.end_attempt(self._folder, last, replace(last.end, continued_by="", why=ENDED_EARLY))
            attempts.record_failure(self._folder, last.end.exit_code, ENDED_EARLY)
            return 0.0
        return QUEUE_SECONDS

    def _stays_ended(self, last: Attempt) -> bool:
        """Return whether no job of the run comes for a while after its last attempt."""
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            if (self._folder / claim.CANCELLED_FILE).exists() or self._has_job() or self._read_last() != last:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _sleep(self, seconds: float, last: Attempt | None) -> None:
        """Wait, until another attempt begins or ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (self._folder / claim.CANCELLED_FILE).exists():
            time.sleep(min(POLL_SECONDS, seconds))
            if self._read_last() != last:
                return


def drive_run(folder: Path) -> bool:
    """Drive a run to its end; return False at once if another process does."""
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_file(handle, seconds=LOCK_SECONDS):
            return False
        os.truncate(handle, 0)
        os.write(handle, f"{os.uname().nodename} {os.getpid()}\n".encode())
        ContinuationDriver(folder).drive()
        return True
    finally:
        os.close(handle)


def drive_from_login(folder: str) -> bool:
    """Drive the run of a folder for another machine, which starts this again when the line is lost.

    Return False at once if another process does, which may be that of an earlier line whose end is not noticed yet.
    """
    return not Path(folder).is_dir() or drive_run(Path(folder))


def _print_line(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    os.chdir("/")
    drive_run(Path(sys.argv[1]))
