"""A folder of blobs as a place to write to, in the container: a program in the data environment does the writing."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.assistant import Assistant
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.half import Place
from robotrain_runtime.target import Look, Mark

from robotrain_sources.blob_url import prefix
from robotrain_sources.data_environment import ENVIRONMENT
from robotrain_sources.fetching import program

__all__ = ["ENVIRONMENT", "SOURCE", "look", "normal", "open"]

SOURCE = "robotrain_sources.blob_url.container"
PUBLISH = "robotrain_sources.blob_url.publish"
PUT, TRIM, LOOK = "put", "trim", "look"


def normal(address: str) -> str:
    """The address of the folder; empty when it is none."""
    try:
        return str(prefix.parse(address))
    except prefix.BlobUrlError:
        return ""


def look(address: str, place: Place) -> Look:
    """Whether one may write, read and delete there, and what wrote the checkpoints that lie there."""
    if place.python is None:
        return Look()
    try:
        writer = Blobs(address, place)
    except OSError as error:
        return Look(wrong=(str(error),))
    try:
        found = writer.ask(LOOK, {}, lambda: False)
        return _seen(found["whole"])
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
        way = place.ways.get(prefix.BlobPrefix.kind, "")
        said = {"--credential": credential, "--way": way}
        options = [f"{option}={value}" for option, value in said.items() if value]
        command = [str(place.python), "-m", PUBLISH, normal(address), *options]
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


def _seen(whole: Mapping[str, Sequence[str]]) -> Look:
    """whole: run, submission and tracking run of each checkpoint, by its name."""
    marks = {
        int(name): Mark(name=name, submission=submission, tracking=tracking)
        for name, (_, submission, tracking) in whole.items()
        if submission
    }
    return Look(runs={int(name): run for name, (run, *_) in whole.items()}, marks=marks)
