"""A file at a web address: the typed reference and its parser. Standard library only: container plugins import it."""

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

from robotrain_runtime.contract.failure import SourceError

FORM = "https://HOST/PATH/FILE"

_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_PART = r"(?!(?:\.|%2[Ee]){1,2}(?:/|$))(?:[A-Za-z0-9._~!$&()*+,;=:@-]|%(?!2[Ff])[0-9A-Fa-f]{2})+"
_ADDRESS = rf"((?ia:https?))://((?ia:{_HOST}))((?:/{_PART})+)"


@dataclass(frozen=True)
class HttpsFile:
    """One file. `str()` is its address."""

    kind: ClassVar[str] = "https_file"

    scheme: str
    host: str
    """With its port, if it has one."""
    path: str

    @property
    def folder_url(self) -> str:
        """The address without the name of the file."""
        return f"{self.scheme}://{self.host}{self.path.rpartition('/')[0]}"

    @property
    def name(self) -> str:
        """The name of the file."""
        return unquote(self.path.rpartition("/")[2])

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"


def parse_https_file(text: str) -> HttpsFile:
    """Return the file that `text` addresses. Raise SourceError."""
    match = re.fullmatch(_ADDRESS, text)
    if match is None:
        raise SourceError(
            f"The URL of a file has the form {FORM}, without a password, a query (it can hold a signature, and a job "
            "must not contain secrets) or a fragment; signs such as spaces are written as %20."
        )
    return HttpsFile(match[1].lower(), match[2].lower(), match[3])
