"""All logs of a job together: one for each process of its first node, and those of other nodes."""

import functools
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from robotrain.model.reference import Reference

from robotrain_azureml import errors
from robotrain_azureml.observe import job_state
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.observe.remote_log import RemoteLogReader
from robotrain_azureml.service import jobs

LOG_NAME = r"user_logs/std_log[^/]*\.txt"
"""Logs of one or several processes: `std_log.txt`, or `std_log_process_0.txt` of the first node of several."""


def select_run_logs(log_names: Iterable[str]) -> list[str]:
    """Return the logs of the run's processes in order: that of the first node, which leads the others, in front."""
    return sorted((name for name in log_names if re.fullmatch(LOG_NAME, name)), key=_make_sort_key)


def _make_sort_key(name: str) -> tuple[int, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", name)
    return len(parts), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


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
