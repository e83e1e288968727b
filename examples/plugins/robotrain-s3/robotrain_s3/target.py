"""A folder in S3 as a publish target, in the container: a program in the environment writes there."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from robotrain_runtime.plugin import (
    CheckpointManifest,
    CheckpointMark,
    ContainerContext,
    HelperProcess,
    TargetInspection,
)

from robotrain_s3.address import AddressError, parse
from robotrain_s3.container import ENVIRONMENT
from robotrain_s3.process_env import make_process_env

__all__ = ["ENVIRONMENT", "SOURCE", "inspect", "normalize", "open"]

SOURCE = "robotrain_s3.container"
PROGRAM = "robotrain_s3.publish_program"
INSPECT, PUT, TRIM = "inspect", "put", "trim"


def normalize(address: str) -> str:
    """Return the address in its normal form; empty if it is not an address in S3."""
    try:
        return str(parse(address))
    except AddressError:
        return ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    """Return whether one may write, read and delete there, and what wrote the checkpoints there."""
    if place.python is None:
        return TargetInspection()
    try:
        with closing(S3Writer(address, place)) as writer:
            return _read_inspection(writer.ask(INSPECT, {}, lambda: False)["checkpoints"])
    except OSError as error:
        return TargetInspection(problems=(str(error),))


def open(address: str, place: ContainerContext) -> "S3Writer":
    """Return a writer to the address. Raise OSError if it cannot be started."""
    return S3Writer(address, place)


class S3Writer:
    """A writer to one folder in S3: a helper process."""

    def __init__(self, address: str, place: ContainerContext) -> None:
        if place.python is None:
            raise OSError("there is no Python environment to write to S3 with")
        command = [str(place.python), "-m", PROGRAM, normalize(address)]
        self._process = HelperProcess(command, make_process_env(place), place.log_line)

    def ask(self, what: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Send a request to the program, and return its answer."""
        return self._process.send_request(what, body, halted)

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Upload a sealed folder, its manifest last; return whether it is new."""
        return bool(self.ask(PUT, {"folder": str(folder), "digest": manifest.digest}, halted)["new"])

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete all but the last `keep` checkpoints of the run, each manifest first; return their names."""
        return tuple(self.ask(TRIM, {"run": run, "keep": keep}, halted)["removed"])

    def close(self) -> None:
        """End the program."""
        self._process.close()


def _read_inspection(checkpoints: Mapping[str, Mapping[str, str]]) -> TargetInspection:
    """Return the inspection, from what wrote each checkpoint, by its name."""
    marks = {
        int(name): CheckpointMark(name=name, submission=by["submission"], tracking=by["tracking"])
        for name, by in checkpoints.items()
        if by["submission"]
    }
    return TargetInspection(runs={int(name): by["run"] for name, by in checkpoints.items()}, marks=marks)
