"""A run's own copy of the user's folder of code: what is changed after the submission does not count."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_runtime.contract.files import make_atomically

CODE_FOLDER = "code"
"""In the run folder."""


def list_code_folders(sources: Iterable[JobSource]) -> list[JobSource]:
    """Return the folders of code on this machine that a run has a copy of."""
    return [source for source in sources if (source.role, source.kind) == ("code", "local_path")]


def make_code_mounts(sources: Iterable[JobSource], folder: str) -> tuple[Mount, ...]:
    """Return where a run finds its copies, for `Placement.mounts`. `folder`: that of the copy."""
    return tuple(
        Mount(role=source.role, uri=source.uri, folder=folder, origin=f"the run's copy of {source.uri}")
        for source in list_code_folders(sources)
    )


def copy_code(sources: Iterable[JobSource], folder: Path) -> None:
    """Copy the folders of code, as they were pinned, to a run folder, unless they are there. Raise OSError."""
    from robotrain.store import code_folder

    copy = folder / CODE_FOLDER
    for source in list_code_folders(sources):
        if not copy.exists():
            staged = code_folder.stage_folder(Path(source.uri), source.pin)
            with make_atomically(copy) as part:
                shutil.copytree(staged, part)
