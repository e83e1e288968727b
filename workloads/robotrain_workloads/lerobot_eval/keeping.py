"""Folders that are complete whenever they are there under their name: of results, and of the policy that was evaluated.

An attempt that was cut short leaves only what is hidden; the next one starts anew.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robotrain_runtime.checkpoint import MANIFEST

from robotrain_workloads.lerobot_eval.loaded import Loaded

LEFT_OUT = ("training_state", MANIFEST)


@contextmanager
def growing(folder: Path) -> Iterator[Path]:
    """A new folder to fill, beside `folder`; it takes its place when the block ends well, and is gone when it fails."""
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        _replace(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def policy(loaded: Loaded, folder: Path, *, linked: bool = False) -> None:
    """The policy's files; those of one made here are saved. linked: they may be links, where the disk has those: what
    somebody writes into a file would change the links of it too.
    """
    with growing(folder) as beside:
        if loaded.folder is None:
            for part in (loaded.policy, loaded.before, loaded.behind):
                part.save_pretrained(beside)
            return
        for path in files(loaded.folder):
            _add(path, beside / path.relative_to(loaded.folder), linked)


def files(folder: Path) -> Iterator[Path]:
    """Those of a policy: no state of its training, and nothing that is hidden."""
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def _replace(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _add(path: Path, to: Path, linked: bool) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        with suppress(OSError):  # another disk, or one without such links
            os.link(path.resolve(), to)
            return
    shutil.copyfile(path, to)
