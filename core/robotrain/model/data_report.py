"""What a workload says about the files of a job's data before the job is sent, and how it reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.problem import Problem

    from robotrain.model.job import Job


class RemoteFiles(NamedTuple):
    """The files of a pinned source that is elsewhere."""

    name: str
    """What messages call it."""
    identity: str
    """Changes with the content."""
    list_sizes: Callable[[], Mapping[str, int]]
    """Return the size of each file, by path. Raise SourceError."""
    download: Callable[[Sequence[str], Path, float], None]
    """Write files below a folder, within so many seconds. Raise SourceError."""


class DataReading(NamedTuple):
    """How data is read for a report."""

    checker: str
    """The value of `--checker`."""
    say: Callable[[str], None]
    """Shows a message while it takes long."""
    seconds: float
    """How long it may take."""
    may_build: bool
    """Whether a Python that can read it may be built if none is on this machine."""


class DataReport(NamedTuple):
    """What the files of a source hold."""

    text: str = ""
    """In a few words: `50 episodes, 12,040 frames, 2 cameras`."""
    errors: tuple[Problem, ...] = ()
    """Why the job would fail."""
    warnings: int = 0
    """How many other findings there are."""
    command: str = ""
    """The line that shows all findings."""
    content: Mapping[str, Any] = {}
    """The same for JSON."""
    unread: str = ""
    """Why it was not read, as a sentence without a full stop."""


DescribeData = Callable[["Job", "JobSource", "Path | RemoteFiles", DataReading], "DataReport | None"]
"""Return the report on a source; None for one that nothing is said about."""
