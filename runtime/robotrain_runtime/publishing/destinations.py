"""Where checkpoints and results go: a folder, one that the platform keeps, an address that a half writes to, and the
tracking run's artifacts.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract.failure import CancelCheck, Cancelled
from robotrain_runtime.contract.target import ArtifactTarget, TargetWriter
from robotrain_runtime.publishing.sealing import ArtifactKind, SealedArtifact
from robotrain_runtime.tracking.tracker import ARTIFACT_REQUEST, RESULTS_REQUEST, Tracker

COPIED_KINDS: frozenset[ArtifactKind] = frozenset({"checkpoint", "results"})
"""What a place that files are copied to takes."""


class Destination(Protocol):
    """One place. name: for people. asked: whether a run that could not bring them all here has failed."""

    @property
    def name(self) -> str:
        """How it is called."""

    @property
    def is_required(self) -> bool:
        """Whether someone asked for it."""

    @property
    def accepted_kinds(self) -> frozenset[ArtifactKind]:
        """What is brought here."""

    def contains_address(self, address: str) -> bool:
        """Whether the address of a published checkpoint lies here."""

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Bring it, whole: its address, and whether it is new there. Raises what `Courier` knows."""

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove those of the run that are too many: the addresses they had. Raises what `Courier` knows."""

    def close(self) -> None:
        """Nothing more is brought."""


class FolderDestination:
    """A folder that checkpoints are copied to, and results under the name of the run. run: whose they are, and what an
    unfinished copy is called after.

    called: its address for people, where that is not its path.
    """

    is_required = True
    accepted_kinds = COPIED_KINDS

    def __init__(self, target: ArtifactTarget, run: str, called: str = "") -> None:
        self._to = Path(os.path.normpath(target.to))
        self._keep_last = target.keep_last
        self._run = run
        self._cleared = False
        self.name = called or str(self._to)

    def contains_address(self, address: str) -> bool:
        """Whether it lies in the folder."""
        return Path(address).parent == self._to or address.rpartition("/")[0] == self.name

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Copy it."""
        if not self._cleared:
            atomic_copy.remove_leftovers(self._to, self._run)
            self._cleared = True
        new = atomic_copy.copy_checkpoint(sealed.folder, sealed.manifest, self._to, is_cancelled)
        return f"{self.name}/{sealed.folder.name}", new

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """The oldest of the run go."""
        if self._keep_last is None:
            return ()
        return tuple(
            f"{self.name}/{folder.name}"
            for folder in atomic_copy.trim_checkpoints(self._to, self._run, self._keep_last)
        )

    def close(self) -> None:
        """Nothing is open."""


class PlatformFolderDestination(FolderDestination):
    """The folder that the platform keeps: the results lie directly in it."""

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Copy it."""
        if sealed.kind == "results":
            return self.name, atomic_copy.copy_sealed_into(sealed.folder, self._to, is_cancelled)
        return super().publish(sealed, is_cancelled)


class AddressDestination:
    """A place that a half writes to. open: makes the writer, when there is something to write; raises OSError."""

    is_required = True
    accepted_kinds = COPIED_KINDS

    def __init__(self, name: str, target: ArtifactTarget, run: str, open: Callable[[], TargetWriter]) -> None:
        self.name = name
        self._keep_last = target.keep_last
        self._run = run
        self._open = open
        self._writer: TargetWriter | None = None

    def contains_address(self, address: str) -> bool:
        """Whether it lies below the address."""
        return address.rpartition("/")[0] == self.name

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Have it written there."""
        try:
            new = self._get_writer().put(sealed.folder, sealed.manifest, is_cancelled)
        except (OSError, Cancelled):
            self.close()  # whatever hangs or broke: the next try begins with a new one
            raise
        return f"{self.name}/{sealed.folder.name}", new

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """The oldest of the run go."""
        if self._keep_last is None:
            return ()
        return tuple(
            f"{self.name}/{name}" for name in self._get_writer().trim(self._run, self._keep_last, is_cancelled)
        )

    def close(self) -> None:
        """End the writer."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _get_writer(self) -> TargetWriter:
        if self._writer is None:
            self._writer = self._open()
        return self._writer


class TrackingDestination:
    """The artifacts of the tracking run: the part of a checkpoint that is the model, the evaluated policy, results."""

    name = "tracking"
    is_required = False
    accepted_kinds: frozenset[ArtifactKind] = COPIED_KINDS | {"policy"}

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def contains_address(self, address: str) -> bool:
        """Whether it is an artifact."""
        return address.startswith("runs:/")

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Have the tracking process upload it."""
        of_results = sealed.kind == "results"
        asked = {
            "run_id": self._tracker.wait_for_run(is_cancelled),
            "folder": str(sealed.unsealed_folder),
            "model": sealed.manifest.model,
            "digest": sealed.manifest.digest,
            **({"files": list(sealed.manifest.files)} if of_results else {"what": sealed.kind}),
        }
        answer = self._tracker.send_request(RESULTS_REQUEST if of_results else ARTIFACT_REQUEST, asked, is_cancelled)
        return str(answer["to"]), bool(answer["new"])

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Tracking keeps them all."""
        return ()

    def close(self) -> None:
        """The tracking process lives on."""
