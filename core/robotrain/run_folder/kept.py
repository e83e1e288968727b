"""The checkpoints a run has, where it put them: its outputs, and what survives it when it is cut off."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime import checkpoint

from robotrain.run_folder import told

SEALED = f"*/*/*/{checkpoint.MANIFEST}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete checkpoint. model: the part of it that is the model. digest: empty when it was never sealed."""

    step: int
    folder: Path
    model: str
    digest: str


def checkpoints(folder: Path) -> list[Kept]:
    """Those the run of `folder` told of or sealed, and that are still there; oldest first."""
    said = {Path(event.path): event for event in told.checkpoints(folder)}
    sealed = (manifest.parents[1] for manifest in folder.glob(SEALED))  # one may be sealed and not told of
    found = []
    for parent in dict.fromkeys([*(path.parent for path in said), *sealed]):
        for step, path in checkpoint.steps(parent):
            manifest = checkpoint.read(path)
            if manifest and (manifest.run == folder.name or path in said):
                found.append(Kept(step, path, manifest.model, manifest.digest))
            elif path in said:
                found.append(Kept(step, path, said[path].model, ""))
    return sorted(found, key=lambda kept: kept.step)


def survivors(folder: Path) -> Iterator[str]:
    """What to go on from, a sentence each without its full stop: the last that is sealed, and one told of after it."""
    kept = checkpoints(folder)
    if sealed := [each for each in kept if each.digest]:
        yield f"Its last sealed checkpoint, of step {sealed[-1].step}, is at {sealed[-1].folder}"
    if kept and kept[-1:] != sealed[-1:]:
        yield f"Its last checkpoint, of step {kept[-1].step}, is at {kept[-1].folder}; it was not sealed, so look at it"
