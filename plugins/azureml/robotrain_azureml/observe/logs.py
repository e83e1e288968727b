"""The log of a job: its present content, its last lines, all of it as it grows, and the outcome that it holds."""

import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from robotrain.cluster import reasons
from robotrain.errors import Rejected
from robotrain.model.reference import Reference
from robotrain.network_deadline import PATIENCE_SECONDS
from robotrain_azure.arm import StorageError
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Note, Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED

from robotrain_azureml import errors
from robotrain_azureml.observe import job_state
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import jobs
from robotrain_azureml.service.datastore import PIECE_BYTES, SignedBlob

T = TypeVar("T")
WINDOW_BYTES = 1 << 16
"""Bytes of a log's end that are read first."""
EXPIRED_STATUSES = (401, 403)

GetAddress = Callable[[bool], str]
"""Returns the log's URL; with True, a renewed one."""


class RemoteLogReader:
    """A reader of one log in storage, from where the last reading ended.

    `offset`: bytes that were read. `restarted`: whether the log was replaced since the caller reset it.
    """

    def __init__(self, address: GetAddress) -> None:
        self._address = address
        self._blob: SignedBlob | None = None
        self._unfinished = b""
        self.offset = 0
        self.restarted = False

    def read_new(self) -> Iterator[str]:
        """Yield the complete lines that were not read yet. Raises StorageError."""
        size = self._ask(SignedBlob.find_size)
        if size < self.offset:
            self.offset, self._unfinished, self.restarted = 0, b"", True
            return
        for piece in self._read(self.offset, size):
            self.offset += len(piece)
            *byte_lines, self._unfinished = (self._unfinished + piece).split(b"\n")
            yield from map(_decode_line, byte_lines)

    def read_last(self, count: int) -> list[str]:
        """Return the last complete lines; `read_new` continues after them. Raises StorageError."""
        start, content_bytes = self._ask(SignedBlob.find_size), b""
        while start and content_bytes.count(b"\n") <= count:
            window_start = max(0, start - max(WINDOW_BYTES, 3 * len(content_bytes)))
            content_bytes = b"".join(self._read(window_start, start)) + content_bytes
            start = window_start
        byte_lines = content_bytes.split(b"\n")
        self.offset, self._unfinished = start + len(content_bytes), byte_lines.pop()
        # an incomplete first line is dropped
        return [_decode_line(line) for line in byte_lines[-count:]] if count else []

    def read_unfinished(self) -> list[str]:
        """Return the last line if it has no end yet; it counts as read."""
        unfinished_line, self._unfinished = self._unfinished, b""
        return [_decode_line(unfinished_line)] if unfinished_line else []

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            piece = self._ask(functools.partial(SignedBlob.read, start=start, length=min(PIECE_BYTES, stop - start)))
            if not piece:
                return
            start += len(piece)
            yield piece

    def _ask(self, question: Callable[[SignedBlob], T]) -> T:
        """Return what the log's blob answers; if its URL is refused, it may have expired, so it is renewed once."""
        self._blob = self._blob or SignedBlob(self._address(False))
        try:
            return question(self._blob)
        except StorageError as error:
            if error.status not in EXPIRED_STATUSES:
                raise
        self._blob = SignedBlob(self._address(True))
        return question(self._blob)


def _decode_line(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="replace")


LOG_NAME = r"user_logs/std_log[^/]*\.txt"
"""Logs of one or several processes: `std_log.txt`, or `std_log_process_0.txt` of the first node of several."""


def select_run_logs(log_names: Iterable[str]) -> list[str]:
    """Return the logs of the run's processes in order: that of the first node, which leads the others, in front."""
    run_logs = (name for name in log_names if re.fullmatch(LOG_NAME, name))
    return sorted(run_logs, key=lambda name: (len(name), name))


LINE_PREFIX = "[azureml] "
"""Before lines that are not from the log."""
RESTARTED_LINE = f"{LINE_PREFIX}the log starts again"


class JobLogs:
    """All logs of a job. `job` is the job as it was queried last."""

    def __init__(self, reference: Reference, job: AzureMLJob) -> None:
        self._reference = reference
        self._readers: dict[str, RemoteLogReader] = {}
        self._current_name = ""
        self.job = job

    @property
    def offset(self) -> int:
        """Bytes that were read of all logs."""
        return sum(reader.offset for reader in self._readers.values())

    def read_new(self) -> Iterator[str]:
        """Yield the lines that were not read yet. Raises Rejected."""
        for name, reader in self._list_readers():
            with self._reject_errors():
                yield from self._add_names(name, reader.read_new())
            if reader.restarted:
                reader.restarted = False
                yield from self._add_names(name, [RESTARTED_LINE])

    def read_last(self, count: int) -> Iterator[str]:
        """Yield the last lines of the first log; `read_new` continues after them, and at the end of the others.

        Raises Rejected.
        """
        for number, (name, reader) in enumerate(self._list_readers()):
            with self._reject_errors():
                last_lines = reader.read_last(0 if number else count)
            yield from self._add_names(name, last_lines)

    def read_others(self, count: int) -> Iterator[list[str]]:
        """Yield the last lines of each log but the first. Raises Rejected."""
        for _, reader in self._list_readers()[1:]:
            with self._reject_errors():
                yield reader.read_last(count)

    def read_end(self) -> Iterator[str]:
        """Yield unfinished lines of a job that has ended, and a hint if it has no output."""
        readers = self._list_readers()
        for name, reader in readers:
            yield from self._add_names(name, reader.read_unfinished())
        if not readers and self.job.logs:
            log_names = ", ".join(sorted(self.job.logs))
            url = jobs.get_run_workspace(self._reference).make_studio_url(self._reference["job"])
            yield f"{LINE_PREFIX}the job printed nothing; Azure ML's own logs are in the studio ({log_names}): {url}"

    def _reject_errors(self) -> AbstractContextManager[None]:
        action = f"read the log of {self._reference['job']}"
        return errors.reject_errors(jobs.get_run_workspace(self._reference), action)

    def _list_readers(self) -> list[tuple[str, RemoteLogReader]]:
        log_names = select_run_logs(self.job.logs)
        for name in log_names:
            self._readers.setdefault(name, RemoteLogReader(functools.partial(self._get_address, name)))
        return [(name, self._readers[name]) for name in log_names]

    def _get_address(self, name: str, renew: bool) -> str:
        if renew:
            self.job = job_state.query_job_region(self._reference)
        return self.job.logs.get(name, "")

    def _add_names(self, name: str, log_lines: Iterable[str]) -> Iterator[str]:
        for log_line in log_lines:
            if name != self._current_name and (self._current_name or len(self._readers) > 1):
                yield f"{LINE_PREFIX}{name}:"
            self._current_name = name
            yield log_line


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
