"""The container plugin that publishes to a blob folder, through a program in the data environment."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.contract.target import CheckpointMark, TargetInspection
from robotrain_runtime.data_environment import ENVIRONMENT
from robotrain_runtime.process.helper_process import HelperProcess

from robotrain_sources.blob_url import reference
from robotrain_sources.fetching import program

__all__ = ["ENVIRONMENT", "SOURCE", "inspect", "normalize", "open"]

SOURCE = "robotrain_sources.blob_url.fetch"
PUBLISH_MODULE = "robotrain_sources.blob_url.publish"
PUT, TRIM, LOOK = "put", "trim", "look"


def normalize(address: str) -> str:
    """Return the normal form of the address; empty if it is not a blob URL."""
    try:
        return str(reference.parse_blob_url(address))
    except SourceError:
        return ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    """Check that blobs can be written, read and deleted; return the runs of the checkpoints there."""
    if place.python is None:
        return TargetInspection()
    try:
        with contextlib.closing(BlobTargetWriter(address, place)) as writer:
            authors = writer.request_action(LOOK, {}, lambda: False)["whole"]
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    marks = {
        int(name): CheckpointMark(name=name, submission=submission, tracking=tracking)
        for name, (_, submission, tracking) in authors.items()
        if submission
    }
    return TargetInspection(runs={int(name): run for name, (run, *_) in authors.items()}, marks=marks)


def open(address: str, place: ContainerContext) -> "BlobTargetWriter":
    """Start a writer. Raise OSError if its program cannot be started."""
    return BlobTargetWriter(address, place)


class BlobTargetWriter:
    """Publishes to one blob folder through one program."""

    def __init__(self, address: str, place: ContainerContext) -> None:
        if place.python is None:
            raise OSError(f"there is no environment to run {PUBLISH_MODULE} in")
        values = {
            "--credential": place.credentials.get(reference.BlobPrefix.kind, ""),
            "--way": place.credential_hints.get(reference.BlobPrefix.kind, ""),
        }
        options = [f"{option}={value}" for option, value in values.items() if value]
        command = [str(place.python), "-m", PUBLISH_MODULE, normalize(address), *options]
        self._process = HelperProcess(command, program.make_process_env(), place.log_line)

    def request_action(self, action: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Send a request to the program. Raise what HelperProcess raises."""
        return self._process.send_request(action, body, halted)

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Upload a checkpoint, its manifest last."""
        return bool(self.request_action(PUT, {"folder": str(folder), "digest": manifest.digest}, halted)["new"])

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest checkpoints of the run, the manifest of each first."""
        return tuple(self.request_action(TRIM, {"run": run, "keep": keep}, halted)["removed"])

    def close(self) -> None:
        """Stop the program."""
        self._process.close()
