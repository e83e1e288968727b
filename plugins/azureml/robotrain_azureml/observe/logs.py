"""The log of a job: what there is by now, its end, or all of it as it comes.

It is read where Azure ML keeps it. What the SDK has for it fails where a workspace uses identities, and reads all of it
again with every look.
"""

import contextlib
import functools
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

from robotrain.errors import Rejected
from robotrain.model.run import Reference
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Outcome, StageEvent

from robotrain_azureml import errors
from robotrain_azureml.errors import RequestRejected
from robotrain_azureml.observe import job_state
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import jobs, signed_blob
from robotrain_azureml.service.signed_blob import EXPIRED_STATUSES, BlobRange, SignedBlobError

LOG_NAME = r"user_logs/std_log[^/]*\.txt"
"""Of its process, or of several."""
LEGACY_LOG_NAME = r"azureml-logs/\d\d.+\.txt"
"""As computes of an earlier kind call them."""


def select_run_logs(names: Iterable[str]) -> list[str]:
    """What its processes printed: that of the only or the first one first, then by number."""
    known = list(names)
    found = [name for name in known if re.fullmatch(LOG_NAME, name)]
    return sorted(found or [name for name in known if re.fullmatch(LEGACY_LOG_NAME, name)], key=_make_sort_key)


def _make_sort_key(name: str) -> tuple[int, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", name)
    return len(parts), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


Answer = TypeVar("Answer")

WINDOW_BYTES = 1 << 16
"""Bytes that are read of a log's end at first."""
MAX_TRIES, RETRY_PAUSE = 3, 0.5
"""For a connection that breaks off without having brought anything, and the seconds before the next."""

GetAddress = Callable[[bool], str]
"""The log's address; of another one than before, where that is asked for."""


class RemoteLogReader:
    """What was read of it. offset: in bytes. restarted: whether it began anew since that was asked last."""

    def __init__(self, address: GetAddress) -> None:
        self._address = address
        self._unfinished = b""
        self.offset = 0
        self.restarted = False

    def read_new(self) -> Iterator[str]:
        """The whole lines that were not told yet. Raises BlobError."""
        for piece in self._read_bytes(self.offset):
            self.offset += len(piece)
            *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
            yield from map(_decode_line, lines)

    def read_last(self, count: int) -> list[str]:
        """The last so many whole lines of what there is; what comes after them is new. Raises BlobError."""
        length = self._send_renewing(signed_blob.fetch_blob_size)
        start, found = length, b""
        while start and found.count(b"\n") <= count:
            before = max(0, start - max(WINDOW_BYTES, 3 * len(found)))
            found, start = b"".join(self._read_bytes(before, start)) + found, before
        lines = found.split(b"\n")
        self.offset, self._unfinished = start + len(found), lines.pop()
        return (
            [_decode_line(line) for line in lines[-count:]] if count else []
        )  # there is one more where the first is cut

    def read_unfinished(self) -> list[str]:
        """The line that has no end yet, if there is one; it counts as told."""
        rest, self._unfinished = self._unfinished, b""
        return [_decode_line(rest)] if rest else []

    def _read_bytes(self, start: int, end: int | None = None) -> Iterator[bytes]:
        """All that is there now; a connection that breaks off is taken up where it did."""
        left = MAX_TRIES
        while end is None or start < end:
            try:
                with contextlib.closing(self._open_range(start, end)) as part:
                    if part.length is not None and part.length < self.offset:
                        self._restart()
                        return
                    for piece in part.iterate_pieces():
                        start, left = start + len(piece), MAX_TRIES
                        yield piece
                return
            except SignedBlobError as error:
                left -= 1
                if not left or not errors.is_transient(error):
                    raise
                time.sleep(RETRY_PAUSE)

    def _open_range(self, start: int, end: int | None) -> BlobRange:
        return self._send_renewing(lambda url: signed_blob.open_blob_range(url, start, end))

    def _send_renewing(self, send: Callable[[str], Answer]) -> Answer:
        """What is answered; an address that is refused may have expired, and is asked for once more."""
        try:
            return send(self._address(False))
        except SignedBlobError as error:
            if error.status not in EXPIRED_STATUSES:
                raise
        return send(self._address(True))

    def _restart(self) -> None:
        self.offset, self._unfinished, self.restarted = 0, b"", True


def _decode_line(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="replace")


LINE_PREFIX = "[azureml] "
"""Before what is not of the log itself."""
RESTARTED_LINE = f"{LINE_PREFIX}the log begins anew"


class JobLogs:
    """told: how the job is, as it was asked last."""

    def __init__(self, reference: Reference, job: AzureMLJob) -> None:
        self._reference = reference
        self._readers: dict[str, RemoteLogReader] = {}
        self._current_name = ""
        self.job = job

    @property
    def offset(self) -> int:
        """Bytes that were read of all of them."""
        return sum(reader.offset for reader in self._readers.values())

    def read_new(self) -> Iterator[str]:
        """The lines that were not told yet. Raises BlobError."""
        for name, reader in self._list_readers():
            yield from self._add_names(name, reader.read_new())
            if reader.restarted:
                reader.restarted = False
                yield from self._add_names(name, [RESTARTED_LINE])

    def read_last(self, count: int) -> Iterator[str]:
        """The last so many lines of what there is; what comes after them is new. Raises BlobError."""
        found: list[tuple[str, list[str]]] = []
        for name, reader in reversed(self._list_readers()):
            lines = reader.read_last(count)
            count -= len(lines)
            found.append((name, lines))
        for name, lines in reversed(found):
            yield from self._add_names(name, lines)

    def read_end(self) -> Iterator[str]:
        """What is left when nothing more comes: lines without an end, and a word where nothing was ever there."""
        there = self._list_readers()
        for name, reader in there:
            yield from self._add_names(name, reader.read_unfinished())
        if not there and self.job.logs:
            others = ", ".join(sorted(self.job.logs))
            at = jobs.make_studio_url(jobs.get_run_workspace(self._reference), self._reference["job"])
            yield f"{LINE_PREFIX}it printed nothing; what Azure ML wrote of it is in the studio ({others}): {at}"

    def make_rejection(self, error: SignedBlobError) -> RequestRejected:
        """The problem that a log cannot be read."""
        return errors.make_rejection(
            error, jobs.get_run_workspace(self._reference), f"read the log of {self._reference['job']}"
        )

    def _list_readers(self) -> list[tuple[str, RemoteLogReader]]:
        """Every log that there is by now, with what was read of it."""
        names = select_run_logs(self.job.logs)
        for name in names:
            self._readers.setdefault(name, RemoteLogReader(functools.partial(self._get_address, name)))
        return [(name, self._readers[name]) for name in names]

    def _get_address(self, name: str, renew: bool) -> str:
        if renew:
            self.job = job_state.query_job_region(self._reference)
        return self.job.logs.get(name, "")

    def _add_names(self, name: str, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if name != self._current_name and (self._current_name or len(self._readers) > 1):
                yield f"{LINE_PREFIX}{name}:"
            self._current_name = name
            yield line


BEGIN_SECONDS = 3.0
"""Between two looks for its beginning."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Between two looks for new lines: longer while there are none."""
STATE_INTERVAL_SECONDS = 5.0
"""Until it is asked again how the job is."""
SETTLED_SECONDS = 1.0
"""Without a new byte after the job's end, until the log counts as whole."""
PATIENCE_SECONDS = 600.0
"""For an Azure that cannot be reached: a network that is away comes back."""


class AzureMLLogFollower:
    """The log of a job as it comes. tail: only so many of the last lines of what there is at first."""

    def __init__(self, reference: Reference, tail: int | None) -> None:
        self._reference, self._tail = reference, tail
        self._files = JobLogs(reference, AzureMLJob())
        self._asked = float("-inf")
        self._answered = time.monotonic()

    def follow_lines(self) -> Iterator[str]:
        """All of it, to the job's end. Raises RunGone, Refused."""
        pause, quiet = FIRST_PAUSE, False
        while True:
            heard, before = self._refresh_state(), self._files.offset
            well = yield from self._read_new(heard)
            silent = self._files.offset == before
            if well and silent and self._files.job.is_finished:
                if quiet:
                    yield from self._files.read_end()
                    return
                quiet, pause = True, SETTLED_SECONDS
            else:
                quiet, pause = False, min(pause * 1.5, LONGEST_PAUSE) if silent else FIRST_PAUSE
            time.sleep(pause if select_run_logs(self._files.job.logs) or quiet else BEGIN_SECONDS)

    def _refresh_state(self) -> bool:
        """Ask how the job is, where that is due; whether that is known."""
        if self._files.job.is_finished or time.monotonic() - self._asked < STATE_INTERVAL_SECONDS:
            return True
        try:
            self._files.job = job_state.query_job_region(self._reference)
        except RequestRejected as refused:
            self._raise_if_lasting(refused)
            return False
        self._asked = self._answered = time.monotonic()
        return True

    def _read_new(self, refreshed: bool) -> Generator[str, None, bool]:
        """The lines that were not told; answers whether that was all there is. heard: how the job is, is known."""
        if not refreshed:
            return False
        try:
            if self._tail is None:
                yield from self._files.read_new()
            else:
                yield from self._files.read_last(self._tail)
                self._tail = None
        except SignedBlobError as error:
            self._raise_if_lasting(self._files.make_rejection(error))
            return False
        except RequestRejected as refused:  # a new address was not told
            self._raise_if_lasting(refused)
            return False
        self._answered = time.monotonic()
        return True

    def _raise_if_lasting(self, rejection: RequestRejected) -> None:
        """Raise what does not pass by itself, or has not for long."""
        if not rejection.transient or time.monotonic() - self._answered > PATIENCE_SECONDS:
            raise rejection


OUTCOME_LINES = 400
"""Lines in which a run's last word is looked for."""


def read_logs(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """What the run printed, its events among it, robotrain's own words under a mark. Raises RunGone, Refused."""
    if follow:
        pass

        return AzureMLLogFollower(reference, tail).follow_lines()
    return _read_current_log(reference, tail)


def read_outcome(reference: Reference, job: AzureMLJob) -> Outcome | None:
    """The last word of a job that has ended; None where there is none, or it cannot be heard."""
    if not select_run_logs(job.logs):
        return None
    last: Outcome | None = None
    try:
        for line in JobLogs(reference, job).read_last(OUTCOME_LINES):
            found = event.parse_event(line)
            if found and isinstance(found.event, Outcome):
                last = found.event
            elif found and isinstance(found.event, StageEvent) and found.event.state == "started":
                last = None  # that was the word of an earlier try
    except (SignedBlobError, Rejected):  # the state is known all the same
        return None
    return last


def _read_current_log(reference: Reference, tail: int | None) -> Iterator[str]:
    files = JobLogs(reference, job_state.query_job_region(reference))
    try:
        if tail is None:
            yield from files.read_new()
            yield from files.read_end() if files.job.is_finished else ()
            return
        found = [*files.read_last(tail), *(files.read_end() if files.job.is_finished else ())]
        yield from found[-tail:] if tail else ()
    except SignedBlobError as error:
        raise files.make_rejection(error) from None
