"""A run from its job document to its outcome: preflight, environment and data, merge, work, publish."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robotrain_runtime.checkpoints import recovery, targets
from robotrain_runtime.checkpoints.recovery import RecoverableCheckpoint
from robotrain_runtime.contract import document, failure, job_node, plugin_loader, redaction, staged_data
from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.event import Note, Outcome, Published, StageEvent, Track
from robotrain_runtime.contract.failure import (
    Cancelled,
    JobFailed,
    PermanentError,
)
from robotrain_runtime.contract.problem import Problem
from robotrain_runtime.contract.staged_data import StagedMount
from robotrain_runtime.data.run_data import RunData
from robotrain_runtime.environments import environment, run_environment
from robotrain_runtime.environments.program_environment import ProgramEnvironment
from robotrain_runtime.environments.run_environment import BackgroundBuild
from robotrain_runtime.environments.work_secrets import WorkSecrets
from robotrain_runtime.machine.disk_cache import CacheLease
from robotrain_runtime.preflight import collect_findings
from robotrain_runtime.process import outcome_file
from robotrain_runtime.process.child import Program
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopRequested, StopSignal
from robotrain_runtime.process.warm_up import WarmUp
from robotrain_runtime.publishing import publication, registration
from robotrain_runtime.publishing.end_notice import EndNotice
from robotrain_runtime.publishing.publication import Publication
from robotrain_runtime.tracking.tracker import Tracker


@dataclass(slots=True, kw_only=True)
class RunServices:
    """What all stages of a run use."""

    relay: EventRelay
    stop: StopSignal
    lease: CacheLease
    tracker: Tracker | None = None
    """None until tracking has started."""


def run_job(document: JobDocument) -> Outcome:
    """Run a job; its events, outcome and outputs are written below the document's work folder, which is prepared.

    Raise OSError, or JobFailed if the rank of this node is unknown.
    """
    earlier_attempts = recovery.read_earlier_attempts(Path(document.placement.work))
    notice = EndNotice(document)
    with _open_services(document) as services:
        outcome = redaction.hide_secrets_of_event(_run_to_outcome(document, services, earlier_attempts))
        if services.tracker is not None:
            services.tracker.close(outcome)
        return notice.end_run(services.relay, outcome)


def fetch_job(document: JobDocument) -> list[StagedMount]:
    """Fetch what the work needs into the cache, and return where the data is; nothing else of the job is done.

    Publish targets are only inspected. Events are written below the document's work folder. Raise JobFailed, OSError or
    StopRequested.
    """
    earlier_attempts = recovery.read_earlier_attempts(Path(document.placement.work))
    with _open_services(document) as services:
        return Engine(document, services, earlier_attempts, does_work=False).fetch()


@contextmanager
def _open_services(document: JobDocument) -> Iterator[RunServices]:
    with (
        outcome_file.open_relay(document) as relay,
        StopSignal() as stop,
        CacheLease(Path(document.placement.cache)) as lease,
    ):
        lease.acquire(Path(sys.executable))  # it may be in the cache
        yield RunServices(relay=relay, stop=stop, lease=lease)


def _run_to_outcome(
    document: JobDocument, services: RunServices, earlier_attempts: recovery.EarlierAttempts
) -> Outcome:
    try:
        run_environment.check_promised_variables(document.placement.promised)
        return Engine(staged_data.add_staged_mounts(document), services, earlier_attempts).run()
    except StopRequested:
        return outcome_file.make_cancelled(document, services.stop)
    except JobFailed as failed:
        return outcome_file.make_failure(failed)
    except Exception as error:
        return outcome_file.make_crash(services.relay, error)


class Engine:
    """The stages of one run. Each raises JobFailed or StopRequested."""

    def __init__(
        self,
        document: JobDocument,
        services: RunServices,
        earlier: recovery.EarlierAttempts,
        *,
        does_work: bool = True,
    ) -> None:
        """Make the engine of a run; one that does no work only fetches for another machine that does."""
        self._does_work = does_work
        self._is_lead = job_node.is_lead(document)
        document = document if self._is_lead else job_node.make_follower_document(document)
        self._placement = document.placement
        self._services, self._earlier = services, earlier
        self._relay, self._stop, self._lease = services.relay, services.stop, services.lease
        self._plugin = plugin_loader.load_workload_plugin(document)
        self._data = RunData(document, self._relay, self._stop, self._lease)
        self._background = BackgroundBuild(
            plugin_loader.get_job_environment(document),
            plugin_loader.get_run_placement(document),
            self._relay,
            self._stop,
            self._on_environment_ready,
        )
        self._program = ProgramEnvironment(document, self._relay, self._stop, self._lease)
        self._secrets = WorkSecrets(document)
        self._warm_up = WarmUp(self._relay, self._on_refused, self._secrets.hide)
        self._preflight_done = threading.Event()
        self._described: dict[JobSource, Path] | None = None
        self._descriptions = Path(self._placement.work, ".descriptions")
        self._recoverable: list[RecoverableCheckpoint] = []
        self._tracking_started = False

    @property
    def _document(self) -> JobDocument:
        return self._data.document

    def run(self) -> Outcome:
        """Run all stages."""
        with self._reported_failures(), closing(self._warm_up):
            return self._run_stages()

    def fetch(self) -> list[StagedMount]:
        """Run the stages before the work; return where the sources are."""
        with self._reported_failures():
            if self._data.lists_later_mounts:
                return self._fetch_independently()
            _, data_folders, _ = self._prepare_inputs()
            return self._data.list_staged(data_folders)

    def _fetch_independently(self) -> list[StagedMount]:
        """Fetch what does not depend on sources that the platform mounts later, such as those of an earlier step."""
        with closing(self._program), closing(self._background):
            self._background.start()
            self._program.start()
            with self._run_stage("data"):
                staged_mounts = self._data.fetch_unmounted(self._wait_for_python)
            self._wait_for_python()
            self._program.wait()
        return staged_mounts

    @contextmanager
    def _reported_failures(self) -> Iterator[None]:
        """Raise a failure in the background in place of the StopRequested that it caused."""
        try:
            yield
        except StopRequested:
            if self._stop.number is None and (reason := self._background.failure or self._program.failure):
                raise reason from None
            raise
        finally:
            shutil.rmtree(self._descriptions, ignore_errors=True)

    def _run_stages(self) -> Outcome:
        python, data_folders, work_data = self._prepare_inputs()
        published = self._make_publication(data_folders) if self._is_lead else None
        try:
            with self._run_stage("work"):
                self._run_work(python, self._make_work_command(work_data))
        except (JobFailed, StopRequested):
            with suppress(JobFailed, StopRequested):  # already reported; why the work ended matters more
                self._finish_publication(published, python, succeeded=False)
            raise
        self._finish_publication(published, python, succeeded=True)
        return Outcome(state="succeeded", exit_code=0)

    def _make_publication(self, data_folders: Folders) -> Publication:
        spec = publication.get_publishing_spec(self._plugin, self._document, data_folders)
        try:
            registration.write_publishing_spec(Path(self._placement.work), spec)
        except OSError as error:
            self._relay.write_line(f"{registration.PUBLISHING_FILE} could not be written: {error}")
        return Publication(self._document, spec, self._relay, self._earlier, self._services.tracker)

    def _prepare_inputs(self) -> tuple[Path, dict[JobSource, Path], dict[JobSource, Path]]:
        """Return the interpreter, the folder of each source, and the folders that the work uses in their place.

        The environment is built in the background meanwhile; whichever fails first ends the other.
        """
        with closing(self._program), closing(self._background), closing(self._data.batches):
            with self._run_stage("preflight"):
                self._run_preflight()
            if not self._background.is_started:
                with self._run_stage("environment") as details:
                    existing_python = self._wait_for_python()
                    details.append(environment.read_remark(existing_python.parent.parent))
                self._on_environment_ready(existing_python)
            if self._data.needs_run_environment:
                self._wait_for_python()
            with self._run_stage("data"):
                data_folders = self._data.fetch(self._wait_for_python)
                self._restore_checkpoint()
            self._on_environment_ready(python := self._wait_for_python())
            self._program.wait()
            preparation = self._data.get_preparation(data_folders)
            if preparation is None or (preparation.is_staged and self._does_work):
                return python, data_folders, data_folders
            with self._run_stage("merge") as details:
                prepared, from_cache = self._data.prepare(preparation, python)
                details.append("made before" if from_cache else "")
            return python, data_folders, data_folders | dict.fromkeys(preparation.sources, prepared)

    @contextmanager
    def _run_stage(
        self, name: Literal["preflight", "environment", "data", "merge", "work", "publish"]
    ) -> Iterator[list[str]]:
        """Send events at the start and end of a stage; details put into the list are sent with its end."""
        details: list[str] = []
        began = time.monotonic()
        self._relay.emit(StageEvent(name=name, state="started"))
        try:
            yield details
        except BaseException:
            state: Literal["failed", "stopped"] = "failed" if self._stop.number is None else "stopped"
            self._relay.emit(StageEvent(name=name, state=state, seconds=round(time.monotonic() - began, 3)))
            raise
        seconds = round(time.monotonic() - began, 3)
        detail = "; ".join(filter(None, details))
        self._relay.emit(StageEvent(name=name, state="done", seconds=seconds, detail=detail))

    def _run_preflight(self) -> None:
        is_restarted = bool(self._earlier.checkpoints) or not self._is_lead
        try:
            secret_findings = self._secrets.read_here()
            start, get_python, batches = self._background.start, self._data.build_python, self._data.batches
            start = (lambda: None) if secret_findings else start
            other_findings, inspected, descriptions = collect_findings(
                self._document, batches, self._stop, start, get_python, self._does_work, is_restarted
            )
            if not (findings := [*secret_findings, *other_findings]):
                with self._stop.interruptible():
                    findings = self._secrets.read_stores()
            if not findings and self._does_work:
                for warning in targets.list_target_warnings(self._document, inspected, is_restarted=is_restarted):
                    self._emit_warning(warning)
                self._described = self._keep_descriptions(descriptions)
                if job_node.is_started_on_each_node(self._document):
                    arguments = (self._document, inspected, self._earlier, self._emit_warning)
                    self._earlier = recovery.set_unshared_aside(*arguments)
                self._recoverable = recovery.find_recoverable(self._document, inspected)
                uri = self._placement.tracking_uri
                self._earlier = recovery.add_tracking_run(self._earlier, self._recoverable, uri)
        finally:
            self._preflight_done.set()
        if findings:
            raise outcome_file.report_findings(self._relay, findings)

    def _keep_descriptions(self, descriptions: Folders) -> dict[JobSource, Path]:
        """Return the descriptions where they stay while the run goes on: those of a transfer end with it."""
        folders: dict[JobSource, Path] = {}
        for number, (source, folder) in enumerate(descriptions.items()):
            survey = self._data.batches.surveys.get(source)
            if survey is None or folder != survey.description_folder:
                folders[source] = folder
                continue
            with suppress(OSError):
                folders[source] = Path(shutil.copytree(folder, self._descriptions / str(number), dirs_exist_ok=True))
        return folders

    def _on_environment_ready(self, environment_folder: Path) -> None:
        """Start tracking, and what gets ready for the work, while the data is still on its way."""
        self._preflight_done.wait()  # which finds the tracking run of an earlier attempt
        self._program.start()
        if self._does_work and not self._tracking_started and self._lease.acquire(environment_folder):
            self._tracking_started = True
            python, command = environment.get_python(environment_folder), None
            if self._described is not None:
                command = self._plugin.warm_up(self._document, self._described, Path(self._placement.work))
            if command:
                environ = self._make_work_environ(command.environ)
                with suppress(OSError):  # the work will say why
                    self._warm_up.start(str(python), command, environ)
            self._start_tracking(python)

    def _on_refused(self, reason: str) -> None:
        problem = Problem(code="options-refused", title=reason.rstrip("."))
        self._background.report_failure(outcome_file.report_findings(self._relay, [problem]))

    def _restore_checkpoint(self) -> None:
        """Restore the last checkpoint of an earlier attempt to the folder where this one saves its own."""
        if not self._recoverable:
            return

        def fetch(checkpoint: RecoverableCheckpoint) -> Path:
            source = JobSource(role="resume", kind=checkpoint.kind, uri=checkpoint.location)
            return self._data.fetch_extra(source, checkpoint.plugin, self._wait_for_python)

        try:
            with failure.convert_os_errors():
                restored = recovery.restore_checkpoint(
                    self._document, self._recoverable, fetch, self._emit_warning, lambda: self._stop.count > 0
                )
        except Cancelled:
            raise StopRequested from None
        if restored is None:
            self._emit_warning("no checkpoint of an earlier attempt is complete: the run starts again from step 0")
            return
        origin, restored_checkpoint = restored
        self._earlier = recovery.add_restored(self._earlier, origin, restored_checkpoint)
        note_text = (
            f"resuming from step {restored_checkpoint.step} of an earlier attempt, restored from {origin.location}"
        )
        self._relay.emit(Note(level="info", text=note_text))
        self._relay.emit(restored_checkpoint)
        if origin.published:
            self._relay.emit(Published(step=restored_checkpoint.step, to=origin.address))

    def _wait_for_python(self) -> Path:
        """Return the interpreter of the run's environment once it is built; build it again if it was just removed."""
        python = environment.get_python(self._background.wait())
        while not self._lease.acquire(python):
            python = run_environment.get_run_python(self._document, self._relay.write_line, self._stop)
        return python

    def _start_tracking(self, python: Path) -> None:
        spec = self._plugin.tracked(self._document)
        if uri := self._placement.tracking_uri:
            platform_run = document.read_platform_tracking_run(self._document)
            try:
                self._services.tracker = tracker = Tracker(
                    python,
                    uri,
                    system_metrics=spec.machine,
                    environ=run_environment.make_program_environ(self._document),
                    on_event=self._relay.write_record,  # not sent back to tracking
                    resume_run=platform_run or self._earlier.get_tracking_run(uri),
                    attached=bool(platform_run),
                )
                self._relay.add_sink(tracker.send)
            except OSError as error:
                self._emit_warning(f"the run is not tracked: {error}")
        tags = {**spec.tags, **_list_code_tags(self._document)}
        self._relay.emit(Track(experiment=spec.experiment, run_name=spec.run_name, params=spec.params, tags=tags))

    def _make_work_command(self, data_folders: Folders) -> WorkCommand:
        """Return the command of the work; what it reads in the cache is leased. Repeat if that was just removed."""
        while True:
            command = self._plugin.work(self._document, data_folders, Path(self._placement.work))
            if all([self._lease.acquire(folder) for folder in command.cache_folders]):
                return command

    def _run_work(self, python: Path, work: WorkCommand) -> None:
        for note in work.notes:
            self._relay.emit(note)
        program = self._warm_up.take_over(work)
        if self._background.failure is not None:
            raise self._background.failure
        program = program or Program(
            [str(python), *work.arguments],
            environ=self._make_work_environ({**work.environ, **self._program.environ, **self._join_tracking(work)}),
            on_line=self._relay.write_line,
            on_event=self._relay.forward,
            edit_line=self._secrets.hide,
            prints_events=not self._plugin.RUNS_PROGRAM,  # what a user's program prints is not ours
        )
        program.wait_successfully(self._stop)

    def _join_tracking(self, work: WorkCommand) -> Mapping[str, str]:
        """Return the variables by which the work's own MLflow writes to the tracking run, once it has started."""
        tracker = self._services.tracker
        if not work.joins_tracking or tracker is None:
            return {}
        try:
            tracker.wait_for_run(lambda: self._stop.count > 0)
        except Cancelled:
            raise StopRequested from None
        except (OSError, PermanentError) as error:
            self._emit_warning(f"what the program logs to MLflow itself is not in this run: {error}")
        return tracker.run_environ

    def _make_work_environ(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables of the work: `variables` and its secrets, which no other program gets."""
        return run_environment.make_program_environ(self._document, {**variables, **self._secrets.values})

    def _finish_publication(self, publication: Publication | None, python: Path, *, succeeded: bool) -> None:
        """Finish publishing once the work is over. Raise JobFailed if a requested artifact could not be published."""
        if publication is not None and publication.has_pending(succeeded):
            with self._run_stage("publish"):
                errors = "; ".join(publication.finish(self._stop, python, succeeded))
                if errors and not self._stop.number:
                    raise JobFailed(errors, fault=failure.classify_error(errors))
        if self._stop.number:
            raise StopRequested

    def _emit_warning(self, warning: str) -> None:
        self._relay.emit(Note(level="warning", text=warning))


CODE_TAGS = {"commit": "mlflow.source.git.commit", "dirty": "mlflow.source.git.dirty"}
"""The names in tracking, by the name of a tag of the user's code; the first is MLflow's own."""


def _list_code_tags(document: JobDocument) -> dict[str, str]:
    """Return the tags of the tracking run that say which commit the user's code is."""
    code = (source for source in document.sources if source.role == "code")
    return {
        CODE_TAGS[name]: tag_value
        for source in code
        for name, tag_value in source.tag_values.items()
        if name in CODE_TAGS
    }
