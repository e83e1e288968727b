"""What the container halves of workloads and source kinds look like to the runtime."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from robotrain_runtime.document import JobDocument, Scalar, Source
from robotrain_runtime.event import Note


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

    arguments: after the environment's python. environ: added to the process environment. notes: for the
    person who runs it, told as the work starts: what it goes on from, what it could not use.
    """

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What the tracking run of a workload starts with. machine: whether to record values of the machine too."""

    experiment: str
    run_name: str
    params: Mapping[str, Scalar]
    tags: Mapping[str, str]
    machine: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What becomes of a run's checkpoints, beside lying in its own folder.

    to: a folder that each complete one is copied to; empty for none. register: the model whose next version the last
    one becomes when the run succeeded; empty for none. description, tags: of that version, its lineage among them.
    """

    to: str = ""
    register: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a source half works. cache: shared by runs. python: that of the environment the half declares, else of the
    run's own; None while it is not built. tracking_uri: an MLflow address, empty for none. say: passes a line on to the
    run's log.
    """

    cache: Path
    python: Path | None = None
    tracking_uri: str = ""
    say: Callable[[str], None] = print


class SourceHalf(Protocol):
    """A source kind in the container: a module with these functions.

    It may have an `ENVIRONMENT` too, as a workload's half has: it is then built before anything is fetched.
    """

    def preflight(self, source: Source, place: Place) -> Iterable[str]:
        """What is wrong with reaching `source`, one sentence each, the way out on a second line; changes nothing.

        Quick; where the source is pinned, it also says what no longer agrees with the pin.
        """

    def fetch(self, source: Source, place: Place) -> Path:
        """The folder that holds the data of `source`. Raises OSError with a sentence for the person who runs it."""


class WorkloadHalf(Protocol):
    """A workload in the container: a module with these names. `publishing` may be left out: nothing is published."""

    ENVIRONMENT: Environment

    def inspect(self, document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
        """What is wrong with the data for this workload; reads small files only.

        One sentence each, and the way out on a second line where there is one.
        """

    def work(self, document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
        """The command, given where the data lies and the run's own folder."""

    def tracked(self, document: JobDocument) -> Tracked:
        """What the tracking run starts with."""

    def publishing(self, document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
        """What becomes of the checkpoints; asked once, when the data is there."""
