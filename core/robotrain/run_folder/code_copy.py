"""A run's own copy of the user's folder of code: what is changed after the submission does not count."""

from collections.abc import Iterable

from robotrain_runtime.contract.document import JobSource, Mount

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
