"""A batch job, sent once: what sbatch answers, and whether Slurm may have taken the job without an answer."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from robotrain.errors import Rejected
from robotrain.external_command import CommandStartError
from robotrain.run_folder.submit_call import SubmitCall, is_unsure_answer, run_to_file

from robotrain_slurm.client.commands import SlurmAway, SlurmRefused, make_environment, make_missing_command_problem
from robotrain_slurm.client.failures import quote_message
from robotrain_slurm.spec.submission_spec import BatchJob

SETTLE_SECONDS = 2.0
"""Slurm lists a job so long after it took it over from an sbatch that heard no answer."""
NUMBER = r"(?m)^(\d+)(?:;\S+)?\s*$"
UNSURE_SIGNS = r"timed out|(?:send|receive|shutdown) failure|Zero Bytes|not connected|reset by peer|auth_verify"
"""What sbatch says when its message left and no answer came: Slurm may have taken the job, or take it later."""


def get_answer_file(root: Path, job: BatchJob) -> Path:
    """Return the file with the answer of sbatch for a job."""
    return root / f"sbatch-{job.name}.txt"


def make_command(root: Path, job: BatchJob) -> SubmitCall:
    """Return the sbatch of a job."""
    return SubmitCall(get_answer_file(root, job), NUMBER, UNSURE_SIGNS)


def read_answer(root: Path, job: BatchJob) -> str | None:
    """Return what sbatch printed so far; None if it never began. Raise OSError."""
    return make_command(root, job).read_answer()


def find_number(answer: str | None) -> str:
    """Return the number of the job in what sbatch printed; empty if there is none."""
    found = re.search(NUMBER, answer or "")
    return found[1] if found else ""


def is_unsure(answer: str | None) -> bool:
    """Return whether Slurm may have a job of which sbatch did not print the number."""
    return is_unsure_answer(answer, NUMBER, UNSURE_SIGNS)


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
    words = [*options, str(root / job.script)]
    code = make_command(root, job).call(lambda file: run_sbatch(words, root, file), gone)
    answer = read_answer(root, job) or ""
    if number := find_number(answer):
        return number
    if code is None or is_unsure(answer):
        raise SlurmAway(f"{quote_message(answer) or 'sbatch ended without an answer'}.")
    raise JobRefused(job, answer, code)


def run_sbatch(words: Iterable[str], root: Path, file: IO[bytes]) -> int | None:
    """Run sbatch and return its exit code; None if it did not end in time. Raise Rejected if it cannot start."""
    waiting = "Slurm has not answered yet; sbatch tries again"
    try:
        return run_to_file(["sbatch", "--parsable", *words], root, file, make_environment(), waiting)
    except CommandStartError as error:
        raise Rejected([make_missing_command_problem("sbatch", str(error))]) from None


def wait_for_sbatch(root: Path, jobs: Iterable[BatchJob]) -> None:
    """Wait until no sbatch of an earlier submit of these jobs runs. Raise Unanswered if one does not end."""
    for job in jobs:
        make_command(root, job).wait()
