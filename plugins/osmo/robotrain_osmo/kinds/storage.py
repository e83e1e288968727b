"""Declares `osmo_storage`: places that OSMO itself copies checkpoints to, and brings them from."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.capabilities import no
from robotrain.hookspecs import hook
from robotrain.redaction import holds_secret
from robotrain.source import SourceError, SourceKind
from robotrain_sources.roles import RESUME

from robotrain_osmo import names
from robotrain_osmo.kinds import blobs

FORM = "azure://ACCOUNT/CONTAINER/PREFIX"
LEAST = {"s3": 1, "gs": 1, "azure": 2, "tos": 2, "swift": 3}
"""By scheme, the parts that say which storage it is."""

_SEGMENT = r"[A-Za-z0-9._=+~!()&:-]+"
_ACCOUNT = r"[a-z0-9]{3,24}"
_BUCKET = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"


@dataclass(frozen=True)
class Storage:
    """An address of OSMO's storage, in its one normal form: without a slash at its end."""

    kind: ClassVar[str] = "osmo_storage"

    scheme: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}"

    def below(self, *parts: str) -> "Storage":
        """What lies below it."""
        return Storage(self.scheme, self.parts + parts)


def recognises(text: str) -> bool:
    """Whether the text looks like an address of OSMO's storage."""
    return bool(re.match(rf"(?i)\s*(?:{'|'.join(LEAST)})://", text))


def parse(text: str, base: Path = Path("/")) -> Storage:
    """The place that `text` addresses. Raises SourceError."""
    if holds_secret(text):
        raise SourceError("The address holds what looks like a secret, and a job never carries a secret.")
    scheme, mark, rest = text.partition("://")
    if (meant := blobs.as_storage(text)) != text:
        raise SourceError("OSMO writes the account and the container another way.", _offer(meant))
    if not mark or scheme.lower() not in LEAST:
        raise SourceError(f"OSMO's storage has one of the schemes {', '.join(LEAST)}.")
    if scheme != scheme.lower():
        raise SourceError("The scheme is written in small letters.", _offer(f"{scheme.lower()}://{rest}"))
    if re.search(r"[?#@]", rest):
        raise SourceError("An address of storage has no query, no fragment and no user: a job never carries a secret.")
    parts = tuple(rest.rstrip("/").split("/"))
    _check(scheme, parts)
    return Storage(scheme, parts)


def _check(scheme: str, parts: tuple[str, ...]) -> None:
    if not all(parts) or {".", ".."} & set(parts):
        raise SourceError("No part of the address is empty, `.` or `..`.")
    for part in parts:
        if not re.fullmatch(_SEGMENT, part):
            raise SourceError("A part of the address is letters, digits and `._=+~!()&:-`, without white space.")
    if len(parts) < LEAST[scheme]:
        raise SourceError(f"An address with {scheme}:// has the form {_form(scheme)}.")
    if scheme == "azure":
        _check_azure(*parts[:2])
    if scheme in ("s3", "gs") and not re.fullmatch(_BUCKET, parts[0]):
        raise SourceError("A bucket's name is 3 to 63 small letters, digits, dots, dashes and `_`.")


def _check_azure(account: str, container: str) -> None:
    if not re.fullmatch(_ACCOUNT, account):
        raise SourceError("The first part of azure:// is a storage account: 3 to 24 small letters and digits.")
    if not re.fullmatch(names.CONTAINER, container):
        raise SourceError(
            "The second part of azure:// is a container: 3 to 63 small letters, digits and single dashes between them."
        )


def _form(scheme: str) -> str:
    words = {"azure": "ACCOUNT/CONTAINER", "tos": "HOST/BUCKET", "swift": "HOST/ACCOUNT/CONTAINER"}
    return f"{scheme}://{words.get(scheme, 'BUCKET')}[/PREFIX]"


def _offer(text: str) -> str:
    """The normal form of `text`; empty when it has none."""
    try:
        return str(parse(text))
    except SourceError:
        return ""


ALONE = "OSMO alone knows its buckets, and the keys of its storage."

KIND = SourceKind(
    name=Storage.kind,
    title="OSMO storage",
    form=FORM,
    example="azure://account/runs/pusht/checkpoints/000400",
    help="A place that OSMO copies checkpoints to, and a checkpoint there: azure://, s3://, gs://, swift:// or tos://.",
    roles={"resume": RESUME},
    recognises=recognises,
    parse=parse,
    schemes=tuple(LEAST),
    carried=True,
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
