"""Copies a shelf, whole or not at all. A file `cut` beside the shelf breaks the copy off in the middle."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.plugin import ContainerContext, JobSource


def preflight(source: JobSource, place: ContainerContext) -> Iterator[str]:
    folder = Path(source.uri.removeprefix("shelf://"))
    if not folder.is_dir():
        yield f"There is no shelf {folder} on this machine."
    elif source.pin and source.pin != _digest(folder):
        yield f"The shelf {folder} holds something else than what was pinned."


def fetch(source: JobSource, place: ContainerContext) -> Path:
    folder = Path(source.uri.removeprefix("shelf://"))
    place.cache.mkdir(exist_ok=True)
    half, whole = place.cache / "half", place.cache / "whole"
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(whole, ignore_errors=True)
    half.mkdir()
    copy(folder, half)
    return half.rename(whole)


def copy(folder: Path, to: Path) -> None:
    for path in sorted(folder.iterdir()):
        shutil.copyfile(path, to / path.name)
        if folder.with_name("cut").exists():
            raise OSError(f"The way to {folder} broke off.")


def _digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()
