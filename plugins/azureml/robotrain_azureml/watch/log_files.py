"""All the logs of a job as one: line by line, and a line with the name of the log wherever another one goes on."""

import functools
from collections.abc import Iterable, Iterator

from robotrain.run import Reference

from robotrain_azureml.service import job_address, jobs, refusals
from robotrain_azureml.service.refusals import Refused
from robotrain_azureml.service.signed_blob import BlobError
from robotrain_azureml.watch import log_names, status_asked
from robotrain_azureml.watch.log_reader import Reader
from robotrain_azureml.watch.states import Job

MARK = "[azureml] "
"""Before what is not of the log itself."""
ANEW = f"{MARK}the log begins anew"


class Files:
    """told: how the job is, as it was asked last."""

    def __init__(self, reference: Reference, told: Job) -> None:
        self._reference = reference
        self._readers: dict[str, Reader] = {}
        self._shown = ""
        self.told = told

    @property
    def offset(self) -> int:
        """Bytes that were read of all of them."""
        return sum(reader.offset for reader in self._readers.values())

    def new(self) -> Iterator[str]:
        """The lines that were not told yet. Raises BlobError."""
        for name, reader in self._there():
            yield from self._named(name, reader.new())
            if reader.restarted:
                reader.restarted = False
                yield from self._named(name, [ANEW])

    def last(self, count: int) -> Iterator[str]:
        """The last so many lines of what there is; what comes after them is new. Raises BlobError."""
        found: list[tuple[str, list[str]]] = []
        for name, reader in reversed(self._there()):
            lines = reader.last(count)
            count -= len(lines)
            found.append((name, lines))
        for name, lines in reversed(found):
            yield from self._named(name, lines)

    def end(self) -> Iterator[str]:
        """What is left when nothing more comes: lines without an end, and a word where nothing was ever there."""
        there = self._there()
        for name, reader in there:
            yield from self._named(name, reader.half())
        if not there and self.told.logs:
            others = ", ".join(sorted(self.told.logs))
            at = job_address.studio(jobs.workspace_of(self._reference), self._reference["job"])
            yield f"{MARK}it printed nothing; what Azure ML wrote of it is in the studio ({others}): {at}"

    def refused(self, error: BlobError) -> Refused:
        """The problem that a log cannot be read."""
        return refusals.of(error, jobs.workspace_of(self._reference), f"read the log of {self._reference['job']}")

    def _there(self) -> list[tuple[str, Reader]]:
        """Every log that there is by now, with what was read of it."""
        names = log_names.own(self.told.logs)
        for name in names:
            self._readers.setdefault(name, Reader(functools.partial(self._address, name)))
        return [(name, self._readers[name]) for name in names]

    def _address(self, name: str, another: bool) -> str:
        if another:
            self.told = status_asked.of_region(self._reference)
        return self.told.logs.get(name, "")

    def _named(self, name: str, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if name != self._shown and (self._shown or len(self._readers) > 1):
                yield f"{MARK}{name}:"
            self._shown = name
            yield line
