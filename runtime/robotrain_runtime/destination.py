"""Where complete checkpoints go: a folder, and the tracking run's artifacts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robotrain_runtime import mirror
from robotrain_runtime.asking import ARTIFACT
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.tracker import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A complete checkpoint: its folder, and what is sealed in it."""

    folder: Path
    manifest: Manifest


class Destination(Protocol):
    """One place. name: for people. asked: whether a run that could not bring them all here has failed."""

    @property
    def name(self) -> str:
        """How it is called."""

    @property
    def asked(self) -> bool:
        """Whether someone asked for it."""

    def holds(self, address: str) -> bool:
        """Whether the address of a published checkpoint lies here."""

    def put(self, sealed: Sealed, halted: Callable[[], bool]) -> tuple[str, bool]:
        """Bring it, whole: its address, and whether it is new there. Raises what `Courier` knows."""


class Folder:
    """A folder that each checkpoint is copied to. key: the run."""

    asked = True

    def __init__(self, to: Path, key: str) -> None:
        self.name = str(to)
        self._to = to
        self._key = key
        self._cleared = False

    def holds(self, address: str) -> bool:
        """Whether it lies in the folder."""
        return Path(address).parent == self._to

    def put(self, sealed: Sealed, halted: Callable[[], bool]) -> tuple[str, bool]:
        """Copy it."""
        if not self._cleared:
            mirror.clear(self._to, self._key)
            self._cleared = True
        new = mirror.put(sealed.folder, sealed.manifest, self._to, halted)
        return str(self._to / sealed.folder.name), new


class Artifacts:
    """The artifacts of the tracking run, which take the part that is the model."""

    name = "tracking"
    asked = False

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def holds(self, address: str) -> bool:
        """Whether it is an artifact."""
        return address.startswith("runs:/")

    def put(self, sealed: Sealed, halted: Callable[[], bool]) -> tuple[str, bool]:
        """Have the tracking process upload it."""
        asked = {
            "run_id": self._tracker.begin(halted),
            "folder": str(sealed.folder),
            "model": sealed.manifest.model,
            "digest": sealed.manifest.digest,
        }
        answer = self._tracker.ask(ARTIFACT, asked, halted)
        return str(answer["to"]), bool(answer["new"])
