"""A blob URL: the typed reference and its parser. Standard library only: container plugins import it."""

import re
from dataclasses import dataclass
from typing import ClassVar

from robotrain_runtime.contract.failure import SourceError

HOST = ".blob.core.windows.net"
FORM = f"https://ACCOUNT{HOST}/CONTAINER/PREFIX"
MAX_NAME_LENGTH = 1024

_CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_CONTAINER = r"\$(?:root|web|logs)|(?=[^/]{3,63}/)[a-z0-9](?:-?[a-z0-9])*"
_PART = rf"(?!\.{{1,2}}(?:/|$))[^/?#'\"{{}}\\;{_CONTROL}]+"
_ADDRESS = rf"(?ia:https)://((?ia:[a-z0-9]){{3,24}})(?ia:{re.escape(HOST)})/+({_CONTAINER})/({_PART}(?:/{_PART})*)/*"
_NOT_IN_PREFIX = r"%[0-9A-Fa-f]{2}|\s$|(?i:(?<![a-z0-9])sig=)"
"""An encoded sign (which is part of a blob's name as it stands), white space at the end, and a signature."""


@dataclass(frozen=True)
class BlobPrefix:
    """Every blob below a prefix. `str()` is the address in its normal form."""

    kind: ClassVar[str] = "blob_url"

    account: str
    container: str
    prefix: str

    def __str__(self) -> str:
        return f"https://{self.account}{HOST}/{self.container}/{self.prefix}"


def parse_blob_url(text: str) -> BlobPrefix:
    """Return the prefix that `text` addresses. Raise SourceError."""
    match = re.fullmatch(_ADDRESS, text)
    if match is None or re.search(_NOT_IN_PREFIX, match[3]) or len(match[3]) > MAX_NAME_LENGTH:
        raise SourceError(
            f"A blob URL has the form {FORM}: an account of 3 to 24 letters and digits, a container of 3 to 63 "
            "lower-case letters, digits and single dashes, and a prefix, decoded and without quotes. It has no query "
            "(which can hold a signature, and a job must not contain secrets: give the job's identity the role "
            "Storage Blob Data Reader), no password, no port and no fragment."
        )
    return BlobPrefix(match[1].lower(), match[2], match[3])
