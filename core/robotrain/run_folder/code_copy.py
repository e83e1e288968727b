"""A run's own copy of the user's folder of code: what is changed after the submission does not count."""

import shutil
from collections.abc import Callable, Iterable
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


StageCode = Callable[[Path, str], Path]
"""Return a copy of a folder of code as it was pinned."""


def copy_code(source: JobSource, folder: Path, stage: StageCode | None = None) -> None:
    """Copy the files of a folder of code, as they were pinned, to `folder`, unless they are there. Raise OSError.

    :param stage: instead of `store.code_folder.stage_folder`, for a folder of another machine.
    """
    if folder.exists():
        return
    from robotrain.store import code_folder

    staged = (stage or code_folder.stage_folder)(Path(source.uri), source.pin)
    with make_atomically(folder) as copy:
        shutil.copytree(staged, copy)
