"""A local folder in the container: it is used where it lies."""

import os
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.document import Source


def preflight(source: Source) -> Iterable[str]:
    """What is wrong with the folder, in one sentence."""
    folder = Path(source.uri)
    if not folder.exists():
        yield f"The folder {folder} does not exist on this machine."
    elif not folder.is_dir():
        yield f"{folder} is not a folder: name the folder that the dataset lies in."
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield f"The folder {folder} cannot be read by the user that runs the job."


def fetch(source: Source, cache: Path) -> Path:
    """The folder itself. Raises OSError when it cannot be used."""
    for wrong in preflight(source):
        raise OSError(wrong)
    return Path(source.uri)
