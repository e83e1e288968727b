"""Source kind `osmo_storage`: addresses of OSMO's storage, and their form as blob URLs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.capabilities import no
from robotrain.model.source import SourceError, SourceKind
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret
from robotrain_sources.role_flags import RESUME

CONTAINER_PATTERN = r"(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*"


BLOB_HOST = ".blob.core.windows.net"
_BLOB_URL = rf"https://([a-z0-9]{{3,24}}){re.escape(BLOB_HOST)}/([^?#]+)"
_ACCOUNT_IN_URL = r"azure://([a-z0-9]+)/.*|https?://([a-z0-9]+)\.(?:blob|dfs)\..*"


def to_storage_url(url: str) -> str:
    """The address of blobs as OSMO has it; any other as it is."""
    found = re.fullmatch(_BLOB_URL, url)
    return f"azure://{found[1]}/{found[2]}" if found else url


def to_blob_url(place: str) -> str:
    """OSMO's address as that of its blobs; empty for a storage that is not Azure's."""
    if not place.startswith("azure://"):
        return ""
    account, _, below = place.removeprefix("azure://").partition("/")
    return f"https://{account}{BLOB_HOST}/{below}"


def get_storage_account(url: str) -> str:
    """The storage account that an address of either form is in; empty for none."""
    found = re.fullmatch(_ACCOUNT_IN_URL, url)
    return (found[1] or found[2]) if found else ""


FORM = "azure://ACCOUNT/CONTAINER/PREFIX"
MIN_PARTS = {"s3": 1, "gs": 1, "azure": 2, "tos": 2, "swift": 3}
"""By scheme, the parts that say which storage it is."""

_SEGMENT = r"[A-Za-z0-9._=+~!()&:-]+"
_ACCOUNT = r"[a-z0-9]{3,24}"
_BUCKET = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"


@dataclass(frozen=True)
class OsmoStorage:
    """An address of OSMO's storage, in its one normal form: without a slash at its end."""

    kind: ClassVar[str] = "osmo_storage"

    scheme: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}"

    def join(self, *parts: str) -> "OsmoStorage":
        """What lies below it."""
        return OsmoStorage(self.scheme, self.parts + parts)


def is_storage_url(text: str) -> bool:
    """Whether the text looks like an address of OSMO's storage."""
    return bool(re.match(rf"(?i)\s*(?:{'|'.join(MIN_PARTS)})://", text))


def parse_storage_url(text: str, base: Path = Path("/")) -> OsmoStorage:
    """The place that `text` addresses. Raises SourceError."""
    if holds_secret(text):
        raise SourceError("The address holds what looks like a secret, and a job never carries a secret.")
    scheme, mark, rest = text.partition("://")
    if (meant := to_storage_url(text)) != text:
        raise SourceError("OSMO writes the account and the container another way.", _suggest_url(meant))
    if not mark or scheme.lower() not in MIN_PARTS:
        raise SourceError(f"OSMO's storage has one of the schemes {', '.join(MIN_PARTS)}.")
    if scheme != scheme.lower():
        raise SourceError("The scheme is written in small letters.", _suggest_url(f"{scheme.lower()}://{rest}"))
    if re.search(r"[?#@]", rest):
        raise SourceError("An address of storage has no query, no fragment and no user: a job never carries a secret.")
    parts = tuple(rest.rstrip("/").split("/"))
    _check_parts(scheme, parts)
    return OsmoStorage(scheme, parts)


def _check_parts(scheme: str, parts: tuple[str, ...]) -> None:
    if not all(parts) or {".", ".."} & set(parts):
        raise SourceError("No part of the address is empty, `.` or `..`.")
    for part in parts:
        if not re.fullmatch(_SEGMENT, part):
            raise SourceError("A part of the address is letters, digits and `._=+~!()&:-`, without white space.")
    if len(parts) < MIN_PARTS[scheme]:
        raise SourceError(f"An address with {scheme}:// has the form {_describe_form(scheme)}.")
    if scheme == "azure":
        _check_azure(*parts[:2])
    if scheme in ("s3", "gs") and not re.fullmatch(_BUCKET, parts[0]):
        raise SourceError("A bucket's name is 3 to 63 small letters, digits, dots, dashes and `_`.")


def _check_azure(account: str, container: str) -> None:
    if not re.fullmatch(_ACCOUNT, account):
        raise SourceError("The first part of azure:// is a storage account: 3 to 24 small letters and digits.")
    if not re.fullmatch(CONTAINER_PATTERN, container):
        raise SourceError(
            "The second part of azure:// is a container: 3 to 63 small letters, digits and single dashes between them."
        )


def _describe_form(scheme: str) -> str:
    words = {"azure": "ACCOUNT/CONTAINER", "tos": "HOST/BUCKET", "swift": "HOST/ACCOUNT/CONTAINER"}
    return f"{scheme}://{words.get(scheme, 'BUCKET')}[/PREFIX]"


def _suggest_url(text: str) -> str:
    """The normal form of `text`; empty when it has none."""
    try:
        return str(parse_storage_url(text))
    except SourceError:
        return ""


ALONE = "OSMO alone knows its buckets, and the keys of its storage."

KIND = SourceKind(
    name=OsmoStorage.kind,
    title="OSMO storage",
    form=FORM,
    example="azure://account/runs/pusht/checkpoints/000400",
    help="A place that OSMO copies checkpoints to, and a checkpoint there: azure://, s3://, gs://, swift:// or tos://.",
    roles={"resume": RESUME},
    recognizes=is_storage_url,
    parse=parse_storage_url,
    schemes=tuple(MIN_PARTS),
    platform_managed=True,
    unsupported={
        "resume": no(
            ALONE, "robotrain outputs RUN --checkpoint last --to FOLDER, then --resume-from FOLDER/checkpoints/STEP"
        ),
        "publish": no(ALONE, "--publish-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"),
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this file."""
    return (KIND,)
