"""The log of a job: its present content, its last lines, all of it as it grows, and the outcome that it holds."""

import re
import time
from collections.abc import Iterable, Iterator

from robotrain.cluster import reasons
from robotrain.errors import Rejected
from robotrain.model.reference import Reference
from robotrain.network_deadline import PATIENCE_SECONDS
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Note, Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED

from robotrain_azureml.observe import job_state
from robotrain_azureml.observe.job_logs import JobLogs, select_run_logs
from robotrain_azureml.observe.job_state import AzureMLJob


def read_log(reference: Reference, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log so far, or its last ones; robotrain's own with a prefix. Raises RunGone, Rejected."""
    files = JobLogs(reference, job_state.query_job_region(reference))
    if tail is None:
        yield from files.read_new()
        yield from files.read_end() if files.job.is_finished else ()
        return
    last_lines = [*files.read_last(tail), *(files.read_end() if files.job.is_finished else ())]
    yield from last_lines[-tail:] if tail else ()


BEGIN_SECONDS = 3.0
"""Pause while there is no log."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Pause between reads: longer while there are no new lines."""
STATE_INTERVAL_SECONDS = 5.0
"""Pause between queries of the job's state."""
SETTLED_SECONDS = 1.0
"""After the job's end, the log is complete when nothing was added for so long."""


def follow_log(reference: Reference, tail: int | None) -> Iterator[str]:
    """Yield the lines of the log until the job ends, beginning with its last ones so far. Raises RunGone, Rejected."""
    files = JobLogs(reference, AzureMLJob())
    query_time = float("-inf")
    answer_time = time.monotonic()
    pause, is_quiet = FIRST_PAUSE, False
    while True:
        start_offset, is_answered = files.offset, True
        try:
            if time.monotonic() - query_time >= STATE_INTERVAL_SECONDS and not files.job.is_finished:
                files.job = job_state.query_job_region(reference)
                query_time = answer_time = time.monotonic()
            if tail is None:
                yield from files.read_new()
            else:
                yield from files.read_last(tail)
                tail = None
            answer_time = time.monotonic()
        except Rejected as rejected:
            if not rejected.transient or time.monotonic() - answer_time > PATIENCE_SECONDS:
                raise
            is_answered = False
        is_silent = files.offset == start_offset
        if is_answered and is_silent and files.job.is_finished:
            if is_quiet:
                yield from files.read_end()
                return
            is_quiet, pause = True, SETTLED_SECONDS
        else:
            is_quiet = False
            pause = min(pause * 1.5, LONGEST_PAUSE) if is_silent else FIRST_PAUSE
        time.sleep(pause if select_run_logs(files.job.logs) or is_quiet else BEGIN_SECONDS)


CONSEQUENCE = (
    r"(?i)connection (?:was )?(?:closed|reset|refused)|broken pipe|\b(?:gloo|nccl)\b|\bDist\w*Error\b|other node"
)
"""What a process reports that lost another one: the reason is with that."""


def read_outcome(reference: Reference, job: AzureMLJob) -> Outcome | None:
    """Return the outcome in the log of a job that has ended; None if it has none or cannot be read.

    Of several nodes it is that of the first one, unless another one tells why it failed.
    """
    if not select_run_logs(job.logs):
        return None
    files = JobLogs(reference, job)
    try:
        outcome = reasons.find_outcome(files.read_last(reasons.OUTCOME_LINES))
        if job.state != "failed" or (outcome and outcome.state == "failed" and not _is_consequence(outcome.reason)):
            return outcome
        failures = [
            failure for last_lines in files.read_others(reasons.OUTCOME_LINES) if (failure := _find_failure(last_lines))
        ]
    except Rejected:  # the state is known anyway
        return None
    causes = sorted(failures, key=lambda failure: (_is_consequence(failure[1]), failure))
    if not causes or (outcome and outcome.state == "failed" and _is_consequence(causes[0][1])):
        return outcome
    return Outcome(state="failed", exit_code=job.exit_code or EXIT_FAILED, reason=causes[0][1])


def _is_consequence(reason: str) -> bool:
    return re.search(CONSEQUENCE, reason) is not None


def _find_failure(lines: Iterable[str]) -> tuple[float, str] | None:
    """Return when and why a node failed that is not the first: its log has no outcome, but its last error."""
    records = [record for log_line in lines if (record := event.parse_event(log_line))]
    failures = [
        (record.time, record.event.text)
        for record in records
        if isinstance(record.event, Note) and record.event.level == "error"
    ]
    return failures[-1] if failures else None
