"""Submit a plan to a scheduler: create the run folder, and send its jobs, each exactly once."""

import contextlib
import dataclasses
import os
import re
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from robotrain_runtime.contract.json_values import convert_json, parse_json

from robotrain.errors import Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.reference import LOGIN_KEY, Reference
from robotrain.run_folder.facts import FolderFacts
from robotrain.run_folder.run_archive import pack_run_folder
from robotrain.run_folder.scheduled_parts import JOB_KEY, JOBS_KEY
from robotrain.run_folder.scheduler_plan import SchedulerJob, SchedulerSpec, make_spec_file
from robotrain.run_folder.submit_script import ENDED, UNSURE_CODES, SubmitReport, SubmitScripts
from robotrain.run_folder.transport import LostAnswer, Unreached

make_problem = Messages(__file__)

FULL = ("No space left", "uota exceeded")
CLUSTER_KEY = "conf"
"""Of a reference: the variable that chooses the cluster, as it was at the submit."""


@dataclass(frozen=True, kw_only=True)
class FoundJob:
    """A job that the scheduler has."""

    job: str
    """As the submit command names it."""
    name: str
    """That of the run or the step: `SchedulerJob.name`."""
    token: str
    """Its mark: `SchedulerJob.token`."""
    is_waiting: bool = False
    """Whether it is in the queue, and has not begun."""
    is_held: bool = False
    """Whether it waits because its submit had it wait."""
    needs: Collection[str] = ()
    """The jobs whose success it waits for."""


class SchedulerRuns(SubmitScripts):
    """The runs of a scheduler: how they are sent, and found again."""

    unsure_pattern = ""
    """What the submit command prints, beside nothing, when the scheduler may have the job; empty: `away_pattern`."""
    settle_seconds = 2.0
    """How long after the end of a submit command its job may appear in the queue."""

    def search_jobs(self, jobs: Sequence[SchedulerJob]) -> Iterable[FoundJob]:
        """Return the jobs that the scheduler has now of these names and marks; others do not count.

        Called only after a submit command that left no answer, and for the jobs of a pipeline. Raise Rejected if the
        scheduler does not answer.
        """
        raise NotImplementedError

    def make_refusal(self, plan: Plan, job: SchedulerJob, answer: str) -> Problem:
        """Return why a job was refused, in words. `answer`: what the submit command printed."""
        raise NotImplementedError

    def make_away_error(self, answer: str) -> Rejected:
        """Return the passing failure of a scheduler that does not answer. `answer`: what a command printed."""
        return self.commands.make_away_error(self.commands.quote(answer))

    def find_begun_job(self, facts: FolderFacts) -> str:
        """Return the submitted job that has begun in a run folder; empty for none. Pure.

        The claim there, `facts.owner.name`, is the value of `job_variable`.
        """
        return facts.owner.name if facts.owner else ""

    def fetch_other_files(self, plan: Plan) -> Mapping[str, bytes]:
        """Return what the run folder begins with beside the plan, by path. Raise Rejected, NotSubmitted."""
        return {}

    def load_spec(self, plan: Plan) -> SchedulerSpec:
        """Return how a plan is sent. Raise Rejected if it is damaged."""
        return make_spec_file(self.platform.name, self.engine_name).load(plan, Stage.SUBMIT)

    def submit(self, plan: Plan) -> Reference:
        """Send the plan, once. Raise Rejected when the scheduler refused it, Unanswered when that is not known."""
        spec = self.load_spec(plan)
        other_files = self.fetch_other_files(plan)
        waiting_jobs: dict[str, str] = {}
        try:
            archive = pack_run_folder(plan, spec, other_files)
        except OSError as error:  # of a folder of code
            raise Rejected([_make_refused_folder_problem(spec, error.strerror or str(error))]) from None
        script_lines = ["create_folder"]
        if spec.is_pipeline:
            script_lines.append('[ "$state" = new ] || exit 0')
        report = self._run_submit(plan, spec, [*script_lines, *self.format_sending(spec, {}, {})], archive)
        if report.state == "same" and spec.is_pipeline:
            with self._as_unanswered():
                waiting_jobs = self._find_waiting_jobs(spec, report)
                sending = self.format_sending(spec, waiting_jobs, report.jobs)
                report = self._run_submit(plan, spec, ["state=same", *sending])
        if report.state == "sent" and report.is_mine:  # by a submit whose line was lost, after the preflight looked
            with self._as_unanswered():
                if reference := self.find(plan):
                    return reference
        self._raise_if_refused(spec, report)
        jobs = {**report.jobs, **waiting_jobs}
        missing_job = next((job for job in spec.jobs if job.step not in jobs), None)
        if missing_job is None:
            with self._as_unanswered():
                self._raise_if_held(spec, report)
            return self.make_reference(spec, jobs, report.cluster)
        command_output, _ = _split_answer(report.answers[missing_job.step] or "")
        if report.code is None or self._is_unsure(missing_job, report):
            with contextlib.suppress(Rejected):
                if reference := self.find(plan):
                    return reference
            raise Unanswered(self.make_away_error(command_output).problems)
        earlier_steps = [job.step for job in spec.jobs[: spec.jobs.index(missing_job)]]
        refusal = ""
        sent_jobs = [jobs[step] for step in jobs if step in earlier_steps or step in waiting_jobs]
        if sent_jobs:
            with self._as_unanswered():
                refusal = self.stop_jobs(sent_jobs, "waiting")
        problem = self.make_refusal(plan, missing_job, command_output)
        if missing_job.step:
            queue_note = "" if refusal else ", and none is left in the queue"
            title = f"step {missing_job.step}: {problem.title}; no step has begun{queue_note}"
            problem = dataclasses.replace(problem, title=title)
        if refusal:
            command = self.platform.cancel_command.format(job=sent_jobs[0])
            raise Unanswered(
                [problem, make_problem("steps-left", jobs=" ".join(sent_jobs), why=refusal, command=command)]
            )
        with contextlib.suppress(OSError, Rejected, Unreached):
            self.at.remove(spec.folder)
        raise Rejected([problem])

    def find(self, plan: Plan) -> Reference | None:
        """Return the run of this very plan that an interrupted submit sent; None if the scheduler has no job of it.

        Raise Rejected when the scheduler does not answer, Unanswered while a submit command of it is at work.
        """
        spec = self.load_spec(plan)
        report = self.inspect_folder(plan, spec)
        if report.state in ("absent", "taken"):
            return None
        self._raise_if_busy(spec, report)
        jobs = report.jobs
        if spec.is_pipeline:
            jobs = self._find_steps(plan, spec, report)
        elif self._is_unsure(spec.jobs[0], report):
            job = self._ask_for_job(spec.jobs[0])
            jobs = {"": job} if job else {}
        return self.make_reference(spec, jobs, report.cluster) if jobs else None

    def inspect_folder(self, plan: Plan, spec: SchedulerSpec) -> SubmitReport:
        """Return what is in the run folder of a plan, once no submit command of it is at work. Raise Rejected."""
        answer_paths = " ".join(shlex.quote(self.get_answer_file(job)) for job in spec.jobs)
        folder = '[ -e "$folder" ] || [ -L "$folder" ] || exit 0'
        script_lines = [folder, "state=taken", "has_plan || exit 0", 'cd "$folder"', f"wait_for {answer_paths}"]
        try:
            return self.run_script(plan, spec, [*script_lines, "state=same", "is_sent && state=sent"])
        except Unreached:
            raise self.make_away_error("") from None

    def check_run_folder(self, plan: Plan) -> Iterator[Problem]:
        """Check that no other run is in the run folder of a plan."""
        spec = self.load_spec(plan)
        report = self.inspect_folder(plan, spec)
        if report.state in ("taken", "sent"):
            yield make_existing_folder_problem(spec, report, Stage.PREFLIGHT)

    def _run_submit(
        self, plan: Plan, spec: SchedulerSpec, script_lines: Iterable[str], archive: bytes = b""
    ) -> SubmitReport:
        """Run a script that sends. Raise Unanswered if its end was not seen."""
        try:
            has_command = f"command -v {self.submit_command} >/dev/null || end missing"
            return self.run_script(plan, spec, [has_command, *script_lines], archive)
        except LostAnswer as lost:
            advice = "The cluster may have the run: the same command looks for it, and sends it if it is missing."
            problems = [
                dataclasses.replace(problem, why=f"{problem.why} {advice}".strip()) for problem in lost.problems
            ]
            raise Unanswered(problems) from None
        except (Unreached, ValueError, LookupError):  # of an answer that no script gives, too
            raise Unanswered(self.make_away_error("").problems) from None

    @contextlib.contextmanager
    def _as_unanswered(self) -> Iterator[None]:
        """Raise Unanswered for what fails once jobs may be in the queue: a rejected submit would be forgotten."""
        try:
            yield
        except Rejected as rejected:
            raise Unanswered(rejected.problems) from None
        except Unreached:
            raise Unanswered(self.make_away_error("").problems) from None

    def _raise_if_refused(self, spec: SchedulerSpec, report: SubmitReport) -> None:
        """Raise Rejected if the run folder is not what the script needs, Unanswered while a submit is at work."""
        if report.state == "missing":
            command = self.submit_command
            raise Rejected([make_problem("submit-command-missing", self.commands.elsewhere, command=command)])
        self._raise_if_busy(spec, report)
        if report.state in ("taken", "sent"):
            raise Rejected([make_existing_folder_problem(spec, report, Stage.SUBMIT)])
        if report.state == "refused":
            raise Rejected([_make_refused_folder_problem(spec, report.error)])
        if report.state == "unfinished":
            raise Unanswered([_make_refused_folder_problem(spec, report.error)])

    def _raise_if_busy(self, spec: SchedulerSpec, report: SubmitReport) -> None:
        if report.state == "busy":
            file = os.path.join(spec.folder, self.get_answer_file(spec.jobs[0]))
            raise Unanswered([make_problem("submit-still-sending", given=file, name=self.submit_command)])

    def _raise_if_held(self, spec: SchedulerSpec, report: SubmitReport) -> None:
        """Raise Unanswered if jobs on hold do not begin. Raise Rejected if the scheduler does not answer."""
        if report.state != "held":
            return
        if not report.error.strip() or re.search(self.commands.away_pattern, report.error):
            raise Unanswered(self.make_away_error(report.error).problems)
        if held_jobs := [
            queued_job.job for queued_job in self._search(spec.jobs) if queued_job.is_held
        ]:  # others were cancelled meanwhile
            reason = self.commands.quote(report.error)
            command = shlex.join([*self.release_command, *held_jobs])
            raise Unanswered([make_problem("steps-held", given=spec.run, why=reason, command=command)])

    def _is_unsure(self, job: SchedulerJob, report: SubmitReport) -> bool:
        """Return whether the scheduler may have a job whose name the submit command did not print.

        One that printed only a warning, and was killed then, may have sent it.
        """
        answer = report.answers[job.step]
        if answer is None or job.step in report.jobs:
            return False
        output_text, code = _split_answer(answer)
        is_refusal = code is not None and code not in UNSURE_CODES and output_text.strip()
        return not is_refusal or bool(re.search(self.unsure_pattern or self.commands.away_pattern, output_text))

    def _search(self, jobs: Sequence[SchedulerJob]) -> list[FoundJob]:
        """Return the jobs of a plan that the scheduler has. Raise Rejected."""
        job_keys = {(job.name, job.token) for job in jobs}
        return [queued_job for queued_job in self.search_jobs(jobs) if (queued_job.name, queued_job.token) in job_keys]

    def _ask_for_job(self, job: SchedulerJob) -> str:
        """Return a job that the scheduler has now or in a moment, or that has begun in its folder. Raise Rejected."""
        if queued_jobs := self._search([job]):
            return queued_jobs[0].job
        folders = [os.path.dirname(os.path.join(job.root, job.document))]
        if begun_job := next(
            filter(None, (self.find_begun_job(facts) for facts in self.find_facts(folders) if facts)), ""
        ):
            return begun_job
        time.sleep(self.settle_seconds)
        return next((queued_job.job for queued_job in self._search([job])), "")

    def _find_steps(self, plan: Plan, spec: SchedulerSpec, report: SubmitReport) -> dict[str, str]:
        """Return the jobs of a pipeline, by step, that an interrupted submit sent as a whole; none if some are missing.

        It begins now, if the submit was interrupted just before. Raise Rejected, Unanswered.
        """
        errors: list[str] = []
        try:
            jobs: dict[str, str] = convert_json(Mapping[str, str], parse_json(report.sent), "", errors)
        except ValueError:
            return {}
        if errors:
            return {}
        held_jobs = [
            queued_job.job
            for queued_job in self._search(spec.jobs)
            if queued_job.is_held and queued_job.job in jobs.values()
        ]
        if held_jobs:
            self._raise_if_held(spec, self._run_submit(plan, spec, [f"release {shlex.join(held_jobs)}"]))
        return jobs

    def _find_waiting_jobs(self, spec: SchedulerSpec, report: SubmitReport) -> dict[str, str]:
        """Return those jobs of a pipeline, by step, that an interrupted submit sent. None of them has begun."""
        waiting_jobs = self._select_waiting_jobs(spec.jobs)
        if any(self._is_unsure(job, report) for job in spec.jobs if job.step not in waiting_jobs):
            time.sleep(self.settle_seconds)
            waiting_jobs = self._select_waiting_jobs(spec.jobs)
        return waiting_jobs

    def _select_waiting_jobs(self, jobs: Sequence[SchedulerJob]) -> dict[str, str]:
        """Return the jobs, by step, that wait in the queue for the right ones. Raise Rejected."""
        queue = [queued_job for queued_job in self._search(jobs) if queued_job.is_waiting]
        job_by_step: dict[str, str] = {}
        for job in jobs:
            needed_jobs = {job_by_step.get(name, "") for name in job.needs}
            for queued_job in queue:
                if queued_job.name == job.name and needed_jobs <= {*queued_job.needs}:
                    job_by_step[job.step] = queued_job.job
        return job_by_step

    def make_reference(self, spec: SchedulerSpec, jobs: Mapping[str, str], cluster: str) -> Reference:
        """Return what finds a run again. `jobs`: by step. `cluster`: the value of `cluster_variable` where it is."""
        job_keys = {JOB_KEY: jobs[spec.jobs[0].step]}
        if spec.is_pipeline:
            job_keys = {JOBS_KEY: " ".join(f"{job.step}={jobs[job.step]}" for job in spec.jobs)}
        named_cluster = {CLUSTER_KEY: cluster} if self.cluster_variable else {}
        login = {LOGIN_KEY: spec.login} if spec.login else {}
        return {"run": spec.run, "folder": spec.folder, **job_keys, **named_cluster, **login}


def _split_answer(answer: str) -> tuple[str, int | None]:
    """Return what a submit command printed that named no job, and its exit code; None if it was killed."""
    output_text, mark, code = answer.rpartition(f"\n{ENDED}")
    return (output_text, int(code)) if mark and code.strip().isdecimal() else (answer, None)


def _make_refused_folder_problem(spec: SchedulerSpec, error: str) -> Problem:
    """Return the problem of a run folder that cannot be created or written to. `error`: what was printed."""
    error_lines = [
        error_line
        for error_line in error.splitlines()
        if error_line.strip() and "Exiting with failure" not in error_line
    ]  # tar's last
    error_line = next(
        (error_line for error_line in error_lines if any(sign in error_line for sign in FULL)),
        error_lines[-1] if error_lines else "",
    )
    reason = f"{error_line.rpartition(': ')[2].rstrip('.') or 'It cannot be written to'}."
    code = "run-folder-full.at-submit" if any(sign in error for sign in FULL) else "run-folder-refused.not-created"
    return make_problem(code, given=os.path.dirname(spec.folder), where="--runs-dir", why=reason)


def make_existing_folder_problem(spec: SchedulerSpec, report: SubmitReport, stage: Stage) -> Problem:
    """Return the problem of a run folder with another run in it."""
    folder = spec.folder
    reason = "A run of this name was submitted before." if report.is_mine else f"It belongs to {report.owner}."
    folder_suggestion = Suggestion("--runs-dir FOLDER", "another folder, which all nodes see")
    problem = make_problem("run-folder-taken", folder_suggestion, given=folder, stage=stage, why=reason)
    return dataclasses.replace(problem, taken_by=f"{spec.login}:{folder}" if spec.login else folder)
