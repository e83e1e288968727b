"""Submit a plan: create the run folder, and send its batch jobs, each exactly once."""

import contextlib
import dataclasses
import os
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping

from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.run import LOGIN_KEY, Reference
from robotrain.run_folder.scheduler_plan import SchedulerJob, SchedulerSpec
from robotrain.run_folder.transport import Transport, Unreached

from robotrain_slurm.client.commands import SlurmAway, SlurmRefused, make_missing_command_problem, run_slurm
from robotrain_slurm.client.failures import explain_refusal, quote_message
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.login.reach import LostAnswer
from robotrain_slurm.node.attempts import ATTEMPTS_FILE, parse_attempts
from robotrain_slurm.node.commands import AWAY_SIGNS
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import (
    CLUSTER_KEY,
    JOBS_KEY,
    SUBMISSION,
    TRIALS_KEY,
    format_comment,
    get_script,
    read_own,
)
from robotrain_slurm.submit import script, staging, step_jobs
from robotrain_slurm.submit.archive import pack_run_folder
from robotrain_slurm.submit.script import LATE_CODE, SubmitReport, find_number, is_unsure, list_job_folders, run_script

make_problem = Messages(__file__)

ELSEWHERE = Suggestion("--runs-dir FOLDER", "a folder that you may write to, and that all nodes see")
FULL = ("No space left", "uota exceeded")


def submit_plan(at: Transport, plan: Plan) -> Reference:
    """Send the plan, once. Raise Rejected when Slurm refused it, Unanswered when that is not known."""
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    staged = staging.fetch_inputs(at, plan) if read_own(spec.jobs[0]).is_staged else {}
    known: dict[str, str] = {}
    try:
        archive = pack_run_folder(plan, spec, staging.place_staged_files(staged))
    except OSError as error:  # of a folder of code
        raise Rejected([_make_refused_folder_problem(spec, error.strerror or str(error))]) from None
    lines = ["create_folder"]
    if spec.is_pipeline:
        lines.append('[ "$state" = new ] || exit 0')
    report = _run_submit(at, plan, spec, [*lines, *script.format_sending(spec, {}, {})], archive)
    if report.state == "same" and spec.is_pipeline:
        with _keep_record():
            known = step_jobs.find_waiting_jobs(at, spec, report)
        gone = {job.step: find_number(report.read_answer(job)) for job in spec.jobs}
        report = _run_submit(at, plan, spec, ["state=same", *script.format_sending(spec, known, gone)])
    if report.state == "sent" and report.is_mine:  # by a submit whose line was lost, after the preflight looked
        with _keep_record():
            if found := find_run(at, plan):
                return found
    _raise_if_refused(spec, report)
    numbers = known | {job.step: find_number(report.read_answer(job)) for job in spec.jobs if job.step not in known}
    missing = next((job for job in spec.jobs if not numbers[job.step]), None)
    if missing is None:
        if report.state == "held" and any(sign in report.error for sign in AWAY_SIGNS):
            raise Unanswered(SlurmAway(f"{quote_message(report.error)}.").problems)
        return _make_reference(spec, numbers, report)
    answer = report.read_answer(missing) or ""
    if report.code in (None, LATE_CODE) or is_unsure(answer):
        with contextlib.suppress(Rejected):
            if found := find_run(at, plan):
                return found
        why = f"{quote_message(answer) or 'sbatch ended without an answer'}."
        raise Unanswered(SlurmAway(why).problems)
    earlier = [job.step for job in spec.jobs[: spec.jobs.index(missing)]]
    if sent := [numbers[step] for step in numbers if step in earlier or step in known]:
        with _keep_record(), contextlib.suppress(SlurmRefused):
            run_slurm(at, "scancel", *sent)
    refusal = _make_refusal(at, plan, missing, answer)
    with contextlib.suppress(OSError, Rejected, Unreached):
        at.remove(spec.folder)
    raise refusal


@contextlib.contextmanager
def _keep_record() -> Iterator[None]:
    """Raise Unanswered for what fails once jobs may be in the queue: a rejected submit would be forgotten."""
    try:
        yield
    except Rejected as rejected:
        raise Unanswered(rejected.problems) from None
    except Unreached:
        raise Unanswered(SlurmAway("Slurm could not be asked.").problems) from None


def _run_submit(
    at: Transport, plan: Plan, spec: SchedulerSpec, lines: Iterable[str], archive: bytes = b""
) -> SubmitReport:
    """Run a script that sends. Raise Unanswered if its end was not seen."""
    try:
        return run_script(at, plan, spec, ["command -v sbatch >/dev/null || end missing", *lines], archive)
    except LostAnswer as lost:
        why = "The cluster may have the run: the same command looks for it, and sends it if it is missing."
        raise Unanswered([dataclasses.replace(one, why=f"{one.why} {why}".strip()) for one in lost.problems]) from None
    except (Unreached, ValueError, LookupError):  # of an answer that no script gives, too
        raise Unanswered(SlurmAway("sbatch ended without an answer.").problems) from None


def _raise_if_refused(spec: SchedulerSpec, report: SubmitReport) -> None:
    """Raise Rejected if the run folder is not what the script needs, Unanswered while an sbatch is at work."""
    if report.state == "missing":
        raise Rejected([make_missing_command_problem("sbatch", "It is not on PATH.")])
    _raise_if_busy(spec, report)
    if report.state in ("taken", "sent"):
        raise Rejected([make_existing_folder_problem(spec.folder, report, Stage.SUBMIT)])
    if report.state == "refused":
        raise Rejected([_make_refused_folder_problem(spec, report.error)])
    if report.state == "unfinished":
        raise Unanswered([_make_refused_folder_problem(spec, report.error)])


def _make_refused_folder_problem(spec: SchedulerSpec, error: str) -> Problem:
    """Return the problem of a run folder that cannot be created or written to. `error`: what was printed."""
    lines = [line for line in error.splitlines() if line.strip() and "Exiting with failure" not in line]  # tar's last
    line = next((one for one in lines if any(sign in one for sign in FULL)), lines[-1] if lines else "")
    why = line.rpartition(": ")[2].rstrip(".") or "It cannot be written to"
    code = "run-folder-full" if any(sign in error for sign in FULL) else "run-folder-refused"
    return make_problem(code, ELSEWHERE, given=os.path.dirname(spec.folder), strerror=why)


def _raise_if_busy(spec: SchedulerSpec, report: SubmitReport) -> None:
    if report.state == "busy":
        file = os.path.join(spec.folder, script.get_answer_file(spec.jobs[0]))
        raise Unanswered([make_problem("submit-still-sending", given=file)])


def make_existing_folder_problem(folder: str, report: SubmitReport, stage: Stage) -> Problem:
    """Return the problem of a run folder with another run in it."""
    why = "A run of this name was submitted before." if report.is_mine else f"It belongs to {report.owner}."
    another = Suggestion("--runs-dir FOLDER", "another folder, which all nodes see")
    remove = Suggestion(f"rm -r {shlex.quote(folder)}", "if you do not need that run") if report.is_mine else ""
    return make_problem("run-folder-taken", another, remove, given=folder, stage=stage, why=why)


def _make_refusal(at: Transport, plan: Plan, job: SchedulerJob, answer: str) -> Rejected:
    """Return why Slurm refused a job."""
    problem = explain_refusal(at, answer, read_options(plan.files[get_script(job)].decode()))
    if job.step:
        title = f"step {job.step}: {problem.title}; no step has begun, and none is left in the queue"
        problem = dataclasses.replace(problem, title=title)
    return Rejected([problem])


def inspect_folder(at: Transport, plan: Plan, spec: SchedulerSpec) -> SubmitReport:
    """Return what is in the run folder of a plan, once no sbatch of an earlier submit is at work."""
    answers = " ".join(shlex.quote(script.get_answer_file(job)) for job in spec.jobs)
    folder = '[ -e "$folder" ] || [ -L "$folder" ] || exit 0'
    lines = [folder, "state=taken", "has_plan || exit 0", 'cd "$folder"', f"wait_for {answers}"]
    return run_script(at, plan, spec, [*lines, "state=same", "is_sent && state=sent"])


def find_run(at: Transport, plan: Plan) -> Reference | None:
    """Return the run of a plan that an interrupted submit sent; None if Slurm has no job of it.

    Raise Rejected when Slurm does not answer, Unanswered while an sbatch of it is at work.
    """
    spec = SUBMISSION.load(plan, Stage.SUBMIT)
    report = inspect_folder(at, plan, spec)
    if report.state in ("absent", "taken"):
        return None
    _raise_if_busy(spec, report)
    if spec.is_pipeline:
        numbers = step_jobs.find_steps(at, spec, report)
        return _make_reference(spec, numbers, report) if numbers else None
    (job,) = spec.jobs
    answer = report.read_answer(job)
    number = _ask_for_job(at, spec, job, report) if is_unsure(answer) else find_number(answer)
    return _make_reference(spec, {job.step: number}, report) if number else None


def _ask_for_job(at: Transport, spec: SchedulerSpec, job: SchedulerJob, report: SubmitReport) -> str:
    """Return the number of a job that Slurm has now or in a moment, or that has begun in its folder. Raise Rejected."""
    if number := _find_queued_job(job, query_queue(at, [job.name])):
        return number
    for folder in list_job_folders(spec, job):
        if known := parse_attempts((report.read(os.path.join(folder, ATTEMPTS_FILE)) or "").splitlines()):
            return known[0].job.partition("_")[0]
    time.sleep(step_jobs.SETTLE_SECONDS)
    return _find_queued_job(job, query_queue(at, [job.name]))


def _find_queued_job(job: SchedulerJob, queue: Iterable[QueuedJob]) -> str:
    return next((one.array for one in queue if one.comment == format_comment(job) and not one.is_refused), "")


def _make_reference(spec: SchedulerSpec, numbers: Mapping[str, str], report: SubmitReport) -> Reference:
    """Return what finds a run again."""
    trials = {TRIALS_KEY: str(len(spec.jobs[0].trials))} if spec.jobs[0].trials else {}
    jobs = {"job": numbers[spec.jobs[0].step]}
    if spec.is_pipeline:
        jobs = {JOBS_KEY: " ".join(f"{step}={number}" for step, number in numbers.items())}
    login = {LOGIN_KEY: spec.login} if spec.login else {}
    return {"run": spec.run, "folder": spec.folder, **jobs, **trials, CLUSTER_KEY: report.cluster, **login}
