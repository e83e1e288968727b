"""The Python API: submit, render, explain and runs, with a `Run` for each submitted run.

Values have the names of the options, with `_` for `-`: parameters of the workload, settings of the platform, and
sources (a list for several). `params` is a mapping of parameters of your own, for a workload that takes them.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Registered

from robotrain.api_call import JobFilePath, prepare_call
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.platform import Platform
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord, Status
from robotrain.network_deadline import PATIENCE_SECONDS
from robotrain.plugins import manager, site
from robotrain.plugins.manager import Plugins
from robotrain.store import name_index, records, run_log
from robotrain.submission import interrupted_submit, pinned_job, registration, shared_run_name, submitter
from robotrain.submission.adopted_run import require_own_run
from robotrain.submission.checker import CheckOptions
from robotrain.submission.queried_settings import fill_settings, query_settings
from robotrain.submission.run_labels import make_labels
from robotrain.submission.run_notice import tell_by_run

make_problem = Messages(__file__)

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 10.0
"""Seconds between two polls of a run."""


class RunEnded(Exception):
    """A run did not succeed. `status` has the state and the reason."""

    def __init__(self, run: str, status: Status) -> None:
        super().__init__(run, status)
        self.run = run
        self.status = status

    def __str__(self) -> str:
        return f"{self.run} {self.status.state}" + (f": {self.status.reason}" if self.status.reason else "")


class RunFailed(RunEnded):
    """The run failed."""


class RunCancelled(RunEnded):
    """The run was cancelled."""


class RunLost(RunEnded):
    """The run disappeared without an outcome."""


OUTCOME_ERRORS: dict[str, type[RunEnded]] = {"failed": RunFailed, "cancelled": RunCancelled, "lost": RunLost}


class Run:
    """A submitted run, found by its name or a unique part of it; by default the newest.

    Every method asks the platform, and raises Rejected where the command line would report a problem. `warnings` are
    the warnings and notes of its submission, and failures to notify plugins of the site.

    :param just_submitted: notify plugins of the site of its end, even if `wait` sees it at once.
    """

    def __init__(
        self,
        name: str = "",
        plugins: Plugins | None = None,
        warnings: Iterable[Problem] = (),
        just_submitted: bool = False,
    ) -> None:
        self.name = name_index.find_run(name)
        self._given = name
        self.warnings = tuple(warnings)
        self._plugins = plugins or manager.get_plugins()
        self._was_running = just_submitted  # and plugins of the site are not notified of its end yet

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def record(self) -> RunRecord:
        """Its record."""
        return records.read_record(self.name)

    def status(self) -> Status:
        """Return its current status."""
        return self._platform.engine.status(self._submitted_record.reference)

    def progress(self) -> Progress:
        """Return its progress so far: steps, metrics, checkpoints."""
        return run_log.read_run_log(self._submitted_record, self._platform)[0]

    def evaluated(self) -> event.Evaluated | None:
        """Return the result of its evaluation, with `scores` by name; None before there is one."""
        return self.progress().evaluated

    def logs(self, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of its log, event lines included; with `follow`, until the run ends."""
        return self._platform.engine.logs(self._submitted_record.reference, follow, tail)

    def wait(self, timeout: float | None = None, on_event: Callable[[event.EventRecord], None] | None = None) -> Status:
        """Wait for its end and return the final status.

        Raise RunFailed, RunCancelled or RunLost if it does not succeed, and TimeoutError after `timeout` seconds.
        A permanent error of the platform, such as a missing sign-in, is raised at once; others after ten minutes
        without an answer.

        :param on_event: called with each event of the log, from the first.
        """
        status = self._wait_for_end(timeout, on_event)
        if self._was_running:
            self._was_running = False
            self.warnings += tuple(site.notify_run_changed(self._plugins, self.record, "ended", status))
        records.save_final_status(self.name, status)
        if status.state != "succeeded":
            raise OUTCOME_ERRORS[status.state](self.name, status)
        return status

    def cancel(self) -> None:
        """Stop the run and return when it has ended; a run that has ended does not change.

        Of a pipeline, all steps are stopped, and no more begin; also steps that a lost driver left running. Raise
        Rejected if several runs that have not ended share the name that this one was found by.
        """
        self._require_own_name()
        record, platform = self._submitted_record, self._platform
        if not record.steps and platform.engine.status(record.reference).finished:
            return
        require_own_run(record, platform, "cancelled")
        platform.engine.cancel(record.reference)
        status = platform.engine.status(record.reference)
        self._was_running = not status.finished
        records.save_final_status(self.name, status)
        self.warnings += tuple(site.notify_run_changed(self._plugins, record, "cancelled", status))

    def outputs(self) -> list[Output]:
        """Return its outputs: complete checkpoints, oldest first, then other files."""
        return list(self._platform.engine.outputs(self._submitted_record.reference))

    def register(self, name: str = "", step: int | None = None) -> Registered:
        """Register a checkpoint (default: the last) as a version of a model (default: the one that the job names).

        Raise Rejected if several runs that have not ended share the name that this one was found by.
        """
        self._require_own_name()
        return registration.register_checkpoint(self._submitted_record, self._platform, name, step)

    def _wait_for_end(self, timeout: float | None, on_event: Callable[[event.EventRecord], None] | None) -> Status:
        record, platform = self._submitted_record, self._platform
        start_time = answer_time = time.monotonic()
        event_count, pause = 0, MIN_POLL_SECONDS
        while True:
            status: Status | None = None
            try:
                status = platform.engine.status(record.reference)
                answer_time = time.monotonic()
            except Exception as error:
                is_permanent = isinstance(error, Rejected) and not error.transient  # for example a missing sign-in
                if is_permanent or time.monotonic() - answer_time > PATIENCE_SECONDS:
                    raise
            if on_event is not None:
                for event_record in self._read_events(follow=timeout is None, skip=event_count):
                    event_count += 1
                    on_event(event_record)
            if status is not None and status.finished:
                return status
            self._was_running = self._was_running or status is not None
            seconds_left = MAX_POLL_SECONDS if timeout is None else start_time + timeout - time.monotonic()
            if seconds_left <= 0:
                raise TimeoutError(f"{self.name} is still {status.state if status else 'running'} after {timeout:g} s")
            time.sleep(min(pause, seconds_left))
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    def _require_own_name(self) -> None:
        shared_run_name.find_run_to_change(self._given, self._plugins, run=self.name)

    @property
    def _submitted_record(self) -> RunRecord:
        record = records.read_record(self.name)
        return record if record.phase == "sent" else interrupted_submit.adopt_run(record, self._platform)

    @property
    def _platform(self) -> Platform:
        return self._plugins.platform_of(self.record)

    def _read_events(self, follow: bool, skip: int) -> Iterator[event.EventRecord]:
        """Yield the events of its log after the first `skip`; an error ends them for now."""
        try:
            records_of_events = (record for line in self.logs(follow) if (record := event.parse_event(line)))
            yield from itertools.islice(records_of_events, skip, None)
        except Exception:  # the status of the run decides
            return


def submit(
    job: JobFilePath = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    new: bool = False,
    pin: bool = True,
    name: str = "",
    note: str = "",
    notify: bool = False,
    checker: str = "",
    yes: bool = False,
    **values: Any,
) -> Run:
    """Check a job, render its plan and submit it; the same call while that run has not ended returns it.

    Raise Rejected with all problems.

    :param job: a job file, whose values `values` override.
    :param trainer_args: options for the trainer, instead of those of the job file.
    :param new: start a new run even if the same job is running, or an interrupted submit of it exists.
    :param pin: resolve branches and tags to commits now.
    :param name: what to call the run, as `--name` does; default: its data and policy.
    :param notify: the run itself tells your webhook how it ended, as `--notify`.
    :param checker: the Python that asks the trainer about the options, or `none`, as `--checker`.
    :param yes: answer yes to what the command asks on a terminal, as `--yes`.
    """
    labels = make_labels(name, note)
    plugins = manager.get_plugins()
    prepared = prepare_call(
        plugins,
        job,
        values,
        platform_name=platform,
        workload_name=workload,
        profile=profile,
        trainer_args=trainer_args,
        run_name=name,
        purpose="submit",
    )
    prepared = tell_by_run(prepared, True, plugins) if notify else prepared
    warnings: list[Problem] = list(prepared.warnings)
    checks = CheckOptions(checker=checker, has_flag=True, confirm=lambda problem: yes)
    record, is_new, _ = submitter.submit_job(
        prepared, warnings.extend, lambda run: None, plugins, new=new, pinning=pin, labels=labels, checks=checks
    )
    warnings += site.notify_run_changed(plugins, record) if is_new else []
    return Run(record.run, plugins, warnings, just_submitted=is_new)


def render(
    job: JobFilePath = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    attempt: int = 1,
    pin: bool = False,
    **values: Any,
) -> Plan:
    """Return what `submit` would send as that attempt, with `pin` exactly that; only then the network is used.

    Raise Rejected with all problems.
    """
    if attempt < 1:
        raise Rejected([make_problem("value-invalid.attempt")])
    prepared = prepare_call(
        manager.get_plugins(),
        job,
        values,
        platform_name=platform,
        workload_name=workload,
        profile=profile,
        trainer_args=trainer_args,
        purpose="render",
    )
    if pin:
        prepared = pinned_job.pin_strictly(prepared)[0]
        prepared, problems = fill_settings(prepared, query_settings(prepared))
        raise_if_any(problems)
    return prepared.render_plan(attempt)


def explain(
    job: JobFilePath = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    **values: Any,
) -> list[Mapping[str, Any]]:
    """Return the values of a job as mappings with name, value, origin and overrode. Raise Rejected.

    The first argument of each trainer option has the option's name as `option`.
    """
    prepared = prepare_call(
        manager.get_plugins(),
        job,
        values,
        platform_name=platform,
        workload_name=workload,
        profile=profile,
        trainer_args=trainer_args,
    )
    return list(prepared.values)


def runs(limit: int | None = None) -> list[Run]:
    """Return the submitted runs, newest first; at most `limit`."""
    plugins = manager.get_plugins()
    return [Run(name, plugins) for name in itertools.islice(records.iterate_runs(with_steps=False), limit)]
