"""Destinations of a run's artifacts: a folder, the platform's folder, an address, the tracking run."""

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
"""The artifacts that a destination for files accepts."""


class Destination(Protocol):
    """A place that artifacts are published to."""

    @property
    def name(self) -> str:
        """The name for people."""

    @property
    def is_required(self) -> bool:
        """Whether the run fails if an artifact cannot be published here."""

    @property
    def accepted_kinds(self) -> frozenset[ArtifactKind]:
        """The artifacts that are published here."""

    def contains_address(self, address: str) -> bool:
        """Return whether the address of a published checkpoint is in this destination."""

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Publish an artifact; return its address and whether it is new there. Raise as `RetryQueue` expects."""

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove surplus checkpoints of the run; return their addresses. Raise as `RetryQueue` expects."""

    def close(self) -> None:
        """Release resources."""


class FolderDestination:
    """A folder that checkpoints are copied to, and results under the name of the run.

    `name` is its address for people, its path by default.
    """

    is_required = True
    accepted_kinds = COPIED_KINDS

    def __init__(self, target: ArtifactTarget, run: str, name: str = "") -> None:
        self._to = Path(os.path.normpath(target.to))
        self._keep_last = target.keep_last
        self._run = run
        self._cleared = False
        self.name = name or str(self._to)

    def contains_address(self, address: str) -> bool:
        """Return whether the address is in the folder."""
        return Path(address).parent == self._to or address.rpartition("/")[0] == self.name

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Copy an artifact."""
        if not self._cleared:
            atomic_copy.remove_leftovers(self._to, self._run)
            self._cleared = True
        new = atomic_copy.copy_checkpoint(sealed.folder, sealed.manifest, self._to, is_cancelled)
        return f"{self.name}/{sealed.folder.name}", new

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove the oldest checkpoints of the run."""
        if self._keep_last is None:
            return ()
        return tuple(
            f"{self.name}/{folder.name}"
            for folder in atomic_copy.trim_checkpoints(self._to, self._run, self._keep_last)
        )

    def close(self) -> None:
        """Do nothing: no resources are held."""


class PlatformFolderDestination(FolderDestination):
    """The folder that the platform keeps: results are copied directly into it."""

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Copy an artifact."""
        if sealed.kind == "results":
            return self.name, atomic_copy.copy_sealed_into(sealed.folder, self._to, is_cancelled)
        return super().publish(sealed, is_cancelled)


class AddressDestination:
    """An address that a container plugin writes to. `open` returns the writer when it is needed, or raises OSError."""

    is_required = True
    accepted_kinds = COPIED_KINDS

    def __init__(self, name: str, target: ArtifactTarget, run: str, open: Callable[[], TargetWriter]) -> None:
        self.name = name
        self._keep_last = target.keep_last
        self._run = run
        self._open = open
        self._writer: TargetWriter | None = None

    def contains_address(self, address: str) -> bool:
        """Return whether the address is below this one."""
        return address.rpartition("/")[0] == self.name

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Let the plugin write an artifact."""
        try:
            new = self._get_writer().write(sealed.folder, sealed.manifest, is_cancelled)
        except (OSError, Cancelled):
            self.close()  # the next try starts with a new writer
            raise
        return f"{self.name}/{sealed.folder.name}", new

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove the oldest checkpoints of the run."""
        if self._keep_last is None:
            return ()
        return tuple(
            f"{self.name}/{name}" for name in self._get_writer().trim(self._run, self._keep_last, is_cancelled)
        )

    def close(self) -> None:
        """Close the writer."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _get_writer(self) -> TargetWriter:
        if self._writer is None:
            self._writer = self._open()
        return self._writer


class TrackingDestination:
    """The artifacts of the tracking run: models of checkpoints, the evaluated policy, results."""

    name = "tracking"
    is_required = False
    accepted_kinds: frozenset[ArtifactKind] = COPIED_KINDS | {"policy"}

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def contains_address(self, address: str) -> bool:
        """Return whether the address is an artifact's."""
        return address.startswith("runs:/")

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> tuple[str, bool]:
        """Let the tracking process upload an artifact."""
        is_results = sealed.kind == "results"
        request = {
            "run_id": self._tracker.wait_for_run(is_cancelled),
            "folder": str(sealed.unsealed_folder),
            "model": sealed.manifest.model,
            "digest": sealed.manifest.digest,
            **({"files": list(sealed.manifest.files)} if is_results else {"what": sealed.kind}),
        }
        reply = self._tracker.send_request(RESULTS_REQUEST if is_results else ARTIFACT_REQUEST, request, is_cancelled)
        return str(reply["to"]), bool(reply["new"])

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove nothing: tracking keeps all checkpoints."""
        return ()

    def close(self) -> None:
        """Do nothing: the tracking process continues."""
