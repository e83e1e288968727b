"""A kind of place that does not fail a run: `optional:FOLDER`, which takes nothing while there is `FOLDER/closed`.

`FOLDER/refuses` is what a look there says, `FOLDER/owner` the run that it belongs to. Addresses end in `#NAME`.
"""

from pathlib import Path

import pretend_shelf
from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import CancelCheck
from robotrain_runtime.contract.target import CheckpointOwner, TargetInspection

ENVIRONMENT = pretend_shelf.ENVIRONMENT
IS_REQUIRED = False


def normalize(address: str) -> str:
    return address.rstrip("/") if address.startswith("optional:/") else ""


def locate(address: str, name: str) -> str:
    return f"{address}#{name}"


def get_name(address: str, located: str) -> str:
    return located.removeprefix(f"{address}#") if located.startswith(f"{address}#") else ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    folder = Path(normalize(address).removeprefix("optional:"))
    refused, owner = folder / "refuses", folder / "owner"
    return TargetInspection(
        problems=(refused.read_text(),) if refused.exists() else (),
        warnings=("it does not answer",) if (folder / "closed").exists() else (),
        owner=CheckpointOwner(run=owner.read_text()) if owner.exists() else None,
    )


def open(address: str, place: ContainerContext) -> "Box":
    return Box(Path(normalize(address).removeprefix("optional:")), place)


class Box:
    def __init__(self, folder: Path, place: ContainerContext) -> None:
        self._folder, self._place = folder, place

    def write(self, folder: Path, manifest: CheckpointManifest, halted: CancelCheck) -> bool:
        if (self._folder / "closed").exists():
            raise OSError("it does not answer")
        description = self._place.describe_checkpoint(manifest.step)
        if description:
            (self._folder / f"{folder.name}.txt").write_text(f"{description.title}\n{description.sections}")
        return atomic_copy.copy_checkpoint(folder, manifest, self._folder, halted)

    def trim(self, run: str, keep: int, halted: CancelCheck) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass
