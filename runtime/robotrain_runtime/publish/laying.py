"""Files laid among others into a folder that was there before: each is whole, and the seal comes last."""

import os
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import MANIFEST
from robotrain_runtime.courier import Never
from robotrain_runtime.publish import mirror
from robotrain_runtime.target import Halt


def sealed(folder: Path, to: Path, halted: Halt) -> bool:
    """Lay what is sealed in `folder` directly into `to`; False when it lies there already. What an earlier try of the
    same run laid there, and is no part of it any more, goes.

    Raises OSError, Halted; Never when another run's lies there.
    """
    made, there = checkpoint.read(folder), checkpoint.read(to)
    if made is None:
        raise Never(f"{folder} was never completed")
    if there and there.run != made.run:
        raise Never(f"{to} holds what the run {there.run} left")
    if there and there.digest == made.digest and not checkpoint.wrong_with(to):
        return False
    to.mkdir(exist_ok=True)
    (to / MANIFEST).unlink(missing_ok=True)  # without it nobody takes half of it for all
    for path in (there.files.keys() - made.files.keys()) if there else ():
        (to / path).unlink(missing_ok=True)
    files({path: folder / path for path in (*made.files, MANIFEST)}, to, halted)
    if why := checkpoint.wrong_with(to):
        (to / MANIFEST).unlink(missing_ok=True)
        raise OSError(f"the copy differs: {why}")
    return True


def files(found: Mapping[str, Path], to: Path, halted: Halt) -> None:
    """Copy each file to its path below `to`, in their order; one of that name gives way. Raises OSError, Halted."""
    for path, source in found.items():
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        try:
            mirror.copy(source, scratch, halted)
            _rename(scratch, target, source, halted)
        finally:
            scratch.unlink(missing_ok=True)


def _rename(scratch: Path, target: Path, source: Path, halted: Halt) -> None:
    try:
        os.replace(scratch, target)
    except OSError as error:
        if error.errno not in mirror.NO_RENAMING:
            raise
        mirror.copy(source, target, halted)
