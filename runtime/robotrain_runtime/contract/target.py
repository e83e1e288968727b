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
    """A place that artifacts are published to."""

    to: str
    """An absolute folder, or an address that a container plugin writes to."""
    keep_last: int | None = None
    """How many checkpoints of the run stay there; None for all."""
    saves_step: Callable[[int], bool] | None = None
    """Returns whether the run may save a checkpoint of a step; None if unknown."""
    suggestion: str = ""
    """What to type for another place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMark:
    """The origin of a checkpoint at a target; `submission` and `tracking` are as in its manifest."""

    name: str
    """The last part of its address."""
    submission: str = ""
    tracking: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetInspection:
    """The inspection of a target."""

    problems: tuple[str, ...] = ()
    """Why it cannot be written to, one sentence each."""
    runs: Mapping[int, str] = field(default_factory=dict)
    """The run of each complete checkpoint there, by step."""
    marks: Mapping[int, CheckpointMark] = field(default_factory=dict)
    """The origin of each complete checkpoint, by step, if it has one."""


class TargetWriter(Protocol):
    """A writer to one address. Errors are retried with backoff; their message is a sentence for the user.

    A method raises PermanentError if a retry would not help, and Cancelled once `halted()` is true.
    """

    def write(self, folder: Path, manifest: CheckpointManifest, halted: CancelCheck) -> bool:
        """Copy a sealed folder (a checkpoint or results) below the address, under its own name, its manifest last.

        Return whether it was copied, not there already.
        """

    def trim(self, run: str, keep: int, halted: CancelCheck) -> tuple[str, ...]:
        """Remove all but the last `keep` checkpoints of `run`; return their names."""

    def close(self) -> None:
        """End everything that is still running."""


class TargetContainerPlugin:
    """A source kind that can also be written to: a module with these names."""

    ENVIRONMENT: PythonEnvironment
    """Where it works."""
    SOURCE: str = ""
    """The container plugin that fetches what was written, as `ADDRESS/NAME`; without it no run continues from there."""

    def normalize(self, address: str) -> str:
        """Return the address in its normal form, without a slash at its end; empty for one of another kind."""
        raise NotImplementedError

    def inspect(self, address: str, place: ContainerContext) -> TargetInspection:
        """Return quickly whether one may write there, and what is there. Without a `place.python`, ask nobody."""
        return TargetInspection()

    def open(self, address: str, place: ContainerContext) -> TargetWriter:
        """Return what writes there. Raise OSError with a sentence."""
        raise NotImplementedError
