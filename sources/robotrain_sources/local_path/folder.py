"""A folder of the machine that runs the job: the typed source and its rules."""

import os.path
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

FORM = "FOLDER"

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_URL = r"(?i)azureml:|file:|[a-z][a-z0-9+.-]+:[/\\]|(?://)?[^/?#\s]+\.(?:blob|dfs|file)\.core\."
_FILE_URL = r"(?i)file:(?://(?:localhost)?)?(/[^/?#%][^?#%]*)"


@dataclass(frozen=True, slots=True)
class Folder:
    """An absolute path in its one normal form; whether anything lies there is not asked here."""

    kind: ClassVar[str] = "local_path"

    path: str

    def __str__(self) -> str:
        return self.path


class FolderError(ValueError):
    """Why a text names no folder, and what to type instead where that is known."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.instead = instead


def parse(text: str, base: Path) -> Folder:
    """The folder that `text` names, a relative one below `base`. Raises FolderError."""
    if not text.strip():
        raise FolderError("The path is empty.")
    if re.search(_CONTROL, text):
        raise FolderError("A path holds no control characters, and is valid Unicode.")
    if re.match(_URL, text.lstrip()):
        _refuse_url(text.strip())
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise FolderError("There is no such user on this machine; a folder whose name begins with `~` follows `./`.")
    path = os.path.normpath(os.path.join(os.path.abspath(base), expanded))
    return Folder("/" + path.lstrip("/") if path.startswith("//") else path)


def _refuse_url(text: str) -> NoReturn:
    if local := re.fullmatch(_FILE_URL, text):
        raise FolderError("Type the path alone, without `file:`.", os.path.normpath(local[1]))
    raise FolderError("An address is no folder of this machine.")
