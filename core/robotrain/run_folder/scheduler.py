"""A base class for schedulers whose jobs are sent by a command, such as `qsub`, and work in run folders."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.health import Check, HealthResult, report_missing, report_ok
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.platform import PlatformDefault
from robotrain.run_folder import settings_rules
from robotrain.run_folder.folder_access import check_writable
from robotrain.run_folder.scheduler_commands import SchedulerCommands
from robotrain.run_folder.scheduler_parts import SchedulerPlans
from robotrain.run_folder.scheduler_plan import read_placements
from robotrain.run_folder.scheduler_settings import choose_registration_settings, derive_defaults
from robotrain.run_folder.submit import SchedulerRuns

make_problem = Messages(__file__)


class SchedulerPlatform(SchedulerPlans, SchedulerRuns):
    """A platform with run folders whose jobs one command sends, each exactly once. Its settings: `SchedulerSettings`.

    A scheduler is described by its attributes, and by `make_submit_words`, `search_jobs`, `make_refusal`,
    `get_engine_state`, `explain_state` and `stop_jobs`.
    """

    commands: SchedulerCommands
    """How the scheduler's commands are called."""
    own_variables: Sequence[str] = ()
    """The environment variables that the scheduler sets for a job, or how they begin: no secret may be called so."""

    @property
    def engine(self) -> str:
        """The scheduler's name, for messages."""
        return self.commands.engine

    @property
    def away_pattern(self) -> str:  # type: ignore[override]  # of its commands
        """What its commands print when it does not answer: a regular expression."""
        return self.commands.away_pattern

    def make_silence(self, answer: str) -> Rejected:
        """Return the passing failure of a scheduler that does not answer. `answer`: what a command printed."""
        return self.commands.make_silence(self.commands.quote(answer))

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
            yield make_problem("submit-command-missing.not-here", command=command)
        else:
            yield report_missing(f"`{command}` is not on PATH: no job can be sent from this machine")

    def _check_folders(self, plan: Plan) -> Iterator[Problem]:
        """Check the run folder of a plan, the caches of its jobs and their secrets. Raise Rejected."""
        yield from self.check_run_folder(plan)
        for placement in read_placements(plan):
            yield from check_writable(Path(placement.cache), "--cache-dir")
            yield from check_secret_files(placement.secrets)
