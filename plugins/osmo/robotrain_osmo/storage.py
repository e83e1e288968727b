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

CONTAINER_PATTERN = r"(?=[^/]{3,63}(?:/|$))[a-z0-9](?:-?[a-z0-9])*"
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
_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._=+~!()&:-]+"
_BUCKET = r"(?!\.{1,2}(?:/|$))[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"
_PLACES = {
    "s3": _BUCKET,
    "gs": _BUCKET,
    "azure": rf"[a-z0-9]{{3,24}}/{CONTAINER_PATTERN}",
    "tos": rf"{_SEGMENT}/{_SEGMENT}",
    "swift": rf"{_SEGMENT}/{_SEGMENT}/{_SEGMENT}",
}
"""What identifies the storage, by scheme."""
_URL = "|".join(rf"{scheme}://{place}(?:/{_SEGMENT})*/*" for scheme, place in _PLACES.items())


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
    return bool(re.match(rf"(?i)\s*(?:{'|'.join(_PLACES)})://", url_text))


def parse_storage_url(text: str, base: Path = Path("/")) -> OsmoStorage:
    """Parse a storage URL. Raise SourceError if it is invalid."""
    if holds_secret(text):
        raise SourceError("The URL seems to contain a secret, which a job must not carry.")
    if (converted_url := to_storage_url(text)) != text:
        way = converted_url if re.fullmatch(_URL, converted_url) else ""
        raise SourceError("OSMO needs a storage URL instead of a blob URL.", way)
    if not re.fullmatch(_URL, text):
        raise SourceError(
            f"A storage URL of OSMO is {FORM}, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, tos://HOST/BUCKET/PREFIX or "
            "swift://HOST/ACCOUNT/CONTAINER/PREFIX, without a user, a query (which may be secret) or a fragment; a "
            "prefix has letters, digits and `._=+~!()&:-`."
        )
    scheme, _, location = text.partition("://")
    return OsmoStorage(scheme, tuple(location.rstrip("/").split("/")))


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
    schemes=tuple(_PLACES),
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
