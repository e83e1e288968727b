"""The script of a submit, and what it reports: `submit.sh` with the names, digest and jobs of one run."""

import contextlib
import os
import re
import shlex
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from robotrain.cluster.outputs import print_progress
from robotrain.model.plan import Plan
from robotrain.run_folder.scheduler_plan import TRIALS_FOLDER, SchedulerJob, SchedulerSpec
from robotrain.run_folder.transport import FileState, Transport, format_reading, parse_files

from robotrain_slurm.client.commands import ENVIRONMENT
from robotrain_slurm.node.attempts import ATTEMPTS_FILE
from robotrain_slurm.spec.submission_spec import get_script
from robotrain_slurm.submit.archive import DIGEST_FILE

PATIENCE_SECONDS = 180.0
"""sbatch may try again for minutes where the queue is full."""
QUIET_SECONDS = 5.0
SENT_FILE = "sent.json"
"""In the run folder of a pipeline, once all steps are sent: the number of each step's job."""
NUMBER = r"(?m)^(\d+)(?:;\S+)?\s*$"
UNSURE_SIGNS = r"timed out|(?:send|receive|shutdown) failure|Zero Bytes|not connected|reset by peer|auth_verify"
"""What sbatch says when its message left and no answer came: Slurm may have taken the job, or take it later."""
LATE_CODE = 124
"""Of `timeout`, for a command that did not end in time."""


def find_number(answer: str | None) -> str:
    """Return the number of the job in what sbatch printed; empty if there is none."""
    found = re.search(NUMBER, answer or "")
    return found[1] if found else ""


def is_unsure(answer: str | None) -> bool:
    """Return whether Slurm may have a job of which sbatch did not print the number. None: it never began."""
    if answer is None or find_number(answer):
        return False
    return not answer.strip() or bool(re.search(UNSURE_SIGNS, answer))


@dataclass(frozen=True, kw_only=True)
class SubmitReport:
    """What a script found and did."""

    state: str
    """Of the run folder: `absent`; `taken`: it has another run; `sent`: all its jobs were sent before; `same`, `new`.

    Or `refused`: it cannot be created; `busy`: an sbatch is at work; `missing`: there is none; `unfinished`: all steps
    were sent, but that could not be recorded; `held`: the first ones were not released.
    """
    code: int | None
    """The exit code of the last sbatch; None if none was called."""
    is_mine: bool
    """Whether the folder belongs to this user."""
    owner: str
    """The name of the user whom it belongs to."""
    cluster: str
    """The configuration of Slurm there."""
    files: Mapping[str, FileState | None]
    """What was read afterwards, by its path in the run folder."""
    error: str
    """What was printed beside."""

    def read(self, path: str) -> str | None:
        """Return a file; None if it is not there."""
        state = self.files.get(path)
        return state.content.decode(errors="replace") if state else None

    def read_answer(self, job: SchedulerJob) -> str | None:
        """Return what sbatch printed for a job; None if it never began."""
        return self.read(get_answer_file(job))


def get_answer_file(job: SchedulerJob) -> str:
    """Return the file with the answer of sbatch for a job, in the run folder."""
    return f"sbatch-{job.name}.txt"


def list_job_folders(spec: SchedulerSpec, job: SchedulerJob) -> list[str]:
    """Return the folders, in the run folder, in which a job works: of an array, those of its trials."""
    own = os.path.relpath(job.folder, spec.folder)
    return [os.path.join(own, TRIALS_FOLDER, str(number + 1)) for number in range(len(job.trials))] or [own]


def run_script(
    at: Transport, plan: Plan, spec: SchedulerSpec, lines: Iterable[str], archive: bytes = b""
) -> SubmitReport:
    """Run lines that call the functions of `submit.sh`, and return its report. Raise Unreached, Rejected."""
    folder = spec.folder
    paths = [*map(get_answer_file, spec.jobs), SENT_FILE]
    paths += [os.path.join(one, ATTEMPTS_FILE) for job in spec.jobs for one in list_job_folders(spec, job)]
    parent, name = os.path.split(folder)
    values = {
        "folder": folder,
        "parent": parent,
        "name": name,
        "part": os.path.join(parent, f".{name}.{os.urandom(4).hex()}.part"),
        "digest_file": DIGEST_FILE,
        "digest": plan.digest,
        "bytes": str(len(archive)),
        "patience": f"{PATIENCE_SECONDS:g}",
    }
    text = "\n".join(
        (
            ENVIRONMENT,
            *(f"{name}={shlex.quote(value)}" for name, value in values.items()),
            "read_files() {",
            format_reading({os.path.join(folder, path): 0 for path in paths}),
            "}",
            _read_functions(),
            f"is_sent() {{ {_format_sent(spec)}; }}",
            *lines,
        )
    )
    seconds = 600.0 + PATIENCE_SECONDS * (len(spec.jobs) + 1)
    notice = "" if at.host else "Slurm has not answered yet; sbatch tries again"  # a login node has its own
    with _notice_after(QUIET_SECONDS, notice):
        result = at.run(text, archive, seconds)
    first, _, rest = result.text.partition("\n")
    state, code, me, user, owner, cluster = first.split(" ", 5)
    return SubmitReport(
        state=state,
        code=None if code == "-" else int(code),
        is_mine=user == me,
        owner=owner,
        cluster=cluster,
        files=parse_files(paths, rest),
        error=result.stderr,
    )


@cache
def _read_functions() -> str:
    return Path(__file__).with_name("submit.sh").read_text(encoding="utf-8")


def _format_sent(spec: SchedulerSpec) -> str:
    """Return the test of whether all jobs of a run were sent."""
    if spec.is_pipeline:
        return f'[ -e "$folder/{SENT_FILE}" ]'
    answers = (f'"$folder"/{shlex.quote(get_answer_file(job))}' for job in spec.jobs)
    return " && ".join(f'[ -n "$(find_number {answer})" ]' for answer in answers)


def format_sending(spec: SchedulerSpec, known: Mapping[str, str], gone: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines that send the jobs of a run.

    Slurm takes a dependency on a job that it has forgotten for satisfied. So the first steps of a pipeline are sent on
    hold, and released once every step is sent: until then no job can end, and an interrupted submit goes on with those
    that wait in the queue. Before they are released, their numbers are recorded in the run folder: Slurm forgets jobs
    that ended.

    :param known: the numbers of steps that wait in the queue.
    :param gone: the numbers of steps that an earlier submit sent.
    """
    yield 'cd "$folder" || end refused'
    variables = {job.step: f"number_{at}" for at, job in enumerate(spec.jobs)}
    for job in spec.jobs:
        if job.step in known:
            yield f"{variables[job.step]}={known[job.step]}"
            continue
        options = _format_dependency(job, variables) if spec.is_pipeline else ""
        script = shlex.quote(os.path.join(spec.folder, get_script(job)))
        answer, earlier = shlex.quote(get_answer_file(job)), shlex.quote(gone.get(job.step, ""))
        yield f"send {answer} {earlier} {options}{script}"
        yield f"{variables[job.step]}=$number"
    if spec.is_pipeline:
        pairs = ", ".join(f'"{job.step}": "%s"' for job in spec.jobs)
        numbers = " ".join(f'"${variables[job.step]}"' for job in spec.jobs)
        first = ",".join(f"${variables[job.step]}" for job in spec.jobs if not job.needs)
        yield f"printf '{{{pairs}}}' {numbers} >.{SENT_FILE} || end unfinished"
        yield f"keep .{SENT_FILE} && mv -T .{SENT_FILE} {SENT_FILE} || end unfinished"
        yield f"keep {SENT_FILE} ."
        yield f'timeout "$patience" scontrol release "{first}" >/dev/null || state=held'


def _format_dependency(job: SchedulerJob, variables: Mapping[str, str]) -> str:
    if not job.needs:
        return "--hold "
    numbers = ":".join(f"${{{variables[name]}}}" for name in job.needs)
    return f'--dependency="afterok:{numbers}" --kill-on-invalid-dep=yes '


@contextlib.contextmanager
def _notice_after(seconds: float, text: str) -> Iterator[None]:
    """Tell the user a text, if any, when the block takes longer."""
    timer = threading.Timer(seconds, print_progress, (text,))
    timer.daemon = True
    if text:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
