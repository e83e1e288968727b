"""Folders of other machines as scp writes them: `HOST:/PATH`."""

import posixpath
import re
from dataclasses import dataclass
from typing import ClassVar

from robotrain.model.source import REMOTE_KIND, SourceError

FORM = "HOST:/PATH"

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_SCHEMES = "https?|s3|gs|ssh|file|models|runs|mlflow-artifacts|azureml|hf"
"""What stands before `:/` in addresses of other kinds; a host of such a name has `USER@` before it."""
_ADDRESS = rf"(?!(?i:{_SCHEMES}):)(?P<host>(?:[A-Za-z0-9_][\w.+-]*@)?[A-Za-z0-9][\w.-]*):(?P<path>[/~].*)"


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of a host; `~` is the user's home folder there."""

    kind: ClassVar[str] = REMOTE_KIND

    host: str
    """As ssh takes it."""
    path: str

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"


def is_remote(path_text: str) -> bool:
    """Return whether a text is a path of another machine."""
    match = re.match(_ADDRESS, path_text.strip(), re.ASCII)
    return match is not None and not match["path"].startswith("//")


def parse_remote_folder(folder_text: str) -> RemoteFolder:
    """Return the folder that a text names. Raise SourceError."""
    match = re.fullmatch(_ADDRESS, folder_text, re.ASCII | re.DOTALL)
    if re.search(_CONTROL, folder_text):
        raise SourceError("A path contains no control characters, and is valid Unicode.")
    if match is None or match["path"].startswith("//"):
        raise SourceError(f"A folder of another machine is {FORM}; the path begins with `/` or `~/`.")
    if re.match("~[^/]", match["path"]):
        raise SourceError("Only your own home folder has a short name there: `~/`.")
    return RemoteFolder(match["host"], posixpath.normpath(match["path"]))


def is_same_host(host: str, login: str) -> bool:
    """Return whether two addresses mean the same machine and user; one of them may name no user."""
    user, _, name = host.rpartition("@")
    login_user, _, login_name = login.rpartition("@")
    return name == login_name and (user == login_user or not user or not login_user)
