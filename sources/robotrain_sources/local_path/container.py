"""The container plugin of local folders: they are used in place."""

import os
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import Problem, ProblemError, make_data_problem

from robotrain_sources.local_path import folder_content

CODE_ROLE = "code"
"""Its pin is of the files that are sent: in place, the folder has others beside them."""


def preflight(source: JobSource, context: ContainerContext) -> Iterator[Problem | str]:
    """Yield what is wrong with the folder."""
    folder = Path(source.uri)
    if not folder.exists():
        yield f"The folder {folder} does not exist on this machine."
    elif not (folder.is_dir() or folder_content.is_used_file(folder, source.role)):
        noun = "policy" if source.role in folder_content.POLICY_ROLES else source.role
        yield f"{folder} is not a folder: use the folder of the {noun}."
    elif not os.access(folder, os.R_OK | (os.X_OK if folder.is_dir() else 0)):
        yield f"The {'folder' if folder.is_dir() else 'file'} {folder} cannot be read by the user that runs the job."
    elif not folder_content.has_used_part(folder, source.role, context.takes_any_policy):
        yield folder_content.explain_no_policy(folder)
    elif source.pin and source.role != CODE_ROLE:
        part = folder_content.find_used_part(folder, source.role)
        yield from _check_pin(part, source.pin, f"{part} changed since it was pinned.")


def mounted(source: JobSource, context: ContainerContext) -> Iterator[str]:
    """Yield what is wrong with an uploaded copy that the platform mounted: it must be what was pinned."""
    folder = Path(source.uri)
    part = folder_content.find_used_part(folder, source.role)
    if not folder_content.has_used_part(folder, source.role, context.takes_any_policy):
        yield folder_content.explain_no_policy(folder).title
    elif source.pin:
        yield from _check_pin(part, source.pin, "The uploaded copy is not what was pinned.")


def fetch(source: JobSource, context: ContainerContext) -> Path:
    """Return the folder itself; of a policy the folder of the model. Raise OSError if it cannot be used."""
    for problem in preflight(source, context):
        raise ProblemError(make_data_problem(problem))
    part = folder_content.find_used_part(Path(source.uri), source.role)
    if problem := folder_content.find_corruption(part, source.role):
        raise OSError(problem)
    return part


def _check_pin(part: Path, pin: str, sentence: str) -> Iterator[str]:
    try:
        if folder_content.is_changed(part, pin):
            yield sentence
    except OSError as error:
        yield f"{error.filename} cannot be read: {error.strerror}."
