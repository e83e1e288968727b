"""A kind of place with an address of its own, as a third party may write it: `shelf:FOLDER`, written by copying."""

from pathlib import Path

import pretend_work
from robotrain_runtime.checkpoint import Manifest, read, steps
from robotrain_runtime.half import Environment, Place
from robotrain_runtime.publish import mirror
from robotrain_runtime.target import Halt, Look

ENVIRONMENT = Environment(lock=Path(__file__).with_name("carrying.txt"), python=pretend_work.VERSION, gib=0.01)


def normal(address: str) -> str:
    return address.rstrip("/") if address.startswith("shelf:/") else ""


def look(address: str, place: Place) -> Look:
    if place.python is None:
        return Look()
    folder = Path(normal(address).removeprefix("shelf:"))
    wrong = () if folder.is_dir() else (f"there is no such shelf\nput {folder} up",)
    return Look(wrong=wrong, runs={step: made.run for step, at in steps(folder) if (made := read(at))})


def open(address: str, place: Place) -> "Shelf":
    assert place.python is not None
    assert place.python.exists()
    return Shelf(Path(normal(address).removeprefix("shelf:")))


class Shelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        print(f"opened {folder}", flush=True)

    def put(self, folder: Path, manifest: Manifest, halted: Halt) -> bool:
        return mirror.put(folder, manifest, self._folder, halted)

    def trim(self, run: str, keep: int, halted: Halt) -> tuple[str, ...]:
        return tuple(path.name for path in mirror.trim(self._folder, run, keep))

    def close(self) -> None:
        print("closed", flush=True)
