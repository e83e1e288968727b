"""Declaration of `s3`: what a user types, how it is pinned, and that it can be written to. Imports no SDK."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain.plugin import Pinning, RoleFlag, SourceError, SourceKind, holds_secret, hook

from robotrain_s3 import address

_LOOKS_LIKE_S3 = (
    r"(?i)\s*(?:s3[an]?://|s3\+https?://|arn:aws[\w-]*:s3:"
    r"|https?://(?:[\w.-]*\bs3[\w.-]*\.amazonaws\.com\b|[\w.-]*console\.aws\.amazon\.com/s3/))"
)


def recognizes(text: str) -> bool:
    """Return whether the text looks like an address in S3."""
    return bool(re.match(_LOOKS_LIKE_S3, text))


def parse(text: str, base: Path) -> address.S3Prefix:
    """Return the prefix that `text` addresses. Raise SourceError."""
    try:
        found = address.parse(text)
    except address.AddressError as error:
        suggestion = "" if holds_secret(error.suggestion) else error.suggestion
        raise SourceError(error.why, suggestion) from None
    if holds_secret(str(found)):
        raise SourceError("It contains what looks like a key or a token, which a job must not carry.")
    return found


def resolve_pin(source: address.S3Prefix, role: str) -> str:
    """Return the digest of what is below the prefix now. Raise SourceError."""
    from robotrain_s3 import pin

    return pin.resolve(source)


def explain_lost_pin(source: address.S3Prefix, role: str, pinned: str) -> str:
    """Return why what was pinned is no longer there; empty if it is. Raise SourceError."""
    from robotrain_s3 import pin

    return pin.explain_lost_pin(source, pinned)


def find_missing(source: address.S3Prefix, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Return those of some paths that are not below the prefix. Raise SourceError."""
    from robotrain_s3 import pin

    return pin.find_missing(source, paths)


KIND = SourceKind(
    name=address.S3Prefix.kind,
    title="S3 folders",
    form=address.FORM,
    example="s3://robots/datasets/pusht",
    help=f"A folder in S3: every object below the prefix; in another store: {address.ENDPOINT_FORM}.",
    roles={
        "dataset": RoleFlag("--s3-url", help="A LeRobot dataset in S3: every object below the prefix.", common=True)
    },
    recognizes=recognizes,
    parse=parse,
    container_plugin="robotrain_s3.container",
    target="robotrain_s3.target",
    schemes=("s3", "s3+https", "s3+http"),
    pinning=Pinning(resolve=resolve_pin, explain_lost_pin=explain_lost_pin, find_missing=find_missing),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind of this distribution."""
    return (KIND,)
