"""Source kind `osmo_storage`: OSMO's storage URLs, and their conversion from and to blob URLs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.source import SourceError, SourceKind
from robotrain.model.support import no
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret
from robotrain_sources.role_flags import RESUME

CONTAINER_PATTERN = r"(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*"
BLOB_HOST = ".blob.core.windows.net"
_BLOB_URL = rf"https://([a-z0-9]{{3,24}}){re.escape(BLOB_HOST)}/([^?#]+)"


def to_storage_url(url: str) -> str:
    """Convert a blob URL to OSMO's form; return any other URL unchanged."""
    match = re.fullmatch(_BLOB_URL, url)
    return f"azure://{match[1]}/{match[2]}" if match else url


def to_blob_url(url: str) -> str:
    """Convert OSMO's URL to a blob URL; return "" if the storage is not Azure's."""
    if not url.startswith("azure://"):
        return ""
    account, _, path = url.removeprefix("azure://").partition("/")
    return f"https://{account}{BLOB_HOST}/{path}"


FORM = "azure://ACCOUNT/CONTAINER/PREFIX"
PLACES = {
    "s3": "BUCKET",
    "gs": "BUCKET",
    "azure": "ACCOUNT/CONTAINER",
    "tos": "HOST/BUCKET",
    "swift": "HOST/ACCOUNT/CONTAINER",
}
"""The leading parts that identify the storage, by scheme."""

_SEGMENT = r"[A-Za-z0-9._=+~!()&:-]+"
_ACCOUNT = r"[a-z0-9]{3,24}"
_BUCKET = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"


@dataclass(frozen=True)
class OsmoStorage:
    """A normalized OSMO storage URL, without a trailing slash."""

    kind: ClassVar[str] = "osmo_storage"

    scheme: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}"

    def join(self, *parts: str) -> "OsmoStorage":
        """Return the URL of a path below this one."""
        return OsmoStorage(self.scheme, self.parts + parts)


def is_storage_url(url_text: str) -> bool:
    """Return whether the text looks like an OSMO storage URL."""
    return bool(re.match(rf"(?i)\s*(?:{'|'.join(PLACES)})://", url_text))


def parse_storage_url(text: str, base: Path = Path("/")) -> OsmoStorage:
    """Parse a storage URL. Raise SourceError if it is invalid."""
    if holds_secret(text):
        raise SourceError("The URL seems to contain a secret, which a job must not carry.")
    scheme, mark, location = text.partition("://")
    if (converted_url := to_storage_url(text)) != text:
        raise SourceError("OSMO needs a storage URL instead of a blob URL.", _suggest_url(converted_url))
    if not mark or scheme.lower() not in PLACES:
        raise SourceError(f"The scheme must be one of {', '.join(PLACES)}.")
    if scheme != scheme.lower():
        raise SourceError("The scheme must be lowercase.", _suggest_url(f"{scheme.lower()}://{location}"))
    if re.search(r"[?#@]", location):
        raise SourceError("A storage URL must not contain a user, a query or a fragment, as they may be secret.")
    parts = tuple(location.rstrip("/").split("/"))
    if not all(parts) or {".", ".."} & set(parts):
        raise SourceError("No part of the URL may be empty, `.` or `..`.")
    if not all(re.fullmatch(_SEGMENT, part) for part in parts):
        raise SourceError("The parts of the URL may contain letters, digits and `._=+~!()&:-`.")
    if len(parts) <= PLACES[scheme].count("/"):
        raise SourceError(f"A {scheme}:// URL has the form {scheme}://{PLACES[scheme]}[/PREFIX].")
    if scheme == "azure" and not re.fullmatch(_ACCOUNT, parts[0]):
        reason = "The first part of an azure:// URL is a storage account: 3 to 24 lowercase letters and digits."
        raise SourceError(reason)
    if scheme == "azure" and not re.fullmatch(CONTAINER_PATTERN, parts[1]):
        container_rule = "a container: 3 to 63 lowercase letters, digits and single dashes"
        raise SourceError(f"The second part of an azure:// URL is {container_rule}.")
    if scheme in ("s3", "gs") and not re.fullmatch(_BUCKET, parts[0]):
        raise SourceError("A bucket name is 3 to 63 lowercase letters, digits, dots, dashes and `_`.")
    return OsmoStorage(scheme, parts)


def _suggest_url(url_text: str) -> str:
    """Return the normalized URL of `url_text`, or "" if it is invalid."""
    try:
        return str(parse_storage_url(url_text))
    except SourceError:
        return ""


_ONLY_OSMO = "Only OSMO can read its storage."

KIND = SourceKind(
    name=OsmoStorage.kind,
    title="s3://, gs:// and other OSMO addresses",
    form=FORM,
    example="azure://account/runs/pusht/checkpoints/000400",
    help="A storage URL that OSMO copies checkpoints to, or a checkpoint there (azure, s3, gs, swift or tos).",
    roles={"resume": RESUME},
    recognizes=is_storage_url,
    parse=parse_storage_url,
    schemes=tuple(PLACES),
    platform_managed=True,
    unsupported={
        "resume": no(
            _ONLY_OSMO,
            "robotrain outputs RUN --checkpoint last --to FOLDER, then --resume-from FOLDER/checkpoints/STEP",
        ),
        "publish": no(
            "Only OSMO copies checkpoints there; a run elsewhere writes to a folder or to Azure Storage.",
            "--publish-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
        ),
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
