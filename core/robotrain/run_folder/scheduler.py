"""A base class for schedulers whose jobs are sent by a command, such as `qsub`, and work in run folders."""

import copy
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.model.health import Check, HealthResult, report_missing, report_ok
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.platform import PlatformDefault
from robotrain.model.reference import Reference
from robotrain.model.run import Status
from robotrain.model.submitted_run import SubmittedRun
from robotrain.run_folder import settings_rules, submitted_runs
from robotrain.run_folder.facts import FolderFacts
from robotrain.run_folder.folder_access import judge_folder, read_folder_state
from robotrain.run_folder.remote_folder import RemoteRunFolders
from robotrain.run_folder.scheduled_parts import is_whole
from robotrain.run_folder.scheduler_commands import move_commands
from robotrain.run_folder.scheduler_parts import SchedulerPlans
from robotrain.run_folder.scheduler_plan import make_spec_file, read_placements
from robotrain.run_folder.scheduler_settings import derive_defaults
from robotrain.run_folder.submit import SchedulerRuns
from robotrain.run_folder.transport import Transport

make_problem = Messages(__file__)


class SchedulerEngine(SchedulerPlans, SchedulerRuns):
    """A platform with run folders whose jobs one command sends, each exactly once. Its settings: `SchedulerSettings`.

    A scheduler is described by its attributes, and by `make_submit_words`, `search_jobs`, `make_refusal`,
    `get_engine_state`, `explain_state` and `stop_jobs`.
    """

    own_variables: Sequence[str] = ()
    """The environment variables that the scheduler sets for a job, or how they begin: no secret may be called so."""

    def ask_scheduler(self, plan: Plan | None) -> Iterable[Problem]:
        """Ask the scheduler what it would refuse of a plan, or without one whether it answers. Raise Rejected."""
        return ()

    def check(self, job: Job, settings: Any) -> Iterable[Problem]:
        """Check the settings that schedulers share against the job."""
        yield from settings_rules.check_settings(job, settings, self.engine_name, self.own_variables)

    def derive_defaults(self, job: Job, settings: Any) -> Mapping[str, PlatformDefault]:
        """Return what the workload needs, as defaults of the settings `time`, `cpus`, `gpus` and `memory`."""
        return derive_defaults(job)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        """Return the checks of the scheduler and, of a plan, of its folders and secrets."""
        checks = [Check(name=self.commands.engine, run=partial(self._check_scheduler, plan))]
        return [*checks, Check(name="run folder", run=partial(self._check_folders, plan))] if plan else checks

    def _check_scheduler(self, plan: Plan | None) -> Iterator[Problem | HealthResult]:
        """Check that the submit command is on this machine, and ask the scheduler."""
        command = self.submit_command
        if shutil.which(command):
            problems = [*self.ask_scheduler(plan)]
            yield from problems or (report_ok("it answers"),)
        elif plan:
            elsewhere = self.commands.elsewhere
            yield make_problem("submit-command-missing", elsewhere, stage=Stage.PREFLIGHT, command=command)
        else:
            yield report_missing(f"`{command}` is not on PATH: no job can be sent from this machine")

    def _check_folders(self, plan: Plan) -> Iterator[Problem]:
        """Check the run folder of a plan, the caches of its jobs and their secrets. Raise Rejected."""
        yield from self.check_run_folder(plan)
        yield from judge_folder(read_folder_state(Path(self.load_spec(plan).folder).parent), "--runs-dir")
        for placement in read_placements(plan):
            yield from judge_folder(read_folder_state(Path(placement.cache)), "--cache-dir")
            yield from check_secret_files(placement.secrets)

    def list_statuses(self, references: Sequence[Reference]) -> list[Status | None]:
        """Return the status of each run, all by one request. None for one whose folder is gone. Raise Rejected."""
        runs = {reference["folder"]: reference for reference in references if not is_whole(reference)}
        facts_by_folder = dict(zip(runs, self.find_facts([*runs]), strict=True))
        existing_facts = {folder: facts for folder, facts in facts_by_folder.items() if facts}
        existing_runs = [runs[folder] for folder in existing_facts]
        jobs = self.query_jobs(existing_runs, [*existing_facts.values()]) if existing_runs else None
        statuses = {
            folder: self._find_listed_status(runs[folder], facts, jobs)
            for folder, facts in zip(existing_facts, self.find_facts([*existing_facts]), strict=True)
        }
        return [statuses.get(reference["folder"]) for reference in references]

    def _find_listed_status(self, reference: Reference, facts: FolderFacts | None, jobs: Any) -> Status | None:
        try:
            return self.conclude_run(reference, facts, jobs).status if facts else None
        except Rejected:  # asked alone, it says why
            return None

    def find_submitted(self, text: str, settings: Any) -> SubmittedRun | None:
        """Return the run in a run folder of this machine."""
        if not submitted_runs.names_folder(text) or submitted_runs.split_address(text)[0]:
            return None
        return submitted_runs.find_submitted_run(self, submitted_runs.resolve_folder(text))

    @property
    def spec_file(self) -> str:
        """The file of a run folder that says which run it is of."""
        return make_spec_file(self.platform.name).name

    def read_run_name(self, reference: Reference) -> str:
        """Return the run that a run folder says it is of. Raise as `read_spec`."""
        return self.read_spec(reference).run


MovedScheduler = TypeVar("MovedScheduler", bound=SchedulerEngine)


def move_to(scheduler: MovedScheduler, transport: Transport) -> MovedScheduler:
    """Return a scheduler whose commands and run folders are on another machine."""
    moved_scheduler = copy.copy(scheduler)
    moved_scheduler.commands, moved_scheduler.folders = (
        move_commands(scheduler.commands, transport),
        RemoteRunFolders(transport),
    )
    return moved_scheduler
