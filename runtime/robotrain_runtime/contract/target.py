"""Interfaces of publish targets: where checkpoints and results are copied to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment
from robotrain_runtime.contract.failure import CancelCheck
from robotrain_runtime.contract.problem import Problem


@dataclass(frozen=True, kw_only=True)
class CheckpointMark:
    """The origin of a checkpoint at a target; `submission` and `tracking` are as in its manifest."""

    name: str
    """The last part of its address."""
    submission: str = ""
    tracking: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckpointOwner:
    """A run that a place belongs to."""

    run: str
    submission: str = ""
    """As in the manifests of its checkpoints."""


@dataclass(frozen=True, kw_only=True)
class TargetInspection:
    """The inspection of a target."""

    problems: tuple[Problem | str, ...] = ()
    """Why it cannot be written to."""
    warnings: tuple[str, ...] = ()
    """Why it is not known whether it can be written to, one sentence each: the run goes on."""
    owner: CheckpointOwner | None = None
    """The run that the whole place belongs to, if it takes the checkpoints of one run only."""
    runs: Mapping[int, str] = field(default_factory=dict)
    """The run of each complete checkpoint there, by step."""
    marks: Mapping[int, CheckpointMark] = field(default_factory=dict)
    """The origin of each complete checkpoint, by step, if it has one."""
    other_place: str = ""
    """What to type for a place beside it that belongs to nobody."""


class TargetWriter(Protocol):
    """A writer to one address. Errors are retried; their message is a sentence for the user.

    A method raises PermanentError if a retry would not help, and Cancelled once `halted()` is true.
    """

    def write(self, folder: Path, manifest: CheckpointManifest, halted: CancelCheck) -> bool:
        """Copy a sealed folder below the address, under its name, its manifest last. Return False if it is there."""

    def trim(self, run: str, keep: int, halted: CancelCheck) -> tuple[str, ...]:
        """Remove all but the last `keep` checkpoints of `run`; return their names."""

    def close(self) -> None:
        """End everything that is still running."""


class TargetContainerPlugin:
    """A source kind that can also be written to: a module with these names."""

    ENVIRONMENT: PythonEnvironment
    """Where it works."""
    SOURCE: str = ""
    """The container plugin that fetches what was written, from `locate`; without it no run continues from there."""
    IS_REQUIRED: bool = True
    """Whether a run fails if a checkpoint cannot be written there. If not, the run warns, and `robotrain publish` sends
    what is missing; where nothing else keeps the checkpoints, the run fails all the same.
    """

    def normalize(self, address: str) -> str:
        """Return the address in its normal form, without a slash at its end; empty for one of another kind."""
        raise NotImplementedError

    def locate(self, address: str, name: str) -> str:
        """Return the address of a checkpoint, by its name, at a normalized address."""
        return f"{address}/{name}"

    def get_name(self, address: str, located: str) -> str:
        """Return the name of the checkpoint that `locate` returned `located` for; empty if it is at another place."""
        return located.removeprefix(f"{address}/") if located.rpartition("/")[0] == address else ""

    def inspect(self, address: str, context: ContainerContext) -> TargetInspection:
        """Return quickly whether one may write there, and what is there. Without a `place.python`, ask nobody."""
        return TargetInspection()

    def open(self, address: str, context: ContainerContext) -> TargetWriter:
        """Return what writes there. Raise OSError with a sentence."""
        raise NotImplementedError
