"""What the container halves of workloads and source kinds look like to the runtime."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from robotrain_runtime.document import JobDocument, Scalar, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The Python environment a workload runs in.

    lock: its hashed requirements file. gib: the disk it needs. platform: the machine the lock was made for, as
    `Linux-x86_64`; empty for any. holds: what an environment given in its place must hold, each distribution with the
    beginning of its version.
    """

    lock: Path
    python: str
    gib: float
    platform: str = ""
    holds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The command that does the work, run in the built environment.

    arguments: after the environment's python. environ: added to the process environment.
    """

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What the tracking run of a workload starts with. machine: whether to record values of the machine too."""

    experiment: str
    run_name: str
    params: Mapping[str, Scalar]
    tags: Mapping[str, str]
    machine: bool = True


class SourceHalf(Protocol):
    """A source kind in the container: a module with these functions."""

    def preflight(self, source: Source) -> Iterable[str]:
        """What is wrong with reaching `source`, one sentence each; quick, changes nothing."""

    def fetch(self, source: Source, cache: Path) -> Path:
        """The folder that holds the data of `source`. Raises OSError with a sentence for the person who runs it."""


class WorkloadHalf(Protocol):
    """A workload in the container: a module with these names."""

    ENVIRONMENT: Environment

    def inspect(self, document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
        """What is wrong with the data for this workload; reads small files only.

        One sentence each, and the way out on a second line where there is one.
        """

    def work(self, document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
        """The command, given where the data lies and the run's own folder."""

    def tracked(self, document: JobDocument) -> Tracked:
        """What the tracking run starts with."""
