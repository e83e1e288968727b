"""A file at a web address: the typed reference and its parser. Standard library only: container plugins import it."""

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from urllib.parse import unquote

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form

FORM = "https://HOST/PATH/FILE"

_ADDRESS = r"(?i)(https?)://([^/?#]*)([^?#]*)(.*)"
_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_PATH = r"(?:/(?:[A-Za-z0-9._~!$&()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+"


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
    if text != text.strip():
        raise SourceError("There is white space around the URL.", _suggest_url(text.strip()))
    match = re.fullmatch(_ADDRESS, text)
    if match is None:
        raise SourceError(f"The URL of a file has the form {FORM}.")
    scheme = match[1].lower()
    host = match[2].lower()
    path = match[3]
    query_or_fragment = match[4]
    if "@" in host:
        reason = "A user name or password in a URL is a secret, and a job must not contain secrets."
        raise SourceError(reason, _suggest_url(f"{scheme}://{host.rpartition('@')[2]}{path}"))
    if not re.fullmatch(_HOST, host):
        raise SourceError("The host is missing or is not a valid name.")
    if query_or_fragment:
        reason = "A query can contain a signature, and a job must not contain secrets; a fragment means nothing here."
        raise SourceError(reason, _suggest_url(f"{scheme}://{host}{path}"))
    if path in ("", "/") or path.endswith("/"):
        raise SourceError("The URL names no file: its last part is empty.")
    parts = [unquote(part) for part in path.split("/")[1:]]
    if not re.fullmatch(_PATH, path) or any(part in (".", "..") or "/" in part for part in parts):
        raise SourceError("No part of the path is empty, `.` or `..`; signs such as spaces are written as %20.")
    return HttpsFile(scheme, host, path)


_suggest_url = partial(suggest_normal_form, parse_https_file)
