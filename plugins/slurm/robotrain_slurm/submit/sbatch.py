"""A batch job, sent once: sbatch writes its answer to a file, which outlives the command that started it.

The file is locked as long as sbatch runs, and is there before it starts. So an interrupted submit left either no file
and no job, or a file with the number of the job, or one that does not say whether Slurm took it: then Slurm is asked.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from robotrain.errors import Problem, Rejected, Suggestion, Unanswered, make_problem
from robotrain_runtime.contract.files import lock_file, read_limited_file, sync_folder

from robotrain_slurm.client.commands import SlurmAway, SlurmRefused, make_environment, make_missing_command_problem
from robotrain_slurm.spec.submission_spec import BatchJob

PATIENCE_SECONDS = 180.0
"""sbatch tries again for two minutes where the queue is full."""
QUIET_SECONDS = 5.0
SETTLE_SECONDS = 2.0
"""Slurm lists a job so long after it took it over from an sbatch that heard no answer."""
MAX_ANSWER_BYTES = 1 << 16
NUMBER = r"(?m)^(\d+)(?:;\S+)?\s*$"
UNSURE_SIGNS = r"timed out|(?:send|receive|shutdown) failure|Zero Bytes|not connected|reset by peer|auth_verify"
"""What sbatch says when its message left and no answer came: Slurm may have taken the job, or take it later."""


def get_answer_file(root: Path, job: BatchJob) -> Path:
    """Return the file with the answer of sbatch for a job."""
    return root / f"sbatch-{job.name}.txt"


def read_answer(root: Path, job: BatchJob) -> str | None:
    """Return what sbatch printed so far; None if it never began. Raise OSError."""
    try:
        return read_limited_file(get_answer_file(root, job), MAX_ANSWER_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return None


def find_number(answer: str | None) -> str:
    """Return the number of the job in what sbatch printed; empty if there is none."""
    found = re.search(NUMBER, answer or "")
    return found[1] if found else ""


def is_unsure(answer: str | None) -> bool:
    """Return whether Slurm may have a job of which sbatch did not print the number."""
    if answer is None or find_number(answer):
        return False
    return not answer.strip() or bool(re.search(UNSURE_SIGNS, answer))


class JobRefused(SlurmRefused):
    """Slurm refused a batch job: it has none of it that will run."""

    def __init__(self, job: BatchJob, text: str, code: int) -> None:
        super().__init__(text, code)
        self.job = job


def send_job(job: BatchJob, root: Path, *options: str, gone: str = "") -> str:
    """Send a batch job and return its number. Raise JobRefused, SlurmAway, Rejected, Unanswered, OSError.

    :param root: the run folder, with the script.
    :param options: those of sbatch that only this submit knows, such as `--dependency`.
    :param gone: the number of an earlier job, which is no longer in the queue.
    """
    with _open_answer(root, job) as file:
        number = find_number(read_answer(root, job))
        if number and number != gone:  # another submit sent it meanwhile
            return number
        if os.fstat(file.fileno()).st_size:  # of a job that was refused, or is gone
            file.truncate(0)
            os.fsync(file.fileno())
        sync_folder(root)
        code = run_sbatch([*options, str(root / job.script)], root, file)
        answer = read_answer(root, job) or ""
    if number := find_number(answer):
        return number
    if code is None or is_unsure(answer):
        from robotrain_slurm.client.failures import quote_message  # costs start-up

        raise SlurmAway(f"{quote_message(answer) or 'sbatch ended without an answer'}.")
    raise JobRefused(job, answer, code)


@contextlib.contextmanager
def _open_answer(root: Path, job: BatchJob) -> Iterator[IO[bytes]]:
    """Yield the file for the answer, locked; sbatch inherits the lock. Raise Unanswered if another has it."""
    with get_answer_file(root, job).open("ab") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            if not lock_file(file.fileno()):
                raise Unanswered([_make_busy_problem(job)])
        yield file


def run_sbatch(words: Iterable[str], root: Path, file: IO[bytes]) -> int | None:
    """Run sbatch and return its exit code; None if it did not end in time. Raise Rejected if it cannot start."""
    try:
        process = subprocess.Popen(
            ["sbatch", "--parsable", *words],
            cwd=root, env=make_environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Rejected([make_missing_command_problem("sbatch", f"{error.strerror or error}.")]) from None
    try:
        try:
            return process.wait(QUIET_SECONDS)
        except subprocess.TimeoutExpired:
            print("Slurm has not answered yet; sbatch tries again", file=sys.stderr, flush=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(PATIENCE_SECONDS)
        return None
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def wait_for_sbatch(root: Path, jobs: Iterable[BatchJob]) -> None:
    """Wait until no sbatch of an earlier submit of these jobs runs. Raise Unanswered if one does not end."""
    for job in jobs:
        with contextlib.suppress(OSError), get_answer_file(root, job).open("rb") as file:
            if not lock_file(file.fileno(), fcntl.LOCK_SH, PATIENCE_SECONDS):
                raise Unanswered([_make_busy_problem(job)])


def _make_busy_problem(job: BatchJob) -> Problem:
    title, why = "an sbatch of another submit of this run is still at work", "It may still send the job."
    search = Suggestion(f"pgrep -af {job.script}", "shows it; end it if it hangs")
    return make_problem("slurm-still-sending", title, "", job.name, why, search)
