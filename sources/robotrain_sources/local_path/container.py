"""A local folder in the container: it is used where it lies."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource

from robotrain_sources.local_path import folder_content


def preflight(source: JobSource, place: ContainerContext) -> Iterator[str]:
    """What is wrong with the folder, in one sentence, and what to type on a second line where that is known."""
    folder = Path(source.uri)
    if not folder.exists():
        yield f"The folder {folder} does not exist on this machine."
    elif not folder.is_dir():
        yield f"{folder} is not a folder: name the folder that the {_describe_role(source)} lies in."
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield f"The folder {folder} cannot be read by the user that runs the job."
    elif (part := folder_content.find_used_part(folder, source.role)) is None:
        yield folder_content.explain_no_policy(folder)
    elif source.pin:
        yield from _yield_problem(lambda: folder_content.check_pin_quickly(part, source.pin))


def mounted(source: JobSource, place: ContainerContext) -> Iterator[str]:
    """What is wrong with a copy that the platform brought: it is to be what was pinned where it was uploaded."""
    folder = Path(source.uri)
    if (part := folder_content.find_used_part(folder, source.role)) is None:
        yield folder_content.explain_no_policy(folder).partition("\n")[0]
    elif source.pin:
        yield from _yield_problem(
            lambda: _describe_upload_change(folder_content.describe_pin_difference(part, source.pin))
        )


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """The folder itself; of a policy the part that is the model. Raises OSError when it cannot be used."""
    for wrong in preflight(source, place):
        raise OSError(wrong.rstrip(".").replace(".\n", ": use "))
    part = folder_content.find_used_part(Path(source.uri), source.role) or Path(source.uri)
    if wrong := folder_content.find_corruption(part, source.role):
        raise OSError(wrong)
    return part


def _describe_upload_change(difference: str) -> str:
    return f"What was uploaded is not what was pinned: {difference}." if difference else ""


def _yield_problem(check: Callable[[], str]) -> Iterator[str]:
    """What is asked, when it is anything; what cannot be read is told by its name."""
    try:
        if wrong := check():
            yield wrong
    except OSError as error:
        yield f"{error.filename} cannot be read: {error.strerror}."


def _describe_role(source: JobSource) -> str:
    return "policy" if source.role in folder_content.POLICY_ROLES else source.role
