"""Interfaces of publish targets: places with an address that checkpoints and results are written to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment
from robotrain_runtime.contract.failure import CancelCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactTarget:
    """One place. to: an absolute folder, or an address that a target half takes.

    keep: how many of the run's checkpoints stay there; None for all. saves: whether the run may save a checkpoint of
    that step; None while nobody can tell. way: what to type for another place.
    """

    to: str
    keep_last: int | None = None
    saves_step: Callable[[int], bool] | None = None
    suggestion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMark:
    """What a checkpoint at a place says of itself beside its run. name: the last part of its address.

    submission, tracking: as in `Manifest`.
    """

    name: str
    submission: str = ""
    tracking: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetInspection:
    """What a look at a place found. wrong: why nothing can be written there, one sentence each.

    runs: of the complete checkpoints that lie there, by their step. marks: likewise, of those that have any.
    """

    problems: tuple[str, ...] = ()
    runs: Mapping[int, str] = field(default_factory=dict)
    marks: Mapping[int, CheckpointMark] = field(default_factory=dict)


class TargetWriter(Protocol):
    """Writes to one address. What a method raises is tried again, after pauses that grow; but
    `robotrain_runtime.contract.failure.PermanentError` where another try would not help, and Halted once `halted()` says so. The text is
    a sentence for the person who runs it.
    """

    def put(self, folder: Path, manifest: CheckpointManifest, halted: CancelCheck) -> bool:
        """Bring the sealed `folder` (a checkpoint, or results) below the address, under its own name: whole, or not
        there. False when it was there already. Its manifest comes last: whoever finds it finds all that it names.
        """

    def trim(self, run: str, keep: int, halted: CancelCheck) -> tuple[str, ...]:
        """Remove the oldest checkpoints of `run` but for the last `keep`: their names."""

    def close(self) -> None:
        """Ends what is still going on."""


class TargetContainerPlugin:
    """A source kind that can also be written to: a module with these names."""

    ENVIRONMENT: PythonEnvironment
    """Where it works."""
    SOURCE: str = ""
    """The container plugin that fetches what was written, as `ADDRESS/NAME`; without it no run continues from there."""

    def normal(self, address: str) -> str:
        """Return the address in its normal form, without a slash at its end; empty for one of another kind."""
        raise NotImplementedError

    def look(self, address: str, place: ContainerContext) -> TargetInspection:
        """Return quickly whether one may write there, and what is there. Without a `place.python`, ask nobody."""
        return TargetInspection()

    def open(self, address: str, place: ContainerContext) -> TargetWriter:
        """Return what writes there. Raise OSError with a sentence."""
        raise NotImplementedError
