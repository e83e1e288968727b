"""A folder of blobs as a place to write to, in the container: a program in the data environment does the writing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.assistant import Assistant
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.half import Place
from robotrain_runtime.target import Look

from robotrain_sources.blob_url import prefix
from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import program

__all__ = ["ENVIRONMENT", "look", "normal", "open"]

PUBLISH = "robotrain_sources.blob_url.publish"
PUT, TRIM, LOOK = "put", "trim", "look"


def normal(address: str) -> str:
    """The address of the folder; empty when it is none."""
    try:
        return str(prefix.parse(address))
    except prefix.BlobUrlError:
        return ""


def look(address: str, place: Place) -> Look:
    """Whether one may write, read and delete there, and the runs of the checkpoints that lie there."""
    if place.python is None:
        return Look()
    try:
        writer = Blobs(address, place)
    except OSError as error:
        return Look(wrong=(str(error),))
    try:
        found = writer.ask(LOOK, {}, lambda: False)
        return Look(runs={int(step): str(run) for step, run in found["runs"].items()})
    except OSError as error:
        return Look(wrong=(str(error),))
    finally:
        writer.close()


def open(address: str, place: Place) -> "Blobs":
    """What writes there. Raises OSError when it cannot be started."""
    return Blobs(address, place)


class Blobs:
    """One folder of blobs, written to by one program."""

    def __init__(self, address: str, place: Place) -> None:
        if place.python is None:
            raise OSError(f"there is no environment to run {PUBLISH} in")
        credential = place.credentials.get(prefix.BlobPrefix.kind, "")
        command = [
            str(place.python),
            "-m",
            PUBLISH,
            normal(address),
            *(("--credential", credential) * bool(credential)),
        ]
        self._assistant = Assistant(command, program.surroundings(), place.say)

    def ask(self, what: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Have the program do something. Raises what `Courier` knows."""
        return self._assistant.ask(what, body, halted)

    def put(self, folder: Path, manifest: Manifest, halted: Callable[[], bool]) -> bool:
        """Upload a checkpoint, its manifest last."""
        return bool(self.ask(PUT, {"folder": str(folder), "digest": manifest.digest}, halted)["new"])

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest of the run, each one's manifest first."""
        return tuple(self.ask(TRIM, {"run": run, "keep": keep}, halted)["removed"])

    def close(self) -> None:
        """End the program."""
        self._assistant.close()
