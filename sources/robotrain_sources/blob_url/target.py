"""The container plugin that publishes to a blob folder."""

from collections.abc import Callable
from pathlib import Path

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.contract.target import CheckpointMark, TargetInspection
from robotrain_runtime.data_environment import ENVIRONMENT

from robotrain_sources.blob_url import reference
from robotrain_sources.blob_url.publish import BlobPublisher
from robotrain_sources.fetching.quiet import call_cancellable

__all__ = ["ENVIRONMENT", "SOURCE", "inspect", "normalize", "open"]

SOURCE = "robotrain_sources.blob_url.fetch"


def normalize(address: str) -> str:
    """Return the normal form of the address; empty if it is not a blob URL."""
    try:
        return str(reference.parse_blob_url(address))
    except SourceError:
        return ""


def inspect(address: str, context: ContainerContext) -> TargetInspection:
    """Check that blobs can be written, read and deleted; return the runs of the checkpoints there."""
    if context.python is None:
        return TargetInspection()
    try:
        authors = BlobTargetWriter(address, context).publisher.check_access()
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    marks = {
        int(name): CheckpointMark(name=name, submission=author.submission, tracking=author.tracking)
        for name, author in authors.items()
        if author.submission
    }
    return TargetInspection(runs={int(name): author.run for name, author in authors.items()}, marks=marks)


def open(address: str, context: ContainerContext) -> "BlobTargetWriter":
    """Return a writer."""
    return BlobTargetWriter(address, context)


class BlobTargetWriter:
    """Publishes to one blob folder."""

    def __init__(self, address: str, context: ContainerContext) -> None:
        kind = reference.BlobPrefix.kind
        credential = context.credentials.get(kind, "")
        remedy = context.credential_hints.get(kind, "")
        self.publisher = BlobPublisher(reference.parse_blob_url(address), credential, remedy)

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Upload a checkpoint, its manifest last."""
        return call_cancellable(lambda: self.publisher.upload_checkpoint(folder, manifest.digest), halted)

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest checkpoints of the run, the manifest of each first."""
        return tuple(call_cancellable(lambda: self.publisher.delete_oldest(run, keep), halted))

    def close(self) -> None:
        """Do nothing: no connection stays open."""
