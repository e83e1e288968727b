"""The outcome of a run: how it is described and written, by the engine or, if that cannot start, by the bootstrap."""

import dataclasses
import json
import traceback
from collections.abc import Sequence
from pathlib import Path

from robotrain_runtime.contract import event, failure, job_node, redaction
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Note, Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED, EXIT_PREFLIGHT, JobFailed
from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.contract.problem import Problem
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal

EVENTS_FILE = "events.jsonl"
OUTCOME_FILE = "outcome.json"


def prepare_work_folder(document: JobDocument) -> None:
    """Make the run's folder, without what an earlier attempt came to. Raise OSError, JobFailed for an unknown rank."""
    job_node.read_node_rank(document)
    job_node.drop_process_variables(document)
    work = Path(document.placement.work)
    work.mkdir(parents=True, exist_ok=True)
    for file in (OUTCOME_FILE, failure.STOP_REASON_FILE):
        (work / file).unlink(missing_ok=True)


def open_relay(document: JobDocument) -> EventRelay:
    """Open the relay of the run's events. Raise OSError, JobFailed for an unknown rank."""
    return EventRelay(Path(document.placement.work, EVENTS_FILE), job_node.read_node_rank(document))


def make_cancelled(document: JobDocument, stop: StopSignal) -> Outcome:
    """Return the outcome of a run that was stopped."""
    fault = failure.read_stop_reason(Path(document.placement.work))
    reason = {"stopped": "", "preempted": ": its machine was preempted"}.get(fault, f": it was {fault}")
    return Outcome(state="cancelled", exit_code=stop.exit_code, reason=f"{failure.STOPPED_REASON}{reason}", fault=fault)


def make_failure(failed: JobFailed) -> Outcome:
    """Return the outcome of a run that failed."""
    code = failure.choose_exit_code(failed.exit_code, failed.fault)
    cause = failed.cause._replace(fault=failed.fault)
    return Outcome(state="failed", exit_code=code, reason=failed.reason, **cause._asdict())


def make_crash(relay: EventRelay, error: Exception) -> Outcome:
    """Return the outcome of a run that nobody expected to fail so; the traceback goes to its log."""
    for traceback_line in "".join(traceback.format_exception(error)).splitlines():
        relay.write_line(traceback_line)
    reason = f"{type(error).__name__}: {error}"
    return make_failure(JobFailed(reason, EXIT_FAILED, failure.classify_error(reason) or "code"))


def report_findings(relay: EventRelay, findings: Sequence[Problem]) -> JobFailed:
    """Send each finding as an error; return the failure for all."""
    for finding in findings:
        ways = f"Instead: {' / '.join(map(str, finding.suggestions))}" if finding.suggestions else ""
        error_text = " ".join(part for part in (f"{finding.title}.", finding.given, finding.why, ways) if part)
        relay.emit(Note(level="error", text=error_text, ways=finding.suggestions))
    fault = failure.combine_faults(finding.fault for finding in findings)
    return JobFailed("; ".join(finding.title for finding in findings), EXIT_PREFLIGHT, fault)


def write_outcome(document: JobDocument, relay: EventRelay, outcome: Outcome) -> Outcome:
    """Write the outcome as the run's last event, and into its folder; return it without secrets."""
    outcome = redaction.hide_secrets_of_event(outcome)
    relay.write_record(event.make_record(outcome))
    try:
        outcome_json = json.dumps(dataclasses.asdict(outcome), indent=1) + "\n"
        write_atomically(Path(document.placement.work, OUTCOME_FILE), outcome_json.encode())
    except OSError as error:
        relay.write_line(f"{OUTCOME_FILE} could not be written: {error}")
    return outcome
