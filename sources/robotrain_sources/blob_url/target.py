"""A folder of blobs as a place to write to, in the container: a program in the data environment does the writing."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.target import CheckpointMark, TargetInspection
from robotrain_runtime.process.helper_process import HelperProcess

from robotrain_sources.blob_url import reference
from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import program

__all__ = ["ENVIRONMENT", "SOURCE", "look", "normal", "open"]

SOURCE = "robotrain_sources.blob_url.container"
PUBLISH_MODULE = "robotrain_sources.blob_url.publish"
PUT, TRIM, LOOK = "put", "trim", "look"


def normal(address: str) -> str:
    """The address of the folder; empty when it is none."""
    try:
        return str(reference.parse_blob_url(address))
    except reference.BlobUrlError:
        return ""


def look(address: str, place: ContainerContext) -> TargetInspection:
    """Whether one may write, read and delete there, and what wrote the checkpoints that lie there."""
    if place.python is None:
        return TargetInspection()
    try:
        writer = BlobTargetWriter(address, place)
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    try:
        found = writer.request_action(LOOK, {}, lambda: False)
        return _make_look(found["whole"])
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    finally:
        writer.close()


def open(address: str, place: ContainerContext) -> "BlobTargetWriter":
    """What writes there. Raises OSError when it cannot be started."""
    return BlobTargetWriter(address, place)


class BlobTargetWriter:
    """One folder of blobs, written to by one program."""

    def __init__(self, address: str, place: ContainerContext) -> None:
        if place.python is None:
            raise OSError(f"there is no environment to run {PUBLISH_MODULE} in")
        credential = place.credentials.get(reference.BlobPrefix.kind, "")
        way = place.credential_hints.get(reference.BlobPrefix.kind, "")
        said = {"--credential": credential, "--way": way}
        options = [f"{option}={value}" for option, value in said.items() if value]
        command = [str(place.python), "-m", PUBLISH_MODULE, normal(address), *options]
        self._assistant = HelperProcess(command, program.make_process_env(), place.log_line)

    def request_action(self, action: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Have the program do something. Raises what `Courier` knows."""
        return self._assistant.send_request(action, body, halted)

    def put(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Upload a checkpoint, its manifest last."""
        return bool(self.request_action(PUT, {"folder": str(folder), "digest": manifest.digest}, halted)["new"])

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest of the run, each one's manifest first."""
        return tuple(self.request_action(TRIM, {"run": run, "keep": keep}, halted)["removed"])

    def close(self) -> None:
        """End the program."""
        self._assistant.close()


def _make_look(authors: Mapping[str, Sequence[str]]) -> TargetInspection:
    """whole: run, submission and tracking run of each checkpoint, by its name."""
    marks = {
        int(name): CheckpointMark(name=name, submission=submission, tracking=tracking)
        for name, (_, submission, tracking) in authors.items()
        if submission
    }
    return TargetInspection(runs={int(name): run for name, (run, *_) in authors.items()}, marks=marks)
