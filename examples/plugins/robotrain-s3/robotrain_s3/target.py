"""A folder in S3 as a place to write to, in the container: a program in the environment does the writing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.plugin import (
    CheckpointManifest,
    CheckpointMark,
    ContainerContext,
    HelperProcess,
    TargetInspection,
)

from robotrain_s3 import surroundings
from robotrain_s3.address import AddressError, parse
from robotrain_s3.container import ENVIRONMENT

__all__ = ["ENVIRONMENT", "SOURCE", "inspect", "normalize", "open"]

SOURCE = "robotrain_s3.container"
PROGRAM = "robotrain_s3.publish"
LOOK, PUT, TRIM = "look", "put", "trim"


def normalize(address: str) -> str:
    """The address of the folder; empty when it is none."""
    try:
        return str(parse(address))
    except AddressError:
        return ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    """Whether one may write, read and delete there, and what wrote the checkpoints that lie there."""
    if place.python is None:
        return TargetInspection()
    try:
        writer = Folder(address, place)
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    try:
        return _seen(writer.ask(LOOK, {}, lambda: False)["whole"])
    except OSError as error:
        return TargetInspection(problems=(str(error),))
    finally:
        writer.close()


def open(address: str, place: ContainerContext) -> "Folder":
    """What writes there. Raises OSError when it cannot be started."""
    return Folder(address, place)


class Folder:
    """One folder in S3, written to by one program."""

    def __init__(self, address: str, place: ContainerContext) -> None:
        if place.python is None:
            raise OSError("there is no environment to write to S3 in")
        command = [str(place.python), "-m", PROGRAM, normalize(address)]
        self._assistant = HelperProcess(command, surroundings.of(place), place.log_line)

    def ask(self, what: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Have the program do something."""
        return self._assistant.send_request(what, body, halted)

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Upload what is sealed in a folder, its manifest last."""
        return bool(self.ask(PUT, {"folder": str(folder), "digest": manifest.digest}, halted)["new"])

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest of the run, each one's manifest first."""
        return tuple(self.ask(TRIM, {"run": run, "keep": keep}, halted)["removed"])

    def close(self) -> None:
        """End the program."""
        self._assistant.close()


def _seen(whole: Mapping[str, Mapping[str, str]]) -> TargetInspection:
    """whole: what wrote each checkpoint, by its name."""
    marks = {
        int(name): CheckpointMark(name=name, submission=by["submission"], tracking=by["tracking"])
        for name, by in whole.items()
        if by["submission"]
    }
    return TargetInspection(runs={int(name): by["run"] for name, by in whole.items()}, marks=marks)
