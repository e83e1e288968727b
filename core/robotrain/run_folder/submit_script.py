"""The script of a submit, and what it reports: `submit.sh` with the names, digest and jobs of one run."""

import contextlib
import os
import shlex
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from robotrain.cluster.outputs import print_progress
from robotrain.model.plan import Plan
from robotrain.run_folder.run_archive import DIGEST_FILE
from robotrain.run_folder.scheduled_parts import ScheduledParts
from robotrain.run_folder.scheduler_commands import SchedulerCommands
from robotrain.run_folder.scheduler_plan import SchedulerJob, SchedulerSpec
from robotrain.run_folder.transport import READ_FILE, Transport, format_file, parse_file

PATIENCE_SECONDS = 180.0
"""A submit command may try again for minutes where the queue is full."""
QUIET_SECONDS = 5.0
SENT_FILE = "sent.json"
"""In the run folder of a pipeline, once all steps are sent: the job of each step."""
UNSURE_CODES = (0, 124, *range(129, 144), 152)
"""Exit codes of a submit command that named no job and may have sent one: also of `timeout`, and of signals.

Those above are refusals: `qsub` ends with the number of an error, such as 15036, modulo 256.
"""
ENDED = "exit code: "
"""In the answer of a submit command that named no job, the beginning of the last line, once it has ended."""
FIND_JOB = r"\{mark}{pattern}{mark}{{s{mark}{mark}\n\1\n{mark};s/^[^\n]*\n([^\n]*)\n.*/\1/p;q}}"
"""A program of `sed -E` that prints the first group of a pattern."""


@dataclass(frozen=True, kw_only=True)
class SubmitReport:
    """What the script of a submit found and did."""

    state: str
    """Of the run folder: `absent`; `taken`: it has another run; `sent`: all its jobs were sent before; `same`, `new`.

    Or `refused`: it cannot be created; `busy`: a submit command is at work; `missing`: there is none; `unfinished`: all
    steps were sent, but that could not be recorded; `held`: the first ones were not released.
    """
    code: int | None
    """The exit code of the last submit command; None if none was called."""
    is_mine: bool
    """Whether the folder belongs to this user."""
    owner: str
    """The name of the user whom it belongs to."""
    cluster: str
    """The value of `cluster_variable` there."""
    jobs: Mapping[str, str]
    """The jobs that the submit command named, by step."""
    answers: Mapping[str, str | None]
    """What it printed, by step; None if it never began."""
    sent: str
    """The record of a pipeline that was sent; empty if there is none."""
    error: str
    """What was printed beside."""


class SubmitScripts(ScheduledParts):
    """The scripts that send the jobs of a scheduler, and what it declares for them."""

    commands: SchedulerCommands
    """How the scheduler's commands are called."""
    submit_command: str
    """The command that sends a job; it prints the name of the job."""
    job_pattern: str
    """What in the answer of the submit command is the name of the job: its first group, as `sed -E` reads it."""
    dependency_words: Sequence[str] = ()
    """Words before the others with which a job waits for the success of other jobs, `{jobs}` for their names."""
    job_separator = ":"
    """What stands between those names."""
    hold_words: Sequence[str] = ()
    """Words before the others with which a job waits until it is released."""
    release_command: Sequence[str] = ()
    """The command that releases a job, without its name."""
    cluster_variable = ""
    """The environment variable that chooses one of several clusters; a reference keeps its value."""

    @property
    def at(self) -> Transport:
        """What reaches the scheduler and its run folders."""
        return self.commands.at

    @property
    def engine_name(self) -> str:
        """The scheduler's name, for messages."""
        return self.commands.engine

    def get_answer_file(self, job: SchedulerJob) -> str:
        """Return the file with the answer of the submit command for a job, in the run folder."""
        return f"{self.submit_command}-{job.name}.txt"

    def run_script(self, plan: Plan, spec: SchedulerSpec, lines: Iterable[str], archive: bytes = b"") -> SubmitReport:
        """Run lines that call the functions of `submit.sh`, and return its report. Raise Unreached, Rejected."""
        folder = spec.folder
        parent, name = os.path.split(folder)
        files = [os.path.join(folder, self.get_answer_file(job)) for job in spec.jobs]
        variable = self.cluster_variable
        script_values = {
            "folder": folder,
            "parent": parent,
            "name": name,
            "part": os.path.join(parent, f".{name}.{os.urandom(4).hex()}.part"),
            "digest_file": DIGEST_FILE,
            "digest": plan.digest,
            "bytes": str(len(archive)),
            "patience": f"{PATIENCE_SECONDS:g}",
            "job_program": FIND_JOB.format(mark="\x01", pattern=self.job_pattern),
            "release_command": " ".join(self.release_command),
            "ended": ENDED,
        }
        reading = [f"printf '%s\\n' \"$(find_job {shlex.quote(file)})\"\n{format_file(file, 0)}" for file in files]
        script = "\n".join(
            (
                self.commands.environment_script,
                f'cluster="${{{variable}-}}"' if variable else "cluster=",
                *(f"{key}={shlex.quote(value)}" for key, value in script_values.items()),
                READ_FILE,
                "read_answers() {",
                *reading,
                format_file(os.path.join(folder, SENT_FILE), 0),
                "}",
                _read_functions(),
                f"is_sent() {{ {_format_sent(spec, files)}; }}",
                *lines,
                "exit 0",
            )
        )
        seconds = 600.0 + PATIENCE_SECONDS * (len(spec.jobs) + 1)
        notice = f"{self.engine_name} has not answered yet; {self.submit_command} may try again"
        with _notice_after(QUIET_SECONDS, "" if self.at.host else notice):  # another machine has a notice of its own
            script_result = self.at.run(script, archive, seconds, is_question=True)
        first_line, *remaining_lines = script_result.text.split("\n")
        state, code, me, user, owner, cluster = first_line.split(" ", 5)
        job_by_step = dict[str, str]()
        answer_by_step = dict[str, str | None]()
        number = 0
        for number, job in enumerate(spec.jobs):
            answer_file = parse_file(remaining_lines[2 * number + 1])
            answer_by_step[job.step] = answer_file.content.decode(errors="replace") if answer_file else None
            if job_id := remaining_lines[2 * number]:
                job_by_step[job.step] = job_id
        record = parse_file(remaining_lines[2 * number + 2])
        return SubmitReport(
            state=state,
            code=None if code == "-" else int(code),
            is_mine=user == me,
            owner=owner,
            cluster=cluster,
            jobs=job_by_step,
            answers=answer_by_step,
            sent=record.content.decode(errors="replace") if record else "",
            error=script_result.stderr,
        )

    def format_sending(
        self, spec: SchedulerSpec, waiting_jobs: Mapping[str, str], earlier_jobs: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield the lines that send the jobs of a run.

        A scheduler takes a dependency on a job that it has forgotten for satisfied. So the first steps of a pipeline
        are sent on hold, and released once every step is sent: until then no job can end, and an interrupted submit
        goes on with those that wait in the queue. Before they are released, their names are recorded in the run folder:
        schedulers forget jobs that ended.

        :param waiting_jobs: the jobs of steps that wait in the queue.
        :param earlier_jobs: the jobs of steps that an earlier submit sent.
        """
        yield 'cd "$folder" || end refused'
        variables = {job.step: f"job_{number}" for number, job in enumerate(spec.jobs)}
        for job in spec.jobs:
            if job.step in waiting_jobs:
                yield f"{variables[job.step]}={shlex.quote(waiting_jobs[job.step])}"
                continue
            answer_file, earlier_job = (
                shlex.quote(text) for text in (self.get_answer_file(job), earlier_jobs.get(job.step, ""))
            )
            words = [*self._format_waiting(job, variables)] if spec.is_pipeline else []
            words += [shlex.quote(word) for word in job.words]
            yield f"send {answer_file} {earlier_job} {self.submit_command} {' '.join(words)}"
            yield f"{variables[job.step]}=$job"
        if spec.is_pipeline:
            json_pairs = ", ".join(f'"{job.step}": "%s"' for job in spec.jobs)
            jobs = " ".join(f'"${variable}"' for variable in variables.values())
            yield f"printf '{{{json_pairs}}}' {jobs} >.{SENT_FILE} || end unfinished"
            yield f"keep .{SENT_FILE} && mv -T .{SENT_FILE} {SENT_FILE} || end unfinished"
            yield f"keep {SENT_FILE} ."
            first_jobs = " ".join(f'"${variables[job.step]}"' for job in spec.jobs if not job.needs)
            yield f"release {first_jobs}"

    def _format_waiting(self, job: SchedulerJob, variables: Mapping[str, str]) -> Iterator[str]:
        """Yield the words with which a step waits, as the shell reads them."""
        jobs = self.job_separator.join(f"${{{variables[name]}}}" for name in job.needs)
        for word in self.dependency_words if job.needs else self.hold_words:
            word_start, placeholder, word_end = word.partition("{jobs}")
            yield (
                shlex.quote(word_start) + f'"{jobs}"' + (word_end and shlex.quote(word_end))
                if placeholder
                else shlex.quote(word)
            )


@cache
def _read_functions() -> str:
    return Path(__file__).with_name("submit.sh").read_text(encoding="utf-8")


def _format_sent(spec: SchedulerSpec, files: Iterable[str]) -> str:
    """Return the test of whether all jobs of a run were sent. `files`: those of their answers."""
    if spec.is_pipeline:
        return f'[ -e "$folder/{SENT_FILE}" ]'
    return " && ".join(f'[ -n "$(find_job {shlex.quote(file)})" ]' for file in files)


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
