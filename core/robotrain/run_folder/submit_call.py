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
from collections.abc import Iterable, Iterator, Mapping
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
        """Return whether the engine may have a job whose name is not in the answer. None: the command never began."""
        if answer is None or self.find_job(answer):
            return False
        return not answer.strip() or bool(self.unsure_pattern and re.search(self.unsure_pattern, answer))

    def run(self, words: Iterable[str], env: Mapping[str, str] | None = None) -> int | None:
        """Run the command with these words in the run folder, unless its job was sent meanwhile.

        Return its exit code: 0 for a job that was sent, None if it did not end in time. Raise Unanswered while another
        submit runs it, Rejected if it cannot start, OSError.
        """
        with self._open_locked() as file:
            if self.read_job():  # another submit sent it meanwhile
                return 0
            if os.fstat(file.fileno()).st_size:  # of a job that was refused
                file.truncate(0)
                os.fsync(file.fileno())
            sync_folder(self.file.parent)
            try:
                return _run_to_file([self.name, *words], self.file.parent, file, env)
            except CommandStartError as error:
                why = str(error)
                raise Rejected([make_problem("submit-command-missing.submit", command=self.name, why=why)]) from None

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


def _run_to_file(words: list[str], folder: Path, file: IO[bytes], env: Mapping[str, str] | None) -> int | None:
    """Run a command whose output goes to a file; return its exit code, None if it did not end in time.

    Raise CommandStartError.
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
            print(f"{words[0]} has not ended yet; it may try again", file=sys.stderr, flush=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(PATIENCE_SECONDS)
        return None
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
