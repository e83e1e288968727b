"""A command of an engine that sends a job, called once: its answer goes to a file, which outlives who started it.

The file is locked as long as the command runs, and is there before it starts. So an interrupted submit left either no
file and no job, or a file with the name of the job, or one that does not say whether the engine took it: then the
engine is asked.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from robotrain_runtime.contract.files import lock_file, read_limited_file, sync_folder

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.external_command import CommandStartError
from robotrain.messages import Messages

make_problem = Messages(__file__)

PATIENCE_SECONDS = 180.0
"""A command may try again for minutes where the queue is full."""
QUIET_SECONDS = 5.0
MAX_ANSWER_BYTES = 1 << 16


@dataclass(frozen=True)
class SubmitCall:
    """The one call of a command such as `qsub` for one job of a run."""

    file: Path
    """The file of its answer, in the run folder."""
    job_pattern: str
    """What in the answer is the name of the job: a regular expression, with it as its group."""
    unsure_pattern: str = ""
    """What the command prints, beside nothing, when its engine may have taken the job all the same."""

    @property
    def name(self) -> str:
        """The command, as its file is named."""
        return self.file.name.partition("-")[0].partition(".")[0]

    def read_answer(self) -> str | None:
        """Return what the command printed so far; None if it never began. Raise OSError."""
        try:
            return read_limited_file(self.file, MAX_ANSWER_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return None

    def find_job(self, answer: str | None) -> str:
        """Return the name of the job in an answer; empty if there is none."""
        found = re.search(self.job_pattern, answer or "")
        return found[1] if found else ""

    def read_job(self) -> str:
        """Return the name of the job that was sent; empty if there is none, or it is not known. Raise OSError."""
        return self.find_job(self.read_answer())

    def is_unsure(self, answer: str | None) -> bool:
        """Return whether the engine may have a job whose name is not in the answer."""
        return is_unsure_answer(answer, self.job_pattern, self.unsure_pattern)

    def call(self, command: Callable[[IO[bytes]], int | None], gone: str = "") -> int | None:
        """Call the command, unless its job was sent meanwhile, and return its exit code: 0 for a job that was.

        Raise Unanswered while another submit calls it, Rejected if it cannot start, OSError.

        :param command: it writes its answer to the file; None means that it did not end in time.
        :param gone: the name of an earlier job, which is no longer in the queue.
        """
        with self._open_locked() as file:
            job = self.read_job()
            if job and job != gone:  # another submit sent it meanwhile
                return 0
            if os.fstat(file.fileno()).st_size:  # of a job that was refused, or is gone
                file.truncate(0)
                os.fsync(file.fileno())
            sync_folder(self.file.parent)
            return command(file)

    def run(self, words: Iterable[str], env: Mapping[str, str] | None = None) -> int | None:
        """Run the command with these words in the run folder, unless its job was sent; return as `call` does."""
        try:
            return self.call(lambda file: run_to_file([self.name, *words], self.file.parent, file, env))
        except CommandStartError as error:
            raise Rejected([make_problem("submit-command-missing.submit", command=self.name, why=str(error))]) from None

    def wait(self) -> None:
        """Wait until no command of an earlier submit runs. Raise Unanswered if one does not end."""
        with contextlib.suppress(OSError), self.file.open("rb") as file:
            if not lock_file(file.fileno(), fcntl.LOCK_SH, PATIENCE_SECONDS):
                raise Unanswered([self._make_busy_problem()])

    @contextlib.contextmanager
    def _open_locked(self) -> Iterator[IO[bytes]]:
        """Yield the file, locked; the command inherits the lock. Raise Unanswered if another has it."""
        with self.file.open("ab") as file:
            with contextlib.suppress(OSError):  # a file system without locks
                if not lock_file(file.fileno()):
                    raise Unanswered([self._make_busy_problem()])
            yield file

    def _make_busy_problem(self) -> Problem:
        return make_problem("submit-still-sending", given=str(self.file), name=self.name)


def is_unsure_answer(answer: str | None, job_pattern: str, unsure_pattern: str) -> bool:
    """Return whether an engine may have a job whose name is not in the answer of its command. None: it never began."""
    if answer is None or re.search(job_pattern, answer):
        return False
    return not answer.strip() or bool(unsure_pattern and re.search(unsure_pattern, answer))


def run_to_file(
    words: list[str], folder: Path, file: IO[bytes], env: Mapping[str, str] | None = None, waiting: str = ""
) -> int | None:
    """Run a command whose output goes to a file; return its exit code, None if it did not end in time.

    Raise CommandStartError.

    :param waiting: what the user is told when the command has not ended after some seconds.
    """
    try:
        process = subprocess.Popen(
            words, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    except OSError as error:
        raise CommandStartError(f"{error.strerror or error}.") from None
    try:
        try:
            return process.wait(QUIET_SECONDS)
        except subprocess.TimeoutExpired:
            print(waiting or f"{words[0]} has not ended yet; it may try again", file=sys.stderr, flush=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(PATIENCE_SECONDS)
        return None
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
