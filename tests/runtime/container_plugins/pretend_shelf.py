"""A kind of place with an address of its own, as a third party may write it: `shelf:FOLDER`, written by copying.

A look at one with a file `silent` takes a minute, and takes whatever ends it for a failure of the place.
"""

import sys
import time
from pathlib import Path

import pretend_work
from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract.checkpoint import CheckpointManifest, list_checkpoints, read_manifest
from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment
from robotrain_runtime.contract.failure import CancelCheck
from robotrain_runtime.contract.problem import make_data_problem
from robotrain_runtime.contract.target import CheckpointMark, TargetInspection

SOURCE = "pretend_source"
ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("carrying.txt"), python=pretend_work.VERSION, gib=0.01)


def normalize(address: str) -> str:
    return address.rstrip("/") if address.startswith("shelf:/") else ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    if place.python is None:
        return TargetInspection()
    folder = Path(normalize(address).removeprefix("shelf:"))
    if (folder / "silent").exists():
        say("looking")
        try:
            time.sleep(60)
        except Exception as error:
            return TargetInspection(warnings=(str(error),))
    wrong = () if folder.is_dir() else (make_data_problem("there is no such shelf", f"put {folder} up"),)
    checkpoints = {step: (at.name, made) for step, at in list_checkpoints(folder) if (made := read_manifest(at))}
    marks = {
        step: CheckpointMark(name=name, submission=made.submission, tracking=made.tracking)
        for step, (name, made) in checkpoints.items()
    }
    return TargetInspection(
        problems=wrong, runs={step: made.run for step, (_, made) in checkpoints.items()}, marks=marks
    )


def open(address: str, place: ContainerContext) -> "Shelf":
    assert place.python is not None
    assert place.python.exists()
    return Shelf(Path(normalize(address).removeprefix("shelf:")))


def say(text: str) -> None:
    """In one piece: the runtime's own lines come from another thread, and `print` writes the line's end by itself."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Shelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        say(f"opened {folder}")

    def write(self, folder: Path, manifest: CheckpointManifest, halted: CancelCheck) -> bool:
        return atomic_copy.copy_checkpoint(folder, manifest, self._folder, halted)

    def trim(self, run: str, keep: int, halted: CancelCheck) -> tuple[str, ...]:
        return tuple(path.name for path in atomic_copy.trim_checkpoints(self._folder, run, keep))

    def close(self) -> None:
        say("closed")
