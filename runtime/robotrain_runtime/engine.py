"""A run from its document to its outcome: preflight, environment beside data, merge, work, publish."""

import dataclasses
import json
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from robotrain_runtime.checkpoints import recovery
from robotrain_runtime.checkpoints.recovery import RecoverableCheckpoint
from robotrain_runtime.checkpoints.targets import InspectedTarget
from robotrain_runtime.contract import document, failure, plugin_loader
from robotrain_runtime.contract.container_plugin import PublishingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import Fault, Note, Outcome, Published, StageEvent, Track
from robotrain_runtime.contract.failure import EXIT_FAILED, EXIT_PREFLIGHT, Cancelled, JobFailed
from robotrain_runtime.data.run_data import RunData
from robotrain_runtime.environments import environment, run_environment
from robotrain_runtime.environments.run_environment import EnvironmentBuild
from robotrain_runtime.machine.disk_cache import CacheLease
from robotrain_runtime.preflight import collect_findings
from robotrain_runtime.process import child
from robotrain_runtime.process.event_relay import EventLog, EventRelay
from robotrain_runtime.process.stop import StopRequested, StopSignal
from robotrain_runtime.publishing import publication, registration
from robotrain_runtime.publishing.publication import Publication
from robotrain_runtime.tracking.tracker import Tracker

OUTCOME_FILE = "outcome.json"
REMEMBERED_LINES = 200


def run_job(document: JobDocument) -> Outcome:
    """Do what the document says; its events, its outcome and its outputs are below the document's work folder."""
    work = Path(document.placement.work)
    work.mkdir(parents=True, exist_ok=True)
    (work / OUTCOME_FILE).unlink(missing_ok=True)  # how an earlier attempt ended says nothing about this one
    failure.clear_stop_reason(work)
    earlier = recovery.read_earlier_attempts(work)
    with (
        EventLog(work / recovery.EVENTS_FILE) as log,
        StopSignal() as stop,
        CacheLease(Path(document.placement.cache)) as holding,
    ):
        relay = EventRelay(log)
        outcome = _run_to_outcome(document, relay, stop, earlier, holding)
        if relay.tracker is not None:
            relay.tracker.close(outcome)
        log.write_event(outcome)
        try:
            _write_outcome(work / OUTCOME_FILE, outcome)
        except OSError as error:
            log.write_line(f"{OUTCOME_FILE} could not be written: {error}")
    return outcome


def _run_to_outcome(
    document: JobDocument, relay: EventRelay, stop: StopSignal, earlier: recovery.EarlierAttempts, holding: CacheLease
) -> Outcome:
    try:
        run_environment.check_promised_variables(document.placement.promised)
        return Engine(document, relay, stop, earlier, holding).run()
    except StopRequested:
        return _make_cancelled_outcome(stop, failure.read_stop_reason(Path(document.placement.work)))
    except JobFailed as failed:
        code = failure.choose_exit_code(failed.exit_code, failed.fault)
        return Outcome(state="failed", exit_code=code, reason=failed.reason, fault=failed.fault)
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            relay.log.write_line(line)
        said = f"{type(error).__name__}: {error}"
        fault = failure.classify_error(said) or "code"
        return Outcome(state="failed", exit_code=failure.choose_exit_code(EXIT_FAILED, fault), reason=said, fault=fault)


def _make_cancelled_outcome(stop: StopSignal, fault: Fault) -> Outcome:
    why = "" if fault == "stopped" else f": its machine was {fault}" if fault == "preempted" else f": it was {fault}"
    return Outcome(state="cancelled", exit_code=stop.exit_code, reason=f"the run was stopped{why}", fault=fault)


class Engine:
    """One run. Each stage raises Failed with a sentence, or Stopped."""

    def __init__(
        self,
        document: JobDocument,
        relay: EventRelay,
        stop: StopSignal,
        earlier: recovery.EarlierAttempts,
        holding: CacheLease,
    ) -> None:
        self._document = document
        self._placement = document.placement
        self._relay = relay
        self._stop = stop
        self._earlier = earlier
        self._lease = holding
        self._plugin = plugin_loader.load_workload_plugin(document)
        self._data = RunData(document, relay, stop, holding)
        self._background = EnvironmentBuild(document, relay, stop, self._on_environment_ready)
        self._preflight_done = threading.Event()
        self._recoverable: list[RecoverableCheckpoint] = []
        self._tracking_started = False

    def run(self) -> Outcome:
        """All stages."""
        python, data, uses = self._prepare_inputs()
        publication = Publication(self._document, self._save_publishing_spec(data), self._relay, self._earlier)
        try:
            with self._run_stage("work"):
                self._run_work(python, self._plugin.work(self._document, uses, Path(self._placement.work)))
        except (JobFailed, StopRequested):
            with suppress(JobFailed, StopRequested):  # said already; why the work ended says more
                self._finish_publication(publication, python, succeeded=False)
            raise
        self._finish_publication(publication, python, succeeded=True)
        return Outcome(state="succeeded", exit_code=0)

    def _prepare_inputs(self) -> tuple[Path, dict[JobSource, Path], dict[JobSource, Path]]:
        """What the work starts from: the interpreter, the folder of each source, and those that the work uses.

        The environment is built in the background meanwhile. Whatever fails first ends the other.
        """
        try:
            with closing(self._background), closing(self._data.batches):
                with self._run_stage("preflight"):
                    self._run_preflight()
                if not self._background.is_started:
                    self._use_existing_environment()
                if self._data.needs_run_environment:
                    self._wait_for_python()
                with self._run_stage("data"):
                    data = self._data.fetch(self._wait_for_python)
                    self._restore_checkpoint()
                self._on_environment_ready(python := self._wait_for_python())
                return python, data, self._prepare_data(data, python)
        except StopRequested:
            if self._stop.number is None and self._background.failure is not None:
                raise self._background.failure from None
            raise

    @contextmanager
    def _run_stage(
        self, name: Literal["preflight", "environment", "data", "merge", "work", "publish"]
    ) -> Iterator[list[str]]:
        """A part of the run, told; what is put into the list is told with its end."""
        details: list[str] = []
        began = time.monotonic()
        self._relay.emit(StageEvent(name=name, state="started"))
        try:
            yield details
        except BaseException:
            self._relay.emit(StageEvent(name=name, state="failed", seconds=round(time.monotonic() - began, 3)))
            raise
        took, detail = round(time.monotonic() - began, 3), "; ".join(filter(None, details))
        self._relay.emit(StageEvent(name=name, state="done", seconds=took, detail=detail))

    def _run_preflight(self) -> None:
        places: list[InspectedTarget] = []
        try:
            begin, python = self._background.start, self._data.build_python
            found = collect_findings(self._document, self._data.batches, self._stop, begin, python, places)
            if not found:
                self._recoverable = recovery.find_recoverable(self._document, places)
                self._earlier = recovery.add_tracking_run(
                    self._earlier, self._recoverable, self._placement.tracking_uri
                )
        finally:
            self._preflight_done.set()
        for finding in found:
            ways = f"Instead: {' / '.join(finding.ways)}" if finding.ways else ""
            text = " ".join(part for part in (f"{finding.title}.", finding.given, finding.why, ways) if part)
            self._relay.emit(Note(level="error", text=text))
        if found:
            fault = failure.combine_faults(finding.fault for finding in found)
            raise JobFailed("; ".join(finding.title for finding in found), EXIT_PREFLIGHT, fault)

    def _use_existing_environment(self) -> None:
        """The environment that nothing had to be built for."""
        with self._run_stage("environment") as details:
            python = self._wait_for_python()
            details.append(environment.read_remark(python.parent.parent))
        self._on_environment_ready(python)

    def _on_environment_ready(self, built: Path) -> None:
        """Tracking needs the environment alone, so it starts while the data is still on its way, once it is known
        whether a tracking run of an earlier attempt goes on.
        """
        self._preflight_done.wait()
        if not self._tracking_started and self._lease.acquire(built):
            self._tracking_started = True
            self._start_tracking(environment.get_python(built))

    def _restore_checkpoint(self) -> None:
        """What an earlier attempt left elsewhere is laid where this one would have saved it. Raises Failed, Stopped."""

        def bring(left: RecoverableCheckpoint) -> Path:
            return self._data.fetch_extra(left.source, left.plugin, self._wait_for_python)

        def say(text: str) -> None:
            self._relay.emit(Note(level="warning", text=text))

        if not self._recoverable:
            return
        try:
            laid = recovery.restore_checkpoint(
                self._document, self._recoverable, bring, say, lambda: self._stop.count > 0
            )
        except Cancelled:
            raise StopRequested from None
        except OSError as error:
            raise JobFailed(str(error), fault=failure.classify_error(str(error))) from error
        if laid is None:
            say("nothing that an earlier attempt left is whole: the run begins anew")
            return
        left, saved = laid
        self._earlier = recovery.add_restored(self._earlier, left, saved)
        self._relay.emit(
            Note(level="info", text=f"step {saved.step} of an earlier attempt came back from {left.location}")
        )
        self._relay.emit(saved)
        if left.published:
            self._relay.emit(Published(step=saved.step, to=left.address))

    def _wait_for_python(self) -> Path:
        """The interpreter of the run's environment, once it is there; built again if it was just removed."""
        python = environment.get_python(self._background.wait())
        while not self._lease.acquire(python):
            python = run_environment.get_run_python(self._document, self._relay.log.write_line, self._stop)
        return python

    def _start_tracking(self, python: Path) -> None:
        tracked = self._plugin.tracked(self._document)
        if uri := self._placement.tracking_uri:
            environ, theirs = (
                run_environment.make_program_environ(self._document),
                document.read_platform_tracking_run(self._document),
            )
            note, again = self._relay.log_record, theirs or self._earlier.get_tracking_run(uri)
            try:
                self._relay.tracker = Tracker(
                    python,
                    uri,
                    system_metrics=tracked.machine,
                    environ=environ,
                    on_event=note,
                    resume_run=again,
                    attached=bool(theirs),
                )
            except OSError as error:
                self._relay.emit(Note(level="warning", text=f"the run is not tracked: {error}"))
        self._relay.emit(
            Track(experiment=tracked.experiment, run_name=tracked.run_name, params=tracked.params, tags=tracked.tags)
        )

    def _prepare_data(self, data: dict[JobSource, Path], python: Path) -> dict[JobSource, Path]:
        """The data as the work uses it: in place of some sources, what was made of them."""
        if (asked := self._data.get_preparation(data)) is None:
            return data
        with self._run_stage("merge") as details:
            made, before = self._data.prepare(asked, python)
            details.append("made before" if before else "")
        return data | dict.fromkeys(asked.sources, made)

    def _run_work(self, python: Path, work: WorkCommand) -> None:
        told: deque[str] = deque(maxlen=REMEMBERED_LINES)

        def heard(line: str) -> None:
            told.append(line)
            self._relay.log.write_line(line)

        for note in work.notes:
            self._relay.emit(note)
        arguments = [str(python), *work.arguments]
        environ, kills = run_environment.make_program_environ(self._document, work.environ), failure.count_oom_kills()
        code = child.run_program(
            arguments, environ=environ, stop=self._stop, on_line=heard, on_event=self._relay.forward
        )
        if code:
            why = failure.explain_exit(code, told)
            fault = failure.classify_exit(code, why, told, failure.count_oom_kills() > kills)
            raise JobFailed(why, 128 - code if code < 0 else code, fault)

    def _save_publishing_spec(self, data: dict[JobSource, Path]) -> PublishingSpec:
        asked = publication.get_publishing_spec(self._plugin, self._document, data)
        try:
            registration.write_publishing_spec(Path(self._placement.work), asked)
        except OSError as error:
            self._relay.log.write_line(f"{registration.PUBLISHING_FILE} could not be written: {error}")
        return asked

    def _finish_publication(self, publication: Publication, python: Path, *, succeeded: bool) -> None:
        """What is left of publishing, once the work is over. Raises Failed with all that was asked for, Stopped."""
        if publication.has_pending(succeeded):
            with self._run_stage("publish"):
                wrong = publication.finish(self._stop, python, succeeded)
                if wrong and not self._stop.number:
                    raise JobFailed("; ".join(wrong), fault=failure.classify_error("; ".join(wrong)))
        if self._stop.number:
            raise StopRequested


def _write_outcome(path: Path, outcome: Outcome) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, path)
