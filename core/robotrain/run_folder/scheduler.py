"""A base class for schedulers whose jobs are sent by a command, such as `qsub`, and work in run folders."""

import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import Placement

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem, Rejected, Stage, Unanswered
from robotrain.messages import Messages
from robotrain.model.health import Check, HealthResult, report_missing, report_ok
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.platform import PlatformDefault
from robotrain.model.run import Reference
from robotrain.run_folder import settings_rules
from robotrain.run_folder.code_copy import copy_code
from robotrain.run_folder.folder_access import check_writable
from robotrain.run_folder.scheduler_commands import SchedulerCommands
from robotrain.run_folder.scheduler_parts import SchedulerPlans
from robotrain.run_folder.scheduler_plan import SchedulerJob, make_spec_file, read_placements
from robotrain.run_folder.scheduler_settings import choose_registration_settings, derive_defaults
from robotrain.run_folder.status import RunFolderPlatform, find_creation_problems
from robotrain.run_folder.submit_call import SubmitCall

make_problem = Messages(__file__)


class SchedulerPlatform(SchedulerPlans, RunFolderPlatform):
    """A platform with run folders whose jobs one command sends, each exactly once. Its settings: `SchedulerSettings`.

    A scheduler is described by its attributes, and by `make_submit_words`, `search_job`, `make_refusal`,
    `get_engine_state`, `explain_state` and `stop_jobs`.
    """

    commands: SchedulerCommands
    """How the scheduler's commands are called."""
    submit_command: str
    """The command that sends a job; it prints the name of the job."""
    job_pattern: str
    """What in the answer of the submit command is the name of the job: a regular expression, with it as its group."""
    own_variables: Sequence[str] = ()
    """The environment variables that the scheduler sets for a job, or how they begin: no secret may be called so."""
    settle_seconds = 2.0
    """How long after the end of a submit command its job may appear in the queue."""
    folder_flag = "--runs-dir"
    """The option of the folder of run folders, for messages."""

    @property
    def engine(self) -> str:
        """The scheduler's name, for messages."""
        return self.commands.engine

    def search_job(self, plan: Plan) -> str:
        """Return the job of this very plan that the engine has, by what marks it; empty for none.

        Called only after a submit command that left no answer. Raise Rejected if the engine does not answer.
        """
        raise NotImplementedError

    def make_refusal(self, plan: Plan, answer: str) -> Rejected:
        """Return the refusal of a job, in words. `answer`: what the submit command printed."""
        raise NotImplementedError

    def ask_scheduler(self, plan: Plan | None) -> Iterable[Problem]:
        """Ask the scheduler what it would refuse of a plan, or without one whether it answers. Raise Rejected."""
        return ()

    def check(self, job: Job, settings: Any) -> Iterable[Problem]:
        """Check the settings that schedulers share against the job."""
        yield from settings_rules.check_tracking_uri(settings.tracking_uri or "")
        yield from settings_rules.check_torch_backend(settings.torch_backend, settings.environment)
        yield from self.check_secrets(settings.secrets, self.own_variables)
        yield from settings_rules.check_requested_gpus(job, settings.gpus, self.commands.engine)

    def derive_defaults(self, job: Job, settings: Any) -> Mapping[str, PlatformDefault]:
        """Return what the workload needs, as defaults of the settings `time`, `cpus`, `gpus` and `memory`."""
        return derive_defaults(job)

    def choose_registration_settings(
        self, job: Job, settings: Any, own: Collection[str]
    ) -> tuple[Any, Iterable[Problem]]:
        """Return the settings of a step that registers a policy, which needs little."""
        return choose_registration_settings(job, settings, own), ()

    def read_job(self, plan: Plan) -> SchedulerJob:
        """Return how the job of a plan is sent. Raise Rejected if the plan is damaged."""
        return make_spec_file(self.name).load(plan, Stage.SUBMIT).jobs[0]

    def get_run_folder(self, plan: Plan) -> Path:
        """Return the run folder of a plan."""
        return Path(self.read_job(plan).folder)

    def list_submit_words(self, plan: Plan) -> Sequence[str]:
        """Return the words after the submit command for the job of a plan; it is started in the run folder."""
        return self.read_job(plan).words

    def make_submit_call(self, folder: Path) -> SubmitCall:
        """Return the one call of the submit command for the job of a run folder."""
        return SubmitCall(folder / f"{self.submit_command}.txt", self.job_pattern, self.commands.away_pattern)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        """Return the checks of the scheduler and, of a plan, of its folders and secrets."""
        checks = [Check(name=self.commands.engine, run=partial(self._check_scheduler, plan))]
        if plan:
            folders = partial(_check_folders, plan, self.get_run_folder(plan), read_placements(plan))
            checks.append(Check(name="run folder", run=folders))
        return checks

    def _check_scheduler(self, plan: Plan | None) -> Iterator[Problem | HealthResult]:
        """Check that the submit command is on this machine, and ask the scheduler."""
        command = self.submit_command
        if shutil.which(command):
            problems = [*self.ask_scheduler(plan)]
            yield from problems or (report_ok("it answers"),)
        elif plan:
            yield make_problem("submit-command-missing.not-here", command=command)
        else:
            yield report_missing(f"`{command}` is not on PATH: no job can be sent from this machine")

    def submit(self, plan: Plan) -> Reference:
        """Create the run folder and send its job. Raise Rejected when the engine refused it, Unanswered if unknown."""
        folder = self.get_run_folder(plan)
        call = self.make_submit_call(folder)
        if not self._create_run(plan, folder) and call.read_job():
            raise Rejected([make_problem("run-folder-taken", where=self.folder_flag, folder=folder)])
        code = call.run(self.list_submit_words(plan))
        answer = call.read_answer() or ""
        if job := call.find_job(answer):
            return make_reference(folder, job)
        if code is not None and not call.is_unsure(answer):
            shutil.rmtree(folder, ignore_errors=True)
            raise self.make_refusal(plan, answer)
        with suppress(Rejected):
            if found := self.find(plan):
                return found
        raise Unanswered([make_problem("submit-unsure", name=self.name, why=" ".join(answer.split()))])

    def find(self, plan: Plan) -> Reference | None:
        """Return the run of this very plan that an interrupted submit sent; None if the engine has no job of it.

        Raise Rejected when the engine does not answer, Unanswered while a submit command of it is at work.
        """
        folder = self.get_run_folder(plan)
        call = self.make_submit_call(folder)
        call.wait()
        if not self.has_plan(plan, folder):
            return None
        answer = call.read_answer()
        job = call.find_job(answer)
        if call.is_unsure(answer):
            job = self.find_working_job(folder) or self.search_job(plan)
            if not job:
                time.sleep(self.settle_seconds)
                job = self.search_job(plan)
        return make_reference(folder, job) if job else None

    def _create_run(self, plan: Plan, folder: Path) -> bool:
        """Create the run folder with the user's code; return whether it is new. Raise Rejected."""
        try:
            is_new = self.create_folder(plan, folder)
            copy_code(plan.job.sources, folder)
            return is_new
        except OSError as error:
            why = f"{error.strerror or error}."
            problem = make_problem("run-folder-refused.not-created", where=self.folder_flag, folder=folder, why=why)
            raise Rejected([problem]) from None


def make_reference(folder: Path, job: str) -> Reference:
    """Return what finds a run again."""
    return {"folder": str(folder), "job": job}


def _check_folders(plan: Plan, folder: Path, placements: Iterable[Placement]) -> Iterator[Problem]:
    problems = [*find_creation_problems(plan, folder)]
    yield from problems or check_writable(folder.parent, "--runs-dir")
    for placement in placements:
        yield from check_writable(Path(placement.cache), "--cache-dir")
        yield from check_secret_files(placement.secrets)
