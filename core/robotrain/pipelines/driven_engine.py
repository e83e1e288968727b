"""A pipeline that a driver on this machine runs, as one run of its platform."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator

from robotrain import background
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.job import BESIDE_KEY, Job, parse_attempt
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.model.run import RemovedInPart, RunGone, RunRecord, Status, StepStatus
from robotrain.pipelines import driver, progress
from robotrain.pipelines.pipeline_engine import REFERENCE_KEY, PipelineEngine, SentStep, StepJob
from robotrain.pipelines.progress import PipelineProgress
from robotrain.pipelines.step_runs import StepJobs, list_distinct_roots
from robotrain.plugins.manager import Plugins
from robotrain.store import files, name_lock, records, stored_job
from robotrain.submission.interrupted_submit import remove_run
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.taken_name import is_name_taken

make_problem = Messages(__file__)

START_SECONDS, POLL_SECONDS = 300.0, 0.05
"""How long a driver may take to begin: it imports a plugin first."""
FIND_SECONDS = 2.0
"""How long a driver that was just started may take to show itself."""
CANCEL_SECONDS = 180.0
TAIL_BYTES = 2000


class DrivenEngine(PipelineEngine):
    """The platform of a pipeline whose steps a driver of this machine starts."""

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Yield what would make the first steps fail; of those that read the same, only one is asked about."""
        jobs = StepJobs(plan, (), self.step_platform, self._plugins)
        for step in list_distinct_roots(jobs.plan):
            if step.name not in jobs.plan.finished:
                yield from self._preflight_step(jobs.complete_job(step, {}), plan.job)

    def _preflight_step(self, prepared: PreparedJob, pipeline_job: Job) -> Iterator[Problem]:
        """Yield the problems of a step under the name that it would have, as its driver chooses it.

        :param pipeline_job: the job that stands for the pipeline.
        """
        taken_attempt = 0
        while True:
            lock, _ = name_lock.claim_run_name(prepared.job, lambda record: False, last_attempt=taken_attempt)
            taken_attempt = parse_attempt(lock.run)
            try:
                problems = list(self.step_platform.engine.preflight(prepared.render_plan(taken_attempt)))
            finally:
                lock.release_and_remove()
            if not (pipeline_job.record.get(BESIDE_KEY) and is_name_taken(Rejected(problems))):
                yield from problems
                return

    def submit(self, plan: Plan) -> Reference:
        """Start the driver, once. Raise Rejected if it cannot start."""
        start_driver(plan.run, self._plugins)
        return {REFERENCE_KEY: plan.run}

    def find(self, plan: Plan) -> Reference | None:
        """Return the pipeline if a driver of it has started."""
        deadline = time.monotonic() + FIND_SECONDS
        while progress.read_progress(plan.run) is None:
            if not progress.is_driven(plan.run) or time.monotonic() > deadline:
                return None
            time.sleep(POLL_SECONDS)
        return {REFERENCE_KEY: plan.run}

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        """Return the status of the whole, and the steps. Raise RunGone if its files are gone."""
        run = reference.get(REFERENCE_KEY, "")
        has_driver = progress.is_driven(run)
        pipeline_progress = self.read_progress(reference)
        steps = [progress.make_step_status(*pair) for pair in pipeline_progress.steps.items()]
        return pipeline_progress.compute_status(run, has_driver), steps

    def read_progress(self, reference: Reference) -> PipelineProgress:
        """Return the state of each step. Raise RunGone if it cannot be read."""
        run = reference.get(REFERENCE_KEY, "")
        pipeline_progress = progress.read_progress(run)
        if pipeline_progress is None:
            raise RunGone(f"the states of the steps of {run} are gone")
        return pipeline_progress

    def list_sent(self, reference: Reference) -> list[SentStep]:
        """Return the steps whose runs were submitted."""
        return [
            SentStep(name=name, reference=record.reference, produces=record.makes)
            for name, record in self._list_records(reference)
        ]

    def list_jobs(self, reference: Reference) -> Iterator[StepJob]:
        """Yield the jobs of the steps that have runs."""
        for step in self.read_progress(reference).steps.values():
            if record := records.find_record(step.run):
                yield StepJob(workload=record.workload, sources=stored_job.read_stored_sources(step.run))

    def has_log(self, step: StepStatus) -> bool:
        """Return whether the step's run has begun."""
        return bool(step.run) and step.state not in ("waiting", "pending")

    def read_step_log(self, step: StepStatus, reference: Reference, follow: bool, tail: int | None) -> Iterator[str]:
        """Yield the lines of the log of the step's run."""
        record = records.find_record(step.run)
        if record is not None and record.phase == "sent":
            yield from self.step_platform.engine.logs(record.reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Stop all steps and wait for their end; without a driver, this process does what it would."""
        run = reference[REFERENCE_KEY]
        if self.read_progress(reference).finished:
            return
        (records.get_run_folder(run) / progress.CANCEL_FILE).touch()
        deadline = time.monotonic() + CANCEL_SECONDS
        folder = os.getcwd()
        while not self.read_progress(reference).finished and time.monotonic() < deadline:
            if not progress.is_driven(run):
                try:
                    driver.drive_pipeline(run, self._plugins)
                finally:
                    os.chdir(folder)
            time.sleep(POLL_SECONDS)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        """Remove the runs of all steps with their outputs, except those that another attempt has as its steps too.

        Return the bytes freed; None if the platform keeps them. Raise Rejected, after all that can be removed: it is
        RemovedInPart if some of it is gone.
        """
        freed_sizes: list[int | None] = []
        errors: list[Rejected] = []
        run = reference[REFERENCE_KEY]
        attempts = f"{run.rpartition('-')[0]}-"  # one that resumes another has its finished steps
        other_runs = records.iterate_runs(lambda name: name.startswith(attempts) and name != run, with_steps=False)
        other_pipelines = filter(None, map(progress.read_progress, other_runs))
        shared_runs = {
            step.run for pipeline_progress in other_pipelines for step in pipeline_progress.steps.values() if step.run
        }
        for _, record in self._list_records(reference):
            if record.run not in shared_runs:
                if dry_run:
                    freed_sizes.append(self.step_platform.engine.remove_outputs(record.reference, dry_run=True))
                    continue
                try:
                    freed_sizes.append(remove_run(record, self.step_platform))
                except Rejected as error:
                    errors.append(error)
        if errors:
            is_begun = freed_sizes or any(isinstance(error, RemovedInPart) for error in errors)
            raise (RemovedInPart if is_begun else Rejected)([problem for error in errors for problem in error.problems])
        return None if None in freed_sizes else sum(size or 0 for size in freed_sizes)

    def _list_records(self, reference: Reference) -> list[tuple[str, RunRecord]]:
        """Return the steps whose runs were submitted, with their records."""
        named_records = []
        for name, step in self.read_progress(reference).steps.items():
            record = records.find_record(step.run)
            if record is not None and record.phase == "sent":
                named_records.append((name, record))
        return named_records


def start_driver(run: str, plugins: Plugins) -> None:
    """Start the driver of a pipeline in its own session, so that it outlives the terminal, and wait until it works.

    Raise Rejected if it cannot start.
    """
    log = records.get_run_folder(run) / progress.LOG_FILE
    try:
        environ = {**os.environ, **plugins.choice}
        pid = background.start_module("robotrain.pipelines.driver", run, log, environ, files.PRIVATE_FILE)
    except OSError as error:
        raise Rejected([_make_not_started_problem(f"{error.strerror or error}.")]) from error
    deadline = time.monotonic() + START_SECONDS
    while not _has_begun(run):
        # a driver ends at once if one of an interrupted submit has the lock: that one begins
        if background.has_exited(pid) and not progress.is_driven(run) and not _has_begun(run):
            log_lines: list[str] = []
            with contextlib.suppress(OSError, ValueError):
                log_lines = files.read_state_file(log)[-TAIL_BYTES:].decode(errors="replace").strip().splitlines()
            raise Rejected([_make_not_started_problem(log_lines[-1] if log_lines else "It ended without a message.")])
        if time.monotonic() > deadline:
            background.kill(pid)
            raise Rejected([_make_not_started_problem(f"It did not begin within {START_SECONDS:.0f} s.")])
        time.sleep(POLL_SECONDS)


def _has_begun(run: str) -> bool:
    """Return whether a driver works on the pipeline, or has brought it to its end."""
    pipeline_progress = progress.read_progress(run)
    return pipeline_progress is not None and (pipeline_progress.finished or progress.is_driven(run))


def _make_not_started_problem(reason: str) -> Problem:
    return make_problem("driver-not-started", given=sys.executable, why=reason)
